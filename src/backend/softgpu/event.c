/* SPDX-License-Identifier: Apache-2.0 */
/* Events: a point in a stream, and the time when the stream came to it. */
#include "backend/softgpu/event.h"

struct record_command {
    struct soft_command command;
    struct soft_event *event; /* a reference */
};

/* ---- life ---- */

void soft_event_end(void *object)
{
    struct soft_event *event = object;
    soft_object_release(event->mark.stream);
    soft_captured_point_clear(&event->captured);
    soft_shared_event_free(event->shared);
}

struct soft_captured_point *soft_event_point(struct soft_event *event)
{
    return &event->captured;
}

struct soft_event *soft_event_new(struct soft_context *context, unsigned flags)
{
    struct soft_event *event = soft_object_new(SOFT_EVENT, sizeof(*event), context, soft_event_end);
    if (event)
        event->flags = flags;
    return event;
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
    struct soft_event *event = soft_event_new(context, flags);
    if (event && (flags & CU_EVENT_INTERPROCESS) && !(event->shared = soft_shared_event_new())) {
        soft_object_release(event);
        event = NULL;
    }
    if (!event)
        return CUDA_ERROR_OUT_OF_MEMORY;
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
    soft_queue_lock();
    if (event->mark.number == command->number) /* not recorded anew since */
        event->time = soft_event_now();
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
        event->time = soft_event_now();
    event->mark = mark;
    event->recorded = true;
    return before;
}

/* Into a capture, where every launch of the graph records it. */
static CUresult record_external(struct soft_event *event, struct soft_stream *stream)
{
    struct soft_command *record = soft_event_command(event, true);
    return record ? soft_submit(stream, record, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult soft_event_record(struct soft_event *event, struct soft_stream *stream)
{
    bool taken = false;
    if (soft_capturing() || event->captured.capture) {
        CUresult captured = soft_capture_record(stream, event, &taken);
        if (taken)
            return captured;
    }
    if (event->shared)
        return soft_shared_record(event, stream);
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
    if (flags > CU_EVENT_RECORD_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    if (event->object.context != stream->object.context)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags == CU_EVENT_RECORD_EXTERNAL) /* for captures only */
        return soft_stream_captures(stream) ? record_external(event, stream)
                                            : CUDA_ERROR_INVALID_VALUE;
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

static CUresult wait_external(struct soft_event *event, struct soft_stream *stream)
{
    struct soft_command *wait = soft_event_command(event, false);
    return wait ? soft_submit(stream, wait, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
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
    if (flags > CU_EVENT_WAIT_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    bool taken = false;
    if (flags == CU_EVENT_WAIT_EXTERNAL)
        return soft_stream_captures(stream) ? wait_external(event, stream)
                                            : CUDA_ERROR_INVALID_VALUE;
    if (soft_capturing() || event->captured.capture)
        result = soft_capture_wait(stream, event, &taken);
    if (taken)
        return result;
    if (event->shared)
        return soft_shared_stream_wait(event, stream);
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

/* Of an event that a capture holds there is nothing to say. Asking is unsafe, as the hardware's
 * driver has it. */
static CUresult check_captured(struct soft_event *event, bool unsafe)
{
    CUresult result = event->captured.capture ? soft_capture_event_forbids(event) : CUDA_SUCCESS;
    return result == CUDA_SUCCESS && unsafe ? soft_capture_unsafe() : result;
}

SOFT_API CUresult cuEventQuery(CUevent handle)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    result = check_captured(event, true);
    if (result != CUDA_SUCCESS)
        return result;
    soft_queue_lock();
    bool reached = event->shared ? soft_shared_reached(event) : soft_mark_reached(&event->mark);
    soft_queue_unlock();
    return reached ? soft_context_state(event->object.context) : CUDA_ERROR_NOT_READY;
}

SOFT_API CUresult cuEventSynchronize(CUevent handle)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result != CUDA_SUCCESS)
        return result;
    result = check_captured(event, false);
    if (result != CUDA_SUCCESS)
        return result;
    if (event->shared) {
        soft_shared_wait(event);
        return soft_context_state(event->object.context);
    }
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

/* ---- nodes of graphs ---- */

/* Reached from here on, whatever it was before. */
static CUresult run_record_node(struct soft_stream *stream, struct soft_command *command)
{
    (void)stream;
    struct soft_event *event = ((struct record_command *)command)->event;
    SOFT_HOLD struct soft_stream *before;
    soft_queue_lock();
    before = set_mark(event, (struct soft_mark){NULL, 0});
    soft_queue_unlock();
    return CUDA_SUCCESS;
}

/* A record of the very launch that waits is not waited for. */
static CUresult run_wait_node(struct soft_stream *stream, struct soft_command *command)
{
    const struct soft_event *event = ((struct record_command *)command)->event;
    soft_queue_lock();
    struct soft_mark mark = event->mark;
    bool wait = mark.stream && mark.stream != stream;
    if (wait)
        soft_object_retain(mark.stream);
    soft_queue_unlock();
    if (wait) {
        soft_mark_wait(&mark);
        soft_object_release(mark.stream);
    }
    return CUDA_SUCCESS;
}

struct soft_command *soft_event_command(struct soft_event *event, bool record)
{
    struct record_command *self =
        soft_command_new(sizeof(*self), record ? run_record_node : run_wait_node);
    if (!self)
        return NULL;
    self->event = soft_object_retain(event);
    self->command.discard = discard_record;
    self->command.node =
        1 + (record ? CU_GRAPH_NODE_TYPE_EVENT_RECORD : CU_GRAPH_NODE_TYPE_WAIT_EVENT);
    return &self->command;
}

CUevent soft_event_of(const struct soft_command *command)
{
    return (CUevent)((const struct record_command *)command)->event;
}

void soft_event_launched(const struct soft_command *command, const struct soft_mark *mark)
{
    SOFT_HOLD struct soft_stream *before;
    soft_queue_lock();
    before = set_mark(((const struct record_command *)command)->event, *mark);
    soft_queue_unlock();
}
