/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake's queues: a command waits in one list until somebody waits for it, and touches the
 * caller's memory only then. Events and their callbacks. See fake_opencl.h.
 */
#include "fake_opencl.h"

#include <stdlib.h>
#include <string.h>

#define MOST_WAITING 64u /* more, and the oldest is carried out */

struct command {
    struct command *next;
    void *memory;
    size_t size;
    bool writes;
    struct fake *queue, *event;
    void (*done)(void *user);
    void *user;
};

struct callback {
    struct callback *next;
    struct fake *event;
    void (*notify)(cl_event, cl_int, void *);
    void *user;
    cl_int when;
};

static struct command *first, **last = &first;
static unsigned waiting;
static struct callback *callbacks;

/* Calls back whoever waits for a state that the event has reached. */
static void tell(struct fake *event)
{
    for (struct callback **link = &callbacks; *link;) {
        struct callback *c = *link;
        if (c->event != event || event->status > c->when) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        c->notify((cl_event)(void *)event, event->status < 0 ? event->status : c->when, c->user);
        fake_release(event);
        free(c);
        link = &callbacks; /* the function may have changed the list */
    }
}

static void set_status(struct fake *event, cl_int status)
{
    fake_retain(event);
    event->status = status;
    tell(event);
    fake_release(event);
}

static void carry_out(struct command *c)
{
    if (c->writes)
        fake_write(c->memory, c->size);
    else if (c->memory)
        fake_read(c->memory, c->size);
    if (c->done)
        c->done(c->user);
    set_status(c->event, CL_COMPLETE);
    fake_release(c->event);
    fake_release(c->queue);
    free(c);
}

void fake_run_commands(unsigned most)
{
    while (first && most-- > 0) {
        struct command *c = first;
        first = c->next;
        if (!first)
            last = &first;
        waiting--;
        carry_out(c);
    }
}

/* Callbacks of events that never complete. */
void fake_forget_commands(void)
{
    while (callbacks) {
        struct callback *c = callbacks;
        set_status(c->event, -1);
    }
}

cl_int fake_check_command(const void *queue, cl_uint num_events, const cl_event *events)
{
    if (!fake_check(queue, FAKE_QUEUE))
        return CL_INVALID_COMMAND_QUEUE;
    if ((num_events == 0) != (events == NULL))
        return CL_INVALID_EVENT_WAIT_LIST;
    for (cl_uint i = 0; i < num_events; i++)
        if (!fake_check(events[i], FAKE_EVENT))
            return CL_INVALID_EVENT_WAIT_LIST;
    return CL_SUCCESS;
}

cl_int fake_enqueue(const void *queue, void *memory, size_t size, bool writes, cl_event *event,
                    void (*done)(void *user), void *user)
{
    struct fake *parent = fake_check(queue, FAKE_QUEUE);
    struct fake *made = fake_new(FAKE_EVENT, 1, &parent);
    struct command *c = made ? calloc(1, sizeof(*c)) : NULL;
    if (!c)
        return CL_OUT_OF_HOST_MEMORY;
    made->status = CL_QUEUED;
    *c = (struct command){.memory = memory,
                          .size = size,
                          .writes = writes,
                          .queue = parent,
                          .event = made,
                          .done = done,
                          .user = user};
    fake_retain(parent);
    if (event) {
        fake_retain(made);
        *event = (cl_event)(void *)made;
    }
    *last = c;
    last = &c->next;
    if (++waiting > MOST_WAITING)
        fake_run_commands(1);
    return CL_SUCCESS;
}

/* A command that touches none of the caller's memory later. */
static cl_int simple(cl_int checked, const void *queue, cl_event *event)
{
    return checked == CL_SUCCESS ? fake_enqueue(queue, NULL, 0, false, event, NULL, NULL) : checked;
}

/* ---- events ---- */

static cl_int wait_for_events(cl_uint n, const cl_event *events)
{
    if (n == 0 || !events)
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < n; i++)
        if (!fake_check(events[i], FAKE_EVENT))
            return CL_INVALID_EVENT;
    fake_run_commands(UINT32_MAX);
    for (cl_uint i = 0; i < n; i++) { /* a user event: as if another thread had set it */
        struct fake *event = fake_check(events[i], FAKE_EVENT);
        if (event->status > CL_COMPLETE)
            set_status(event, CL_COMPLETE);
        if (event->status < 0)
            return CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    }
    return CL_SUCCESS;
}

static cl_int get_event_info(cl_event object, cl_event_info name, size_t size, void *value,
                             size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_EVENT);
    if (!known)
        return CL_INVALID_EVENT;
    bool of_user = known->parents[0]->type == FAKE_CONTEXT;
    const void *queue = of_user ? NULL : known->parents[0];
    const void *context = of_user ? known->parents[0] : known->parents[0]->parents[0];
    if (name == CL_EVENT_COMMAND_QUEUE)
        return fake_answer(&queue, sizeof(queue), size, value, size_ret);
    if (name == CL_EVENT_CONTEXT)
        return fake_answer(&context, sizeof(context), size, value, size_ret);
    return fake_answer(&known->status, sizeof(known->status), size, value, size_ret);
}

static cl_int get_profiling(cl_event object, cl_profiling_info name, size_t size, void *value,
                            size_t *size_ret)
{
    cl_ulong stamp = 4;
    (void)name;
    return fake_check(object, FAKE_EVENT)
               ? fake_answer(&stamp, sizeof(stamp), size, value, size_ret)
               : CL_INVALID_EVENT;
}

static cl_event create_user_event(cl_context object, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    struct fake *event = context ? fake_new(FAKE_EVENT, 1, &context) : NULL;
    if (!event)
        return fake_fail(errcode_ret, CL_INVALID_CONTEXT);
    event->status = CL_SUBMITTED;
    if (errcode_ret)
        *errcode_ret = CL_SUCCESS;
    return (cl_event)(void *)event;
}

static cl_int set_user_event(cl_event object, cl_int status)
{
    struct fake *known = fake_check(object, FAKE_EVENT);
    if (!known || known->parents[0]->type != FAKE_CONTEXT)
        return CL_INVALID_EVENT;
    if (status > 0)
        return CL_INVALID_VALUE;
    if (known->status <= CL_COMPLETE)
        return CL_INVALID_OPERATION;
    set_status(known, status);
    return CL_SUCCESS;
}

static cl_int set_event_callback(cl_event object, cl_int when, cl_event_callback notify, void *user)
{
    struct fake *known = fake_check(object, FAKE_EVENT);
    if (!known)
        return CL_INVALID_EVENT;
    if (!notify || when < CL_COMPLETE || when > CL_SUBMITTED)
        return CL_INVALID_VALUE;
    struct callback *c = malloc(sizeof(*c));
    if (!c)
        return CL_OUT_OF_HOST_MEMORY;
    *c = (struct callback){
        .next = callbacks, .event = known, .notify = notify, .user = user, .when = when};
    fake_retain(known);
    callbacks = c;
    tell(known);
    return CL_SUCCESS;
}

/* ---- buffers ---- */

static struct fake *buffer_with(const void *object, size_t offset, size_t size)
{
    struct fake *mem = fake_check(object, FAKE_MEM);
    return mem && !mem->is_image && size > 0 && offset <= mem->size && size <= mem->size - offset
               ? mem
               : NULL;
}

static cl_int move_buffer(const void *queue, const void *object, size_t offset, size_t size,
                          void *memory, bool writes, cl_uint n, const cl_event *events,
                          cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result != CL_SUCCESS)
        return result;
    struct fake *mem = buffer_with(object, offset, size);
    if (!mem || !memory)
        return object ? CL_INVALID_VALUE : CL_INVALID_MEM_OBJECT;
    fake_read(mem->bytes + offset, size);
    return fake_enqueue(queue, memory, size, writes, event, NULL, NULL);
}

static cl_int read_buffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset,
                          size_t size, void *ptr, cl_uint n, const cl_event *events,
                          cl_event *event)
{
    cl_int result = move_buffer(queue, mem, offset, size, ptr, true, n, events, event);
    if (blocking)
        fake_run_commands(UINT32_MAX);
    return result;
}

static cl_int write_buffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset,
                           size_t size, const void *ptr, cl_uint n, const cl_event *events,
                           cl_event *event)
{
    cl_int result =
        move_buffer(queue, mem, offset, size, (void *)(uintptr_t)ptr, false, n, events, event);
    if (blocking)
        fake_run_commands(UINT32_MAX);
    return result;
}

/* The bytes between the first and behind the last that a region covers; 0 when it is impossible. */
static size_t extent(const size_t *origin, const size_t *region, size_t row, size_t slice)
{
    row = row ? row : region[0];
    slice = slice ? slice : row * region[1];
    for (unsigned i = 0; i < 3; i++)
        if (region[i] == 0 || region[i] > 1u << 20 || origin[i] > 1u << 20)
            return 0;
    if (row < region[0] || row > 1u << 20 || slice < region[1] * row || slice > 1u << 20)
        return 0;
    return (origin[2] + region[2] - 1) * slice + (origin[1] + region[1] - 1) * row + origin[0] +
           region[0];
}

static cl_int move_rect(const void *queue, const void *object, const size_t *buffer_origin,
                        const size_t *host_origin, const size_t *region, const size_t pitches[4],
                        void *memory, bool writes, cl_uint n, const cl_event *events,
                        cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result != CL_SUCCESS)
        return result;
    if (!object)
        return CL_INVALID_MEM_OBJECT;
    if (!buffer_origin || !host_origin || !region || !memory)
        return CL_INVALID_VALUE;
    size_t inside = extent(buffer_origin, region, pitches[0], pitches[1]);
    size_t outside = extent(host_origin, region, pitches[2], pitches[3]);
    if (!inside || !outside || !buffer_with(object, 0, inside))
        return CL_INVALID_VALUE;
    return fake_enqueue(queue, memory, outside, writes, event, NULL, NULL);
}

static cl_int read_rect(cl_command_queue queue, cl_mem mem, cl_bool blocking,
                        const size_t *buffer_origin, const size_t *host_origin,
                        const size_t *region, size_t buffer_row, size_t buffer_slice,
                        size_t host_row, size_t host_slice, void *ptr, cl_uint n,
                        const cl_event *events, cl_event *event)
{
    const size_t pitches[] = {buffer_row, buffer_slice, host_row, host_slice};
    (void)blocking;
    return move_rect(queue, mem, buffer_origin, host_origin, region, pitches, ptr, true, n, events,
                     event);
}

static cl_int write_rect(cl_command_queue queue, cl_mem mem, cl_bool blocking,
                         const size_t *buffer_origin, const size_t *host_origin,
                         const size_t *region, size_t buffer_row, size_t buffer_slice,
                         size_t host_row, size_t host_slice, const void *ptr, cl_uint n,
                         const cl_event *events, cl_event *event)
{
    const size_t pitches[] = {buffer_row, buffer_slice, host_row, host_slice};
    (void)blocking;
    return move_rect(queue, mem, buffer_origin, host_origin, region, pitches,
                     (void *)(uintptr_t)ptr, false, n, events, event);
}

static cl_int copy_rect(cl_command_queue queue, cl_mem src, cl_mem dst, const size_t *src_origin,
                        const size_t *dst_origin, const size_t *region, size_t src_row,
                        size_t src_slice, size_t dst_row, size_t dst_slice, cl_uint n,
                        const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result != CL_SUCCESS)
        return result;
    if (!src_origin || !dst_origin || !region)
        return CL_INVALID_VALUE;
    size_t from = extent(src_origin, region, src_row, src_slice),
           to = extent(dst_origin, region, dst_row, dst_slice);
    if (!from || !to || !buffer_with(src, 0, from) || !buffer_with(dst, 0, to))
        return CL_INVALID_VALUE;
    return simple(CL_SUCCESS, queue, event);
}

static cl_int copy_buffer(cl_command_queue queue, cl_mem src, cl_mem dst, size_t src_offset,
                          size_t dst_offset, size_t size, cl_uint n, const cl_event *events,
                          cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    struct fake *from = buffer_with(src, src_offset, size),
                *to = buffer_with(dst, dst_offset, size);
    if (result == CL_SUCCESS && (!from || !to))
        result = CL_INVALID_MEM_OBJECT;
    if (result == CL_SUCCESS)
        memmove(to->bytes + dst_offset, from->bytes + src_offset, size);
    return simple(result, queue, event);
}

static cl_int fill_buffer(cl_command_queue queue, cl_mem mem, const void *pattern,
                          size_t pattern_size, size_t offset, size_t size, cl_uint n,
                          const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result == CL_SUCCESS && !buffer_with(mem, offset, size))
        result = CL_INVALID_MEM_OBJECT;
    if (result == CL_SUCCESS && (!pattern || pattern_size == 0 || pattern_size > 128))
        result = CL_INVALID_VALUE;
    if (result == CL_SUCCESS)
        fake_read(pattern, pattern_size);
    return simple(result, queue, event);
}

static void *map_buffer(cl_command_queue queue, cl_mem object, cl_bool blocking, cl_map_flags flags,
                        size_t offset, size_t size, cl_uint n, const cl_event *events,
                        cl_event *event, cl_int *errcode_ret)
{
    cl_int result = fake_check_command(queue, n, events);
    struct fake *mem = buffer_with(object, offset, size);
    (void)blocking;
    (void)flags;
    if (result == CL_SUCCESS && !mem)
        result = CL_INVALID_VALUE;
    result = simple(result, queue, event);
    if (errcode_ret)
        *errcode_ret = result;
    if (result != CL_SUCCESS)
        return NULL;
    mem->mapped++;
    return mem->bytes + offset;
}

static cl_int unmap(cl_command_queue queue, cl_mem object, void *ptr, cl_uint n,
                    const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    struct fake *mem = fake_check(object, FAKE_MEM);
    if (result == CL_SUCCESS && (!mem || mem->mapped == 0 || (uint8_t *)ptr < mem->bytes ||
                                 (uint8_t *)ptr >= mem->bytes + mem->size))
        result = CL_INVALID_VALUE;
    if (result == CL_SUCCESS)
        mem->mapped--;
    return simple(result, queue, event);
}

/* ---- images ---- */

static struct fake *image_with(const void *object, const size_t *origin, const size_t *region)
{
    struct fake *image = fake_check(object, FAKE_MEM);
    if (!image || !image->is_image || !origin || !region)
        return NULL;
    const size_t sides[] = {image->width, image->height, image->depth};
    for (unsigned i = 0; i < 3; i++)
        if (region[i] == 0 || origin[i] > sides[i] || region[i] > sides[i] - origin[i])
            return NULL;
    return image;
}

static cl_int move_image(const void *queue, const void *object, const size_t *origin,
                         const size_t *region, size_t row, size_t slice, void *memory, bool writes,
                         cl_uint n, const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result != CL_SUCCESS)
        return result;
    struct fake *image = image_with(object, origin, region);
    if (!image || !memory)
        return CL_INVALID_VALUE;
    size_t width = region[0] * image->pixel;
    row = row ? row : width;
    slice = slice ? slice : row * region[1];
    if (row < width || slice < row * region[1])
        return CL_INVALID_VALUE;
    size_t size = (region[2] - 1) * slice + (region[1] - 1) * row + width;
    return fake_enqueue(queue, memory, size, writes, event, NULL, NULL);
}

static cl_int read_image(cl_command_queue queue, cl_mem image, cl_bool blocking,
                         const size_t *origin, const size_t *region, size_t row, size_t slice,
                         void *ptr, cl_uint n, const cl_event *events, cl_event *event)
{
    (void)blocking;
    return move_image(queue, image, origin, region, row, slice, ptr, true, n, events, event);
}

static cl_int write_image(cl_command_queue queue, cl_mem image, cl_bool blocking,
                          const size_t *origin, const size_t *region, size_t row, size_t slice,
                          const void *ptr, cl_uint n, const cl_event *events, cl_event *event)
{
    (void)blocking;
    return move_image(queue, image, origin, region, row, slice, (void *)(uintptr_t)ptr, false, n,
                      events, event);
}

static cl_int copy_image(cl_command_queue queue, cl_mem src, cl_mem dst, const size_t *src_origin,
                         const size_t *dst_origin, const size_t *region, cl_uint n,
                         const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result == CL_SUCCESS &&
        (!image_with(src, src_origin, region) || !image_with(dst, dst_origin, region)))
        result = CL_INVALID_VALUE;
    return simple(result, queue, event);
}

static cl_int fill_image(cl_command_queue queue, cl_mem image, const void *color,
                         const size_t *origin, const size_t *region, cl_uint n,
                         const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result == CL_SUCCESS && (!color || !image_with(image, origin, region)))
        result = CL_INVALID_VALUE;
    if (result == CL_SUCCESS)
        fake_read(color, 16);
    return simple(result, queue, event);
}

static cl_int image_to_buffer(cl_command_queue queue, cl_mem src, cl_mem dst, const size_t *origin,
                              const size_t *region, size_t offset, cl_uint n,
                              const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    struct fake *image = image_with(src, origin, region);
    if (result == CL_SUCCESS &&
        (!image || !buffer_with(dst, offset, region[0] * region[1] * region[2] * image->pixel)))
        result = CL_INVALID_VALUE;
    return simple(result, queue, event);
}

static cl_int buffer_to_image(cl_command_queue queue, cl_mem src, cl_mem dst, size_t offset,
                              const size_t *origin, const size_t *region, cl_uint n,
                              const cl_event *events, cl_event *event)
{
    return image_to_buffer(queue, dst, src, origin, region, offset, n, events, event);
}

/* ---- kernels and the rest ---- */

static cl_int enqueue_kernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                             const size_t *offset, const size_t *global, const size_t *local,
                             cl_uint n, const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result == CL_SUCCESS && !fake_check(kernel, FAKE_KERNEL))
        result = CL_INVALID_KERNEL;
    if (result == CL_SUCCESS && (dimensions < 1 || dimensions > 3))
        result = CL_INVALID_WORK_DIMENSION;
    if (result == CL_SUCCESS && !global)
        result = CL_INVALID_GLOBAL_WORK_SIZE;
    if (result != CL_SUCCESS)
        return result;
    const size_t *const lists[] = {offset, global, local};
    for (unsigned i = 0; i < 3; i++)
        if (lists[i])
            fake_read(lists[i], dimensions * sizeof(size_t));
    return simple(CL_SUCCESS, queue, event);
}

static cl_int enqueue_task(cl_command_queue queue, cl_kernel kernel, cl_uint n,
                           const cl_event *events, cl_event *event)
{
    const size_t one = 1;
    return enqueue_kernel(queue, kernel, 1, NULL, &one, &one, n, events, event);
}

static cl_int suggest_size(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                           const size_t *offset, const size_t *global, size_t *local)
{
    if (!fake_check(queue, FAKE_QUEUE) || !fake_check(kernel, FAKE_KERNEL))
        return CL_INVALID_KERNEL;
    if (dimensions < 1 || dimensions > 3 || !global || !local)
        return CL_INVALID_VALUE;
    if (offset)
        fake_read(offset, dimensions * sizeof(size_t));
    fake_read(global, dimensions * sizeof(size_t));
    fake_write(local, dimensions * sizeof(size_t));
    return CL_SUCCESS;
}

static cl_int enqueue_wait_list(cl_command_queue queue, cl_uint n, const cl_event *events,
                                cl_event *event)
{
    return simple(fake_check_command(queue, n, events), queue, event);
}

static cl_int enqueue_marker(cl_command_queue queue, cl_event *event)
{
    return simple(fake_check_command(queue, 0, NULL), queue, event);
}

static cl_int migrate(cl_command_queue queue, cl_uint n, const cl_mem *mems,
                      cl_mem_migration_flags flags, cl_uint num_events, const cl_event *events,
                      cl_event *event)
{
    cl_int result = fake_check_command(queue, num_events, events);
    (void)flags;
    if (result == CL_SUCCESS && (n == 0 || !mems))
        result = CL_INVALID_VALUE;
    for (cl_uint i = 0; result == CL_SUCCESS && i < n; i++)
        if (!fake_check(mems[i], FAKE_MEM))
            result = CL_INVALID_MEM_OBJECT;
    return simple(result, queue, event);
}

static cl_int flush(cl_command_queue queue)
{
    if (!fake_check(queue, FAKE_QUEUE))
        return CL_INVALID_COMMAND_QUEUE;
    fake_run_commands(1);
    return CL_SUCCESS;
}

static cl_int finish(cl_command_queue queue)
{
    if (!fake_check(queue, FAKE_QUEUE))
        return CL_INVALID_COMMAND_QUEUE;
    fake_run_commands(UINT32_MAX);
    return CL_SUCCESS;
}

static cl_int enqueue_commands(cl_uint n, cl_command_queue *queues, cl_command_buffer_khr object,
                               cl_uint num_events, const cl_event *events, cl_event *event)
{
    struct fake *known = fake_check(object, FAKE_COMMANDS);
    for (cl_uint i = 0; queues && i < n; i++)
        fake_check(queues[i], FAKE_QUEUE);
    if (!known)
        return -1138;
    return simple(fake_check_command(known->parents[0], num_events, events), known->parents[0],
                  event);
}

void fake_fill_commands(struct wh_opencl_functions_table *f)
{
    f->clWaitForEvents = wait_for_events;
    f->clGetEventInfo = get_event_info;
    f->clGetEventProfilingInfo = get_profiling;
    f->clCreateUserEvent = create_user_event;
    f->clSetUserEventStatus = set_user_event;
    f->clSetEventCallback = set_event_callback;
    f->clEnqueueReadBuffer = read_buffer;
    f->clEnqueueWriteBuffer = write_buffer;
    f->clEnqueueReadBufferRect = read_rect;
    f->clEnqueueWriteBufferRect = write_rect;
    f->clEnqueueCopyBufferRect = copy_rect;
    f->clEnqueueCopyBuffer = copy_buffer;
    f->clEnqueueFillBuffer = fill_buffer;
    f->clEnqueueMapBuffer = map_buffer;
    f->clEnqueueUnmapMemObject = unmap;
    f->clEnqueueReadImage = read_image;
    f->clEnqueueWriteImage = write_image;
    f->clEnqueueCopyImage = copy_image;
    f->clEnqueueFillImage = fill_image;
    f->clEnqueueCopyImageToBuffer = image_to_buffer;
    f->clEnqueueCopyBufferToImage = buffer_to_image;
    f->clEnqueueNDRangeKernel = enqueue_kernel;
    f->clEnqueueTask = enqueue_task;
    f->clGetKernelSuggestedLocalWorkSizeKHR = suggest_size;
    f->clEnqueueMarkerWithWaitList = enqueue_wait_list;
    f->clEnqueueBarrierWithWaitList = enqueue_wait_list;
    f->clEnqueueMarker = enqueue_marker;
    f->clEnqueueMigrateMemObjects = migrate;
    f->clFlush = flush;
    f->clFinish = finish;
    f->clEnqueueCommandBufferKHR = enqueue_commands;
}
