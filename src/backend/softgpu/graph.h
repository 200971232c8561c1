/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs: what node.c (the API's kinds of nodes), graph.c (structure), exec.c (executable graphs),
 * capture.c (streams that record instead of run), graph_memory.c and user.c share. A node's work is
 * a stream's command that is kept: it may be run any number of times, by several launches at once.
 */
#ifndef WH_SOFTGPU_GRAPH_H
#define WH_SOFTGPU_GRAPH_H

#include "backend/softgpu/queue.h"

struct soft_node;
struct soft_graph;
struct soft_capture;
struct soft_user;
struct soft_graph_memory;

/* What a node does. Never changed once a node has it: new parameters are a new body. */
struct soft_body {
    atomic_uint references;
    CUgraphNodeType type;
    struct soft_context *context; /* a reference, or NULL */
    struct soft_command *command; /* NULL: nothing is run */
};

struct soft_edge {
    struct soft_node *node;
    CUgraphEdgeData data;
};

/* The value that a conditional node looks at. */
struct soft_conditional {
    uint64_t handle;
    uint64_t graph; /* id of the graph it was made for */
    unsigned initial, flags;
    atomic_uint value;
};

struct soft_node {
    struct soft_object object;
    struct soft_graph *graph;
    struct soft_body *body;
    uint64_t id, origin; /* `origin`: of the node that this is a copy of; 0: of none */
    struct soft_edges from, to;
    struct soft_graph **graphs; /* a child's one, a conditional's bodies */
    size_t ngraphs;
    CUgraphConditionalHandle conditional;
    CUgraphConditionalNodeType condition;
    CUlaunchAttributeValue attributes[CU_LAUNCH_ATTRIBUTE_MAX]; /* kernels; kept only */
    bool disabled;
    size_t waits; /* while the order is found */
    size_t index;
};

/* References to user objects. */
struct soft_users {
    struct {
        struct soft_user *user;
        unsigned count;
    } * at;
    size_t n;
};

struct soft_graph {
    struct soft_object object;
    uint64_t id;
    struct soft_node **nodes; /* in order of their making */
    size_t n, room;
    struct soft_node *owner; /* the node that it is inside of, or NULL */
    struct soft_users users;
    struct soft_capture *capture; /* a stream records into it */
    bool instantiated, has_memory;
};

/* Guards all graphs, nodes and captures. Taken before the queues' lock. */
void soft_graphs_lock(void);
void soft_graphs_unlock(void);

static inline void soft_graphs_cleanup(const int *unused)
{
    (void)unused;
    soft_graphs_unlock();
}

/* Holds the lock up to the end of the block. */
#define SOFT_GRAPHS_LOCKED \
    soft_graphs_lock();    \
    __attribute__((cleanup(soft_graphs_cleanup), unused)) const int graphs_are_locked_ = 0

/* ---- bodies (graph.c) ---- */

/* Takes the command over. NULL when memory is short; then the command is freed. */
struct soft_body *soft_body_new(CUgraphNodeType type, struct soft_context *context,
                                struct soft_command *command);
struct soft_body *soft_body_retain(struct soft_body *body);
void soft_body_release(struct soft_body *body); /* NULL is fine */

/* ---- structure (graph.c); the lock is held where there is one ---- */

struct soft_graph *soft_graph_new(void);

/* The graph or node with this handle, or NULL (borrowed: it lives while the lock is held). */
struct soft_graph *soft_graph_get(CUgraph handle);
struct soft_node *soft_node_get(CUgraphNode handle);

/* A node at the end of the graph; takes the body over. NULL when memory is short. */
struct soft_node *soft_node_add(struct soft_graph *graph, struct soft_body *body);
void soft_node_remove(struct soft_node *node);

/* INVALID_VALUE: there is such an edge, or the nodes are of different graphs. */
CUresult soft_edge_add(struct soft_node *from, struct soft_node *to, const CUgraphEdgeData *data);

/* Whether `from` comes before `to`, or is it. */
bool soft_node_precedes(const struct soft_node *from, const struct soft_node *to);

/* A copy whose nodes' origins are these nodes. NULL when memory is short. */
struct soft_graph *soft_graph_copy(const struct soft_graph *graph);

/* The copy of a node in a graph, or in graphs inside of it; NULL: none. */
struct soft_node *soft_graph_find(const struct soft_graph *graph, uint64_t origin);

/* Fills order[graph->n], each node behind those it depends on. False: there is a cycle. */
bool soft_graph_order(const struct soft_graph *graph, struct soft_node **order);

/* ---- exec.c ---- */

/* Gives a node of an executable graph another body, which is taken over (NULL: memory is short). */
CUresult soft_exec_set(CUgraphExec exec, CUgraphNode node, struct soft_body *body);

/* Puts a graph inside of a node. */
bool soft_node_embed(struct soft_node *node, struct soft_graph *graph);

struct soft_conditional *soft_conditional_find(uint64_t handle);

/* What a kernel calls; an unknown handle is ignored. */
void soft_conditional_set(uint64_t handle, unsigned value);

/* ---- capture.c ---- */

/* Whether there are captures: none is the usual case, and cheap. */
bool soft_capturing(void);

/* Whether this stream captures. */
bool soft_stream_captures(struct soft_stream *stream);

/* The same for cuMemAllocAsync and cuMemFreeAsync: nodes in their place (*taken). */
CUresult soft_capture_allocate(struct soft_stream *stream, size_t size, CUdeviceptr *address,
                               bool *taken);
CUresult soft_capture_free(struct soft_stream *stream, CUdeviceptr address, bool *taken);

/* A command that is to go into a stream: if that captures, it becomes a node (*taken), or the call
 * fails; in both cases the command is gone. */
CUresult soft_capture_command(struct soft_stream *stream, struct soft_command *command,
                              bool *taken);

/* A node of any kind at the stream's end; takes the body over. The lock is held. */
CUresult soft_capture_node(struct soft_stream *stream, struct soft_body *body,
                           struct soft_node **node);

/* What may not be done to a stream while it captures (or to the legacy stream while others do):
 * the error, and the capture is invalid. */
CUresult soft_capture_forbids(struct soft_stream *stream);
CUresult soft_capture_forbids_context(struct soft_context *context);

/* For calls that may wait for the device in ways that a program does not see. */
CUresult soft_capture_unsafe(void);

/* A stream is destroyed, or a context ends. */
void soft_capture_drop(struct soft_stream *stream);
void soft_capture_end_all(struct soft_context *context);

/* What an event remembers that was recorded in a capture. */
struct soft_captured_point {
    struct soft_capture *capture; /* a reference */
    struct soft_edges at;
};

void soft_captured_point_clear(struct soft_captured_point *point);

/* The event calls on streams and events that take part in a capture; *taken: nothing is left to
 * do. */
CUresult soft_capture_record(struct soft_stream *stream, struct soft_event *event, bool *taken);
CUresult soft_capture_wait(struct soft_stream *stream, struct soft_event *event, bool *taken);
CUresult soft_capture_event_forbids(struct soft_event *event);

/* memop.c: whether a wait for this value is over; all of it is good. */
bool soft_value_reached(uint64_t address, uint64_t value, bool wide, unsigned flags);

/* ---- event.c ---- */

struct soft_captured_point *soft_event_point(struct soft_event *event);

/* The work of event nodes. NULL when memory is short. */
struct soft_command *soft_event_command(struct soft_event *event, bool record);
CUevent soft_event_of(const struct soft_command *command);

/* A graph is launched: the events that it records are not reached before the mark is. */
void soft_event_launched(const struct soft_command *command, const struct soft_mark *mark);

/* ---- graph_memory.c ---- */

CUresult soft_graph_allocate(struct soft_context *context, size_t size,
                             struct soft_command **command, CUdeviceptr *address);
CUresult soft_graph_free(CUdeviceptr address, struct soft_command **command);
/* Whether it is a graph's memory. */
bool soft_graph_memory_find(CUdeviceptr address);
CUdeviceptr soft_graph_memory_of(const struct soft_command *command, size_t *size);

/* Memory of a graph, freed by a call outside of any; false: it is not allocated. */
bool soft_graph_memory_free(CUdeviceptr address);

/* Whether an allocation's memory has not been freed since the last launch; and what it is now. */
bool soft_graph_memory_is_live(const struct soft_command *command);
void soft_graph_memory_set(const struct soft_command *command, bool live);

/* ---- user.c ---- */

bool soft_users_copy(struct soft_users *to, const struct soft_users *from);
void soft_users_clear(struct soft_users *users);

/* Whether a destructor of one is under way. */
bool soft_users_are_ending(void);

/* ---- commands without a stream, and what they were made from ---- */

CUresult soft_launch_make(CUfunction function, const CUlaunchConfig *config,
                          struct soft_context *context, void *const *pointers, void *const *extra,
                          struct soft_command **command);
void soft_launch_describe(struct soft_command *command, CUDA_KERNEL_NODE_PARAMS_v2 *params);
/* The same kernel with another attribute; NOT_SUPPORTED: one that is only kept. */
CUresult soft_launch_with(struct soft_command *command, CUlaunchAttributeID id,
                          const CUlaunchAttributeValue *value, struct soft_command **changed);
bool soft_launch_attribute(const struct soft_command *command, CUlaunchAttributeID id,
                           CUlaunchAttributeValue *value);

/* A launch of a graph reads ordinary host memory at once, whatever the graph's nodes do before they
 * come to the copy, as a GPU's driver does: *bytes (to be freed) are what it read, NULL: the source
 * is of another kind. */
CUresult soft_copy_read(const struct soft_command *command, void **bytes);
void soft_copy_run_read(const struct soft_command *command, void *bytes);

CUresult soft_copy_make(const CUDA_MEMCPY3D *params, struct soft_command **command);
void soft_copy_describe(const struct soft_command *command, CUDA_MEMCPY3D *params);

CUresult soft_set_make(const CUDA_MEMSET_NODE_PARAMS *params, struct soft_command **command);
void soft_set_describe(const struct soft_command *command, CUDA_MEMSET_NODE_PARAMS *params);

CUresult soft_call_make(const CUDA_HOST_NODE_PARAMS *params, struct soft_command **command);
void soft_call_describe(const struct soft_command *command, CUDA_HOST_NODE_PARAMS *params);

CUresult soft_memops_make(const CUDA_BATCH_MEM_OP_NODE_PARAMS *params,
                          struct soft_command **command);
void soft_memops_describe(const struct soft_command *command,
                          CUDA_BATCH_MEM_OP_NODE_PARAMS *params);

#endif
