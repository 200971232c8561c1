/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiler_threads: activity of several threads while another flushes, in buffers that hold little,
 * on a clock of the program's own; of a context that ends, and of a device that is reset.
 */
#include <cuda.h>

#include "check.h"
#include "check_cupti.h"

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <time.h>
#include <vector>

enum { BUFFER = 8192, THREADS = 4, LAUNCHES = 300 };

__global__ void step(unsigned *value)
{
    atomicAdd(value, 1);
}

/* ---- records ---- */

struct launched {
    uint32_t correlation, context;
    uint64_t start, end;
};

static std::mutex lock;
static std::vector<launched> kernels;
static std::map<uint32_t, uint64_t> external;
static std::map<uint32_t, uint64_t> called; /* when the launch began, by correlation */
static std::atomic<int> strange;

static void CUPTIAPI request(uint8_t **buffer, size_t *size, size_t *most)
{
    *buffer = (uint8_t *)aligned_alloc(8, BUFFER);
    *size = BUFFER;
    *most = 0;
}

static void take(const CUpti_Activity *record)
{
    if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
        auto k = (const CUpti_ActivityKernel10 *)record;
        kernels.push_back({k->correlationId, k->contextId, k->start, k->end});
    } else if (record->kind == CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION) {
        auto e = (const CUpti_ActivityExternalCorrelation *)record;
        external[e->correlationId] = e->externalId;
    } else if (record->kind == CUPTI_ACTIVITY_KIND_DRIVER) {
        auto c = (const CUpti_ActivityAPI *)record;
        called[c->correlationId] = c->start;
        strange += c->start > c->end;
    }
}

static void CUPTIAPI complete(CUcontext, uint32_t, uint8_t *buffer, size_t, size_t valid)
{
    CUpti_Activity *record = nullptr;
    std::lock_guard<std::mutex> guard(lock);

    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS)
        take(record);
    free(buffer);
}

/* Counts tenths of microseconds from somewhere. */
static uint64_t own_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 10000000 + (uint64_t)now.tv_nsec / 100 + 12345;
}

static const CUpti_ActivityKind kinds[] = {
    CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
    CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION,
    CUPTI_ACTIVITY_KIND_DRIVER,
};

/* ---- many threads ---- */

static CUfunction function;

static void launch_many(int number, unsigned *value)
{
    cudaStream_t stream;
    void *params[] = {&value};

    CHECK(cudaStreamCreate(&stream));
    for (int i = 0; i < LAUNCHES; i++) {
        CUPTI(cuptiActivityPushExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0,
                                                     1000 * (number + 1) + i));
        CHECK(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, params, nullptr));
        CUPTI(cuptiActivityPopExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0,
                                                    nullptr));
    }
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaStreamDestroy(stream));
}

static void check_threads(uint64_t before, uint64_t after)
{
    std::set<uint64_t> ids;
    std::set<uint32_t> correlations;
    bool within = true, behind = true;

    for (const launched &k : kernels) {
        correlations.insert(k.correlation);
        if (external.count(k.correlation))
            ids.insert(external[k.correlation]);
        within = within && k.start >= before && k.start <= k.end && k.end <= after;
        behind = behind && called.count(k.correlation) && called[k.correlation] <= k.start;
    }
    printf("%zu kernels, %zu correlations, %zu ids\n", kernels.size(), correlations.size(),
           ids.size());
    expect("on the program's clock", within);
    expect("each behind its launch", behind);
}

static void run_threads(unsigned *value)
{
    std::vector<std::thread> threads;
    std::atomic<bool> stop(false);
    uint64_t before = own_clock();

    for (int i = 0; i < THREADS; i++)
        threads.emplace_back(launch_many, i, value);
    std::thread flusher([&] {
        while (!stop)
            CUPTI(cuptiActivityFlushAll(0));
    });
    for (std::thread &thread : threads)
        thread.join();
    CHECK(cudaDeviceSynchronize());
    stop = true;
    flusher.join();
    uint64_t after = own_clock();
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    check_threads(before, after);
}

/* ---- contexts that end ---- */

static std::atomic<int> begun, ended, streams_begun, streams_ended;

static std::set<uint32_t> entered, exited; /* launches, by correlation */

static void launch_called(CUpti_CallbackId id, const CUpti_CallbackData *d)
{
    auto params = (const cuLaunchKernel_params *)d->functionParams;

    strange += id != CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel ||
               strcmp(d->functionName, "cuLaunchKernel") != 0 ||
               strcmp(d->symbolName, "nothing") != 0 || params->gridDimX != 1 ||
               params->blockDimZ != 1 || params->hStream != nullptr;
    if (d->callbackSite == CUPTI_API_ENTER) {
        entered.insert(d->correlationId);
        *d->correlationData = 4711;
        return;
    }
    exited.insert(d->correlationId);
    strange += *d->correlationData != 4711 || *(CUresult *)d->functionReturnValue != CUDA_SUCCESS;
}

static void CUPTIAPI call_back(void *, CUpti_CallbackDomain domain, CUpti_CallbackId id,
                               const void *data)
{
    auto d = (const CUpti_ResourceData *)data;

    if (domain == CUPTI_CB_DOMAIN_DRIVER_API)
        return launch_called(id, (const CUpti_CallbackData *)data);
    strange += domain != CUPTI_CB_DOMAIN_RESOURCE || !d->context;
    begun += id == CUPTI_CBID_RESOURCE_CONTEXT_CREATED;
    ended += id == CUPTI_CBID_RESOURCE_CONTEXT_DESTROY_STARTING;
    streams_begun += id == CUPTI_CBID_RESOURCE_STREAM_CREATED && d->resourceHandle.stream;
    streams_ended += id == CUPTI_CBID_RESOURCE_STREAM_DESTROY_STARTING && d->resourceHandle.stream;
}

static size_t of_context(uint32_t id)
{
    size_t n = 0;

    for (const launched &k : kernels)
        n += k.context == id;
    return n;
}

/* The context's number; nothing was flushed when it ended. */
static uint32_t run_context(void)
{
    CUcontext context;
    CUmodule module;
    CUfunction found;
    CUdeviceptr memory;
    CUstream stream;
    uint32_t id = 0;
    static const char code[] = ".version 6.5\n.target sm_52\n.address_size 64\n"
                               ".visible .entry nothing()\n{\nret;\n}\n";

    CHECK(cuCtxCreate(&context, nullptr, 0, 0));
    CUPTI(cuptiGetContextId(context, &id));
    CHECK(cuModuleLoadData(&module, code));
    CHECK(cuModuleGetFunction(&found, module, "nothing"));
    CHECK(cuMemAlloc(&memory, 4096));
    for (int i = 0; i < 5; i++)
        CHECK(cuLaunchKernel(found, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
    CHECK(cuCtxSynchronize());
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuStreamDestroy(stream));
    CHECK(cuCtxDestroy(context));
    return id;
}

int main()
{
    cudaFunction_t found;
    CUcontext primary;
    CUpti_SubscriberHandle subscriber;
    unsigned *value, got = 0;
    uint32_t id = 0, own;
    size_t dropped = 1;

    CHECK(cudaMalloc(&value, sizeof(*value)));
    CHECK(cudaMemset(value, 0, sizeof(*value)));
    CHECK(cudaGetFuncBySymbol(&found, (const void *)step));
    function = (CUfunction)found;
    CHECK(cudaDeviceSynchronize());
    CUPTI(cuptiActivityRegisterTimestampCallback(own_clock));
    CUPTI(cuptiActivityRegisterCallbacks(request, complete));
    for (CUpti_ActivityKind kind : kinds)
        CUPTI(cuptiActivityEnable(kind));
    run_threads(value);
    CHECK(cudaMemcpy(&got, value, sizeof(got), cudaMemcpyDeviceToHost));
    expect("all kernels ran", got == THREADS * LAUNCHES * 32);

    CHECK(cuCtxGetCurrent(&primary));
    CUPTI(cuptiGetContextId(primary, &id));
    CUPTI(cuptiSubscribe(&subscriber, call_back, nullptr));
    for (int call = CUPTI_CBID_RESOURCE_CONTEXT_CREATED;
         call <= CUPTI_CBID_RESOURCE_STREAM_DESTROY_STARTING; call++)
        CUPTI(cuptiEnableCallback(1, subscriber, CUPTI_CB_DOMAIN_RESOURCE, call));
    CUPTI(cuptiEnableCallback(1, subscriber, CUPTI_CB_DOMAIN_DRIVER_API,
                              CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel));
    own = run_context();
    CUPTI(cuptiUnsubscribe(subscriber));
    expect("another context", own != id);
    printf("%d began, %d ended\n", (int)begun, (int)ended);
    expect("a stream too", streams_begun > 0 && streams_ended > 0);
    printf("%zu launches began, %zu ended\n", entered.size(), exited.size());
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    printf("%zu kernels of the context that ended\n", of_context(own));
    for (const launched &k : kernels)
        entered.erase(k.correlation);
    expect("the launches that were seen", entered.empty() && exited.size() == 5);
    kernels.clear();
    CHECK(cuCtxSetCurrent(primary));
    step<<<1, 1>>>(value);
    step<<<1, 1>>>(value);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaDeviceReset());
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    printf("%zu kernels before the reset\n", kernels.size());
    CUPTI(cuptiActivityGetNumDroppedRecords(nullptr, 0, &dropped));
    expect("none dropped", dropped == 0 && strange == 0);
    return verdict();
}
