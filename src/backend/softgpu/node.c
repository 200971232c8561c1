/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes by kind: what the API's calls say becomes a body, for a new node, a node that is there or
 * an executable graph's, and can be asked for again.
 */
#include "backend/softgpu/graph.h"

#include <stdlib.h>
#include <string.h>

/* Where a new body goes. */
struct target {
    CUgraph graph; /* a new node, behind these */
    const CUgraphNode *before;
    const CUgraphEdgeData *data;
    size_t n;
    CUgraphExec exec; /* or this executable graph's copy of the node; or the node itself */
    CUgraphNode node;
    CUgraphNode *made;
};

/* ---- a body's way to its node ---- */

static CUresult connect(struct soft_node *node, const struct target *t)
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
static CUresult add_node(struct soft_body *body, const struct target *t, struct soft_node **node)
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

static CUresult set_node(struct soft_body *body, const struct target *t)
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

/* Takes the command over. `context`: borrowed. */
static CUresult give(CUgraphNodeType type, struct soft_context *context,
                     struct soft_command *command, const struct target *t)
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

/* The body of a node of this kind, with a reference; NULL: it is none. */
static struct soft_body *take_body(CUgraphNode handle, CUgraphNodeType type)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_node *node = soft_node_get(handle);
    return node && node->body->type == type ? soft_body_retain(node->body) : NULL;
}

/* What a description points to is the node's: it outlives the reference. */
#define DESCRIBE(handle, type, describe, params)               \
    do {                                                       \
        struct soft_body *body_ = take_body((handle), (type)); \
        if (!body_ || !(params)) {                             \
            soft_body_release(body_);                          \
            return CUDA_ERROR_INVALID_VALUE;                   \
        }                                                      \
        describe(body_->command, (params));                    \
        soft_body_release(body_);                              \
        return CUDA_SUCCESS;                                   \
    } while (0)

#define NEW(...)         (&(struct target){.graph = graph, .before = before, .n = n, .made = node})
#define OF_NODE(handle)  (&(struct target){.node = (handle)})
#define OF_EXEC(e, node) (&(struct target){.exec = (e), .node = (node)})

/* ---- kernels ---- */

static CUresult put_kernel(const CUDA_KERNEL_NODE_PARAMS_v2 *p, const struct target *t)
{
    struct soft_command *command;
    SOFT_HOLD struct soft_context *context;
    if (!p || (!p->func && !p->kern))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_enter_context(p->ctx, &context);
    if (result != CUDA_SUCCESS)
        return result;
    const CUlaunchConfig config = {.gridDimX = p->gridDimX,
                                   .gridDimY = p->gridDimY,
                                   .gridDimZ = p->gridDimZ,
                                   .blockDimX = p->blockDimX,
                                   .blockDimY = p->blockDimY,
                                   .blockDimZ = p->blockDimZ,
                                   .sharedMemBytes = p->sharedMemBytes};
    result = soft_launch_make(p->func ? p->func : (CUfunction)p->kern, &config,
                              p->ctx ? context : NULL, p->kernelParams, p->extra, &command);
    return result == CUDA_SUCCESS ? give(CU_GRAPH_NODE_TYPE_KERNEL, context, command, t) : result;
}

static CUDA_KERNEL_NODE_PARAMS_v2 newer(const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS_v2 params = {0};
    memcpy(&params, p, sizeof(*p)); /* the newer one begins as the older one */
    return params;
}

SOFT_API CUresult cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph,
                                          const CUgraphNode *before, size_t n,
                                          const CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    return put_kernel(params, NEW());
}

SOFT_API CUresult cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                       size_t n, const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return put_kernel(&p, NEW());
}

SOFT_API CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode node,
                                                CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_KERNEL, soft_launch_describe, params);
}

SOFT_API CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    CUDA_KERNEL_NODE_PARAMS_v2 p;
    CUresult result = params ? cuGraphKernelNodeGetParams_v2(node, &p) : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        memcpy(params, &p, sizeof(*params));
    return result;
}

SOFT_API CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode node,
                                                const CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    return put_kernel(params, OF_NODE(node));
}

SOFT_API CUresult cuGraphKernelNodeSetParams(CUgraphNode node,
                                             const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return put_kernel(&p, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                                    const CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    return put_kernel(params, OF_EXEC(exec, node));
}

SOFT_API CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                 const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return put_kernel(&p, OF_EXEC(exec, node));
}

/* ---- attributes of kernels: what matters here is the launch's, the rest is kept ---- */

static struct soft_node *kernel_node(CUgraphNode handle, CUkernelNodeAttrID id)
{
    struct soft_node *node = soft_node_get(handle);
    switch ((int)id) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return node && node->body->type == CU_GRAPH_NODE_TYPE_KERNEL ? node : NULL;
    default:
        return NULL;
    }
}

SOFT_API CUresult cuGraphKernelNodeGetAttribute(CUgraphNode handle, CUkernelNodeAttrID id,
                                                CUkernelNodeAttrValue *value)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_node *node = kernel_node(handle, id);
    if (!node || !value)
        return CUDA_ERROR_INVALID_VALUE;
    if (!soft_launch_attribute(node->body->command, id, value))
        *value = node->attributes[id];
    return CUDA_SUCCESS;
}

static CUresult set_attribute(struct soft_node *node, CUkernelNodeAttrID id,
                              const CUkernelNodeAttrValue *value)
{
    struct soft_command *command;
    CUlaunchAttributeValue now;
    if (!soft_launch_attribute(node->body->command, id, &now)) {
        node->attributes[id] = *value;
        return CUDA_SUCCESS;
    }
    CUresult result = soft_launch_with(node->body->command, id, value, &command);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_body *body = soft_body_new(node->body->type, node->body->context, command);
    if (!body)
        return CUDA_ERROR_OUT_OF_MEMORY;
    soft_body_release(node->body);
    node->body = body;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuGraphKernelNodeSetAttribute(CUgraphNode handle, CUkernelNodeAttrID id,
                                                const CUkernelNodeAttrValue *value)
{
    SOFT_GRAPHS_LOCKED;
    struct soft_node *node = kernel_node(handle, id);
    return node && value ? set_attribute(node, id, value) : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode to_handle, CUgraphNode from_handle)
{
    static const CUkernelNodeAttrID of_launch[] = {CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
                                                   CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
    SOFT_GRAPHS_LOCKED;
    struct soft_node *to = kernel_node(to_handle, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    const struct soft_node *from = kernel_node(from_handle, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    CUresult result = CUDA_SUCCESS;
    if (!to || !from)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(to->attributes, from->attributes, sizeof(to->attributes));
    for (size_t i = 0; i < 2 && result == CUDA_SUCCESS; i++) {
        CUlaunchAttributeValue value;
        soft_launch_attribute(from->body->command, of_launch[i], &value);
        result = set_attribute(to, of_launch[i], &value);
    }
    return result;
}

/* ---- copies ---- */

static CUresult put_copy(const CUDA_MEMCPY3D *p, CUcontext ctx, const struct target *t)
{
    struct soft_command *command;
    SOFT_HOLD struct soft_context *context;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_enter_context(ctx, &context);
    if (result == CUDA_SUCCESS)
        result = soft_copy_make(p, &command);
    return result == CUDA_SUCCESS ? give(CU_GRAPH_NODE_TYPE_MEMCPY, context, command, t) : result;
}

SOFT_API CUresult cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                       size_t n, const CUDA_MEMCPY3D *params, CUcontext context)
{
    return put_copy(params, context, NEW());
}

SOFT_API CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_MEMCPY, soft_copy_describe, params);
}

SOFT_API CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *params)
{
    return put_copy(params, NULL, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                 const CUDA_MEMCPY3D *params, CUcontext context)
{
    return put_copy(params, context, OF_EXEC(exec, node));
}

/* ---- sets ---- */

static CUresult put_set(const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx, const struct target *t)
{
    struct soft_command *command;
    SOFT_HOLD struct soft_context *context;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_enter_context(ctx, &context);
    if (result == CUDA_SUCCESS)
        result = soft_set_make(p, &command);
    return result == CUDA_SUCCESS ? give(CU_GRAPH_NODE_TYPE_MEMSET, context, command, t) : result;
}

SOFT_API CUresult cuGraphAddMemsetNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                       size_t n, const CUDA_MEMSET_NODE_PARAMS *params,
                                       CUcontext context)
{
    return put_set(params, context, NEW());
}

SOFT_API CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_MEMSET, soft_set_describe, params);
}

SOFT_API CUresult cuGraphMemsetNodeSetParams(CUgraphNode node,
                                             const CUDA_MEMSET_NODE_PARAMS *params)
{
    return put_set(params, NULL, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                 const CUDA_MEMSET_NODE_PARAMS *params,
                                                 CUcontext context)
{
    return put_set(params, context, OF_EXEC(exec, node));
}

/* ---- functions of the program ---- */

static CUresult put_host(const CUDA_HOST_NODE_PARAMS *p, const struct target *t)
{
    struct soft_command *command;
    CUresult result = soft_ready();
    if (result == CUDA_SUCCESS)
        result = p ? soft_call_make(p, &command) : CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? give(CU_GRAPH_NODE_TYPE_HOST, NULL, command, t) : result;
}

SOFT_API CUresult cuGraphAddHostNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                     size_t n, const CUDA_HOST_NODE_PARAMS *params)
{
    return put_host(params, NEW());
}

SOFT_API CUresult cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_HOST, soft_call_describe, params);
}

SOFT_API CUresult cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS *params)
{
    return put_host(params, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                               const CUDA_HOST_NODE_PARAMS *params)
{
    return put_host(params, OF_EXEC(exec, node));
}

/* ---- operations on memory ---- */

static CUresult put_memops(const CUDA_BATCH_MEM_OP_NODE_PARAMS *p, const struct target *t)
{
    struct soft_command *command;
    SOFT_HOLD struct soft_context *context;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_enter_context(p->ctx, &context);
    if (result == CUDA_SUCCESS)
        result = soft_memops_make(p, &command);
    return result == CUDA_SUCCESS ? give(CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, context, command, t)
                                  : result;
}

SOFT_API CUresult cuGraphAddBatchMemOpNode(CUgraphNode *node, CUgraph graph,
                                           const CUgraphNode *before, size_t n,
                                           const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return put_memops(params, NEW());
}

SOFT_API CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode node,
                                                 CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, soft_memops_describe, params);
}

SOFT_API CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode node,
                                                 const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return put_memops(params, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                     const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return put_memops(params, OF_EXEC(exec, node));
}

/* ---- events ---- */

static CUresult put_event(CUevent handle, bool record, const struct target *t)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_command *command = soft_event_command(event, record);
    if (!command)
        return CUDA_ERROR_OUT_OF_MEMORY;
    return give(record ? CU_GRAPH_NODE_TYPE_EVENT_RECORD : CU_GRAPH_NODE_TYPE_WAIT_EVENT, NULL,
                command, t);
}

static CUresult get_event(CUgraphNode node, CUgraphNodeType type, CUevent *event)
{
    struct soft_body *body = take_body(node, type);
    bool good = body && event;
    if (good)
        *event = soft_event_of(body->command);
    soft_body_release(body);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuGraphAddEventRecordNode(CUgraphNode *node, CUgraph graph,
                                            const CUgraphNode *before, size_t n, CUevent event)
{
    return put_event(event, true, NEW());
}

SOFT_API CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent *event)
{
    return get_event(node, CU_GRAPH_NODE_TYPE_EVENT_RECORD, event);
}

SOFT_API CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event)
{
    return put_event(event, true, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node,
                                                     CUevent event)
{
    return put_event(event, true, OF_EXEC(exec, node));
}

SOFT_API CUresult cuGraphAddEventWaitNode(CUgraphNode *node, CUgraph graph,
                                          const CUgraphNode *before, size_t n, CUevent event)
{
    return put_event(event, false, NEW());
}

SOFT_API CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent *event)
{
    return get_event(node, CU_GRAPH_NODE_TYPE_WAIT_EVENT, event);
}

SOFT_API CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event)
{
    return put_event(event, false, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node,
                                                   CUevent event)
{
    return put_event(event, false, OF_EXEC(exec, node));
}

/* ---- memory ---- */

static CUresult put_allocation(CUDA_MEM_ALLOC_NODE_PARAMS *p, const struct target *t)
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
    return result == CUDA_SUCCESS ? give(CU_GRAPH_NODE_TYPE_MEM_ALLOC, context, command, t)
                                  : result;
}

static CUresult put_free(CUdeviceptr address, const struct target *t)
{
    struct soft_command *command;
    CUresult result = soft_ready();
    if (result == CUDA_SUCCESS)
        result = soft_graph_free(address, &command);
    return result == CUDA_SUCCESS ? give(CU_GRAPH_NODE_TYPE_MEM_FREE, NULL, command, t) : result;
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
    struct soft_body *body = take_body(node, CU_GRAPH_NODE_TYPE_MEM_ALLOC);
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
    struct soft_body *body = take_body(node, CU_GRAPH_NODE_TYPE_MEM_FREE);
    bool good = body && address;
    if (good)
        *address = soft_graph_memory_of(body->command, NULL);
    soft_body_release(body);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- nodes without work of their own ---- */

SOFT_API CUresult cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                      size_t n)
{
    return give(CU_GRAPH_NODE_TYPE_EMPTY, NULL, NULL, NEW());
}

/* A child is a copy, or with `move` the graph itself, which is then the node's. */
static CUresult put_child(CUgraph child, bool move, const struct target *t)
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
static CUresult put_conditional(CUDA_CONDITIONAL_NODE_PARAMS *p, const struct target *t)
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

static CUresult put_allocation_v2(CUDA_MEM_ALLOC_NODE_PARAMS_v2 *p, const struct target *t)
{
    CUDA_MEM_ALLOC_NODE_PARAMS params;
    _Static_assert(sizeof(params) == sizeof(*p), "both versions have the same members");
    memcpy(&params, p, sizeof(params));
    CUresult result = put_allocation(&params, t);
    p->dptr = params.dptr;
    return result;
}

/* What both new nodes and changed ones have. */
static CUresult put_work(CUgraphNodeParams *p, const struct target *t)
{
    switch ((int)p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: {
        CUDA_KERNEL_NODE_PARAMS_v2 params;
        _Static_assert(sizeof(params) == sizeof(p->kernel), "both versions have the same members");
        memcpy(&params, &p->kernel, sizeof(params));
        return put_kernel(&params, t);
    }
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return p->memcpy.flags ? CUDA_ERROR_INVALID_VALUE
                               : put_copy(&p->memcpy.copyParams, p->memcpy.copyCtx, t);
    case CU_GRAPH_NODE_TYPE_MEMSET: {
        const CUDA_MEMSET_NODE_PARAMS params = older(&p->memset);
        return put_set(&params, p->memset.ctx, t);
    }
    case CU_GRAPH_NODE_TYPE_HOST:
        return put_host(&(CUDA_HOST_NODE_PARAMS){.fn = p->host.fn, .userData = p->host.userData},
                        t);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return put_event(p->eventWait.event, false, t);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return put_event(p->eventRecord.event, true, t);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return put_memops(&(CUDA_BATCH_MEM_OP_NODE_PARAMS){.ctx = p->memOp.ctx,
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
    const struct target t = {.graph = graph, .before = before, .data = data, .n = n, .made = node};
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    switch ((int)params->type) {
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return give(CU_GRAPH_NODE_TYPE_EMPTY, NULL, NULL, &t);
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
