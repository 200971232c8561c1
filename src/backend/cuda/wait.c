/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short waits. A call that waits for the device leaves the lead to another thread, which costs more
 * than the wait when that is short: so first the device is asked, as long as nobody else's message
 * comes in. Asking never blocks.
 */
#include "backend/cuda/backend.h"

#include "base/util.h"

#define LONGEST_NS 60000

/* Asks until the answer is another than 'not ready'. */
static bool poll_device(struct wh_call *call, CUresult (*query)(void *), void *handle)
{
    struct wh_channel *channel = call->worker->channel;
    uint64_t start = 0;
    if (!call->leads || !*call->leads)
        return false;
    while (query(handle) == CUDA_ERROR_NOT_READY) {
        uint64_t now = wh_now_ns();
        start = start ? start : now;
        if (now - start > LONGEST_NS || channel->ops->pending(channel))
            return false;
    }
    return true;
}

bool wh_cuda_stream_is_idle_soon(struct wh_call *call, CUstream stream)
{
    CUresult (*query)(CUstream) = wh_cuda_driver(call)->cuStreamQuery;
    return poll_device(call, (CUresult(*)(void *))query, stream);
}

bool wh_cuda_event_is_done_soon(struct wh_call *call, CUevent event)
{
    CUresult (*query)(CUevent) = wh_cuda_driver(call)->cuEventQuery;
    return poll_device(call, (CUresult(*)(void *))query, event);
}

bool wh_cuda_brief(struct wh_call *call)
{
    if (wh_cuda_state(call)->captures)
        return false; /* to ask would end a capture */
    switch (call->desc->number) {
    case WH_CUDA_cuStreamSynchronize:
        return wh_cuda_stream_is_idle_soon(call, (CUstream)(uintptr_t)call->a[0]);
    case WH_CUDA_wh_read:
        return wh_cuda_stream_is_idle_soon(call, (CUstream)(uintptr_t)call->a[3]);
    case WH_CUDA_cuEventSynchronize:
        return wh_cuda_event_is_done_soon(call, (CUevent)(uintptr_t)call->a[0]);
    case WH_CUDA_wh_stage_wait:
        return wh_cuda_stage_is_free_soon(call, (unsigned)call->a[0]);
    case WH_CUDA_cuCtxSynchronize: /* other streams than the usual one may be at work */
        return wh_table_count(call->worker->table, WH_CUDA_TYPE_CUstream) == 0 &&
               wh_cuda_stream_is_idle_soon(call, NULL);
    default:
        return false;
    }
}
