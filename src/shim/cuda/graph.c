/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs as structures, and executable graphs; nodes' parameters are in node.c. */
#include "shim/cuda/graph.h"
#include "shim/cuda/staging.h"

#include "base/log.h"
#include "shim/cuda/mirror.h"
#include "shim/cuda/observe.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- life ---- */

WH_EXPORT CUresult cuGraphCreate(CUgraph *graph, unsigned int flags)
{
    uint64_t number = 0;
    if (!graph)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_graph_create(flags, &number);
    if (result == CUDA_SUCCESS)
        *graph = wh_cuda_graph_handle(number);
    return result;
}

WH_EXPORT CUresult cuGraphDestroy(CUgraph graph)
{
    CUresult result = wh_cuda_call_graph_destroy(wh_cuda_number(graph));
    if (result == CUDA_SUCCESS)
        wh_cuda_nodes_forget(wh_cuda_number(graph), 0);
    wh_cuda_staging_reap();
    return result;
}

WH_EXPORT CUresult cuGraphClone(CUgraph *clone, CUgraph graph)
{
    uint64_t number = 0;
    if (!clone)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_graph_clone(wh_cuda_number(graph), &number);
    if (result == CUDA_SUCCESS)
        *clone = wh_cuda_graph_handle(number);
    return result;
}

WH_EXPORT CUresult cuGraphNodeFindInClone(CUgraphNode *found, CUgraphNode node, CUgraph clone)
{
    uint64_t number = 0;
    if (!found)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result =
        wh_cuda_call_node_in_clone(wh_cuda_number(node), wh_cuda_number(clone), &number);
    if (result == CUDA_SUCCESS)
        *found = wh_cuda_node_handle(number);
    return result;
}

WH_EXPORT CUresult cuGraphDestroyNode(CUgraphNode node)
{
    CUresult result = wh_cuda_call_node_destroy(wh_cuda_number(node));
    if (result == CUDA_SUCCESS)
        wh_cuda_nodes_forget(0, wh_cuda_number(node));
    return result;
}

WH_EXPORT CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType *type)
{
    return type ? wh_cuda_call_node_type(wh_cuda_number(node), type) : CUDA_ERROR_INVALID_VALUE;
}

/* ---- lists ---- */

struct list {
    unsigned n;
    uint64_t *nodes, *others;
    CUgraphEdgeData *edges;
};

static void free_list(struct list *l)
{
    free(l->nodes);
    free(l->others);
    free(l->edges);
}

/* Asks with some room, and again when there is more. */
static CUresult ask(unsigned what, uint64_t of, struct list *l)
{
    unsigned room = 64;
    CUresult result = CUDA_SUCCESS;
    *l = (struct list){0};
    do {
        free_list(l);
        if (l->n > room)
            room = l->n;
        l->nodes = calloc(room, sizeof(*l->nodes));
        l->others = calloc(room, sizeof(*l->others));
        l->edges = calloc(room, sizeof(*l->edges));
        if (!l->nodes || !l->others || !l->edges)
            return CUDA_ERROR_OUT_OF_MEMORY;
        result = wh_cuda_call_graph_list(what, of, room, l->nodes, l->others, l->edges, &l->n);
    } while (result == CUDA_SUCCESS && l->n > room && l->n <= WH_CUDA_MOST_NODES);
    if (result == CUDA_SUCCESS && l->n > room)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    return result;
}

/* Edges that say more than that one comes before the other. */
static bool has_data(const struct list *l)
{
    static const CUgraphEdgeData plain;
    for (unsigned i = 0; i < l->n; i++)
        if (memcmp(&l->edges[i], &plain, sizeof(plain)) != 0)
            return true;
    return false;
}

static void fill(CUgraphNode *to, const uint64_t *from, size_t n, size_t room)
{
    for (size_t i = 0; to && i < room; i++)
        to[i] = i < n ? wh_cuda_node_handle(from[i]) : NULL;
}

/* The rules of all lists: without room, how many there are; with more room than needed, the rest is
 * NULL. */
static CUresult give(struct list *l, CUgraphNode *nodes, CUgraphNode *others,
                     CUgraphEdgeData *edges, size_t *n)
{
    size_t room = nodes || others ? *n : 0, count = l->n;
    if ((nodes || others) && count > room)
        count = room;
    fill(nodes, l->nodes, count, room);
    fill(others, l->others, count, room);
    if (edges && count)
        memcpy(edges, l->edges, (count < room ? count : room) * sizeof(*edges));
    *n = nodes || others ? count : l->n;
    return CUDA_SUCCESS;
}

static CUresult list(unsigned what, const void *of, CUgraphNode *nodes, CUgraphNode *others,
                     CUgraphEdgeData *edges, size_t *n)
{
    struct list l;
    if (!n)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = ask(what, wh_cuda_number(of), &l);
    if (result == CUDA_SUCCESS && nodes && !edges && what >= WH_CUDA_LIST_EDGES && has_data(&l))
        result = CUDA_ERROR_LOSSY_QUERY;
    if (result == CUDA_SUCCESS)
        result = give(&l, nodes, others, edges, n);
    free_list(&l);
    return result;
}

WH_EXPORT CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *n)
{
    return list(WH_CUDA_LIST_NODES, graph, nodes, NULL, NULL, n);
}

WH_EXPORT CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode *nodes, size_t *n)
{
    return list(WH_CUDA_LIST_ROOTS, graph, nodes, NULL, NULL, n);
}

WH_EXPORT CUresult cuGraphGetEdges_v2(CUgraph graph, CUgraphNode *from, CUgraphNode *to,
                                      CUgraphEdgeData *edges, size_t *n)
{
    if (!from != !to)
        return CUDA_ERROR_INVALID_VALUE;
    return list(WH_CUDA_LIST_EDGES, graph, from, to, edges, n);
}

WH_EXPORT CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *n)
{
    return cuGraphGetEdges_v2(graph, from, to, NULL, n);
}

WH_EXPORT CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode *nodes,
                                                 CUgraphEdgeData *edges, size_t *n)
{
    return list(WH_CUDA_LIST_BEFORE, node, nodes, NULL, edges, n);
}

WH_EXPORT CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *nodes, size_t *n)
{
    return list(WH_CUDA_LIST_BEFORE, node, nodes, NULL, NULL, n);
}

WH_EXPORT CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode *nodes,
                                                   CUgraphEdgeData *edges, size_t *n)
{
    return list(WH_CUDA_LIST_BEHIND, node, nodes, NULL, edges, n);
}

WH_EXPORT CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *nodes, size_t *n)
{
    return list(WH_CUDA_LIST_BEHIND, node, nodes, NULL, NULL, n);
}

WH_EXPORT CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph *graph)
{
    struct list l;
    CUgraphNodeType type;
    if (!graph)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = cuGraphNodeGetType(node, &type);
    if (result == CUDA_SUCCESS && type != CU_GRAPH_NODE_TYPE_GRAPH)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    result = ask(WH_CUDA_LIST_INSIDE, wh_cuda_number(node), &l);
    if (result == CUDA_SUCCESS && l.n == 0)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *graph = wh_cuda_graph_handle(l.nodes[0]);
    free_list(&l);
    return result;
}

/* ---- edges ---- */

static CUresult connect(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                        const CUgraphEdgeData *edges, size_t n, bool add)
{
    if (n > WH_CUDA_MOST_NODES || (n && (!from || !to)))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_call_graph_connect(wh_cuda_number(graph), add, (unsigned)n,
                                      (const uint64_t *)from, (const uint64_t *)to, edges);
}

WH_EXPORT CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from,
                                             const CUgraphNode *to, const CUgraphEdgeData *edges,
                                             size_t n)
{
    return connect(graph, from, to, edges, n, true);
}

WH_EXPORT CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from,
                                          const CUgraphNode *to, size_t n)
{
    return connect(graph, from, to, NULL, n, true);
}

WH_EXPORT CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode *from,
                                                const CUgraphNode *to, const CUgraphEdgeData *edges,
                                                size_t n)
{
    return connect(graph, from, to, edges, n, false);
}

WH_EXPORT CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from,
                                             const CUgraphNode *to, size_t n)
{
    return connect(graph, from, to, NULL, n, false);
}

/* ---- text ---- */

static CUresult write_file(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return CUDA_ERROR_OPERATING_SYSTEM;
    bool whole = fwrite(text, 1, size, file) == size;
    return fclose(file) == 0 && whole ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}

/* The worker's driver writes it there; the program wants it in a file here. */
WH_EXPORT CUresult cuGraphDebugDotPrint(CUgraph graph, const char *path, unsigned int flags)
{
    size_t room = 64u << 10, size = 0;
    char *text = NULL;
    CUresult result = path ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    while (result == CUDA_SUCCESS && (!text || size > room)) {
        if (size > room)
            room = size;
        free(text);
        text = malloc(room);
        result = text ? wh_cuda_call_graph_dot(wh_cuda_number(graph), flags, 0, room, text, &size)
                      : CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result == CUDA_SUCCESS)
        result = write_file(path, text, size);
    free(text);
    return result;
}

/* ---- executable graphs ---- */

static CUresult instantiate(CUgraphExec *exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    wh_cuda_instantiated answer = {.result = CUDA_GRAPH_INSTANTIATE_ERROR};
    CUgraphExec made = NULL;
    p->hErrNode_out = NULL;
    p->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
    if (!exec)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_graph_instantiate(wh_cuda_number(graph), p->flags,
                                                     p->hUploadStream, &answer, &made);
    if (result != CUDA_SUCCESS)
        return result;
    p->hErrNode_out = wh_cuda_node_handle(answer.node);
    p->result_out = answer.result;
    if (answer.status != CUDA_SUCCESS)
        return answer.status;
    if (!made)
        return CUDA_ERROR_UNKNOWN;
    ((struct wh_object *)made)->word = answer.fickle;
    *exec = made;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph,
                                                CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    return params ? instantiate(exec, graph, params) : CUDA_ERROR_INVALID_VALUE;
}

WH_EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                               unsigned long long flags)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = flags};
    return instantiate(exec, graph, &params);
}

WH_EXPORT CUresult cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *node,
                                         char *log, size_t size)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {0};
    CUresult result = instantiate(exec, graph, &params);
    if (node)
        *node = params.hErrNode_out;
    if (log && size)
        *log = '\0';
    return result;
}

WH_EXPORT CUresult cuGraphInstantiate(CUgraphExec *exec, CUgraph graph, CUgraphNode *node,
                                      char *log, size_t size)
{
    return cuGraphInstantiate_v2(exec, graph, node, log, size);
}

/* Posted, unless the driver may refuse it: for the graph's own memory, or because of a capture. */
static CUresult launch(CUgraphExec exec, CUstream stream)
{
    struct wh_object *object = wh_cuda_object(exec, WH_CUDA_TYPE_CUgraphExec);
    uint64_t a[] = {(uintptr_t)exec, (uintptr_t)stream};
    CUresult result = wh_cuda_check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!object)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_mirrors_push(stream);
    if (result != CUDA_SUCCESS)
        return result;
    return object->word || wh_cuda_capturing() ? wh_cuda_call_now(WH_CUDA_cuGraphLaunch, a)
                                               : wh_cuda_post(WH_CUDA_cuGraphLaunch, a);
}

/* A profiler is told of the graph as a whole, since nodes cannot be timed from outside: as a graph,
 * or where it looks for kernels only, as one of those, which says what it is. */
static CUresult launch_observed(CUgraphExec exec, CUstream stream)
{
    static _Atomic bool said;
    const struct wh_object *object = wh_cuda_object(exec, WH_CUDA_TYPE_CUgraphExec);
    bool as_graph = wh_cuda_observes(WH_OBSERVE_GRAPHS);
    struct wh_cuda_work *work =
        wh_cuda_work_begin(as_graph ? WH_OBSERVE_GRAPHS : WH_OBSERVE_KERNELS, stream);
    if (work && as_graph && object)
        wh_cuda_work_told(work)->graph.id = object->id;
    else if (work) /* of the least size that readers take for one */
        wh_cuda_work_told(work)->kernel = (struct wh_observed_kernel){
            .name = "CUDA graph", .grid = {1, 1, 1}, .block = {1, 1, 1}};
    CUresult result = launch(exec, stream);
    wh_cuda_work_end(work, result);
    if (wh_cuda_observes(WH_OBSERVE_KERNELS) && !atomic_exchange(&said, true))
        wh_log("kernels of CUDA graphs are not profiled one by one");
    return result;
}

WH_EXPORT CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
    return wh_cuda_observing() ? launch_observed(exec, stream) : launch(exec, stream);
}

static CUresult update(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
    wh_cuda_updated answer = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    CUresult result = wh_cuda_call_exec_update(exec, wh_cuda_number(graph), &answer);
    *info = (CUgraphExecUpdateResultInfo){.result = answer.result,
                                          .errorNode = wh_cuda_node_handle(answer.node),
                                          .errorFromNode = wh_cuda_node_handle(answer.from)};
    return result == CUDA_SUCCESS ? answer.status : result;
}

WH_EXPORT CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph,
                                        CUgraphExecUpdateResultInfo *info)
{
    CUgraphExecUpdateResultInfo own;
    return update(exec, graph, info ? info : &own);
}

WH_EXPORT CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *node,
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

WH_EXPORT CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int enabled)
{
    return wh_cuda_call_node_enable(exec, wh_cuda_number(node), enabled);
}

WH_EXPORT CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int *enabled)
{
    return enabled ? wh_cuda_call_node_enabled(exec, wh_cuda_number(node), enabled)
                   : CUDA_ERROR_INVALID_VALUE;
}

/* ---- graphs' memory ---- */

WH_EXPORT CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute,
                                                void *value)
{
    uint64_t word;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&word, value, sizeof(word));
    return wh_cuda_call_graph_memory_set(device, attribute, word);
}
