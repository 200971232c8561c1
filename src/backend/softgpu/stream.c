/* SPDX-License-Identifier: Apache-2.0 */
/* The stream calls: life, questions, callbacks, attributes. How streams run is in queue.c. */
#include "backend/softgpu/graph.h"

#include <string.h>

/* Priorities, as the larger GPUs have them; smaller is more urgent. */
#define LEAST_PRIORITY    0
#define GREATEST_PRIORITY (-5)

/* ---- handles ---- */

/* The context's own streams have no handle of their own: NULL, 1 and 2. */
static struct soft_stream *own_stream(struct soft_context *context, bool thread)
{
    soft_queue_lock();
    struct soft_stream *stream = thread ? context->thread : context->legacy;
    if (stream)
        soft_object_retain(stream);
    soft_queue_unlock();
    return stream;
}

CUresult soft_enter_stream(CUstream handle, struct soft_stream **stream)
{
    struct soft_context *context;
    *stream = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
        *stream = own_stream(context, handle == CU_STREAM_PER_THREAD);
        return *stream ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
    }
    struct soft_stream *found = soft_object_get(handle, SOFT_STREAM);
    if (!found)
        return CUDA_ERROR_INVALID_HANDLE;
    result = soft_context_state(found->object.context);
    if (result == CUDA_SUCCESS)
        *stream = found;
    else
        soft_object_release(found);
    return result;
}

/* ---- life ---- */

SOFT_API CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (least)
        *least = LEAST_PRIORITY;
    if (greatest)
        *greatest = GREATEST_PRIORITY;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamCreateWithPriority(CUstream *handle, unsigned flags, int priority)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || (flags & ~(unsigned)CU_STREAM_NON_BLOCKING))
        return CUDA_ERROR_INVALID_VALUE;
    if (priority > LEAST_PRIORITY)
        priority = LEAST_PRIORITY;
    if (priority < GREATEST_PRIORITY)
        priority = GREATEST_PRIORITY;
    struct soft_stream *stream = soft_stream_new(context, flags, priority);
    if (!stream)
        return CUDA_ERROR_OUT_OF_MEMORY;
    soft_object_list(stream);
    *handle = (CUstream)stream;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamCreate(CUstream *handle, unsigned flags)
{
    return cuStreamCreateWithPriority(handle, flags, LEAST_PRIORITY);
}

/* Work that is in the stream goes on; the object goes when it is done. */
SOFT_API CUresult cuStreamDestroy_v2(CUstream handle)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    soft_capture_drop(stream);
    return soft_object_unlist(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
SOFT_ALIAS(cuStreamDestroy, cuStreamDestroy_v2);

/* ---- waiting ---- */

SOFT_API CUresult cuStreamQuery(CUstream handle)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    result = soft_capture_forbids(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!soft_stream_done(stream))
        return CUDA_ERROR_NOT_READY;
    return soft_context_state(stream->object.context);
}

SOFT_API CUresult cuStreamSynchronize(CUstream handle)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    result = soft_capture_forbids(stream);
    if (result != CUDA_SUCCESS)
        return result;
    soft_stream_wait(stream);
    return soft_context_state(stream->object.context);
}

/* ---- questions ---- */

SOFT_API CUresult cuStreamGetPriority(CUstream handle, int *priority)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_needs(soft_enter_stream(handle, &stream), priority);
    if (result == CUDA_SUCCESS)
        *priority = stream->priority;
    return result;
}

SOFT_API CUresult cuStreamGetFlags(CUstream handle, unsigned *flags)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_needs(soft_enter_stream(handle, &stream), flags);
    if (result == CUDA_SUCCESS)
        *flags = stream->flags;
    return result;
}

SOFT_API CUresult cuStreamGetId(CUstream handle, unsigned long long *id)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_needs(soft_enter_stream(handle, &stream), id);
    if (result == CUDA_SUCCESS)
        *id = stream->id;
    return result;
}

SOFT_API CUresult cuStreamGetCtx(CUstream handle, CUcontext *context)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_needs(soft_enter_stream(handle, &stream), context);
    if (result == CUDA_SUCCESS)
        *context = (CUcontext)stream->object.context;
    return result;
}

SOFT_API CUresult cuStreamGetCtx_v2(CUstream handle, CUcontext *context, CUgreenCtx *green)
{
    CUresult result = cuStreamGetCtx(handle, context);
    if (result == CUDA_SUCCESS && green)
        *green = NULL;
    return result;
}

SOFT_API CUresult cuStreamGetDevice(CUstream handle, CUdevice *device)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_needs(soft_enter_stream(handle, &stream), device);
    if (result == CUDA_SUCCESS)
        *device = stream->object.context->device->ordinal;
    return result;
}

/* ---- the program's functions ---- */

struct call_command {
    struct soft_command command;
    CUstream handle;
    CUstreamCallback callback; /* or NULL */
    CUhostFn function;
    void *data;
};

static CUresult run_call(struct soft_stream *stream, struct soft_command *command)
{
    struct call_command *call = (struct call_command *)command;
    soft_enter_callback(true);
    if (call->callback)
        call->callback(call->handle, (CUresult)atomic_load(&stream->object.context->fault),
                       call->data);
    else
        call->function(call->data);
    soft_enter_callback(false);
    return CUDA_SUCCESS;
}

static CUresult submit_call(CUstream handle, CUstreamCallback callback, CUhostFn function,
                            void *data)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!callback && !function)
        return CUDA_ERROR_INVALID_VALUE;
    struct call_command *call = soft_command_new(sizeof(*call), run_call);
    if (!call)
        return CUDA_ERROR_OUT_OF_MEMORY;
    call->handle = handle;
    call->callback = callback;
    call->function = function;
    call->data = data;
    call->command.always = callback != NULL;
    call->command.node = function ? 1 + CU_GRAPH_NODE_TYPE_HOST : 0;
    return soft_submit(stream, &call->command, NULL);
}

CUresult soft_call_make(const CUDA_HOST_NODE_PARAMS *params, struct soft_command **command)
{
    if (!params->fn)
        return CUDA_ERROR_INVALID_VALUE;
    struct call_command *call = soft_command_new(sizeof(*call), run_call);
    if (!call)
        return CUDA_ERROR_OUT_OF_MEMORY;
    call->function = params->fn;
    call->data = params->userData;
    *command = &call->command;
    return CUDA_SUCCESS;
}

void soft_call_describe(const struct soft_command *command, CUDA_HOST_NODE_PARAMS *params)
{
    const struct call_command *call = (const struct call_command *)command;
    *params = (CUDA_HOST_NODE_PARAMS){.fn = call->function, .userData = call->data};
}

SOFT_API CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void *data,
                                      unsigned flags)
{
    if (flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    return submit_call(handle, callback, NULL, data);
}

SOFT_API CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void *data)
{
    return submit_call(handle, NULL, function, data);
}

/* ---- attributes: kept, of no effect here ---- */

static CUlaunchAttributeValue *attribute(struct soft_stream *stream, int which)
{
    switch (which) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        return &stream->attributes[0];
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
        return &stream->attributes[1];
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
        return &stream->attributes[2];
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
        return &stream->attributes[3];
    default:
        return NULL;
    }
}

SOFT_API CUresult cuStreamGetAttribute(CUstream handle, CUstreamAttrID which,
                                       CUstreamAttrValue *value)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    if (which == CU_LAUNCH_ATTRIBUTE_PRIORITY) {
        value->priority = stream->priority;
        return CUDA_SUCCESS;
    }
    CUlaunchAttributeValue *kept = attribute(stream, (int)which);
    if (!kept)
        return CUDA_ERROR_INVALID_VALUE;
    soft_queue_lock();
    memcpy(value, kept, sizeof(*value));
    soft_queue_unlock();
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuStreamSetAttribute(CUstream handle, CUstreamAttrID which,
                                       const CUstreamAttrValue *value)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    CUlaunchAttributeValue *kept = attribute(stream, (int)which);
    if (!value || (!kept && which != CU_LAUNCH_ATTRIBUTE_PRIORITY))
        return CUDA_ERROR_INVALID_VALUE;
    soft_queue_lock();
    if (kept)
        memcpy(kept, value, sizeof(*kept));
    else if (value->priority <= LEAST_PRIORITY && value->priority >= GREATEST_PRIORITY)
        stream->priority = value->priority;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    soft_queue_unlock();
    return result;
}

SOFT_API CUresult cuStreamCopyAttributes(CUstream to, CUstream from)
{
    SOFT_HOLD struct soft_stream *destination, *source;
    CUresult result = soft_enter_stream(from, &source);
    CUresult other = soft_enter_stream(to, &destination);
    if (result != CUDA_SUCCESS || other != CUDA_SUCCESS)
        return result != CUDA_SUCCESS ? result : other;
    soft_queue_lock();
    memcpy(destination->attributes, source->attributes, sizeof(destination->attributes));
    soft_queue_unlock();
    return CUDA_SUCCESS;
}
