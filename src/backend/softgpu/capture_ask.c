/* SPDX-License-Identifier: Apache-2.0 */
/* What programs ask of captures: whether a stream records, and where; and another place for it. */
#include "backend/softgpu/capture.h"

#include <stdlib.h>

static CUstreamCaptureStatus status_of(const struct soft_stream *stream)
{
    if (!stream->capture)
        return CU_STREAM_CAPTURE_STATUS_NONE;
    return stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                    : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

/* About the NULL stream nothing is said while it may not be used; asking harms no capture. */
static CUresult ask(const struct soft_stream *stream, CUstreamCaptureStatus *status)
{
    for (const struct soft_capture *capture = soft_captures(); capture && stream->legacy;
         capture = capture->next)
        for (const struct soft_stream *s = capture->streams; s; s = s->capture_next)
            if (s->object.context == stream->object.context && !(s->flags & CU_STREAM_NON_BLOCKING))
                return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    *status = status_of(stream);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    SOFT_GRAPHS_LOCKED;
    return ask(stream, status);
}

/* The arrays are the stream's until it is used again. */
static CUresult tell_place(struct soft_stream *stream, const CUgraphNode **nodes,
                           const CUgraphEdgeData **data)
{
    size_t n = stream->place.n;
    CUgraphNode *told = realloc(stream->told_nodes, (n + 1) * sizeof(*told));
    if (!told)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stream->told_nodes = told;
    CUgraphEdgeData *edges = realloc(stream->told_data, (n + 1) * sizeof(*edges));
    if (!edges)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stream->told_data = edges;
    for (size_t i = 0; i < n; i++) {
        told[i] = (CUgraphNode)stream->place.at[i].node;
        edges[i] = stream->place.at[i].data;
    }
    if (nodes)
        *nodes = told;
    if (data)
        *data = edges;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status,
                                            cuuint64_t *id, CUgraph *graph,
                                            const CUgraphNode **nodes, const CUgraphEdgeData **data,
                                            size_t *n)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    SOFT_GRAPHS_LOCKED;
    result = ask(stream, status);
    if (result != CUDA_SUCCESS || *status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return result;
    if (id)
        *id = stream->capture->id;
    if (graph)
        *graph = (CUgraph)stream->capture->graph;
    if (n)
        *n = stream->place.n;
    return nodes || data ? tell_place(stream, nodes, data) : CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status,
                                            cuuint64_t *id, CUgraph *graph,
                                            const CUgraphNode **nodes, size_t *n)
{
    return cuStreamGetCaptureInfo_v3(stream, status, id, graph, nodes, NULL, n);
}

SOFT_API CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status,
                                         cuuint64_t *id)
{
    return cuStreamGetCaptureInfo_v3(stream, status, id, NULL, NULL, NULL, NULL);
}

SOFT_API CUresult cuStreamUpdateCaptureDependencies_v2(CUstream handle, CUgraphNode *nodes,
                                                       const CUgraphEdgeData *data, size_t n,
                                                       unsigned flags)
{
    struct soft_edges place;
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_GRAPHS_LOCKED;
    if (!stream->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        return CUDA_ERROR_INVALID_VALUE;
    if (stream->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    result = soft_capture_read(stream->capture->graph, nodes, data, n, &place);
    if (result != CUDA_SUCCESS)
        return result;
    if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        soft_capture_place(stream, &place);
    else
        result = soft_capture_add(&stream->place, &place);
    free(place.at);
    return result;
}

SOFT_API CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode *nodes, size_t n,
                                                    unsigned flags)
{
    return cuStreamUpdateCaptureDependencies_v2(stream, nodes, NULL, n, flags);
}
