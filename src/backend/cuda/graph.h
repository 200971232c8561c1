/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs of a session: the driver's graphs and nodes by numbers, which cross in their place. What
 * graph.c, node.c, user.c and capture.c share. A number that is not known is an error of the API.
 */
#ifndef WH_BACKEND_CUDA_GRAPH_H
#define WH_BACKEND_CUDA_GRAPH_H

#include "backend/cuda/backend.h"

struct wh_cuda_keep;

enum wh_cuda_item_kind { WH_CUDA_GRAPH = 1, WH_CUDA_NODE, WH_CUDA_USER, WH_CUDA_EXEC };

/*
 * A graph, a node, a user object or an executable graph, which has no number outside. Copies
 * between the device and the program's own memory are two nodes of the driver: the copy, from or to
 * a piece of the arena, and a host function, by which the client moves the bytes. The program knows
 * of one: `companion` is the other's handle.
 */
struct wh_cuda_item {
    uint64_t number;
    enum wh_cuda_item_kind kind;
    void *real;
    void *companion;
    bool companion_first;              /* it comes before, else behind */
    bool embedded;                     /* a graph that belongs to a node */
    bool fickle;                       /* a launch may be refused: it has memory of its own */
    bool conditionals;                 /* of a graph: there are handles of its own */
    bool capturing;                    /* the driver's until the capture ends well */
    struct wh_cuda_keep *keep;         /* of an executable graph, or NULL */
    void *origin;                      /* then the stream in which it began */
    struct wh_cuda_item *in;           /* of a node its graph, of a graph the node it belongs to */
    struct wh_cuda_item *first, *next; /* what is inside of it; what else is inside of `in` */
    struct wh_cuda_item *same;         /* in a bucket */
};

struct wh_cuda_graphs;

/* ---- items.c: the table; only for the leading thread ---- */

struct wh_cuda_graphs *wh_cuda_graphs_new(void);

/* NULL: there is none of this kind. */
struct wh_cuda_item *wh_cuda_item_find(struct wh_call *call, uint64_t number,
                                       enum wh_cuda_item_kind kind);

/* The item of a driver's handle, known or new. What had the same handle elsewhere is gone. NULL:
 * memory is short. */
struct wh_cuda_item *wh_cuda_item_of(struct wh_call *call, enum wh_cuda_item_kind kind, void *real,
                                     struct wh_cuda_item *in);

/* The item of a handle, if it is known. */
struct wh_cuda_item *wh_cuda_item_known(struct wh_call *call, enum wh_cuda_item_kind kind,
                                        const void *real);

/* The second handle of a node. */
void wh_cuda_item_join(struct wh_call *call, struct wh_cuda_item *item, void *companion,
                       bool first);

/* Forgets an item and all that is inside of it. */
void wh_cuda_item_drop(struct wh_call *call, struct wh_cuda_item *item);

/* A graph becomes a part of a node. */
void wh_cuda_item_move(struct wh_cuda_item *graph, struct wh_cuda_item *node);

/* Handles of conditionals that the driver gave, for a graph: they go with it. */
bool wh_cuda_conditional_add(struct wh_call *call, struct wh_cuda_item *graph, uint64_t handle);
bool wh_cuda_conditional_is_known(struct wh_call *call, uint64_t handle);

/* Memory of a graph's node: it may be named as long as the context. False: memory is short. */
bool wh_cuda_graph_memory_add(struct wh_call *call, CUdeviceptr address, size_t size);

/* The graph that a stream's capture fills (its first one), by the handle of the stream. */
struct wh_cuda_item *wh_cuda_item_of_capture(struct wh_cuda_graphs *graphs, const void *stream);
/* An executable graph is about to go. */
void wh_cuda_items_forget_exec(struct wh_cuda_state *state, const void *exec);

/* A stream is gone, and a capture that began in it. */
void wh_cuda_items_forget_stream(struct wh_cuda_state *state, const void *stream);

/* The handle that an edge from (to) the node has. */
static inline CUgraphNode wh_cuda_item_end(const struct wh_cuda_item *item)
{
    return item->companion && !item->companion_first ? item->companion : item->real;
}

static inline CUgraphNode wh_cuda_item_begin(const struct wh_cuda_item *item)
{
    return item->companion && item->companion_first ? item->companion : item->real;
}

/* ---- graph.c ---- */

/* Nodes by number as the ends of edges from them, in the call's memory; NULL: one is unknown or not
 * of this graph (when that is given). */
CUgraphNode *wh_cuda_nodes(struct wh_call *call, unsigned n, const uint64_t *numbers,
                           const struct wh_cuda_item *graph);

/* The item of a driver's node, which may be a companion. */
struct wh_cuda_item *wh_cuda_node_item(struct wh_call *call, CUgraphNode node,
                                       struct wh_cuda_item *graph);

/* ---- capture.c ---- */

/* The graph that this stream is recorded into, or NULL. */
struct wh_cuda_item *wh_cuda_capture_graph(struct wh_call *call, CUstream stream);

/* Whether it captures, well or not. */
bool wh_cuda_stream_captures(struct wh_call *call, CUstream stream);

#endif
