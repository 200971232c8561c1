/* SPDX-License-Identifier: Apache-2.0 */
/* Which kinds of activity the program wants to hear of, and the settings of that. */
#include "shim/cupti/cupti.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_ATTRIBUTE 10u

enum { THREAD_ID_POSIX, THREAD_ID_SYSTEM, THREAD_ID_TYPES };

static struct {
    pthread_mutex_t lock; /* of changes */
    _Atomic bool kinds[KINDS];
    _Atomic bool calls[WH_CUPTI_CALLS];
    _Atomic bool some_calls; /* one of `calls` is set */
    _Atomic uint32_t kernel_kind;
    _Atomic uint32_t thread_ids;
    uint64_t attributes[MOST_ATTRIBUTE + 1];
} state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .kernel_kind = KIND_CONCURRENT_KERNEL,
    .attributes = {8u << 20, 8u << 20, 250, 25000, 250, 0, 3, 3, 0, 1, 16u << 20},
};

static _Thread_local CUptiResult last;

CUptiResult wh_cupti_fail(CUptiResult result)
{
    last = result;
    return result;
}

void wh_cupti_say(_Atomic bool *said, const char *what)
{
    if (!atomic_exchange(said, true))
        wh_log("%s", what);
}

bool wh_cupti_wants(uint32_t kind)
{
    return atomic_load_explicit(&state.kinds[kind], memory_order_relaxed);
}

bool wh_cupti_wants_call(uint32_t call)
{
    return call < WH_CUPTI_CALLS && atomic_load_explicit(&state.calls[call], memory_order_relaxed);
}

uint32_t wh_cupti_kernel_kind(void)
{
    return atomic_load_explicit(&state.kernel_kind, memory_order_relaxed);
}

uint32_t wh_cupti_thread(void)
{
    return atomic_load_explicit(&state.thread_ids, memory_order_relaxed) == THREAD_ID_SYSTEM
               ? (uint32_t)gettid()
               : (uint32_t)pthread_self();
}

/* ---- kinds ---- */

static unsigned what_is_wanted(void)
{
    unsigned what = 0;
    if (wh_cupti_wants(KIND_DRIVER) || wh_cupti_wants(KIND_SYNCHRONIZATION) ||
        wh_cupti_wants(KIND_EXTERNAL_CORRELATION) || wh_cupti_wants(KIND_MEMORY2) ||
        atomic_load(&state.some_calls))
        what |= WH_OBSERVE_CALLS;
    if (wh_cupti_wants(KIND_KERNEL) || wh_cupti_wants(KIND_CONCURRENT_KERNEL))
        what |= WH_OBSERVE_KERNELS;
    if (wh_cupti_wants(KIND_MEMCPY) || wh_cupti_wants(KIND_MEMCPY2))
        what |= WH_OBSERVE_COPIES;
    if (wh_cupti_wants(KIND_MEMSET))
        what |= WH_OBSERVE_SETS;
    if (wh_cupti_wants(KIND_GRAPH_TRACE))
        what |= WH_OBSERVE_GRAPHS;
    if (wh_cupti_wants_resources())
        what |= WH_OBSERVE_RESOURCES;
    if (wh_cupti_wants_calls())
        what |= WH_OBSERVE_CALLBACKS;
    return what;
}

/* Tells the CUDA shim. The lock is held. */
static void apply(const struct wh_observe_table *driver)
{
    unsigned what = what_is_wanted();
    if (what)
        wh_cupti_clock_start();
    driver->observe(&wh_cupti_observer, what);
}

void wh_cupti_apply(void)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    pthread_mutex_lock(&state.lock);
    if (driver)
        apply(driver);
    pthread_mutex_unlock(&state.lock);
}

/* Kinds that are enabled for nothing, since programs want them beside others. */
static bool has_no_records(uint32_t kind)
{
    static _Atomic bool said;
    if (kind == KIND_RUNTIME)
        wh_cupti_say(&said, "there are no activity records of the CUDA runtime's functions; those "
                            "of the driver's tell the same");
    return kind == KIND_RUNTIME || kind == KIND_OVERHEAD;
}

static void set_calls(bool on)
{
    for (unsigned i = 0; i < WH_CUPTI_CALLS; i++)
        atomic_store_explicit(&state.calls[i], on, memory_order_relaxed);
    atomic_store(&state.some_calls, on);
}

static CUptiResult set_kind(uint32_t kind, bool on)
{
    static _Atomic bool said[KINDS];
    if (kind == 0 || kind >= KINDS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_KIND);
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    if (!wh_cupti_record_size(kind) && !has_no_records(kind)) {
        if (on && !atomic_exchange(&said[kind], true))
            wh_log("there are no activity records of kind %u", kind);
        return wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED);
    }
    pthread_mutex_lock(&state.lock);
    atomic_store(&state.kinds[kind], on);
    if (kind == KIND_DRIVER)
        set_calls(on);
    if (on && (kind == KIND_KERNEL || kind == KIND_CONCURRENT_KERNEL))
        atomic_store(&state.kernel_kind, kind);
    apply(driver);
    pthread_mutex_unlock(&state.lock);
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiActivityEnable(uint32_t kind)
{
    return set_kind(kind, true);
}

WH_EXPORT CUptiResult cuptiActivityDisable(uint32_t kind)
{
    return set_kind(kind, false);
}

/* There is nothing to dump: the kinds that tell of what is there already are not supported. */
WH_EXPORT CUptiResult cuptiActivityEnableAndDump(uint32_t kind)
{
    return set_kind(kind, true);
}

/* Of one context only: CUPTI says that a kind which is enabled for all is not compatible with that;
 * here it can be enabled for all only. */
static CUptiResult of_context(CUcontext context, uint32_t kind)
{
    static _Atomic bool said;
    uint32_t id;
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    if (driver->context_id(context, &id) != CUDA_SUCCESS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_CONTEXT);
    if (kind == 0 || kind >= KINDS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_KIND);
    wh_cupti_say(&said, "activity cannot be recorded of one context only");
    return wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED);
}

WH_EXPORT CUptiResult cuptiActivityEnableContext(CUcontext context, uint32_t kind)
{
    return of_context(context, kind);
}

WH_EXPORT CUptiResult cuptiActivityDisableContext(CUcontext context, uint32_t kind)
{
    return of_context(context, kind);
}

/* ---- single functions ---- */

WH_EXPORT CUptiResult cuptiActivityEnableDriverApi(uint32_t call, uint8_t enable)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    if (call >= WH_CUPTI_CALLS || !wh_cupti_call_name(call))
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    pthread_mutex_lock(&state.lock);
    atomic_store(&state.calls[call], enable != 0);
    if (enable)
        atomic_store(&state.some_calls, true);
    apply(driver);
    pthread_mutex_unlock(&state.lock);
    return CUPTI_SUCCESS;
}

/* There are no records of any. */
WH_EXPORT CUptiResult cuptiActivityEnableRuntimeApi(uint32_t call, uint8_t enable)
{
    (void)call;
    return enable ? set_kind(KIND_RUNTIME, true) : CUPTI_SUCCESS;
}

/* ---- delivery ---- */

static CUptiResult flush(void)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    if (!wh_cupti_buffers_are_registered())
        return wh_cupti_fail(CUPTI_ERROR_INVALID_OPERATION);
    driver->collect();
    wh_cupti_buffers_flush();
    return CUPTI_SUCCESS;
}

/* Forced or not: a record that is not complete is kept until it is. */
WH_EXPORT CUptiResult cuptiActivityFlushAll(uint32_t flags)
{
    (void)flags;
    return flush();
}

WH_EXPORT CUptiResult cuptiActivityFlush(CUcontext context, uint32_t stream, uint32_t flags)
{
    (void)context;
    (void)stream;
    (void)flags;
    return flush();
}

WH_EXPORT CUptiResult cuptiFinalize(void)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    if (wh_cupti_buffers_are_registered())
        (void)flush();
    wh_cupti_end_subscription();
    pthread_mutex_lock(&state.lock);
    for (unsigned i = 0; i < KINDS; i++)
        atomic_store(&state.kinds[i], false);
    set_calls(false);
    apply(driver);
    pthread_mutex_unlock(&state.lock);
    return CUPTI_SUCCESS;
}

/* ---- settings ---- */

static size_t size_of_attribute(uint32_t attribute)
{
    switch (attribute) {
    case 5: /* ZEROED_OUT_ACTIVITY_BUFFER */
    case 8: /* MEM_ALLOCATION_TYPE_HOST_PINNED */
    case 9: /* PER_THREAD_ACTIVITY_BUFFER */
        return sizeof(uint8_t);
    default:
        return sizeof(size_t);
    }
}

static CUptiResult check_attribute(uint32_t attribute, const size_t *size, const void *value)
{
    if (!size || !value || attribute > MOST_ATTRIBUTE)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    return *size < size_of_attribute(attribute)
               ? wh_cupti_fail(CUPTI_ERROR_PARAMETER_SIZE_NOT_SUFFICIENT)
               : CUPTI_SUCCESS;
}

/* They are about memory of the device that records are kept in natively; here they are only kept.
 */
WH_EXPORT CUptiResult cuptiActivitySetAttribute(uint32_t attribute, size_t *size, const void *value)
{
    CUptiResult result = check_attribute(attribute, size, value);
    if (result != CUPTI_SUCCESS)
        return result;
    pthread_mutex_lock(&state.lock);
    state.attributes[attribute] = 0;
    memcpy(&state.attributes[attribute], value, size_of_attribute(attribute));
    pthread_mutex_unlock(&state.lock);
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiActivityGetAttribute(uint32_t attribute, size_t *size, void *value)
{
    CUptiResult result = check_attribute(attribute, size, value);
    if (result != CUPTI_SUCCESS)
        return result;
    pthread_mutex_lock(&state.lock);
    memcpy(value, &state.attributes[attribute], size_of_attribute(attribute));
    pthread_mutex_unlock(&state.lock);
    *size = size_of_attribute(attribute);
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiActivityRegisterTimestampCallback(wh_cupti_clock clock)
{
    if (!clock)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    wh_cupti_clock_set(clock);
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiSetThreadIdType(uint32_t type)
{
    if (type >= THREAD_ID_TYPES)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    atomic_store(&state.thread_ids, type);
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiGetThreadIdType(uint32_t *type)
{
    if (!type)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *type = atomic_load(&state.thread_ids);
    return CUPTI_SUCCESS;
}

/* What these ask for is in no record of ours: off is what it is. */
static CUptiResult optional(uint8_t enable, const char *what)
{
    static _Atomic bool said;
    if (enable)
        wh_cupti_say(&said, what);
    return enable ? wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED) : CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiActivityEnableLatencyTimestamps(uint8_t enable)
{
    return optional(enable, "there are no times at which kernels were queued and submitted");
}

/* Of records of a kind that is not there, so either is true. */
WH_EXPORT CUptiResult cuptiActivityEnableCudaEventDeviceTimestamps(uint8_t enable)
{
    (void)enable;
    return CUPTI_SUCCESS;
}

/* Records are given when the program flushes, or a buffer is full. */
WH_EXPORT CUptiResult cuptiActivityFlushPeriod(uint32_t milliseconds)
{
    static _Atomic bool said;
    if (milliseconds)
        wh_cupti_say(&said, "activity records are not flushed by time");
    return milliseconds ? wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED) : CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiGetLastError(void)
{
    CUptiResult result = last;
    last = CUPTI_SUCCESS;
    return result;
}
