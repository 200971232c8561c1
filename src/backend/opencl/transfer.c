/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that move host memory. Payloads lie in the arena (or in the message, when small); the
 * client learns of a transfer's end through its token, set by the event's callback or, earlier, by
 * the sweep before a reply that tells of completion.
 */
#include "backend/opencl/backend.h"
#include "backend/opencl/image.h"

#include <stdlib.h>
#include <string.h>

/* Takes a transfer off the list and says how it ended; the lock is held. Whoever sees the end first
 * does it: the sweep or the callback. */
static void mark(struct wh_opencl_transfer *t, cl_int outcome)
{
    struct wh_channel *channel = t->worker->channel;
    if (!t->link)
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->link = NULL;
    channel->ops->set_token(channel, outcome < 0 ? t->token | WH_TOKEN_FAILED : t->token);
}

/*
 * Frees a transfer that the library has called back for and no sweep looks at; the lock is held.
 * Returns its event for the caller to release without the lock (the library has locks of its own),
 * or NULL.
 */
static cl_event free_if_over(struct wh_opencl_transfer *t)
{
    cl_event event = t->event;
    if (!t->over || t->users)
        return NULL;
    free(t->copy);
    free(t);
    return event;
}

/* A library need not call back for a command that failed: then the sweep has marked it, and this
 * record and the event stay until the session ends. */
static void at_completion(cl_event event, cl_int outcome, void *data)
{
    struct wh_opencl_transfer *t = data;
    struct wh_opencl_state *state = t->worker->state;
    (void)event;
    pthread_mutex_lock(&state->lock);
    mark(t, outcome);
    t->over = true;
    cl_event unused = free_if_over(t);
    pthread_mutex_unlock(&state->lock);
    if (unused)
        state->f.clReleaseEvent(unused);
}

static cl_int outcome_of(const struct wh_opencl_state *state, cl_event event)
{
    cl_int outcome = CL_QUEUED;
    cl_int result = state->f.clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                            sizeof(outcome), &outcome, NULL);
    return result == CL_SUCCESS ? outcome : CL_QUEUED;
}

void wh_opencl_sync(struct wh_worker *worker)
{
    struct wh_opencl_state *state = worker->state;
    struct wh_opencl_transfer *list[WH_TOKENS];
    cl_int outcomes[WH_TOKENS];
    cl_event unused[WH_TOKENS];
    unsigned n = 0;
    pthread_mutex_lock(&state->lock);
    for (struct wh_opencl_transfer *t = state->transfers; t && n < WH_TOKENS; t = t->next) {
        t->users++; /* keeps it while the lock is not held */
        list[n++] = t;
    }
    pthread_mutex_unlock(&state->lock);
    if (n == 0) /* the usual case, before every reply that tells of completion */
        return;
    for (unsigned i = 0; i < n; i++)
        outcomes[i] = outcome_of(state, list[i]->event);
    pthread_mutex_lock(&state->lock);
    for (unsigned i = 0; i < n; i++) {
        if (outcomes[i] <= CL_COMPLETE)
            mark(list[i], outcomes[i]);
        list[i]->users--;
        unused[i] = free_if_over(list[i]);
    }
    pthread_mutex_unlock(&state->lock);
    for (unsigned i = 0; i < n; i++)
        if (unused[i])
            state->f.clReleaseEvent(unused[i]);
}

/* Puts a transfer on the list, with a reference to its event: the library need not keep a failed
 * command's. */
static void enlist(struct wh_opencl_state *state, struct wh_opencl_transfer *t)
{
    pthread_mutex_lock(&state->lock);
    t->next = state->transfers;
    t->link = &state->transfers;
    if (t->next)
        t->next->link = &t->next;
    state->transfers = t;
    pthread_mutex_unlock(&state->lock);
}

/* Watches `event` for a token or a copy to free. Without memory or callback it waits here: late,
 * but right. */
static void watch(struct wh_call *call, cl_event event, cl_uint token, void *copy)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    struct wh_opencl_transfer *t = calloc(1, sizeof(*t));
    if (!t) {
        state->f.clWaitForEvents(1, &event);
        if (token != WH_NO_TOKEN)
            call->worker->channel->ops->set_token(call->worker->channel, token);
        free(copy);
        return;
    }
    *t = (struct wh_opencl_transfer){
        .worker = call->worker, .event = event, .token = token, .copy = copy};
    state->f.clRetainEvent(event);
    if (token != WH_NO_TOKEN)
        enlist(state, t);
    if (state->f.clSetEventCallback(event, CL_COMPLETE, at_completion, t) == CL_SUCCESS)
        return;
    state->f.clWaitForEvents(1, &event);
    at_completion(event, CL_COMPLETE, t);
}

/* A blocking command is a non-blocking one and a wait, so that other threads' submissions go on. */
static cl_int wait_for(struct wh_call *call, cl_event event)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    wh_call_vacate(call);
    return state->f.clWaitForEvents(1, &event);
}

cl_int wh_opencl_finish_transfer(struct wh_call *call, cl_int result, cl_event event, cl_uint token,
                                 bool blocking, void *copy, cl_event *wanted)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (result != CL_SUCCESS) {
        /* Nobody waits for a posted command's verdict: its token says that the payload is free. */
        if (call->slot == WH_NO_SLOT && token != WH_NO_TOKEN)
            call->worker->channel->ops->set_token(call->worker->channel, token);
        free(copy);
        return result;
    }
    if (blocking) {
        result = wait_for(call, event);
        free(copy);
        if (token != WH_NO_TOKEN)
            call->worker->channel->ops->set_token(
                call->worker->channel, result == CL_SUCCESS ? token : token | WH_TOKEN_FAILED);
    } else if (token != WH_NO_TOKEN || copy) {
        watch(call, event, token, copy);
    }
    if (wanted && result == CL_SUCCESS)
        *wanted = event;
    else
        state->f.clReleaseEvent(event);
    return result;
}

static bool bad_token(struct wh_call *call, cl_uint token)
{
    if (token == WH_NO_TOKEN || token < WH_TOKENS)
        return false;
    wh_call_fault(call, "a transfer token does not exist");
    return true;
}

cl_int wh_opencl_do_read_small(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                               size_t offset, size_t size, void *bytes, cl_uint num_events,
                               const cl_event *events, cl_event *event)
{
    cl_event done = NULL;
    cl_int result = wh_opencl_state(call)->f.clEnqueueReadBuffer(queue, mem, CL_FALSE, offset, size,
                                                                 bytes, num_events, events, &done);
    return wh_opencl_finish_transfer(call, result, done, WH_NO_TOKEN, true, NULL, event);
}

cl_int wh_opencl_do_write_small(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                                size_t offset, size_t size, const void *bytes, cl_uint blocking,
                                cl_uint num_events, const cl_event *events, cl_event *event)
{
    cl_event done = NULL;
    void *copy = malloc(size + 1);
    if (!copy)
        return CL_OUT_OF_HOST_MEMORY;
    if (bytes)
        memcpy(copy, bytes, size);
    cl_int result = wh_opencl_state(call)->f.clEnqueueWriteBuffer(
        queue, mem, CL_FALSE, offset, size, bytes ? copy : NULL, num_events, events, &done);
    return wh_opencl_finish_transfer(call, result, done, WH_NO_TOKEN, blocking, copy, event);
}

cl_int wh_opencl_do_read_buffer(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                                size_t offset, size_t size, void *bytes, cl_uint token,
                                cl_uint blocking, cl_uint num_events, const cl_event *events,
                                cl_event *event)
{
    cl_event done = NULL;
    if (bad_token(call, token))
        return CL_INVALID_VALUE;
    cl_int result = wh_opencl_state(call)->f.clEnqueueReadBuffer(queue, mem, CL_FALSE, offset, size,
                                                                 bytes, num_events, events, &done);
    return wh_opencl_finish_transfer(call, result, done, token, blocking, NULL, event);
}

cl_int wh_opencl_do_write_buffer(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                                 size_t offset, size_t size, void *bytes, cl_uint token,
                                 cl_uint blocking, cl_uint num_events, const cl_event *events,
                                 cl_event *event)
{
    cl_event done = NULL;
    if (bad_token(call, token))
        return CL_INVALID_VALUE;
    cl_int result = wh_opencl_state(call)->f.clEnqueueWriteBuffer(
        queue, mem, CL_FALSE, offset, size, bytes, num_events, events, &done);
    return wh_opencl_finish_transfer(call, result, done, token, blocking, NULL, event);
}

/* Whether `size` bytes hold the region; a wrong size is the client's lie, not the program's error.
 */
static bool region_fits(struct wh_call *call, const size_t *region, size_t pixel, size_t size)
{
    size_t n = pixel;
    for (int i = 0; region && i < 3; i++)
        if (__builtin_mul_overflow(n, region[i], &n))
            n = SIZE_MAX;
    if (region && n <= size)
        return true;
    wh_call_fault(call, "a region is larger than its payload");
    return false;
}

cl_int wh_opencl_do_read_rect(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                              const size_t *origin, const size_t *region, size_t row_pitch,
                              size_t slice_pitch, size_t size, void *bytes, cl_uint token,
                              cl_uint blocking, cl_uint num_events, const cl_event *events,
                              cl_event *event)
{
    static const size_t zero[3];
    cl_event done = NULL;
    if (bad_token(call, token) || !region_fits(call, region, 1, size))
        return CL_INVALID_VALUE;
    cl_int result = wh_opencl_state(call)->f.clEnqueueReadBufferRect(
        queue, mem, CL_FALSE, origin, zero, region, row_pitch, slice_pitch, 0, 0, bytes, num_events,
        events, &done);
    return wh_opencl_finish_transfer(call, result, done, token, blocking, NULL, event);
}

cl_int wh_opencl_do_write_rect(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                               const size_t *origin, const size_t *region, size_t row_pitch,
                               size_t slice_pitch, size_t size, void *bytes, cl_uint token,
                               cl_uint blocking, cl_uint num_events, const cl_event *events,
                               cl_event *event)
{
    static const size_t zero[3];
    cl_event done = NULL;
    if (bad_token(call, token) || !region_fits(call, region, 1, size))
        return CL_INVALID_VALUE;
    cl_int result = wh_opencl_state(call)->f.clEnqueueWriteBufferRect(
        queue, mem, CL_FALSE, origin, zero, region, row_pitch, slice_pitch, 0, 0, bytes, num_events,
        events, &done);
    return wh_opencl_finish_transfer(call, result, done, token, blocking, NULL, event);
}

/*
 * The same for a region with pitches, where 0 is a pitch without gaps. A slice pitch with a single
 * slice is that of an array of lines: it lies between the lines.
 */
static bool pitched_fits(struct wh_call *call, const size_t *region, size_t pixel, size_t row,
                         size_t slice, size_t size)
{
    size_t width, lines, slices, end;
    if (!region || !region[0] || !region[1] || !region[2] ||
        !pixel) /* the library complains about these */
        return region_fits(call, region, pixel, size);
    bool fits = !__builtin_mul_overflow(pixel, region[0], &width);
    size_t step = row ? row : width;
    if (region[2] == 1 && slice > step)
        step = slice;
    fits = fits && !__builtin_mul_overflow(step, region[1], &lines);
    fits = fits && !__builtin_mul_overflow(slice > lines ? slice : lines, region[2] - 1, &slices);
    fits = fits && !__builtin_add_overflow(slices, lines - step + width, &end) && end <= size;
    if (!fits)
        wh_call_fault(call, "a region is larger than its payload");
    return fits;
}

/* An image's pixel size as the library knows it; 0 lets the library complain about the image. */
static size_t pixel_size(struct wh_call *call, cl_mem image)
{
    size_t size = 0;
    if (image)
        wh_opencl_state(call)->f.clGetImageInfo(image, CL_IMAGE_ELEMENT_SIZE, sizeof(size), &size,
                                                NULL);
    return size;
}

cl_int wh_opencl_do_read_image(struct wh_call *call, cl_command_queue queue, cl_mem image,
                               const size_t *origin, const size_t *region, size_t row_pitch,
                               size_t slice_pitch, size_t size, void *bytes, cl_uint token,
                               cl_uint blocking, cl_uint num_events, const cl_event *events,
                               cl_event *event)
{
    cl_event done = NULL;
    if (bad_token(call, token) ||
        !pitched_fits(call, region, pixel_size(call, image), row_pitch, slice_pitch, size))
        return CL_INVALID_VALUE;
    cl_int result = wh_opencl_state(call)->f.clEnqueueReadImage(queue, image, CL_FALSE, origin,
                                                                region, row_pitch, slice_pitch,
                                                                bytes, num_events, events, &done);
    return wh_opencl_finish_transfer(call, result, done, token, blocking, NULL, event);
}

cl_int wh_opencl_do_write_image(struct wh_call *call, cl_command_queue queue, cl_mem image,
                                const size_t *origin, const size_t *region, size_t row_pitch,
                                size_t slice_pitch, size_t size, void *bytes, cl_uint token,
                                cl_uint blocking, cl_uint num_events, const cl_event *events,
                                cl_event *event)
{
    cl_event done = NULL;
    if (bad_token(call, token) ||
        !pitched_fits(call, region, pixel_size(call, image), row_pitch, slice_pitch, size))
        return CL_INVALID_VALUE;
    cl_int result = wh_opencl_state(call)->f.clEnqueueWriteImage(queue, image, CL_FALSE, origin,
                                                                 region, row_pitch, slice_pitch,
                                                                 bytes, num_events, events, &done);
    return wh_opencl_finish_transfer(call, result, done, token, blocking, NULL, event);
}

/* ---- buffers whose storage is the arena: mapping moves nothing ---- */

static bool in_arena(struct wh_call *call, const void *pointer)
{
    const struct wh_channel *channel = call->worker->channel;
    uintptr_t base = (uintptr_t)channel->arena;
    return (uintptr_t)pointer >= base && (uintptr_t)pointer - base < channel->arena_size;
}

cl_int wh_opencl_do_map_buffer(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                               cl_uint blocking, cl_map_flags flags, size_t offset, size_t size,
                               cl_uint token, cl_uint num_events, const cl_event *events,
                               cl_event *event)
{
    cl_event done = NULL;
    cl_int result = CL_SUCCESS;
    if (bad_token(call, token))
        return CL_INVALID_VALUE;
    const void *pointer = wh_opencl_state(call)->f.clEnqueueMapBuffer(
        queue, mem, CL_FALSE, flags, offset, size, num_events, events, &done, &result);
    if (result == CL_SUCCESS && !in_arena(call, pointer) &&
        !wh_opencl_owns_svm(wh_opencl_state(call), (uintptr_t)pointer, size)) {
        wh_call_fault(call, "a buffer without shared storage was mapped as if it had some");
        return CL_MAP_FAILURE;
    }
    return wh_opencl_finish_transfer(call, result, done, token, blocking, NULL, event);
}

cl_int wh_opencl_do_unmap_buffer(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                                 void *pointer, cl_uint num_events, const cl_event *events,
                                 cl_event *event)
{
    return wh_opencl_state(call)->f.clEnqueueUnmapMemObject(queue, mem, pointer, num_events, events,
                                                            event);
}
