/* SPDX-License-Identifier: Apache-2.0 */
/* Captures: what capture.c, which records, and capture_ask.c, which says where, share. All of it is
 * guarded by the graphs' lock. */
#ifndef WH_SOFTGPU_CAPTURE_H
#define WH_SOFTGPU_CAPTURE_H

#include "backend/softgpu/graph.h"

struct soft_capture {
    struct soft_object object;
    struct soft_capture *next; /* in the list of those that are going on */
    struct soft_graph *graph;  /* a reference */
    struct soft_context *context;
    struct soft_stream *origin;
    struct soft_stream *streams; /* that take part, by capture_next */
    struct soft_edges left;      /* where streams were that were destroyed meanwhile */
    uint64_t id;
    CUstreamCaptureMode mode;
    const void *thread; /* who began it */
    bool own;           /* the graph was made for it */
    bool invalid, over;
};

/* Those that go on. */
struct soft_capture *soft_captures(void);

/* Where a stream's next node will be: a copy of `place`. */
void soft_capture_place(struct soft_stream *stream, const struct soft_edges *place);

/* The nodes of a graph that the program names, as a place, which is the caller's to free. */
CUresult soft_capture_read(const struct soft_graph *graph, const CUgraphNode *nodes,
                           const CUgraphEdgeData *data, size_t n, struct soft_edges *place);

/* Adds the edges that are not there yet. */
CUresult soft_capture_add(struct soft_edges *edges, const struct soft_edges *more);

#endif
