/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: sessions as a worker and a daemon would open them, calls as a client makes them, and what
 * the module counted.
 */
#include "mini.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

extern const uint8_t callee_binary[], callee_binary_end[];

/* ---- sessions ---- */

void wish_for(struct wormhole_view_create *wish, struct wormhole_range ranges[2],
              struct session *session)
{
    static uint64_t seed = 0x243f6a8885a308d3;
    size_t code_size = (size_t)(callee_binary_end - callee_binary + 4095) & ~4095ull;
    uint8_t *code =
        mmap(NULL, code_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memcpy(code, callee_binary, (size_t)(callee_binary_end - callee_binary));
    session->data = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    session->data->gate = GUEST_GATE;
    for (size_t i = 0; i < 64; i++)
        session->data->canary[i] = CANARY;
    for (int i = 0; i < 4; i++)
        session->key[i] = seed = callee_mix(seed);
    ranges[0] =
        (struct wormhole_range){(uint64_t)code, code_size, CALLEE_CODE, WORMHOLE_EXECUTE, 0};
    ranges[1] =
        (struct wormhole_range){(uint64_t)session->data, PAGE, CALLEE_DATA, WORMHOLE_WRITE, 0};
    *wish = (struct wormhole_view_create){
        .version = WORMHOLE_VERSION,
        .gate = GUEST_GATE,
        .handler = CALLEE_CODE,
        .lanes = CALLEE_LANES,
        .stack_pages = 2,
        .n_ranges = 2,
        .ranges = (uint64_t)ranges,
    };
    memcpy(wish->key, session->key, sizeof(wish->key));
}

void forget_code(const struct wormhole_range *range)
{
    munmap((void *)range->address, range->size); /* the module has its copy */
}

void session_create(struct session *session, uint64_t budget_ns)
{
    struct wormhole_view_create wish;
    struct wormhole_range ranges[2];

    wish_for(&wish, ranges, session);
    wish.budget_ns = budget_ns;
    session->view = (int)MUST(ioctl(device, WORMHOLE_VIEW_CREATE, &wish));
    forget_code(&ranges[0]);
}

void session_bind(struct session *session)
{
    struct wormhole_bind bind = {.view_fd = session->view};

    MUST(ioctl(vm, WORMHOLE_BIND, &bind));
    session->index = bind.index;
}

void session_open(struct session *session)
{
    session_create(session, 0);
    session_bind(session);
}

void session_close(struct session *session)
{
    close(session->view);
    munmap(session->data, PAGE);
}

struct wormhole_view_stats stats_of(const struct session *session)
{
    struct wormhole_view_stats stats;

    MUST(ioctl(session->view, WORMHOLE_VIEW_STATS, &stats));
    return stats;
}

struct wormhole_vm_stats vm_stats(void)
{
    struct wormhole_vm_stats stats;

    MUST(ioctl(vm, WORMHOLE_VM_STATS, &stats));
    return stats;
}

uint64_t sum(const __u64 *counts)
{
    uint64_t total = 0;

    for (int i = 0; i < WORMHOLE_REASONS; i++)
        total += counts[i];
    return total;
}

/* ---- the guest's jobs ---- */

void prepare(struct vcpu *vcpu, const struct session *session, uint64_t first, uint64_t second,
             uint64_t count)
{
    struct guest_args *args = vcpu->args;

    memset(args, 0, sizeof(*args));
    args->job = GUEST_CALLS;
    args->count = count;
    args->call.index = session->index;
    args->call.first = first;
    args->call.second = second;
    memcpy(args->call.key, session->key, sizeof(args->call.key));
}

/* One call on the first vCPU: the status, or -1 and where it stopped instead. */
int64_t call(const struct session *session, uint64_t first, uint64_t second)
{
    struct vcpu *vcpu = &machine.vcpus[0];

    prepare(vcpu, session, first, second, 1);
    if (machine_run(vcpu) != PORT_DONE) {
        machine_show(vcpu);
        return -1;
    }
    return (int64_t)vcpu->args->call.status;
}

bool works(const struct session *session)
{
    return call(session, JOB_ECHO, 7) == WORMHOLE_DONE &&
           machine.vcpus[0].args->call.value == callee_mix(7);
}

bool canaries_live(const struct session *session)
{
    for (size_t i = 0; i < 64; i++)
        if (session->data->canary[i] != CANARY)
            return false;
    return true;
}

/* Waits until so many calls of JOB_COUNT and JOB_FOREVER are or were in the view. */
void await_total(const struct session *session, uint64_t total)
{
    while (*(volatile uint64_t *)&session->data->total < total)
        sched_yield();
}

/* Checksum of `count` answers to JOB_ECHO from `second` on. */
uint64_t echoes(uint64_t second, uint64_t count)
{
    uint64_t expected = 0;

    for (uint64_t i = 0; i < count; i++)
        expected = callee_mix(expected + callee_mix(second + i));
    return expected;
}
