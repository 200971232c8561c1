/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs in the program: handles of graphs, nodes and user objects are the worker's numbers. What
 * graph.c, node.c, user.c and capture.c share.
 */
#ifndef WH_SHIM_CUDA_GRAPH_H
#define WH_SHIM_CUDA_GRAPH_H

#include "shim/cuda/shim.h"

#define WH_CUDA_MOST_NODES (1u << 20) /* of one list */

static inline uint64_t wh_cuda_number(const void *handle)
{
    return (uintptr_t)handle;
}

static inline CUgraph wh_cuda_graph_handle(uint64_t number)
{
    return (CUgraph)(uintptr_t)number;
}

static inline CUgraphNode wh_cuda_node_handle(uint64_t number)
{
    return (CUgraphNode)(uintptr_t)number;
}

/* ---- node_ask.c ---- */

/* Memory that is the program's until the node goes or is asked about again; zeroed. NULL when
 * memory is short. */
void *wh_cuda_node_keep(uint64_t graph, uint64_t node, size_t size);

/* What is kept for the program about the nodes of a graph, or one node (graph 0), goes. */
void wh_cuda_nodes_forget(uint64_t graph, uint64_t node);

#endif
