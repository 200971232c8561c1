/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_errors: what may not be done during a capture, to whom it is forbidden, and what becomes of
 * the capture; threads and modes; objects that graphs hold on to.
 */
#include <atomic>
#include <semaphore.h>
#include <thread>

#include "check.h"

__global__ void nothing()
{
}

static cudaStream_t stream, other;

/* Says how a capture ended, and begins the next from nothing. */
static void end(const char *what)
{
    cudaGraph_t graph = nullptr;
    cudaError_t error = cudaStreamEndCapture(stream, &graph);
    printf("%s, the end: %s%s\n", what, cudaGetErrorName(error), graph ? ", a graph" : "");
    cudaGetLastError();
    if (graph)
        CHECK(cudaGraphDestroy(graph));
}

static void begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal)
{
    CHECK(cudaStreamBeginCapture(stream, mode));
    nothing<<<1, 1, 0, stream>>>();
    CHECK_LAUNCH();
}

static void show(const char *what, cudaError_t error)
{
    printf("%s: %s\n", what, cudaGetErrorName(error));
    cudaGetLastError();
}

static void forbidden()
{
    cudaEvent_t event, outside;
    cudaGraph_t graph;
    cudaStreamCaptureStatus status;
    CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    CHECK(cudaEventCreateWithFlags(&outside, cudaEventDisableTiming));
    show("the NULL stream", cudaStreamBeginCapture(0, cudaStreamCaptureModeGlobal));

    begin();
    show("to synchronise", cudaStreamSynchronize(stream));
    CHECK(cudaStreamIsCapturing(stream, &status));
    expect("then it is invalid", status == cudaStreamCaptureStatusInvalidated);
    end("after that");

    begin();
    show("to ask", cudaStreamQuery(stream));
    end("after that");

    begin();
    CHECK(cudaEventRecord(event, stream));
    show("to ask an event of the capture", cudaEventQuery(event));
    end("after that");

    begin();
    CHECK(cudaEventRecord(event, stream));
    show("to wait for one", cudaEventSynchronize(event));
    end("after that");

    CHECK(cudaEventRecord(outside, other));
    begin();
    show("to wait for an event from outside", cudaStreamWaitEvent(stream, outside, 0));
    end("after that");

    begin();
    CHECK(cudaEventRecord(event, stream));
    CHECK(cudaStreamWaitEvent(other, event, 0));
    nothing<<<1, 1, 0, other>>>();
    end("work that was not joined");

    begin();
    CHECK(cudaEventRecord(event, stream));
    CHECK(cudaStreamWaitEvent(other, event, 0));
    show("to end it in the other stream", cudaStreamEndCapture(other, &graph));
    expect("it does not end well then", cudaStreamEndCapture(stream, &graph) != cudaSuccess);
    cudaGetLastError();

    /* This one is a blocking stream: the legacy stream would wait for it. */
    begin();
    int *word;
    nothing<<<1, 1>>>();
    show("a launch into the legacy stream", cudaGetLastError());
    end("after that");

    begin();
    CHECK(cudaStreamBeginCapture(other, cudaStreamCaptureModeThreadLocal));
    CHECK(cudaEventRecord(event, other));
    show("to wait for another capture", cudaStreamWaitEvent(stream, event, 0));
    show("the other one", cudaStreamEndCapture(other, &graph));
    end("this one");

    begin(cudaStreamCaptureModeGlobal);
    show("to allocate", cudaMalloc(&word, 4));
    end("after that");
    begin(cudaStreamCaptureModeRelaxed);
    CHECK(cudaMalloc(&word, 4));
    end("a relaxed one lets that pass");
    CHECK(cudaFree(word));
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    begin(cudaStreamCaptureModeGlobal);
    CHECK(cudaThreadExchangeStreamCaptureMode(&mode));
    CHECK(cudaMalloc(&word, 4));
    CHECK(cudaThreadExchangeStreamCaptureMode(&mode));
    end("so does a relaxed thread");
    CHECK(cudaFree(word));

    expect("what did not begin cannot end", cudaStreamEndCapture(stream, &graph) != cudaSuccess);
    cudaGetLastError();
    CHECK(cudaEventDestroy(event));
    CHECK(cudaEventDestroy(outside));
}

/* A capture that another thread runs into. */
static void from_another_thread(cudaStreamCaptureMode mode, const char *what)
{
    cudaError_t allocated = cudaSuccess, ended = cudaSuccess;
    begin(mode);
    std::thread([&] {
        int *word = nullptr;
        cudaGraph_t graph = nullptr;
        allocated = cudaMalloc(&word, 4);
        if (word)
            CHECK(cudaFree(word));
        if (mode != cudaStreamCaptureModeRelaxed)
            ended = cudaStreamEndCapture(stream, &graph);
        cudaGetLastError();
    }).join();
    printf("%s: another thread allocates: %s, ends it: %s\n", what, cudaGetErrorName(allocated),
           cudaGetErrorName(ended));
    end(what);
}

static void ended_elsewhere()
{
    cudaGraph_t graph = nullptr;
    begin(cudaStreamCaptureModeRelaxed);
    std::thread([&] { CHECK(cudaStreamEndCapture(stream, &graph)); }).join();
    expect("a relaxed one may be ended elsewhere", graph != nullptr);
    CHECK(cudaGraphDestroy(graph));
}

/* Two threads capture and run at once. */
static void at_once()
{
    std::atomic<int> good{0};
    auto work = [&] {
        cudaStream_t own;
        int *value, got = 0;
        CHECK(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking));
        CHECK(cudaMalloc(&value, sizeof(*value)));
        for (int k = 0; k < 20; k++) {
            cudaGraph_t graph;
            cudaGraphExec_t exec;
            CHECK(cudaStreamBeginCapture(own, cudaStreamCaptureModeThreadLocal));
            CHECK(cudaMemsetAsync(value, k, sizeof(*value), own));
            nothing<<<1, 1, 0, own>>>();
            CHECK(cudaStreamEndCapture(own, &graph));
            CHECK(cudaGraphInstantiate(&exec, graph, 0));
            CHECK(cudaGraphLaunch(exec, own));
            CHECK(cudaMemcpyAsync(&got, value, sizeof(got), cudaMemcpyDeviceToHost, own));
            CHECK(cudaStreamSynchronize(own));
            good += got == k * 0x01010101;
            CHECK(cudaGraphExecDestroy(exec));
            CHECK(cudaGraphDestroy(graph));
        }
        CHECK(cudaFree(value));
        CHECK(cudaStreamDestroy(own));
    };
    std::thread first(work), second(work);
    first.join();
    second.join();
    expect("two threads at once", good == 40);
}

static sem_t gone;

static void CUDART_CB destroy(void *data)
{
    ++*(std::atomic<int> *)data;
    sem_post(&gone);
}

/* The destructor runs when the last graph that holds a reference is gone. */
static void user_objects()
{
    std::atomic<int> destroyed{0};
    cudaUserObject_t object;
    cudaGraph_t graph, clone;
    cudaGraphExec_t exec;
    cudaGraphNode_t node;
    sem_init(&gone, 0, 0);
    CHECK(cudaUserObjectCreate(&object, &destroyed, destroy, 1, cudaUserObjectNoDestructorSync));
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphAddEmptyNode(&node, graph, nullptr, 0));
    CHECK(cudaGraphRetainUserObject(graph, object, 1, cudaGraphUserObjectMove));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK(cudaGraphClone(&clone, graph));
    CHECK(cudaGraphDestroy(graph));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaGraphExecDestroy(exec));
    expect("a clone holds it", destroyed == 0);
    CHECK(cudaGraphDestroy(clone));
    sem_wait(&gone);
    expect("its destructor ran", destroyed == 1);

    CHECK(cudaUserObjectCreate(&object, &destroyed, destroy, 2, cudaUserObjectNoDestructorSync));
    CHECK(cudaUserObjectRetain(object, 1));
    CHECK(cudaUserObjectRelease(object, 2));
    CHECK(cudaGraphCreate(&graph, 0));
    CHECK(cudaGraphRetainUserObject(graph, object, 2, 0));
    CHECK(cudaUserObjectRelease(object, 1));
    CHECK(cudaGraphReleaseUserObject(graph, object, 1));
    expect("still held", destroyed == 1);
    CHECK(cudaGraphReleaseUserObject(graph, object, 1));
    sem_wait(&gone);
    expect("and gone", destroyed == 2);
    CHECK(cudaGraphDestroy(graph));
}

int main()
{
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    nothing<<<1, 1, 0, stream>>>(); /* the kernel is loaded before anything is captured */
    CHECK(cudaStreamSynchronize(stream));
    forbidden();
    from_another_thread(cudaStreamCaptureModeGlobal, "global");
    from_another_thread(cudaStreamCaptureModeThreadLocal, "of the thread");
    ended_elsewhere();
    at_once();
    user_objects();
    CHECK(cudaStreamDestroy(stream));
    CHECK(cudaStreamDestroy(other));
    return verdict();
}
