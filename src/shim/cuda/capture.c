/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream capture as far as a library asks about it: nothing is ever being captured, and how
 * strictly a thread wants captures to be kept apart is the thread's own.
 */
#include "shim/cuda/shim.h"

static _Thread_local CUstreamCaptureMode mode_here = CU_STREAM_CAPTURE_MODE_GLOBAL;

WH_EXPORT CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!mode || *mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    CUstreamCaptureMode before = mode_here;
    mode_here = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}

/* Of a stream that captures nothing, only that is said. */

WH_EXPORT CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status,
                                          cuuint64_t *id)
{
    (void)id;
    return cuStreamIsCapturing(stream, status);
}

WH_EXPORT CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status,
                                             cuuint64_t *id, CUgraph *graph,
                                             const CUgraphNode **dependencies, size_t *n)
{
    (void)id;
    (void)graph;
    (void)dependencies;
    (void)n;
    return cuStreamIsCapturing(stream, status);
}

WH_EXPORT CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus *status,
                                             cuuint64_t *id, CUgraph *graph,
                                             const CUgraphNode **dependencies,
                                             const CUgraphEdgeData **edges, size_t *n)
{
    (void)id;
    (void)graph;
    (void)dependencies;
    (void)edges;
    (void)n;
    return cuStreamIsCapturing(stream, status);
}
