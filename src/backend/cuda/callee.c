/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that may run in a session's view (worker/callee.c): questions to the software device,
 * waits for what is done already, and what is done in a moment. For the callee only, which has no
 * memory of its own; each call looks whether it can reach what it will touch before it touches
 * anything. The calls themselves are the backend's and the driver's, linked once more.
 */
#include "backend/softgpu/callee.h"

#include "backend/cuda/backend.h"
#include "backend/cuda/in_view.h"
#include "backend/softgpu/queue.h"
#include "worker/exchange.h"
#include "worker/gate.h"
#include "worker/table.h"

#define MOST_OF_EACH 65536u /* blocks and threads in one direction */

struct soft_callee *soft_callee(void)
{
    struct wh_gate *gate = wh_callee_gate();
    _Static_assert(sizeof(struct soft_callee) <= sizeof(gate->scratch), "it has room there");
    return (struct soft_callee *)(void *)gate->scratch;
}

bool soft_callee_sees(const void *bytes, size_t size)
{
    return wh_callee_sees(bytes, size);
}

/* The client thread's context, as wh_cuda_enter has it. */
static bool enter(struct wh_call *call)
{
    struct wh_gate *gate = wh_callee_gate();
    const struct wh_cuda_contexts *contexts = gate->backend[0];
    struct wh_cuda_state *state = call->worker->state;
    struct soft_callee *soft = soft_callee();
    if (!wh_callee_sees(state, sizeof(*state)))
        return false;
    soft->driver = (struct soft_driver *)(uintptr_t)gate->backend[1];
    soft->buckets = (struct soft_object **)(uintptr_t)gate->backend[2];
    soft->current = NULL;
    soft->view.sees = wh_callee_sees;
    soft->view.own = gate->room;
    soft->view.own_end = gate->room + sizeof(gate->room);
    soft->view.log = gate->log;
    soft->view.log_size = sizeof(gate->log);
    if (!wh_callee_sees(contexts, sizeof(*contexts)))
        return false;
    if (call->thread < contexts->room) {
        const uint32_t *place = &contexts->current[call->thread];
        if (!wh_callee_sees(place, sizeof(*place)))
            return false;
        struct wh_entry *entry =
            *place ? wh_table_find(call->worker->table, *place, WH_CUDA_TYPE_CUcontext) : NULL;
        soft->current = entry ? entry->real : NULL;
    }
    if (!soft_callee_reaches_context())
        return false;
    state->calls++;
    return true;
}

/* ---- what the backend's files need of the rest of it ---- */

CUcontext wh_cuda_current(struct wh_call *call)
{
    (void)call;
    return (CUcontext)soft_callee()->current;
}

CUresult wh_cuda_fetch(struct wh_call *call, void *bytes, CUdeviceptr from, size_t size,
                       CUstream stream)
{
    (void)call; /* ordinary memory is as good here */
    CUresult result = cuMemcpyDtoHAsync_v2(bytes, from, size, stream);
    return result == CUDA_SUCCESS ? cuStreamSynchronize(stream) : result;
}

int wh_exchange_drop(const uint8_t token[WH_EXCHANGE_TOKEN])
{
    (void)token; /* nothing is offered: see free_memory */
    return 0;
}

/* Words are copied as other bytes are, and none is ever kept. */
bool wh_cuda_is_word(CUdeviceptr to, size_t size)
{
    (void)to, (void)size;
    return false;
}

CUresult wh_cuda_words_keep(struct wh_call *call, CUdeviceptr to, size_t size, const void *bytes,
                            CUstream stream)
{
    (void)call, (void)to, (void)size, (void)bytes, (void)stream;
    return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult wh_cuda_words_give(struct wh_cuda_state *state)
{
    (void)state; /* a quiet session has none */
    return CUDA_SUCCESS;
}

/* Those that the backend calls here. */
static const struct wh_cuda_functions_table functions = {
    .cuLaunchKernel = cuLaunchKernel,
    .cuMemAlloc_v2 = cuMemAlloc_v2,
    .cuMemFree_v2 = cuMemFree_v2,
    .cuMemcpyAsync = cuMemcpyAsync,
    .cuMemcpyDtoHAsync_v2 = cuMemcpyDtoHAsync_v2,
    .cuMemcpyHtoDAsync_v2 = cuMemcpyHtoDAsync_v2,
    .cuStreamSynchronize = cuStreamSynchronize,
};

static bool reaches(struct wh_worker *worker, uint64_t address, uint64_t size)
{
    const struct wh_cuda_state *state = worker->state;
    struct wh_cuda_range range;
    return wh_callee_sees(state, sizeof(*state)) &&
           wh_cuda_ranges_seen(state->ranges, wh_callee_sees) &&
           wh_cuda_ranges_find(state->ranges, address, size, &range);
}

/* ---- calls ---- */

/* The thread's number has a place already: else the worker makes room. */
static bool set_current(struct wh_call *call, uint64_t *a)
{
    const struct wh_gate *gate = wh_callee_gate();
    const struct wh_cuda_contexts *contexts = gate->backend[0];
    if (call->thread >= contexts->room)
        return false;
    contexts->current[call->thread] = call->entries[0] ? call->entries[0]->id : 0;
    a[WH_RESULT] = CUDA_SUCCESS;
    return true;
}

/* Unlike the driver's, where either may be left out: as the backend's own. */
static bool memory_info(struct wh_call *call, uint64_t *a)
{
    size_t unused, total;
    CUresult result = cuMemGetInfo_v2(&unused, &total);
    (void)call;
    a[WH_RESULT] = (uint64_t)(int64_t)result;
    if (result == CUDA_SUCCESS && a[0])
        *(size_t *)(uintptr_t)a[0] = unused;
    if (result == CUDA_SUCCESS && a[1])
        *(size_t *)(uintptr_t)a[1] = total;
    return true;
}

#define POINTER(type, i) ((type *)(uintptr_t)a[i])

/* A call of the driver's, once what it reaches is known to be there. */
#define CALL(name, reaches, ...)                           \
    static bool name(struct wh_call *call, uint64_t *a)    \
    {                                                      \
        (void)call;                                        \
        if (!(reaches))                                    \
            return false;                                  \
        a[WH_RESULT] = (uint64_t)(int64_t)cu##__VA_ARGS__; \
        return true;                                       \
    }

#define STREAM_AT(i) soft_callee_reaches_stream(POINTER(struct CUstream_st, i))
#define EVENT_AT(i)  soft_callee_reaches_event(POINTER(struct CUevent_st, i))
#define STREAM       STREAM_AT(0)
#define EVENT        EVENT_AT(0)

/* Few enough to be moved in a moment, and here. */
static bool has_bytes(uint64_t address, uint64_t n, uint64_t each)
{
    return n <= SOFT_SMALL_BYTES / each && soft_callee_reaches_bytes(address, n * each);
}

CALL(get_flags, true, CtxGetFlags(POINTER(unsigned, 0)))
CALL(get_limit, true, CtxGetLimit(POINTER(size_t, 0), (CUlimit)a[1]))
CALL(set_limit, true, CtxSetLimit((CUlimit)a[0], a[1]))
CALL(get_cache, true, CtxGetCacheConfig(POINTER(CUfunc_cache, 0)))
CALL(set_cache, true, CtxSetCacheConfig((CUfunc_cache)a[0]))
CALL(get_banks, true, CtxGetSharedMemConfig(POINTER(CUsharedconfig, 0)))
CALL(set_banks, true, CtxSetSharedMemConfig((CUsharedconfig)a[0]))
CALL(get_priorities, true, CtxGetStreamPriorityRange(POINTER(int, 0), POINTER(int, 1)))
CALL(get_affinity, true,
     CtxGetExecAffinity(POINTER(CUexecAffinityParam, 0), (CUexecAffinityType)a[1]))
CALL(reset_cache, true, CtxResetPersistingL2Cache())
CALL(context_synchronize, true, CtxSynchronize())
CALL(stream_priority, STREAM, StreamGetPriority(POINTER(struct CUstream_st, 0), POINTER(int, 1)))
CALL(stream_flags, STREAM, StreamGetFlags(POINTER(struct CUstream_st, 0), POINTER(unsigned, 1)))
CALL(stream_id, STREAM, StreamGetId(POINTER(struct CUstream_st, 0), POINTER(unsigned long long, 1)))
CALL(stream_query, STREAM, StreamQuery(POINTER(struct CUstream_st, 0)))
CALL(stream_synchronize, STREAM, StreamSynchronize(POINTER(struct CUstream_st, 0)))
CALL(event_query, EVENT, EventQuery(POINTER(struct CUevent_st, 0)))
CALL(event_synchronize, EVENT, EventSynchronize(POINTER(struct CUevent_st, 0)))

CALL(stream_wait, STREAM &&EVENT_AT(1),
     StreamWaitEvent(POINTER(struct CUstream_st, 0), POINTER(struct CUevent_st, 1), (unsigned)a[2]))
CALL(record, soft_callee_reaches_record(POINTER(struct CUevent_st, 0)) && STREAM_AT(1),
     EventRecord(POINTER(struct CUevent_st, 0), POINTER(struct CUstream_st, 1)))
CALL(record_flags, soft_callee_reaches_record(POINTER(struct CUevent_st, 0)) && STREAM_AT(1),
     EventRecordWithFlags(POINTER(struct CUevent_st, 0), POINTER(struct CUstream_st, 1),
                          (unsigned)a[2]))
CALL(elapsed, EVENT_AT(1) && EVENT_AT(2),
     EventElapsedTime_v2(POINTER(float, 0), POINTER(struct CUevent_st, 1),
                         POINTER(struct CUevent_st, 2)))
CALL(set_8, has_bytes(a[0], a[2], 1), MemsetD8_v2(a[0], (unsigned char)a[1], a[2]))
CALL(set_16, has_bytes(a[0], a[2], 2), MemsetD16_v2(a[0], (unsigned short)a[1], a[2]))
CALL(set_32, has_bytes(a[0], a[2], 4), MemsetD32_v2(a[0], (unsigned)a[1], a[2]))
CALL(set_8_async, has_bytes(a[0], a[2], 1) && STREAM_AT(3),
     MemsetD8Async(a[0], (unsigned char)a[1], a[2], POINTER(struct CUstream_st, 3)))
CALL(set_16_async, has_bytes(a[0], a[2], 2) && STREAM_AT(3),
     MemsetD16Async(a[0], (unsigned short)a[1], a[2], POINTER(struct CUstream_st, 3)))
CALL(set_32_async, has_bytes(a[0], a[2], 4) && STREAM_AT(3),
     MemsetD32Async(a[0], (unsigned)a[1], a[2], POINTER(struct CUstream_st, 3)))

#define TWO_PLACES (has_bytes(a[0], a[2], 1) && has_bytes(a[1], a[2], 1))

CALL(copy, TWO_PLACES, MemcpyDtoD_v2(a[0], a[1], a[2]))
CALL(copy_async, TWO_PLACES &&STREAM_AT(3),
     MemcpyDtoDAsync_v2(a[0], a[1], a[2], POINTER(struct CUstream_st, 3)))

/* Calls of the backend's own. */
#define HAND(name, reaches, ...)                                    \
    static bool name(struct wh_call *call, uint64_t *a)             \
    {                                                               \
        if (!(reaches))                                             \
            return false;                                           \
        a[WH_RESULT] = (uint64_t)(int64_t)wh_cuda_do_##__VA_ARGS__; \
        return true;                                                \
    }

HAND(write_bytes, has_bytes(a[0], a[1], 1) && STREAM_AT(3),
     write(call, a[0], a[1], POINTER(void, 2), POINTER(struct CUstream_st, 3)))
HAND(read_bytes, has_bytes(a[2], a[0], 1) && STREAM_AT(3),
     read(call, a[0], POINTER(void, 1), a[2], POINTER(struct CUstream_st, 3)))
HAND(copy_shared, TWO_PLACES &&STREAM_AT(3),
     copy_shared(call, a[0], a[1], a[2], POINTER(struct CUstream_st, 3)))

static bool reaches_maps(struct wh_call *call)
{
    return soft_callee_reaches_maps() &&
           wh_cuda_ranges_seen(wh_cuda_state(call)->ranges, wh_callee_sees);
}

HAND(allocate, reaches_maps(call), cuMemAlloc_v2(call, POINTER(CUdeviceptr, 0), a[1]))
HAND(free_memory,
     reaches_maps(call) && wh_cuda_shares_none(wh_cuda_state(call), wh_callee_sees) &&
         soft_callee_reaches_allocation(a[0]),
     cuMemFree_v2(call, a[0]))

/* Without attributes, and of few threads; none while another process sees what is not for good. */
static bool launch(struct wh_call *call, uint64_t *a)
{
    const wh_cuda_grid *grid = POINTER(const wh_cuda_grid, 2);
    CUfunction handle = (CUfunction)(uintptr_t)(a[0] ? a[0] : a[1]);
    uint64_t blocks = 1, threads = 1;
    for (unsigned i = 0; grid && i < 3; i++) {
        if (grid->grid[i] > MOST_OF_EACH || grid->block[i] > MOST_OF_EACH)
            return false;
        blocks *= grid->grid[i];
        threads *= grid->block[i];
    }
    if (!grid || a[4] || !STREAM_AT(3) || !reaches_maps(call) ||
        !wh_cuda_shares_none(wh_cuda_state(call), wh_callee_sees) ||
        !soft_callee_reaches_launch(handle, blocks, threads))
        return false;
    CUresult result =
        wh_cuda_do_launch(call, (CUfunction)(uintptr_t)a[0], (CUkernel)(uintptr_t)a[1], grid,
                          (CUstream)(uintptr_t)a[3], 0, NULL, NULL, a[7], POINTER(const void, 8));
    a[WH_RESULT] = (uint64_t)(int64_t)result;
    return true;
}

#define ENTRY(call, function, may_be_posted) [WH_CUDA_##call] = {function, may_be_posted},
static const struct wh_callee_call calls[WH_CUDA_NCALLS] = {WH_CUDA_IN_VIEW(ENTRY)};

const struct wh_callee_backend wh_cuda_callee = {
    .backend = {.api = &wh_cuda_api, .functions = &functions, .reaches = reaches},
    .calls = calls,
    .begin = wh_view_enter,
    .enter = enter,
};
