/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes: one message gives a node its parameters, whatever its kind, and one asks for them. All of
 * it becomes the driver's own structure here, after the checks that a call in a stream would meet.
 */
#include "backend/cuda/graph.h"
#include "backend/cuda/relay.h"

#include <string.h>

#define MOST_OPERATIONS 256u
#define MOST_ACCESS     64u
#define MOST_BODIES     65536u

/* One message, decoded. */
struct request {
    const wh_cuda_target *target;
    CUgraphExec exec;
    unsigned n;
    const uint64_t *before;
    const CUgraphEdgeData *edges;
    const wh_cuda_node *node;
    CUcontext context;
    CUfunction function;
    CUkernel kernel;
    CUarray to, from;
    CUevent event;
    size_t staged;
    void *stage;
    size_t size;
    const void *bytes;
    struct wh_cuda_item *item;   /* the graph of a new node, or the node */
    struct wh_cuda_relay *relay; /* until the driver has it */
    CUgraphNodeParams params;
    /* What the driver's structure points to. */
    void *extra[5];
    size_t packed;
};

/* ---- from the message to the driver's structure ---- */

static CUresult kernel_params(struct request *r)
{
    const wh_cuda_grid *g = &r->node->grid;
    r->extra[0] = CU_LAUNCH_PARAM_BUFFER_POINTER;
    r->extra[1] = (void *)(uintptr_t)r->bytes;
    r->extra[2] = CU_LAUNCH_PARAM_BUFFER_SIZE;
    r->extra[3] = &r->packed;
    r->extra[4] = CU_LAUNCH_PARAM_END;
    r->packed = r->size;
    if (!r->function && !r->kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    r->params.kernel = (CUDA_KERNEL_NODE_PARAMS_v3){.func = r->function,
                                                    .gridDimX = g->grid[0],
                                                    .gridDimY = g->grid[1],
                                                    .gridDimZ = g->grid[2],
                                                    .blockDimX = g->block[0],
                                                    .blockDimY = g->block[1],
                                                    .blockDimZ = g->block[2],
                                                    .sharedMemBytes = g->shared,
                                                    .extra = r->size ? r->extra : NULL,
                                                    .kern = r->function ? NULL : r->kernel,
                                                    .ctx = r->context};
    return CUDA_SUCCESS;
}

static CUresult copy_params(struct wh_call *call, struct request *r)
{
    r->params.memcpy.copyCtx = r->context;
    return wh_cuda_copy_params(call, &r->node->box, r->to, r->from, r->stage, r->staged,
                               &r->params.memcpy.copyParams);
}

static CUresult set_params(struct wh_call *call, struct request *r)
{
    const CUDA_MEMSET_NODE_PARAMS *set = &r->node->set;
    if ((set->elementSize != 1 && set->elementSize != 2 && set->elementSize != 4) ||
        !wh_cuda_owns_rows(call, set->dst, set->pitch, set->width, set->height, set->elementSize))
        return CUDA_ERROR_INVALID_VALUE;
    r->params.memset = (CUDA_MEMSET_NODE_PARAMS_v2){.dst = set->dst,
                                                    .pitch = set->pitch,
                                                    .value = set->value,
                                                    .elementSize = set->elementSize,
                                                    .width = set->width,
                                                    .height = set->height,
                                                    .ctx = r->context};
    return CUDA_SUCCESS;
}

/* ---- functions of the program ---- */

/* The graph that keeps a function which the new parameters name. */
static CUgraph keeper(const struct request *r)
{
    return r->item->kind == WH_CUDA_GRAPH ? r->item->real : r->item->in->real;
}

static CUresult make_relay(struct wh_call *call, struct request *r)
{
    const struct wh_cuda_item *exec =
        r->exec ? wh_cuda_item_known(call, WH_CUDA_EXEC, r->exec) : NULL;
    r->relay = r->target->how == WH_CUDA_NODE_EXEC
                   ? wh_cuda_relay_for_exec(call, r->node->token, exec ? exec->keep : NULL)
                   : wh_cuda_relay_keep(call, r->node->token, keeper(r));
    return r->relay ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The driver did not take it. */
static void drop_relay(struct wh_call *call, const struct request *r)
{
    if (r->relay && r->target->how == WH_CUDA_NODE_EXEC)
        wh_cuda_relay_refused(r->relay);
    else if (r->relay)
        wh_cuda_relay_let_go(call, r->relay, keeper(r), true);
}

/* The function that a node of a graph has; NULL: none of ours. */
static struct wh_cuda_relay *relay_of(struct wh_call *call, CUgraphNode node)
{
    CUDA_HOST_NODE_PARAMS params;
    bool staging;
    return wh_cuda_driver(call)->cuGraphHostNodeGetParams(node, &params) == CUDA_SUCCESS
               ? wh_cuda_relay_of(&params, &staging)
               : NULL;
}

static CUresult host_params(struct wh_call *call, struct request *r)
{
    CUresult result = make_relay(call, r);
    r->params.host.fn = wh_cuda_relay_function(false);
    r->params.host.userData = r->relay;
    return result;
}

static CUresult child_params(struct wh_call *call, struct request *r)
{
    const struct wh_cuda_item *child = wh_cuda_item_find(call, r->node->graph, WH_CUDA_GRAPH);
    bool move = r->node->kind == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE;
    if (!child || child->capturing || (move && child->in))
        return CUDA_ERROR_INVALID_VALUE;
    /* Never into its own inside. */
    for (const struct wh_cuda_item *in = r->item; move && in; in = in->in)
        if (in == child)
            return CUDA_ERROR_INVALID_VALUE;
    r->params.graph.graph = child->real;
    r->params.graph.ownership = r->node->kind;
    return CUDA_SUCCESS;
}

static CUresult memop_params(struct wh_call *call, struct request *r)
{
    size_t count = r->node->count;
    if (count > MOST_OPERATIONS || r->size != count * sizeof(CUstreamBatchMemOpParams))
        return CUDA_ERROR_INVALID_VALUE;
    CUstreamBatchMemOpParams *own = wh_call_memory(call, r->size + 1);
    if (!own || (count && !r->bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (count)
        memcpy(own, r->bytes, r->size);
    for (size_t i = 0; i < count; i++)
        if (!wh_cuda_memop_is_good(call, &own[i]))
            return CUDA_ERROR_INVALID_VALUE;
    r->params.memOp.ctx = r->context;
    r->params.memOp.count = (unsigned)count;
    r->params.memOp.paramArray = own;
    return CUDA_SUCCESS;
}

static CUresult allocation_params(struct request *r)
{
    const wh_cuda_node *node = r->node;
    if (node->count > MOST_ACCESS || r->size != node->count * sizeof(CUmemAccessDesc) ||
        node->pool.handleTypes != CU_MEM_HANDLE_TYPE_NONE)
        return CUDA_ERROR_INVALID_VALUE;
    r->params.alloc.poolProps = node->pool;
    r->params.alloc.poolProps.win32SecurityAttributes = NULL;
    r->params.alloc.accessDescs = node->count ? r->bytes : NULL;
    r->params.alloc.accessDescCount = node->count;
    r->params.alloc.bytesize = node->size;
    return CUDA_SUCCESS;
}

static CUresult free_params(struct wh_call *call, struct request *r)
{
    struct wh_cuda_range range;
    if (!wh_cuda_ranges_find(wh_cuda_state(call)->ranges, r->node->address, 1, &range))
        return CUDA_ERROR_INVALID_VALUE;
    r->params.free.dptr = r->node->address;
    return CUDA_SUCCESS;
}

/* A value that the driver did not give is not passed to it. */
static CUresult conditional_params(struct wh_call *call, struct request *r)
{
    if (!wh_cuda_conditional_is_known(call, r->node->handle) || r->node->count > MOST_BODIES)
        return CUDA_ERROR_INVALID_VALUE;
    r->params.conditional.handle = r->node->handle;
    r->params.conditional.type = r->node->kind;
    r->params.conditional.size = (unsigned)r->node->count;
    r->params.conditional.ctx = r->context;
    return CUDA_SUCCESS;
}

static CUresult make_params(struct wh_call *call, struct request *r)
{
    bool is_new = r->target->how == WH_CUDA_NODE_NEW;
    r->params.type = r->node->type;
    switch (r->node->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return kernel_params(r);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return copy_params(call, r);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return set_params(call, r);
    case CU_GRAPH_NODE_TYPE_HOST:
        return host_params(call, r);
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return r->target->how == WH_CUDA_NODE_SET ? CUDA_ERROR_INVALID_VALUE
                                                  : child_params(call, r);
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return is_new ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        r->params.eventWait.event = r->event;
        return r->event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        r->params.eventRecord.event = r->event;
        return r->event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return memop_params(call, r);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return is_new ? allocation_params(r) : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return is_new ? free_params(call, r) : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return is_new ? conditional_params(call, r) : CUDA_ERROR_INVALID_VALUE;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- staged copies: two nodes ---- */

static bool is_staged(const struct request *r)
{
    return r->node->type == CU_GRAPH_NODE_TYPE_MEMCPY &&
           (r->node->box.to.kind == WH_CUDA_PLACE_STAGED ||
            r->node->box.from.kind == WH_CUDA_PLACE_STAGED);
}

static bool fills(const struct request *r)
{
    return r->node->box.from.kind == WH_CUDA_PLACE_STAGED;
}

/* The function by which the client moves the bytes, as parameters of a node. */
static CUresult staging_params(struct wh_call *call, struct request *r, CUgraphNodeParams *p)
{
    CUresult result = make_relay(call, r);
    if (result != CUDA_SUCCESS)
        return result;
    if (fills(r))
        wh_cuda_relay_set_fills(r->relay);
    memset(p, 0, sizeof(*p));
    p->type = CU_GRAPH_NODE_TYPE_HOST;
    p->host.fn = wh_cuda_relay_function(true);
    p->host.userData = r->relay;
    return CUDA_SUCCESS;
}

static CUresult add(struct wh_call *call, struct request *r, const CUgraphNode *before,
                    const CUgraphEdgeData *edges, size_t n, CUgraphNodeParams *params,
                    CUgraphNode *made)
{
    return wh_cuda_driver(call)->cuGraphAddNode_v2(made, r->item->real, before, edges, n, params);
}

/* Both or none: what was made stays when the second fails, and hangs there without effect. */
static CUresult add_staged(struct wh_call *call, struct request *r, const CUgraphNode *before,
                           CUgraphNode *made, CUgraphNode *companion)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUgraphNodeParams staging;
    CUgraphNode first = NULL, second = NULL;
    CUresult result = staging_params(call, r, &staging);
    if (result != CUDA_SUCCESS)
        return result;
    CUgraphNodeParams *order[] = {fills(r) ? &staging : &r->params,
                                  fills(r) ? &r->params : &staging};
    result = add(call, r, before, r->edges, r->n, order[0], &first);
    if (result != CUDA_SUCCESS)
        return result;
    result = add(call, r, &first, NULL, 1, order[1], &second);
    if (result != CUDA_SUCCESS) {
        f->cuGraphDestroyNode(first);
        return result;
    }
    *made = fills(r) ? second : first;
    *companion = fills(r) ? first : second;
    return CUDA_SUCCESS;
}

/* ---- new nodes ---- */

/* An allocation's memory may be named by calls from here on, as long as the graph is known. */
static CUresult enter_memory(struct wh_call *call, const struct request *r, uint64_t *address)
{
    *address = r->params.alloc.dptr;
    return wh_cuda_graph_memory_add(call, r->params.alloc.dptr, r->node->size)
               ? CUDA_SUCCESS
               : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The graphs that the driver made inside of the new node, or took into it. */
static CUresult enter_inside(struct wh_call *call, const struct request *r,
                             struct wh_cuda_item *node)
{
    if (r->node->type == CU_GRAPH_NODE_TYPE_GRAPH &&
        r->node->kind == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE) {
        struct wh_cuda_item *child = wh_cuda_item_find(call, r->node->graph, WH_CUDA_GRAPH);
        r->item->fickle |= child->fickle;
        wh_cuda_item_move(child, node);
        return CUDA_SUCCESS;
    }
    for (unsigned i = 0;
         r->node->type == CU_GRAPH_NODE_TYPE_CONDITIONAL && i < r->params.conditional.size; i++)
        if (!wh_cuda_item_of(call, WH_CUDA_GRAPH, r->params.conditional.phGraph_out[i], node))
            return CUDA_ERROR_OUT_OF_MEMORY;
    return CUDA_SUCCESS;
}

static CUresult add_node(struct wh_call *call, struct request *r, uint64_t *number,
                         uint64_t *address)
{
    CUgraphNode made = NULL, companion = NULL;
    CUgraphNode *before = wh_cuda_nodes(call, r->n, r->before, r->item);
    if (!before)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = is_staged(r) ? add_staged(call, r, before, &made, &companion)
                                   : add(call, r, before, r->edges, r->n, &r->params, &made);
    if (result != CUDA_SUCCESS)
        return result;
    r->relay = NULL;
    struct wh_cuda_item *item = wh_cuda_item_of(call, WH_CUDA_NODE, made, r->item);
    if (!item)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (companion)
        wh_cuda_item_join(call, item, companion, fills(r));
    if (r->node->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC ||
        r->node->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
        r->item->fickle = true;
    *number = item->number;
    if (r->node->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
        return enter_memory(call, r, address);
    return enter_inside(call, r, item);
}

/* ---- new parameters ---- */

static CUresult set_params_of(struct wh_call *call, const struct request *r, CUgraphNode node,
                              CUgraphNodeParams *params)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    return r->target->how == WH_CUDA_NODE_EXEC ? f->cuGraphExecNodeSetParams(r->exec, node, params)
                                               : f->cuGraphNodeSetParams(node, params);
}

/* A node that calls a function of the program: that which it called is let go. */
static CUresult change_function(struct wh_call *call, struct request *r, CUgraphNode node,
                                CUgraphNodeParams *params)
{
    struct wh_cuda_relay *had = relay_of(call, node);
    CUresult result = set_params_of(call, r, node, params);
    if (result != CUDA_SUCCESS)
        return result;
    if (r->target->how == WH_CUDA_NODE_EXEC)
        wh_cuda_relay_taken(r->relay, node);
    else if (had)
        wh_cuda_relay_let_go(call, had, keeper(r), false);
    r->relay = NULL;
    return CUDA_SUCCESS;
}

/* A staged copy stays one, and one that is not does not become one. */
static CUresult change_node(struct wh_call *call, struct request *r)
{
    CUgraphNodeParams staging;
    if (r->target->how == WH_CUDA_NODE_EXEC && !r->exec)
        return CUDA_ERROR_INVALID_HANDLE;
    if (is_staged(r) != (r->item->companion != NULL) ||
        (is_staged(r) && fills(r) != r->item->companion_first))
        return CUDA_ERROR_NOT_SUPPORTED;
    if (r->node->type == CU_GRAPH_NODE_TYPE_HOST)
        return change_function(call, r, r->item->real, &r->params);
    if (!is_staged(r))
        return set_params_of(call, r, r->item->real, &r->params);
    CUresult result = staging_params(call, r, &staging);
    if (result == CUDA_SUCCESS)
        result = set_params_of(call, r, r->item->real, &r->params);
    return result == CUDA_SUCCESS ? change_function(call, r, r->item->companion, &staging) : result;
}

CUresult wh_cuda_do_node_put(struct wh_call *call, const wh_cuda_target *target, CUgraphExec exec,
                             unsigned n, const uint64_t *before, const CUgraphEdgeData *edges,
                             const wh_cuda_node *node, CUcontext context, CUfunction function,
                             CUkernel kernel, CUarray to, CUarray from, CUevent event,
                             size_t staged, void *stage, size_t size, const void *bytes,
                             uint64_t *made, uint64_t *address)
{
    struct request r = {.target = target,
                        .exec = exec,
                        .n = n,
                        .before = before,
                        .edges = edges,
                        .node = node,
                        .context = context,
                        .function = function,
                        .kernel = kernel,
                        .to = to,
                        .from = from,
                        .event = event,
                        .staged = staged,
                        .stage = stage,
                        .size = bytes ? size : 0,
                        .bytes = bytes};
    uint64_t own_number = 0, own_address = 0;
    if (!target || !node || target->how > WH_CUDA_NODE_EXEC)
        return CUDA_ERROR_INVALID_VALUE;
    bool is_new = target->how == WH_CUDA_NODE_NEW;
    r.item = wh_cuda_item_find(call, target->id, is_new ? WH_CUDA_GRAPH : WH_CUDA_NODE);
    if (!r.item)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = make_params(call, &r);
    if (result == CUDA_SUCCESS)
        result = is_new ? add_node(call, &r, &own_number, &own_address) : change_node(call, &r);
    if (result != CUDA_SUCCESS)
        drop_relay(call, &r);
    if (made)
        *made = own_number;
    if (address)
        *address = own_address;
    return result;
}

/* ---- what a node has ---- */

/* Where a node's parameters come back. */
struct answer {
    wh_cuda_node *node;
    CUfunction *function;
    CUkernel *kernel;
    CUarray *to, *from;
    CUevent *event;
    size_t room;
    uint8_t *bytes;
    size_t size; /* of all, however much room there is */
};

static void give_bytes(struct answer *a, size_t at, const void *from, size_t size)
{
    if (a->bytes && at < a->room)
        memcpy(a->bytes + at, from, size < a->room - at ? size : a->room - at);
    if (at + size > a->size)
        a->size = at + size;
}

/* The driver gives pointers to parameters, or a buffer, as they were given to it. */
static CUresult pack_params(struct wh_call *call, const CUDA_KERNEL_NODE_PARAMS *p,
                            struct answer *a)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    for (void *const *extra = p->extra; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2)
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
            a->size = *(const size_t *)extra[1];
    for (void *const *extra = p->extra; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2)
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            give_bytes(a, 0, extra[1], a->size);
    for (size_t i = 0; p->kernelParams; i++) {
        size_t offset = 0, size = 0;
        CUresult result = p->func ? f->cuFuncGetParamInfo(p->func, i, &offset, &size)
                                  : f->cuKernelGetParamInfo(p->kern, i, &offset, &size);
        if (result != CUDA_SUCCESS)
            return result == CUDA_ERROR_INVALID_VALUE ? CUDA_SUCCESS : result;
        give_bytes(a, offset, p->kernelParams[i], size);
    }
    return CUDA_SUCCESS;
}

static CUresult get_kernel(struct wh_call *call, CUgraphNode node, struct answer *a)
{
    CUDA_KERNEL_NODE_PARAMS p = {0};
    CUresult result = wh_cuda_driver(call)->cuGraphKernelNodeGetParams_v2(node, &p);
    if (result != CUDA_SUCCESS)
        return result;
    a->node->grid = (wh_cuda_grid){.grid = {p.gridDimX, p.gridDimY, p.gridDimZ},
                                   .block = {p.blockDimX, p.blockDimY, p.blockDimZ},
                                   .shared = p.sharedMemBytes};
    if (a->kernel)
        *a->kernel = p.kern;
    if (a->function && !p.kern) /* the client knows a kernel's functions by the kernel */
        *a->function = p.func;
    return pack_params(call, &p, a);
}

static void tell_place(CUmemorytype type, const void *host, CUdeviceptr device, size_t pitch,
                       size_t height, wh_cuda_place *place)
{
    place->kind = type == CU_MEMORYTYPE_ARRAY ? WH_CUDA_PLACE_ARRAY : WH_CUDA_PLACE_LINEAR;
    place->address = type == CU_MEMORYTYPE_HOST ? (uintptr_t)host : device;
    place->pitch = pitch;
    place->height = height;
}

/* Of a staged copy the side in the arena is not told: the client knows it by the token. */
static CUresult get_copy(struct wh_call *call, const struct wh_cuda_item *item, struct answer *a)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    wh_cuda_box *box = &a->node->box;
    CUDA_HOST_NODE_PARAMS staging;
    CUDA_MEMCPY3D p;
    bool is_staging = false;
    CUresult result = f->cuGraphMemcpyNodeGetParams(item->real, &p);
    if (result == CUDA_SUCCESS && item->companion)
        result = f->cuGraphHostNodeGetParams(item->companion, &staging);
    if (result != CUDA_SUCCESS)
        return result;
    box->width = p.WidthInBytes;
    box->height = p.Height;
    box->depth = p.Depth;
    tell_place(p.dstMemoryType, p.dstHost, p.dstDevice, p.dstPitch, p.dstHeight, &box->to);
    tell_place(p.srcMemoryType, p.srcHost, p.srcDevice, p.srcPitch, p.srcHeight, &box->from);
    box->to.x = p.dstXInBytes, box->to.y = p.dstY, box->to.z = p.dstZ;
    box->from.x = p.srcXInBytes, box->from.y = p.srcY, box->from.z = p.srcZ;
    if (a->to)
        *a->to = p.dstArray;
    if (a->from)
        *a->from = p.srcArray;
    if (item->companion) {
        const struct wh_cuda_relay *relay = wh_cuda_relay_of(&staging, &is_staging);
        a->node->token = relay ? wh_cuda_relay_token(relay) : 0;
        *(item->companion_first ? &box->from : &box->to) =
            (wh_cuda_place){.kind = WH_CUDA_PLACE_STAGED};
    }
    return CUDA_SUCCESS;
}

static CUresult get_host(struct wh_call *call, CUgraphNode node, struct answer *a)
{
    CUDA_HOST_NODE_PARAMS p;
    bool staging;
    CUresult result = wh_cuda_driver(call)->cuGraphHostNodeGetParams(node, &p);
    const struct wh_cuda_relay *relay =
        result == CUDA_SUCCESS ? wh_cuda_relay_of(&p, &staging) : NULL;
    a->node->token = relay ? wh_cuda_relay_token(relay) : 0;
    return result;
}

static CUresult get_memops(struct wh_call *call, CUgraphNode node, struct answer *a)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS p = {0};
    CUresult result = wh_cuda_driver(call)->cuGraphBatchMemOpNodeGetParams(node, &p);
    if (result != CUDA_SUCCESS)
        return result;
    a->node->count = p.count;
    if (p.count)
        give_bytes(a, 0, p.paramArray, p.count * sizeof(*p.paramArray));
    return CUDA_SUCCESS;
}

static CUresult get_allocation(struct wh_call *call, CUgraphNode node, struct answer *a)
{
    CUDA_MEM_ALLOC_NODE_PARAMS p = {0};
    CUresult result = wh_cuda_driver(call)->cuGraphMemAllocNodeGetParams(node, &p);
    if (result != CUDA_SUCCESS)
        return result;
    a->node->pool = p.poolProps;
    a->node->pool.win32SecurityAttributes = NULL;
    a->node->size = p.bytesize;
    a->node->address = p.dptr;
    a->node->count = p.accessDescCount;
    if (p.accessDescCount)
        give_bytes(a, 0, p.accessDescs, p.accessDescCount * sizeof(*p.accessDescs));
    return CUDA_SUCCESS;
}

static CUresult get_params(struct wh_call *call, const struct wh_cuda_item *item, struct answer *a)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUevent event = NULL;
    CUresult result = CUDA_SUCCESS;
    switch (a->node->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return get_kernel(call, item->real, a);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return get_copy(call, item, a);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return f->cuGraphMemsetNodeGetParams(item->real, &a->node->set);
    case CU_GRAPH_NODE_TYPE_HOST:
        return get_host(call, item->real, a);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        result = f->cuGraphEventWaitNodeGetEvent(item->real, &event);
        break;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        result = f->cuGraphEventRecordNodeGetEvent(item->real, &event);
        break;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return get_memops(call, item->real, a);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return get_allocation(call, item->real, a);
    case CU_GRAPH_NODE_TYPE_MEM_FREE: {
        CUdeviceptr address = 0;
        result = f->cuGraphMemFreeNodeGetParams(item->real, &address);
        a->node->address = address;
        return result;
    }
    default:
        return CUDA_SUCCESS;
    }
    if (a->event && result == CUDA_SUCCESS)
        *a->event = event;
    return result;
}

CUresult wh_cuda_do_node_get(struct wh_call *call, uint64_t number, wh_cuda_node *now,
                             CUfunction *function, CUkernel *kernel, CUarray *to, CUarray *from,
                             CUevent *event, size_t room, void *bytes, size_t *size)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, number, WH_CUDA_NODE);
    struct answer a = {.node = now,
                       .function = function,
                       .kernel = kernel,
                       .to = to,
                       .from = from,
                       .event = event,
                       .room = room,
                       .bytes = bytes};
    CUgraphNodeType type;
    if (!item || !now)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuGraphNodeGetType(item->real, &type);
    if (result != CUDA_SUCCESS)
        return result;
    now->type = type;
    now->graph = item->in->number; /* the client keeps with it what it tells of the node */
    result = get_params(call, item, &a);
    if (size)
        *size = a.size;
    return result;
}

/* ---- attributes, and what an executable graph leaves out ---- */

CUresult wh_cuda_do_node_attribute(struct wh_call *call, uint64_t number, unsigned id,
                                   const CUlaunchAttributeValue *value, CUlaunchAttributeValue *now)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    const struct wh_cuda_item *item = wh_cuda_item_find(call, number, WH_CUDA_NODE);
    if (!item || !value == !now)
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_cuda_attribute_is_plain(id) && id != CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
        return CUDA_ERROR_INVALID_VALUE;
    if (now)
        return f->cuGraphKernelNodeGetAttribute(item->real, id, now);
    CUlaunchAttribute own = {.id = id, .value = *value};
    CUresult result = wh_cuda_check_attribute(call, &own, NULL);
    return result == CUDA_SUCCESS ? f->cuGraphKernelNodeSetAttribute(item->real, id, &own.value)
                                  : result;
}

CUresult wh_cuda_do_node_copy_attributes(struct wh_call *call, uint64_t to, uint64_t from)
{
    const struct wh_cuda_item *a = wh_cuda_item_find(call, to, WH_CUDA_NODE);
    const struct wh_cuda_item *b = wh_cuda_item_find(call, from, WH_CUDA_NODE);
    return a && b ? wh_cuda_driver(call)->cuGraphKernelNodeCopyAttributes(a->real, b->real)
                  : CUDA_ERROR_INVALID_VALUE;
}

/* Of a staged copy that is left out, its function would still move bytes. */
CUresult wh_cuda_do_node_enable(struct wh_call *call, CUgraphExec exec, uint64_t node,
                                unsigned enabled)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, node, WH_CUDA_NODE);
    if (!item || !exec)
        return CUDA_ERROR_INVALID_VALUE;
    if (item->companion)
        return CUDA_ERROR_NOT_SUPPORTED;
    return wh_cuda_driver(call)->cuGraphNodeSetEnabled(exec, item->real, enabled);
}

CUresult wh_cuda_do_node_enabled(struct wh_call *call, CUgraphExec exec, uint64_t node,
                                 unsigned *enabled)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, node, WH_CUDA_NODE);
    if (!item || !exec || !enabled)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuGraphNodeGetEnabled(exec, item->real, enabled);
}

/* ---- conditionals ---- */

CUresult wh_cuda_do_conditional(struct wh_call *call, uint64_t graph, CUcontext context,
                                unsigned initial, unsigned flags, uint64_t *handle)
{
    struct wh_cuda_item *item = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    CUgraphConditionalHandle made = 0;
    if (!item || !handle)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuGraphConditionalHandleCreate(&made, item->real,
                                                                           context, initial, flags);
    if (result != CUDA_SUCCESS)
        return result;
    *handle = made;
    return wh_cuda_conditional_add(call, item, made) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
