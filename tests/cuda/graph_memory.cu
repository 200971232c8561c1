/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_memory: memory that graphs allocate and free: by nodes, by captured calls, freed by another
 * graph or outside of any, and what the device says of it.
 */
#include "check.h"

enum { N = 5000 };

__global__ void fill(int *to, int value, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        to[i] = value + i;
}

__global__ void sum(int *to, const int *from, int n)
{
    int total = 0;
    for (int i = 0; i < n; i++)
        total += from[i];
    *to = total;
}

static int expected(int value)
{
    int total = 0;
    for (int i = 0; i < N; i++)
        total += value + i;
    return total;
}

/* What graphs hold on to that is not allocated may be given back. */
static unsigned long long used()
{
    unsigned long long bytes = 0;
    CHECK(cudaDeviceGraphMemTrim(0));
    CHECK(cudaDeviceGetGraphMemAttribute(0, cudaGraphMemAttrUsedMemCurrent, &bytes));
    return bytes;
}

/* Allocated, used and freed within one launch. */
static void captured(cudaStream_t stream, int *result)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    int *memory, got = 0;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    CHECK(cudaMallocAsync(&memory, N * sizeof(int), stream));
    fill<<<(N + 127) / 128, 128, 0, stream>>>(memory, 3, N);
    sum<<<1, 1, 0, stream>>>(result, memory, N);
    CHECK(cudaFreeAsync(memory, stream));
    CHECK(cudaStreamEndCapture(stream, &graph));
    size_t n = 8;
    cudaGraphNode_t nodes[8];
    CHECK(cudaGraphGetNodes(graph, nodes, &n));
    unsigned allocations = 0, frees = 0;
    for (size_t i = 0; i < n; i++) {
        cudaGraphNodeType type;
        CHECK(cudaGraphNodeGetType(nodes[i], &type));
        allocations += type == cudaGraphNodeTypeMemAlloc;
        frees += type == cudaGraphNodeTypeMemFree;
    }
    expect("calls become nodes", n == 4 && allocations == 1 && frees == 1);
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    for (int k = 0; k < 3; k++)
        CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaMemcpyAsync(&got, result, sizeof(got), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    expect("three launches", got == expected(3));
    expect("nothing stays", used() == 0);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
}

static cudaGraphNode_t allocate(cudaGraph_t graph, int **memory)
{
    cudaGraphNode_t node;
    cudaMemAllocNodeParams p = {};
    p.poolProps.allocType = cudaMemAllocationTypePinned;
    p.poolProps.location.type = cudaMemLocationTypeDevice;
    p.poolProps.location.id = 0;
    p.bytesize = N * sizeof(int);
    CHECK(cudaGraphAddMemAllocNode(&node, graph, nullptr, 0, &p));
    *memory = (int *)p.dptr;
    cudaMemAllocNodeParams got = {};
    CHECK(cudaGraphMemAllocNodeGetParams(node, &got));
    expect("the address is told again", got.dptr == p.dptr && got.bytesize >= p.bytesize);
    return node;
}

/* What a graph leaves is used behind it, and freed outside. */
static void outside(cudaStream_t stream, int *result)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaGraphNode_t node;
    int *memory, value = 7, n = N, got = 0;
    CHECK(cudaGraphCreate(&graph, 0));
    cudaGraphNode_t allocation = allocate(graph, &memory);
    void *args[] = {&memory, &value, &n};
    cudaKernelNodeParams p = {};
    p.func = (void *)fill;
    p.gridDim = dim3((N + 127) / 128);
    p.blockDim = dim3(128);
    p.kernelParams = args;
    CHECK(cudaGraphAddKernelNode(&node, graph, &allocation, 1, &p));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaGraphLaunch(exec, stream));
    sum<<<1, 1, 0, stream>>>(result, memory, N);
    static int copied[N];
    CHECK(cudaMemcpyAsync(copied, memory, sizeof(copied), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaMemcpyAsync(&got, result, sizeof(got), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    expect("memory that a graph leaves", got == expected(7) && copied[10] == 17);
    expect("is used", used() >= N * sizeof(int));
    SHOW(cudaGraphLaunch(exec, stream));
    cudaGetLastError();
    CHECK(cudaFreeAsync(memory, stream));
    CHECK(cudaStreamSynchronize(stream));
    expect("and freed", used() == 0);
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream)); /* else NVIDIA's driver may count it a while longer */
    CHECK(cudaFree(memory));
    expect("again", used() == 0);
    CHECK(cudaGraphExecDestroy(exec));

    /* Or by the next launch. */
    CHECK(cudaGraphInstantiateWithFlags(&exec, graph, cudaGraphInstantiateFlagAutoFreeOnLaunch));
    for (int k = 0; k < 3; k++)
        CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaFreeAsync(memory, stream));
    CHECK(cudaStreamSynchronize(stream));
    expect("by the next launch", used() == 0);

    /* Or by another graph. */
    cudaGraph_t second;
    cudaGraphExec_t second_exec;
    void *freed = nullptr;
    CHECK(cudaGraphCreate(&second, 0));
    CHECK(cudaGraphAddMemFreeNode(&node, second, nullptr, 0, memory));
    CHECK(cudaGraphMemFreeNodeGetParams(node, &freed));
    expect("what a node frees", freed == memory);
    CHECK(cudaGraphInstantiate(&second_exec, second, 0));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaGraphLaunch(second_exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    expect("by another graph", used() == 0);
    expect("its nodes stay", cudaGraphDestroyNode(allocation) != cudaSuccess);
    cudaGetLastError();
    CHECK(cudaGraphExecDestroy(second_exec));
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(second));
    CHECK(cudaGraphDestroy(graph));
}

int main()
{
    cudaStream_t stream;
    int *result;
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMalloc(&result, sizeof(*result)));
    captured(stream, result);
    outside(stream, result);
    unsigned long long high = 0;
    CHECK(cudaDeviceGetGraphMemAttribute(0, cudaGraphMemAttrUsedMemHigh, &high));
    expect("there was some", high >= N * sizeof(int));
    high = 0;
    CHECK(cudaDeviceSetGraphMemAttribute(0, cudaGraphMemAttrUsedMemHigh, &high));
    CHECK(cudaDeviceGetGraphMemAttribute(0, cudaGraphMemAttrUsedMemHigh, &high));
    expect("and is none", high == 0);
    CHECK(cudaFree(result));
    CHECK(cudaStreamDestroy(stream));
    return verdict();
}
