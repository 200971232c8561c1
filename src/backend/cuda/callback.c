/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host functions and stream callbacks run in the client. The stream waits as natively: our function
 * in its place tells the client, and returns when the client says that the program's has.
 */
#include "backend/cuda/backend.h"

#include <stdlib.h>

/* One function on its way: made when it is enqueued, gone when it has run. */
struct relay {
    struct relay *next;
    struct wh_worker *worker;
    struct wh_cuda_callbacks *callbacks;
    uint64_t token;
    bool done;
};

struct wh_cuda_callbacks {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct relay *running;
};

struct wh_cuda_callbacks *wh_cuda_callbacks_new(void)
{
    struct wh_cuda_callbacks *callbacks = calloc(1, sizeof(*callbacks));
    if (callbacks) {
        pthread_mutex_init(&callbacks->lock, NULL);
        pthread_cond_init(&callbacks->done, NULL);
    }
    return callbacks;
}

static void unlink_relay(struct wh_cuda_callbacks *callbacks, const struct relay *relay)
{
    struct relay **link = &callbacks->running;
    while (*link != relay)
        link = &(*link)->next;
    *link = relay->next;
}

/* Runs in a thread of the driver, in the stream's order. */
static void tell(struct relay *relay, CUresult status)
{
    struct wh_cuda_callbacks *callbacks = relay->callbacks;
    struct wh_channel *channel = relay->worker->channel;
    uint64_t word = (uint64_t)(int64_t)status;
    pthread_mutex_lock(&callbacks->lock);
    relay->next = callbacks->running;
    callbacks->running = relay;
    pthread_mutex_unlock(&callbacks->lock);
    int sent =
        channel->ops->push_upcall(channel, WH_UPCALL_CALLBACK, relay->token, &word, sizeof(word));
    pthread_mutex_lock(&callbacks->lock);
    while (sent == 0 && !relay->done)
        pthread_cond_wait(&callbacks->done, &callbacks->lock);
    unlink_relay(callbacks, relay);
    pthread_mutex_unlock(&callbacks->lock);
    free(relay);
}

static void CUDA_CB run_host_function(void *relay)
{
    tell(relay, CUDA_SUCCESS);
}

static void CUDA_CB run_stream_callback(CUstream stream, CUresult status, void *relay)
{
    (void)stream;
    tell(relay, status);
}

static struct relay *make_relay(struct wh_call *call, uint64_t token)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    if (relay) {
        relay->worker = call->worker;
        relay->callbacks = wh_cuda_state(call)->callbacks;
        relay->token = token;
    }
    return relay;
}

CUresult wh_cuda_do_host_function(struct wh_call *call, CUstream stream, uint64_t token)
{
    struct relay *relay = make_relay(call, token);
    if (!relay)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = wh_cuda_driver(call)->cuLaunchHostFunc(stream, run_host_function, relay);
    if (result != CUDA_SUCCESS)
        free(relay);
    return result;
}

CUresult wh_cuda_do_stream_callback(struct wh_call *call, CUstream stream, uint64_t token)
{
    struct relay *relay = make_relay(call, token);
    if (!relay)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result =
        wh_cuda_driver(call)->cuStreamAddCallback(stream, run_stream_callback, relay, 0);
    if (result != CUDA_SUCCESS)
        free(relay);
    return result;
}

/* A token that nothing waits for is an old or a false one: nothing happens. */
CUresult wh_cuda_do_host_function_done(struct wh_call *call, uint64_t token)
{
    struct wh_cuda_callbacks *callbacks = wh_cuda_state(call)->callbacks;
    pthread_mutex_lock(&callbacks->lock);
    for (struct relay *relay = callbacks->running; relay; relay = relay->next)
        if (relay->token == token)
            relay->done = true;
    pthread_cond_broadcast(&callbacks->done);
    pthread_mutex_unlock(&callbacks->lock);
    return CUDA_SUCCESS;
}
