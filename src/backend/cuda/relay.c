/* SPDX-License-Identifier: Apache-2.0 */
/* Functions in the place of the program's; see relay.h. */
#include "backend/cuda/relay.h"

#include <stdlib.h>

struct wh_cuda_relay {
    struct wh_channel *channel;
    uint64_t token;
    bool kept, fills;
    bool silent;         /* the client knows of its end */
    CUuserObject object; /* by which a graph keeps it */
    /* Of an executable graph's node. */
    struct wh_cuda_keep *keep;
    CUgraphNode node;
    uint64_t launches;            /* of the executable graph when the node was given it */
    struct wh_cuda_relay *next;   /* another node's */
    struct wh_cuda_relay *before; /* what the node had: launches may still come to it */
};

struct wh_cuda_keep {
    pthread_mutex_t lock;
    CUuserObject object;
    struct wh_cuda_relay *first; /* of each node that was given one */
    uint64_t launches;
    bool captured, ended, over;
};

/* ---- telling the client ---- */

int64_t wh_cuda_relay_push(struct wh_channel *channel, uint64_t token, CUresult status,
                           unsigned what)
{
    const uint64_t words[] = {(uint64_t)(int64_t)status, what};
    return channel->ops->push_upcall(channel, WH_UPCALL_CALLBACK, token, words, sizeof(words));
}

void wh_cuda_relay_end(struct wh_cuda_relay *relay)
{
    if (!relay->silent)
        (void)wh_cuda_relay_push(relay->channel, relay->token, CUDA_SUCCESS,
                                 WH_CUDA_CALLBACK_ENDED);
    free(relay);
}

static void end_all(struct wh_cuda_relay *relay)
{
    while (relay) {
        struct wh_cuda_relay *before = relay->before;
        wh_cuda_relay_end(relay);
        relay = before;
    }
}

/* Launches of one executable graph come one after the other: as this function runs, no launch is
 * left that would come to those which its node had before. */
static void end_before(struct wh_cuda_relay *relay)
{
    struct wh_cuda_relay *before = NULL;
    pthread_mutex_lock(&relay->keep->lock);
    if (!relay->keep->captured) {
        before = relay->before;
        relay->before = NULL;
    }
    pthread_mutex_unlock(&relay->keep->lock);
    end_all(before);
}

/*
 * Runs in a thread of the driver, in the stream's order. The client's answer is a count in shared
 * memory and no message: the thread that takes messages may be inside the driver, in a launch or a
 * copy that waits for this very function.
 */
static void tell(struct wh_cuda_relay *relay, CUresult status)
{
    struct wh_channel *channel = relay->channel;
    bool kept = relay->kept;
    if (relay->keep)
        end_before(relay);
    int64_t number = wh_cuda_relay_push(channel, relay->token, status,
                                        kept ? WH_CUDA_CALLBACK_KEPT : WH_CUDA_CALLBACK_ONCE);
    if (number >= 0)
        channel->ops->await_callback(channel, (uint32_t)number);
    if (!kept)
        free(relay);
}

static void CUDA_CB run_host_function(void *relay)
{
    tell(relay, CUDA_SUCCESS);
}

/* The same, by another address: by that the nodes which the program must not see are known. */
static void CUDA_CB run_staging(void *relay)
{
    tell(relay, CUDA_SUCCESS);
}

static void CUDA_CB run_stream_callback(CUstream stream, CUresult status, void *relay)
{
    (void)stream;
    tell(relay, status);
}

CUhostFn wh_cuda_relay_function(bool staging)
{
    return staging ? run_staging : run_host_function;
}

CUstreamCallback wh_cuda_relay_callback(void)
{
    return run_stream_callback;
}

struct wh_cuda_relay *wh_cuda_relay_once(struct wh_call *call, uint64_t token)
{
    struct wh_cuda_relay *relay = calloc(1, sizeof(*relay));
    if (relay) {
        relay->channel = call->worker->channel;
        relay->token = token;
    }
    return relay;
}

/* ---- in graphs ---- */

/* No graph is left that could call it. Runs in a thread of the driver. */
static void CUDA_CB end_relay(void *relay)
{
    wh_cuda_relay_end(relay);
}

struct wh_cuda_relay *wh_cuda_relay_keep(struct wh_call *call, uint64_t token, CUgraph graph)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_relay *relay = wh_cuda_relay_once(call, token);
    if (!relay)
        return NULL;
    relay->kept = true;
    if (f->cuUserObjectCreate(&relay->object, relay, end_relay, 1,
                              CU_USER_OBJECT_NO_DESTRUCTOR_SYNC) != CUDA_SUCCESS) {
        free(relay);
        return NULL;
    }
    if (f->cuGraphRetainUserObject(graph, relay->object, 1, CU_GRAPH_USER_OBJECT_MOVE) ==
        CUDA_SUCCESS)
        return relay;
    relay->silent = true;
    f->cuUserObjectRelease(relay->object, 1); /* frees the relay */
    return NULL;
}

void wh_cuda_relay_let_go(struct wh_call *call, struct wh_cuda_relay *relay, CUgraph graph,
                          bool failed)
{
    relay->silent = failed;
    (void)wh_cuda_driver(call)->cuGraphReleaseUserObject(graph, relay->object, 1);
}

struct wh_cuda_relay *wh_cuda_relay_of(const CUDA_HOST_NODE_PARAMS *params, bool *staging)
{
    *staging = params->fn == run_staging;
    return params->fn == run_host_function || params->fn == run_staging ? params->userData : NULL;
}

uint64_t wh_cuda_relay_token(const struct wh_cuda_relay *relay)
{
    return relay->token;
}

bool wh_cuda_relay_fills(const struct wh_cuda_relay *relay)
{
    return relay->fills;
}

void wh_cuda_relay_set_fills(struct wh_cuda_relay *relay)
{
    relay->fills = true;
}

/* ---- in executable graphs ---- */

/* Nobody can come to what is kept when both have let go: the driver and the session. */
static void end_keep_if_done(struct wh_cuda_keep *keep)
{
    bool done = keep->ended && keep->over && !keep->captured;
    pthread_mutex_unlock(&keep->lock);
    if (!done)
        return;
    for (struct wh_cuda_relay *relay = keep->first; relay;) {
        struct wh_cuda_relay *next = relay->next;
        end_all(relay);
        relay = next;
    }
    pthread_mutex_destroy(&keep->lock);
    free(keep);
}

/* Runs in a thread of the driver: no executable graph and no launch holds it. */
static void CUDA_CB end_keep(void *argument)
{
    struct wh_cuda_keep *keep = argument;
    pthread_mutex_lock(&keep->lock);
    keep->ended = true;
    end_keep_if_done(keep);
}

void wh_cuda_keep_over(struct wh_cuda_keep *keep)
{
    if (!keep)
        return;
    pthread_mutex_lock(&keep->lock);
    keep->over = true;
    end_keep_if_done(keep);
}

struct wh_cuda_keep *wh_cuda_keep_new(struct wh_call *call, CUgraph graph)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_keep *keep = calloc(1, sizeof(*keep));
    if (!keep)
        return NULL;
    pthread_mutex_init(&keep->lock, NULL);
    if (f->cuUserObjectCreate(&keep->object, keep, end_keep, 1,
                              CU_USER_OBJECT_NO_DESTRUCTOR_SYNC) != CUDA_SUCCESS) {
        free(keep);
        return NULL;
    }
    if (f->cuGraphRetainUserObject(graph, keep->object, 1, CU_GRAPH_USER_OBJECT_MOVE) ==
        CUDA_SUCCESS)
        return keep;
    keep->over = true;
    f->cuUserObjectRelease(keep->object, 1); /* frees it */
    return NULL;
}

void wh_cuda_keep_given(struct wh_call *call, struct wh_cuda_keep *keep, CUgraph graph)
{
    if (keep)
        (void)wh_cuda_driver(call)->cuGraphReleaseUserObject(graph, keep->object, 1);
}

void wh_cuda_keep_launch(struct wh_cuda_keep *keep, bool captured)
{
    pthread_mutex_lock(&keep->lock);
    keep->launches++;
    keep->captured |= captured;
    pthread_mutex_unlock(&keep->lock);
}

struct wh_cuda_relay *wh_cuda_relay_for_exec(struct wh_call *call, uint64_t token,
                                             struct wh_cuda_keep *keep)
{
    struct wh_cuda_relay *relay = wh_cuda_relay_once(call, token);
    if (relay) {
        relay->kept = true;
        relay->keep = keep;
    }
    return relay;
}

/* Takes out what this node had. The lock is held. */
static struct wh_cuda_relay *take(struct wh_cuda_keep *keep, CUgraphNode node)
{
    struct wh_cuda_relay **link = &keep->first;
    while (*link && (*link)->node != node)
        link = &(*link)->next;
    struct wh_cuda_relay *had = *link;
    if (had)
        *link = had->next;
    return had;
}

void wh_cuda_relay_taken(struct wh_cuda_relay *relay, CUgraphNode node)
{
    struct wh_cuda_keep *keep = relay->keep;
    if (!keep)
        return;
    pthread_mutex_lock(&keep->lock);
    struct wh_cuda_relay *had = take(keep, node);
    bool unused = had && had->launches == keep->launches && !keep->captured;
    relay->before = unused ? had->before : had;
    relay->node = node;
    relay->launches = keep->launches;
    relay->next = keep->first;
    keep->first = relay;
    pthread_mutex_unlock(&keep->lock);
    if (unused)
        wh_cuda_relay_end(had);
}

void wh_cuda_relay_refused(struct wh_cuda_relay *relay)
{
    free(relay);
}
