/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host functions and stream callbacks run in the client. The stream waits as natively: our function
 * in its place tells the client, and returns when the client says that the program's has.
 */
#include "backend/cuda/backend.h"

#include <stdlib.h>

/* One function on its way: made when it is enqueued, gone when it has run. */
struct relay {
    struct wh_channel *channel;
    uint64_t token;
};

/*
 * Runs in a thread of the driver, in the stream's order. The client's answer is a count in shared
 * memory and no message: the thread that takes messages may be inside the driver, in a launch or a
 * copy that waits for this very function.
 */
static void tell(struct relay *relay, CUresult status)
{
    struct wh_channel *channel = relay->channel;
    uint64_t word = (uint64_t)(int64_t)status;
    int64_t number =
        channel->ops->push_upcall(channel, WH_UPCALL_CALLBACK, relay->token, &word, sizeof(word));
    if (number >= 0)
        channel->ops->await_callback(channel, (uint32_t)number);
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
    struct relay *relay = malloc(sizeof(*relay));
    if (relay)
        *relay = (struct relay){.channel = call->worker->channel, .token = token};
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
