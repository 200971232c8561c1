/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_nodes: graphs that are built node by node: each kind of node, parameters asked for and
 * changed, edges, copies of graphs, graphs in graphs, what an executable graph leaves out, text.
 */
#include <cuda.h>

#include <atomic>

#include "check.h"

enum { N = 1000 };

__global__ void add(int *to, const int *from, int term, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        to[i] = from[i] + term;
}

__global__ void multiply(int *to, int factor, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        to[i] *= factor;
}

static cudaKernelNodeParams kernel(void *function, void **args)
{
    cudaKernelNodeParams p = {};
    p.func = function;
    p.gridDim = dim3((N + 127) / 128);
    p.blockDim = dim3(128);
    p.kernelParams = args;
    return p;
}

static cudaMemcpy3DParms copy(void *to, void *from, size_t size, cudaMemcpyKind kind)
{
    cudaMemcpy3DParms p = {};
    p.srcPtr = make_cudaPitchedPtr(from, size, size, 1);
    p.dstPtr = make_cudaPitchedPtr(to, size, size, 1);
    p.extent = make_cudaExtent(size, 1, 1);
    p.kind = kind;
    return p;
}

static void run(cudaGraphExec_t exec)
{
    CHECK(cudaGraphLaunch(exec, 0));
    CHECK(cudaStreamSynchronize(0));
}

static void CUDART_CB count(void *data)
{
    ++*(std::atomic<int> *)data;
}

static int *device_a, *device_b;
static int host_in[N], host_out[N];

static bool is(const int *values, int (*expected)(int))
{
    for (int i = 0; i < N; i++)
        if (values[i] != expected(i))
            return false;
    return true;
}

/* In: copy; set beside it; add; host function; multiply; out: copy. */
static void every_kind()
{
    cudaGraph_t graph;
    cudaGraphNode_t in, set, sum, call, product, out, empty;
    std::atomic<int> calls{0};
    int term = 5, factor = 3, n = N;
    CHECK(cudaGraphCreate(&graph, 0));
    cudaMemcpy3DParms p_in = copy(device_a, host_in, sizeof(host_in), cudaMemcpyHostToDevice);
    CHECK(cudaGraphAddMemcpyNode(&in, graph, nullptr, 0, &p_in));
    cudaMemsetParams p_set = {};
    p_set.dst = device_b;
    p_set.elementSize = 4;
    p_set.width = N;
    p_set.height = 1;
    p_set.value = 9;
    CHECK(cudaGraphAddMemsetNode(&set, graph, nullptr, 0, &p_set));
    void *add_args[] = {&device_b, &device_a, &term, &n};
    cudaKernelNodeParams p_sum = kernel((void *)add, add_args);
    cudaGraphNode_t both[] = {in, set};
    CHECK(cudaGraphAddKernelNode(&sum, graph, both, 2, &p_sum));
    cudaHostNodeParams p_call = {count, &calls};
    CHECK(cudaGraphAddHostNode(&call, graph, &sum, 1, &p_call));
    void *multiply_args[] = {&device_b, &factor, &n};
    cudaKernelNodeParams p_product = kernel((void *)multiply, multiply_args);
    CHECK(cudaGraphAddKernelNode(&product, graph, &call, 1, &p_product));
    CHECK(cudaGraphAddEmptyNode(&empty, graph, &product, 1));
    cudaMemcpy3DParms p_out = copy(host_out, device_b, sizeof(host_out), cudaMemcpyDeviceToHost);
    CHECK(cudaGraphAddMemcpyNode(&out, graph, &empty, 1, &p_out));

    static const cudaGraphNodeType types[] = {cudaGraphNodeTypeMemcpy, cudaGraphNodeTypeMemset,
                                              cudaGraphNodeTypeKernel, cudaGraphNodeTypeHost,
                                              cudaGraphNodeTypeKernel, cudaGraphNodeTypeMemcpy,
                                              cudaGraphNodeTypeEmpty};
    cudaGraphNode_t nodes[] = {in, set, sum, call, product, out, empty}, listed[16];
    bool right = true;
    for (int i = 0; i < 7; i++) {
        cudaGraphNodeType type;
        CHECK(cudaGraphNodeGetType(nodes[i], &type));
        right &= type == types[i];
    }
    expect("types", right);
    size_t number = 16;
    CHECK(cudaGraphGetNodes(graph, listed, &number));
    expect("seven nodes", number == 7);
    number = 16;
    CHECK(cudaGraphGetRootNodes(graph, listed, &number));
    expect("two roots", number == 2 && ((listed[0] == in && listed[1] == set) ||
                                        (listed[0] == set && listed[1] == in)));
    number = 16;
    CHECK(cudaGraphNodeGetDependencies(sum, listed, nullptr, &number));
    expect("behind two", number == 2);
    number = 16;
    CHECK(cudaGraphNodeGetDependentNodes(in, listed, nullptr, &number));
    expect("before one", number == 1 && listed[0] == sum);

    cudaGraphExec_t exec;
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < N; i++)
            host_in[i] = i + k;
        run(exec);
        right &= host_out[0] == 3 * (k + 5) && host_out[N - 1] == 3 * (N - 1 + k + 5);
    }
    expect("what it computes", right);
    expect("the function was called", calls == 3);

    /* What was given is told. */
    cudaKernelNodeParams got = {};
    CHECK(cudaGraphKernelNodeGetParams(sum, &got));
    expect("a kernel's parameters",
           got.func == (void *)add && got.gridDim.x == p_sum.gridDim.x && got.blockDim.x == 128 &&
               *(int **)got.kernelParams[0] == device_b && *(int *)got.kernelParams[2] == 5);
    cudaMemcpy3DParms got_copy = {};
    CHECK(cudaGraphMemcpyNodeGetParams(in, &got_copy));
    expect("a copy's parameters", got_copy.srcPtr.ptr == host_in &&
                                      got_copy.dstPtr.ptr == device_a &&
                                      got_copy.extent.width == sizeof(host_in));
    cudaMemsetParams got_set = {};
    CHECK(cudaGraphMemsetNodeGetParams(set, &got_set));
    expect("a set's parameters", got_set.dst == device_b && got_set.value == 9 &&
                                     got_set.width == N && got_set.elementSize == 4);
    cudaHostNodeParams got_host = {};
    CHECK(cudaGraphHostNodeGetParams(call, &got_host));
    expect("a function's parameters", got_host.fn == count && got_host.userData == &calls);

    /* New parameters: of the graph, seen by what is made of it then; and of an executable one. */
    term = 7;
    CHECK(cudaGraphKernelNodeSetParams(sum, &p_sum));
    run(exec);
    expect("an executable graph keeps what it was made with", host_out[0] == 3 * (2 + 5));
    cudaGraphExec_t second;
    CHECK(cudaGraphInstantiate(&second, graph, 0));
    run(second);
    expect("a new one has the new parameters", host_out[0] == 3 * (2 + 7));
    factor = 10;
    CHECK(cudaGraphExecKernelNodeSetParams(exec, product, &p_product));
    run(exec);
    expect("new parameters in an executable graph", host_out[0] == 10 * (2 + 5));
    CHECK(cudaGraphNodeSetEnabled(exec, product, 0));
    run(exec);
    unsigned enabled = 1;
    CHECK(cudaGraphNodeGetEnabled(exec, product, &enabled));
    expect("a node that is left out", host_out[0] == 7 && !enabled);
    CHECK(cudaGraphNodeSetEnabled(exec, product, 1));
    static int other_in[N], other_out[N];
    for (int i = 0; i < N; i++)
        other_in[i] = 1000 + i;
    p_in.srcPtr.ptr = other_in;
    p_out.dstPtr.ptr = other_out;
    CHECK(cudaGraphExecMemcpyNodeSetParams(exec, in, &p_in));
    CHECK(cudaGraphExecMemcpyNodeSetParams(exec, out, &p_out));
    run(exec);
    expect("other memory of the program's",
           is(other_out, [](int i) { return 10 * (1000 + i + 5); }));
    CHECK(cudaGraphExecDestroy(second));
    CHECK(cudaGraphExecDestroy(exec));

    /* A clone stands on its own. */
    cudaGraph_t clone;
    cudaGraphNode_t in_clone;
    CHECK(cudaGraphClone(&clone, graph));
    CHECK(cudaGraphNodeFindInClone(&in_clone, sum, clone));
    CHECK(cudaGraphDestroy(graph));
    number = 0;
    CHECK(cudaGraphGetNodes(clone, nullptr, &number));
    CHECK(cudaGraphKernelNodeGetParams(in_clone, &got));
    expect("a clone has its own nodes", number == 7 && *(int *)got.kernelParams[2] == 7);
    CHECK(cudaGraphInstantiate(&exec, clone, 0));
    memset(host_out, 0, sizeof(host_out));
    run(exec);
    expect("and runs", host_out[1] == 3 * (3 + 7));
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(clone));
}

static void edges()
{
    cudaGraph_t graph;
    cudaGraphNode_t a, b, c, from[4], to[4];
    size_t n = 4;
    CHECK(cudaGraphCreate(&graph, 0));
    for (cudaGraphNode_t *node : {&a, &b, &c})
        CHECK(cudaGraphAddEmptyNode(node, graph, nullptr, 0));
    cudaGraphNode_t starts[] = {a, b}, ends[] = {b, c};
    CHECK(cudaGraphAddDependencies(graph, starts, ends, nullptr, 2));
    CHECK(cudaGraphGetEdges(graph, from, to, nullptr, &n));
    expect("two edges", n == 2);
    expect("no edge twice",
           cudaGraphAddDependencies(graph, starts, ends, nullptr, 1) != cudaSuccess);
    cudaGetLastError();
    CHECK(cudaGraphAddDependencies(graph, &c, &a, nullptr, 1));
    cudaGraphExec_t exec;
    expect("a circle cannot be run", cudaGraphInstantiate(&exec, graph, 0) != cudaSuccess);
    cudaGetLastError();
    CHECK(cudaGraphRemoveDependencies(graph, &c, &a, nullptr, 1));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    run(exec);
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroyNode(b));
    n = 0;
    CHECK(cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &n));
    expect("edges go with a node", n == 0);
    n = 0;
    CHECK(cudaGraphGetNodes(graph, nullptr, &n));
    expect("two nodes are left", n == 2);
    CHECK(cudaGraphDestroy(graph));
}

static void children()
{
    cudaGraph_t child, graph, inside;
    cudaGraphNode_t node, first, second;
    int term = 1, n = N;
    CHECK(cudaGraphCreate(&child, 0));
    void *args[] = {&device_a, &device_a, &term, &n};
    cudaKernelNodeParams p = kernel((void *)add, args);
    CHECK(cudaGraphAddKernelNode(&node, child, nullptr, 0, &p));
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphAddChildGraphNode(&first, graph, nullptr, 0, child));
    CHECK(cudaGraphAddChildGraphNode(&second, graph, &first, 1, child));
    CHECK(cudaGraphChildGraphNodeGetGraph(second, &inside));
    size_t number = 1;
    cudaGraphNode_t inner;
    CHECK(cudaGraphGetNodes(inside, &inner, &number));
    term = 10;
    CHECK(cudaGraphKernelNodeSetParams(inner, &p));
    cudaGraphExec_t exec;
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaMemset(device_a, 0, N * sizeof(int)));
    run(exec);
    CHECK(cudaMemcpy(host_out, device_a, sizeof(host_out), cudaMemcpyDeviceToHost));
    expect("a child graph is a copy", is(host_out, [](int) { return 11; }));
    term = 100;
    CHECK(cudaGraphKernelNodeSetParams(node, &p));
    CHECK(cudaGraphExecChildGraphNodeSetParams(exec, first, child));
    run(exec);
    CHECK(cudaMemcpy(host_out, device_a, sizeof(host_out), cudaMemcpyDeviceToHost));
    expect("another in its place", is(host_out, [](int) { return 11 + 110; }));
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
    CHECK(cudaGraphDestroy(child));
}

/* An event that a graph records, one that it waits for, and values in memory. */
static void events_and_values()
{
    cudaEvent_t recorded, waited, got;
    cudaGraph_t graph;
    cudaGraphNode_t wait, record, memops;
    cudaStream_t other;
    unsigned *word;
    CHECK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    CHECK(cudaEventCreate(&recorded));
    CHECK(cudaEventCreate(&waited));
    CHECK(cudaMalloc(&word, sizeof(*word)));
    CHECK(cudaMemset(word, 0, sizeof(*word)));
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphAddEventWaitNode(&wait, graph, nullptr, 0, waited));
    CUstreamBatchMemOpParams op = {};
    op.writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    op.writeValue.address = (CUdeviceptr)word;
    op.writeValue.value = 77;
    CUcontext context;
    CHECK(cuCtxGetCurrent(&context));
    CUDA_BATCH_MEM_OP_NODE_PARAMS p = {};
    p.ctx = context;
    p.count = 1;
    p.paramArray = &op;
    CHECK(cuGraphAddBatchMemOpNode(&memops, graph, &wait, 1, &p));
    CHECK(cudaGraphAddEventRecordNode(&record, graph, &memops, 1, recorded));
    CHECK(cudaGraphEventRecordNodeGetEvent(record, &got));
    expect("a record node's event", got == recorded);
    CHECK(cudaGraphEventWaitNodeGetEvent(wait, &got));
    expect("a wait node's event", got == waited);
    cudaGraphExec_t exec;
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaEventRecord(waited, other));
    CHECK(cudaGraphLaunch(exec, other));
    CHECK(cudaEventSynchronize(recorded));
    unsigned value = 0;
    CHECK(cudaMemcpy(&value, word, sizeof(value), cudaMemcpyDeviceToHost));
    expect("recorded behind the value", value == 77);
    CHECK(cudaStreamSynchronize(other));
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
    CHECK(cudaEventDestroy(recorded));
    CHECK(cudaEventDestroy(waited));
    CHECK(cudaFree(word));
    CHECK(cudaStreamDestroy(other));
}

/* One structure for all kinds, and edges that say more. */
static void generic()
{
    cudaGraph_t graph;
    cudaGraphNode_t first, second;
    int term = 4, n = N;
    CHECK(cudaGraphCreate(&graph, 0));
    void *args[] = {&device_a, &device_a, &term, &n};
    cudaGraphNodeParams p = {};
    p.type = cudaGraphNodeTypeKernel;
    p.kernel.func = (void *)add;
    p.kernel.gridDim = dim3((N + 127) / 128);
    p.kernel.blockDim = dim3(128);
    p.kernel.kernelParams = args;
    CHECK(cudaGraphAddNode(&first, graph, nullptr, nullptr, 0, &p));
    cudaGraphEdgeData edge = {}, told[4];
    edge.from_port = cudaGraphKernelNodePortProgrammatic;
    edge.type = cudaGraphDependencyTypeProgrammatic;
    CHECK(cudaGraphAddNode(&second, graph, &first, &edge, 1, &p));
    cudaGraphNode_t from[4], to[4];
    size_t number = 4;
    CHECK(cudaGraphGetEdges(graph, from, to, told, &number));
    expect("an edge's data", number == 1 && told[0].type == cudaGraphDependencyTypeProgrammatic &&
                                 told[0].from_port == cudaGraphKernelNodePortProgrammatic);
    number = 4;
    SHOW(cudaGraphGetEdges(graph, from, to, nullptr, &number));
    cudaLaunchAttributeValue value = {}, got = {};
    value.priority = 0;
    CHECK(cudaGraphKernelNodeSetAttribute(first, cudaLaunchAttributePriority, &value));
    CHECK(cudaGraphKernelNodeGetAttribute(first, cudaLaunchAttributePriority, &got));
    CHECK(cudaGraphKernelNodeCopyAttributes(second, first));
    expect("a priority", got.priority == 0);
    CHECK(cudaGraphDestroy(graph));
}

/* The text is the driver's own; that it names the graph's parts is all that is promised. */
static void text()
{
    cudaGraph_t graph;
    cudaGraphNode_t node;
    char path[] = "/tmp/graph_nodes.XXXXXX", line[512] = "";
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphAddEmptyNode(&node, graph, nullptr, 0));
    int fd = mkstemp(path);
    CHECK(cudaGraphDebugDotPrint(graph, path, 0));
    FILE *file = fdopen(fd, "r");
    bool said = file && fgets(line, sizeof(line), file) && strstr(line, "digraph");
    expect("printed into a file of the program's", said);
    if (file)
        fclose(file);
    remove(path);
    CHECK(cudaGraphDestroy(graph));
}

int main()
{
    CHECK(cudaMalloc(&device_a, N * sizeof(int)));
    CHECK(cudaMalloc(&device_b, N * sizeof(int)));
    every_kind();
    edges();
    children();
    events_and_values();
    generic();
    text();
    CHECK(cudaFree(device_a));
    CHECK(cudaFree(device_b));
    return verdict();
}
