/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host functions and stream callbacks run in the client. The stream waits as natively: our function
 * in its place tells the client, and returns when the client says that the program's has.
 */
#include "backend/cuda/graph.h"

#include <stdlib.h>

/* A function in the program's place: gone when it has run, or kept by graphs that call it. */
struct wh_cuda_relay {
    struct wh_channel *channel;
    uint64_t token;
    bool kept, fills;
    _Atomic bool ended; /* of a user object: it is no more */
};

/* The upcall's number; negative: the client is gone. */
static int64_t push(const struct wh_cuda_relay *relay, CUresult status, unsigned what)
{
    const uint64_t words[] = {(uint64_t)(int64_t)status, what};
    return relay->channel->ops->push_upcall(relay->channel, WH_UPCALL_CALLBACK, relay->token, words,
                                            sizeof(words));
}

/*
 * Runs in a thread of the driver, in the stream's order. The client's answer is a count in shared
 * memory and no message: the thread that takes messages may be inside the driver, in a launch or a
 * copy that waits for this very function.
 */
static void tell(struct wh_cuda_relay *relay, CUresult status)
{
    struct wh_channel *channel = relay->channel;
    int64_t number =
        push(relay, status, relay->kept ? WH_CUDA_CALLBACK_KEPT : WH_CUDA_CALLBACK_ONCE);
    if (number >= 0)
        channel->ops->await_callback(channel, (uint32_t)number);
    if (!relay->kept)
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

static struct wh_cuda_relay *make_relay(struct wh_call *call, uint64_t token)
{
    struct wh_cuda_relay *relay = calloc(1, sizeof(*relay));
    if (relay) {
        relay->channel = call->worker->channel;
        relay->token = token;
    }
    return relay;
}

/* ---- functions that graphs call ---- */

/* No graph is left that could call it. Runs in a thread of the driver. */
static void CUDA_CB end_relay(void *argument)
{
    struct wh_cuda_relay *relay = argument;
    (void)push(relay, CUDA_SUCCESS, WH_CUDA_CALLBACK_ENDED);
    free(relay);
}

struct wh_cuda_relay *wh_cuda_relay_keep(struct wh_call *call, uint64_t token, CUgraph graph)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_relay *relay = make_relay(call, token);
    CUuserObject object = NULL;
    if (!relay)
        return NULL;
    relay->kept = true;
    if (!graph) /* an executable graph holds no references: kept as long as the session */
        return relay;
    if (f->cuUserObjectCreate(&object, relay, end_relay, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC) !=
        CUDA_SUCCESS) {
        free(relay);
        return NULL;
    }
    if (f->cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE) == CUDA_SUCCESS)
        return relay;
    f->cuUserObjectRelease(object, 1); /* frees the relay */
    return NULL;
}

CUhostFn wh_cuda_relay_function(bool staging)
{
    return staging ? run_staging : run_host_function;
}

uint64_t wh_cuda_relay_token(const CUDA_HOST_NODE_PARAMS *params, bool *staging)
{
    *staging = params->fn == run_staging;
    if (params->fn != run_host_function && params->fn != run_staging)
        return 0;
    return ((const struct wh_cuda_relay *)params->userData)->token;
}

bool wh_cuda_relay_fills(const CUDA_HOST_NODE_PARAMS *params)
{
    return ((const struct wh_cuda_relay *)params->userData)->fills;
}

void wh_cuda_relay_set_fills(struct wh_cuda_relay *relay)
{
    relay->fills = true;
}

/* ---- user objects ---- */

/* The relay stays for who names the object later. Runs in a thread of the driver. */
static void CUDA_CB end_user(void *argument)
{
    struct wh_cuda_relay *relay = argument;
    (void)push(relay, CUDA_SUCCESS, WH_CUDA_CALLBACK_ENDED);
    /* Release pairs with the acquire in find_user. */
    atomic_store_explicit(&relay->ended, true, memory_order_release);
}

/* NULL: there is no such object any more. */
static struct wh_cuda_item *find_user(struct wh_call *call, uint64_t number)
{
    struct wh_cuda_item *item = wh_cuda_item_find(call, number, WH_CUDA_USER);
    if (!item || !atomic_load_explicit(&item->relay->ended, memory_order_acquire))
        return item;
    free(item->relay);
    wh_cuda_item_drop(call, item);
    return NULL;
}

CUresult wh_cuda_do_user_create(struct wh_call *call, uint64_t token, unsigned count,
                                unsigned flags, uint64_t *object)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_relay *relay = make_relay(call, token);
    CUuserObject made = NULL;
    if (!relay)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = f->cuUserObjectCreate(&made, relay, end_user, count, flags);
    if (result != CUDA_SUCCESS) {
        free(relay);
        return result;
    }
    struct wh_cuda_item *item = wh_cuda_item_of(call, WH_CUDA_USER, made, NULL);
    if (!item)
        return CUDA_ERROR_OUT_OF_MEMORY;
    item->relay = relay; /* that of an object which ended unnoticed and had the same handle stays */
    if (object)
        *object = item->number;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_user_count(struct wh_call *call, uint64_t number, unsigned count, int retain)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    const struct wh_cuda_item *item = find_user(call, number);
    if (!item)
        return CUDA_ERROR_INVALID_VALUE;
    return retain ? f->cuUserObjectRetain(item->real, count)
                  : f->cuUserObjectRelease(item->real, count);
}

CUresult wh_cuda_do_user_graph(struct wh_call *call, uint64_t graph, uint64_t number,
                               unsigned count, int retain, unsigned flags)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    const struct wh_cuda_item *object = find_user(call, number);
    const struct wh_cuda_item *item = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    if (!item || !object)
        return CUDA_ERROR_INVALID_VALUE;
    return retain ? f->cuGraphRetainUserObject(item->real, object->real, count, flags)
                  : f->cuGraphReleaseUserObject(item->real, object->real, count);
}

/* ---- functions in a stream's order ---- */

/* In a capture the graph keeps the function. */
CUresult wh_cuda_do_host_function(struct wh_call *call, CUstream stream, uint64_t token)
{
    const struct wh_cuda_item *graph = wh_cuda_capture_graph(call, stream);
    struct wh_cuda_relay *relay =
        graph ? wh_cuda_relay_keep(call, token, graph->real) : make_relay(call, token);
    if (!relay)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = wh_cuda_driver(call)->cuLaunchHostFunc(stream, run_host_function, relay);
    if (result != CUDA_SUCCESS && !graph)
        end_relay(relay); /* the client forgets it, too */
    return result;
}

CUresult wh_cuda_do_stream_callback(struct wh_call *call, CUstream stream, uint64_t token)
{
    struct wh_cuda_relay *relay = make_relay(call, token);
    if (!relay)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result =
        wh_cuda_driver(call)->cuStreamAddCallback(stream, run_stream_callback, relay, 0);
    if (result != CUDA_SUCCESS)
        end_relay(relay);
    return result;
}
