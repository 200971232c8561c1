/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiler_callbacks: CUPTI's Callback API of the driver's functions, as JAX's profiler uses it: a
 * callback as a call begins and as it ends, with its arguments and result, and the correlation that
 * its records have; from two threads, from callbacks that call the driver, and up to the end of it.
 */
#include <cuda.h>

#include "check.h"
#include "check_cupti.h"

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#define CBID(name) CUPTI_DRIVER_TRACE_CBID_##name

enum { BUFFER = 1 << 16, BYTES = 4096, LAUNCHES = 100 };

static const char code[] = ".version 6.5\n.target sm_52\n.address_size 64\n"
                           ".visible .entry nothing()\n{\nret;\n}\n";

static CUfunction function;
static CUstream stream;
static CUdeviceptr memory;
static char host[BYTES];

/* ---- records ---- */

static std::map<uint32_t, CUpti_ActivityKind> works; /* by correlation */
static std::map<uint32_t, CUpti_CallbackId> calls;   /* likewise */

static void CUPTIAPI request(uint8_t **buffer, size_t *size, size_t *most)
{
    *buffer = (uint8_t *)aligned_alloc(8, BUFFER);
    *size = BUFFER;
    *most = 0;
}

static void CUPTIAPI complete(CUcontext, uint32_t, uint8_t *buffer, size_t, size_t valid)
{
    CUpti_Activity *record = nullptr;

    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL)
            works[((const CUpti_ActivityKernel10 *)record)->correlationId] = record->kind;
        else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY)
            works[((const CUpti_ActivityMemcpy6 *)record)->correlationId] = record->kind;
        else if (record->kind == CUPTI_ACTIVITY_KIND_MEMSET)
            works[((const CUpti_ActivityMemset4 *)record)->correlationId] = record->kind;
        else if (record->kind == CUPTI_ACTIVITY_KIND_DRIVER)
            calls[((const CUpti_ActivityAPI *)record)->correlationId] =
                ((const CUpti_ActivityAPI *)record)->cbid;
    }
    free(buffer);
}

static const CUpti_ActivityKind kinds[] = {
    CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
    CUPTI_ACTIVITY_KIND_MEMCPY,
    CUPTI_ACTIVITY_KIND_MEMSET,
    CUPTI_ACTIVITY_KIND_DRIVER,
};

/* ---- callbacks ---- */

struct event {
    CUpti_ApiCallbackSite site;
    CUpti_CallbackId id;
    uint32_t correlation;
    bool right; /* the arguments are */
    CUresult result;
};

static std::mutex lock;
static std::map<std::thread::id, std::vector<event>> events;
static std::atomic<int> strange, nested;
static std::atomic<size_t> count;
static std::atomic<bool> calls_too;
static CUcontext context;
static uint32_t context_id;
static thread_local bool inside;

static const struct {
    CUpti_CallbackId id;
    const char *name; /* that it begins with: names may have a version */
} watched[] = {
    {CBID(cuMemAlloc_v2), "cuMemAlloc"},
    {CBID(cuMemsetD8_v2), "cuMemsetD8"},
    {CBID(cuMemcpyHtoD_v2), "cuMemcpyHtoD"},
    {CBID(cuMemcpyDtoHAsync_v2), "cuMemcpyDtoHAsync"},
    {CBID(cuLaunchKernel), "cuLaunchKernel"},
    {CBID(cuLaunchKernel_ptsz), "cuLaunchKernel"},
    {CBID(cuLaunchKernelEx), "cuLaunchKernelEx"},
    {CBID(cuStreamSynchronize), "cuStreamSynchronize"},
    {CBID(cuMemHostAlloc), "cuMemHostAlloc"},
    {CBID(cuMemFreeHost), "cuMemFreeHost"},
    {CBID(cuMemFree_v2), "cuMemFree"},
};

static const char *name_of(CUpti_CallbackId id)
{
    for (const auto &w : watched)
        if (w.id == id)
            return w.name;
    return "?";
}

static bool is_launch(CUpti_CallbackId id)
{
    return id == CBID(cuLaunchKernel) || id == CBID(cuLaunchKernel_ptsz) ||
           id == CBID(cuLaunchKernelEx);
}

/* Whether the arguments are those of the calls below. */
static bool is_right(CUpti_CallbackId id, const void *params, bool exits)
{
    switch (id) {
    case CBID(cuMemAlloc_v2): {
        auto p = (const cuMemAlloc_v2_params *)params;
        return p->dptr == &memory && p->bytesize == BYTES && (!exits || *p->dptr);
    }
    case CBID(cuMemsetD8_v2): {
        auto p = (const cuMemsetD8_v2_params *)params;
        return p->dstDevice == memory && p->uc == 7 && p->N == BYTES;
    }
    case CBID(cuMemcpyHtoD_v2): {
        auto p = (const cuMemcpyHtoD_v2_params *)params;
        return p->dstDevice == memory && p->srcHost == host && p->ByteCount == BYTES;
    }
    case CBID(cuMemcpyDtoHAsync_v2): {
        auto p = (const cuMemcpyDtoHAsync_v2_params *)params;
        return p->dstHost == host && p->srcDevice == memory && p->ByteCount == BYTES / 2 &&
               p->hStream == stream;
    }
    case CBID(cuLaunchKernel):
    case CBID(cuLaunchKernel_ptsz): {
        auto p = (const cuLaunchKernel_params *)params;
        return p->f == function && p->gridDimX == 3 && p->gridDimY == 2 && p->gridDimZ == 1 &&
               p->blockDimX == 32 && p->blockDimY == 1 && p->blockDimZ == 1 &&
               p->sharedMemBytes == 64 && !p->kernelParams && !p->extra;
    }
    case CBID(cuLaunchKernelEx): {
        auto p = (const cuLaunchKernelEx_params *)params;
        return p->f == function && p->config->gridDimX == 5 && p->config->blockDimX == 64 &&
               p->config->hStream == stream && !p->kernelParams && !p->extra;
    }
    case CBID(cuStreamSynchronize):
        return ((const cuStreamSynchronize_params *)params)->hStream == stream;
    case CBID(cuMemHostAlloc): {
        auto p = (const cuMemHostAlloc_params *)params;
        return p->pp && p->bytesize == BYTES && p->Flags == CU_MEMHOSTALLOC_PORTABLE;
    }
    default:
        return params != nullptr;
    }
}

/* What a profiler may want to know. */
static void call_driver()
{
    CUdevice device;
    CUdeviceptr other = 0;

    nested += cuCtxGetDevice(&device) == CUDA_SUCCESS;
    nested += cuMemAlloc(&other, 64) == CUDA_SUCCESS;
    nested += cuMemsetD32(other, 1, 16) == CUDA_SUCCESS;
    nested += cuMemFree(other) == CUDA_SUCCESS;
}

static void CUPTIAPI call_back(void *user, CUpti_CallbackDomain domain, CUpti_CallbackId id,
                               const void *data)
{
    auto d = (const CUpti_CallbackData *)data;
    bool exits = d->callbackSite == CUPTI_API_EXIT;
    event e = {d->callbackSite, id, d->correlationId, false, CUDA_SUCCESS};

    if (inside) /* a call of our own */
        return;
    inside = true;
    e.right = is_right(id, d->functionParams, exits);
    strange += user != &events || domain != CUPTI_CB_DOMAIN_DRIVER_API || d->context != context ||
               d->contextUid != context_id ||
               strncmp(d->functionName, name_of(id), strlen(name_of(id))) != 0;
    if (is_launch(id))
        strange += !d->symbolName || strcmp(d->symbolName, "nothing") != 0;
    if (exits) {
        e.result = *(const CUresult *)d->functionReturnValue;
        strange += *d->correlationData != e.correlation + 5;
    } else {
        *d->correlationData = e.correlation + 5;
    }
    if (calls_too)
        call_driver();
    {
        std::lock_guard<std::mutex> guard(lock);
        events[std::this_thread::get_id()].push_back(e);
    }
    count++;
    inside = false;
}

/* ---- the calls ---- */

static void watch(CUpti_SubscriberHandle subscriber, bool on)
{
    for (const auto &w : watched)
        CUPTI(cuptiEnableCallback(on, subscriber, CUPTI_CB_DOMAIN_DRIVER_API, w.id));
}

static CUresult launch(CUstream into)
{
    return cuLaunchKernel(function, 3, 2, 1, 32, 1, 1, 64, into, nullptr, nullptr);
}

static void make_calls()
{
    void *pinned = nullptr;
    CUlaunchConfig config = {};
    CUresult (*launch_here)(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                            unsigned, CUstream, void **, void **) = nullptr;

    config.gridDimX = 5, config.gridDimY = config.gridDimZ = 1;
    config.blockDimX = 64, config.blockDimY = config.blockDimZ = 1;
    config.hStream = stream;
    CHECK(cuGetProcAddress("cuLaunchKernel", (void **)&launch_here, 7000,
                           CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, nullptr));
    CHECK(cuMemAlloc(&memory, BYTES));
    CHECK(cuMemsetD8(memory, 7, BYTES));
    CHECK(cuMemcpyHtoD(memory, host, BYTES));
    CHECK(launch(stream));
    CHECK(cuLaunchKernelEx(&config, function, nullptr, nullptr));
    CHECK(launch_here(function, 3, 2, 1, 32, 1, 1, 64, nullptr, nullptr, nullptr));
    CHECK(cuMemcpyDtoHAsync(host, memory, BYTES / 2, stream));
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuMemHostAlloc(&pinned, BYTES, CU_MEMHOSTALLOC_PORTABLE));
    CHECK(cuMemFreeHost(pinned));
    CHECK(cuMemFree(memory));
    SHOW(cuMemFree(1)); /* which is nothing's address */
}

/* Takes what was heard of in this thread. */
static std::vector<event> take_events()
{
    std::lock_guard<std::mutex> guard(lock);
    std::vector<event> taken;

    taken.swap(events[std::this_thread::get_id()]);
    return taken;
}

static void print_events(const std::vector<event> &list)
{
    for (const event &e : list) {
        const char *site = e.site == CUPTI_API_ENTER ? "enter" : "exit";

        printf("%s %s%s, arguments %s", site, name_of(e.id),
               e.id == CBID(cuLaunchKernel_ptsz) ? " per thread" : "", e.right ? "ok" : "WRONG");
        if (e.site == CUPTI_API_EXIT)
            printf(", %s", error_name(e.result));
        printf("\n");
    }
}

/* Each call begins and ends before the next one begins. */
static bool are_pairs(const std::vector<event> &list)
{
    bool ok = list.size() % 2 == 0;

    for (size_t i = 0; ok && i < list.size(); i += 2)
        ok = list[i].site == CUPTI_API_ENTER && list[i + 1].site == CUPTI_API_EXIT &&
             list[i].id == list[i + 1].id && list[i].correlation == list[i + 1].correlation;
    return ok;
}

static void check_records(const std::vector<event> &list)
{
    std::set<uint32_t> correlations;
    size_t worked = 0, recorded = 0;

    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    for (const event &e : list) {
        if (e.site != CUPTI_API_EXIT)
            continue;
        correlations.insert(e.correlation);
        worked += works.count(e.correlation);
        recorded += calls.count(e.correlation) && calls[e.correlation] == e.id;
    }
    expect("a correlation for each call", correlations.size() == list.size() / 2);
    expect("that its record has", recorded == correlations.size());
    printf("%zu of them made the device work\n", worked);
}

static void run_calls(CUpti_SubscriberHandle subscriber)
{
    for (CUpti_ActivityKind kind : kinds)
        CUPTI(cuptiActivityEnable(kind));
    watch(subscriber, true);
    make_calls();
    watch(subscriber, false);
    for (CUpti_ActivityKind kind : kinds)
        CUPTI(cuptiActivityDisable(kind));
    std::vector<event> heard = take_events();
    print_events(heard);
    expect("in pairs", are_pairs(heard));
    check_records(heard);
    make_calls();
    expect("none once they are disabled", take_events().empty());
}

/* ---- threads ---- */

static void run_threads(CUpti_SubscriberHandle subscriber)
{
    bool ok[2];
    size_t n[2];
    std::vector<std::thread> threads;

    watch(subscriber, true);
    for (int i = 0; i < 2; i++)
        threads.emplace_back([i, &ok, &n] {
            CHECK(cuCtxSetCurrent(context));
            for (int k = 0; k < LAUNCHES; k++)
                CHECK(launch(nullptr));
            std::vector<event> heard = take_events();
            ok[i] = are_pairs(heard);
            n[i] = heard.size();
        });
    for (std::thread &thread : threads)
        thread.join();
    watch(subscriber, false);
    expect("of two threads", ok[0] && ok[1] && n[0] == 2 * LAUNCHES && n[1] == 2 * LAUNCHES);
}

/* Callbacks that call the driver. */
static void run_nested(CUpti_SubscriberHandle subscriber)
{
    watch(subscriber, true);
    calls_too = true;
    CHECK(launch(stream));
    CHECK(cuMemAlloc(&memory, BYTES));
    CHECK(cuMemFree(memory));
    calls_too = false;
    watch(subscriber, false);
    std::vector<event> heard = take_events();
    expect("of calls only that are the program's", heard.size() == 6 && are_pairs(heard));
    expect("in which the driver was called", nested == 6 * 4);
}

/* Another thread launches while the callbacks are disabled, and while there is no subscriber any
 * more. One launch later none comes. */
static void run_ends(CUpti_SubscriberHandle subscriber)
{
    std::atomic<size_t> launched(0);
    std::atomic<bool> stop(false);
    size_t before = count;
    auto pass = [&launched](size_t n) {
        size_t goal = launched + n;
        while (launched < goal)
            std::this_thread::yield();
    };

    watch(subscriber, true);
    std::thread launcher([&] {
        CHECK(cuCtxSetCurrent(context));
        while (!stop) {
            CHECK(launch(nullptr));
            launched++;
        }
    });
    pass(10);
    watch(subscriber, false);
    pass(2);
    expect("some until they are disabled", count > before);
    before = count;
    pass(10);
    expect("and none then", count == before);
    watch(subscriber, true);
    pass(10);
    CUPTI(cuptiUnsubscribe(subscriber));
    pass(2);
    expect("some until nobody listens", count > before);
    before = count;
    pass(10);
    expect("and none then", count == before);
    stop = true;
    launcher.join();
}

/* ---- all functions ---- */

static std::set<std::string> names;
static int begun, ended;

static void CUPTIAPI note_name(void *, CUpti_CallbackDomain domain, CUpti_CallbackId,
                               const void *data)
{
    auto d = (const CUpti_CallbackData *)data;

    strange += domain != CUPTI_CB_DOMAIN_DRIVER_API;
    names.insert(d->functionName);
    begun += d->callbackSite == CUPTI_API_ENTER;
    ended += d->callbackSite == CUPTI_API_EXIT;
}

static void run_domain()
{
    CUpti_SubscriberHandle subscriber;
    int version, n, value;
    size_t left, all;

    CHECK(cuMemAlloc(&memory, BYTES));
    CUPTI(cuptiSubscribe(&subscriber, note_name, nullptr));
    CUPTI(cuptiEnableDomain(1, subscriber, CUPTI_CB_DOMAIN_DRIVER_API));
    CHECK(cuDriverGetVersion(&version));
    CHECK(cuDeviceGetCount(&n));
    CHECK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
    CHECK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, function));
    CHECK(cuMemGetInfo(&left, &all));
    CHECK(cuMemcpyHtoD(memory, host, BYTES));
    CUPTI(cuptiEnableDomain(0, subscriber, CUPTI_CB_DOMAIN_DRIVER_API));
    CUPTI(cuptiUnsubscribe(subscriber));
    for (const char *name : {"cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGetAttribute",
                             "cuFuncGetAttribute", "cuMemGetInfo", "cuMemcpyHtoD"}) {
        auto found = names.lower_bound(name);
        expect(name, found != names.end() && found->compare(0, strlen(name), name) == 0);
    }
    expect("of those and nothing else", names.size() == 6 && begun == 6 && ended == 6);
    CHECK(cuMemFree(memory));
}

int main()
{
    CUpti_SubscriberHandle subscriber;
    CUmodule module;

    CHECK(cuInit(0));
    CHECK(cuDevicePrimaryCtxRetain(&context, 0));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, code));
    CHECK(cuModuleGetFunction(&function, module, "nothing"));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUPTI(cuptiActivityRegisterCallbacks(request, complete));
    CUPTI(cuptiSubscribe(&subscriber, call_back, &events));
    CUPTI(cuptiGetContextId(context, &context_id));
    run_calls(subscriber);
    run_threads(subscriber);
    run_nested(subscriber);
    run_ends(subscriber);
    run_domain();
    expect("nothing strange", strange == 0);
    CHECK(cuStreamDestroy(stream));
    return verdict();
}
