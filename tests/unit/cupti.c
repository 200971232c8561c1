/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profiling library on a CUDA shim that is made up here: buffers are asked for, filled and
 * given back as CUPTI's manual says, what does not fit is counted, ids of the program's are with
 * its calls, and times are those of its own clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/cupti/cupti.h"

#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the shim ---- */

static const struct wh_observer *observer;
static unsigned observed;
static struct wh_observed_work pending[64]; /* told of when the library collects */
static unsigned npending;

static void observe(const struct wh_observer *who, unsigned what)
{
    observer = who;
    observed = what;
}

static void collect(void)
{
    unsigned n = npending;
    npending = 0;
    for (unsigned i = 0; i < n; i++)
        observer->work(&pending[i]);
}

static CUresult context_id(CUcontext context, uint32_t *id)
{
    *id = 3;
    return context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult device_id(CUcontext context, uint32_t *id)
{
    (void)context;
    *id = 1;
    return CUDA_SUCCESS;
}

static CUresult stream_id(CUcontext context, CUstream stream, bool per_thread, uint32_t *id)
{
    (void)context;
    (void)stream;
    *id = per_thread ? 8 : 7;
    return CUDA_SUCCESS;
}

static const struct wh_observe_table table = {
    .size = sizeof(table),
    .version = WH_OBSERVE_VERSION,
    .observe = observe,
    .collect = collect,
    .context_id = context_id,
    .device_id = device_id,
    .stream_id = stream_id,
};

static bool there = true;

const struct wh_observe_table *wh_cupti_driver(void)
{
    return there ? &table : NULL;
}

enum { LAUNCH = 307, LAUNCH_PTSZ = 442 };

uint32_t wh_cupti_call_number(unsigned number, bool per_thread)
{
    return number == 1 ? per_thread ? LAUNCH_PTSZ : LAUNCH : 0;
}

const char *wh_cupti_call_name(uint32_t call)
{
    return call == LAUNCH ? "cuLaunchKernel" : call == LAUNCH_PTSZ ? "cuLaunchKernel_ptsz" : NULL;
}

static uint64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the program ---- */

CUptiResult cuptiActivityEnable(uint32_t kind);
CUptiResult cuptiActivityDisable(uint32_t kind);
CUptiResult cuptiActivityEnableDriverApi(uint32_t call, uint8_t enable);
CUptiResult cuptiActivityFlushAll(uint32_t flags);
CUptiResult cuptiActivityGetAttribute(uint32_t attribute, size_t *size, void *value);
CUptiResult cuptiActivityGetNextRecord(uint8_t *buffer, size_t valid, uint8_t **record);
CUptiResult cuptiActivityGetNumDroppedRecords(void *context, uint32_t stream, size_t *records);
CUptiResult cuptiActivityPopExternalCorrelationId(uint32_t kind, uint64_t *last);
CUptiResult cuptiActivityPushExternalCorrelationId(uint32_t kind, uint64_t id);
CUptiResult cuptiActivityRegisterCallbacks(wh_cupti_request request, wh_cupti_complete complete);
CUptiResult cuptiActivityRegisterTimestampCallback(wh_cupti_clock clock);
CUptiResult cuptiActivitySetAttribute(uint32_t attribute, size_t *size, const void *value);
CUptiResult cuptiEnableCallback(uint32_t on, void *subscriber, uint32_t domain, uint32_t call);
CUptiResult cuptiEnableDomain(uint32_t on, void *subscriber, uint32_t domain);
CUptiResult cuptiFinalize(void);
CUptiResult cuptiGetCallbackState(uint32_t *on, void *subscriber, uint32_t domain, uint32_t call);
CUptiResult cuptiGetCallbackName(uint32_t domain, uint32_t call, const char **name);
CUptiResult cuptiGetLastError(void);
CUptiResult cuptiGetResultString(CUptiResult result, const char **text);
CUptiResult cuptiGetTimestamp(uint64_t *time);
CUptiResult cuptiSubscribe(void **subscriber, void *callback, void *user);
CUptiResult cuptiUnsubscribe(void *subscriber);

static size_t room, most; /* of the next buffers; 0: there is none */
static unsigned requested, completed, shift;
static uint8_t taken[4096]; /* records, one behind the other */
static size_t ntaken, records;

static void request(uint8_t **buffer, size_t *size, size_t *limit)
{
    requested++;
    *buffer = room ? (uint8_t *)malloc(room + 8) + shift : NULL;
    *size = room;
    *limit = most;
}

static void complete(void *context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid)
{
    uint8_t *record = NULL;
    size_t dropped;
    assert_null(context);
    assert_int_equal(stream, 0);
    assert_int_equal(size, room);
    assert_true(valid <= size);
    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        uint32_t kind;
        memcpy(&kind, record, sizeof(kind));
        size_t n = wh_cupti_record_size(kind);
        assert_true(n && record + n <= buffer + valid && ntaken + n <= sizeof(taken));
        memcpy(taken + ntaken, record, n);
        ntaken += n;
        records++;
    }
    /* A program may ask from here. */
    assert_int_equal(cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped), CUPTI_SUCCESS);
    wh_cupti_drop(dropped);
    completed++;
    free(buffer);
}

static int set_up(void **state)
{
    (void)state;
    there = true;
    room = 1024;
    most = shift = requested = completed = npending = 0;
    ntaken = records = 0;
    assert_int_equal(cuptiActivityRegisterCallbacks(request, complete), CUPTI_SUCCESS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    there = true;
    cuptiFinalize();
    wh_cupti_dropped();
    while (cuptiActivityPopExternalCorrelationId(3, NULL) == CUPTI_SUCCESS)
        ;
    return 0;
}

static void add_work(unsigned what, uint32_t correlation)
{
    pending[npending] = (struct wh_observed_work){.what = what,
                                                  .correlation = correlation,
                                                  .device = 1,
                                                  .context = 3,
                                                  .stream = 7,
                                                  .begin = monotonic() - 100,
                                                  .end = monotonic()};
    if (what == WH_OBSERVE_KERNELS)
        pending[npending].kernel =
            (struct wh_observed_kernel){.name = "kernel", .grid = {2, 1, 1}, .block = {64, 1, 1}};
    npending++;
}

static void make_call(unsigned number, uint32_t correlation, bool worked)
{
    observer->call(&(struct wh_observed_call){.number = number,
                                              .correlation = correlation,
                                              .worked = worked,
                                              .begin = monotonic(),
                                              .end = monotonic(),
                                              .context = 3});
}

/* ---- buffers ---- */

static void fills_buffers(void **state)
{
    (void)state;
    assert_int_equal(cuptiActivityEnable(KIND_CONCURRENT_KERNEL), CUPTI_SUCCESS);
    assert_int_equal(observed, WH_OBSERVE_KERNELS);
    room = 3 * sizeof(struct record_kernel) + 8; /* the rest is too small for a fourth */
    for (uint32_t i = 1; i <= 7; i++)
        add_work(WH_OBSERVE_KERNELS, i);
    assert_int_equal(requested, 0);
    assert_int_equal(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    assert_int_equal(requested, 3);
    assert_int_equal(completed, 3);
    assert_int_equal(records, 7);
    for (uint32_t i = 0; i < 7; i++) {
        const struct record_kernel *k = (const void *)(taken + i * sizeof(*k));
        assert_int_equal(k->kind, KIND_CONCURRENT_KERNEL);
        assert_int_equal(k->correlation, i + 1);
        assert_string_equal(k->name, "kernel");
        assert_int_equal(k->grid[0], 2);
        assert_true(k->start <= k->end);
    }
    assert_int_equal(cuptiActivityFlushAll(1), CUPTI_SUCCESS);
    assert_int_equal(requested, 3); /* nothing to give, nothing to ask for */
}

static void heeds_the_number_of_records(void **state)
{
    (void)state;
    most = 2;
    assert_int_equal(cuptiActivityEnable(KIND_MEMSET), CUPTI_SUCCESS);
    for (uint32_t i = 1; i <= 5; i++)
        add_work(WH_OBSERVE_SETS, i);
    assert_int_equal(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    assert_int_equal(completed, 3);
    assert_int_equal(records, 5);
}

static void counts_what_is_dropped(void **state)
{
    size_t dropped = 0;
    (void)state;
    assert_int_equal(cuptiActivityEnable(KIND_MEMCPY), CUPTI_SUCCESS);
    room = 0;
    add_work(WH_OBSERVE_COPIES, 1);
    add_work(WH_OBSERVE_COPIES, 2);
    assert_int_equal(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    assert_int_equal(cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped), CUPTI_SUCCESS);
    assert_int_equal(dropped, 2);
    assert_int_equal(cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped), CUPTI_SUCCESS);
    assert_int_equal(dropped, 0);
    observer->lost(4);
    cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped);
    assert_int_equal(dropped, 4);
    /* Smaller than a record: it comes back empty. */
    room = 16;
    add_work(WH_OBSERVE_COPIES, 3);
    assert_int_equal(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    assert_int_equal(completed, 1);
    assert_int_equal(records, 0);
    cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped);
    assert_int_equal(dropped, 1);
}

static void refuses_what_is_wrong(void **state)
{
    uint8_t buffer[64] = {0}, *record = NULL;
    uint32_t kind = KIND_MEMSET;
    (void)state;
    assert_int_equal(cuptiActivityRegisterCallbacks(NULL, complete), CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(cuptiActivityGetNumDroppedRecords(NULL, 0, NULL),
                     CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(cuptiActivityGetNextRecord(NULL, 8, &record), CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(cuptiActivityGetNextRecord(buffer, 0, &record), CUPTI_ERROR_MAX_LIMIT_REACHED);
    assert_int_equal(cuptiActivityGetNextRecord(buffer, sizeof(buffer), &record),
                     CUPTI_ERROR_INVALID_KIND);
    memcpy(buffer, &kind, sizeof(kind)); /* a record that would be longer than what is there */
    assert_int_equal(cuptiActivityGetNextRecord(buffer, sizeof(buffer), &record),
                     CUPTI_ERROR_INVALID_KIND);
    assert_null(record);
    assert_int_equal(cuptiGetLastError(), CUPTI_ERROR_INVALID_KIND);
    assert_int_equal(cuptiGetLastError(), CUPTI_SUCCESS);
    assert_int_equal(cuptiActivityEnable(0), CUPTI_ERROR_INVALID_KIND);
    assert_int_equal(cuptiActivityEnable(KINDS), CUPTI_ERROR_INVALID_KIND);
    assert_int_equal(cuptiActivityEnable(KIND_RUNTIME), CUPTI_SUCCESS);
    assert_int_equal(observed, 0);
    there = false;
    assert_int_equal(cuptiActivityEnable(KIND_DRIVER), CUPTI_ERROR_NOT_INITIALIZED);
    assert_int_equal(cuptiActivityFlushAll(0), CUPTI_ERROR_NOT_INITIALIZED);
}

/* What was under way when its kind was disabled is told of. */
static void tells_what_is_left(void **state)
{
    (void)state;
    assert_int_equal(cuptiActivityEnable(KIND_KERNEL), CUPTI_SUCCESS);
    add_work(WH_OBSERVE_KERNELS, 5);
    assert_int_equal(cuptiActivityDisable(KIND_KERNEL), CUPTI_SUCCESS);
    assert_int_equal(observed, 0);
    assert_int_equal(cuptiActivityFlushAll(1), CUPTI_SUCCESS);
    assert_int_equal(records, 1);
    assert_int_equal(((const struct record_kernel *)(const void *)taken)->kind, KIND_KERNEL);
}

/* ---- calls ---- */

static void correlates(void **state)
{
    uint64_t last = 0;
    (void)state;
    cuptiActivityEnable(KIND_EXTERNAL_CORRELATION);
    cuptiActivityEnable(KIND_DRIVER);
    assert_int_equal(observed, WH_OBSERVE_CALLS);
    cuptiActivityPushExternalCorrelationId(3, 70);
    cuptiActivityPushExternalCorrelationId(3, 71);
    cuptiActivityPushExternalCorrelationId(4, 80);
    make_call(1, 10, true);
    assert_int_equal(cuptiActivityPopExternalCorrelationId(4, &last), CUPTI_SUCCESS);
    assert_int_equal(last, 80);
    assert_int_equal(cuptiActivityPopExternalCorrelationId(4, &last), CUPTI_ERROR_QUEUE_EMPTY);
    assert_int_equal(cuptiActivityPopExternalCorrelationId(0, &last),
                     CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(cuptiActivityPushExternalCorrelationId(6, 1), CUPTI_ERROR_INVALID_PARAMETER);
    cuptiActivityFlushAll(0);
    const struct record_external *e = (const void *)taken;
    const struct record_call *c = (const void *)(taken + 2 * sizeof(*e));
    assert_int_equal(records, 3);
    assert_int_equal(e[0].external_kind, 3);
    assert_int_equal(e[0].external, 71);
    assert_int_equal(e[0].correlation, 10);
    assert_int_equal(e[1].external_kind, 4);
    assert_int_equal(e[1].external, 80);
    assert_int_equal(c->kind, KIND_DRIVER);
    assert_int_equal(c->call, LAUNCH);
    assert_int_equal(c->correlation, 10);
    assert_true(c->start <= c->end);
}

static void selects_calls(void **state)
{
    (void)state;
    assert_int_equal(cuptiActivityEnableDriverApi(LAUNCH, 1), CUPTI_SUCCESS);
    assert_int_equal(observed, WH_OBSERVE_CALLS);
    make_call(1, 1, false);
    make_call(2, 2, false); /* has no number */
    assert_int_equal(cuptiActivityEnable(KIND_DRIVER), CUPTI_SUCCESS);
    assert_int_equal(cuptiActivityEnableDriverApi(LAUNCH, 0), CUPTI_SUCCESS);
    make_call(1, 3, false);
    assert_int_equal(cuptiActivityEnableDriverApi(9999, 0), CUPTI_ERROR_INVALID_PARAMETER);
    cuptiActivityFlushAll(0);
    assert_int_equal(records, 1);
    assert_int_equal(((const struct record_call *)(const void *)taken)->correlation, 1);
}

/* A call that nobody hears of has no ids, unless the device worked for it. */
static void correlates_work_only(void **state)
{
    (void)state;
    cuptiActivityEnable(KIND_EXTERNAL_CORRELATION);
    cuptiActivityPushExternalCorrelationId(3, 5);
    make_call(1, 1, false);
    make_call(1, 2, true);
    cuptiActivityFlushAll(0);
    assert_int_equal(records, 1);
    assert_int_equal(((const struct record_external *)(const void *)taken)->correlation, 2);
}

static void tells_of_memory(void **state)
{
    struct wh_observed_call call = {.number = 1, .correlation = 6, .context = 3, .device = 1};
    (void)state;
    assert_int_equal(cuptiActivityEnable(KIND_MEMORY2), CUPTI_SUCCESS);
    assert_int_equal(observed, WH_OBSERVE_CALLS);
    make_call(1, 5, true); /* has none to tell of */
    call.begin = call.end = monotonic();
    call.memory = (struct wh_observed_memory_call){.what = WH_ALLOCATES,
                                                   .memory = WH_OF_MANAGED,
                                                   .address = 4096,
                                                   .bytes = 100,
                                                   .stream = WH_OBSERVE_NO_ID};
    observer->call(&call);
    call.correlation = 7;
    call.memory.what = WH_FREES;
    call.memory.asynchronous = true;
    call.memory.stream = 8;
    observer->call(&call);
    assert_int_equal(cuptiActivityFlushAll(0), CUPTI_SUCCESS);
    assert_int_equal(records, 2);
    const struct record_memory *m = (const void *)taken;
    assert_int_equal(m[0].kind, KIND_MEMORY2);
    assert_int_equal(m[0].operation, 1);
    assert_int_equal(m[0].memory, 5);
    assert_int_equal(m[0].correlation, 6);
    assert_int_equal(m[0].address, 4096);
    assert_int_equal(m[0].bytes, 100);
    assert_int_equal(m[0].device, 1);
    assert_int_equal(m[0].context, 3);
    assert_int_equal(m[0].stream, UINT32_MAX);
    assert_int_equal(m[0].asynchronous, 0);
    assert_int_equal(m[1].operation, 2);
    assert_int_equal(m[1].correlation, 7);
    assert_int_equal(m[1].stream, 8);
    assert_int_equal(m[1].asynchronous, 1);
    assert_true(m[0].time == m[1].time);
}

/* ---- time ---- */

/* Three ticks a nanosecond, from long ago. */
static uint64_t fast_clock(void)
{
    return 3 * monotonic() + 1000000000000000000u;
}

static void converts_times(void **state)
{
    uint64_t before = fast_clock(), now = 0;
    (void)state;
    assert_int_equal(cuptiActivityRegisterTimestampCallback(fast_clock), CUPTI_SUCCESS);
    cuptiActivityEnable(KIND_DRIVER);
    make_call(1, 1, false);
    uint64_t after = fast_clock();
    cuptiActivityFlushAll(0);
    const struct record_call *c = (const void *)taken;
    /* As exact as both clocks can be compared. */
    assert_true(c->start + 3000 >= before && c->start <= c->end && c->end <= after + 3000);
    assert_int_equal(cuptiGetTimestamp(&now), CUPTI_SUCCESS);
    assert_true(now >= after && now <= fast_clock());
    assert_int_equal(cuptiActivityRegisterTimestampCallback(NULL), CUPTI_ERROR_INVALID_PARAMETER);
    wh_cupti_clock_set(NULL);
}

/* ---- the rest ---- */

static void keeps_settings(void **state)
{
    size_t value = 0, size = sizeof(value);
    uint8_t small = 0;
    (void)state;
    assert_int_equal(cuptiActivityGetAttribute(0, &size, &value), CUPTI_SUCCESS);
    assert_int_equal(value, 8u << 20);
    value = 1234567;
    assert_int_equal(cuptiActivitySetAttribute(0, &size, &value), CUPTI_SUCCESS);
    value = 0;
    assert_int_equal(cuptiActivityGetAttribute(0, &size, &value), CUPTI_SUCCESS);
    assert_int_equal(value, 1234567);
    size = 1;
    assert_int_equal(cuptiActivitySetAttribute(9, &size, &small), CUPTI_SUCCESS);
    assert_int_equal(cuptiActivitySetAttribute(0, &size, &small),
                     CUPTI_ERROR_PARAMETER_SIZE_NOT_SUFFICIENT);
    assert_int_equal(cuptiActivitySetAttribute(99, &size, &small), CUPTI_ERROR_INVALID_PARAMETER);
}

static void names_things(void **state)
{
    const char *text = NULL;
    (void)state;
    assert_int_equal(cuptiGetResultString(CUPTI_ERROR_NOT_SUPPORTED, &text), CUPTI_SUCCESS);
    assert_string_equal(text, "CUPTI_ERROR_NOT_SUPPORTED");
    assert_int_equal(cuptiGetResultString(12345, &text), CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(cuptiGetCallbackName(1, LAUNCH, &text), CUPTI_SUCCESS);
    assert_string_equal(text, "cuLaunchKernel");
    assert_int_equal(cuptiGetCallbackName(1, 5000, &text), CUPTI_ERROR_INVALID_PARAMETER);
    assert_null(text);
}

enum {
    DRIVER_DOMAIN = 1,
    RUNTIME_DOMAIN = 2,
    RESOURCES = 3,
    CREATED = 1,
    DESTROYED = 2,
    STREAM_CREATED = 3,
    LOADED = 6
};

static unsigned called[5];

static void call_back(void *user, uint32_t domain, uint32_t call, const void *data)
{
    CUcontext context;
    assert_ptr_equal(user, called);
    assert_int_equal(domain, RESOURCES);
    assert_true(call < 5);
    memcpy(&context, data, sizeof(context));
    assert_ptr_equal(context, &room);
    called[call]++;
}

static void subscribes_one(void **state)
{
    void *one = NULL, *two = NULL, *function = (void *)(uintptr_t)call_back;
    CUcontext context = (CUcontext)&room;
    (void)state;
    memset(called, 0, sizeof(called));
    assert_int_equal(cuptiSubscribe(&one, function, called), CUPTI_SUCCESS);
    assert_int_equal(cuptiSubscribe(&two, function, called),
                     CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);
    assert_int_equal(cuptiEnableCallback(1, one, RESOURCES, CREATED), CUPTI_SUCCESS);
    assert_int_equal(observed, WH_OBSERVE_RESOURCES);
    observer->resource(WH_CONTEXT_BEGINS, context, NULL);
    observer->resource(WH_CONTEXT_ENDS, context, NULL);
    assert_int_equal(cuptiEnableCallback(1, one, RESOURCES, DESTROYED), CUPTI_SUCCESS);
    observer->resource(WH_CONTEXT_ENDS, context, NULL);
    assert_int_equal(called[CREATED], 1);
    assert_int_equal(called[DESTROYED], 1);
    assert_int_equal(cuptiEnableCallback(1, one, RESOURCES, LOADED),
                     CUPTI_SUCCESS); /* none comes */
    assert_int_equal(cuptiEnableDomain(1, one, RESOURCES), CUPTI_SUCCESS);
    observer->resource(WH_STREAM_BEGINS, context, NULL);
    observer->resource(WH_STREAM_ENDS, context, NULL);
    assert_int_equal(called[STREAM_CREATED], 1);
    assert_int_equal(called[STREAM_CREATED + 1], 1);
    assert_int_equal(cuptiEnableDomain(0, one, RESOURCES), CUPTI_SUCCESS);
    assert_int_equal(observed, 0);
    assert_int_equal(cuptiEnableCallback(1, one, DRIVER_DOMAIN, 0), CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(cuptiEnableCallback(1, one, DRIVER_DOMAIN, 99999),
                     CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(cuptiEnableDomain(0, &room, DRIVER_DOMAIN), CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(cuptiUnsubscribe(one), CUPTI_SUCCESS);
    assert_int_equal(cuptiUnsubscribe(one), CUPTI_ERROR_INVALID_PARAMETER);
    assert_int_equal(observed, 0);
    observer->resource(WH_CONTEXT_BEGINS, context, NULL);
    assert_int_equal(called[CREATED], 1);
}

struct call_data { /* CUpti_CallbackData */
    uint32_t site;
    const char *name;
    const void *params;
    const int32_t *result;
    const char *symbol;
    CUcontext context;
    uint32_t context_id;
    uint64_t *shared;
    uint32_t correlation;
};

static unsigned entered, exited;
static uint32_t function; /* that is called */

static void called_back(void *user, uint32_t domain, uint32_t call, const void *bytes)
{
    const struct call_data *data = bytes;
    assert_null(user);
    assert_int_equal(domain, DRIVER_DOMAIN);
    assert_int_equal(call, function);
    assert_string_equal(data->name, wh_cupti_call_name(function));
    assert_string_equal(data->symbol, "kernel");
    assert_int_equal(data->correlation, 9);
    assert_int_equal(data->context_id, 3);
    assert_ptr_equal(data->params, &room);
    if (data->site == 0) {
        entered++;
        assert_null(data->result);
        *data->shared = 77;
        return;
    }
    exited++;
    assert_int_equal(data->site, 1);
    assert_int_equal(*data->result, CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(*data->shared, 77);
}

/* A call as the CUDA shim tells of it. */
static uint32_t tell_call(bool per_thread, uint32_t ticket, bool ends)
{
    static uint64_t shared;
    const CUresult result = CUDA_ERROR_INVALID_VALUE;
    const struct wh_observed_callback callback = {.number = 1,
                                                  .per_thread = per_thread,
                                                  .correlation = 9,
                                                  .context_id = 3,
                                                  .symbol = "kernel",
                                                  .params = &room,
                                                  .shared = &shared,
                                                  .result = ends ? &result : NULL,
                                                  .ticket = ticket};
    function = per_thread ? LAUNCH_PTSZ : LAUNCH;
    return observer->callback(&callback);
}

static void *subscribe(void *callback)
{
    void *one = NULL;
    entered = exited = 0;
    assert_int_equal(cuptiSubscribe(&one, callback, NULL), CUPTI_SUCCESS);
    return one;
}

static void calls_back(void **state)
{
    void *one = subscribe((void *)(uintptr_t)called_back);
    (void)state;
    assert_int_equal(cuptiEnableCallback(1, one, DRIVER_DOMAIN, LAUNCH), CUPTI_SUCCESS);
    assert_int_equal(cuptiEnableCallback(1, one, DRIVER_DOMAIN, LAUNCH), CUPTI_SUCCESS);
    assert_int_equal(observed, WH_OBSERVE_CALLBACKS);
    assert_true(observer->wants(1, false));
    assert_false(observer->wants(1, true));
    assert_false(observer->wants(2, false)); /* has no number */
    uint32_t ticket = tell_call(false, 0, false);
    assert_int_not_equal(ticket, 0);
    tell_call(false, ticket, true);
    assert_int_equal(entered, 1);
    assert_int_equal(exited, 1);
    assert_int_equal(tell_call(true, 0, false), 0); /* another function */
    assert_int_equal(cuptiEnableCallback(0, one, DRIVER_DOMAIN, LAUNCH), CUPTI_SUCCESS);
    assert_int_equal(observed, 0);
    assert_int_equal(tell_call(false, 0, false), 0);
    assert_int_equal(entered, 1);
    assert_int_equal(cuptiEnableCallback(1, one, RUNTIME_DOMAIN, 211), CUPTI_SUCCESS);
    assert_int_equal(cuptiEnableDomain(1, one, RUNTIME_DOMAIN), CUPTI_ERROR_NOT_SUPPORTED);
    assert_int_equal(observed, 0);
    assert_int_equal(cuptiUnsubscribe(one), CUPTI_SUCCESS);
}

static void calls_back_for_all(void **state)
{
    void *one = subscribe((void *)(uintptr_t)called_back);
    uint32_t on = 1;
    (void)state;
    assert_int_equal(cuptiGetCallbackState(&on, one, DRIVER_DOMAIN, LAUNCH_PTSZ), CUPTI_SUCCESS);
    assert_int_equal(on, 0);
    assert_int_equal(cuptiEnableDomain(1, one, DRIVER_DOMAIN), CUPTI_SUCCESS);
    assert_int_equal(cuptiGetCallbackState(&on, one, DRIVER_DOMAIN, LAUNCH_PTSZ), CUPTI_SUCCESS);
    assert_int_equal(on, 1);
    assert_int_equal(cuptiGetCallbackState(&on, one, DRIVER_DOMAIN, 77), CUPTI_SUCCESS);
    assert_int_equal(on, 0); /* there is no such function */
    tell_call(false, 0, false);
    tell_call(true, 0, false);
    assert_int_equal(entered, 2);
    assert_int_equal(cuptiEnableDomain(0, one, DRIVER_DOMAIN), CUPTI_SUCCESS);
    assert_int_equal(observed, 0);
    assert_int_equal(cuptiUnsubscribe(one), CUPTI_SUCCESS);
}

/* One that began while another subscriber was there does not end for this one. */
static void keeps_subscribers_apart(void **state)
{
    void *one = subscribe((void *)(uintptr_t)called_back);
    (void)state;
    assert_int_equal(cuptiEnableDomain(1, one, DRIVER_DOMAIN), CUPTI_SUCCESS);
    uint32_t ticket = tell_call(false, 0, false);
    assert_int_equal(cuptiUnsubscribe(one), CUPTI_SUCCESS);
    tell_call(false, ticket, true);
    one = subscribe((void *)(uintptr_t)called_back);
    assert_int_equal(observed, 0);
    assert_int_equal(cuptiEnableDomain(1, one, DRIVER_DOMAIN), CUPTI_SUCCESS);
    tell_call(false, ticket, true);
    assert_int_equal(exited, 0);
    /* To finalize is to unsubscribe. */
    assert_int_equal(cuptiFinalize(), CUPTI_SUCCESS);
    assert_int_equal(observed, 0);
    assert_int_equal(cuptiUnsubscribe(one), CUPTI_ERROR_INVALID_PARAMETER);
}

/* ---- a subscriber that ends while it is being called ---- */

static struct {
    sem_t inside, leave;
    void *subscriber;
    CUptiResult result;
    _Atomic bool left, returned;
} race;

static void stays(void *user, uint32_t domain, uint32_t call, const void *bytes)
{
    (void)user, (void)domain, (void)call, (void)bytes;
    sem_post(&race.inside);
    sem_wait(&race.leave);
    atomic_store(&race.left, true);
}

static void *be_called(void *unused)
{
    (void)unused;
    tell_call(false, 0, false);
    return NULL;
}

static void *unsubscribe(void *unused)
{
    (void)unused;
    race.result = cuptiUnsubscribe(race.subscriber);
    atomic_store(&race.returned, atomic_load(&race.left));
    return NULL;
}

/* Whether that is true in a child of fork, and comes to an end. */
#define child_does(condition)                                             \
    ({                                                                    \
        int status_ = 0;                                                  \
        pid_t child_ = fork();                                            \
        if (child_ == 0) {                                                \
            alarm(5);                                                     \
            _exit((condition) ? 0 : 1);                                   \
        }                                                                 \
        child_ > 0 && waitpid(child_, &status_, 0) == child_ && !status_; \
    })

static void waits_for_callbacks(void **state)
{
    pthread_t caller, ender;
    void *two = NULL;
    (void)state;
    assert_int_equal(sem_init(&race.inside, 0, 0) + sem_init(&race.leave, 0, 0), 0);
    race.subscriber = subscribe((void *)(uintptr_t)stays);
    assert_int_equal(cuptiEnableDomain(1, race.subscriber, DRIVER_DOMAIN), CUPTI_SUCCESS);
    assert_int_equal(pthread_create(&caller, NULL, be_called, NULL), 0);
    sem_wait(&race.inside);
    bool child_unsubscribes = child_does(cuptiUnsubscribe(race.subscriber) == CUPTI_SUCCESS);
    assert_int_equal(pthread_create(&ender, NULL, unsubscribe, NULL), 0);
    /* From when it began to end, it is nobody's, but not yet another's; in a child of fork, where
     * the callback does not return, it has ended. */
    while (cuptiEnableDomain(1, race.subscriber, DRIVER_DOMAIN) == CUPTI_SUCCESS)
        sched_yield();
    assert_int_equal(tell_call(false, 0, false), 0);
    assert_int_equal(cuptiSubscribe(&two, (void *)(uintptr_t)called_back, NULL),
                     CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);
    bool child_subscribes =
        child_does(cuptiSubscribe(&two, (void *)(uintptr_t)called_back, NULL) == CUPTI_SUCCESS &&
                   cuptiUnsubscribe(two) == CUPTI_SUCCESS);
    sem_post(&race.leave);
    pthread_join(ender, NULL);
    pthread_join(caller, NULL);
    assert_int_equal(race.result, CUPTI_SUCCESS);
    assert_true(race.returned); /* after the callback */
    assert_true(child_unsubscribes && child_subscribes);
    assert_int_equal(observed, 0);
}

static void ends_itself(void *user, uint32_t domain, uint32_t call, const void *bytes)
{
    (void)user, (void)domain, (void)call, (void)bytes;
    race.result = cuptiUnsubscribe(race.subscriber);
}

/* That would be to wait for itself. */
static void does_not_wait_for_itself(void **state)
{
    (void)state;
    race.subscriber = subscribe((void *)(uintptr_t)ends_itself);
    race.result = CUPTI_ERROR_UNKNOWN;
    assert_int_equal(cuptiEnableDomain(1, race.subscriber, DRIVER_DOMAIN), CUPTI_SUCCESS);
    tell_call(false, 0, false);
    assert_int_equal(race.result, CUPTI_SUCCESS);
    assert_int_equal(cuptiUnsubscribe(race.subscriber), CUPTI_ERROR_INVALID_PARAMETER);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fills_buffers),          TEST(heeds_the_number_of_records),
        TEST(counts_what_is_dropped), TEST(refuses_what_is_wrong),
        TEST(tells_what_is_left),     TEST(correlates),
        TEST(selects_calls),          TEST(correlates_work_only),
        TEST(tells_of_memory),        TEST(converts_times),
        TEST(keeps_settings),         TEST(names_things),
        TEST(subscribes_one),         TEST(calls_back),
        TEST(calls_back_for_all),     TEST(keeps_subscribers_apart),
        TEST(waits_for_callbacks),    TEST(does_not_wait_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
