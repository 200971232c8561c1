/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: sessions as a worker and a daemon would open them, calls as a client makes them, and what
 * the module counted.
 */
#include "mini.h"

#include <stdio.h>
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
    session->data = page_take();
    session->data->gate = GUEST_GATE;
    for (size_t i = 0; i < CANARIES; i++)
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
    /* The module has its copy: who changes the code now changes nothing. */
    memset((void *)range->address, 0xcc, range->size);
    munmap((void *)range->address, range->size);
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

void session_bind_to(struct session *session, int to)
{
    struct wormhole_bind bind = {.view_fd = session->view};

    MUST(ioctl(to, WORMHOLE_BIND, &bind));
    session->index = bind.index;
}

void session_bind(struct session *session)
{
    session_bind_to(session, vm);
}

void session_open(struct session *session)
{
    session_create(session, 0);
    session_bind(session);
}

void session_close(struct session *session)
{
    close(session->view);
    page_give(session->data);
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

struct wormhole_info info_now(void)
{
    struct wormhole_info info;

    MUST(ioctl(device, WORMHOLE_INFO, &info));
    return info;
}

int module_users(void)
{
    int users = -1;
    FILE *file = fopen("/sys/module/wormhole/refcnt", "r");

    if (!file || fscanf(file, "%d", &users) != 1)
        machine_die("the module's users");
    fclose(file);
    return users;
}

void await_users(int users)
{
    while (module_users() > users)
        sched_yield();
}

bool nothing_left(const struct wormhole_info *before)
{
    struct wormhole_info info;
    bool good = true;

    do {
        info = info_now();
        sched_yield();
    } while (info.vms > before->vms);
    EXPECT(info.views == before->views, "%u, and %u before", info.views, before->views);
    EXPECT(info.pinned_pages == before->pinned_pages, "%llu, and %llu before", info.pinned_pages,
           before->pinned_pages);
    EXPECT(info.own_pages == before->own_pages, "%llu, and %llu before", info.own_pages,
           before->own_pages);
    EXPECT(info.list_pages == before->list_pages, "%llu, and %llu before", info.list_pages,
           before->list_pages);
    return good;
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

void prepare_jump(const struct session *session, uint64_t target)
{
    struct guest_args *args = machine.vcpus[0].args;

    prepare(&machine.vcpus[0], session, 0, 0, 1);
    args->job = GUEST_JUMP;
    args->target = target;
    args->registers[RCX] = session->index;
    args->registers[RDX] = JOB_COUNT;
    args->registers[RBX] = 1;
    for (int i = 0; i < 4; i++)
        args->registers[R8 + i] = session->key[i];
}

int jump_in(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];

    for (;;) {
        int port = machine_run(vcpu);
        struct kvm_regs regs = machine_registers(vcpu);

        if (port != PORT_BACK || (regs.rdx != WORMHOLE_RETRY && regs.rdx != WORMHOLE_SUSPENDED))
            return port;
        if (regs.rdx == WORMHOLE_SUSPENDED)
            vcpu->args->registers[RSI] = regs.rsi;
    }
}

int64_t call_on(struct vcpu *vcpu, const struct session *session, uint64_t first, uint64_t second)
{
    prepare(vcpu, session, first, second, 1);
    if (machine_run(vcpu) != PORT_DONE) {
        machine_show(vcpu);
        return -1;
    }
    return (int64_t)vcpu->args->call.status;
}

int64_t call(const struct session *session, uint64_t first, uint64_t second)
{
    return call_on(&machine.vcpus[0], session, first, second);
}

bool works_on(struct vcpu *vcpu, const struct session *session)
{
    return call_on(vcpu, session, JOB_ECHO, 7) == WORMHOLE_DONE &&
           vcpu->args->call.value == callee_mix(7);
}

bool works(const struct session *session)
{
    return works_on(&machine.vcpus[0], session);
}

bool canaries_live(const struct session *session)
{
    for (size_t i = 0; i < CANARIES; i++)
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
