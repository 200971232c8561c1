/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes of graphs: every call that gives a node its parameters becomes one message. What asks for
 * them is in node_ask.c.
 */
#include "shim/cuda/graph.h"

#include "shim/cuda/callback.h"
#include "shim/cuda/code.h"
#include "shim/cuda/staging.h"

#include <stdlib.h>

#define MOST_OPERATIONS 256u
#define MOST_ACCESS     64u
#define MOST_BODIES     65536u

/* ---- giving parameters ---- */

/* Where they go. */
struct target {
    wh_cuda_target target;
    CUgraphExec exec;
    const CUgraphNode *before;
    const CUgraphEdgeData *edges;
    size_t n;
    CUgraphNode *made;
};

#define NEW                                                                             \
    (&(struct target){.target = {.how = WH_CUDA_NODE_NEW, .id = wh_cuda_number(graph)}, \
                      .before = before,                                                 \
                      .n = n,                                                           \
                      .made = node})
#define CHANGE (&(struct target){.target = {.how = WH_CUDA_NODE_SET, .id = wh_cuda_number(node)}})
#define CHANGE_EXEC                                                                     \
    (&(struct target){.target = {.how = WH_CUDA_NODE_EXEC, .id = wh_cuda_number(node)}, \
                      .exec = exec})

/* One message, as it fills. */
struct request {
    const struct target *t;
    wh_cuda_node node;
    CUcontext context;
    CUfunction function;
    CUkernel kernel;
    CUarray to, from;
    CUevent event;
    struct wh_cuda_staged staged;
    size_t size;
    const void *bytes;
    CUdeviceptr address;
};

static CUresult send(struct request *r)
{
    const struct target *t = r->t;
    uint64_t made = 0;
    if (t->n > WH_CUDA_MOST_NODES || (t->n && !t->before) ||
        (t->target.how == WH_CUDA_NODE_NEW && !t->made))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_node_put(
        &t->target, t->exec, (unsigned)t->n, (const uint64_t *)t->before, t->edges, &r->node,
        r->context, r->function, r->kernel, r->to, r->from, r->event, r->staged.size,
        r->staged.offset, r->size, r->bytes, &made, (uint64_t *)&r->address);
    if (result == CUDA_SUCCESS && t->made)
        *t->made = wh_cuda_node_handle(made);
    if (result == CUDA_SUCCESS && t->target.how == WH_CUDA_NODE_SET)
        wh_cuda_nodes_forget(0, t->target.id);
    return result;
}

/* The current context where the program names none. */
static CUresult name_context(struct request *r, CUcontext context)
{
    r->context = context ? context : wh_cuda_current();
    return r->context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

/* ---- kernels ---- */

static CUresult pack_extra(struct request *r, void **extra)
{
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            r->bytes = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
            r->size = *(const size_t *)extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    return r->size > WH_CUDA_MOST_PARAMS || (r->size && !r->bytes) ? CUDA_ERROR_INVALID_VALUE
                                                                   : send(r);
}

static CUresult pack_params(struct request *r, struct wh_object *code, void **params)
{
    const struct wh_cuda_layout *layout;
    CUresult result = wh_cuda_layout_of(code, &layout);
    if (result != CUDA_SUCCESS)
        return result;
    if (layout->n && !params)
        return CUDA_ERROR_INVALID_VALUE;
    uint8_t *packed = calloc(1, layout->size + 1);
    if (!packed)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < layout->n; i++)
        memcpy(packed + layout->param[i].offset, params[i], layout->param[i].size);
    r->bytes = packed;
    r->size = layout->size;
    result = send(r);
    free(packed);
    return result;
}

/* cudart gives a kernel of a library in a function's place, as in launches. */
static CUresult put_kernel(const CUDA_KERNEL_NODE_PARAMS_v2 *p, const struct target *t)
{
    struct request r = {.t = t, .node.type = CU_GRAPH_NODE_TYPE_KERNEL};
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!p || (!p->func && !p->kern) || (p->kernelParams && p->extra))
        return CUDA_ERROR_INVALID_VALUE;
    struct wh_object *code = wh_cuda_object(p->func ? (const void *)p->func : p->kern, 0);
    if (!code || (code->type != WH_CUDA_TYPE_CUfunction && code->type != WH_CUDA_TYPE_CUkernel))
        return CUDA_ERROR_INVALID_HANDLE;
    if (code->type == WH_CUDA_TYPE_CUfunction)
        r.function = (CUfunction)code;
    else
        r.kernel = (CUkernel)code;
    r.node.grid = (wh_cuda_grid){.grid = {p->gridDimX, p->gridDimY, p->gridDimZ},
                                 .block = {p->blockDimX, p->blockDimY, p->blockDimZ},
                                 .shared = p->sharedMemBytes};
    r.context = p->ctx;
    return p->extra ? pack_extra(&r, p->extra) : pack_params(&r, code, p->kernelParams);
}

static CUDA_KERNEL_NODE_PARAMS_v2 newer(const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
    CUDA_KERNEL_NODE_PARAMS_v2 params = {0};
    if (p)
        memcpy(&params, p, sizeof(*p)); /* the newer one begins as the older one */
    return params;
}

WH_EXPORT CUresult cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph,
                                           const CUgraphNode *before, size_t n,
                                           const CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    return put_kernel(params, NEW);
}

WH_EXPORT CUresult cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                        size_t n, const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return put_kernel(&p, NEW);
}

WH_EXPORT CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode node,
                                                 const CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    return put_kernel(params, CHANGE);
}

WH_EXPORT CUresult cuGraphKernelNodeSetParams(CUgraphNode node,
                                              const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return put_kernel(&p, CHANGE);
}

WH_EXPORT CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                                     const CUDA_KERNEL_NODE_PARAMS_v2 *params)
{
    return put_kernel(params, CHANGE_EXEC);
}

WH_EXPORT CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                  const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    const CUDA_KERNEL_NODE_PARAMS_v2 p = newer(params);
    return put_kernel(&p, CHANGE_EXEC);
}

/* ---- copies and sets ---- */

static CUresult put_copy(const CUDA_MEMCPY3D *p, CUcontext context, const struct target *t)
{
    struct request r = {.t = t, .node.type = CU_GRAPH_NODE_TYPE_MEMCPY};
    struct wh_cuda_sides sides;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!p || !p->WidthInBytes || !p->Height || !p->Depth)
        return CUDA_ERROR_INVALID_VALUE;
    result = name_context(&r, context);
    if (result == CUDA_SUCCESS)
        result = wh_cuda_sides_of(p, &sides);
    if (result == CUDA_SUCCESS)
        result = wh_cuda_stage_sides(&sides, &r.staged);
    if (result != CUDA_SUCCESS)
        return result;
    r.node.box = r.staged.box;
    r.node.token = r.staged.token;
    r.to = sides.to.array;
    r.from = sides.from.array;
    result = send(&r);
    if (result != CUDA_SUCCESS)
        wh_cuda_unstage(&r.staged);
    return result;
}

WH_EXPORT CUresult cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                        size_t n, const CUDA_MEMCPY3D *params, CUcontext context)
{
    return put_copy(params, context, NEW);
}

WH_EXPORT CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *params)
{
    return put_copy(params, NULL, CHANGE);
}

WH_EXPORT CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                  const CUDA_MEMCPY3D *params, CUcontext context)
{
    return put_copy(params, context, CHANGE_EXEC);
}

static CUresult put_set(const CUDA_MEMSET_NODE_PARAMS *p, CUcontext context, const struct target *t)
{
    struct request r = {.t = t, .node.type = CU_GRAPH_NODE_TYPE_MEMSET};
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    r.node.set = *p;
    result = name_context(&r, context);
    return result == CUDA_SUCCESS ? send(&r) : result;
}

WH_EXPORT CUresult cuGraphAddMemsetNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                        size_t n, const CUDA_MEMSET_NODE_PARAMS *params,
                                        CUcontext context)
{
    return put_set(params, context, NEW);
}

WH_EXPORT CUresult cuGraphMemsetNodeSetParams(CUgraphNode node,
                                              const CUDA_MEMSET_NODE_PARAMS *params)
{
    return put_set(params, NULL, CHANGE);
}

WH_EXPORT CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                  const CUDA_MEMSET_NODE_PARAMS *params,
                                                  CUcontext context)
{
    return put_set(params, context, CHANGE_EXEC);
}

/* ---- functions of the program ---- */

static CUresult put_host(CUhostFn function, void *user, const struct target *t)
{
    struct request r = {.t = t, .node.type = CU_GRAPH_NODE_TYPE_HOST};
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    r.node.token = wh_cuda_notice_add(&(struct wh_cuda_notice){.function = function, .user = user});
    if (!r.node.token)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = send(&r);
    if (result != CUDA_SUCCESS)
        wh_cuda_notice_drop(r.node.token);
    return result;
}

static CUresult put_host_params(const CUDA_HOST_NODE_PARAMS *p, const struct target *t)
{
    return p ? put_host(p->fn, p->userData, t) : CUDA_ERROR_INVALID_VALUE;
}

WH_EXPORT CUresult cuGraphAddHostNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                      size_t n, const CUDA_HOST_NODE_PARAMS *params)
{
    return put_host_params(params, NEW);
}

WH_EXPORT CUresult cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS *params)
{
    return put_host_params(params, CHANGE);
}

WH_EXPORT CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                const CUDA_HOST_NODE_PARAMS *params)
{
    return put_host_params(params, CHANGE_EXEC);
}

/* ---- operations on memory, events ---- */

static CUresult put_memops(CUcontext context, unsigned count, const CUstreamBatchMemOpParams *ops,
                           unsigned flags, const struct target *t)
{
    struct request r = {.t = t, .node.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP};
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (flags || count > MOST_OPERATIONS || (count && !ops))
        return CUDA_ERROR_INVALID_VALUE;
    r.node.count = count;
    r.bytes = ops;
    r.size = count * sizeof(*ops);
    result = name_context(&r, context);
    return result == CUDA_SUCCESS ? send(&r) : result;
}

static CUresult put_memop_params(const CUDA_BATCH_MEM_OP_NODE_PARAMS *p, const struct target *t)
{
    return p ? put_memops(p->ctx, p->count, p->paramArray, p->flags, t) : CUDA_ERROR_INVALID_VALUE;
}

WH_EXPORT CUresult cuGraphAddBatchMemOpNode(CUgraphNode *node, CUgraph graph,
                                            const CUgraphNode *before, size_t n,
                                            const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return put_memop_params(params, NEW);
}

WH_EXPORT CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode node,
                                                  const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return put_memop_params(params, CHANGE);
}

WH_EXPORT CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                      const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return put_memop_params(params, CHANGE_EXEC);
}

static CUresult put_event(CUgraphNodeType type, CUevent event, const struct target *t)
{
    struct request r = {.t = t, .node.type = type, .event = event};
    return event ? send(&r) : CUDA_ERROR_INVALID_HANDLE;
}

#define EVENT_NODES(name, type)                                                                   \
    WH_EXPORT CUresult cuGraphAdd##name##Node(CUgraphNode *node, CUgraph graph,                   \
                                              const CUgraphNode *before, size_t n, CUevent event) \
    {                                                                                             \
        return put_event(type, event, NEW);                                                       \
    }                                                                                             \
    WH_EXPORT CUresult cuGraph##name##NodeSetEvent(CUgraphNode node, CUevent event)               \
    {                                                                                             \
        return put_event(type, event, CHANGE);                                                    \
    }                                                                                             \
    WH_EXPORT CUresult cuGraphExec##name##NodeSetEvent(CUgraphExec exec, CUgraphNode node,        \
                                                       CUevent event)                             \
    {                                                                                             \
        return put_event(type, event, CHANGE_EXEC);                                               \
    }

EVENT_NODES(EventRecord, CU_GRAPH_NODE_TYPE_EVENT_RECORD)
EVENT_NODES(EventWait, CU_GRAPH_NODE_TYPE_WAIT_EVENT)

/* ---- memory ---- */

static CUresult put_allocation(CUDA_MEM_ALLOC_NODE_PARAMS *p, const struct target *t)
{
    struct request r = {.t = t, .node.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC};
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!p || p->accessDescCount > MOST_ACCESS || (p->accessDescCount && !p->accessDescs))
        return CUDA_ERROR_INVALID_VALUE;
    r.node.pool = p->poolProps;
    r.node.pool.win32SecurityAttributes = NULL;
    r.node.size = p->bytesize;
    r.node.count = p->accessDescCount;
    r.bytes = p->accessDescs;
    r.size = p->accessDescCount * sizeof(*p->accessDescs);
    result = send(&r);
    if (result != CUDA_SUCCESS)
        return result;
    p->dptr = r.address;
    wh_cuda_memory_add_graph(r.address, p->bytesize);
    return CUDA_SUCCESS;
}

static CUresult put_free(CUdeviceptr address, const struct target *t)
{
    struct request r = {.t = t, .node.type = CU_GRAPH_NODE_TYPE_MEM_FREE, .node.address = address};
    return send(&r);
}

WH_EXPORT CUresult cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph,
                                          const CUgraphNode *before, size_t n,
                                          CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    return put_allocation(params, NEW);
}

WH_EXPORT CUresult cuGraphAddMemFreeNode(CUgraphNode *node, CUgraph graph,
                                         const CUgraphNode *before, size_t n, CUdeviceptr address)
{
    return put_free(address, NEW);
}

/* ---- graphs in graphs ---- */

WH_EXPORT CUresult cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                       size_t n)
{
    struct request r = {.t = NEW, .node.type = CU_GRAPH_NODE_TYPE_EMPTY};
    return send(&r);
}

static CUresult put_child(CUgraph child, CUgraphChildGraphNodeOwnership ownership,
                          const struct target *t)
{
    struct request r = {.t = t,
                        .node.type = CU_GRAPH_NODE_TYPE_GRAPH,
                        .node.kind = ownership,
                        .node.graph = wh_cuda_number(child)};
    return ownership > CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE ? CUDA_ERROR_INVALID_VALUE : send(&r);
}

WH_EXPORT CUresult cuGraphAddChildGraphNode(CUgraphNode *node, CUgraph graph,
                                            const CUgraphNode *before, size_t n, CUgraph child)
{
    return put_child(child, CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE, NEW);
}

WH_EXPORT CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                      CUgraph child)
{
    return put_child(child, CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE, CHANGE_EXEC);
}

WH_EXPORT CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle *handle, CUgraph graph,
                                                  CUcontext context, unsigned int initial,
                                                  unsigned int flags)
{
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    if (!context && !(context = wh_cuda_current()))
        return CUDA_ERROR_INVALID_CONTEXT;
    return wh_cuda_call_conditional(wh_cuda_number(graph), context, initial, flags, handle);
}

/* The graphs of its bodies are asked for as soon as there is the node. */
static CUresult put_conditional(CUDA_CONDITIONAL_NODE_PARAMS *p, const struct target *t)
{
    struct request r = {.t = t,
                        .node.type = CU_GRAPH_NODE_TYPE_CONDITIONAL,
                        .node.kind = p->type,
                        .node.handle = p->handle,
                        .node.count = p->size};
    unsigned n = 0;
    if (p->size == 0 || p->size > MOST_BODIES)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = name_context(&r, p->ctx);
    if (result == CUDA_SUCCESS)
        result = send(&r);
    if (result != CUDA_SUCCESS)
        return result;
    uint64_t node = wh_cuda_number(*t->made);
    uint64_t *graphs = wh_cuda_node_keep(t->target.id, node, p->size * sizeof(*graphs));
    if (!graphs)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = wh_cuda_call_graph_list(WH_CUDA_LIST_INSIDE, node, p->size, graphs, NULL, NULL, &n);
    p->phGraph_out = (CUgraph *)(void *)graphs;
    return result == CUDA_SUCCESS && n != p->size ? CUDA_ERROR_UNKNOWN : result;
}

/* ---- by one structure for all kinds ---- */

static CUresult put_allocation_v2(CUDA_MEM_ALLOC_NODE_PARAMS_v2 *p, const struct target *t)
{
    CUDA_MEM_ALLOC_NODE_PARAMS params;
    _Static_assert(sizeof(params) == sizeof(*p), "both versions have the same members");
    memcpy(&params, p, sizeof(params));
    CUresult result = put_allocation(&params, t);
    p->dptr = params.dptr;
    return result;
}

static CUresult put_kernel_v3(const CUDA_KERNEL_NODE_PARAMS_v3 *p, const struct target *t)
{
    CUDA_KERNEL_NODE_PARAMS_v2 params;
    _Static_assert(sizeof(params) == sizeof(*p), "both versions have the same members");
    memcpy(&params, p, sizeof(params));
    return put_kernel(&params, t);
}

static CUresult put_set_v2(const CUDA_MEMSET_NODE_PARAMS_v2 *p, const struct target *t)
{
    const CUDA_MEMSET_NODE_PARAMS params = {.dst = p->dst,
                                            .pitch = p->pitch,
                                            .value = p->value,
                                            .elementSize = p->elementSize,
                                            .width = p->width,
                                            .height = p->height};
    return put_set(&params, p->ctx, t);
}

static CUresult put(CUgraphNodeParams *p, const struct target *t)
{
    bool is_new = t->target.how == WH_CUDA_NODE_NEW;
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return put_kernel_v3(&p->kernel, t);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return p->memcpy.flags ? CUDA_ERROR_INVALID_VALUE
                               : put_copy(&p->memcpy.copyParams, p->memcpy.copyCtx, t);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return put_set_v2(&p->memset, t);
    case CU_GRAPH_NODE_TYPE_HOST:
        return put_host(p->host.fn, p->host.userData, t);
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return put_child(p->graph.graph, p->graph.ownership, t);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return put_event(p->type, p->eventWait.event, t);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return put_event(p->type, p->eventRecord.event, t);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return put_memops(p->memOp.ctx, p->memOp.count, p->memOp.paramArray, p->memOp.flags, t);
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
        return CUDA_ERROR_NOT_SUPPORTED; /* there are no external semaphores */
    default:
        break;
    }
    if (!is_new)
        return CUDA_ERROR_INVALID_VALUE;
    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_EMPTY: {
        struct request r = {.t = t, .node.type = CU_GRAPH_NODE_TYPE_EMPTY};
        return send(&r);
    }
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return put_allocation_v2(&p->alloc, t);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return put_free(p->free.dptr, t);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return put_conditional(&p->conditional, t);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

WH_EXPORT CUresult cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                     const CUgraphEdgeData *edges, size_t n,
                                     CUgraphNodeParams *params)
{
    struct target t = *NEW;
    t.edges = edges;
    return node ? put(params, &t) : CUDA_ERROR_INVALID_VALUE;
}

WH_EXPORT CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *before,
                                  size_t n, CUgraphNodeParams *params)
{
    return node ? put(params, NEW) : CUDA_ERROR_INVALID_VALUE;
}

WH_EXPORT CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *params)
{
    return put(params, CHANGE);
}

WH_EXPORT CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                            CUgraphNodeParams *params)
{
    return put(params, CHANGE_EXEC);
}
