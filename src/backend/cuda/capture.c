/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream capture. The driver is always told the mode that asks for nothing of threads: which thread
 * of ours carries out a call says nothing about the program's. The client keeps the rules of the
 * modes for its own threads.
 */
#include "backend/cuda/graph.h"
#include "backend/cuda/relay.h"

#include <string.h>

#define MOST_PLACE 65536u

/* ---- which graph ---- */

/* What the driver says of a stream; newer drivers have dropped the older forms. */
static CUresult ask(struct wh_call *call, CUstream stream, CUstreamCaptureStatus *status,
                    cuuint64_t *id, CUgraph *graph, const CUgraphNode **nodes,
                    const CUgraphEdgeData **edges, size_t *n)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    *status = CU_STREAM_CAPTURE_STATUS_NONE;
    CUresult result = f->cuStreamGetCaptureInfo_v3(stream, status, id, graph, nodes, edges, n);
    if (result == CUDA_ERROR_NOT_SUPPORTED) {
        *edges = NULL;
        result = f->cuStreamGetCaptureInfo_v2(stream, status, id, graph, nodes, n);
    }
    return result;
}

struct wh_cuda_item *wh_cuda_capture_graph(struct wh_call *call, CUstream stream)
{
    CUstreamCaptureStatus status;
    const CUgraphNode *nodes;
    const CUgraphEdgeData *edges;
    cuuint64_t id;
    CUgraph graph = NULL;
    size_t n;
    if (!wh_cuda_state(call)->captures ||
        ask(call, stream, &status, &id, &graph, &nodes, &edges, &n) != CUDA_SUCCESS ||
        status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return NULL;
    return wh_cuda_item_known(call, WH_CUDA_GRAPH, graph);
}

bool wh_cuda_stream_captures(struct wh_call *call, CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    return wh_cuda_state(call)->captures &&
           (wh_cuda_driver(call)->cuStreamIsCapturing(stream, &status) != CUDA_SUCCESS ||
            status != CU_STREAM_CAPTURE_STATUS_NONE);
}

/* ---- begin, end ---- */

static CUresult begin_in_graph(struct wh_call *call, CUstream stream, uint64_t number, unsigned n,
                               const uint64_t *numbers, const CUgraphEdgeData *edges)
{
    const struct wh_cuda_item *graph = wh_cuda_item_find(call, number, WH_CUDA_GRAPH);
    CUgraphNode *nodes = graph ? wh_cuda_nodes(call, n, numbers, graph) : NULL;
    if (!nodes)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuStreamBeginCaptureToGraph(
        stream, graph->real, nodes, edges, n, CU_STREAM_CAPTURE_MODE_RELAXED);
    wh_cuda_state(call)->captures += result == CUDA_SUCCESS;
    return result;
}

/* The graph is entered as soon as it is there: nodes of it may be asked for during the capture. */
CUresult wh_cuda_do_capture_begin(struct wh_call *call, CUstream stream, uint64_t graph, unsigned n,
                                  const uint64_t *nodes, const CUgraphEdgeData *edges)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUstreamCaptureStatus status;
    const CUgraphNode *place;
    const CUgraphEdgeData *data;
    cuuint64_t id;
    CUgraph made = NULL;
    size_t nplace;
    if (graph)
        return begin_in_graph(call, stream, graph, n, nodes, edges);
    CUresult result = f->cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
    if (result != CUDA_SUCCESS)
        return result;
    result = ask(call, stream, &status, &id, &made, &place, &data, &nplace);
    struct wh_cuda_item *item =
        result == CUDA_SUCCESS ? wh_cuda_item_of(call, WH_CUDA_GRAPH, made, NULL) : NULL;
    if (!item) {
        f->cuStreamEndCapture(stream, &made);
        return result != CUDA_SUCCESS ? result : CUDA_ERROR_OUT_OF_MEMORY;
    }
    item->capturing = true;
    item->origin = stream;
    wh_cuda_state(call)->captures++;
    return CUDA_SUCCESS;
}

/* Errors of posted calls that were to become nodes are this call's: the capture is invalid. */
static void forget_deferred(struct wh_call *call)
{
    int32_t deferred = atomic_load(&call->worker->deferred);
    if (deferred >= CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED &&
        deferred <= CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD)
        atomic_compare_exchange_strong(&call->worker->deferred, &deferred, CUDA_SUCCESS);
}

CUresult wh_cuda_do_capture_end(struct wh_call *call, CUstream stream, uint64_t *graph)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    CUgraph made = NULL;
    struct wh_cuda_item *item = wh_cuda_item_of_capture(state->graphs, stream);
    CUresult result = state->f.cuStreamEndCapture(stream, &made);
    forget_deferred(call);
    /* One is over for certain with these only; to count one too many costs a question at most. */
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_STREAM_CAPTURE_INVALIDATED &&
        result != CUDA_ERROR_STREAM_CAPTURE_UNJOINED)
        return result;
    state->captures -= state->captures > 0;
    if (result != CUDA_SUCCESS) {
        if (item)
            wh_cuda_item_drop(call, item);
        return result;
    }
    if (item)
        item->capturing = false;
    struct wh_cuda_item *now = wh_cuda_item_known(call, WH_CUDA_GRAPH, made);
    if (!now)
        now = wh_cuda_item_of(call, WH_CUDA_GRAPH, made, NULL);
    if (!now)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (graph)
        *graph = now->number;
    return CUDA_SUCCESS;
}

/* The client has found that a thread did what the capture's mode forbids: to ask a capturing stream
 * for its state is what invalidates it. */
CUresult wh_cuda_do_capture_break(struct wh_call *call, CUstream stream)
{
    (void)wh_cuda_driver(call)->cuStreamQuery(stream);
    return CUDA_SUCCESS;
}

/* ---- questions ---- */

CUresult wh_cuda_do_capture_info(struct wh_call *call, CUstream stream, unsigned room,
                                 CUstreamCaptureStatus *status, uint64_t *id, uint64_t *graph,
                                 unsigned *n, uint64_t *nodes, CUgraphEdgeData *edges)
{
    CUstreamCaptureStatus now;
    const CUgraphNode *place = NULL;
    const CUgraphEdgeData *data = NULL;
    cuuint64_t own_id = 0;
    CUgraph real = NULL;
    size_t count = 0;
    CUresult result = ask(call, stream, &now, &own_id, &real, &place, &data, &count);
    if (result != CUDA_SUCCESS)
        return result;
    if (status)
        *status = now;
    if (now != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return CUDA_SUCCESS;
    struct wh_cuda_item *item = wh_cuda_item_known(call, WH_CUDA_GRAPH, real);
    if (!item || count > MOST_PLACE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (id)
        *id = own_id;
    if (graph)
        *graph = item->number;
    if (n)
        *n = (unsigned)count;
    for (size_t i = 0; i < count && i < room; i++) {
        const struct wh_cuda_item *node = wh_cuda_node_item(call, place[i], item);
        if (nodes && node)
            nodes[i] = node->number;
        if (edges && data)
            edges[i] = data[i];
    }
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_capture_update(struct wh_call *call, CUstream stream, unsigned n,
                                   const uint64_t *numbers, const CUgraphEdgeData *edges,
                                   unsigned flags)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUgraphNode *nodes = wh_cuda_nodes(call, n, numbers, NULL);
    if (!nodes)
        return CUDA_ERROR_INVALID_VALUE;
    return edges ? f->cuStreamUpdateCaptureDependencies_v2(stream, nodes, edges, n, flags)
                 : f->cuStreamUpdateCaptureDependencies(stream, nodes, n, flags);
}

/* ---- copies of the program's own memory ---- */

static CUresult add_staging(struct wh_call *call, CUstream stream, uint64_t token, CUgraph graph,
                            bool fills)
{
    struct wh_cuda_relay *relay = wh_cuda_relay_keep(call, token, graph);
    if (!relay)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (fills)
        wh_cuda_relay_set_fills(relay);
    CUresult result =
        wh_cuda_driver(call)->cuLaunchHostFunc(stream, wh_cuda_relay_function(true), relay);
    if (result != CUDA_SUCCESS)
        wh_cuda_relay_let_go(call, relay, graph, true);
    return result;
}

/* The bytes go through a piece of the arena that is the graph's, filled (or emptied) by the client
 * when a launch comes to it. */
CUresult wh_cuda_do_capture_copy(struct wh_call *call, const wh_cuda_box *box, CUarray to,
                                 CUarray from, size_t size, void *bytes, uint64_t token,
                                 CUstream stream)
{
    const struct wh_cuda_item *graph = wh_cuda_capture_graph(call, stream);
    bool fill = box && box->from.kind == WH_CUDA_PLACE_STAGED;
    CUresult result = CUDA_SUCCESS;
    if (!graph)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (fill)
        result = add_staging(call, stream, token, graph->real, true);
    if (result == CUDA_SUCCESS)
        result = wh_cuda_copy_staged(call, box, to, from, bytes, size, stream);
    if (result == CUDA_SUCCESS && !fill)
        result = add_staging(call, stream, token, graph->real, false);
    return result;
}
