/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiler: CUPTI's Activity API as profilers use it: kernels, copies and fills, which call each
 * belongs to, and when it was. Times are compared with each other only.
 */
#include <cuda.h>

#include "check.h"
#include "check_cupti.h"

#include <map>
#include <string>
#include <unistd.h>
#include <vector>

enum { BUFFER = 1 << 20, BYTES = 1 << 16, FIRST_ID = 1000 };

__global__ void scale(float *data, float factor)
{
    unsigned i = (blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x * blockDim.y +
                 threadIdx.y * blockDim.x + threadIdx.x;

    data[i] *= factor;
}

extern "C" __global__ void __launch_bounds__(256) add_one(float *data)
{
    extern __shared__ float room[];

    room[threadIdx.x] = data[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    data[blockIdx.x * blockDim.x + threadIdx.x] = room[threadIdx.x] + 1;
}

/* ---- records ---- */

struct work {
    uint32_t kind, correlation, device, context, stream;
    uint64_t start, end, bytes;
    int sort, from, to;
    std::string name;
    int grid[3], block[3], shared, registers;
};

static std::vector<work> works;
static std::map<uint32_t, uint64_t> external; /* by correlation */
static std::vector<CUpti_ActivityAPI> calls;
static std::vector<CUpti_ActivitySynchronization> waits;
static int requested, completed, strange;

static void CUPTIAPI request(uint8_t **buffer, size_t *size, size_t *most)
{
    *buffer = (uint8_t *)aligned_alloc(8, BUFFER);
    *size = BUFFER;
    *most = 0;
    requested++;
}

static void take(const CUpti_Activity *record)
{
    work w = {};
    w.kind = record->kind;
    switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
        auto k = (const CUpti_ActivityKernel10 *)record;
        w.correlation = k->correlationId, w.device = k->deviceId, w.context = k->contextId;
        w.stream = k->streamId, w.start = k->start, w.end = k->end, w.name = k->name;
        w.grid[0] = k->gridX, w.grid[1] = k->gridY, w.grid[2] = k->gridZ;
        w.block[0] = k->blockX, w.block[1] = k->blockY, w.block[2] = k->blockZ;
        w.shared = k->dynamicSharedMemory, w.registers = k->registersPerThread;
        works.push_back(w);
        break;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
        auto m = (const CUpti_ActivityMemcpy6 *)record;
        w.correlation = m->correlationId, w.device = m->deviceId, w.context = m->contextId;
        w.stream = m->streamId, w.start = m->start, w.end = m->end, w.bytes = m->bytes;
        w.sort = m->copyKind, w.from = m->srcKind, w.to = m->dstKind;
        works.push_back(w);
        break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
        auto m = (const CUpti_ActivityMemset4 *)record;
        w.correlation = m->correlationId, w.device = m->deviceId, w.context = m->contextId;
        w.stream = m->streamId, w.start = m->start, w.end = m->end, w.bytes = m->bytes;
        w.sort = (uint8_t)m->value, w.to = m->memoryKind;
        works.push_back(w);
        break;
    }
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
        auto e = (const CUpti_ActivityExternalCorrelation *)record;
        if (e->externalKind == CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0)
            external[e->correlationId] = e->externalId;
        break;
    }
    case CUPTI_ACTIVITY_KIND_DRIVER:
        calls.push_back(*(const CUpti_ActivityAPI *)record);
        break;
    case CUPTI_ACTIVITY_KIND_SYNCHRONIZATION:
        waits.push_back(*(const CUpti_ActivitySynchronization *)record);
        break;
    case CUPTI_ACTIVITY_KIND_RUNTIME:
    case CUPTI_ACTIVITY_KIND_OVERHEAD:
        break; /* nothing here depends on them */
    default:
        strange++;
    }
}

static void CUPTIAPI complete(CUcontext, uint32_t, uint8_t *buffer, size_t size, size_t valid)
{
    CUpti_Activity *record = nullptr;
    CUptiResult status;

    strange += valid > size || ((uintptr_t)buffer & 7);
    while ((status = cuptiActivityGetNextRecord(buffer, valid, &record)) == CUPTI_SUCCESS)
        take(record);
    strange += status != CUPTI_ERROR_MAX_LIMIT_REACHED;
    free(buffer);
    completed++;
}

/* ---- what is profiled ---- */

static const CUpti_ActivityKind kinds[] = {
    CUPTI_ACTIVITY_KIND_MEMCPY,  CUPTI_ACTIVITY_KIND_MEMSET,
    CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION,
    CUPTI_ACTIVITY_KIND_RUNTIME, CUPTI_ACTIVITY_KIND_DRIVER,
    CUPTI_ACTIVITY_KIND_OVERHEAD, CUPTI_ACTIVITY_KIND_SYNCHRONIZATION,
};

/* A call of the program's with an id of its own, and the host's times around it. */
struct region {
    uint64_t id, before, after;

    explicit region(uint64_t id_) : id(id_)
    {
        CUPTI(cuptiGetTimestamp(&before));
        CUPTI(cuptiActivityPushExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, id));
    }
    void end()
    {
        uint64_t last = 0;

        CUPTI(cuptiActivityPopExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0,
                                                    &last));
        CUPTI(cuptiGetTimestamp(&after));
        if (last != id)
            expect("popped what was pushed", false);
    }
};

static uint64_t done; /* the host's time when the device was */
static std::vector<region> regions;

#define IN_REGION(number, call)            \
    do {                                   \
        region r_(FIRST_ID + (number));    \
        call;                              \
        CHECK_LAUNCH();                    \
        r_.end();                          \
        regions.push_back(r_);             \
    } while (0)

static float *data, *more;
static float host[BYTES / sizeof(float)], *pinned;
static cudaStream_t side;
static CUfunction function;

static void run(void)
{
    void *params[] = {&data};

    IN_REGION(0, CHECK(cudaMemcpy(data, host, BYTES, cudaMemcpyHostToDevice)));
    IN_REGION(1, (scale<<<dim3(16, 4), dim3(64, 4)>>>(data, 3.0f)));
    IN_REGION(2, CHECK((cudaError_t)cuLaunchKernel(function, 32, 1, 1, 256, 1, 1, 1024, 0, params, 0)));
    IN_REGION(3, CHECK(cudaMemset(more, 0x5a, 4096)));
    IN_REGION(4, CHECK(cudaMemcpy(more, data, BYTES / 2, cudaMemcpyDeviceToDevice)));
    CHECK(cudaDeviceSynchronize());
    IN_REGION(5, (add_one<<<64, 256, 1024, side>>>(data)));
    IN_REGION(6, CHECK(cudaMemcpyAsync(pinned, data, BYTES, cudaMemcpyDeviceToHost, side)));
    CHECK(cudaStreamSynchronize(side));
    CHECK(cudaDeviceSynchronize());
    CUPTI(cuptiGetTimestamp(&done));
}

static void set_up(void)
{
    cudaFunction_t found;

    CHECK(cudaMalloc(&data, BYTES));
    CHECK(cudaMalloc(&more, BYTES));
    CHECK(cudaMallocHost(&pinned, BYTES));
    CHECK(cudaStreamCreate(&side));
    for (unsigned i = 0; i < BYTES / sizeof(float); i++)
        host[i] = (float)i;
    CHECK(cudaGetFuncBySymbol(&found, (const void *)add_one));
    function = (CUfunction)found;
    run(); /* what is loaded when it is first used is loaded */
    regions.clear();
}

/* ---- what is expected ---- */

static const work *of(uint64_t id)
{
    const work *found = nullptr;
    int n = 0;

    for (const work &w : works)
        if (external.count(w.correlation) && external[w.correlation] == id) {
            found = &w;
            n++;
        }
    return n == 1 ? found : nullptr;
}

static void show(const work *w)
{
    if (!w)
        printf("nothing\n");
    else if (w->kind == CUPTI_ACTIVITY_KIND_MEMCPY)
        printf("copy of kind %d from %d to %d, %llu bytes\n", w->sort, w->from, w->to,
               (unsigned long long)w->bytes);
    else if (w->kind == CUPTI_ACTIVITY_KIND_MEMSET)
        printf("fill of %d with %d, %llu bytes\n", w->to, w->sort, (unsigned long long)w->bytes);
    else
        printf("%s (%d, %d, %d) x (%d, %d, %d), %d bytes shared, registers %s\n", w->name.c_str(),
               w->grid[0], w->grid[1], w->grid[2], w->block[0], w->block[1], w->block[2],
               w->shared, w->registers > 0 ? "known" : "unknown");
}

static void check_times(void)
{
    bool forward = true, after_call = true, before_end = true, in_order = true, alike = true;
    const work *last = nullptr;

    for (const region &r : regions) {
        const work *w = of(r.id);
        if (!w)
            continue;
        forward = forward && w->start <= w->end && w->start > 0;
        after_call = after_call && w->start >= r.before;
        before_end = before_end && w->end <= done;
        alike = alike && w->device == 0 && w->context == works[0].context;
        in_order = in_order && (!last || last->stream != w->stream || last->end <= w->start);
        last = w;
    }
    expect("no end before its start", forward);
    expect("no start before its call", after_call);
    expect("no end after the device was done", before_end);
    expect("one after the other in a stream", in_order);
    expect("on one device, in one context", alike);
}

/* The driver's function that launched a kernel is known by its correlation. */
static void check_calls(void)
{
    const work *kernel = of(FIRST_ID + 2);
    const CUpti_ActivityAPI *launch = nullptr;
    const char *name = nullptr;

    for (const CUpti_ActivityAPI &c : calls)
        if (kernel && c.correlationId == kernel->correlation)
            launch = &c;
    expect("the launch is among the calls", launch != nullptr);
    if (!launch)
        return;
    CUPTI(cuptiGetCallbackName(CUPTI_CB_DOMAIN_DRIVER_API, launch->cbid, &name));
    printf("launched by %s\n", name);
    expect("by this process", launch->processId == (uint32_t)getpid());
    expect("which took the launch", launch->returnValue == 0);
    expect("before the kernel", launch->start <= kernel->start && launch->start <= launch->end);
}

static void check_waits(void)
{
    bool stream = false, whole = false;
    uint32_t id = 0;
    CUcontext context;

    CHECK(cuCtxGetCurrent(&context));
    CUPTI(cuptiGetStreamIdEx(context, side, 0, &id));
    for (const CUpti_ActivitySynchronization &w : waits) {
        stream = stream || (w.type == CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_SYNCHRONIZE &&
                            w.streamId == id);
        whole = whole || w.type == CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_CONTEXT_SYNCHRONIZE;
    }
    expect("a wait for the stream", stream);
    expect("a wait for all", whole);
    expect("the stream is known by the same number",
           of(FIRST_ID + 5) && of(FIRST_ID + 5)->stream == id);
    CUPTI(cuptiGetContextId(context, &id));
    expect("so is the context", of(FIRST_ID + 5) && of(FIRST_ID + 5)->context == id);
}

int main()
{
    uint32_t version = 0;
    size_t dropped = 1, before;
    uint64_t id;

    CUPTI(cuptiGetVersion(&version));
    expect("a version", version >= 24);
    set_up();
    CUPTI(cuptiActivityRegisterCallbacks(request, complete));
    for (CUpti_ActivityKind kind : kinds)
        CUPTI(cuptiActivityEnable(kind));
    run();
    CUPTI(cuptiActivityFlushAll(0));
    for (CUpti_ActivityKind kind : kinds)
        CUPTI(cuptiActivityDisable(kind));
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    for (const region &r : regions)
        show(of(r.id));
    check_times();
    check_calls();
    check_waits();
    expect("two streams", of(FIRST_ID) && of(FIRST_ID + 5) &&
                              of(FIRST_ID)->stream != of(FIRST_ID + 5)->stream);
    CUPTI(cuptiActivityGetNumDroppedRecords(nullptr, 0, &dropped));
    expect("none dropped", dropped == 0);
    expect("all buffers came back", requested == completed && strange == 0);

    before = works.size();
    run();
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    expect("nothing more once it is disabled", works.size() == before);
    expect("nothing to pop",
           cuptiActivityPopExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, &id) ==
               CUPTI_ERROR_QUEUE_EMPTY);
    expect("no such kind of id", cuptiActivityPushExternalCorrelationId(
                                     CUPTI_EXTERNAL_CORRELATION_KIND_INVALID, 1) ==
                                     CUPTI_ERROR_INVALID_PARAMETER);
    CHECK(cudaDeviceSynchronize());
    return verdict();
}
