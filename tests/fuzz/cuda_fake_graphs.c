/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake's graphs: structure, functions that nodes call, executable copies and user objects, by
 * the driver's rules of who holds a reference and when a destructor runs. A handle of something
 * that went stops the program: the backend is to know. See cuda_fake.h.
 */
#include "cuda_fake.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ITEMS  512u /* graphs, nodes and user objects of a session */
#define MOST_LINKS  8u   /* of one node, or graph */
#define MOST_BODIES 2u

enum kind { GRAPH = 1, NODE, USER, EXEC };

/* Any of them. */
struct item {
    struct item *next;
    enum kind kind;
    bool dead, private; /* private: an executable graph's */
    /* a node */
    CUgraphNodeType type;
    CUDA_HOST_NODE_PARAMS host;
    CUDA_MEMCPY3D copy;
    struct item *in, *origin;
    struct item *from[MOST_LINKS], *bodies[MOST_BODIES];
    CUgraph told[MOST_BODIES];
    unsigned nfrom, nbodies;
    /* a graph: references to user objects */
    struct item *held[MOST_LINKS];
    unsigned count[MOST_LINKS];
    /* a user object */
    void *pointer;
    CUhostFn destructor;
    unsigned references;
    /* an executable graph */
    CUgraphExec exec;
    struct item *graph;
};

static struct item *items;
static unsigned nitems;

static struct item *new_item(enum kind kind)
{
    struct item *item = nitems < MOST_ITEMS ? calloc(1, sizeof(*item)) : NULL;
    if (!item)
        return NULL;
    item->kind = kind;
    item->next = items;
    items = item;
    nitems++;
    return item;
}

/* NULL stays NULL. */
static struct item *get(const void *handle, enum kind kind)
{
    struct item *item = items;
    while (item && item != handle)
        item = item->next;
    if (handle && (!item || item->kind != kind || item->dead || item->private))
        cuda_fake_stop("a graph's handle that is none", (uintptr_t)handle);
    return item;
}

/* ---- user objects ---- */

static void let_go(struct item *user, unsigned count)
{
    user->references -= count;
    if (user->references)
        return;
    user->dead = true;
    user->destructor(user->pointer);
}

static bool hold(struct item *graph, struct item *user, unsigned count)
{
    unsigned i = 0;
    while (i < MOST_LINKS && graph->held[i] != user)
        i++;
    for (unsigned k = 0; i == MOST_LINKS && k < MOST_LINKS; k++)
        if (!graph->held[k])
            i = k;
    if (i == MOST_LINKS)
        return false;
    graph->held[i] = user;
    graph->count[i] += count;
    return true;
}

/* ---- graphs ---- */

static void kill_graph(struct item *graph);

static void kill_node(struct item *node)
{
    node->dead = true;
    for (unsigned i = 0; i < node->nbodies; i++)
        kill_graph(node->bodies[i]);
    for (struct item *other = items; other; other = other->next)
        for (unsigned i = 0; other->kind == NODE && i < other->nfrom; i++)
            if (other->from[i] == node)
                other->from[i--] = other->from[--other->nfrom];
}

static void kill_graph(struct item *graph)
{
    if (graph->dead)
        return;
    graph->dead = true;
    for (struct item *node = items; node; node = node->next)
        if (node->kind == NODE && node->in == graph && !node->dead)
            kill_node(node);
    for (unsigned i = 0; i < MOST_LINKS; i++)
        if (graph->held[i])
            let_go(graph->held[i], graph->count[i]);
}

/* The driver's own end of executable graphs comes when it likes: here with the next call. */
static void sweep(void)
{
    for (struct item *exec = items; exec; exec = exec->next)
        if (exec->kind == EXEC && !exec->dead &&
            !cuda_fake_lives(exec->exec, WH_CUDA_TYPE_CUgraphExec)) {
            exec->dead = true;
            kill_graph(exec->graph);
        }
}

/* What stands for a node in a copy of its graph. */
static struct item *in_copy(const struct item *copy, const struct item *origin)
{
    for (struct item *node = items; node; node = node->next)
        if (node->kind == NODE && node->in == copy && node->origin == origin && !node->dead)
            return node;
    return NULL;
}

static struct item *copy_graph(struct item *graph, bool private);

static bool copy_node(struct item *to, const struct item *node, bool private)
{
    struct item *made = new_item(NODE);
    if (!made)
        return false;
    made->private = private;
    made->type = node->type;
    made->host = node->host;
    made->copy = node->copy;
    made->in = to;
    made->origin = (struct item *)(uintptr_t)node;
    for (; made->nbodies < node->nbodies; made->nbodies++)
        if (!(made->bodies[made->nbodies] = copy_graph(node->bodies[made->nbodies], private)))
            return false;
    return true;
}

static struct item *copy_graph(struct item *graph, bool private)
{
    struct item *copy = new_item(GRAPH), *last = items;
    if (!copy)
        return NULL;
    copy->private = private;
    for (struct item *node = last; node; node = node->next)
        if (node->kind == NODE && node->in == graph && !node->dead &&
            !copy_node(copy, node, private))
            return NULL;
    for (struct item *node = items; node; node = node->next)
        for (unsigned i = 0; node->kind == NODE && node->in == copy && i < node->origin->nfrom; i++)
            node->from[node->nfrom++] = in_copy(copy, node->origin->from[i]);
    for (unsigned i = 0; i < MOST_LINKS; i++)
        if (graph->held[i]) {
            copy->held[i] = graph->held[i];
            copy->count[i] = graph->count[i];
            graph->held[i]->references += graph->count[i];
        }
    return copy;
}

static CUresult create_graph(CUgraph *graph, unsigned flags)
{
    sweep();
    *graph = flags ? NULL : (CUgraph)new_item(GRAPH);
    return *graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult destroy_graph(CUgraph handle)
{
    kill_graph(get(handle, GRAPH));
    return CUDA_SUCCESS;
}

static CUresult clone_graph(CUgraph *clone, CUgraph handle)
{
    sweep();
    *clone = (CUgraph)copy_graph(get(handle, GRAPH), false);
    return *clone ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult find_in_clone(CUgraphNode *found, CUgraphNode node, CUgraph clone)
{
    *found = (CUgraphNode)in_copy(get(clone, GRAPH), get(node, NODE));
    return *found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- nodes ---- */

/* What the driver would read. */
static CUresult take_params(struct item *node, const CUgraphNodeParams *p)
{
    cuda_fake_read(p, sizeof(*p));
    node->type = p->type;
    if (p->type == CU_GRAPH_NODE_TYPE_HOST) {
        node->host = (CUDA_HOST_NODE_PARAMS){.fn = p->host.fn, .userData = p->host.userData};
        if (!p->host.fn)
            return CUDA_ERROR_INVALID_VALUE;
    } else if (p->type == CU_GRAPH_NODE_TYPE_MEMCPY) {
        node->copy = p->memcpy.copyParams;
    } else if (p->type != CU_GRAPH_NODE_TYPE_EMPTY && p->type != CU_GRAPH_NODE_TYPE_GRAPH &&
               p->type != CU_GRAPH_NODE_TYPE_MEMSET) {
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_SUCCESS;
}

static bool link_nodes(struct item *node, const CUgraphNode *before, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (node->nfrom == MOST_LINKS)
            return false;
        node->from[node->nfrom++] = get(before[i], NODE);
    }
    return true;
}

static CUresult embed(struct item *node, const CUgraphNodeParams *p)
{
    if (p->type != CU_GRAPH_NODE_TYPE_GRAPH)
        return CUDA_SUCCESS;
    struct item *child = get(p->graph.graph, GRAPH);
    if (p->graph.ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE)
        child = copy_graph(child, false);
    if (!child)
        return CUDA_ERROR_OUT_OF_MEMORY;
    node->bodies[node->nbodies++] = child;
    return CUDA_SUCCESS;
}

static CUresult add_node(CUgraphNode *made, CUgraph handle, const CUgraphNode *before,
                         const CUgraphEdgeData *edges, size_t n, CUgraphNodeParams *p)
{
    struct item *graph = get(handle, GRAPH), *node = new_item(NODE);
    if (!node)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (edges)
        cuda_fake_read(edges, n * sizeof(*edges));
    node->in = graph;
    CUresult result = take_params(node, p);
    if (result == CUDA_SUCCESS && !link_nodes(node, before, n))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = embed(node, p);
    if (result == CUDA_SUCCESS)
        *made = (CUgraphNode)node;
    else
        node->dead = true;
    return result;
}

static CUresult destroy_node(CUgraphNode node)
{
    kill_node(get(node, NODE));
    return CUDA_SUCCESS;
}

static CUresult set_node(CUgraphNode handle, CUgraphNodeParams *p)
{
    struct item *node = get(handle, NODE), changed = *node;
    if (node->type != p->type)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = take_params(&changed, p);
    if (result == CUDA_SUCCESS) {
        node->host = changed.host;
        node->copy = changed.copy;
    }
    return result;
}

static CUresult node_type(CUgraphNode node, CUgraphNodeType *type)
{
    *type = get(node, NODE)->type;
    return CUDA_SUCCESS;
}

static CUresult host_params(CUgraphNode handle, CUDA_HOST_NODE_PARAMS *params)
{
    const struct item *node = get(handle, NODE);
    if (node->type != CU_GRAPH_NODE_TYPE_HOST)
        return CUDA_ERROR_INVALID_VALUE;
    *params = node->host;
    return CUDA_SUCCESS;
}

static CUresult copy_params(CUgraphNode handle, CUDA_MEMCPY3D *params)
{
    const struct item *node = get(handle, NODE);
    if (node->type != CU_GRAPH_NODE_TYPE_MEMCPY)
        return CUDA_ERROR_INVALID_VALUE;
    *params = node->copy;
    return CUDA_SUCCESS;
}

static CUresult child_of(CUgraphNode handle, CUgraph *graph)
{
    const struct item *node = get(handle, NODE);
    if (node->type != CU_GRAPH_NODE_TYPE_GRAPH || !node->nbodies)
        return CUDA_ERROR_INVALID_VALUE;
    *graph = (CUgraph)node->bodies[0];
    return CUDA_SUCCESS;
}

/* ---- lists ---- */

static void tell(CUgraphNode *nodes, size_t room, size_t *told, const struct item *node)
{
    if (nodes && *told < room)
        nodes[*told] = (CUgraphNode)(uintptr_t)node;
    (*told)++;
}

static CUresult list_nodes(CUgraph handle, CUgraphNode *nodes, size_t *n)
{
    size_t told = 0;
    const struct item *graph = get(handle, GRAPH);
    for (const struct item *node = items; node; node = node->next)
        if (node->kind == NODE && node->in == graph && !node->dead)
            tell(nodes, *n, &told, node);
    *n = told;
    return CUDA_SUCCESS;
}

static CUresult list_before(CUgraphNode handle, CUgraphNode *nodes, size_t *n)
{
    size_t told = 0;
    const struct item *node = get(handle, NODE);
    for (unsigned i = 0; i < node->nfrom; i++)
        tell(nodes, *n, &told, node->from[i]);
    *n = told;
    return CUDA_SUCCESS;
}

static CUresult list_behind(CUgraphNode handle, CUgraphNode *nodes, size_t *n)
{
    size_t told = 0;
    const struct item *of = get(handle, NODE);
    for (const struct item *node = items; node; node = node->next)
        for (unsigned i = 0; node->kind == NODE && !node->dead && i < node->nfrom; i++)
            if (node->from[i] == of)
                tell(nodes, *n, &told, node);
    *n = told;
    return CUDA_SUCCESS;
}

/* ---- user objects, as the API has them ---- */

static CUresult create_user(CUuserObject *object, void *pointer, CUhostFn destructor,
                            unsigned count, unsigned flags)
{
    sweep();
    struct item *user = count && count < 1u << 20 && flags == CU_USER_OBJECT_NO_DESTRUCTOR_SYNC
                            ? new_item(USER)
                            : NULL;
    if (!user)
        return CUDA_ERROR_INVALID_VALUE;
    user->pointer = pointer;
    user->destructor = destructor;
    user->references = count;
    *object = (CUuserObject)user;
    return CUDA_SUCCESS;
}

static CUresult retain_user(CUuserObject object, unsigned count)
{
    struct item *user = get(object, USER);
    if (count >= 1u << 20 || user->references >= 1u << 24)
        return CUDA_ERROR_INVALID_VALUE;
    user->references += count;
    return CUDA_SUCCESS;
}

static CUresult release_user(CUuserObject object, unsigned count)
{
    struct item *user = get(object, USER);
    if (!count || count > user->references)
        return CUDA_ERROR_INVALID_VALUE;
    let_go(user, count);
    return CUDA_SUCCESS;
}

static CUresult graph_retains(CUgraph handle, CUuserObject object, unsigned count, unsigned flags)
{
    struct item *graph = get(handle, GRAPH), *user = get(object, USER);
    bool move = flags & CU_GRAPH_USER_OBJECT_MOVE;
    if (!count || count >= 1u << 20 || user->references >= 1u << 24 ||
        (move && count > user->references) || !hold(graph, user, count))
        return CUDA_ERROR_INVALID_VALUE;
    if (!move)
        user->references += count;
    return CUDA_SUCCESS;
}

static CUresult graph_releases(CUgraph handle, CUuserObject object, unsigned count)
{
    struct item *graph = get(handle, GRAPH), *user = get(object, USER);
    for (unsigned i = 0; i < MOST_LINKS; i++)
        if (graph->held[i] == user && count && count <= graph->count[i]) {
            graph->count[i] -= count;
            if (!graph->count[i])
                graph->held[i] = NULL;
            let_go(user, count);
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_INVALID_VALUE;
}

/* ---- executable graphs ---- */

static CUresult instantiate(CUgraphExec *made, CUgraph handle, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    sweep();
    struct item *graph = get(handle, GRAPH), *exec = new_item(EXEC);
    p->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
    if (!exec || !(exec->exec = cuda_fake_new(WH_CUDA_TYPE_CUgraphExec)) ||
        !(exec->graph = copy_graph(graph, true))) {
        if (exec)
            exec->dead = true;
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    p->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    *made = exec->exec;
    return CUDA_SUCCESS;
}

static struct item *find_exec(CUgraphExec handle)
{
    sweep();
    for (struct item *exec = items; exec; exec = exec->next)
        if (exec->kind == EXEC && exec->exec == handle && !exec->dead)
            return exec;
    (void)cuda_fake_lives(handle, WH_CUDA_TYPE_CUgraphExec);
    return NULL;
}

static CUresult set_in_exec(CUgraphExec handle, CUgraphNode node, CUgraphNodeParams *p)
{
    const struct item *exec = find_exec(handle);
    struct item *own = exec ? in_copy(exec->graph, get(node, NODE)) : NULL;
    if (!own || own->type != p->type)
        return CUDA_ERROR_INVALID_VALUE;
    return take_params(own, p);
}

static CUresult update(CUgraphExec handle, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
    struct item *exec = find_exec(handle), *want = get(graph, GRAPH);
    *info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED};
    size_t have = 0, wanted = 0;
    for (struct item *node = items; exec && node; node = node->next) {
        have += node->kind == NODE && node->in == exec->graph && !node->dead;
        wanted += node->kind == NODE && node->in == want && !node->dead;
    }
    struct item *copy = exec && have == wanted ? copy_graph(want, true) : NULL;
    if (!copy)
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    kill_graph(exec->graph);
    exec->graph = copy;
    info->result = CU_GRAPH_EXEC_UPDATE_SUCCESS;
    return CUDA_SUCCESS;
}

static void run(const struct item *graph)
{
    for (const struct item *node = items; node; node = node->next) {
        if (node->kind != NODE || node->in != graph || node->dead)
            continue;
        if (node->type == CU_GRAPH_NODE_TYPE_HOST)
            node->host.fn(node->host.userData);
        for (unsigned i = 0; i < node->nbodies; i++)
            run(node->bodies[i]);
    }
}

static CUresult launch(CUgraphExec handle, CUstream stream)
{
    const struct item *exec = find_exec(handle);
    if (!exec || !cuda_fake_stream_lives(stream))
        return CUDA_ERROR_INVALID_HANDLE;
    run(exec->graph);
    return CUDA_SUCCESS;
}

/* ---- the table ---- */

void cuda_fake_reset_graphs(void)
{
    while (items) {
        struct item *item = items;
        items = item->next;
        free(item);
    }
    nitems = 0;
}

void cuda_fake_fill_graphs(struct wh_cuda_functions_table *f)
{
    f->cuGraphCreate = create_graph;
    f->cuGraphDestroy = destroy_graph;
    f->cuGraphClone = clone_graph;
    f->cuGraphNodeFindInClone = find_in_clone;
    f->cuGraphAddNode_v2 = add_node;
    f->cuGraphDestroyNode = destroy_node;
    f->cuGraphNodeSetParams = set_node;
    f->cuGraphNodeGetType = node_type;
    f->cuGraphHostNodeGetParams = host_params;
    f->cuGraphMemcpyNodeGetParams = copy_params;
    f->cuGraphChildGraphNodeGetGraph = child_of;
    f->cuGraphGetNodes = list_nodes;
    f->cuGraphNodeGetDependencies = list_before;
    f->cuGraphNodeGetDependentNodes = list_behind;
    f->cuUserObjectCreate = create_user;
    f->cuUserObjectRetain = retain_user;
    f->cuUserObjectRelease = release_user;
    f->cuGraphRetainUserObject = graph_retains;
    f->cuGraphReleaseUserObject = graph_releases;
    f->cuGraphInstantiateWithParams = instantiate;
    f->cuGraphExecNodeSetParams = set_in_exec;
    f->cuGraphExecUpdate_v2 = update;
    f->cuGraphLaunch = launch;
}
