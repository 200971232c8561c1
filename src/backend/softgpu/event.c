/* SPDX-License-Identifier: Apache-2.0 */
/* Events: a point in a stream, and the time when the stream came to it. */
#include "backend/softgpu/queue.h"

#include "base/util.h"

struct soft_event {
    struct soft_object object;
    unsigned flags;
    /* Guarded by the queues' lock. */
    bool recorded;
    struct soft_mark mark; /* of the last record */
    uint64_t time;         /* nanoseconds; of the last record that was reached */
};

struct record_command {
    struct soft_command command;
    struct soft_event *event; /* a reference */
};

/* ---- life ---- */

static void destroy_event(void *object)
{
    struct soft_event *event = object;
    soft_object_release(event->mark.stream);
}

SOFT_API CUresult cuEventCreate(CUevent *handle, unsigned flags)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    const unsigned known = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;
    if (!handle || (flags & ~known) ||
        ((flags & CU_EVENT_INTERPROCESS) && !(flags & CU_EVENT_DISABLE_TIMING)))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_EVENT_INTERPROCESS)
        return CUDA_ERROR_NOT_SUPPORTED;
    struct soft_event *event = soft_object_new(SOFT_EVENT, sizeof(*event), context, destroy_event);
    if (!event)
        return CUDA_ERROR_OUT_OF_MEMORY;
    event->flags = flags;
    soft_object_list(event);
    *handle = (CUevent)event;
    return CUDA_SUCCESS;
}

CUresult soft_event_find(CUevent handle, struct soft_event **event)
{
    *event = NULL;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_HOLD struct soft_event *found = soft_object_get(handle, SOFT_EVENT);
    if (!found)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = soft_context_state(found->object.context);
    if (result == CUDA_SUCCESS)
        *event = soft_object_retain(found);
    return result;
}

bool soft_event_untimed(const struct soft_event *event)
{
    return event->flags & CU_EVENT_DISABLE_TIMING;
}

SOFT_API CUresult cuEventDestroy_v2(CUevent handle)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    return soft_object_unlist(event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
SOFT_ALIAS(cuEventDestroy, cuEventDestroy_v2);

/* ---- recording ---- */

static CUresult run_record(struct soft_stream *stream, struct soft_command *command)
{
    (void)stream;
    struct soft_event *event = ((struct record_command *)command)->event;
    uint64_t now = wh_now_ns();
    soft_queue_lock();
    if (event->mark.number == command->number) /* not recorded anew since */
        event->time = now;
    soft_queue_unlock();
    return CUDA_SUCCESS;
}

static void discard_record(struct soft_command *command)
{
    soft_object_release(((struct record_command *)command)->event);
}

/* Lock held. Gives the stream of the earlier record, whose reference is the caller's now. */
static struct soft_stream *set_mark(struct soft_event *event, struct soft_mark mark)
{
    struct soft_stream *before = event->mark.stream;
    if (mark.stream)
        soft_object_retain(mark.stream);
    else
        event->time = wh_now_ns();
    event->mark = mark;
    event->recorded = true;
    return before;
}

CUresult soft_event_record(struct soft_event *event, struct soft_stream *stream)
{
    struct record_command *record = soft_command_new(sizeof(*record), run_record);
    if (!record)
        return CUDA_ERROR_OUT_OF_MEMORY;
    record->event = soft_object_retain(event);
    record->command.discard = discard_record;
    SOFT_HOLD struct soft_stream *before = NULL;
    CUresult result = CUDA_SUCCESS;
    soft_queue_lock();
    bool now = soft_stream_free_locked(stream);
    if (!now)
        result = soft_submit_locked(stream, &record->command);
    if (result == CUDA_SUCCESS)
        before = set_mark(event, now ? (struct soft_mark){NULL, 0}
                                     : (struct soft_mark){stream, stream->last});
    soft_queue_unlock();
    if (now || result != CUDA_SUCCESS)
        soft_command_free(&record->command);
    return result;
}

SOFT_API CUresult cuEventRecordWithFlags(CUevent handle, CUstream stream_handle, unsigned flags)
{
    SOFT_HOLD struct soft_stream *stream;
    SOFT_HOLD struct soft_event *event = NULL;
    CUresult result = soft_enter_stream(stream_handle, &stream);
    if (result == CUDA_SUCCESS)
        result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    if (flags != CU_EVENT_RECORD_DEFAULT) /* "external" is for capture */
        return CUDA_ERROR_INVALID_VALUE;
    if (event->object.context != stream->object.context)
        return CUDA_ERROR_INVALID_HANDLE;
    return soft_event_record(event, stream);
}

SOFT_API CUresult cuEventRecord(CUevent event, CUstream stream)
{
    return cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_DEFAULT);
}

/* ---- waiting ---- */

static CUresult run_nothing(struct soft_stream *stream, struct soft_command *command)
{
    (void)stream, (void)command;
    return CUDA_SUCCESS;
}

/* The stream waits for the event's record as it is now; it may be of another context or device. */
SOFT_API CUresult cuStreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned flags)
{
    SOFT_HOLD struct soft_stream *stream;
    SOFT_HOLD struct soft_event *event = NULL;
    CUresult result = soft_enter_stream(stream_handle, &stream);
    if (result == CUDA_SUCCESS)
        result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    if (flags != CU_EVENT_WAIT_DEFAULT)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_command *barrier = soft_command_new(sizeof(*barrier), run_nothing);
    if (!barrier)
        return CUDA_ERROR_OUT_OF_MEMORY;
    soft_queue_lock();
    bool wait = !soft_mark_reached(&event->mark);
    if (wait)
        result = soft_command_need(barrier, &event->mark) ? soft_submit_locked(stream, barrier)
                                                          : CUDA_ERROR_OUT_OF_MEMORY;
    soft_queue_unlock();
    if (!wait || result != CUDA_SUCCESS)
        soft_command_free(barrier);
    return result;
}

SOFT_API CUresult cuEventQuery(CUevent handle)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    soft_queue_lock();
    bool reached = soft_mark_reached(&event->mark);
    soft_queue_unlock();
    return reached ? soft_context_state(event->object.context) : CUDA_ERROR_NOT_READY;
}

SOFT_API CUresult cuEventSynchronize(CUevent handle)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    soft_queue_lock();
    struct soft_mark mark = event->mark;
    if (mark.stream)
        soft_object_retain(mark.stream);
    soft_queue_unlock();
    soft_mark_wait(&mark);
    soft_object_release(mark.stream);
    return soft_context_state(event->object.context);
}

/* ---- time ---- */

static CUresult elapsed(const struct soft_event *start, const struct soft_event *end,
                        float *milliseconds)
{
    if (!start->recorded || !end->recorded)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!soft_mark_reached(&start->mark) || !soft_mark_reached(&end->mark))
        return CUDA_ERROR_NOT_READY;
    *milliseconds = (float)((double)(int64_t)(end->time - start->time) / 1e6);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent first, CUevent second)
{
    SOFT_HOLD struct soft_event *start, *end = NULL;
    CUresult result = soft_event_find(first, &start);
    if (result == CUDA_SUCCESS)
        result = soft_event_find(second, &end);
    if (result != CUDA_SUCCESS)
        return result;
    if (!milliseconds)
        return CUDA_ERROR_INVALID_VALUE;
    if (soft_event_untimed(start) || soft_event_untimed(end) ||
        start->object.context != end->object.context)
        return CUDA_ERROR_INVALID_HANDLE;
    soft_queue_lock();
    result = elapsed(start, end, milliseconds);
    soft_queue_unlock();
    return result;
}
SOFT_ALIAS(cuEventElapsedTime, cuEventElapsedTime_v2);
