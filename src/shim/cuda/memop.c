/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of stream memory operations, and single ones. The forms of before CUDA 12 are
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

/* ---- single operations ---- */

/* Posted, unless the driver will refuse it: then the program is to hear of it here. */
static CUresult operate(uint16_t number, CUstream stream, CUdeviceptr address, uint64_t value,
                        unsigned flags, size_t size)
{
    const unsigned known = CU_STREAM_WAIT_VALUE_NOR; /* the largest of the two bits that compare */
    uint64_t a[] = {(uintptr_t)stream, address, value, flags};
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    bool good = address % size == 0 && flags <= known && wh_cuda_is_device(address, size);
    return good ? wh_cuda_post(number, a) : wh_cuda_call_now(number, a);
}

WH_EXPORT CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                           unsigned int flags)
{
    return operate(WH_CUDA_cuStreamWriteValue32_v2, stream, address, value, flags, sizeof(value));
}

WH_EXPORT CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                           unsigned int flags)
{
    return operate(WH_CUDA_cuStreamWriteValue64_v2, stream, address, value, flags, sizeof(value));
}

WH_EXPORT CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                          unsigned int flags)
{
    return operate(WH_CUDA_cuStreamWaitValue32_v2, stream, address, value, flags, sizeof(value));
}

WH_EXPORT CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                          unsigned int flags)
{
    return operate(WH_CUDA_cuStreamWaitValue64_v2, stream, address, value, flags, sizeof(value));
}
