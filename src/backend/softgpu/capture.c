/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams that record what they are given as nodes of a graph. CUDA C++ Programming Guide,
 * "Creating a Graph Using Stream Capture"; the errors are those of the driver API's reference.
 */
#include "backend/softgpu/capture.h"

#include <stdlib.h>
#include <string.h>

/* How many there are. */
static atomic_uint captures;

/* Guarded by the graphs' lock. */
static struct soft_capture *captures_now;
static uint64_t last_id;

static __thread CUstreamCaptureMode mode_here = CU_STREAM_CAPTURE_MODE_GLOBAL;
static __thread char this_thread; /* its address names the thread */

struct soft_capture *soft_captures(void)
{
    return captures_now;
}

/* ---- streams in a capture; the lock is held ---- */

void soft_capture_place(struct soft_stream *stream, const struct soft_edges *place)
{
    struct soft_edge *at = NULL;
    if (place->n && (at = malloc(place->n * sizeof(*at))))
        memcpy(at, place->at, place->n * sizeof(*at));
    free(stream->place.at);
    stream->place = (struct soft_edges){.at = at, .n = at ? place->n : 0};
}

static void join(struct soft_stream *stream, struct soft_capture *capture)
{
    stream->capture = soft_object_retain(capture);
    stream->capture_next = capture->streams;
    capture->streams = soft_object_retain(stream);
}

static void leave(struct soft_stream *stream)
{
    struct soft_capture *capture = stream->capture;
    struct soft_stream **link = &capture->streams;
    while (*link != stream)
        link = &(*link)->capture_next;
    *link = stream->capture_next;
    free(stream->place.at);
    stream->place = (struct soft_edges){0};
    stream->capture = NULL;
    soft_object_release(capture);
    soft_object_release(stream);
}

static void end(struct soft_capture *capture)
{
    struct soft_capture **link = &captures_now;
    while (capture->streams)
        leave(capture->streams);
    while (*link != capture)
        link = &(*link)->next;
    *link = capture->next;
    capture->over = true;
    capture->graph->capture = NULL;
    soft_object_release(capture->graph); /* an event may hold the capture for long */
    capture->graph = NULL;
    atomic_fetch_sub(&captures, 1);
    soft_object_release(capture);
}

static void destroy_capture(void *object)
{
    struct soft_capture *capture = object;
    free(capture->left.at);
    soft_object_release(capture->graph);
    soft_object_release(capture->context);
}

bool soft_capturing(void)
{
    return atomic_load_explicit(&captures, memory_order_relaxed) != 0;
}

bool soft_stream_captures(struct soft_stream *stream)
{
    if (!soft_capturing())
        return false;
    SOFT_GRAPHS_LOCKED;
    return stream->capture;
}

/* ---- what is forbidden ---- */

/* The NULL stream would wait for every blocking stream of its context. */
static CUresult forbid_legacy(const struct soft_stream *stream)
{
    CUresult result = CUDA_SUCCESS;
    for (struct soft_capture *capture = captures_now; capture && stream->legacy;
         capture = capture->next)
        for (const struct soft_stream *s = capture->streams; s; s = s->capture_next)
            if (s->object.context == stream->object.context &&
                !(s->flags & CU_STREAM_NON_BLOCKING)) {
                capture->invalid = true;
                result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
            }
    return result;
}

CUresult soft_capture_forbids(struct soft_stream *stream)
{
    if (!soft_capturing())
        return CUDA_SUCCESS;
    SOFT_GRAPHS_LOCKED;
    if (!stream->capture)
        return forbid_legacy(stream);
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult soft_capture_forbids_context(struct soft_context *context)
{
    CUresult result = CUDA_SUCCESS;
    if (!soft_capturing())
        return CUDA_SUCCESS;
    SOFT_GRAPHS_LOCKED;
    for (struct soft_capture *capture = captures_now; capture; capture = capture->next)
        if (capture->context == context) {
            capture->invalid = true;
            result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    return result;
}

/* cuThreadExchangeStreamCaptureMode says which captures a thread must respect. */
static bool must_respect(const struct soft_capture *capture)
{
    if (capture->thread == &this_thread)
        return mode_here != CU_STREAM_CAPTURE_MODE_RELAXED &&
               capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    return mode_here == CU_STREAM_CAPTURE_MODE_GLOBAL &&
           capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
}

CUresult soft_capture_unsafe(void)
{
    CUresult result = CUDA_SUCCESS;
    if (!soft_capturing())
        return CUDA_SUCCESS;
    SOFT_GRAPHS_LOCKED;
    for (struct soft_capture *capture = captures_now; capture; capture = capture->next)
        if (must_respect(capture)) {
            capture->invalid = true;
            result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    return result;
}

SOFT_API CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    CUstreamCaptureMode before = mode_here;
    mode_here = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}

/* ---- recording ---- */

CUresult soft_capture_node(struct soft_stream *stream, struct soft_body *body,
                           struct soft_node **made)
{
    struct soft_capture *capture = stream->capture;
    if (!body)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (capture->invalid) {
        soft_body_release(body);
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    struct soft_node *node = soft_node_add(capture->graph, body);
    CUresult result = node ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < stream->place.n && result == CUDA_SUCCESS; i++)
        result = soft_edge_add(stream->place.at[i].node, node, &stream->place.at[i].data);
    if (result != CUDA_SUCCESS) {
        capture->invalid = true;
        return result;
    }
    struct soft_edge edge = {.node = node};
    soft_capture_place(stream, &(struct soft_edges){.at = &edge, .n = 1});
    *made = node;
    return stream->place.n ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult soft_capture_command(struct soft_stream *stream, struct soft_command *command, bool *taken)
{
    struct soft_node *node;
    SOFT_GRAPHS_LOCKED;
    CUresult result = stream->capture ? CUDA_SUCCESS : forbid_legacy(stream);
    *taken = stream->capture || result != CUDA_SUCCESS;
    if (result == CUDA_SUCCESS && stream->capture && !command->node) {
        stream->capture->invalid = true;
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    if (result != CUDA_SUCCESS) {
        soft_command_free(command);
        return result;
    }
    if (!stream->capture)
        return CUDA_SUCCESS;
    return soft_capture_node(
        stream,
        soft_body_new((CUgraphNodeType)(command->node - 1), stream->object.context, command),
        &node);
}

static CUresult add_memory_node(struct soft_stream *stream, CUgraphNodeType type,
                                struct soft_command *command)
{
    struct soft_node *node;
    return soft_capture_node(stream, soft_body_new(type, stream->object.context, command), &node);
}

CUresult soft_capture_allocate(struct soft_stream *stream, size_t size, CUdeviceptr *address,
                               bool *taken)
{
    struct soft_command *command;
    SOFT_GRAPHS_LOCKED;
    CUresult result = stream->capture ? CUDA_SUCCESS : forbid_legacy(stream);
    *taken = stream->capture || result != CUDA_SUCCESS;
    if (result != CUDA_SUCCESS || !stream->capture)
        return result;
    result = soft_graph_allocate(stream->object.context, size, &command, address);
    return result == CUDA_SUCCESS ? add_memory_node(stream, CU_GRAPH_NODE_TYPE_MEM_ALLOC, command)
                                  : result;
}

CUresult soft_capture_free(struct soft_stream *stream, CUdeviceptr address, bool *taken)
{
    struct soft_command *command;
    SOFT_GRAPHS_LOCKED;
    CUresult result = stream->capture ? CUDA_SUCCESS : forbid_legacy(stream);
    *taken = stream->capture || result != CUDA_SUCCESS;
    if (result != CUDA_SUCCESS || !stream->capture)
        return result;
    result = soft_graph_free(address, &command);
    return result == CUDA_SUCCESS ? add_memory_node(stream, CU_GRAPH_NODE_TYPE_MEM_FREE, command)
                                  : result;
}

/* ---- events ---- */

void soft_captured_point_clear(struct soft_captured_point *point)
{
    soft_object_release(point->capture);
    free(point->at.at);
    *point = (struct soft_captured_point){0};
}

CUresult soft_capture_record(struct soft_stream *stream, struct soft_event *event, bool *taken)
{
    SOFT_GRAPHS_LOCKED;
    struct soft_captured_point *point = soft_event_point(event);
    CUresult result = stream->capture ? CUDA_SUCCESS : forbid_legacy(stream);
    *taken = stream->capture || result != CUDA_SUCCESS;
    if (result != CUDA_SUCCESS)
        return result;
    if (stream->capture && stream->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    soft_captured_point_clear(point);
    if (!stream->capture)
        return CUDA_SUCCESS;
    point->capture = soft_object_retain(stream->capture);
    if (!stream->place.n)
        return CUDA_SUCCESS;
    point->at.at = malloc(stream->place.n * sizeof(*point->at.at));
    if (!point->at.at)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(point->at.at, stream->place.at, stream->place.n * sizeof(*point->at.at));
    point->at.n = stream->place.n;
    return CUDA_SUCCESS;
}

CUresult soft_capture_add(struct soft_edges *edges, const struct soft_edges *more)
{
    for (size_t i = 0; i < more->n; i++) {
        bool there = false;
        for (size_t k = 0; k < edges->n && !there; k++)
            there = edges->at[k].node == more->at[i].node;
        if (there)
            continue;
        struct soft_edge *at = realloc(edges->at, (edges->n + 1) * sizeof(*at));
        if (!at)
            return CUDA_ERROR_OUT_OF_MEMORY;
        edges->at = at;
        edges->at[edges->n++] = more->at[i];
    }
    return CUDA_SUCCESS;
}

/* The stream is in no capture: by waiting for an event of one it becomes a part of that. */
static CUresult wait_from_outside(struct soft_stream *stream, struct soft_captured_point *point)
{
    if (point->capture->over)
        return CUDA_ERROR_CAPTURED_EVENT;
    if (point->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream->legacy) {
        point->capture->invalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    join(stream, point->capture);
    soft_capture_place(stream, &point->at);
    return CUDA_SUCCESS;
}

CUresult soft_capture_wait(struct soft_stream *stream, struct soft_event *event, bool *taken)
{
    SOFT_GRAPHS_LOCKED;
    struct soft_captured_point *point = soft_event_point(event);
    struct soft_capture *capture = stream->capture;
    *taken = true;
    if (!capture && point->capture)
        return wait_from_outside(stream, point);
    if (!capture) {
        CUresult result = forbid_legacy(stream);
        *taken = result != CUDA_SUCCESS;
        return result;
    }
    if (capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (point->capture == capture)
        return soft_capture_add(&stream->place, &point->at);
    capture->invalid = true;
    if (!point->capture)
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    point->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
}

CUresult soft_capture_event_forbids(struct soft_event *event)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_captured_point *point = soft_event_point(event);
    if (!point->capture)
        return CUDA_SUCCESS;
    point->capture->invalid = true;
    return CUDA_ERROR_CAPTURED_EVENT;
}

/* ---- beginning ---- */

/* The lock is held. `graph`: the program's, or NULL for one of the capture's own. */
static CUresult begin(struct soft_stream *stream, struct soft_graph *graph,
                      const struct soft_edges *place, CUstreamCaptureMode mode)
{
    if (stream->legacy)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    if (stream->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    struct soft_capture *capture =
        soft_object_new(SOFT_CAPTURE, sizeof(*capture), NULL, destroy_capture);
    if (!capture)
        return CUDA_ERROR_OUT_OF_MEMORY;
    capture->own = !graph;
    capture->graph = graph ? soft_object_retain(graph) : soft_graph_new();
    if (!capture->graph) {
        soft_object_release(capture);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (capture->own)
        soft_object_list(soft_object_retain(capture->graph));
    capture->graph->capture = capture;
    capture->context = soft_object_retain(stream->object.context);
    capture->origin = stream;
    capture->mode = mode;
    capture->thread = &this_thread;
    capture->id = ++last_id;
    capture->next = captures_now;
    captures_now = capture;
    atomic_fetch_add(&captures, 1);
    join(stream, capture);
    soft_capture_place(stream, place);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_GRAPHS_LOCKED;
    return begin(stream, NULL, &(struct soft_edges){0}, mode);
}

SOFT_API CUresult cuStreamBeginCapture(CUstream stream)
{
    return cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

/* Edges from nodes of this graph; free(). */
CUresult soft_capture_read(const struct soft_graph *graph, const CUgraphNode *nodes,
                           const CUgraphEdgeData *data, size_t n, struct soft_edges *place)
{
    *place = (struct soft_edges){.at = calloc(n + 1, sizeof(*place->at)), .n = n};
    if (!place->at)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        struct soft_node *node = nodes ? soft_node_get(nodes[i]) : NULL;
        if (!node || node->graph != graph) {
            free(place->at);
            return CUDA_ERROR_INVALID_VALUE;
        }
        place->at[i].node = node;
        if (data)
            place->at[i].data = data[i];
    }
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamBeginCaptureToGraph(CUstream handle, CUgraph graph_handle,
                                              const CUgraphNode *nodes, const CUgraphEdgeData *data,
                                              size_t n, CUstreamCaptureMode mode)
{
    struct soft_edges place;
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_GRAPHS_LOCKED;
    struct soft_graph *graph = soft_graph_get(graph_handle);
    if (!graph || graph->capture)
        return CUDA_ERROR_INVALID_VALUE;
    result = soft_capture_read(graph, nodes, data, n, &place);
    if (result != CUDA_SUCCESS)
        return result;
    result = begin(stream, graph, &place, mode);
    free(place.at);
    return result;
}

/* ---- ending ---- */

/* Whether all these nodes come before where the origin is. */
static bool are_joined(const struct soft_capture *capture, const struct soft_edges *nodes)
{
    const struct soft_edges *origin = &capture->origin->place;
    for (size_t i = 0; i < nodes->n; i++) {
        bool before = false;
        for (size_t k = 0; k < origin->n && !before; k++)
            before = soft_node_precedes(nodes->at[i].node, origin->at[k].node);
        if (!before)
            return false;
    }
    return true;
}

static bool is_joined(const struct soft_capture *capture)
{
    for (const struct soft_stream *s = capture->streams; s; s = s->capture_next)
        if (s != capture->origin && !are_joined(capture, &s->place))
            return false;
    return are_joined(capture, &capture->left);
}

static CUresult end_capture(struct soft_stream *stream, CUgraph *handle)
{
    struct soft_capture *capture = stream->capture;
    CUresult result = CUDA_SUCCESS;
    if (!capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (stream != capture->origin) {
        capture->invalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    }
    if (capture->invalid)
        result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    else if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != &this_thread)
        result = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD; /* which ends it all the same */
    else if (!is_joined(capture))
        result = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    SOFT_HOLD struct soft_graph *graph = soft_object_retain(capture->graph);
    bool own = capture->own;
    end(capture);
    if (result != CUDA_SUCCESS && own)
        soft_object_unlist(graph);
    if (handle)
        *handle = result == CUDA_SUCCESS ? (CUgraph)graph : NULL;
    return result;
}

SOFT_API CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_GRAPHS_LOCKED;
    if (!graph && stream->capture && stream->capture->own)
        return CUDA_ERROR_INVALID_VALUE;
    return end_capture(stream, graph);
}

/* Without a result. */
static void give_up(struct soft_capture *capture)
{
    SOFT_HOLD struct soft_graph *graph = soft_object_retain(capture->graph);
    bool own = capture->own;
    end(capture);
    if (own)
        soft_object_unlist(graph);
}

/* A capture does not outlive the stream that it began in. */
void soft_capture_drop(struct soft_stream *stream)
{
    if (!soft_capturing())
        return;
    SOFT_GRAPHS_LOCKED;
    struct soft_capture *capture = stream->capture;
    if (!capture)
        return;
    if (capture->origin == stream) {
        give_up(capture);
        return;
    }
    if (soft_capture_add(&capture->left, &stream->place) != CUDA_SUCCESS)
        capture->invalid = true;
    leave(stream);
}

void soft_capture_end_all(struct soft_context *context)
{
    if (!soft_capturing())
        return;
    SOFT_GRAPHS_LOCKED;
    for (struct soft_capture *capture = captures_now, *next; capture; capture = next) {
        next = capture->next;
        if (capture->context == context)
            give_up(capture);
    }
}
