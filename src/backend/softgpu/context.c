/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts: made, destroyed, asked about. The stack of current ones is in current.c. */
#include "backend/softgpu/softgpu.h"

#include "backend/softgpu/graph.h"
#include "backend/softgpu/library.h"
#include "backend/softgpu/memory.h"

/* What cuCtxGetApiVersion says of every context made since CUDA 3.2. */
#define CONTEXT_VERSION 3020

/* Guards the starting and stopping of contexts. */
static pthread_mutex_t lifecycle = PTHREAD_MUTEX_INITIALIZER;

/* ---- life ---- */

static struct soft_stream *start_stream(struct soft_context *context, bool legacy)
{
    struct soft_stream *stream = soft_stream_new(context, CU_STREAM_DEFAULT, 0);
    if (stream)
        stream->legacy = legacy;
    return stream;
}

struct soft_context *soft_context_make(struct soft_device *device)
{
    struct soft_context *context = soft_object_new(SOFT_CONTEXT, sizeof(*context), NULL, NULL);
    if (!context)
        return NULL;
    context->device = device;
    context->version = CONTEXT_VERSION;
    soft_memory_bind(context);
    soft_object_list(context);
    return context;
}

/* Gives a context its streams and limits, and lets calls in. */
static CUresult start_context(struct soft_context *context)
{
    static _Atomic uint64_t id;
    if (!soft_queue_start())
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct soft_stream *legacy = start_stream(context, true),
                       *thread = start_stream(context, false);
    if (!legacy || !thread) {
        soft_object_release(legacy);
        soft_object_release(thread);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    soft_limits_reset(context);
    atomic_store(&context->cache, CU_FUNC_CACHE_PREFER_NONE);
    atomic_store(&context->peers, 0);
    atomic_store(&context->fault, CUDA_SUCCESS);
    atomic_store(&context->cancel, false);
    context->id = atomic_fetch_add(&id, 1) + 1;
    soft_queue_lock();
    context->legacy = legacy;
    context->thread = thread;
    atomic_store(&context->alive, true);
    soft_meter_contexts(context->device, 1);
    soft_queue_unlock();
    return CUDA_SUCCESS;
}

/* Waits for all work, then takes back everything that belongs to the context. */
static void stop_context(struct soft_context *context)
{
    soft_queue_lock();
    atomic_store(&context->alive, false);
    soft_meter_contexts(context->device, -1);
    soft_queue_unlock();
    soft_context_wait(context);
    soft_capture_end_all(context);
    static const enum soft_kind kinds[] = {SOFT_LINK,    SOFT_EVENT,  SOFT_STREAM,
                                           SOFT_TEXTURE, SOFT_MIPMAP, SOFT_ARRAY};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        soft_object_unlist_all(kinds[i], context);
    soft_library_forget(context);
    soft_module_forget(context);
    soft_memory_release_all(context);
    soft_queue_lock();
    struct soft_stream *legacy = context->legacy, *thread = context->thread;
    context->legacy = context->thread = NULL;
    soft_queue_unlock();
    soft_object_release(legacy);
    soft_object_release(thread);
}

static bool flags_good(unsigned flags)
{
    unsigned schedule = flags & CU_CTX_SCHED_MASK;
    return (flags & ~(unsigned)CU_CTX_FLAGS_MASK) == 0 &&
           (schedule == CU_CTX_SCHED_AUTO || schedule == CU_CTX_SCHED_SPIN ||
            schedule == CU_CTX_SCHED_YIELD || schedule == CU_CTX_SCHED_BLOCKING_SYNC);
}

static CUresult create(CUcontext *handle, unsigned flags, CUdevice number)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    struct soft_device *device = soft_device_get(number);
    if (!handle || !flags_good(flags))
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    struct soft_context *context = soft_context_make(device);
    if (!context)
        return CUDA_ERROR_OUT_OF_MEMORY;
    context->flags = flags;
    CUresult result = start_context(context);
    if (result == CUDA_SUCCESS && !soft_current_push(context)) {
        stop_context(context);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result != CUDA_SUCCESS) {
        soft_object_unlist(context);
        return result;
    }
    *handle = (CUcontext)context;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device)
{
    return create(context, flags, device);
}
SOFT_ALIAS(cuCtxCreate, cuCtxCreate_v2);

SOFT_API CUresult cuCtxCreate_v3(CUcontext *context, CUexecAffinityParam *affinity, int naffinity,
                                 unsigned flags, CUdevice device)
{
    if (naffinity < 0 || (naffinity > 0) != (affinity != NULL))
        return CUDA_ERROR_INVALID_VALUE;
    return naffinity ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : create(context, flags, device);
}

SOFT_API CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned flags,
                                 CUdevice device)
{
    if (parameters && parameters->cigParams)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (parameters)
        return cuCtxCreate_v3(context, parameters->execAffinityParams,
                              parameters->numExecAffinityParams, flags, device);
    return create(context, flags, device);
}

SOFT_API CUresult cuCtxDestroy_v2(CUcontext handle)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_HOLD struct soft_context *context = soft_object_get(handle, SOFT_CONTEXT);
    if (!context || context->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!soft_object_unlist(context))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (soft_current() == context)
        soft_object_release(soft_current_pop());
    pthread_mutex_lock(&lifecycle);
    stop_context(context);
    pthread_mutex_unlock(&lifecycle);
    return CUDA_SUCCESS;
}
SOFT_ALIAS(cuCtxDestroy, cuCtxDestroy_v2);

/* ---- the beginning of every call ---- */

CUresult soft_context_state(struct soft_context *context)
{
    if (!atomic_load(&context->alive))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    return (CUresult)atomic_load(&context->fault);
}

CUresult soft_enter(struct soft_context **context)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    *context = soft_current();
    return *context ? soft_context_state(*context) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult soft_enter_context(CUcontext handle, struct soft_context **context)
{
    CUresult ready = soft_ready();
    *context = NULL;
    if (ready != CUDA_SUCCESS)
        return ready;
    if (handle)
        *context = soft_object_get(handle, SOFT_CONTEXT);
    else if (soft_current())
        *context = soft_object_retain(soft_current());
    return *context ? soft_context_state(*context) : CUDA_ERROR_INVALID_CONTEXT;
}

/* ---- primary contexts ---- */

/* Begins a call about a device. */
static CUresult find_device(CUdevice number, struct soft_device **device)
{
    CUresult ready = soft_ready();
    *device = ready == CUDA_SUCCESS ? soft_device_get(number) : NULL;
    return ready == CUDA_SUCCESS && !*device ? CUDA_ERROR_INVALID_DEVICE : ready;
}

/* A reset ends a primary context but keeps its references: activity and references go apart. */
static CUresult retain_primary(struct soft_device *device)
{
    if (!atomic_load(&device->primary->alive)) {
        atomic_store(&device->primary->flags, device->primary_flags);
        CUresult result = start_context(device->primary);
        if (result != CUDA_SUCCESS)
            return result;
    }
    device->primary_references++;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice number)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    struct soft_device *device = soft_device_get(number);
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&lifecycle);
    CUresult result = retain_primary(device);
    pthread_mutex_unlock(&lifecycle);
    if (result == CUDA_SUCCESS)
        *context = (CUcontext)device->primary;
    return result;
}

static void end_primary(struct soft_device *device)
{
    if (atomic_load(&device->primary->alive))
        stop_context(device->primary);
}

SOFT_API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice number)
{
    struct soft_device *device;
    CUresult found = find_device(number, &device);
    if (found != CUDA_SUCCESS)
        return found;
    pthread_mutex_lock(&lifecycle);
    bool held = device->primary_references > 0;
    if (held && --device->primary_references == 0)
        end_primary(device);
    pthread_mutex_unlock(&lifecycle);
    return held ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
SOFT_ALIAS(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2);

SOFT_API CUresult cuDevicePrimaryCtxReset_v2(CUdevice number)
{
    struct soft_device *device;
    CUresult found = find_device(number, &device);
    if (found != CUDA_SUCCESS)
        return found;
    pthread_mutex_lock(&lifecycle);
    end_primary(device);
    pthread_mutex_unlock(&lifecycle);
    return CUDA_SUCCESS;
}
SOFT_ALIAS(cuDevicePrimaryCtxReset, cuDevicePrimaryCtxReset_v2);

SOFT_API CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice number, unsigned flags)
{
    struct soft_device *device;
    CUresult found = find_device(number, &device);
    if (found != CUDA_SUCCESS)
        return found;
    if (!flags_good(flags))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lifecycle);
    device->primary_flags = flags;
    device->primary->flags = flags;
    pthread_mutex_unlock(&lifecycle);
    return CUDA_SUCCESS;
}
SOFT_ALIAS(cuDevicePrimaryCtxSetFlags, cuDevicePrimaryCtxSetFlags_v2);

SOFT_API CUresult cuDevicePrimaryCtxGetState(CUdevice number, unsigned *flags, int *active)
{
    struct soft_device *device;
    CUresult found = find_device(number, &device);
    if (found != CUDA_SUCCESS)
        return found;
    if (!flags || !active)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lifecycle);
    *flags = device->primary_flags;
    *active = atomic_load(&device->primary->alive);
    pthread_mutex_unlock(&lifecycle);
    return CUDA_SUCCESS;
}

/* ---- questions ---- */

/* For calls that may ask about a context that has failed. */
static CUresult find_context(CUcontext handle, struct soft_context **context)
{
    CUresult result = soft_enter_context(handle, context);
    bool there = *context && atomic_load(&(*context)->alive);
    return there ? CUDA_SUCCESS : result;
}

SOFT_API CUresult cuCtxGetFlags(unsigned *flags)
{
    SOFT_HOLD struct soft_context *context;
    CUresult result = soft_needs(find_context(NULL, &context), flags);
    if (result == CUDA_SUCCESS)
        *flags = context->flags | CU_CTX_MAP_HOST; /* always so, with unified addresses */
    return result;
}

SOFT_API CUresult cuCtxSetFlags(unsigned flags)
{
    SOFT_HOLD struct soft_context *context;
    CUresult result = find_context(NULL, &context);
    if (result == CUDA_SUCCESS && !flags_good(flags))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        context->flags = flags;
    return result;
}

SOFT_API CUresult cuCtxGetId(CUcontext handle, unsigned long long *id)
{
    SOFT_HOLD struct soft_context *context;
    CUresult result = soft_needs(find_context(handle, &context), id);
    if (result == CUDA_SUCCESS)
        *id = context->id;
    return result;
}

SOFT_API CUresult cuCtxGetApiVersion(CUcontext handle, unsigned *version)
{
    SOFT_HOLD struct soft_context *context;
    CUresult result = soft_enter_context(handle, &context);
    if (!context) /* any other will do, even one that is not active */
        return result;
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = context->version;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext handle)
{
    SOFT_HOLD struct soft_context *context;
    CUresult result = find_context(handle, &context);
    if (result == CUDA_ERROR_CONTEXT_IS_DESTROYED) /* what the hardware's driver says here */
        result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS && !device)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *device = context->device->ordinal;
    return result;
}

SOFT_API CUresult cuCtxGetDevice(CUdevice *device)
{
    return cuCtxGetDevice_v2(device, NULL);
}

SOFT_API CUresult cuCtxGetExecAffinity(CUexecAffinityParam *affinity, CUexecAffinityType type)
{
    SOFT_HOLD struct soft_context *context;
    CUresult result = find_context(NULL, &context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!affinity || (unsigned)type >= CU_EXEC_AFFINITY_TYPE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
}

SOFT_API CUresult cuCtxSynchronize_v2(CUcontext handle)
{
    SOFT_HOLD struct soft_context *context;
    CUresult result = soft_enter_context(handle, &context);
    if (result != CUDA_SUCCESS)
        return result;
    result = soft_capture_forbids_context(context);
    if (result != CUDA_SUCCESS)
        return result;
    soft_context_wait(context);
    return soft_context_state(context);
}

SOFT_API CUresult cuCtxSynchronize(void)
{
    return cuCtxSynchronize_v2(NULL);
}
