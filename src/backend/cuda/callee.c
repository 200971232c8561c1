/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that may run in a session's view (worker/callee.c): questions to the software device,
 * and waits for what is done already. For the callee only, which has no memory of its own; each
 * call looks whether it can reach what it will touch before it touches anything.
 */
#include "backend/softgpu/callee.h"
#include "backend/cuda/backend.h"
#include "backend/cuda/in_view.h"
#include "worker/gate.h"
#include "worker/table.h"

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
    const struct wh_gate *gate = wh_callee_gate();
    const struct wh_cuda_contexts *contexts = gate->backend[0];
    struct soft_callee *soft = soft_callee();
    soft->driver = (struct soft_driver *)(uintptr_t)gate->backend[1];
    soft->buckets = (struct soft_object **)(uintptr_t)gate->backend[2];
    soft->current = NULL;
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
    return soft_callee_reaches_context();
}

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

#define STREAM soft_callee_reaches_stream(POINTER(struct CUstream_st, 0))
#define EVENT  soft_callee_reaches_event(POINTER(struct CUevent_st, 0))

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

#define ENTRY(call, function, may_be_posted) [WH_CUDA_##call] = {function, may_be_posted},
static const struct wh_callee_call calls[WH_CUDA_NCALLS] = {WH_CUDA_IN_VIEW(ENTRY)};

const struct wh_callee_backend wh_cuda_callee = {
    .backend = {.api = &wh_cuda_api}, .calls = calls, .enter = enter};
