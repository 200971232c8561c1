/* SPDX-License-Identifier: Apache-2.0 */
/* How a worker makes its session's view; see gate.h. */
#include "worker/gate.h"

#include "../../kmod/uapi/wormhole.h"
#include "base/log.h"
#include "base/util.h"
#include "callee_image.h"
#include "channel/gate.h"
#include "worker/exchange.h"
#include "worker/heap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>

#define PAGE        4096u
#define HEAP        (4u << 20)  /* of it, what is allocated first is in the view */
#define MOST_MEMORY (64u << 10) /* of one call in the view */

/* ---- the heap ---- */

/* Where the heap began, for the one view of this process. */
static uintptr_t heap_start;

void wh_gate_prepare(void)
{
    heap_start = wh_heap_prepare(HEAP);
}

/* ---- ranges ---- */

static void add_range(struct wh_gate *gate, uintptr_t start, uintptr_t end)
{
    start &= ~(uintptr_t)(PAGE - 1);
    end = wh_round_up(end, PAGE);
    for (uint32_t i = 0; i < gate->nseen; i++) {
        struct wh_gate_range *other = &gate->seen[i];
        if (start >= other->end || end <= other->start)
            continue;
        other->start = start < other->start ? start : other->start;
        other->end = end > other->end ? end : other->end;
        return;
    }
    gate->seen[gate->nseen++] = (struct wh_gate_range){start, end};
}

static void add_bytes(struct wh_gate *gate, const void *bytes, size_t size)
{
    add_range(gate, (uintptr_t)bytes, (uintptr_t)bytes + size);
}

static void find_ranges(struct wh_gate *gate)
{
    struct wh_worker *worker = gate->origin;
    struct wh_gate_range own[3];
    add_range(gate, heap_start, (uintptr_t)sbrk(0));
    add_bytes(gate, gate->shm->segment, sizeof(*gate->shm->segment));
    add_bytes(gate, gate->shm->channel.arena, WH_GATE_ARENA);
    if (gate->worker.ledger.own)
        add_bytes(gate, worker->ledger.accounts,
                  worker->ledger.count * sizeof(*worker->ledger.accounts));
    unsigned n = worker->backend->show(worker, gate->backend, own);
    for (unsigned i = 0; i < n; i++)
        add_range(gate, own[i].start, own[i].end);
}

/* ---- the view ---- */

static struct wormhole_range range_of(uintptr_t start, size_t size, uint64_t address,
                                      uint32_t flags)
{
    return (struct wormhole_range){
        .address = start, .size = wh_round_up(size, PAGE), .view_address = address, .flags = flags};
}

/* The code, whole pages of it, from where the module copies it. */
static void *map_code(void)
{
    size_t size = wh_round_up(sizeof(wh_callee_image), PAGE);
    void *code = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code != MAP_FAILED)
        memcpy(code, wh_callee_image, sizeof(wh_callee_image));
    return code;
}

static int make_view(struct wh_gate *gate, int device, const uint64_t key[4])
{
    struct wormhole_range ranges[WH_GATE_RANGES + 2];
    uint32_t n = 0;
    void *code = map_code();
    if (code == MAP_FAILED)
        return -1;
    ranges[n++] =
        range_of((uintptr_t)code, sizeof(wh_callee_image), WH_CALLEE_CODE, WORMHOLE_EXECUTE);
    ranges[n++] = range_of((uintptr_t)gate, sizeof(*gate), WH_CALLEE_GATE, WORMHOLE_WRITE);
    for (uint32_t i = 0; i < gate->nseen; i++)
        ranges[n++] = range_of(gate->seen[i].start, gate->seen[i].end - gate->seen[i].start,
                               gate->seen[i].start, WORMHOLE_WRITE);
    struct wormhole_view_create wish = {.version = WORMHOLE_VERSION,
                                        .gate = WH_GATE_PAGE,
                                        .handler = WH_CALLEE_CODE,
                                        .lanes = WH_GATE_LANES,
                                        .stack_pages = WH_GATE_STACK,
                                        .n_ranges = n,
                                        .ranges = (uintptr_t)ranges};
    memcpy(wish.key, key, sizeof(wish.key));
    int view = ioctl(device, WORMHOLE_VIEW_CREATE, &wish);
    int code_of_error = errno;
    munmap(code, wh_round_up(sizeof(wh_callee_image), PAGE));
    errno = code_of_error;
    return view;
}

/* ---- what both use ---- */

static struct wh_gate *new_gate(struct wh_worker *worker, struct wh_shm *shm)
{
    struct wh_gate *gate = mmap(NULL, wh_round_up(sizeof(*gate), PAGE), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (gate == MAP_FAILED)
        return NULL;
    gate->shm = shm;
    gate->origin = worker;
    gate->worker = (struct wh_worker){.channel = &shm->channel,
                                      .table = worker->table,
                                      .ledger = worker->ledger,
                                      .session = worker->session,
                                      .state = worker->state};
    atomic_init(&gate->worker.deferred, worker->backend->api->success);
    wh_clock_open(&gate->clock);
    gate->pool = wh_pool_new(MOST_MEMORY);
    if (gate->pool && wh_pool_take(gate->pool, 1)) { /* it keeps the piece of memory */
        wh_pool_reset(gate->pool);
        return gate;
    }
    munmap(gate, wh_round_up(sizeof(*gate), PAGE));
    return NULL;
}

static const char *explain(int code)
{
    if (code == ENOMEM)
        return "; has the worker's user enough locked memory (RLIMIT_MEMLOCK)?";
    return code == EPERM ? "; its code holds a VMFUNC" : "";
}

/* The view of this process's memory, which ends with it. */
static int make_own(struct wh_gate *gate, int device, uint64_t key[4], uint32_t *index,
                    struct wh_error *error)
{
    if (getrandom(key, 4 * sizeof(*key), 0) != 4 * sizeof(*key))
        return wh_error_set(error, errno, "no random numbers for a key");
    WH_CLEANUP_CLOSE int view = make_view(gate, device, key);
    if (view < 0)
        return wh_error_set(error, errno, "the module refuses the view: %s%s", strerror(errno),
                            explain(errno));
    int code = wh_exchange_bind_view(view, index);
    if (code)
        return wh_error_set(error, code, "the view cannot be bound to the VM: %s", strerror(code));
    view = -1; /* as long as this process lives */
    return 0;
}

int wh_gate_open(struct wh_worker *worker, struct wh_shm *shm, int device, struct wh_fixed *fixed,
                 struct wh_error *error)
{
    uint64_t key[4];
    uint32_t index = 0;
    if (!worker->backend->quiet || !worker->backend->show)
        return wh_error_set(error, ENOTSUP, "no call of this accelerator's library can run there");
    struct wh_gate *gate = new_gate(worker, shm);
    if (!gate)
        return wh_error_set(error, ENOMEM, "out of memory");
    if (fixed && !worker->ledger.is_fixed) /* nothing of it can be shown: calls are not counted */
        gate->worker.ledger = (struct wh_ledger){0};
    find_ranges(gate);
    wh_gate_stock(gate, worker->backend);
    int result = fixed ? wh_gate_offer(gate, fixed, key, &index, error)
                       : make_own(gate, device, key, &index, error);
    if (result < 0)
        return -1;
    struct wh_gate_offer *offer = &shm->segment->gate;
    memcpy(offer->key, key, sizeof(key));
    wh_gate_tell_calls(worker->backend, offer);
    offer->lanes = WH_GATE_LANES;
    offer->index = index;
    gate->quiet = worker->backend->quiet(worker);
    shm->sleeps_at_once = gate->quiet;
    atomic_store_explicit(&offer->busy, !gate->quiet, memory_order_relaxed);
    worker->gate = gate;
    return 0;
}
