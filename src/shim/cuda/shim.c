/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim's centre: every generated stub comes through wh_cuda_invoke. Also initialisation, and
 * what ties objects to their state.
 */
#include "shim/cuda/shim.h"

#include "shim/cuda/code.h"
#include "shim/cuda/mirror.h"
#include "shim/cuda/observe.h"
#include "shim/cuda/storage.h"

#include "base/log.h"

#include <stdlib.h>

static _Atomic bool initialised;
static _Atomic uint64_t callbacks_run;
static _Atomic bool ailing; /* a context has a fault that stays: nothing is posted any more */

static void free_extra(struct wh_object *object)
{
    switch (object->type) {
    case WH_CUDA_TYPE_CUmodule:
    case WH_CUDA_TYPE_CUlibrary:
    case WH_CUDA_TYPE_CUkernel:
    case WH_CUDA_TYPE_CUfunction:
        wh_cuda_code_free(object->extra);
        break;
    case WH_CUDA_TYPE_CUcontext:
        if (object->extra)
            wh_storage_free(((struct wh_cuda_context *)object->extra)->storage);
        free(object->extra);
        break;
    default:
        free(object->extra);
    }
    object->extra = NULL;
}

/* NULL and small numbers name streams that were never created. */
static uint64_t special(struct wh_session *session, uint16_t type, uint64_t handle)
{
    struct wh_cuda_thread *thread = wh_cuda_thread();
    if (type != WH_CUDA_TYPE_CUstream)
        return handle;
    if (handle == (uintptr_t)CU_STREAM_PER_THREAD || (handle == 0 && thread->per_thread)) {
        struct wh_object *stream = wh_cuda_thread_stream(session);
        return stream ? (uintptr_t)stream : handle;
    }
    return handle == (uintptr_t)CU_STREAM_LEGACY ? 0 : handle;
}

const struct wh_shim wh_cuda_shim = {
    .api = &wh_cuda_api,
    .patience_ns = WH_CUDA_PATIENCE_NS,
    .free_extra = free_extra,
    .callback = wh_cuda_callback,
    .lost = wh_cuda_lost,
    .special = special,
};

struct wh_session *wh_cuda_session(void)
{
    return wh_session_get(&wh_cuda_shim);
}

struct wh_object *wh_cuda_object(const void *handle, uint16_t type)
{
    struct wh_session *session = wh_cuda_session();
    return session ? wh_object_check(wh_session_objects(session), handle, type) : NULL;
}

CUresult wh_cuda_ready(void)
{
    if (!atomic_load_explicit(&initialised, memory_order_relaxed))
        return CUDA_ERROR_NOT_INITIALIZED;
    return wh_cuda_session() ? CUDA_SUCCESS : (CUresult)wh_cuda_api.lost;
}

/* The session, when the program may make calls, with its current context known to the worker. */
static struct wh_session *prepare(uint16_t number, CUresult *result)
{
    bool needs_init = number != WH_CUDA_cuInit && number != WH_CUDA_cuDriverGetVersion;
    struct wh_session *session;
    if (needs_init && !atomic_load_explicit(&initialised, memory_order_relaxed)) {
        *result = CUDA_ERROR_NOT_INITIALIZED;
        return NULL;
    }
    session = wh_cuda_session();
    if (!session) {
        *result = needs_init ? (CUresult)wh_cuda_api.lost : CUDA_ERROR_NO_DEVICE;
        return NULL;
    }
    if (wh_cuda_capturing() && (*result = wh_cuda_capture_check(number)) != CUDA_SUCCESS)
        return NULL;
    if (number != WH_CUDA_wh_set_current)
        wh_cuda_tell_current(session);
    return session;
}

struct wh_session *wh_cuda_enter(CUresult *result)
{
    return prepare(WH_CUDA_wh_launch, result);
}

bool wh_cuda_ails(void)
{
    return __builtin_expect(atomic_load_explicit(&ailing, memory_order_relaxed), 0);
}

bool wh_cuda_stream_id(struct wh_session *session, CUstream stream, uint64_t *id)
{
    uintptr_t handle = (uintptr_t)stream;
    if (handle < WH_SPECIAL_HANDLES)
        handle = special(session, WH_CUDA_TYPE_CUstream, handle);
    struct wh_object *object = (struct wh_object *)handle;
    if (object && !wh_object_check(wh_session_objects(session), object, WH_CUDA_TYPE_CUstream))
        return false;
    *id = object ? object->id : WH_ID_NONE;
    return true;
}

/* A posted call that names nothing where the driver wants something will fail: the program is to
 * hear of it here. */
static bool names_nothing(const struct wh_call_desc *call, const uint64_t *a)
{
    if (call->flags & WH_CALL_MESSAGE)
        return false;
    for (unsigned i = 0; i < call->nparams; i++)
        if (call->params[i].kind == WH_HANDLE && !a[i] &&
            !wh_cuda_api.objects[call->params[i].type].special)
            return true;
    return false;
}

/* Errors that stay until the context ends: from here on every call natively fails at once. */
static bool is_sticky(CUresult result)
{
    return result == CUDA_ERROR_ECC_UNCORRECTABLE || result == CUDA_ERROR_ILLEGAL_ADDRESS ||
           result == CUDA_ERROR_LAUNCH_TIMEOUT ||
           (result >= CUDA_ERROR_ASSERT && result <= CUDA_ERROR_LAUNCH_FAILED &&
            result != CUDA_ERROR_TOO_MANY_PEERS &&
            result != CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED &&
            result != CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

void wh_cuda_callback_ran(void)
{
    atomic_fetch_add_explicit(&callbacks_run, 1, memory_order_release);
}

/* What such a call gave back is gone, whatever becomes of managed variables behind it. */
static bool gives_back(uint16_t number)
{
    return number == WH_CUDA_cuMemFree_v2 || number == WH_CUDA_wh_primary_release ||
           number == WH_CUDA_wh_primary_reset || number == WH_CUDA_wh_context_destroy ||
           number == WH_CUDA_wh_host_unregister || number == WH_CUDA_wh_ipc_close;
}

/* Waits for the answer, and remembers a context's fault. */
static CUresult ask(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a)
{
    if (wh_cuda_observing())
        wh_cuda_work_waits();
    CUresult result = (CUresult)wh_client_call(session, call, a);
    if (__builtin_expect(result != CUDA_SUCCESS, 0) && is_sticky(result))
        atomic_store_explicit(&ailing, true, memory_order_relaxed);
    if (result == CUDA_SUCCESS && (call->flags & WH_CALL_SYNCS)) {
        /* Acquire pairs with the release in wh_cuda_callback_ran: the worker, which orders the two,
         * is another process. */
        (void)atomic_load_explicit(&callbacks_run, memory_order_acquire);
        CUresult pulled = wh_cuda_mirrors_pull();
        result = gives_back(call->number) ? result : pulled;
    }
    if (wh_cuda_capturing())
        return wh_cuda_capture_judge(call->number, result);
    return result;
}

static CUresult post(struct wh_session *session, const struct wh_call_desc *call, uint64_t *a)
{
    if (wh_cuda_ails() || names_nothing(call, a) ||
        (wh_cuda_capturing() && !wh_cuda_capture_may_post(call, a)))
        return ask(session, call, a);
    return (CUresult)wh_client_post(session, call, a);
}

void wh_cuda_recovered(void)
{
    atomic_store_explicit(&ailing, false, memory_order_relaxed);
    wh_cuda_settings_aged();
}

/* The call is done: what was answered before it may be wrong. */
static void forget(struct wh_session *session, const struct wh_call_desc *call, const uint64_t *a)
{
    wh_client_forget_answers(session, call, a);
    if (call->number == WH_CUDA_cuKernelSetAttribute)
        wh_cuda_forget_functions((CUkernel)(uintptr_t)a[2]);
}

static void stream_ends(uint64_t handle)
{
    const struct wh_object *stream =
        wh_cuda_object((const void *)(uintptr_t)handle, WH_CUDA_TYPE_CUstream);
    if (wh_cuda_capturing())
        wh_cuda_capture_forget((CUstream)(uintptr_t)handle);
    if (stream)
        wh_cuda_observe_resource(WH_STREAM_ENDS, (CUcontext)(uintptr_t)stream->word,
                                 (CUstream)(uintptr_t)handle);
}

static uint64_t invoke(uint16_t number, uint64_t *a)
{
    const struct wh_call_desc *call = wh_cuda_call_desc(number);
    CUresult result = CUDA_SUCCESS;
    struct wh_session *session = prepare(number, &result);
    if (!session)
        return (uint64_t)(int64_t)result;
    if (number == WH_CUDA_cuStreamDestroy_v2)
        stream_ends(a[0]);
    if (call->flags & WH_CALL_RELEASE)
        return wh_client_release(session, call, a);
    if (call->flags & WH_CALL_REMEMBERED)
        return wh_client_remembered(session, call, a);
    result = call->flags & WH_CALL_POST ? post(session, call, a) : ask(session, call, a);
    if (number == WH_CUDA_cuStreamWaitEvent && wh_cuda_capturing() && result == CUDA_SUCCESS)
        wh_cuda_capture_joined((CUstream)(uintptr_t)a[0]);
    if (call->flags & WH_CALL_FORGETS)
        forget(session, call, a);
    return (uint64_t)(int64_t)result;
}

static uint64_t invoke_observed(uint16_t number, uint64_t *a)
{
    struct wh_cuda_work *work = wh_cuda_work_of(number, a);
    uint64_t result = invoke(number, a);
    wh_cuda_work_end(work, (CUresult)result);
    return result;
}

uint64_t wh_cuda_invoke(uint16_t number, uint64_t *a)
{
    return wh_cuda_observing() ? invoke_observed(number, a) : invoke(number, a);
}

CUresult wh_cuda_call_now(uint16_t number, uint64_t *a)
{
    CUresult result = CUDA_SUCCESS;
    struct wh_session *session = prepare(number, &result);
    return session ? ask(session, wh_cuda_call_desc(number), a) : result;
}

CUresult wh_cuda_post(uint16_t number, uint64_t *a)
{
    CUresult result = CUDA_SUCCESS;
    const struct wh_call_desc *call = wh_cuda_call_desc(number);
    struct wh_session *session = prepare(number, &result);
    if (!session)
        return result;
    result = post(session, call, a);
    if (call->flags & WH_CALL_FORGETS)
        forget(session, call, a);
    return result;
}

int32_t wh_cuda_unsupported(uint16_t number)
{
    static _Atomic bool said[WH_CUDA_NCALLS];
    if (!atomic_exchange(&said[number], true))
        wh_log("%s is not supported", wh_cuda_call_desc(number)->name);
    return wh_cuda_api.unsupported;
}

/* What a program through Wormhole cannot have; said once it is known that there is a server. */
int32_t wh_cuda_refused(uint16_t number, int32_t error)
{
    CUresult ready = wh_cuda_ready();
    (void)number;
    return ready == CUDA_SUCCESS ? error : (int32_t)ready;
}

/* Inside of a function named for the thread's own stream, the NULL stream is that. */
void wh_cuda_variant_enter(void)
{
    wh_cuda_thread()->per_thread++;
}

void wh_cuda_variant_leave(void)
{
    wh_cuda_thread()->per_thread--;
}

WH_EXPORT CUresult cuInit(unsigned int flags)
{
    uint64_t a[] = {flags};
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = (CUresult)wh_cuda_invoke(WH_CUDA_cuInit, a);
    if (result == CUDA_SUCCESS)
        atomic_store(&initialised, true);
    return result;
}

/* No newer than what is described here: libraries ask for a newer driver's functions otherwise. */
WH_EXPORT CUresult cuDriverGetVersion(int *version)
{
    const int described = 1000 * wh_cuda_api.major + 10 * wh_cuda_api.minor;
    CUresult result = wh_cuda_call_cuDriverGetVersion(version);
    if (result == CUDA_SUCCESS && version && *version > described)
        *version = described;
    return result;
}
