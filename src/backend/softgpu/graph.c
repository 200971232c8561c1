/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs as structures: nodes, edges, copies, order, and the calls that ask and change them. */
#include "backend/softgpu/graph.h"

#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t ids;

void soft_graphs_lock(void)
{
    pthread_mutex_lock(&lock);
}

void soft_graphs_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- bodies ---- */

struct soft_body *soft_body_new(CUgraphNodeType type, struct soft_context *context,
                                struct soft_command *command)
{
    struct soft_body *body = calloc(1, sizeof(*body));
    if (!body) {
        if (command)
            soft_command_free(command);
        return NULL;
    }
    atomic_init(&body->references, 1);
    body->type = type;
    body->context = context ? soft_object_retain(context) : NULL;
    body->command = command;
    return body;
}

struct soft_body *soft_body_retain(struct soft_body *body)
{
    atomic_fetch_add_explicit(&body->references, 1, memory_order_relaxed);
    return body;
}

void soft_body_release(struct soft_body *body)
{
    /* acq_rel: what other holders did comes before the end. */
    if (!body || atomic_fetch_sub_explicit(&body->references, 1, memory_order_acq_rel) != 1)
        return;
    if (body->command)
        soft_command_free(body->command);
    soft_object_release(body->context);
    free(body);
}

/* ---- edges ---- */

static bool add_to(struct soft_edges *edges, struct soft_node *node, const CUgraphEdgeData *data)
{
    struct soft_edge *more = realloc(edges->at, (edges->n + 1) * sizeof(*more));
    if (!more)
        return false;
    edges->at = more;
    edges->at[edges->n++] =
        (struct soft_edge){.node = node, .data = data ? *data : (CUgraphEdgeData){0}};
    return true;
}

static bool remove_from(struct soft_edges *edges, const struct soft_node *node,
                        const CUgraphEdgeData *data)
{
    for (size_t i = 0; i < edges->n; i++) {
        if (edges->at[i].node != node ||
            (data && memcmp(&edges->at[i].data, data, sizeof(*data)) != 0))
            continue;
        memmove(edges->at + i, edges->at + i + 1, (edges->n - i - 1) * sizeof(*edges->at));
        edges->n--;
        return true;
    }
    return false;
}

static bool has_edge(const struct soft_edges *edges, const struct soft_node *node)
{
    for (size_t i = 0; i < edges->n; i++)
        if (edges->at[i].node == node)
            return true;
    return false;
}

/* Ports other than the first are for kernels' ends. CUDA driver API, CUgraphEdgeData. */
static bool data_is_good(const struct soft_node *from, const CUgraphEdgeData *data)
{
    static const unsigned char zeros[sizeof(data->reserved)];
    if (!data)
        return true;
    if (data->type > CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC || data->to_port ||
        data->from_port > CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER ||
        memcmp(data->reserved, zeros, sizeof(zeros)) != 0)
        return false;
    return (data->type == 0 && data->from_port == 0) ||
           from->body->type == CU_GRAPH_NODE_TYPE_KERNEL;
}

CUresult soft_edge_add(struct soft_node *from, struct soft_node *to, const CUgraphEdgeData *data)
{
    if (from == to || from->graph != to->graph || has_edge(&from->to, to) ||
        !data_is_good(from, data))
        return CUDA_ERROR_INVALID_VALUE;
    if (!add_to(&from->to, to, data))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (add_to(&to->from, from, data))
        return CUDA_SUCCESS;
    from->to.n--;
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* By depth; a node that was seen is not looked at again. */
static bool leads_to(const struct soft_node *from, const struct soft_node *to, bool *seen)
{
    if (from == to)
        return true;
    if (seen[to->index])
        return false;
    seen[to->index] = true;
    for (size_t i = 0; i < to->from.n; i++)
        if (leads_to(from, to->from.at[i].node, seen))
            return true;
    return false;
}

static void number_nodes(const struct soft_graph *graph)
{
    for (size_t i = 0; i < graph->n; i++)
        graph->nodes[i]->index = i;
}

bool soft_node_precedes(const struct soft_node *from, const struct soft_node *to)
{
    bool *seen = calloc(from->graph->n + 1, sizeof(*seen));
    if (!seen)
        return false;
    number_nodes(from->graph);
    bool found = leads_to(from, to, seen);
    free(seen);
    return found;
}

bool soft_graph_order(const struct soft_graph *graph, struct soft_node **order)
{
    size_t n = 0, done = 0;
    for (size_t i = 0; i < graph->n; i++) {
        graph->nodes[i]->waits = graph->nodes[i]->from.n;
        if (!graph->nodes[i]->waits)
            order[n++] = graph->nodes[i];
    }
    for (; done < n; done++)
        for (size_t i = 0; i < order[done]->to.n; i++)
            if (--order[done]->to.at[i].node->waits == 0)
                order[n++] = order[done]->to.at[i].node;
    return n == graph->n;
}

/* ---- nodes ---- */

static void destroy_node(void *object)
{
    struct soft_node *node = object;
    for (size_t i = 0; i < node->ngraphs; i++) {
        node->graphs[i]->owner = NULL;
        soft_object_unlist(node->graphs[i]);
    }
    free(node->graphs);
    free(node->from.at);
    free(node->to.at);
    soft_body_release(node->body);
}

struct soft_node *soft_node_add(struct soft_graph *graph, struct soft_body *body)
{
    if (graph->n == graph->room) {
        size_t room = graph->room ? 2 * graph->room : 8;
        struct soft_node **more = realloc(graph->nodes, room * sizeof(struct soft_node *));
        if (!more) {
            soft_body_release(body);
            return NULL;
        }
        graph->nodes = more;
        graph->room = room;
    }
    struct soft_node *node = soft_object_new(SOFT_NODE, sizeof(*node), NULL, destroy_node);
    if (!node) {
        soft_body_release(body);
        return NULL;
    }
    node->graph = graph;
    node->body = body;
    node->id = atomic_fetch_add(&ids, 1) + 1;
    graph->nodes[graph->n++] = node;
    graph->has_memory |=
        body->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || body->type == CU_GRAPH_NODE_TYPE_MEM_FREE;
    soft_object_list(node);
    return node;
}

void soft_node_remove(struct soft_node *node)
{
    struct soft_graph *graph = node->graph;
    for (size_t i = 0; i < node->from.n; i++)
        remove_from(&node->from.at[i].node->to, node, NULL);
    for (size_t i = 0; i < node->to.n; i++)
        remove_from(&node->to.at[i].node->from, node, NULL);
    for (size_t i = 0; i < graph->n; i++)
        if (graph->nodes[i] == node) {
            memmove(graph->nodes + i, graph->nodes + i + 1,
                    (graph->n - i - 1) * sizeof(struct soft_node *));
            graph->n--;
            break;
        }
    soft_object_unlist(node);
}

bool soft_node_embed(struct soft_node *node, struct soft_graph *graph)
{
    struct soft_graph **more =
        realloc(node->graphs, (node->ngraphs + 1) * sizeof(struct soft_graph *));
    if (!more)
        return false;
    node->graphs = more;
    node->graphs[node->ngraphs++] = graph;
    graph->owner = node;
    if (graph->has_memory)
        node->graph->has_memory = true;
    return true;
}

/* ---- graphs ---- */

static void destroy_graph(void *object)
{
    struct soft_graph *graph = object;
    for (size_t i = 0; i < graph->n; i++)
        soft_object_unlist(graph->nodes[i]);
    free(graph->nodes);
    soft_users_clear(&graph->users);
}

struct soft_graph *soft_graph_new(void)
{
    struct soft_graph *graph = soft_object_new(SOFT_GRAPH, sizeof(*graph), NULL, destroy_graph);
    if (graph)
        graph->id = atomic_fetch_add(&ids, 1) + 1;
    return graph;
}

/* The list's own reference keeps it while the lock is held. */
struct soft_graph *soft_graph_get(CUgraph handle)
{
    SOFT_HOLD struct soft_graph *graph = soft_object_get(handle, SOFT_GRAPH);
    return graph;
}

struct soft_node *soft_node_get(CUgraphNode handle)
{
    SOFT_HOLD struct soft_node *node = soft_object_get(handle, SOFT_NODE);
    return node;
}

static struct soft_node *copy_node(struct soft_graph *to, const struct soft_node *from)
{
    struct soft_node *node = soft_node_add(to, soft_body_retain(from->body));
    if (!node)
        return NULL;
    node->origin = from->id;
    node->conditional = from->conditional;
    node->condition = from->condition;
    node->disabled = from->disabled;
    memcpy(node->attributes, from->attributes, sizeof(node->attributes));
    for (size_t i = 0; i < from->ngraphs; i++) {
        struct soft_graph *inner = soft_graph_copy(from->graphs[i]);
        if (!inner)
            return NULL;
        soft_object_list(inner);
        if (!soft_node_embed(node, inner)) {
            soft_object_unlist(inner);
            return NULL;
        }
    }
    return node;
}

static bool copy_edges(struct soft_graph *to, const struct soft_graph *from)
{
    for (size_t i = 0; i < from->n; i++)
        for (size_t k = 0; k < from->nodes[i]->from.n; k++) {
            const struct soft_edge *edge = &from->nodes[i]->from.at[k];
            if (soft_edge_add(to->nodes[edge->node->index], to->nodes[i], &edge->data) !=
                CUDA_SUCCESS)
                return false;
        }
    return true;
}

struct soft_graph *soft_graph_copy(const struct soft_graph *graph)
{
    struct soft_graph *copy = soft_graph_new();
    if (!copy)
        return NULL;
    bool good = soft_users_copy(&copy->users, &graph->users);
    for (size_t i = 0; i < graph->n && good; i++)
        good = copy_node(copy, graph->nodes[i]) != NULL;
    number_nodes(graph);
    if (good && copy_edges(copy, graph))
        return copy;
    soft_object_release(copy);
    return NULL;
}

struct soft_node *soft_graph_find(const struct soft_graph *graph, uint64_t origin)
{
    for (size_t i = 0; i < graph->n; i++) {
        struct soft_node *node = graph->nodes[i];
        if (node->origin == origin)
            return node;
        for (size_t k = 0; k < node->ngraphs; k++) {
            struct soft_node *found = soft_graph_find(node->graphs[k], origin);
            if (found)
                return found;
        }
    }
    return NULL;
}

/* ---- life ---- */

SOFT_API CUresult cuGraphCreate(CUgraph *handle, unsigned flags)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!handle || flags)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_graph *graph = soft_graph_new();
    if (!graph)
        return CUDA_ERROR_OUT_OF_MEMORY;
    soft_object_list(graph);
    *handle = (CUgraph)graph;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuGraphDestroy(CUgraph handle)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_GRAPHS_LOCKED;
    struct soft_graph *graph = soft_graph_get(handle);
    if (!graph || graph->owner || graph->capture)
        return CUDA_ERROR_INVALID_VALUE;
    soft_object_unlist(graph);
    return CUDA_SUCCESS;
}

/* A graph inside of a node, or one with memory of its own, is one only. */
SOFT_API CUresult cuGraphClone(CUgraph *handle, CUgraph original)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_GRAPHS_LOCKED;
    const struct soft_graph *graph = soft_graph_get(original);
    if (!handle || !graph)
        return CUDA_ERROR_INVALID_VALUE;
    if (graph->has_memory)
        return CUDA_ERROR_NOT_SUPPORTED;
    struct soft_graph *copy = soft_graph_copy(graph);
    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    soft_object_list(copy);
    *handle = (CUgraph)copy;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuGraphNodeFindInClone(CUgraphNode *found, CUgraphNode original, CUgraph clone)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_graph *graph = soft_graph_get(clone);
    const struct soft_node *node = soft_node_get(original);
    if (!found || !graph || !node)
        return CUDA_ERROR_INVALID_VALUE;
    *found = (CUgraphNode)soft_graph_find(graph, node->id);
    return *found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuGraphDestroyNode(CUgraphNode handle)
{
    SOFT_GRAPHS_LOCKED;
    struct soft_node *node = soft_node_get(handle);
    if (!node)
        return CUDA_ERROR_INVALID_VALUE;
    if (node->graph->has_memory)
        return CUDA_ERROR_NOT_SUPPORTED;
    soft_node_remove(node);
    return CUDA_SUCCESS;
}

/* ---- changes ---- */

static CUresult change_edge(const struct soft_graph *graph, CUgraphNode from_handle,
                            CUgraphNode to_handle, const CUgraphEdgeData *data, bool add)
{
    struct soft_node *from = soft_node_get(from_handle), *to = soft_node_get(to_handle);
    if (!from || !to || from->graph != graph || to->graph != graph)
        return CUDA_ERROR_INVALID_VALUE;
    if (add)
        return soft_edge_add(from, to, data);
    if (!remove_from(&from->to, to, data))
        return CUDA_ERROR_INVALID_VALUE;
    remove_from(&to->from, from, data);
    return CUDA_SUCCESS;
}

static CUresult change_edges(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                             const CUgraphEdgeData *data, size_t n, bool add)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_graph *graph = soft_graph_get(handle);
    if (!graph || (n && (!from || !to)))
        return CUDA_ERROR_INVALID_VALUE;
    if (!add && graph->has_memory)
        return CUDA_ERROR_NOT_SUPPORTED;
    for (size_t i = 0; i < n; i++) {
        CUresult result = change_edge(graph, from[i], to[i], data ? &data[i] : NULL, add);
        if (result != CUDA_SUCCESS)
            return result;
    }
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from,
                                            const CUgraphNode *to, const CUgraphEdgeData *data,
                                            size_t n)
{
    return change_edges(graph, from, to, data, n, true);
}

SOFT_API CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from,
                                         const CUgraphNode *to, size_t n)
{
    return change_edges(graph, from, to, NULL, n, true);
}

SOFT_API CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode *from,
                                               const CUgraphNode *to, const CUgraphEdgeData *data,
                                               size_t n)
{
    return change_edges(graph, from, to, data, n, false);
}

SOFT_API CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from,
                                            const CUgraphNode *to, size_t n)
{
    return change_edges(graph, from, to, NULL, n, false);
}
