/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_capture: streams recorded into graphs: launches, sets, copies of every kind of memory, host
 * functions, forks and joins by events; the graph runs as often as it is launched, on what memory
 * holds then.
 */
#include <atomic>

#include "check.h"

enum { N = 1 << 16, BLOCK = 256 };

__global__ void scale(float *to, const float *from, float factor, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        to[i] = from[i] * factor;
}

__global__ void sum(float *to, const float *a, const float *b, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        to[i] = a[i] + b[i];
}

__global__ void twice_plus(int *value, int term)
{
    *value = 2 * *value + term;
}

static cudaGraphExec_t instantiate(cudaGraph_t graph)
{
    cudaGraphExec_t exec;
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    return exec;
}

static size_t count_nodes(cudaGraph_t graph)
{
    size_t n = 0;
    CHECK(cudaGraphGetNodes(graph, nullptr, &n));
    return n;
}

/* The order of a stream, and memory that changes between launches. */
static void in_order()
{
    cudaStream_t stream;
    cudaGraph_t graph;
    int *value, got = 0;
    bool right = true;
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMalloc(&value, sizeof(*value)));
    CHECK(cudaMemset(value, 0, sizeof(*value)));
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    for (int i = 1; i <= 4; i++)
        twice_plus<<<1, 1, 0, stream>>>(value, i);
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaMemcpy(&got, value, sizeof(got), cudaMemcpyDeviceToHost));
    expect("nothing runs while it is captured", got == 0);
    expect("four nodes", count_nodes(graph) == 4);
    cudaGraphExec_t exec = instantiate(graph);
    CHECK(cudaGraphDestroy(graph));
    int expected = 0;
    for (int k = 0; k < 10; k++) {
        CHECK(cudaGraphLaunch(exec, stream));
        for (int i = 1; i <= 4; i++)
            expected = (int)(2u * (unsigned)expected + (unsigned)i);
        CHECK(cudaMemcpyAsync(&got, value, sizeof(got), cudaMemcpyDeviceToHost, stream));
        CHECK(cudaStreamSynchronize(stream));
        right &= got == expected;
    }
    expect("ten launches, each behind the one before", right);
    CHECK(cudaMemset(value, 0, sizeof(*value)));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaMemcpy(&got, value, sizeof(got), cudaMemcpyDeviceToHost));
    expect("on what the memory holds then", got == 26);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaFree(value));
    CHECK(cudaStreamDestroy(stream));
}

/* Two branches between a fork and a join. */
static void forked()
{
    cudaStream_t main_stream, side;
    cudaEvent_t fork, join;
    cudaGraph_t graph;
    float *x, *a, *b, *y;
    static float host[N];
    CHECK(cudaStreamCreateWithFlags(&main_stream, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
    CHECK(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    CHECK(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
    for (float **p : {&x, &a, &b, &y})
        CHECK(cudaMalloc(p, N * sizeof(float)));
    CHECK(cudaStreamBeginCapture(main_stream, cudaStreamCaptureModeThreadLocal));
    cudaStreamCaptureStatus status;
    CHECK(cudaStreamIsCapturing(side, &status));
    expect("the other stream captures nothing yet", status == cudaStreamCaptureStatusNone);
    CHECK(cudaEventRecord(fork, main_stream));
    CHECK(cudaStreamWaitEvent(side, fork, 0));
    CHECK(cudaStreamIsCapturing(side, &status));
    expect("by waiting it takes part", status == cudaStreamCaptureStatusActive);
    scale<<<N / BLOCK, BLOCK, 0, main_stream>>>(a, x, 2.0f, N);
    scale<<<N / BLOCK, BLOCK, 0, side>>>(b, x, 3.0f, N);
    CHECK(cudaEventRecord(join, side));
    CHECK(cudaStreamWaitEvent(main_stream, join, 0));
    sum<<<N / BLOCK, BLOCK, 0, main_stream>>>(y, a, b, N);
    CHECK(cudaStreamEndCapture(main_stream, &graph));
    CHECK(cudaStreamIsCapturing(side, &status));
    expect("and no more when it has ended", status == cudaStreamCaptureStatusNone);
    size_t roots = 0, edges = 0;
    CHECK(cudaGraphGetRootNodes(graph, nullptr, &roots));
    CHECK(cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &edges));
    expect("three nodes, two roots, two edges",
           count_nodes(graph) == 3 && roots == 2 && edges == 2);
    cudaGraphExec_t exec = instantiate(graph);
    bool right = true;
    for (int k = 1; k <= 3; k++) {
        for (int i = 0; i < N; i++)
            host[i] = (float)((i + k) % 1000);
        CHECK(cudaMemcpy(x, host, sizeof(host), cudaMemcpyHostToDevice));
        CHECK(cudaDeviceSynchronize()); /* the last of it may be on its way: not to this stream */
        CHECK(cudaGraphLaunch(exec, side));
        CHECK(cudaStreamSynchronize(side));
        CHECK(cudaMemcpy(host, y, sizeof(host), cudaMemcpyDeviceToHost));
        for (int i = 0; i < N; i++)
            right &= host[i] == 5.0f * (float)((i + k) % 1000);
    }
    expect("both branches, then the join", right);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
    for (float *p : {x, a, b, y})
        CHECK(cudaFree(p));
    CHECK(cudaEventDestroy(fork));
    CHECK(cudaEventDestroy(join));
    CHECK(cudaStreamDestroy(main_stream));
    CHECK(cudaStreamDestroy(side));
}

/* Copies read and write the program's memory when the graph comes to them. */
static void copies()
{
    enum { SIZE = 100000 };
    cudaStream_t stream;
    cudaGraph_t graph;
    unsigned char *pageable = (unsigned char *)malloc(SIZE), *back = (unsigned char *)malloc(SIZE);
    unsigned char *pinned, *device, *second;
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMallocHost(&pinned, SIZE));
    CHECK(cudaMalloc(&device, SIZE));
    CHECK(cudaMalloc(&second, SIZE));
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    CHECK(cudaMemcpyAsync(device, pageable, SIZE, cudaMemcpyHostToDevice, stream));
    CHECK(cudaMemcpyAsync(second, device, SIZE, cudaMemcpyDeviceToDevice, stream));
    CHECK(cudaMemsetAsync(second, 7, 100, stream));
    CHECK(cudaMemcpyAsync(pinned, second, SIZE, cudaMemcpyDeviceToHost, stream));
    CHECK(cudaMemcpyAsync(back, second, SIZE, cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamEndCapture(stream, &graph));
    cudaGraphNode_t nodes[8];
    size_t n = 8;
    cudaGraphNodeType type;
    CHECK(cudaGraphGetNodes(graph, nodes, &n));
    size_t ncopies = 0, nsets = 0;
    for (size_t i = 0; i < n; i++) {
        CHECK(cudaGraphNodeGetType(nodes[i], &type));
        ncopies += type == cudaGraphNodeTypeMemcpy;
        nsets += type == cudaGraphNodeTypeMemset;
    }
    expect("four copies and a set", n == 5 && ncopies == 4 && nsets == 1);
    cudaGraphExec_t exec = instantiate(graph);
    CHECK(cudaGraphDestroy(graph));
    bool right_pinned = true, right_back = true;
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < SIZE; i++)
            pageable[i] = (unsigned char)(i * 31 + k);
        CHECK(cudaGraphLaunch(exec, stream));
        CHECK(cudaStreamSynchronize(stream));
        for (int i = 0; i < SIZE; i++) {
            unsigned char expected = i < 100 ? 7 : (unsigned char)(i * 31 + k);
            right_pinned &= pinned[i] == expected;
            right_back &= back[i] == expected;
        }
    }
    expect("into pinned memory", right_pinned);
    expect("into memory of the program's own", right_back);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaFreeHost(pinned));
    CHECK(cudaFree(device));
    CHECK(cudaFree(second));
    free(pageable);
    free(back);
    CHECK(cudaStreamDestroy(stream));
}

struct note {
    std::atomic<int> calls;
    const int *seen;
    int values[8];
};

static void CUDART_CB take_note(void *data)
{
    note *n = (note *)data;
    int call = n->calls.fetch_add(1);
    if (call < 8)
        n->values[call] = *n->seen;
}

/* A host function between two kernels, at every launch. */
static void host_functions()
{
    cudaStream_t stream;
    cudaGraph_t graph;
    int *value, *seen;
    note n = {};
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMalloc(&value, sizeof(*value)));
    CHECK(cudaMallocHost(&seen, sizeof(*seen)));
    CHECK(cudaMemset(value, 0, sizeof(*value)));
    n.seen = seen;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    twice_plus<<<1, 1, 0, stream>>>(value, 1);
    CHECK(cudaMemcpyAsync(seen, value, sizeof(*seen), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaLaunchHostFunc(stream, take_note, &n));
    twice_plus<<<1, 1, 0, stream>>>(value, 0);
    CHECK(cudaStreamEndCapture(stream, &graph));
    expect("not while it is captured", n.calls == 0);
    cudaGraphExec_t exec = instantiate(graph);
    CHECK(cudaGraphDestroy(graph));
    for (int k = 0; k < 4; k++)
        CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    expect("once for each launch", n.calls == 4);
    expect("between the kernels",
           n.values[0] == 1 && n.values[1] == 5 && n.values[2] == 21 && n.values[3] == 85);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaFree(value));
    CHECK(cudaFreeHost(seen));
    CHECK(cudaStreamDestroy(stream));
}

/* An executable graph is launched, not captured; as a child a graph is a part of the new one. */
static void nested()
{
    cudaStream_t stream;
    cudaGraph_t inner, outer;
    cudaGraphNode_t first, again;
    int *value, got = 0;
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMalloc(&value, sizeof(*value)));
    CHECK(cudaMemset(value, 0, sizeof(*value)));
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    twice_plus<<<1, 1, 0, stream>>>(value, 1);
    CHECK(cudaStreamEndCapture(stream, &inner));
    cudaGraphExec_t inner_exec = instantiate(inner);
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    SHOW(cudaGraphLaunch(inner_exec, stream));
    SHOW(cudaStreamEndCapture(stream, &outer));
    CHECK(cudaGraphCreate(&outer, 0));
    CHECK(cudaGraphAddChildGraphNode(&first, outer, nullptr, 0, inner));
    CHECK(cudaGraphAddChildGraphNode(&again, outer, &first, 1, inner));
    cudaGraphExec_t exec = instantiate(outer);
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaMemcpy(&got, value, sizeof(got), cudaMemcpyDeviceToHost));
    expect("the inner one twice", got == 3);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphExecDestroy(inner_exec));
    CHECK(cudaGraphDestroy(outer));
    CHECK(cudaGraphDestroy(inner));
    CHECK(cudaFree(value));
    CHECK(cudaStreamDestroy(stream));
}

int main()
{
    in_order();
    forked();
    copies();
    host_functions();
    nested();
    return verdict();
}
