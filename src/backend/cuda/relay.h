/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions in the place of the program's: the driver calls them, they tell the client, and return
 * when the client says that the program's function has. How long each lives is the rule here: until
 * it has run, as long as a graph that names it, or as long as an executable graph was told to call
 * it. Used by what puts them into streams and nodes; the client learns of each one's end.
 */
#ifndef WH_BACKEND_CUDA_RELAY_H
#define WH_BACKEND_CUDA_RELAY_H

#include "backend/cuda/backend.h"

struct wh_cuda_relay;
struct wh_cuda_keep;

/* ---- in a stream's order ---- */

/* One that is gone when it has run. NULL: no memory. */
struct wh_cuda_relay *wh_cuda_relay_once(struct wh_call *call, uint64_t token);

/* The driver did not take it: it is gone, and the client is told. */
void wh_cuda_relay_end(struct wh_cuda_relay *relay);

/* The function that gets it; `staging`: to move the bytes of a staged copy. */
CUhostFn wh_cuda_relay_function(bool staging);

/* The same for a stream's callback. */
CUstreamCallback wh_cuda_relay_callback(void);

/* ---- in graphs ---- */

/* One that lives as long as `graph` or copies of it. NULL: no memory. */
struct wh_cuda_relay *wh_cuda_relay_keep(struct wh_call *call, uint64_t token, CUgraph graph);

/* No node of the graph names it any more: what is launched and other graphs may. With `failed` the
 * client knows already, by the error that it gets. */
void wh_cuda_relay_let_go(struct wh_call *call, struct wh_cuda_relay *relay, CUgraph graph,
                          bool failed);

/* What is known of a host node's function; NULL: it is none of ours. */
/* The function that a node of a graph has; NULL: none of ours (node.c). */
struct wh_cuda_relay *wh_cuda_relay_in(struct wh_call *call, CUgraphNode node);

struct wh_cuda_relay *wh_cuda_relay_of(const CUDA_HOST_NODE_PARAMS *params, bool *staging);
uint64_t wh_cuda_relay_token(const struct wh_cuda_relay *relay);

/* Of a staging function: whether it fills the arena, before its copy. */
bool wh_cuda_relay_fills(const struct wh_cuda_relay *relay);
void wh_cuda_relay_set_fills(struct wh_cuda_relay *relay);

/* ---- in executable graphs ---- */

/*
 * What an executable graph was given after it was made. The driver holds a reference to it in the
 * place of the graph's own: it goes when the executable graph and all its launches are over, or
 * when the graph takes on another one's nodes.
 */
struct wh_cuda_keep *wh_cuda_keep_new(struct wh_call *call, CUgraph graph);

/* The driver has copied the graph's references, or failed to: the graph's own goes. */
void wh_cuda_keep_given(struct wh_call *call, struct wh_cuda_keep *keep, CUgraph graph);

/* Its executable graph is destroyed, has another one, or was never made. NULL is none. */
void wh_cuda_keep_over(struct wh_cuda_keep *keep);

/* A launch; `captured`: into a graph, which may call its functions for ever. */
void wh_cuda_keep_launch(struct wh_cuda_keep *keep, bool captured);

/* One for a node of the executable graph (keep NULL: as long as the session). NULL: no memory. */
struct wh_cuda_relay *wh_cuda_relay_for_exec(struct wh_call *call, uint64_t token,
                                             struct wh_cuda_keep *keep);

/* The node has it: what it had before goes as soon as no launch can come to it. */
void wh_cuda_relay_taken(struct wh_cuda_relay *relay, CUgraphNode node);

/* The node does not have it: the client knows by the error that it gets. */
void wh_cuda_relay_refused(struct wh_cuda_relay *relay);

/* ---- what the client is told ---- */

/* WH_CUDA_CALLBACK_... about what a token stands for. Returns the upcall's number; negative: the
 * client is gone. */
int64_t wh_cuda_relay_push(struct wh_channel *channel, uint64_t token, CUresult status,
                           unsigned what);

#endif
