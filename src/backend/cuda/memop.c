/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of stream memory operations: each address must be the session's. Also stream attributes. */
#include "backend/cuda/backend.h"

#include <string.h>

static bool owns(struct wh_call *call, CUdeviceptr address, size_t size)
{
    struct wh_cuda_range range;
    return wh_cuda_ranges_find(wh_cuda_state(call)->ranges, address, size, &range);
}

/* An operation by its own kind only: a kind that is new here could hold an address anywhere. */
bool wh_cuda_memop_is_good(struct wh_call *call, const CUstreamBatchMemOpParams *o)
{
    switch (o->operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
        return owns(call, o->waitValue.address, 4);
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        return owns(call, o->waitValue.address, 8);
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
        return owns(call, o->writeValue.address, 4);
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        return owns(call, o->writeValue.address, 8);
    case CU_STREAM_MEM_OP_BARRIER:
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
        return true;
    default:
        return false;
    }
}

CUresult wh_cuda_do_batch_memop(struct wh_call *call, CUstream stream, unsigned n,
                                const CUstreamBatchMemOpParams *operations, unsigned flags)
{
    if (!operations)
        return CUDA_ERROR_INVALID_VALUE;
    CUstreamBatchMemOpParams *own = wh_call_memory(call, n * sizeof(*own));
    if (!own)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(own, operations, n * sizeof(*own));
    for (unsigned i = 0; i < n; i++)
        if (!wh_cuda_memop_is_good(call, &own[i]))
            return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuStreamBatchMemOp_v2(stream, n, own, flags);
}

/* ---- attributes of streams ---- */

static bool is_stream_attribute(CUstreamAttrID attribute)
{
    return attribute == CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW ||
           attribute == CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY ||
           attribute == CU_STREAM_ATTRIBUTE_PRIORITY ||
           attribute == CU_STREAM_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP ||
           attribute == CU_STREAM_ATTRIBUTE_MEM_SYNC_DOMAIN;
}

CUresult wh_cuda_do_cuStreamGetAttribute(struct wh_call *call, CUstream stream,
                                         CUstreamAttrID attribute, CUstreamAttrValue *value)
{
    if (!value || !is_stream_attribute(attribute))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuStreamGetAttribute(stream, attribute, value);
}

CUresult wh_cuda_do_cuStreamSetAttribute(struct wh_call *call, CUstream stream,
                                         CUstreamAttrID attribute, const CUstreamAttrValue *value)
{
    if (!value || !is_stream_attribute(attribute))
        return CUDA_ERROR_INVALID_VALUE;
    const CUaccessPolicyWindow *window = &value->accessPolicyWindow;
    if (attribute == CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW && window->num_bytes &&
        !owns(call, (CUdeviceptr)(uintptr_t)window->base_ptr, window->num_bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuStreamSetAttribute(stream, attribute, value);
}
