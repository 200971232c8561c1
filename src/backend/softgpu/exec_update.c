/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to an executable graph: of one node, or of all by another graph of the same shape. */
#include "backend/softgpu/exec.h"

/* ---- changes to an executable graph ---- */

/* What its type and shape allow. CUDA C++ Programming Guide, "Graph Update Limitations". */
static CUgraphExecUpdateResult compare_copies(const struct soft_body *a, const struct soft_body *b)
{
    CUDA_MEMCPY3D x, y;
    soft_copy_describe(a->command, &x);
    soft_copy_describe(b->command, &y);
    bool flat = x.Height == 1 && x.Depth == 1 && y.Height == 1 && y.Depth == 1;
    bool same = x.WidthInBytes == y.WidthInBytes && x.Height == y.Height && x.Depth == y.Depth;
    bool arrays = x.srcArray || x.dstArray || y.srcArray || y.dstArray;
    if (x.srcArray != y.srcArray || x.dstArray != y.dstArray)
        return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    return flat || same || !arrays ? CU_GRAPH_EXEC_UPDATE_SUCCESS
                                   : CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
}

static CUgraphExecUpdateResult compare_sets(const struct soft_body *a, const struct soft_body *b)
{
    CUDA_MEMSET_NODE_PARAMS x, y;
    soft_set_describe(a->command, &x);
    soft_set_describe(b->command, &y);
    bool same = x.width == y.width && x.height == y.height && x.elementSize == y.elementSize;
    return same || (x.height == 1 && y.height == 1) ? CU_GRAPH_EXEC_UPDATE_SUCCESS
                                                    : CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
}

static CUgraphExecUpdateResult compare_bodies(const struct soft_body *a, const struct soft_body *b)
{
    if (a->type != b->type)
        return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    switch (a->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return a->context == b->context ? CU_GRAPH_EXEC_UPDATE_SUCCESS
                                        : CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return compare_copies(a, b);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return compare_sets(a, b);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return a == b ? CU_GRAPH_EXEC_UPDATE_SUCCESS
                      : CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    default:
        return CU_GRAPH_EXEC_UPDATE_SUCCESS;
    }
}

static void exchange(struct soft_node *node, struct soft_body *body)
{
    struct soft_body *before = node->body;
    node->body = body;
    soft_body_release(before);
}

/* Takes the body over. */
static CUresult set_body(struct soft_exec *exec, const struct soft_node *original,
                         struct soft_body *body)
{
    struct soft_node *node = original ? soft_graph_find(exec->graph, original->id) : NULL;
    if (!node || node->body->type != body->type ||
        compare_bodies(node->body, body) != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
        soft_body_release(body);
        return CUDA_ERROR_INVALID_VALUE;
    }
    exchange(node, body);
    return CUDA_SUCCESS;
}

CUresult soft_exec_set(CUgraphExec exec_handle, CUgraphNode node, struct soft_body *body)
{
    if (!body)
        return CUDA_ERROR_OUT_OF_MEMORY;
    SOFT_GRAPHS_LOCKED;
    struct soft_exec *exec = soft_exec_get(exec_handle);
    if (exec)
        return set_body(exec, soft_node_get(node), body);
    soft_body_release(body);
    return CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuGraphNodeSetEnabled(CUgraphExec exec_handle, CUgraphNode handle,
                                        unsigned enabled)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_exec *exec = soft_exec_get(exec_handle);
    const struct soft_node *original = soft_node_get(handle);
    struct soft_node *node = exec && original ? soft_graph_find(exec->graph, original->id) : NULL;
    if (!node || (node->body->type != CU_GRAPH_NODE_TYPE_KERNEL &&
                  node->body->type != CU_GRAPH_NODE_TYPE_MEMCPY &&
                  node->body->type != CU_GRAPH_NODE_TYPE_MEMSET))
        return CUDA_ERROR_INVALID_VALUE;
    node->disabled = !enabled;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuGraphNodeGetEnabled(CUgraphExec exec_handle, CUgraphNode handle,
                                        unsigned *enabled)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_exec *exec = soft_exec_get(exec_handle);
    const struct soft_node *original = soft_node_get(handle);
    const struct soft_node *node =
        exec && original ? soft_graph_find(exec->graph, original->id) : NULL;
    if (!node || !enabled)
        return CUDA_ERROR_INVALID_VALUE;
    *enabled = !node->disabled;
    return CUDA_SUCCESS;
}

/* ---- update by a whole graph ---- */

static void number(const struct soft_graph *graph)
{
    for (size_t i = 0; i < graph->n; i++)
        graph->nodes[i]->index = i;
}

/* Edges in any order, but between the same nodes. */
static bool same_edges(const struct soft_node *a, const struct soft_node *b)
{
    if (a->from.n != b->from.n)
        return false;
    for (size_t i = 0; i < a->from.n; i++) {
        bool found = false;
        for (size_t k = 0; k < b->from.n && !found; k++)
            found = a->from.at[i].node->index == b->from.at[k].node->index;
        if (!found)
            return false;
    }
    return true;
}

static CUgraphExecUpdateResult compare(const struct soft_graph *have, const struct soft_graph *want,
                                       CUgraphExecUpdateResultInfo *info)
{
    CUgraphExecUpdateResult result = CU_GRAPH_EXEC_UPDATE_SUCCESS;
    if (have->n != want->n)
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    number(have);
    number(want);
    for (size_t i = 0; i < have->n && result == CU_GRAPH_EXEC_UPDATE_SUCCESS; i++) {
        const struct soft_node *a = have->nodes[i], *b = want->nodes[i];
        info->errorNode = (CUgraphNode)b;
        if (!same_edges(a, b)) {
            info->errorNode = NULL;
            return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        }
        result = compare_bodies(a->body, b->body);
        if (result == CU_GRAPH_EXEC_UPDATE_SUCCESS && a->ngraphs != b->ngraphs)
            result = CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    }
    for (size_t i = 0; i < have->n && result == CU_GRAPH_EXEC_UPDATE_SUCCESS; i++)
        for (size_t k = 0; k < have->nodes[i]->ngraphs && result == CU_GRAPH_EXEC_UPDATE_SUCCESS;
             k++)
            result = compare(have->nodes[i]->graphs[k], want->nodes[i]->graphs[k], info);
    if (result == CU_GRAPH_EXEC_UPDATE_SUCCESS)
        info->errorNode = NULL;
    return result;
}

/* The new copy's nodes answer to the nodes that the old one's did. */
static void inherit(struct soft_graph *to, const struct soft_graph *from)
{
    for (size_t i = 0; i < from->n; i++) {
        to->nodes[i]->origin = from->nodes[i]->origin;
        for (size_t k = 0; k < from->nodes[i]->ngraphs; k++)
            inherit(to->nodes[i]->graphs[k], from->nodes[i]->graphs[k]);
    }
}

static CUresult update(CUgraphExec exec_handle, CUgraph graph_handle,
                       CUgraphExecUpdateResultInfo *info)
{
    *info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    SOFT_GRAPHS_LOCKED;
    struct soft_exec *exec = soft_exec_get(exec_handle);
    const struct soft_graph *graph = soft_graph_get(graph_handle);
    if (!exec || !graph)
        return CUDA_ERROR_INVALID_VALUE;
    info->result = compare(exec->graph, graph, info);
    if (info->result != CU_GRAPH_EXEC_UPDATE_SUCCESS)
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    struct soft_graph *copy = soft_graph_copy(graph);
    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    inherit(copy, exec->graph);
    soft_object_release(exec->graph);
    exec->graph = copy;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph,
                                       CUgraphExecUpdateResultInfo *info)
{
    CUgraphExecUpdateResultInfo own;
    return update(exec, graph, info ? info : &own);
}

SOFT_API CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *node,
                                    CUgraphExecUpdateResult *answer)
{
    CUgraphExecUpdateResultInfo info;
    CUresult result = update(exec, graph, &info);
    if (node)
        *node = info.errorNode;
    if (answer)
        *answer = info.result;
    return result;
}

SOFT_API CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec_handle, CUgraphNode handle,
                                                     CUgraph child)
{
    CUgraphExecUpdateResultInfo info;
    SOFT_GRAPHS_LOCKED;
    const struct soft_exec *exec = soft_exec_get(exec_handle);
    const struct soft_node *original = soft_node_get(handle);
    const struct soft_graph *graph = soft_graph_get(child);
    struct soft_node *node = exec && original ? soft_graph_find(exec->graph, original->id) : NULL;
    if (!node || !graph || node->body->type != CU_GRAPH_NODE_TYPE_GRAPH)
        return CUDA_ERROR_INVALID_VALUE;
    if (compare(node->graphs[0], graph, &info) != CU_GRAPH_EXEC_UPDATE_SUCCESS)
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    struct soft_graph *copy = soft_graph_copy(graph);
    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    inherit(copy, node->graphs[0]);
    soft_object_unlist(node->graphs[0]);
    soft_object_list(copy);
    copy->owner = node;
    node->graphs[0] = copy;
    return CUDA_SUCCESS;
}
