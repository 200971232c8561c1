/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts and which of them is current: that belongs to the program's threads, is asked more often
 * than anything else, and is answered here. The worker is told when a call follows.
 */
#include "shim/cuda/mirror.h"
#include "shim/cuda/observe.h"
#include "shim/cuda/shim.h"
#include "shim/cuda/storage.h"

#include "base/log.h"

#include <stdlib.h>

#define MOST_DEPTH 4096u

static struct {
    pthread_mutex_t lock;
    struct wh_session *session; /* what the rest is about */
    struct {
        struct wh_object *object;
        unsigned references;
        unsigned flags;
        bool active;
    } device[WH_MOST_DEVICES];
} primary = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the calling thread ---- */

static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static _Thread_local struct wh_cuda_thread *this_thread;

static void end_thread(void *argument)
{
    struct wh_cuda_thread *thread = argument;
    this_thread = NULL;
    if (thread->stream && thread->session == wh_cuda_session())
        cuStreamDestroy_v2((CUstream)thread->stream);
    if (this_thread) { /* made anew by the call above */
        free(this_thread->stack);
        free(this_thread);
        this_thread = NULL;
        pthread_setspecific(thread_key, NULL);
    }
    free(thread->stack);
    free(thread);
}

static void make_key(void)
{
    pthread_key_create(&thread_key, end_thread);
}

struct wh_cuda_thread *wh_cuda_thread(void)
{
    static struct wh_cuda_thread spare; /* memory is short: threads share one state */
    if (__builtin_expect(this_thread != NULL, 1))
        return this_thread;
    pthread_once(&thread_once, make_key);
    this_thread = calloc(1, sizeof(*this_thread));
    if (!this_thread)
        return &spare;
    pthread_setspecific(thread_key, this_thread);
    return this_thread;
}

/* A child of fork has a session of its own, in which no context exists yet. */
static struct wh_cuda_thread *thread_in(const struct wh_session *session)
{
    struct wh_cuda_thread *thread = wh_cuda_thread();
    if (thread->session != session) {
        thread->session = session;
        thread->depth = 0;
        thread->told =
            (const struct wh_object *)thread; /* nothing yet, not even that there is none */
        thread->stream = thread->stream_in = NULL;
    }
    return thread;
}

static struct wh_object *current_object(struct wh_cuda_thread *thread)
{
    return thread->depth ? thread->stack[thread->depth - 1] : NULL;
}

CUcontext wh_cuda_current(void)
{
    return (CUcontext)current_object(thread_in(wh_cuda_session()));
}

struct wh_cuda_context *wh_cuda_context_here(struct wh_session *session)
{
    struct wh_object *object = current_object(thread_in(session));
    return wh_object_check(wh_session_objects(session), object, WH_CUDA_TYPE_CUcontext)
               ? object->extra
               : NULL;
}

static bool push(struct wh_cuda_thread *thread, struct wh_object *context)
{
    if (thread->depth == thread->room) {
        unsigned room = thread->room ? 2 * thread->room : 4;
        struct wh_object **stack =
            room > MOST_DEPTH ? NULL : realloc(thread->stack, room * sizeof(*stack));
        if (!stack)
            return false;
        thread->stack = stack;
        thread->room = room;
    }
    thread->stack[thread->depth++] = context;
    return true;
}

void wh_cuda_tell_current(struct wh_session *session)
{
    struct wh_cuda_thread *thread = thread_in(session);
    struct wh_object *current = current_object(thread);
    if (__builtin_expect(thread->told == current, 1))
        return;
    uint64_t a[] = {(uintptr_t)current};
    thread->told = current;
    if ((CUresult)wh_client_post(session, wh_cuda_call_desc(WH_CUDA_wh_set_current), a) !=
        CUDA_SUCCESS) { /* destroyed meanwhile */
        a[0] = 0;
        wh_client_post(session, wh_cuda_call_desc(WH_CUDA_wh_set_current), a);
    }
}

struct wh_cuda_context *wh_cuda_context(CUcontext context)
{
    struct wh_object *object = wh_cuda_object(context, WH_CUDA_TYPE_CUcontext);
    return object ? object->extra : NULL;
}

struct wh_object *wh_cuda_thread_stream(struct wh_session *session)
{
    struct wh_cuda_thread *thread = thread_in(session);
    struct wh_object *current = current_object(thread);
    unsigned inside = thread->per_thread;
    CUstream stream = NULL;
    if (!current || (thread->stream && thread->stream_in == current))
        return current ? thread->stream : NULL;
    thread->per_thread = 0;
    if (cuStreamCreate(&stream, CU_STREAM_DEFAULT) != CUDA_SUCCESS)
        stream = NULL;
    thread->per_thread = inside;
    thread->stream = (struct wh_object *)stream;
    thread->stream_in = current;
    return thread->stream;
}

/* ---- the stack ---- */

WH_EXPORT CUresult cuCtxGetCurrent(CUcontext *context)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    *context = wh_cuda_current();
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuCtxSetCurrent(CUcontext context)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    struct wh_cuda_thread *thread = thread_in(wh_cuda_session());
    if (context && !wh_cuda_context(context))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!context) {
        thread->depth -= thread->depth > 0;
        return CUDA_SUCCESS;
    }
    if (thread->depth == 0)
        return push(thread, (struct wh_object *)context) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    thread->stack[thread->depth - 1] = (struct wh_object *)context;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuCtxPushCurrent_v2(CUcontext context)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!wh_cuda_context(context))
        return CUDA_ERROR_INVALID_CONTEXT;
    return push(thread_in(wh_cuda_session()), (struct wh_object *)context)
               ? CUDA_SUCCESS
               : CUDA_ERROR_OUT_OF_MEMORY;
}

WH_EXPORT CUresult cuCtxPopCurrent_v2(CUcontext *context)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    struct wh_cuda_thread *thread = thread_in(wh_cuda_session());
    if (thread->depth == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    struct wh_object *popped = thread->stack[--thread->depth];
    if (context)
        *context = (CUcontext)popped;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuCtxGetDevice(CUdevice *device)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    const struct wh_cuda_context *context = wh_cuda_context(wh_cuda_current());
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    *device = context->device;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext which)
{
    const struct wh_cuda_context *context = wh_cuda_context(which ? which : wh_cuda_current());
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    *device = context->device;
    return CUDA_SUCCESS;
}

/* ---- contexts of the program's own ---- */

static CUresult describe(CUcontext context, CUdevice device, bool is_primary)
{
    struct wh_cuda_context *state = calloc(1, sizeof(*state));
    if (!state)
        return CUDA_ERROR_OUT_OF_MEMORY;
    static _Atomic uint32_t contexts;
    state->number = atomic_fetch_add_explicit(&contexts, 1, memory_order_relaxed) + 1;
    state->device = device;
    state->primary = is_primary;
    ((struct wh_object *)context)->extra = state;
    return CUDA_SUCCESS;
}

/* Programs that want to sleep, or to let others run, while they wait say so with a context's flags;
 * what was said last holds for the process. */
static void heed_schedule(unsigned flags)
{
    struct wh_channel *channel = wh_session_channel(wh_cuda_session());
    bool spins = (flags & (CU_CTX_SCHED_YIELD | CU_CTX_SCHED_BLOCKING_SYNC)) == 0;
    channel->ops->patience(channel, spins ? WH_CUDA_PATIENCE_NS : 0);
}

WH_EXPORT CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device)
{
    CUcontext made = NULL;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_context_create(flags, device, &made);
    if (result == CUDA_SUCCESS) {
        heed_schedule(flags);
        result = describe(made, device, false);
    }
    if (result == CUDA_SUCCESS && !push(thread_in(wh_cuda_session()), (struct wh_object *)made))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) {
        *context = made;
        wh_cuda_observe_resource(WH_CONTEXT_BEGINS, made, NULL);
    }
    return result;
}

WH_EXPORT CUresult cuCtxCreate_v3(CUcontext *context, CUexecAffinityParam *affinity, int n,
                                  unsigned int flags, CUdevice device)
{
    (void)affinity;
    return n ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : cuCtxCreate_v2(context, flags, device);
}

WH_EXPORT CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *params, unsigned int flags,
                                  CUdevice device)
{
    if (params && (params->execAffinityParams || params->cigParams))
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuCtxCreate_v2(context, flags, device);
}

WH_EXPORT CUresult cuCtxDestroy_v2(CUcontext context)
{
    const struct wh_cuda_context *state = wh_cuda_context(context);
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!state || state->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    wh_cuda_observe_resource(WH_CONTEXT_ENDS, context, NULL);
    wh_cuda_observe_end_context(context);
    wh_cuda_storage_end(context);
    struct wh_cuda_thread *thread = thread_in(wh_cuda_session());
    if (current_object(thread) == (struct wh_object *)context)
        thread->depth--;
    wh_cuda_tell_current(wh_cuda_session());
    struct wh_cuda_ranges *gone = wh_cuda_take_memory(context);
    wh_cuda_mirrors_end(context, false);
    CUresult result = wh_cuda_call_context_destroy(context);
    wh_cuda_end_memory(context, gone);
    wh_cuda_recovered();
    wh_object_unpin((struct wh_object *)context);
    return result;
}

WH_EXPORT CUresult cuCtxSynchronize_v2(CUcontext context)
{
    if (context && !wh_cuda_context(context))
        return wh_cuda_ready() == CUDA_SUCCESS ? CUDA_ERROR_INVALID_CONTEXT : wh_cuda_ready();
    return !context || context == wh_cuda_current() ? cuCtxSynchronize()
                                                    : wh_cuda_call_context_synchronize(context);
}

/* ---- primary contexts ---- */

/* In a child of fork, what is known of the parent's contexts is void; the lock is held. */
static void enter_session(void)
{
    struct wh_session *session = wh_cuda_session();
    if (primary.session == session)
        return;
    memset(primary.device, 0, sizeof(primary.device));
    primary.session = session;
}

/* The device's primary context has one handle for the session, whether it is active or not: cudart
 * makes it current before anybody retained it. The lock is held. */
static CUresult name_locked(CUdevice device)
{
    CUcontext made = NULL;
    int count = 0;
    enter_session();
    CUresult result = cuDeviceGetCount(&count);
    if (result != CUDA_SUCCESS)
        return result;
    if (device < 0 || device >= count || device >= WH_MOST_DEVICES)
        return CUDA_ERROR_INVALID_DEVICE;
    if (primary.device[device].object)
        return CUDA_SUCCESS;
    result = wh_cuda_call_primary_name(device, &made);
    if (result == CUDA_SUCCESS)
        result = describe(made, device, true);
    if (result == CUDA_SUCCESS)
        primary.device[device].object = (struct wh_object *)made;
    return result;
}

/* With *begins: the context is there from now on. */
static CUresult retain_locked(CUdevice device, bool *begins)
{
    CUresult result = name_locked(device);
    if (result == CUDA_SUCCESS && !primary.device[device].active) {
        result = wh_cuda_call_primary_retain(device, (CUcontext)primary.device[device].object);
        *begins = primary.device[device].active = result == CUDA_SUCCESS;
    }
    if (result == CUDA_SUCCESS)
        primary.device[device].references++;
    return result;
}

WH_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    bool begins = false;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&primary.lock);
    result = retain_locked(device, &begins);
    if (result == CUDA_SUCCESS)
        *context = (CUcontext)primary.device[device].object;
    pthread_mutex_unlock(&primary.lock);
    if (begins) {
        wh_cuda_mirrors_begin(*context);
        wh_cuda_observe_resource(WH_CONTEXT_BEGINS, *context, NULL);
    }
    return result;
}

CUcontext wh_cuda_primary_context(CUdevice device)
{
    CUcontext context = NULL;
    if (wh_cuda_ready() != CUDA_SUCCESS)
        return NULL;
    pthread_mutex_lock(&primary.lock);
    if (name_locked(device) == CUDA_SUCCESS)
        context = (CUcontext)primary.device[device].object;
    pthread_mutex_unlock(&primary.lock);
    return context;
}

/* Whether this device has a primary context object here; the lock is held. */
static bool has_primary(CUdevice device)
{
    return device >= 0 && device < WH_MOST_DEVICES && primary.session == wh_cuda_session() &&
           primary.device[device].object;
}

/* Whether the context is about to end with its last reference, or by a reset; takes the reference.
 */
static CUresult begin_end(CUdevice device, bool reset, bool *ends)
{
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&primary.lock);
    bool there = has_primary(device);
    *ends = there && primary.device[device].active;
    if (!reset && (!there || primary.device[device].references == 0))
        result = CUDA_ERROR_INVALID_CONTEXT;
    else if (!reset)
        *ends = --primary.device[device].references == 0 && *ends;
    pthread_mutex_unlock(&primary.lock);
    return result;
}

/* Ends what lives in the primary context. Destructors are the program's: they run without a lock.
 */
static CUresult end_primary(CUdevice device, bool reset)
{
    bool ends;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    result = begin_end(device, reset, &ends);
    if (result != CUDA_SUCCESS || !ends)
        return result;
    CUcontext context = (CUcontext)primary.device[device].object;
    wh_cuda_observe_resource(WH_CONTEXT_ENDS, context, NULL);
    wh_cuda_observe_end_context(context);
    wh_cuda_storage_end(context);
    wh_object_forget_answers((struct wh_object *)context);
    pthread_mutex_lock(&primary.lock);
    if (!primary.device[device].active || (!reset && primary.device[device].references > 0)) {
        pthread_mutex_unlock(&primary.lock); /* another thread ended it, or took it up again */
        return CUDA_SUCCESS;
    }
    struct wh_cuda_ranges *gone = wh_cuda_take_memory(context);
    wh_cuda_mirrors_end(context, true);
    result = reset ? wh_cuda_call_primary_reset(device, context)
                   : wh_cuda_call_primary_release(device, context);
    wh_cuda_end_memory(context, gone);
    wh_cuda_recovered();
    primary.device[device].active = false;
    pthread_mutex_unlock(&primary.lock);
    return result;
}

WH_EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    return end_primary(device, false);
}

WH_EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
    return end_primary(device, true);
}

WH_EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int *flags, int *active)
{
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!flags || !active)
        return CUDA_ERROR_INVALID_VALUE;
    if (device < 0 || device >= WH_MOST_DEVICES)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&primary.lock);
    *flags = primary.device[device].flags;
    *active = has_primary(device) && primary.device[device].active;
    pthread_mutex_unlock(&primary.lock);
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags)
{
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    result = wh_cuda_call_cuDevicePrimaryCtxSetFlags_v2(device, flags);
    if (result == CUDA_SUCCESS && device >= 0 && device < WH_MOST_DEVICES) {
        pthread_mutex_lock(&primary.lock);
        enter_session();
        primary.device[device].flags = flags;
        pthread_mutex_unlock(&primary.lock);
        heed_schedule(flags);
    }
    return result;
}
