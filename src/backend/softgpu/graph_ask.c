/* SPDX-License-Identifier: Apache-2.0 */
/* What programs ask of graphs: their nodes, and the edges between them. */
#include "backend/softgpu/graph.h"

#include <stdlib.h>
#include <string.h>

SOFT_API CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_node *node = soft_node_get(handle);
    if (!node || !type)
        return CUDA_ERROR_INVALID_VALUE;
    *type = node->body->type;
    return CUDA_SUCCESS;
}

/* The rules of all lists: without room, how many there are; with more room than needed, the rest is
 * set to NULL and the true number told. */
struct listing {
    CUgraphNode *nodes, *others;
    CUgraphEdgeData *data;
    size_t room, n;
};

static void list(struct listing *l, const struct soft_node *node, const struct soft_node *other,
                 const CUgraphEdgeData *data)
{
    size_t i = l->n++;
    if (i >= l->room)
        return;
    if (l->nodes)
        l->nodes[i] = (CUgraphNode)node;
    if (l->others)
        l->others[i] = (CUgraphNode)other;
    if (l->data && data)
        l->data[i] = *data;
}

static CUresult finish_list(struct listing *l, size_t *n)
{
    bool asked = l->nodes || l->others;
    for (size_t i = l->n; i < l->room; i++) {
        if (l->nodes)
            l->nodes[i] = NULL;
        if (l->others)
            l->others[i] = NULL;
    }
    *n = asked && l->n > l->room ? l->room : l->n;
    return CUDA_SUCCESS;
}

static CUresult list_nodes(CUgraph handle, CUgraphNode *nodes, size_t *n, bool roots)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_graph *graph = soft_graph_get(handle);
    if (!graph || !n)
        return CUDA_ERROR_INVALID_VALUE;
    struct listing l = {.nodes = nodes, .room = nodes ? *n : 0};
    for (size_t i = 0; i < graph->n; i++)
        if (!roots || graph->nodes[i]->from.n == 0)
            list(&l, graph->nodes[i], NULL, NULL);
    return finish_list(&l, n);
}

SOFT_API CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *n)
{
    return list_nodes(graph, nodes, n, false);
}

SOFT_API CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode *nodes, size_t *n)
{
    return list_nodes(graph, nodes, n, true);
}

static bool is_plain(const CUgraphEdgeData *data)
{
    static const CUgraphEdgeData plain;
    return memcmp(data, &plain, sizeof(plain)) == 0;
}

/* Calls that do not ask for the edges' data lose some if there is any. */
static CUresult check_loss(const struct soft_edges *edges, bool may_lose)
{
    for (size_t i = 0; i < edges->n && !may_lose; i++)
        if (!is_plain(&edges->at[i].data))
            return CUDA_ERROR_LOSSY_QUERY;
    return CUDA_SUCCESS;
}

static CUresult list_edges(CUgraph handle, struct listing *l, size_t *n)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_graph *graph = soft_graph_get(handle);
    if (!graph || !n || !l->nodes != !l->others)
        return CUDA_ERROR_INVALID_VALUE;
    l->room = l->nodes ? *n : 0;
    for (size_t i = 0; i < graph->n; i++) {
        const struct soft_node *node = graph->nodes[i];
        CUresult result = check_loss(&node->to, !l->nodes || l->data);
        if (result != CUDA_SUCCESS)
            return result;
        for (size_t k = 0; k < node->to.n; k++)
            list(l, node, node->to.at[k].node, &node->to.at[k].data);
    }
    return finish_list(l, n);
}

SOFT_API CUresult cuGraphGetEdges_v2(CUgraph graph, CUgraphNode *from, CUgraphNode *to,
                                     CUgraphEdgeData *data, size_t *n)
{
    return list_edges(graph, &(struct listing){.nodes = from, .others = to, .data = data}, n);
}

SOFT_API CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *n)
{
    return list_edges(graph, &(struct listing){.nodes = from, .others = to}, n);
}

static CUresult list_neighbours(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *data,
                                size_t *n, bool before)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_node *node = soft_node_get(handle);
    if (!node || !n)
        return CUDA_ERROR_INVALID_VALUE;
    const struct soft_edges *edges = before ? &node->from : &node->to;
    CUresult result = check_loss(edges, !nodes || data);
    if (result != CUDA_SUCCESS)
        return result;
    struct listing l = {.nodes = nodes, .data = data, .room = nodes ? *n : 0};
    for (size_t i = 0; i < edges->n; i++)
        list(&l, edges->at[i].node, NULL, &edges->at[i].data);
    return finish_list(&l, n);
}

SOFT_API CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode *nodes,
                                                CUgraphEdgeData *data, size_t *n)
{
    return list_neighbours(node, nodes, data, n, true);
}

SOFT_API CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *nodes, size_t *n)
{
    return list_neighbours(node, nodes, NULL, n, true);
}

SOFT_API CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode *nodes,
                                                  CUgraphEdgeData *data, size_t *n)
{
    return list_neighbours(node, nodes, data, n, false);
}

SOFT_API CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *nodes, size_t *n)
{
    return list_neighbours(node, nodes, NULL, n, false);
}
