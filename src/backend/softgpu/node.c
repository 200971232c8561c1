/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes: a body's way to a new node, a node that is there or an executable graph's; those that have
 * no work of their own, and those of memory. The kinds that run are in node_work.c.
 */
#include "backend/softgpu/node.h"

#include <stdlib.h>
#include <string.h>

/* ---- a body's way to its node ---- */

static CUresult connect(struct soft_node *node, const struct soft_target *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct soft_node *before = soft_node_get(t->before[i]);
        CUresult result = before ? soft_edge_add(before, node, t->data ? &t->data[i] : NULL)
                                 : CUDA_ERROR_INVALID_VALUE;
        if (result != CUDA_SUCCESS)
            return result;
    }
    return CUDA_SUCCESS;
}

/* The lock is held. Takes the body over. */
static CUresult add_node(struct soft_body *body, const struct soft_target *t,
                         struct soft_node **node)
{
    struct soft_graph *graph = soft_graph_get(t->graph);
    if (!graph || !t->made || (t->n && !t->before)) {
        soft_body_release(body);
        return CUDA_ERROR_INVALID_VALUE;
    }
    *node = soft_node_add(graph, body);
    if (!*node)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = connect(*node, t);
    if (result == CUDA_SUCCESS)
        *t->made = (CUgraphNode)*node;
    else
        soft_node_remove(*node);
    return result;
}

static CUresult set_node(struct soft_body *body, const struct soft_target *t)
{
    struct soft_node *node = soft_node_get(t->node);
    if (!node || node->body->type != body->type) {
        soft_body_release(body);
        return CUDA_ERROR_INVALID_VALUE;
    }
    soft_body_release(node->body);
    node->body = body;
    return CUDA_SUCCESS;
}

CUresult soft_node_give(CUgraphNodeType type, struct soft_context *context,
                        struct soft_command *command, const struct soft_target *t)
{
    struct soft_node *node;
    struct soft_body *body = soft_body_new(type, context, command);
    if (!body)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (t->exec)
        return soft_exec_set(t->exec, t->node, body);
    SOFT_GRAPHS_LOCKED;
    return t->node ? set_node(body, t) : add_node(body, t, &node);
}

struct soft_body *soft_node_body(CUgraphNode handle, CUgraphNodeType type)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_node *node = soft_node_get(handle);
    return node && node->body->type == type ? soft_body_retain(node->body) : NULL;
}

/* ---- nodes without work of their own ---- */

SOFT_API CUresult cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                      size_t n)
{
    return soft_node_give(CU_GRAPH_NODE_TYPE_EMPTY, NULL, NULL, NEW());
}

/* A child is a copy, or with `move` the graph itself, which is then the node's. */
static CUresult put_child(CUgraph child, bool move, const struct soft_target *t)
{
    struct soft_node *made;
    SOFT_GRAPHS_LOCKED;
    struct soft_graph *graph = soft_graph_get(child);
    if (!graph || child == t->graph || graph->owner || graph->capture)
        return CUDA_ERROR_INVALID_VALUE;
    if (!move && graph->has_memory)
        return CUDA_ERROR_NOT_SUPPORTED;
    struct soft_body *body = soft_body_new(CU_GRAPH_NODE_TYPE_GRAPH, NULL, NULL);
    CUresult result = body ? add_node(body, t, &made) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result != CUDA_SUCCESS)
        return result;
    if (!move) {
        graph = soft_graph_copy(graph);
        if (graph)
            soft_object_list(graph);
    }
    if (graph && soft_node_embed(made, graph))
        return CUDA_SUCCESS;
    if (graph && !move)
        soft_object_unlist(graph);
    soft_node_remove(made);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

SOFT_API CUresult cuGraphAddChildGraphNode(CUgraphNode *node, CUgraph graph,
                                           const CUgraphNode *before, size_t n, CUgraph child)
{
    return put_child(child, false, NEW());
}

SOFT_API CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph *graph)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_node *node = soft_node_get(handle);
    if (!node || !graph || node->body->type != CU_GRAPH_NODE_TYPE_GRAPH)
        return CUDA_ERROR_INVALID_VALUE;
    *graph = (CUgraph)node->graphs[0];
    return CUDA_SUCCESS;
}

/* ---- conditionals ---- */

static bool size_is_good(const CUDA_CONDITIONAL_NODE_PARAMS *p)
{
    switch (p->type) {
    case CU_GRAPH_COND_TYPE_IF:
        return p->size == 1 || p->size == 2;
    case CU_GRAPH_COND_TYPE_WHILE:
        return p->size == 1;
    case CU_GRAPH_COND_TYPE_SWITCH:
        return p->size >= 1 && p->size <= 65536;
    default:
        return false;
    }
}

static CUresult add_bodies(struct soft_node *node, unsigned n, CUgraph *told)
{
    for (unsigned i = 0; i < n; i++) {
        struct soft_graph *graph = soft_graph_new();
        if (!graph)
            return CUDA_ERROR_OUT_OF_MEMORY;
        soft_object_list(graph);
        if (!soft_node_embed(node, graph)) {
            soft_object_unlist(graph);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        told[i] = (CUgraph)graph;
    }
    return CUDA_SUCCESS;
}

/* The array of bodies is the API's: it is freed with the thread that asks, or by its next node. */
static CUresult put_conditional(CUDA_CONDITIONAL_NODE_PARAMS *p, const struct soft_target *t)
{
    static __thread CUgraph *told;
    struct soft_node *made;
    if (!size_is_good(p) || !soft_conditional_find(p->handle))
        return CUDA_ERROR_INVALID_VALUE;
    CUgraph *room = realloc(told, p->size * sizeof(*room));
    if (!room)
        return CUDA_ERROR_OUT_OF_MEMORY;
    told = room;
    SOFT_GRAPHS_LOCKED;
    struct soft_body *body = soft_body_new(CU_GRAPH_NODE_TYPE_CONDITIONAL, NULL, NULL);
    CUresult result = body ? add_node(body, t, &made) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result != CUDA_SUCCESS)
        return result;
    made->conditional = p->handle;
    made->condition = p->type;
    result = add_bodies(made, p->size, told);
    if (result == CUDA_SUCCESS)
        p->phGraph_out = told;
    else
        soft_node_remove(made);
    return result;
}

/* ---- memory ---- */

static CUresult put_allocation(CUDA_MEM_ALLOC_NODE_PARAMS *p, const struct soft_target *t)
{
    struct soft_command *command;
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!p || p->poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
        p->poolProps.handleTypes != CU_MEM_HANDLE_TYPE_NONE ||
        p->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    if (p->poolProps.location.id != context->device->ordinal)
        return soft_device_get(p->poolProps.location.id) ? CUDA_ERROR_NOT_SUPPORTED
                                                         : CUDA_ERROR_INVALID_DEVICE;
    result = soft_graph_allocate(context, p->bytesize, &command, &p->dptr);
    return result == CUDA_SUCCESS
               ? soft_node_give(CU_GRAPH_NODE_TYPE_MEM_ALLOC, context, command, t)
               : result;
}

static CUresult put_free(CUdeviceptr address, const struct soft_target *t)
{
    struct soft_command *command;
    CUresult result = soft_ready();
    if (result == CUDA_SUCCESS)
        result = soft_graph_free(address, &command);
    return result == CUDA_SUCCESS ? soft_node_give(CU_GRAPH_NODE_TYPE_MEM_FREE, NULL, command, t)
                                  : result;
}

SOFT_API CUresult cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph,
                                         const CUgraphNode *before, size_t n,
                                         CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    return put_allocation(params, NEW());
}

static void describe_allocation(const struct soft_command *command, int device,
                                CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    *params = (CUDA_MEM_ALLOC_NODE_PARAMS){
        .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}}};
    params->dptr = soft_graph_memory_of(command, &params->bytesize);
}

SOFT_API CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    struct soft_body *body = soft_node_body(node, CU_GRAPH_NODE_TYPE_MEM_ALLOC);
    bool good = body && params;
    if (good)
        describe_allocation(body->command, body->context->device->ordinal, params);
    soft_body_release(body);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuGraphAddMemFreeNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                        size_t n, CUdeviceptr address)
{
    return put_free(address, NEW());
}

SOFT_API CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr *address)
{
    struct soft_body *body = soft_node_body(node, CU_GRAPH_NODE_TYPE_MEM_FREE);
    bool good = body && address;
    if (good)
        *address = soft_graph_memory_of(body->command, NULL);
    soft_body_release(body);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- by one structure for all kinds ---- */

static CUDA_MEMSET_NODE_PARAMS older(const CUDA_MEMSET_NODE_PARAMS_v2 *p)
{
    return (CUDA_MEMSET_NODE_PARAMS){.dst = p->dst,
                                     .pitch = p->pitch,
                                     .value = p->value,
                                     .elementSize = p->elementSize,
                                     .width = p->width,
                                     .height = p->height};
}

static CUresult put_allocation_v2(CUDA_MEM_ALLOC_NODE_PARAMS_v2 *p, const struct soft_target *t)
{
    CUDA_MEM_ALLOC_NODE_PARAMS params;
    _Static_assert(sizeof(params) == sizeof(*p), "both versions have the same members");
    memcpy(&params, p, sizeof(params));
    CUresult result = put_allocation(&params, t);
    p->dptr = params.dptr;
    return result;
}

/* What both new nodes and changed ones have. */
static CUresult put_work(CUgraphNodeParams *p, const struct soft_target *t)
{
    switch ((int)p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: {
        CUDA_KERNEL_NODE_PARAMS_v2 params;
        _Static_assert(sizeof(params) == sizeof(p->kernel), "both versions have the same members");
        memcpy(&params, &p->kernel, sizeof(params));
        return soft_put_kernel(&params, t);
    }
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return p->memcpy.flags ? CUDA_ERROR_INVALID_VALUE
                               : soft_put_copy(&p->memcpy.copyParams, p->memcpy.copyCtx, t);
    case CU_GRAPH_NODE_TYPE_MEMSET: {
        const CUDA_MEMSET_NODE_PARAMS params = older(&p->memset);
        return soft_put_set(&params, p->memset.ctx, t);
    }
    case CU_GRAPH_NODE_TYPE_HOST:
        return soft_put_host(
            &(CUDA_HOST_NODE_PARAMS){.fn = p->host.fn, .userData = p->host.userData}, t);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return soft_put_event(p->eventWait.event, false, t);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return soft_put_event(p->eventRecord.event, true, t);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return soft_put_memops(&(CUDA_BATCH_MEM_OP_NODE_PARAMS){.ctx = p->memOp.ctx,
                                                                .count = p->memOp.count,
                                                                .paramArray = p->memOp.paramArray,
                                                                .flags = p->memOp.flags},
                               t);
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

SOFT_API CUresult cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                    const CUgraphEdgeData *data, size_t n,
                                    CUgraphNodeParams *params)
{
    const struct soft_target t = {
        .graph = graph, .before = before, .data = data, .n = n, .made = node};
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    switch ((int)params->type) {
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return soft_node_give(CU_GRAPH_NODE_TYPE_EMPTY, NULL, NULL, &t);
    case CU_GRAPH_NODE_TYPE_GRAPH:
        if (params->graph.ownership > CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE)
            return CUDA_ERROR_INVALID_VALUE;
        return put_child(params->graph.graph,
                         params->graph.ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE, &t);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return put_allocation_v2(&params->alloc, &t);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return put_free(params->free.dptr, &t);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return put_conditional(&params->conditional, &t);
    default:
        return put_work(params, &t);
    }
}

SOFT_API CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                 size_t n, CUgraphNodeParams *params)
{
    return cuGraphAddNode_v2(node, graph, before, NULL, n, params);
}

SOFT_API CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *params)
{
    return params ? put_work(params, OF_NODE(node)) : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                           CUgraphNodeParams *params)
{
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    if (params->type == CU_GRAPH_NODE_TYPE_GRAPH)
        return cuGraphExecChildGraphNodeSetParams(exec, node, params->graph.graph);
    return put_work(params, OF_EXEC(exec, node));
}
