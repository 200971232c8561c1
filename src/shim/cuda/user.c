/* SPDX-License-Identifier: Apache-2.0 */
/* User objects: the driver counts references of graphs to them; their destructors run here. */
#include "shim/cuda/callback.h"
#include "shim/cuda/graph.h"

WH_EXPORT CUresult cuUserObjectCreate(CUuserObject *object, void *user, CUhostFn destructor,
                                      unsigned int count, unsigned int flags)
{
    const struct wh_cuda_notice notice = {.destructor = destructor, .user = user};
    uint64_t number = 0;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!object || !destructor)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t token = wh_cuda_notice_add(&notice);
    if (!token)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = wh_cuda_call_user_create(token, count, flags, &number);
    if (result == CUDA_SUCCESS)
        *object = (CUuserObject)(uintptr_t)number;
    else
        wh_cuda_notice_drop(token);
    return result;
}

WH_EXPORT CUresult cuUserObjectRetain(CUuserObject object, unsigned int count)
{
    return wh_cuda_call_user_count(wh_cuda_number(object), count, true);
}

WH_EXPORT CUresult cuUserObjectRelease(CUuserObject object, unsigned int count)
{
    return wh_cuda_call_user_count(wh_cuda_number(object), count, false);
}

WH_EXPORT CUresult cuGraphRetainUserObject(CUgraph graph, CUuserObject object, unsigned int count,
                                           unsigned int flags)
{
    return wh_cuda_call_user_graph(wh_cuda_number(graph), wh_cuda_number(object), count, true,
                                   flags);
}

WH_EXPORT CUresult cuGraphReleaseUserObject(CUgraph graph, CUuserObject object, unsigned int count)
{
    return wh_cuda_call_user_graph(wh_cuda_number(graph), wh_cuda_number(object), count, false, 0);
}
