/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs as structures, and executable graphs: numbers in, the driver's handles to the driver. */
#include "backend/cuda/graph.h"
#include "backend/cuda/relay.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_LISTED (1u << 20)

/* ---- nodes by number ---- */

CUgraphNode *wh_cuda_nodes(struct wh_call *call, unsigned n, const uint64_t *numbers,
                           const struct wh_cuda_item *graph)
{
    CUgraphNode *nodes = wh_call_memory(call, (n + 1ull) * sizeof(CUgraphNode));
    if (!nodes || (n && !numbers))
        return NULL;
    for (unsigned i = 0; i < n; i++) {
        const struct wh_cuda_item *item = wh_cuda_item_find(call, numbers[i], WH_CUDA_NODE);
        if (!item || (graph && item->in != graph))
            return NULL;
        nodes[i] = wh_cuda_item_end(item);
    }
    return nodes;
}

/* The copy that a staging function belongs to: behind it, or before it. */
static CUgraphNode partner_of(struct wh_call *call, CUgraphNode node, bool *first)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUDA_HOST_NODE_PARAMS params;
    CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
    CUgraphNode other = NULL;
    bool staging = false;
    size_t n = 1;
    if (f->cuGraphNodeGetType(node, &type) != CUDA_SUCCESS || type != CU_GRAPH_NODE_TYPE_HOST ||
        f->cuGraphHostNodeGetParams(node, &params) != CUDA_SUCCESS)
        return NULL;
    const struct wh_cuda_relay *relay = wh_cuda_relay_of(&params, &staging);
    if (!relay || !staging)
        return NULL;
    *first = wh_cuda_relay_fills(relay);
    CUresult result = *first ? f->cuGraphNodeGetDependentNodes(node, &other, &n)
                             : f->cuGraphNodeGetDependencies(node, &other, &n);
    return result == CUDA_SUCCESS && n > 0 ? other : NULL;
}

struct wh_cuda_item *wh_cuda_node_item(struct wh_call *call, CUgraphNode node,
                                       struct wh_cuda_item *graph)
{
    struct wh_cuda_item *item = wh_cuda_item_known(call, WH_CUDA_NODE, node);
    bool first = false;
    if (item && item->in == graph)
        return item;
    CUgraphNode partner = partner_of(call, node, &first);
    if (!partner)
        return wh_cuda_item_of(call, WH_CUDA_NODE, node, graph);
    item = wh_cuda_item_of(call, WH_CUDA_NODE, partner, graph);
    if (item)
        wh_cuda_item_join(call, item, node, first);
    return item;
}

/* ---- life ---- */

static CUresult tell_graph(struct wh_call *call, CUresult result, CUgraph made,
                           struct wh_cuda_item *in, uint64_t *number)
{
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_cuda_item *item = wh_cuda_item_of(call, WH_CUDA_GRAPH, made, in);
    if (item && number)
        *number = item->number;
    return item ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult wh_cuda_do_graph_create(struct wh_call *call, unsigned flags, uint64_t *graph)
{
    CUgraph made = NULL;
    CUresult result = wh_cuda_driver(call)->cuGraphCreate(&made, flags);
    return tell_graph(call, result, made, NULL, graph);
}

/* What belongs to a node, or is being captured, is not the program's to destroy. */
CUresult wh_cuda_do_graph_destroy(struct wh_call *call, uint64_t graph)
{
    struct wh_cuda_item *item = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    if (!item || item->embedded || item->capturing)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuGraphDestroy(item->real);
    if (result == CUDA_SUCCESS)
        wh_cuda_item_drop(call, item);
    return result;
}

CUresult wh_cuda_do_graph_clone(struct wh_call *call, uint64_t graph, uint64_t *clone)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    CUgraph made = NULL;
    if (!item)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuGraphClone(&made, item->real);
    return tell_graph(call, result, made, NULL, clone);
}

CUresult wh_cuda_do_node_in_clone(struct wh_call *call, uint64_t node, uint64_t graph,
                                  uint64_t *found)
{
    const struct wh_cuda_item *original = wh_cuda_item_find(call, node, WH_CUDA_NODE);
    struct wh_cuda_item *clone = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    CUgraphNode real = NULL;
    if (!original || !clone)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result =
        wh_cuda_driver(call)->cuGraphNodeFindInClone(&real, original->real, clone->real);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_cuda_item *item = wh_cuda_node_item(call, real, clone);
    if (item && found)
        *found = item->number;
    return item ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult wh_cuda_do_node_destroy(struct wh_call *call, uint64_t node)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_item *item = wh_cuda_item_find(call, node, WH_CUDA_NODE);
    if (!item)
        return CUDA_ERROR_INVALID_VALUE;
    struct wh_cuda_relay *relay =
        wh_cuda_relay_in(call, item->companion ? item->companion : item->real);
    CUresult result = f->cuGraphDestroyNode(item->real);
    if (result == CUDA_SUCCESS && item->companion)
        result = f->cuGraphDestroyNode(item->companion);
    if (result == CUDA_SUCCESS && relay)
        wh_cuda_relay_let_go(call, relay, item->in->real, false);
    if (result == CUDA_SUCCESS)
        wh_cuda_item_drop(call, item);
    return result;
}

CUresult wh_cuda_do_node_type(struct wh_call *call, uint64_t node, CUgraphNodeType *type)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, node, WH_CUDA_NODE);
    if (!item || !type)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuGraphNodeGetType(item->real, type);
}

/* ---- lists ---- */

/* Everything that the driver lists. */
struct listing {
    size_t n;
    CUgraphNode *nodes, *others;
    CUgraphEdgeData *edges;
};

static CUresult query(struct wh_call *call, unsigned what, const struct wh_cuda_item *of,
                      struct listing *l)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    switch (what) {
    case WH_CUDA_LIST_NODES:
        return f->cuGraphGetNodes(of->real, l->nodes, &l->n);
    case WH_CUDA_LIST_ROOTS:
        return f->cuGraphGetRootNodes(of->real, l->nodes, &l->n);
    case WH_CUDA_LIST_EDGES:
        return f->cuGraphGetEdges_v2(of->real, l->nodes, l->others, l->edges, &l->n);
    case WH_CUDA_LIST_BEFORE:
        return f->cuGraphNodeGetDependencies_v2(wh_cuda_item_begin(of), l->nodes, l->edges, &l->n);
    default:
        return f->cuGraphNodeGetDependentNodes_v2(wh_cuda_item_end(of), l->nodes, l->edges, &l->n);
    }
}

/* Where edges carry something that the question leaves no room for, the driver says so: that is no
 * reason to count wrongly. */
static CUresult list_all(struct wh_call *call, unsigned what, const struct wh_cuda_item *of,
                         struct listing *l)
{
    *l = (struct listing){0};
    CUresult result = query(call, what, of, l);
    if (result != CUDA_SUCCESS)
        return result;
    if (l->n > MOST_LISTED)
        return CUDA_ERROR_NOT_SUPPORTED;
    l->nodes = wh_call_memory(call, (l->n + 1) * sizeof(*l->nodes));
    if (what == WH_CUDA_LIST_EDGES)
        l->others = wh_call_memory(call, (l->n + 1) * sizeof(*l->others));
    if (what >= WH_CUDA_LIST_EDGES)
        l->edges = wh_call_memory(call, (l->n + 1) * sizeof(*l->edges));
    if (call->fault)
        return CUDA_ERROR_OUT_OF_MEMORY;
    return l->n ? query(call, what, of, l) : CUDA_SUCCESS;
}

/* The two nodes of a staged copy are one, and the edge between them is none. */
static bool is_hidden(const struct wh_cuda_item *a, CUgraphNode node, const struct wh_cuda_item *b)
{
    return b ? a == b : a->companion == node;
}

static CUresult tell_list(struct wh_call *call, struct wh_cuda_item *graph, const struct listing *l,
                          bool both, unsigned room, uint64_t *nodes, uint64_t *others,
                          CUgraphEdgeData *edges, unsigned *n)
{
    unsigned told = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct wh_cuda_item *a = wh_cuda_node_item(call, l->nodes[i], graph);
        const struct wh_cuda_item *b =
            l->others ? wh_cuda_node_item(call, l->others[i], graph) : NULL;
        if (!a || (l->others && !b))
            return CUDA_ERROR_OUT_OF_MEMORY;
        if (both ? is_hidden(a, l->nodes[i], b) : false)
            continue;
        if (told < room) {
            if (nodes)
                nodes[told] = a->number;
            if (others && b)
                others[told] = b->number;
            if (edges && l->edges)
                edges[told] = l->edges[i];
        }
        told++;
    }
    if (n)
        *n = told;
    return CUDA_SUCCESS;
}

/* Graphs that belong to a node: a child is entered when it is asked for. */
static CUresult list_inside(struct wh_call *call, struct wh_cuda_item *node, unsigned room,
                            uint64_t *graphs, unsigned *n)
{
    CUgraph child = NULL;
    unsigned told = 0;
    if (wh_cuda_driver(call)->cuGraphChildGraphNodeGetGraph(node->real, &child) == CUDA_SUCCESS &&
        !wh_cuda_item_of(call, WH_CUDA_GRAPH, child, node))
        return CUDA_ERROR_OUT_OF_MEMORY;
    /* The list has what came last first. */
    for (const struct wh_cuda_item *graph = node->first; graph; graph = graph->next)
        told++;
    if (n)
        *n = told;
    for (const struct wh_cuda_item *graph = node->first; graph; graph = graph->next)
        if (--told < room && graphs)
            graphs[told] = graph->number;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_graph_list(struct wh_call *call, unsigned what, uint64_t of, unsigned room,
                               uint64_t *nodes, uint64_t *others, CUgraphEdgeData *edges,
                               unsigned *n)
{
    struct listing l;
    bool of_node = what >= WH_CUDA_LIST_BEFORE;
    struct wh_cuda_item *item = wh_cuda_item_find(call, of, of_node ? WH_CUDA_NODE : WH_CUDA_GRAPH);
    if (!item || what > WH_CUDA_LIST_INSIDE)
        return CUDA_ERROR_INVALID_VALUE;
    if (what == WH_CUDA_LIST_INSIDE)
        return list_inside(call, item, room, nodes, n);
    CUresult result = list_all(call, what, item, &l);
    if (result != CUDA_SUCCESS)
        return result;
    return tell_list(call, of_node ? item->in : item, &l,
                     what == WH_CUDA_LIST_NODES || what == WH_CUDA_LIST_EDGES, room, nodes, others,
                     edges, n);
}

/* ---- edges ---- */

CUresult wh_cuda_do_graph_connect(struct wh_call *call, uint64_t number, unsigned add, unsigned n,
                                  const uint64_t *from, const uint64_t *to,
                                  const CUgraphEdgeData *edges)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    const struct wh_cuda_item *graph = wh_cuda_item_find(call, number, WH_CUDA_GRAPH);
    CUgraphNode *first = graph ? wh_cuda_nodes(call, n, from, graph) : NULL;
    CUgraphNode *second = first ? wh_cuda_nodes(call, n, to, graph) : NULL;
    if (!second)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++)
        second[i] = wh_cuda_item_begin(wh_cuda_item_find(call, to[i], WH_CUDA_NODE));
    if (edges)
        return add ? f->cuGraphAddDependencies_v2(graph->real, first, second, edges, n)
                   : f->cuGraphRemoveDependencies_v2(graph->real, first, second, edges, n);
    return add ? f->cuGraphAddDependencies(graph->real, first, second, n)
               : f->cuGraphRemoveDependencies(graph->real, first, second, n);
}

/* ---- text: the driver writes it into a file that has no name ---- */

static CUresult read_back(int fd, size_t at, size_t room, char *text, size_t *size)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return CUDA_ERROR_OPERATING_SYSTEM;
    if (size)
        *size = (size_t)status.st_size;
    if (text && room && pread(fd, text, room, (off_t)at) < 0)
        return CUDA_ERROR_OPERATING_SYSTEM;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_graph_dot(struct wh_call *call, uint64_t graph, unsigned flags, size_t at,
                              size_t room, char *text, size_t *size)
{
    const struct wh_cuda_item *item = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    char path[40];
    if (!item || at > INT64_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    int fd = memfd_create("graph", MFD_CLOEXEC);
    if (fd < 0)
        return CUDA_ERROR_OPERATING_SYSTEM;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CUresult result = wh_cuda_driver(call)->cuGraphDebugDotPrint(item->real, path, flags);
    if (result == CUDA_SUCCESS)
        result = read_back(fd, at, room, text, size);
    close(fd);
    return result;
}

/* ---- executable graphs ---- */

/* The node that the driver names, as a number; 0: none. */
static uint64_t number_of(struct wh_call *call, CUgraphNode node, struct wh_cuda_item *graph)
{
    const struct wh_cuda_item *item = node ? wh_cuda_node_item(call, node, graph) : NULL;
    return item ? item->number : 0;
}

/* The executable graph holds what the graph holds: a keep of its own, too, by which it is known
 * when nobody can come any more to what its nodes are given later. Without one (memory is short)
 * that is kept as long as the session. */
static CUresult make_exec(struct wh_call *call, const struct wh_cuda_item *graph,
                          CUDA_GRAPH_INSTANTIATE_PARAMS *params, CUgraphExec *exec)
{
    struct wh_cuda_keep *keep = wh_cuda_keep_new(call, graph->real);
    CUresult result = wh_cuda_driver(call)->cuGraphInstantiateWithParams(exec, graph->real, params);
    wh_cuda_keep_given(call, keep, graph->real);
    if (result == CUDA_SUCCESS)
        wh_cuda_items_forget_exec(wh_cuda_state(call), *exec); /* that had the same handle */
    struct wh_cuda_item *item =
        result == CUDA_SUCCESS ? wh_cuda_item_of(call, WH_CUDA_EXEC, *exec, NULL) : NULL;
    if (item)
        item->keep = keep;
    else if (result != CUDA_SUCCESS)
        wh_cuda_keep_over(keep);
    return result;
}

CUresult wh_cuda_do_graph_instantiate(struct wh_call *call, uint64_t graph, uint64_t flags,
                                      CUstream upload, wh_cuda_instantiated *answer,
                                      CUgraphExec *exec)
{
    const cuuint64_t known = CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |
                             CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
                             CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
    struct wh_cuda_item *item = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = flags, .hUploadStream = upload};
    if (!answer || !exec)
        return CUDA_ERROR_INVALID_VALUE;
    answer->result = CUDA_GRAPH_INSTANTIATE_ERROR;
    answer->status = CUDA_ERROR_INVALID_VALUE;
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH) /* kernels would launch it by address */
        answer->status = CUDA_ERROR_NOT_SUPPORTED;
    if (!item || item->capturing || flags & ~known)
        return CUDA_SUCCESS;
    answer->status = make_exec(call, item, &params, exec);
    answer->result = params.result_out;
    answer->fickle = item->fickle;
    if (answer->status != CUDA_SUCCESS)
        answer->node = number_of(call, params.hErrNode_out, item);
    return CUDA_SUCCESS;
}

/* What the graph holds takes the place of what the executable graph held. */
static CUresult update_exec(struct wh_call *call, CUgraphExec exec,
                            const struct wh_cuda_item *graph, CUgraphExecUpdateResultInfo *info)
{
    struct wh_cuda_item *item = wh_cuda_item_known(call, WH_CUDA_EXEC, exec);
    struct wh_cuda_keep *keep = item ? wh_cuda_keep_new(call, graph->real) : NULL, *other = keep;
    CUresult result = wh_cuda_driver(call)->cuGraphExecUpdate_v2(exec, graph->real, info);
    wh_cuda_keep_given(call, keep, graph->real);
    if (result == CUDA_SUCCESS && keep) {
        other = item->keep;
        item->keep = keep;
    }
    wh_cuda_keep_over(other);
    return result;
}

CUresult wh_cuda_do_exec_update(struct wh_call *call, CUgraphExec exec, uint64_t graph,
                                wh_cuda_updated *answer)
{
    struct wh_cuda_item *item = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    if (!item || !exec || !answer)
        return CUDA_ERROR_INVALID_VALUE;
    answer->status = update_exec(call, exec, item, &info);
    answer->result = info.result;
    answer->node = number_of(call, info.errorNode, item);
    answer->from = number_of(call, info.errorFromNode, item);
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_cuGraphLaunch(struct wh_call *call, CUgraphExec exec, CUstream stream)
{
    const struct wh_cuda_item *item = wh_cuda_item_known(call, WH_CUDA_EXEC, exec);
    if (item && item->keep)
        wh_cuda_keep_launch(item->keep, wh_cuda_stream_captures(call, stream));
    return wh_cuda_driver(call)->cuGraphLaunch(exec, stream);
}

CUresult wh_cuda_do_graph_memory_set(struct wh_call *call, CUdevice device,
                                     CUgraphMem_attribute attribute, uint64_t value)
{
    return wh_cuda_driver(call)->cuDeviceSetGraphMemAttribute(device, attribute, &value);
}
