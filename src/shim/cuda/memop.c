/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of stream memory operations; the single ones are generated. The forms of before CUDA 12 are
 * switched off in the driver, too.
 */
#include "shim/cuda/shim.h"

/* The driver's own limit of one batch. */
#define MOST_OPERATIONS 256u

WH_EXPORT CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned n,
                                         CUstreamBatchMemOpParams *operations, unsigned flags)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (n > MOST_OPERATIONS || (n && !operations) || flags)
        return CUDA_ERROR_INVALID_VALUE;
    return n ? wh_cuda_call_batch_memop(stream, n, operations, flags) : CUDA_SUCCESS;
}
