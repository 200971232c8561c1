/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_update: an executable graph takes on another graph of the same shape, and says what it
 * cannot take on.
 */
#include "check.h"

__global__ void set(int *to, int value)
{
    *to = value;
}

__global__ void add(int *to, int term)
{
    *to += term;
}

static int *place;

static cudaGraph_t capture(cudaStream_t stream, int value, int terms, bool with_set)
{
    cudaGraph_t graph;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    set<<<1, 1, 0, stream>>>(place, value);
    if (with_set)
        CHECK(cudaMemsetAsync(place, 0, sizeof(int), stream));
    for (int i = 0; i < terms; i++)
        add<<<1, 1, 0, stream>>>(place, value);
    CHECK(cudaStreamEndCapture(stream, &graph));
    return graph;
}

static int launch(cudaGraphExec_t exec, cudaStream_t stream)
{
    int value = 0;
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaMemcpyAsync(&value, place, sizeof(value), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    return value;
}

static const char *name(cudaGraphExecUpdateResult result)
{
    switch (result) {
    case cudaGraphExecUpdateSuccess:
        return "success";
    case cudaGraphExecUpdateErrorTopologyChanged:
        return "topology changed";
    case cudaGraphExecUpdateErrorNodeTypeChanged:
        return "node type changed";
    default:
        return "another";
    }
}

static void update(cudaGraphExec_t exec, cudaGraph_t graph, const char *what)
{
    cudaGraphExecUpdateResultInfo info;
    cudaError_t error = cudaGraphExecUpdate(exec, graph, &info);
    cudaGetLastError();
    printf("%s: %s, %s\n", what, cudaGetErrorName(error), name(info.result));
}

int main()
{
    cudaStream_t stream;
    cudaGraphExec_t exec;
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMalloc(&place, sizeof(*place)));
    cudaGraph_t graph = capture(stream, 1, 3, false);
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaGraphDestroy(graph));
    expect("as it was made", launch(exec, stream) == 4);
    for (int value = 2; value <= 5; value++) {
        graph = capture(stream, value, 3, false);
        cudaGraphExecUpdateResultInfo info;
        CHECK(cudaGraphExecUpdate(exec, graph, &info));
        CHECK(cudaGraphDestroy(graph));
        if (launch(exec, stream) != 4 * value)
            expect("as it was updated", false);
    }
    graph = capture(stream, 6, 3, false);
    update(exec, graph, "the same shape");
    CHECK(cudaGraphDestroy(graph));
    expect("with the new values", launch(exec, stream) == 24);
    graph = capture(stream, 7, 2, false);
    update(exec, graph, "a node less");
    CHECK(cudaGraphDestroy(graph));
    graph = capture(stream, 7, 2, true);
    update(exec, graph, "a set where a kernel was");
    CHECK(cudaGraphDestroy(graph));
    expect("a refused update changes nothing", launch(exec, stream) == 24);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaFree(place));
    CHECK(cudaStreamDestroy(stream));
    return verdict();
}
