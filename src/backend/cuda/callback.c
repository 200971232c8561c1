/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host functions and stream callbacks run in the client. The stream waits as natively: our function
 * in its place tells the client, and returns when the client says that the program's has.
 */
#include "backend/cuda/graph.h"
#include "backend/cuda/relay.h"

/* In a capture the graph keeps the function. */
CUresult wh_cuda_do_host_function(struct wh_call *call, CUstream stream, uint64_t token)
{
    const struct wh_cuda_item *graph = wh_cuda_capture_graph(call, stream);
    struct wh_cuda_relay *relay =
        graph ? wh_cuda_relay_keep(call, token, graph->real) : wh_cuda_relay_once(call, token);
    if (!relay)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result =
        wh_cuda_driver(call)->cuLaunchHostFunc(stream, wh_cuda_relay_function(false), relay);
    /* The client forgets it, too. */
    if (result != CUDA_SUCCESS && graph)
        wh_cuda_relay_let_go(call, relay, graph->real, false);
    else if (result != CUDA_SUCCESS)
        wh_cuda_relay_end(relay);
    return result;
}

CUresult wh_cuda_do_stream_callback(struct wh_call *call, CUstream stream, uint64_t token)
{
    struct wh_cuda_relay *relay = wh_cuda_relay_once(call, token);
    if (!relay)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result =
        wh_cuda_driver(call)->cuStreamAddCallback(stream, wh_cuda_relay_callback(), relay, 0);
    if (result != CUDA_SUCCESS)
        wh_cuda_relay_end(relay);
    return result;
}
