/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable graphs: a private copy of a graph, whose nodes' bodies may be exchanged. A launch is
 * one command of its stream that runs the bodies as they are at that moment, one after the other in
 * an order that the edges allow.
 */
#include "backend/softgpu/exec.h"

#include <stdlib.h>
#include <string.h>

/* What one launch runs. */
struct run;

struct step {
    struct soft_body *body; /* a reference */
    struct soft_conditional *conditional;
    CUgraphConditionalNodeType condition;
    struct run **inner; /* a conditional's bodies */
    size_t ninner;
    void *read; /* what a copy brings, if it was read at the launch */
};

struct run {
    size_t n, room;
    struct step *steps;
};

struct graph_command {
    struct soft_command command;
    struct run *run;
    struct soft_graph *graph; /* a reference: what user objects wait for */
};

/* ---- conditionals ---- */

/* Never freed: a kernel may come late. There are as many as the program makes. */
static struct {
    pthread_mutex_t lock;
    struct soft_conditional **at;
    size_t n;
} conditionals = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Handles are odd, so that they are no addresses. */
struct soft_conditional *soft_conditional_find(uint64_t handle)
{
    struct soft_conditional *found = NULL;
    pthread_mutex_lock(&conditionals.lock);
    if (handle & 1 && handle >> 1 < conditionals.n)
        found = conditionals.at[handle >> 1];
    pthread_mutex_unlock(&conditionals.lock);
    return found;
}

void soft_conditional_set(uint64_t handle, unsigned value)
{
    struct soft_conditional *conditional = soft_conditional_find(handle);
    if (conditional)
        atomic_store(&conditional->value, value);
}

static struct soft_conditional *new_conditional(uint64_t graph, unsigned initial, unsigned flags)
{
    struct soft_conditional *conditional = calloc(1, sizeof(*conditional));
    if (!conditional)
        return NULL;
    pthread_mutex_lock(&conditionals.lock);
    struct soft_conditional **more =
        realloc(conditionals.at, (conditionals.n + 1) * sizeof(struct soft_conditional *));
    if (more) {
        conditionals.at = more;
        conditional->handle = conditionals.n << 1 | 1;
        conditionals.at[conditionals.n++] = conditional;
    }
    pthread_mutex_unlock(&conditionals.lock);
    if (!more) {
        free(conditional);
        return NULL;
    }
    conditional->graph = graph;
    conditional->initial = initial;
    conditional->flags = flags;
    return conditional;
}

SOFT_API CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle *handle, CUgraph graph,
                                                 CUcontext context, unsigned initial,
                                                 unsigned flags)
{
    SOFT_HOLD struct soft_context *held;
    CUresult result = soft_enter_context(context, &held);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_GRAPHS_LOCKED;
    const struct soft_graph *found = soft_graph_get(graph);
    if (!handle || !found || flags & ~(unsigned)CU_GRAPH_COND_ASSIGN_DEFAULT)
        return CUDA_ERROR_INVALID_VALUE;
    const struct soft_conditional *made = new_conditional(found->id, initial, flags);
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *handle = made->handle;
    return CUDA_SUCCESS;
}

/* ---- what a launch runs ---- */

static void free_run(struct run *run)
{
    if (!run)
        return;
    for (size_t i = 0; i < run->n; i++) {
        for (size_t k = 0; k < run->steps[i].ninner; k++)
            free_run(run->steps[i].inner[k]);
        free(run->steps[i].inner);
        soft_body_release(run->steps[i].body);
        free(run->steps[i].read);
    }
    free(run->steps);
    free(run);
}

static struct step *add_step(struct run *run)
{
    if (run->n == run->room) {
        size_t room = run->room ? 2 * run->room : 16;
        struct step *more = realloc(run->steps, room * sizeof(*more));
        if (!more)
            return NULL;
        run->steps = more;
        run->room = room;
    }
    memset(&run->steps[run->n], 0, sizeof(run->steps[0]));
    return &run->steps[run->n++];
}

static bool add_graph(struct run *run, const struct soft_graph *graph);

static bool add_conditional(struct run *run, const struct soft_node *node)
{
    struct step *step = add_step(run);
    if (!step)
        return false;
    step->body = soft_body_retain(node->body);
    step->conditional = soft_conditional_find(node->conditional);
    step->condition = node->condition;
    struct run **inner = calloc(node->ngraphs + 1, sizeof(*inner));
    if (!inner)
        return false;
    step->inner = inner;
    step->ninner = node->ngraphs; /* `step` moves with the next one */
    for (size_t i = 0; i < node->ngraphs; i++) {
        inner[i] = calloc(1, sizeof(**inner));
        if (!inner[i] || !add_graph(inner[i], node->graphs[i]))
            return false;
    }
    return true;
}

static bool add_node(struct run *run, const struct soft_node *node)
{
    if (node->disabled)
        return true;
    if (node->body->type == CU_GRAPH_NODE_TYPE_GRAPH)
        return add_graph(run, node->graphs[0]);
    if (node->body->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
        return add_conditional(run, node);
    if (!node->body->command)
        return true;
    struct step *step = add_step(run);
    if (!step)
        return false;
    step->body = soft_body_retain(node->body);
    return node->body->type != CU_GRAPH_NODE_TYPE_MEMCPY ||
           soft_copy_read(node->body->command, &step->read) == CUDA_SUCCESS;
}

static bool add_graph(struct run *run, const struct soft_graph *graph)
{
    struct soft_node **order = calloc(graph->n + 1, sizeof(struct soft_node *));
    bool good = order && soft_graph_order(graph, order);
    for (size_t i = 0; i < graph->n && good; i++)
        good = add_node(run, order[i]);
    free(order);
    return good;
}

/* ---- running ---- */

static CUresult run_all(const struct run *run, struct soft_stream *stream);

static CUresult run_conditional(const struct step *step, struct soft_stream *stream)
{
    const struct soft_context *context = stream->object.context;
    CUresult result = CUDA_SUCCESS;
    unsigned value = atomic_load(&step->conditional->value);
    switch (step->condition) {
    case CU_GRAPH_COND_TYPE_IF:
        if (value || step->ninner > 1)
            result = run_all(step->inner[value ? 0 : 1], stream);
        return result;
    case CU_GRAPH_COND_TYPE_WHILE:
        while (result == CUDA_SUCCESS && value && !atomic_load(&context->cancel)) {
            result = run_all(step->inner[0], stream);
            value = atomic_load(&step->conditional->value);
        }
        return result;
    default:
        return value < step->ninner ? run_all(step->inner[value], stream) : result;
    }
}

/* A body of another context is run as a command of that one's. */
static CUresult run_step(const struct step *step, struct soft_stream *stream)
{
    struct soft_context *context = step->body->context;
    if (step->conditional)
        return run_conditional(step, stream);
    if (step->read) {
        soft_copy_run_read(step->body->command, step->read);
        return CUDA_SUCCESS;
    }
    if (!context || context == stream->object.context)
        return step->body->command->run(stream, step->body->command);
    soft_queue_lock();
    SOFT_HOLD struct soft_stream *other =
        context->legacy ? soft_object_retain(context->legacy) : NULL;
    soft_queue_unlock();
    return other ? step->body->command->run(other, step->body->command)
                 : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

static CUresult run_all(const struct run *run, struct soft_stream *stream)
{
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < run->n && result == CUDA_SUCCESS; i++) {
        if (atomic_load(&stream->object.context->cancel))
            break;
        result = run_step(&run->steps[i], stream);
    }
    return result;
}

/* Values that every launch begins with. */
static void set_defaults(const struct run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        struct soft_conditional *conditional = run->steps[i].conditional;
        if (conditional && conditional->flags & CU_GRAPH_COND_ASSIGN_DEFAULT)
            atomic_store(&conditional->value, conditional->initial);
        for (size_t k = 0; k < run->steps[i].ninner; k++)
            set_defaults(run->steps[i].inner[k]);
    }
}

static CUresult run_graph(struct soft_stream *stream, struct soft_command *command)
{
    const struct run *run = ((struct graph_command *)command)->run;
    set_defaults(run);
    return run_all(run, stream);
}

static void discard_graph(struct soft_command *command)
{
    struct graph_command *self = (struct graph_command *)command;
    free_run(self->run);
    soft_object_release(self->graph);
}

/* ---- launching ---- */

struct soft_exec *soft_exec_get(CUgraphExec handle)
{
    SOFT_HOLD struct soft_exec *exec = soft_object_get(handle, SOFT_EXEC);
    return exec;
}

/* Allocations that a launch left must be freed before the next, or are by its beginning. */
static CUresult check_memory(const struct soft_exec *exec, const struct soft_graph *graph)
{
    for (size_t i = 0; i < graph->n && graph->has_memory; i++) {
        const struct soft_node *node = graph->nodes[i];
        for (size_t k = 0; k < node->ngraphs; k++) {
            CUresult result = check_memory(exec, node->graphs[k]);
            if (result != CUDA_SUCCESS)
                return result;
        }
        if (node->body->type != CU_GRAPH_NODE_TYPE_MEM_ALLOC ||
            !soft_graph_memory_is_live(node->body->command))
            continue;
        if (!(exec->flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH))
            return CUDA_ERROR_INVALID_VALUE;
        soft_graph_memory_free(soft_graph_memory_of(node->body->command, NULL));
    }
    return CUDA_SUCCESS;
}

/* What is allocated once the launch has run: known when it is submitted. Nodes that free come
 * behind those that allocate. */
static void account(const struct soft_graph *graph)
{
    for (size_t i = 0; i < graph->n; i++) {
        const struct soft_node *node = graph->nodes[i];
        for (size_t k = 0; k < node->ngraphs; k++)
            account(node->graphs[k]);
        if (node->body->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC ||
            node->body->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
            soft_graph_memory_set(node->body->command,
                                  node->body->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC);
    }
}

static struct graph_command *new_launch(const struct soft_exec *exec)
{
    struct graph_command *self = soft_command_new(sizeof(*self), run_graph);
    if (!self)
        return NULL;
    self->command.discard = discard_graph;
    self->graph = soft_object_retain(exec->graph);
    self->run = calloc(1, sizeof(*self->run));
    if (self->run && add_graph(self->run, exec->graph))
        return self;
    soft_command_free(&self->command);
    return NULL;
}

/* The events that the graph records are not reached before it is done. */
static void tell_events(const struct soft_graph *graph, const struct soft_mark *mark)
{
    for (size_t i = 0; i < graph->n; i++) {
        const struct soft_node *node = graph->nodes[i];
        if (node->body->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
            soft_event_launched(node->body->command, mark);
        for (size_t k = 0; k < node->ngraphs; k++)
            tell_events(node->graphs[k], mark);
    }
}

/* Puts the launch into the stream, behind the last of the same graph. */
static CUresult submit_launch(struct soft_exec *exec, struct soft_stream *stream,
                              struct graph_command *self)
{
    SOFT_HOLD struct soft_stream *before = NULL;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    soft_queue_lock();
    if (soft_command_need(&self->command, &exec->last))
        result = soft_submit_locked(stream, &self->command);
    if (result == CUDA_SUCCESS) {
        before = exec->last.stream;
        exec->last = (struct soft_mark){soft_object_retain(stream), stream->last};
    }
    soft_queue_unlock();
    if (result != CUDA_SUCCESS)
        soft_command_free(&self->command);
    return result;
}

static CUresult launch(CUgraphExec handle, struct soft_stream *stream)
{
    SOFT_GRAPHS_LOCKED;
    struct soft_exec *exec = soft_exec_get(handle);
    if (!exec)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = check_memory(exec, exec->graph);
    if (result != CUDA_SUCCESS)
        return result;
    struct graph_command *self = new_launch(exec);
    result = self ? submit_launch(exec, stream, self) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) {
        tell_events(exec->graph, &exec->last);
        account(exec->graph);
    }
    return result;
}

SOFT_API CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(stream_handle, &stream);
    if (result == CUDA_SUCCESS)
        result = soft_capture_forbids(stream);
    return result == CUDA_SUCCESS ? launch(handle, stream) : result;
}

/* Everything is where it is needed. */
SOFT_API CUresult cuGraphUpload(CUgraphExec handle, CUstream stream_handle)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(stream_handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_GRAPHS_LOCKED;
    return soft_exec_get(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- life ---- */

static void destroy_exec(void *object)
{
    struct soft_exec *exec = object;
    soft_object_release(exec->last.stream);
    soft_object_release(exec->graph);
}

/* A graph that can be run, or what is wrong. */
static CUresult check_graph(const struct soft_graph *graph, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    struct soft_node **order = calloc(graph->n + 1, sizeof(struct soft_node *));
    if (!order)
        return CUDA_ERROR_OUT_OF_MEMORY;
    bool good = soft_graph_order(graph, order);
    free(order);
    if (!good) {
        p->result_out = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
        for (size_t i = 0; i < graph->n && !p->hErrNode_out; i++)
            if (graph->nodes[i]->waits)
                p->hErrNode_out = (CUgraphNode)graph->nodes[i];
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (size_t i = 0; i < graph->n; i++)
        for (size_t k = 0; k < graph->nodes[i]->ngraphs; k++) {
            CUresult result = check_graph(graph->nodes[i]->graphs[k], p);
            if (result != CUDA_SUCCESS)
                return result;
        }
    return CUDA_SUCCESS;
}

static CUresult instantiate(CUgraphExec *handle, CUgraph graph_handle,
                            CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
    const cuuint64_t known = CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |
                             CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
                             CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    p->hErrNode_out = NULL;
    p->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
    SOFT_GRAPHS_LOCKED;
    struct soft_graph *graph = soft_graph_get(graph_handle);
    if (p->flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!handle || !graph || p->flags & ~known || graph->capture)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = check_graph(graph, p);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_HOLD struct soft_exec *exec =
        soft_object_new(SOFT_EXEC, sizeof(*exec), NULL, destroy_exec);
    if (!exec || !(exec->graph = soft_graph_copy(graph)))
        return CUDA_ERROR_OUT_OF_MEMORY;
    exec->flags = p->flags;
    graph->instantiated = true;
    soft_object_list(soft_object_retain(exec));
    *handle = (CUgraphExec)exec;
    p->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph,
                                               CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    return params ? instantiate(exec, graph, params) : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                              unsigned long long flags)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = flags};
    return instantiate(exec, graph, &params);
}

SOFT_API CUresult cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *error,
                                        char *log, size_t size)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {0};
    CUresult result = instantiate(exec, graph, &params);
    if (error)
        *error = params.hErrNode_out;
    if (log && size)
        *log = '\0';
    return result;
}
SOFT_ALIAS(cuGraphInstantiate, cuGraphInstantiate_v2);

SOFT_API CUresult cuGraphExecDestroy(CUgraphExec handle)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_GRAPHS_LOCKED;
    struct soft_exec *exec = soft_exec_get(handle);
    if (!exec)
        return CUDA_ERROR_INVALID_VALUE;
    soft_object_unlist(exec);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t *flags)
{
    SOFT_GRAPHS_LOCKED;
    const struct soft_exec *exec = soft_exec_get(handle);
    if (!exec || !flags)
        return CUDA_ERROR_INVALID_VALUE;
    /* As the hardware's driver: what only concerned the instantiation is not told. */
    *flags = exec->flags & ~(cuuint64_t)CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD;
    return CUDA_SUCCESS;
}
