/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream capture. The driver does it; what belongs to the program's threads is kept here: which of
 * them began a capture, and what its mode forbids to whom. Without captures, nobody is asked.
 */
#include "shim/cuda/graph.h"

#include <stdlib.h>

#define MOST_STREAMS 64u /* of one capture that are known; calls to others wait for an answer */

struct capture {
    struct capture *next;
    const struct wh_object *origin;
    const struct wh_cuda_thread *thread;
    CUstreamCaptureMode mode;
    bool given;                                    /* the program has given the graph */
    const struct wh_object *streams[MOST_STREAMS]; /* that take part */
    unsigned n;
};

static struct {
    pthread_mutex_t lock;
    const struct wh_session *session; /* what the rest is about */
    struct capture *first;
} captures = {.lock = PTHREAD_MUTEX_INITIALIZER};

_Atomic unsigned wh_cuda_captures;

static _Thread_local CUstreamCaptureMode mode_here = CU_STREAM_CAPTURE_MODE_GLOBAL;

/* ---- threads ---- */

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

/* CUDA driver API, cuThreadExchangeStreamCaptureMode. */
static bool must_respect(const struct capture *capture)
{
    if (capture->thread == wh_cuda_thread())
        return mode_here != CU_STREAM_CAPTURE_MODE_RELAXED &&
               capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    return mode_here == CU_STREAM_CAPTURE_MODE_GLOBAL &&
           capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
}

/* Calls that may wait for the device behind the program's back. */
static bool is_unsafe(uint16_t number)
{
    switch (number) {
    case WH_CUDA_cuMemAlloc_v2:
    case WH_CUDA_cuMemAllocPitch_v2:
    case WH_CUDA_cuMemFree_v2:
    case WH_CUDA_wh_host_register:
    case WH_CUDA_wh_host_alias:
    case WH_CUDA_wh_host_unregister:
        return true;
    default:
        return false;
    }
}

/* The captures that this thread may not disturb are invalid now. */
static CUresult break_respected(void)
{
    CUstream broken[MOST_STREAMS];
    unsigned n = 0;
    pthread_mutex_lock(&captures.lock);
    for (const struct capture *c = captures.first; c && n < MOST_STREAMS; c = c->next)
        if (must_respect(c))
            broken[n++] = (CUstream)(uintptr_t)c->origin;
    pthread_mutex_unlock(&captures.lock);
    for (unsigned i = 0; i < n; i++)
        wh_cuda_call_capture_break(broken[i]);
    return n ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CUresult wh_cuda_capture_check(uint16_t number)
{
    return is_unsafe(number) ? break_respected() : CUDA_SUCCESS;
}

CUresult wh_cuda_capture_judge(uint16_t number, CUresult result)
{
    if (number != WH_CUDA_cuEventQuery ||
        (result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY))
        return result;
    CUresult broken = break_respected();
    return broken != CUDA_SUCCESS ? broken : result;
}

/* ---- streams ---- */

/* The object of a stream's handle; NULL: the context's own. The thread's own stream may have to be
 * made for that: no lock is held. */
static const struct wh_object *object_of(uint64_t handle)
{
    struct wh_session *session = wh_cuda_session();
    if (handle < 4096 && session)
        handle = wh_cuda_shim.special(session, WH_CUDA_TYPE_CUstream, handle);
    return (const struct wh_object *)(uintptr_t)handle;
}

/* The lock is held. */
static struct capture **find(const struct wh_object *stream)
{
    struct capture **link = &captures.first;
    for (; *link; link = &(*link)->next)
        for (unsigned i = 0; i < (*link)->n; i++)
            if ((*link)->streams[i] == stream)
                return link;
    return NULL;
}

static bool takes_part(uint64_t handle)
{
    const struct wh_object *stream = object_of(handle);
    pthread_mutex_lock(&captures.lock);
    bool found = find(stream) != NULL;
    pthread_mutex_unlock(&captures.lock);
    return found;
}

bool wh_cuda_capture_may_post(const struct wh_call_desc *call, const uint64_t *a)
{
    if (call->number == WH_CUDA_cuStreamWaitEvent)
        return false;
    for (unsigned i = 0; i < call->nparams; i++)
        if (call->params[i].kind == WH_HANDLE && call->params[i].type == WH_CUDA_TYPE_CUstream &&
            !takes_part(a[i]))
            return false;
    return true;
}

/* A child of fork has a session of its own, in which nothing is captured. */
static void forget_all(const struct wh_session *session)
{
    struct capture *capture = captures.first;
    captures.first = NULL;
    captures.session = session;
    atomic_store(&wh_cuda_captures, 0);
    while (capture) {
        struct capture *next = capture->next;
        free(capture);
        capture = next;
    }
}

static void take_out(struct capture **link)
{
    struct capture *capture = *link;
    *link = capture->next;
    atomic_fetch_sub(&wh_cuda_captures, 1);
    free(capture);
}

void wh_cuda_capture_forget(CUstream stream)
{
    pthread_mutex_lock(&captures.lock);
    struct capture **link = find((const struct wh_object *)stream);
    if (link && (*link)->origin == (const struct wh_object *)stream) {
        take_out(link);
    } else if (link) {
        struct capture *c = *link;
        for (unsigned i = 0; i < c->n; i++)
            if (c->streams[i] == (const struct wh_object *)stream)
                c->streams[i] = c->streams[--c->n];
    }
    pthread_mutex_unlock(&captures.lock);
}

bool wh_cuda_stream_captures(CUstream stream)
{
    CUstreamCaptureStatus state = CU_STREAM_CAPTURE_STATUS_NONE;
    uint64_t id;
    return wh_cuda_call_capture_info(stream, 0, &state, &id, NULL, NULL, NULL, NULL) ==
               CUDA_SUCCESS &&
           state != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* Of several captures it is not known here which one: then calls to the stream go on to wait. */
void wh_cuda_capture_joined(CUstream stream)
{
    const struct wh_object *object = object_of((uintptr_t)stream);
    bool captures_now = object && wh_cuda_stream_captures(stream);
    pthread_mutex_lock(&captures.lock);
    struct capture *only = captures.first;
    if (captures_now && only && !only->next && only->n < MOST_STREAMS && !find(object))
        only->streams[only->n++] = object;
    pthread_mutex_unlock(&captures.lock);
}

/* ---- begin, end ---- */

static CUresult begin(CUstream stream, uint64_t graph, const uint64_t *nodes,
                      const CUgraphEdgeData *edges, size_t n, CUstreamCaptureMode mode)
{
    CUresult result = wh_cuda_check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (mode > CU_STREAM_CAPTURE_MODE_RELAXED || n > WH_CUDA_MOST_NODES)
        return CUDA_ERROR_INVALID_VALUE;
    struct capture *capture = calloc(1, sizeof(*capture));
    if (!capture)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = wh_cuda_call_capture_begin(stream, graph, (unsigned)n, nodes, edges);
    if (result != CUDA_SUCCESS) {
        free(capture);
        return result;
    }
    capture->origin = object_of((uintptr_t)stream);
    capture->streams[capture->n++] = capture->origin;
    capture->thread = wh_cuda_thread();
    capture->mode = mode;
    capture->given = graph != 0;
    pthread_mutex_lock(&captures.lock);
    if (captures.session != wh_cuda_session())
        forget_all(wh_cuda_session());
    capture->next = captures.first;
    captures.first = capture;
    atomic_fetch_add(&wh_cuda_captures, 1);
    pthread_mutex_unlock(&captures.lock);
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
    return begin(stream, 0, NULL, NULL, 0, mode);
}

WH_EXPORT CUresult cuStreamBeginCapture(CUstream stream)
{
    return begin(stream, 0, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

WH_EXPORT CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph,
                                               const CUgraphNode *nodes,
                                               const CUgraphEdgeData *edges, size_t n,
                                               CUstreamCaptureMode mode)
{
    if (!graph || (n && !nodes))
        return CUDA_ERROR_INVALID_VALUE;
    return begin(stream, wh_cuda_number(graph), (const uint64_t *)nodes, edges, n, mode);
}

/* What must be known of a capture that ends. */
struct ending {
    bool own_thread; /* it began here, or its mode says that threads do not matter */
    bool given;      /* the graph is one that the program had: it need not be told */
};

static CUresult check_end(const struct wh_object *stream, bool wants_graph, struct ending *ending)
{
    CUresult result = wants_graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&captures.lock);
    struct capture **link = find(stream);
    const struct capture *capture = link && (*link)->origin == stream ? *link : NULL;
    ending->given = capture && capture->given;
    if (ending->given)
        result = CUDA_SUCCESS;
    ending->own_thread = !capture || capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED ||
                         capture->thread == wh_cuda_thread();
    pthread_mutex_unlock(&captures.lock);
    return result;
}

WH_EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    uint64_t number = 0;
    struct ending ending;
    CUresult result = wh_cuda_check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_object *object = object_of((uintptr_t)stream);
    result = check_end(object, graph != NULL, &ending);
    if (result != CUDA_SUCCESS)
        return result;
    result = wh_cuda_call_capture_end(stream, &number);
    if (result == CUDA_ERROR_ILLEGAL_STATE || result == CUDA_ERROR_STREAM_CAPTURE_UNMATCHED)
        return result;
    pthread_mutex_lock(&captures.lock);
    struct capture **link = find(object);
    if (link && (*link)->origin == object)
        take_out(link);
    pthread_mutex_unlock(&captures.lock);
    if (result == CUDA_SUCCESS && !ending.own_thread) {
        if (!ending.given)
            (void)wh_cuda_call_graph_destroy(number);
        result = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    }
    if (graph)
        *graph = result == CUDA_SUCCESS ? wh_cuda_graph_handle(number) : NULL;
    return result;
}

/* ---- questions ---- */

WH_EXPORT CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
    uint64_t id;
    CUresult result = wh_cuda_check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    *status = CU_STREAM_CAPTURE_STATUS_NONE;
    return wh_cuda_capturing()
               ? wh_cuda_call_capture_info(stream, 0, status, &id, NULL, NULL, NULL, NULL)
               : CUDA_SUCCESS;
}

/* Where the next node of a stream will be. What is told stays until the thread asks again. */
struct place {
    CUstreamCaptureStatus status;
    uint64_t id, graph;
    unsigned n;
    uint64_t *nodes;
    CUgraphEdgeData *edges;
};

static bool make_room(struct place *place, unsigned room)
{
    uint64_t *nodes = realloc(place->nodes, (room + 1ull) * sizeof(*nodes));
    if (nodes)
        place->nodes = nodes;
    CUgraphEdgeData *edges = realloc(place->edges, (room + 1ull) * sizeof(*edges));
    if (edges)
        place->edges = edges;
    return nodes && edges;
}

static CUresult ask_place(CUstream stream, const struct place **answer)
{
    static _Thread_local struct place place;
    unsigned room = 16;
    CUresult result = wh_cuda_check_stream(stream);
    *answer = &place;
    place.status = CU_STREAM_CAPTURE_STATUS_NONE;
    if (result != CUDA_SUCCESS || !wh_cuda_capturing())
        return result;
    do {
        if (place.n > room)
            room = place.n;
        place.n = 0;
        if (!make_room(&place, room))
            return CUDA_ERROR_OUT_OF_MEMORY;
        result = wh_cuda_call_capture_info(stream, room, &place.status, &place.id, &place.graph,
                                           &place.n, place.nodes, place.edges);
    } while (result == CUDA_SUCCESS && place.n > room && place.n <= WH_CUDA_MOST_NODES);
    return result;
}

static CUresult tell_place(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id,
                           CUgraph *graph, const CUgraphNode **nodes, const CUgraphEdgeData **edges,
                           size_t *n, bool knows_edges)
{
    static const CUgraphEdgeData plain;
    const struct place *place;
    CUresult result = status ? ask_place(stream, &place) : CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    *status = place->status;
    if (place->status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return CUDA_SUCCESS;
    for (unsigned i = 0; i < place->n && nodes && !(knows_edges && edges); i++)
        if (memcmp(&place->edges[i], &plain, sizeof(plain)) != 0)
            return CUDA_ERROR_LOSSY_QUERY;
    if (id)
        *id = place->id;
    if (graph)
        *graph = wh_cuda_graph_handle(place->graph);
    if (nodes)
        *nodes = (const CUgraphNode *)(const void *)place->nodes;
    if (edges)
        *edges = place->edges;
    if (n)
        *n = place->n;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status,
                                          cuuint64_t *id)
{
    return tell_place(stream, status, id, NULL, NULL, NULL, NULL, false);
}

WH_EXPORT CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status,
                                             cuuint64_t *id, CUgraph *graph,
                                             const CUgraphNode **nodes, size_t *n)
{
    return tell_place(stream, status, id, graph, nodes, NULL, n, false);
}

WH_EXPORT CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus *status,
                                             cuuint64_t *id, CUgraph *graph,
                                             const CUgraphNode **nodes,
                                             const CUgraphEdgeData **edges, size_t *n)
{
    return tell_place(stream, status, id, graph, nodes, edges, n, true);
}

WH_EXPORT CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode *nodes,
                                                        const CUgraphEdgeData *edges, size_t n,
                                                        unsigned int flags)
{
    CUresult result = wh_cuda_check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (n > WH_CUDA_MOST_NODES || (n && !nodes))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_call_capture_update(stream, (unsigned)n, (const uint64_t *)nodes, edges, flags);
}

WH_EXPORT CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode *nodes, size_t n,
                                                     unsigned int flags)
{
    return cuStreamUpdateCaptureDependencies_v2(stream, nodes, NULL, n, flags);
}
