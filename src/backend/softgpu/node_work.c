/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that run: what the API's calls say becomes a body, and can be asked for again.
 */
#include "backend/softgpu/node.h"

#include <stdlib.h>
#include <string.h>

/* ---- kernels ---- */

CUresult soft_put_kernel(const CUDA_KERNEL_NODE_PARAMS_v2 *p, const struct soft_target *t)
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
    return result == CUDA_SUCCESS ? soft_node_give(CU_GRAPH_NODE_TYPE_KERNEL, context, command, t)
                                  : result;
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
    return soft_put_kernel(params, NEW());
}

SOFT_API CUresult cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                       size_t n, const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return soft_put_kernel(&p, NEW());
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
    return soft_put_kernel(params, OF_NODE(node));
}

SOFT_API CUresult cuGraphKernelNodeSetParams(CUgraphNode node,
                                             const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return soft_put_kernel(&p, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                                    const CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    return soft_put_kernel(params, OF_EXEC(exec, node));
}

SOFT_API CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                 const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return soft_put_kernel(&p, OF_EXEC(exec, node));
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

CUresult soft_put_copy(const CUDA_MEMCPY3D *p, CUcontext ctx, const struct soft_target *t)
{
    struct soft_command *command;
    SOFT_HOLD struct soft_context *context;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_enter_context(ctx, &context);
    if (result == CUDA_SUCCESS)
        result = soft_copy_make(p, &command);
    return result == CUDA_SUCCESS ? soft_node_give(CU_GRAPH_NODE_TYPE_MEMCPY, context, command, t)
                                  : result;
}

SOFT_API CUresult cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                       size_t n, const CUDA_MEMCPY3D *params, CUcontext context)
{
    return soft_put_copy(params, context, NEW());
}

SOFT_API CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_MEMCPY, soft_copy_describe, params);
}

SOFT_API CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *params)
{
    return soft_put_copy(params, NULL, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                 const CUDA_MEMCPY3D *params, CUcontext context)
{
    return soft_put_copy(params, context, OF_EXEC(exec, node));
}

/* ---- sets ---- */

CUresult soft_put_set(const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx, const struct soft_target *t)
{
    struct soft_command *command;
    SOFT_HOLD struct soft_context *context;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_enter_context(ctx, &context);
    if (result == CUDA_SUCCESS)
        result = soft_set_make(p, &command);
    return result == CUDA_SUCCESS ? soft_node_give(CU_GRAPH_NODE_TYPE_MEMSET, context, command, t)
                                  : result;
}

SOFT_API CUresult cuGraphAddMemsetNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                       size_t n, const CUDA_MEMSET_NODE_PARAMS *params,
                                       CUcontext context)
{
    return soft_put_set(params, context, NEW());
}

SOFT_API CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_MEMSET, soft_set_describe, params);
}

SOFT_API CUresult cuGraphMemsetNodeSetParams(CUgraphNode node,
                                             const CUDA_MEMSET_NODE_PARAMS *params)
{
    return soft_put_set(params, NULL, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                 const CUDA_MEMSET_NODE_PARAMS *params,
                                                 CUcontext context)
{
    return soft_put_set(params, context, OF_EXEC(exec, node));
}

/* ---- functions of the program ---- */

CUresult soft_put_host(const CUDA_HOST_NODE_PARAMS *p, const struct soft_target *t)
{
    struct soft_command *command;
    CUresult result = soft_ready();
    if (result == CUDA_SUCCESS)
        result = p ? soft_call_make(p, &command) : CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? soft_node_give(CU_GRAPH_NODE_TYPE_HOST, NULL, command, t)
                                  : result;
}

SOFT_API CUresult cuGraphAddHostNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                     size_t n, const CUDA_HOST_NODE_PARAMS *params)
{
    return soft_put_host(params, NEW());
}

SOFT_API CUresult cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_HOST, soft_call_describe, params);
}

SOFT_API CUresult cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS *params)
{
    return soft_put_host(params, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                               const CUDA_HOST_NODE_PARAMS *params)
{
    return soft_put_host(params, OF_EXEC(exec, node));
}

/* ---- operations on memory ---- */

CUresult soft_put_memops(const CUDA_BATCH_MEM_OP_NODE_PARAMS *p, const struct soft_target *t)
{
    struct soft_command *command;
    SOFT_HOLD struct soft_context *context;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_enter_context(p->ctx, &context);
    if (result == CUDA_SUCCESS)
        result = soft_memops_make(p, &command);
    return result == CUDA_SUCCESS
               ? soft_node_give(CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, context, command, t)
               : result;
}

SOFT_API CUresult cuGraphAddBatchMemOpNode(CUgraphNode *node, CUgraph graph,
                                           const CUgraphNode *before, size_t n,
                                           const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return soft_put_memops(params, NEW());
}

SOFT_API CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode node,
                                                 CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    DESCRIBE(node, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, soft_memops_describe, params);
}

SOFT_API CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode node,
                                                 const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return soft_put_memops(params, OF_NODE(node));
}

SOFT_API CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                     const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return soft_put_memops(params, OF_EXEC(exec, node));
}

/* ---- events ---- */

CUresult soft_put_event(CUevent handle, bool record, const struct soft_target *t)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_command *command = soft_event_command(event, record);
    if (!command)
        return CUDA_ERROR_OUT_OF_MEMORY;
    return soft_node_give(record ? CU_GRAPH_NODE_TYPE_EVENT_RECORD : CU_GRAPH_NODE_TYPE_WAIT_EVENT,
                          NULL, command, t);
}

static CUresult get_event(CUgraphNode node, CUgraphNodeType type, CUevent *event)
{
    struct soft_body *body = soft_node_body(node, type);
    bool good = body && event;
    if (good)
        *event = soft_event_of(body->command);
    soft_body_release(body);
    return good ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

#define EVENT_NODES(name, type, record)                                                          \
    SOFT_API CUresult cuGraphAdd##name##Node(CUgraphNode *node, CUgraph graph,                   \
                                             const CUgraphNode *before, size_t n, CUevent event) \
    {                                                                                            \
        return soft_put_event(event, record, NEW());                                             \
    }                                                                                            \
    SOFT_API CUresult cuGraph##name##NodeGetEvent(CUgraphNode node, CUevent *event)              \
    {                                                                                            \
        return get_event(node, type, event);                                                     \
    }                                                                                            \
    SOFT_API CUresult cuGraph##name##NodeSetEvent(CUgraphNode node, CUevent event)               \
    {                                                                                            \
        return soft_put_event(event, record, OF_NODE(node));                                     \
    }                                                                                            \
    SOFT_API CUresult cuGraphExec##name##NodeSetEvent(CUgraphExec exec, CUgraphNode node,        \
                                                      CUevent event)                             \
    {                                                                                            \
        return soft_put_event(event, record, OF_EXEC(exec, node));                               \
    }

EVENT_NODES(EventRecord, CU_GRAPH_NODE_TYPE_EVENT_RECORD, true)
EVENT_NODES(EventWait, CU_GRAPH_NODE_TYPE_WAIT_EVENT, false)
