/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs and stream capture of the software device's driver; what its threads' modes forbid. */
#include "driver.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static CUstream make_stream(void)
{
    CUstream stream;
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    return stream;
}

static CUfunction load(const char *name)
{
    CUmodule module;
    CUfunction function;
    ok(cuModuleLoadData(&module, driver_ptx));
    ok(cuModuleGetFunction(&function, module, name));
    return function;
}

static CUdeviceptr make_word(uint32_t value)
{
    CUdeviceptr word;
    ok(cuMemAlloc_v2(&word, 4));
    ok(cuMemsetD32_v2(word, value, 1));
    return word;
}

static uint32_t read_word(CUdeviceptr word)
{
    uint32_t value;
    ok(cuMemcpyDtoH_v2(&value, word, sizeof(value)));
    return value;
}

static void twice(CUfunction function, CUdeviceptr word, uint32_t term, CUstream stream)
{
    void *args[] = {&word, &term};
    ok(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, args, NULL));
}

/* Captured in two streams, launched with the parameters that other launches change meanwhile. */
static void capture_and_launch(void **state)
{
    CUstream stream = make_stream(), side = make_stream();
    CUfunction function = load("twice");
    CUdeviceptr word = make_word(0);
    CUevent fork, join;
    CUgraph graph;
    CUgraphExec exec;
    size_t n = 0;
    (void)state;
    ok(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
    ok(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
    ok(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    twice(function, word, 1, stream);
    ok(cuEventRecord(fork, stream));
    ok(cuStreamWaitEvent(side, fork, 0));
    twice(function, word, 2, side);
    ok(cuEventRecord(join, side));
    ok(cuStreamDestroy_v2(side)); /* what it did has a place in the graph */
    ok(cuStreamWaitEvent(stream, join, 0));
    twice(function, word, 3, stream);
    ok(cuStreamEndCapture(stream, &graph));
    ok(cuGraphGetNodes(graph, NULL, &n));
    assert_int_equal(n, 3);
    assert_int_equal(read_word(word), 0);
    ok(cuGraphInstantiateWithFlags(&exec, graph, 0));
    ok(cuGraphDestroy(graph));
    for (int i = 0; i < 20; i++)
        ok(cuGraphLaunch(exec, stream));
    ok(cuGraphExecDestroy(exec)); /* the launches go on */
    ok(cuStreamSynchronize(stream));
    uint32_t expected = 0;
    for (int i = 0; i < 20; i++)
        expected = 2 * (2 * (2 * expected + 1) + 2) + 3;
    assert_int_equal(read_word(word), expected);
    ok(cuEventDestroy_v2(fork));
    ok(cuEventDestroy_v2(join));
    ok(cuMemFree_v2(word));
    ok(cuStreamDestroy_v2(stream));
}

/* New parameters do not reach a launch that is on its way. */
static void parameters_of_a_launch(void **state)
{
    CUstream stream = make_stream();
    CUfunction store = load("store"), spin = load("spin");
    CUdeviceptr word = make_word(0), gate;
    uint32_t *open;
    CUgraph graph;
    CUgraphNode first, second;
    CUgraphExec exec;
    uint32_t value = 5;
    (void)state;
    ok(cuMemHostAlloc((void **)&open, 4, CU_MEMHOSTALLOC_DEVICEMAP));
    *open = 0;
    ok(cuMemHostGetDevicePointer_v2(&gate, open, 0));
    void *spin_args[] = {&gate}, *store_args[] = {&word, &value};
    CUDA_KERNEL_NODE_PARAMS_v2 p = {.func = spin,
                                    .gridDimX = 1,
                                    .gridDimY = 1,
                                    .gridDimZ = 1,
                                    .blockDimX = 1,
                                    .blockDimY = 1,
                                    .blockDimZ = 1,
                                    .kernelParams = spin_args};
    ok(cuGraphCreate(&graph, 0));
    ok(cuGraphAddKernelNode_v2(&first, graph, NULL, 0, &p));
    p.func = store;
    p.kernelParams = store_args;
    ok(cuGraphAddKernelNode_v2(&second, graph, &first, 1, &p));
    ok(cuGraphInstantiateWithFlags(&exec, graph, 0));
    ok(cuGraphLaunch(exec, stream));
    value = 6;
    ok(cuGraphExecKernelNodeSetParams_v2(exec, second, &p));
    __atomic_store_n(open, 1, __ATOMIC_RELEASE);
    ok(cuStreamSynchronize(stream));
    assert_int_equal(read_word(word), 5);
    ok(cuGraphLaunch(exec, stream));
    ok(cuStreamSynchronize(stream));
    assert_int_equal(read_word(word), 6);
    ok(cuGraphExecDestroy(exec));
    ok(cuGraphDestroy(graph));
    ok(cuMemFreeHost(open));
    ok(cuMemFree_v2(word));
    ok(cuStreamDestroy_v2(stream));
}

struct intruder {
    CUcontext context;
    CUstream stream;
    CUstreamCaptureMode mode;
    CUresult allocated, ended;
};

static void *intrude(void *argument)
{
    struct intruder *i = argument;
    CUdeviceptr word;
    CUgraph graph;
    (void)cuCtxSetCurrent(i->context);
    (void)cuThreadExchangeStreamCaptureMode(&i->mode);
    i->allocated = cuMemAlloc_v2(&word, 4);
    if (i->allocated == CUDA_SUCCESS)
        (void)cuMemFree_v2(word);
    i->ended = cuStreamEndCapture(i->stream, &graph);
    return NULL;
}

/* A capture in one mode, another thread in one mode: whether that may allocate. That it ends the
 * capture is wrong, and ends it. */
static void intruded(CUcontext context, CUstreamCaptureMode capture, CUstreamCaptureMode thread,
                     CUresult allocated)
{
    struct intruder i = {.context = context, .stream = make_stream(), .mode = thread};
    CUgraph graph;
    pthread_t other;
    ok(cuStreamBeginCapture_v2(i.stream, capture));
    assert_int_equal(pthread_create(&other, NULL, intrude, &i), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(i.allocated, allocated);
    assert_int_equal(i.ended, allocated == CUDA_SUCCESS ? CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD
                                                        : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    fails(cuStreamEndCapture(i.stream, &graph), CUDA_ERROR_ILLEGAL_STATE);
    ok(cuStreamDestroy_v2(i.stream));
}

static void modes_of_threads(void **state)
{
    const CUstreamCaptureMode global = CU_STREAM_CAPTURE_MODE_GLOBAL,
                              local = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
                              relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
    intruded(*state, global, global, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    intruded(*state, global, local, CUDA_SUCCESS);
    intruded(*state, global, relaxed, CUDA_SUCCESS);
    intruded(*state, local, global, CUDA_SUCCESS);
    /* The capturing thread itself. */
    CUstream stream = make_stream();
    CUdeviceptr word;
    CUgraph graph;
    CUstreamCaptureMode mode = relaxed;
    ok(cuStreamBeginCapture_v2(stream, local));
    fails(cuMemAlloc_v2(&word, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    fails(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    ok(cuThreadExchangeStreamCaptureMode(&mode));
    ok(cuStreamBeginCapture_v2(stream, local));
    ok(cuMemAlloc_v2(&word, 4));
    ok(cuStreamEndCapture(stream, &graph));
    ok(cuThreadExchangeStreamCaptureMode(&mode));
    assert_int_equal(mode, relaxed);
    ok(cuMemFree_v2(word));
    ok(cuGraphDestroy(graph));
    ok(cuStreamDestroy_v2(stream));
}

/* A context ends under graphs and captures. */
static void ends_of_contexts(void **state)
{
    CUcontext context, popped;
    CUdevice device;
    CUgraph graph, captured;
    CUgraphNode node;
    CUgraphExec exec;
    (void)state;
    ok(cuCtxGetDevice(&device));
    ok(cuCtxCreate_v2(&context, 0, device));
    CUstream stream = make_stream();
    CUDA_MEM_ALLOC_NODE_PARAMS p = {
        .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}},
        .bytesize = 1000};
    ok(cuGraphCreate(&graph, 0));
    ok(cuGraphAddMemAllocNode(&node, graph, NULL, 0, &p));
    ok(cuGraphInstantiateWithFlags(&exec, graph, 0));
    ok(cuGraphLaunch(exec, stream));
    ok(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    ok(cuMemsetD8Async(p.dptr, 1, 10, stream));
    ok(cuCtxDestroy_v2(context));
    assert_int_not_equal(cuStreamEndCapture(stream, &captured), CUDA_SUCCESS);
    ok(cuGraphExecDestroy(exec));
    ok(cuGraphDestroy(graph));
    (void)cuCtxGetCurrent(&popped);
}

static atomic_int ended;
static sem_t gone;

static void end(void *unused)
{
    (void)unused;
    atomic_fetch_add(&ended, 1);
    sem_post(&gone);
}

/* An object lives as long as the launches of a graph that holds it. */
static void user_objects(void **state)
{
    CUstream stream = make_stream();
    CUfunction spin = load("spin");
    uint32_t *open;
    CUdeviceptr gate;
    CUgraph graph;
    CUgraphNode node;
    CUgraphExec exec;
    CUuserObject object;
    (void)state;
    assert_int_equal(sem_init(&gone, 0, 0), 0);
    ok(cuMemHostAlloc((void **)&open, 4, CU_MEMHOSTALLOC_DEVICEMAP));
    *open = 0;
    ok(cuMemHostGetDevicePointer_v2(&gate, open, 0));
    void *args[] = {&gate};
    const CUDA_KERNEL_NODE_PARAMS_v2 p = {.func = spin,
                                          .gridDimX = 1,
                                          .gridDimY = 1,
                                          .gridDimZ = 1,
                                          .blockDimX = 1,
                                          .blockDimY = 1,
                                          .blockDimZ = 1,
                                          .kernelParams = args};
    ok(cuGraphCreate(&graph, 0));
    ok(cuGraphAddKernelNode_v2(&node, graph, NULL, 0, &p));
    ok(cuUserObjectCreate(&object, NULL, end, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    ok(cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
    ok(cuGraphInstantiateWithFlags(&exec, graph, 0));
    ok(cuGraphLaunch(exec, stream));
    ok(cuGraphDestroy(graph));
    ok(cuGraphExecDestroy(exec));
    assert_int_equal(atomic_load(&ended), 0);
    __atomic_store_n(open, 1, __ATOMIC_RELEASE);
    assert_int_equal(sem_wait(&gone), 0);
    assert_int_equal(atomic_load(&ended), 1);
    fails(cuUserObjectCreate(&object, NULL, end, 1, 0), CUDA_ERROR_INVALID_VALUE);
    ok(cuStreamSynchronize(stream));
    ok(cuMemFreeHost(open));
    ok(cuStreamDestroy_v2(stream));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(capture_and_launch), driver_test(parameters_of_a_launch),
        driver_test(modes_of_threads),   driver_test(ends_of_contexts),
        driver_test(user_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
