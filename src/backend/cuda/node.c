/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes: one message gives a node its parameters, whatever its kind. They become the driver's own
 * structure here, after the checks that a call in a stream would meet. What asks for them is in
 * node_ask.c.
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

struct wh_cuda_relay *wh_cuda_relay_in(struct wh_call *call, CUgraphNode node)
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
    struct wh_cuda_relay *had = wh_cuda_relay_in(call, node);
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
