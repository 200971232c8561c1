/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes by kind: what node.c (where they go, and what has no work of its own) and node_work.c (what
 * runs) share. */
#ifndef WH_SOFTGPU_NODE_H
#define WH_SOFTGPU_NODE_H

#include "backend/softgpu/graph.h"

/* Where a new body goes. */
struct soft_target {
    CUgraph graph; /* a new node, behind these */
    const CUgraphNode *before;
    const CUgraphEdgeData *data;
    size_t n;
    CUgraphExec exec; /* or this executable graph's copy of the node; or the node itself */
    CUgraphNode node;
    CUgraphNode *made;
};

/* ---- node.c ---- */

/* Takes the command over. `context`: borrowed. */
CUresult soft_node_give(CUgraphNodeType type, struct soft_context *context,
                        struct soft_command *command, const struct soft_target *t);

/* The body of a node of this kind, with a reference; NULL: it is none. */
struct soft_body *soft_node_body(CUgraphNode handle, CUgraphNodeType type);

/* What a description points to is the node's: it outlives the reference. */
#define DESCRIBE(handle, type, describe, params)                    \
    do {                                                            \
        struct soft_body *body_ = soft_node_body((handle), (type)); \
        if (!body_ || !(params)) {                                  \
            soft_body_release(body_);                               \
            return CUDA_ERROR_INVALID_VALUE;                        \
        }                                                           \
        describe(body_->command, (params));                         \
        soft_body_release(body_);                                   \
        return CUDA_SUCCESS;                                        \
    } while (0)

#define NEW(...)         (&(struct soft_target){.graph = graph, .before = before, .n = n, .made = node})
#define OF_NODE(handle)  (&(struct soft_target){.node = (handle)})
#define OF_EXEC(e, node) (&(struct soft_target){.exec = (e), .node = (node)})

/* ---- node_work.c: parameters of one kind become a body ---- */

CUresult soft_put_kernel(const CUDA_KERNEL_NODE_PARAMS_v2 *p, const struct soft_target *t);
CUresult soft_put_copy(const CUDA_MEMCPY3D *p, CUcontext ctx, const struct soft_target *t);
CUresult soft_put_set(const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx, const struct soft_target *t);
CUresult soft_put_host(const CUDA_HOST_NODE_PARAMS *p, const struct soft_target *t);
CUresult soft_put_memops(const CUDA_BATCH_MEM_OP_NODE_PARAMS *p, const struct soft_target *t);
CUresult soft_put_event(CUevent handle, bool record, const struct soft_target *t);

#endif
