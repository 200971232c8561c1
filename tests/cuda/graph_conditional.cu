/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_conditional: bodies that run if, while, or as a kernel of the graph says, at every launch
 * anew; and a body that is captured.
 */
#include "check.h"

__global__ void decide(cudaGraphConditionalHandle handle, const int *value)
{
    cudaGraphSetConditional(handle, (unsigned)*value);
}

__global__ void add(int *to, int term)
{
    *to += term;
}

__global__ void count_down(cudaGraphConditionalHandle handle, int *left, int *rounds)
{
    ++*rounds;
    cudaGraphSetConditional(handle, --*left > 0);
}

static cudaStream_t stream;
static int *choice, *result;

static int launch(cudaGraphExec_t exec, int chosen)
{
    int value = 0;
    CHECK(cudaMemcpyAsync(choice, &chosen, sizeof(chosen), cudaMemcpyHostToDevice, stream));
    CHECK(cudaMemsetAsync(result, 0, sizeof(*result), stream));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaMemcpyAsync(&value, result, sizeof(value), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    return value;
}

static cudaGraphNode_t kernel(cudaGraph_t graph, const cudaGraphNode_t *before, void *function,
                              void **args)
{
    cudaGraphNode_t node;
    cudaGraphNodeParams p = {};
    p.type = cudaGraphNodeTypeKernel;
    p.kernel.func = function;
    p.kernel.gridDim = dim3(1);
    p.kernel.blockDim = dim3(1);
    p.kernel.kernelParams = args;
    CHECK(cudaGraphAddNode(&node, graph, before, nullptr, before != nullptr, &p));
    return node;
}

/* A kernel that decides, and a node that looks; its bodies add 1, 10, 100. */
static cudaGraphExec_t make(cudaGraphConditionalNodeType type, unsigned bodies)
{
    cudaGraph_t graph;
    cudaGraphConditionalHandle handle;
    cudaGraphExec_t exec;
    cudaGraphNode_t node;
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphConditionalHandleCreate(&handle, graph, 0, 0));
    void *args[] = {&handle, &choice};
    cudaGraphNode_t first = kernel(graph, nullptr, (void *)decide, args);
    cudaGraphNodeParams p = {};
    p.type = cudaGraphNodeTypeConditional;
    p.conditional.handle = handle;
    p.conditional.type = type;
    p.conditional.size = bodies;
    CHECK(cudaGraphAddNode(&node, graph, &first, nullptr, 1, &p));
    int term = 1;
    for (unsigned i = 0; i < bodies; i++, term *= 10) {
        void *body_args[] = {&result, &term};
        kernel(p.conditional.phGraph_out[i], nullptr, (void *)add, body_args);
    }
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaGraphDestroy(graph));
    return exec;
}

/* The body is captured into the graph that the node gave. */
static cudaGraphExec_t make_while()
{
    cudaGraph_t graph;
    cudaGraphConditionalHandle handle;
    cudaGraphExec_t exec;
    cudaGraphNode_t node;
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphConditionalHandleCreate(&handle, graph, 1, cudaGraphCondAssignDefault));
    cudaGraphNodeParams p = {};
    p.type = cudaGraphNodeTypeConditional;
    p.conditional.handle = handle;
    p.conditional.type = cudaGraphCondTypeWhile;
    p.conditional.size = 1;
    CHECK(cudaGraphAddNode(&node, graph, nullptr, nullptr, 0, &p));
    CHECK(cudaStreamBeginCaptureToGraph(stream, p.conditional.phGraph_out[0], nullptr, nullptr, 0,
                                        cudaStreamCaptureModeGlobal));
    count_down<<<1, 1, 0, stream>>>(handle, choice, result);
    CHECK(cudaStreamEndCapture(stream, nullptr));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaGraphDestroy(graph));
    return exec;
}

int main()
{
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMalloc(&choice, sizeof(*choice)));
    CHECK(cudaMalloc(&result, sizeof(*result)));
    cudaGraphExec_t exec = make(cudaGraphCondTypeIf, 1);
    expect("if it is so", launch(exec, 1) == 1);
    expect("if it is not", launch(exec, 0) == 0);
    expect("and if it is again", launch(exec, 5) == 1);
    CHECK(cudaGraphExecDestroy(exec));
    exec = make(cudaGraphCondTypeIf, 2);
    expect("or else", launch(exec, 1) == 1 && launch(exec, 0) == 10);
    CHECK(cudaGraphExecDestroy(exec));
    exec = make(cudaGraphCondTypeSwitch, 3);
    expect("one of several",
           launch(exec, 0) == 1 && launch(exec, 1) == 10 && launch(exec, 2) == 100);
    expect("or none of them", launch(exec, 3) == 0);
    CHECK(cudaGraphExecDestroy(exec));
    exec = make_while();
    expect("while it is so",
           launch(exec, 7) == 7 && launch(exec, 1) == 1 && launch(exec, 20) == 20);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaFree(choice));
    CHECK(cudaFree(result));
    CHECK(cudaStreamDestroy(stream));
    return verdict();
}
