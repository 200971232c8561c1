/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of the exitless path; see gate.h. */
#include "channel/gate.h"

#include "../../kmod/uapi/wormhole.h"
#include "base/log.h"
#include "base/tsc.h"
#include "channel/gate_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE      4096u
#define WAIT_US   40000u /* for the reason of a session that is over, and for the listener */
#define WAIT_NAPS 80u

struct wh_gate_client {
    uint32_t index, lanes; /* the offer's, checked */
    bool may_read_tsc;     /* so may the worker's code, then */
    uint64_t key[4], calls[WH_GATE_CALLS / 64];
    _Atomic uint32_t busy[WH_GATE_LANES];
    _Atomic uint32_t over; /* 1: the view is gone */
};

#if defined(__x86_64__)

extern const uint8_t wh_gate_page[];

/* A guest of five-level page tables has no views (docs/exitless.md), and there the gate would be an
 * undefined instruction. Such a system has addresses beyond 2^47 for who asks for one (Linux,
 * Documentation/x86/x86_64/5level-paging.rst), and others give another. */
static bool has_five_levels(void)
{
    void *page = mmap((void *)((uintptr_t)1 << 50), PAGE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (page == MAP_FAILED)
        return false;
    munmap(page, PAGE);
    return (uintptr_t)page >> 47 != 0;
}

/* One page for all sessions of the process: what differs is in the call. A session of before a fork
 * or another library's may have put it there. */
static const char *place_page(void)
{
    void *at = (void *)WH_GATE_PAGE;
    if (has_five_levels())
        return "the system has five-level page tables";
    void *page = mmap(at, PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page == at) {
        memcpy(page, wh_gate_page, PAGE);
        if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0)
            return NULL;
        munmap(page, PAGE);
        return "the system lets this program run no code of the gate's";
    }
    if (page != MAP_FAILED)
        munmap(page, PAGE);
    unsigned char there;
    /* Whoever put it there may not have come to the end. */
    bool same = mincore(at, PAGE, &there) == 0 && memcmp(at, wh_gate_page, PAGE) == 0 &&
                mprotect(at, PAGE, PROT_READ | PROT_EXEC) == 0;
    return same ? NULL : "the program uses the address of the gate's page, 0x567f00000000";
}

static void enter(struct wh_gate_call *call)
{
    ((void (*)(struct wh_gate_call *))WH_GATE_PAGE)(call);
}

#else

static const char *place_page(void)
{
    return "this processor has no gate";
}

static void enter(struct wh_gate_call *call)
{
    call->status = WORMHOLE_BUSY;
}

#endif

/* Naps while *word == value, for a while. */
static void wait_while(_Atomic uint32_t *word, uint32_t value)
{
    struct wh_park park = {.kind = WH_PARK_NAP, .longest_us = WAIT_US / WAIT_NAPS};
    for (unsigned naps = 0; naps < WAIT_NAPS && atomic_load(word) == value;)
        wh_park_while(&park, word, value, &naps);
}

/* If it was the worker that ended, the segment will tell. */
static void find_reason(struct wh_shm *shm, char *reason, size_t size)
{
    wait_while(&shm->segment->state, WH_SEGMENT_OPEN);
    if (atomic_load(&shm->segment->state) != WH_SEGMENT_OPEN)
        shm->channel.ops->end_reason(&shm->channel, reason, size);
    else
        (void)snprintf(reason, size,
                       "the worker's code failed in the session's view, or took too long there");
}

bool wh_gate_is_over(struct wh_shm *shm, char *reason, size_t size)
{
    if (!shm->gate || !atomic_load(&shm->gate->over))
        return false;
    find_reason(shm, reason, size);
    return true;
}

/* The listener says why before any call returns an error. */
static void end_session(struct wh_shm *shm)
{
    char reason[sizeof(shm->channel.why)];
    atomic_store(&shm->gate->over, 1);
    for (int i = 0; i < 4 && !atomic_load(&shm->channel.lost); i++)
        wait_while(&shm->gate->over, 1);
    if (atomic_load(&shm->channel.lost))
        return;
    find_reason(shm, reason, sizeof(reason));
    shm->channel.ops->lose(&shm->channel, reason);
}

static uint32_t take_lane(struct wh_gate_client *gate)
{
    /* Acquire pairs with the release in step_in: the lane's last call is over. */
    for (uint32_t lane = 0; lane < gate->lanes; lane++)
        if (atomic_exchange_explicit(&gate->busy[lane], 1, memory_order_acquire) == 0)
            return lane;
    return gate->lanes;
}

static bool step_in(struct wh_shm *shm, uint16_t number)
{
    struct wh_gate_client *gate = shm->gate;
    if (!wh_gate_may_run(gate->calls, number) ||
        atomic_load_explicit(&shm->segment->gate.busy, memory_order_relaxed))
        return true;
    uint32_t lane = take_lane(gate);
    if (lane == gate->lanes)
        return true;
    struct wh_gate_call call = {.index = gate->index, .lane = lane, .first = gate->may_read_tsc};
    memcpy(call.key, gate->key, sizeof(call.key));
    enter(&call);
    atomic_store_explicit(&gate->busy[lane], 0, memory_order_release);
    if (call.status == WORMHOLE_LOST)
        end_session(shm);
    return call.status != WORMHOLE_DONE || call.value == WH_GATE_RING;
}

/* Of what the program or its system lacks, people hear once; the host's own reasons are in its log.
 */
static const char *complain(const char *why)
{
    static const char *_Atomic said;
    if (atomic_exchange(&said, why) != why)
        wh_log("calls travel by ivshmem, not exitless: %s", why);
    return why;
}

const char *wh_gate_adopt(struct wh_shm *shm)
{
    const char *wish = getenv("WORMHOLE_EXITLESS");
    const volatile struct wh_gate_offer *offer = &shm->segment->gate;
    uint32_t index = offer->index, lanes = offer->lanes; /* once */
    if (wish && strcmp(wish, "0") == 0)
        return "WORMHOLE_EXITLESS is 0";
    if (index == 0)
        return "the host offers no view";
    if (index > WORMHOLE_INDEX_MAX || lanes == 0)
        return complain("the host's offer is malformed");
    const char *why = place_page();
    if (why)
        return complain(why);
    struct wh_gate_client *gate = calloc(1, sizeof(*gate));
    if (!gate)
        return complain("out of memory");
    gate->index = index;
    gate->lanes = lanes < WH_GATE_LANES ? lanes : WH_GATE_LANES;
    gate->may_read_tsc = wh_tsc_is_allowed();
    memcpy(gate->key, shm->segment->gate.key, sizeof(gate->key));
    memcpy(gate->calls, shm->segment->gate.calls, sizeof(gate->calls));
    shm->gate = gate;
    shm->step_in = step_in;
    return NULL;
}

void wh_gate_forget(struct wh_shm *shm)
{
    free(shm->gate);
    shm->gate = NULL;
}
