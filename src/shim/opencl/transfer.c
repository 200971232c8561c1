/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing buffers and images. Small payloads go along in the message; large ones
 * through the arena in pieces, several in flight; a large blocking transfer of a buffer whose
 * storage is shared is one copy between the program's memory and that storage, and on a CPU so is
 * any transfer of a buffer that nothing is before. What the client can prove to succeed is not
 * waited for.
 */
#include "shim/opencl/transfer.h"

#include "client/bulk.h"

#include <stdlib.h>

#define DIRECT_LEAST \
    (256u << 10) /* shared storage: from here on one direct copy beats a queued one */

static struct wh_copy plain_copy(void *memory, size_t size)
{
    return (struct wh_copy){.memory = memory,
                            .width = size,
                            .height = 1,
                            .depth = 1,
                            .memory_row = size,
                            .arena_row = size};
}

static void count_copied(struct wh_session *session, size_t size)
{
    atomic_fetch_add_explicit(&wh_session_stats(session)->copied_bytes, size, memory_order_relaxed);
}

/* Whether the transfer's range lies in the buffer; the library would refuse any other. */
static bool in_bounds(const struct wh_cl_mem *mem, size_t offset, size_t size)
{
    return mem && offset <= mem->size && size <= mem->size - offset;
}

/* Whether the buffer's flags let the host read or write it at all. */
static bool host_may(const struct wh_cl_mem *mem, bool reads)
{
    cl_mem_flags denied =
        CL_MEM_HOST_NO_ACCESS | (reads ? CL_MEM_HOST_WRITE_ONLY : CL_MEM_HOST_READ_ONLY);
    return (mem->flags & denied) == 0;
}

/* ---- one command each way, as the kinds of transfer need it ---- */

cl_int wh_opencl_send(const struct wh_cl_transfer *t, const struct wh_block *block, uint64_t skip,
                      size_t size, cl_uint token, bool blocking, cl_event *event)
{
    switch (t->kind) {
    case WH_CL_READ_BUFFER:
        return wh_opencl_call_read_buffer(t->queue, t->mem, t->offset + skip, size, block->offset,
                                          token, blocking, t->num_events, t->events, event);
    case WH_CL_WRITE_BUFFER:
        return wh_opencl_call_write_buffer(t->queue, t->mem, t->offset + skip, size, block->offset,
                                           token, blocking, t->num_events, t->events, event);
    case WH_CL_READ_RECT:
        return wh_opencl_call_read_rect(t->queue, t->mem, t->origin, t->region, t->row_pitch,
                                        t->slice_pitch, size, block->offset, token, blocking,
                                        t->num_events, t->events, event);
    case WH_CL_WRITE_RECT:
        return wh_opencl_call_write_rect(t->queue, t->mem, t->origin, t->region, t->row_pitch,
                                         t->slice_pitch, size, block->offset, token, blocking,
                                         t->num_events, t->events, event);
    case WH_CL_READ_IMAGE:
        return wh_opencl_call_read_image(t->queue, t->mem, t->origin, t->region, t->row_pitch,
                                         t->slice_pitch, size, block->offset, token, blocking,
                                         t->num_events, t->events, event);
    case WH_CL_WRITE_IMAGE:
        return wh_opencl_call_write_image(t->queue, t->mem, t->origin, t->region, t->row_pitch,
                                          t->slice_pitch, size, block->offset, token, blocking,
                                          t->num_events, t->events, event);
    case WH_CL_READ_SVM:
        return wh_opencl_call_svm_read(t->queue, t->offset + skip, size, block->offset, token,
                                       blocking, t->num_events, t->events, event);
    case WH_CL_WRITE_SVM:
        return wh_opencl_call_svm_write(t->queue, t->offset + skip, size, block->offset, token,
                                        blocking, t->num_events, t->events, event);
    }
    return CL_INVALID_VALUE;
}

cl_int wh_opencl_read_later(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                            cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    const struct wh_block *block = wh_opencl_stage(size, 256);
    int64_t ticket = block ? wh_transfer_begin(session, block, copy) : -1;
    if (ticket < 0) { /* no room to let it run in the background */
        if (block)
            wh_arena_release(wh_session_arena(session), block);
        return wh_opencl_read_now(t, copy, size, event);
    }
    cl_int result = wh_opencl_send(t, block, 0, size, WH_TICKET_TOKEN(ticket), false, event);
    if (result != CL_SUCCESS)
        wh_transfer_cancel(session, ticket);
    return result;
}

/* A whole transfer, or the piece `skip` bytes into a linear one, through one block; waited for. */
static cl_int read_block(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t skip,
                         size_t size, const struct wh_block *block, cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    cl_int result = wh_opencl_send(t, block, skip, size, WH_NO_TOKEN, true, event);
    if (result == CL_SUCCESS) {
        wh_copy_to_memory(copy, wh_arena_address(wh_session_arena(session), block));
        count_copied(session, size);
    }
    wh_arena_release(wh_session_arena(session), block);
    return result;
}

/*
 * A linear read in pieces, several in flight: while one is copied out, the next are on their way.
 * The last is waited for by the call itself, so that its error and its event are the transfer's.
 */
static cl_int read_pieces(const struct wh_cl_transfer *t, uint8_t *memory, size_t size,
                          cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    int64_t tickets[WH_STAGES];
    size_t done = 0;
    unsigned n = 0;
    cl_int result = CL_SUCCESS;
    while (size - done > WH_STAGE && result == CL_SUCCESS) {
        struct wh_copy copy = plain_copy(memory + done, WH_STAGE);
        if (n >= WH_STAGES && wh_transfer_wait(session, tickets[n % WH_STAGES]) < 0)
            return wh_opencl_api.lost;
        const struct wh_block *block = wh_opencl_stage(WH_STAGE, 256);
        int64_t ticket = block ? wh_transfer_begin(session, block, &copy) : -1;
        if (ticket < 0) { /* all tokens are in use: wait for this piece */
            result =
                block ? read_block(t, &copy, done, WH_STAGE, block, NULL) : CL_OUT_OF_RESOURCES;
        } else {
            tickets[n++ % WH_STAGES] = ticket;
            result = wh_opencl_send(t, block, done, WH_STAGE, WH_TICKET_TOKEN(ticket), false, NULL);
            if (result != CL_SUCCESS)
                wh_transfer_cancel(session, ticket);
        }
        done += WH_STAGE;
    }
    const struct wh_block *last = result == CL_SUCCESS ? wh_opencl_stage(size - done, 256) : NULL;
    struct wh_copy copy = plain_copy(memory + done, size - done);
    if (result == CL_SUCCESS)
        result = last ? read_block(t, &copy, done, size - done, last, event) : CL_OUT_OF_RESOURCES;
    for (unsigned i = 0; i < n && i < WH_STAGES; i++)
        if (wh_transfer_wait(session, tickets[i]) < 0)
            return wh_opencl_api.lost;
    return result;
}

static bool is_linear(const struct wh_cl_transfer *t)
{
    return t->kind == WH_CL_READ_BUFFER || t->kind == WH_CL_WRITE_BUFFER ||
           t->kind == WH_CL_READ_SVM || t->kind == WH_CL_WRITE_SVM;
}

cl_int wh_opencl_read_now(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                          cl_event *event)
{
    if (is_linear(t) && size > WH_STAGE)
        return read_pieces(t, copy->memory, size, event);
    const struct wh_block *block = wh_opencl_stage(size, 256);
    return block ? read_block(t, copy, 0, size, block, event) : CL_MEM_OBJECT_ALLOCATION_FAILURE;
}

/* A write that cannot fail but for lack of resources: it is posted. */
static bool surely_writes(cl_command_queue queue, cl_mem buffer, cl_uint num_events,
                          const cl_event *events)
{
    const struct wh_cl_mem *mem = wh_opencl_mem(buffer);
    struct wh_object *q = wh_opencl_object(queue, WH_OPENCL_TYPE_cl_command_queue);
    struct wh_object *context = wh_opencl_context_of(q);
    return q && mem && context == wh_opencl_context_of((struct wh_object *)(void *)buffer) &&
           host_may(mem, false) && !mem->parent &&
           wh_opencl_events_are_good(context, num_events, events);
}

/* Sends one piece whose block comes back by its token: posted if it surely succeeds. */
static cl_int send_piece(const struct wh_cl_transfer *t, const struct wh_block *block,
                         uint64_t skip, size_t size, cl_uint token, bool blocking, cl_event *event)
{
    if (blocking || t->kind != WH_CL_WRITE_BUFFER ||
        !surely_writes(t->queue, t->mem, t->num_events, t->events))
        return wh_opencl_send(t, block, skip, size, token, blocking, event);
    uint64_t a[] = {
        (uintptr_t)t->queue, (uintptr_t)t->mem,    t->offset + skip, size, block->offset, token, 0,
        t->num_events,       (uintptr_t)t->events, (uintptr_t)event};
    return (cl_int)wh_client_post(wh_opencl_session(),
                                  wh_opencl_call_desc(WH_OPENCL_wh_write_buffer), a);
}

/* One piece written: the bytes are taken now, the block comes back when the device has them. */
static cl_int write_piece(const struct wh_cl_transfer *t, const struct wh_copy *copy,
                          const struct wh_block *block, uint64_t skip, size_t size, bool blocking,
                          cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    wh_copy_from_memory(copy, wh_arena_address(wh_session_arena(session), block));
    count_copied(session, size);
    int64_t ticket = wh_transfer_begin(session, block, NULL);
    if (ticket < 0) { /* all tokens are in use: wait for this one */
        cl_int result = wh_opencl_send(t, block, skip, size, WH_NO_TOKEN, true, event);
        wh_arena_release(wh_session_arena(session), block);
        return result;
    }
    cl_int result = send_piece(t, block, skip, size, WH_TICKET_TOKEN(ticket), blocking, event);
    if (result != CL_SUCCESS)
        wh_transfer_cancel(session, ticket);
    return result;
}

/* A linear write in pieces; the blocks in use bound what is in flight. */
static cl_int write_pieces(const struct wh_cl_transfer *t, const uint8_t *memory, size_t size,
                           bool blocking, cl_event *event)
{
    struct wh_cl_transfer piece = *t;
    cl_event before = NULL;
    cl_int result = CL_SUCCESS;
    for (size_t done = 0; done < size && result == CL_SUCCESS;) {
        size_t n = size - done < WH_STAGE ? size - done : WH_STAGE;
        bool last = done + n == size;
        struct wh_copy copy = plain_copy((void *)(uintptr_t)(memory + done), n);
        const struct wh_block *block = wh_opencl_stage(n, 256);
        cl_event after = NULL;
        result = CL_OUT_OF_RESOURCES;
        if (block)
            result =
                write_piece(&piece, &copy, block, done, n, last && blocking, last ? event : &after);
        if (before)
            clReleaseEvent(before);
        /* Each piece waits for the one before, so that the last one's end is that of all, in any
         * queue. */
        before = after;
        piece.events = &before;
        piece.num_events = 1;
        done += n;
    }
    if (before)
        clReleaseEvent(before);
    return result;
}

cl_int wh_opencl_write(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                       bool blocking, cl_event *event)
{
    size_t span = (copy->depth - 1) * copy->memory_slice + (copy->height - 1) * copy->memory_row +
                  copy->width;
    wh_transfer_settle_range(wh_opencl_session(), copy->memory, span);
    const struct wh_block *block =
        is_linear(t) && blocking && size > WH_STAGE ? NULL : wh_opencl_stage(size, 256);
    if (block)
        return write_piece(t, copy, block, 0, size, blocking, event);
    return is_linear(t) ? write_pieces(t, copy->memory, size, blocking, event)
                        : CL_MEM_OBJECT_ALLOCATION_FAILURE;
}

/* ---- buffers ---- */

/* Whether the storage is all that there is of the buffer, and no error is left to find. */
static bool is_in_place(const struct wh_cl_transfer *t, const struct wh_cl_mem *mem)
{
    struct wh_object *queue = wh_opencl_object(t->queue, WH_OPENCL_TYPE_cl_command_queue);
    struct wh_object *context = wh_opencl_context_of(queue);
    return mem->storage && !mem->parent && context && t->num_events == 0 && !t->events &&
           context == wh_opencl_context_of((struct wh_object *)(void *)t->mem) &&
           (wh_opencl_storage((cl_context)(void *)context) & WH_STORAGE_IN_PLACE);
}

/*
 * Whether the bytes may be moved here and now: nothing that the command had to wait for is under
 * way, or it is to be waited for in any case; and no other thread can send one that had to wait for
 * this. Not if the event would tell how long the device took.
 */
static bool may_move(const struct wh_cl_transfer *t, const struct wh_cl_mem *mem, bool blocking,
                     const cl_event *event)
{
    return is_in_place(t, mem) && wh_client_is_alone(wh_opencl_session()) &&
           (wh_opencl_queue_is_still(t->queue) ||
            (blocking && !wh_opencl_queue_has(t->queue, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE))) &&
           !(event && wh_opencl_queue_has(t->queue, CL_QUEUE_PROFILING_ENABLE));
}

/* The command without the device: a wait for the queue, unless it is still, and one copy. */
static cl_int move(const struct wh_cl_transfer *t, const struct wh_cl_mem *mem, void *memory,
                   size_t size, bool blocking, cl_event *event)
{
    bool reads = t->kind == WH_CL_READ_BUFFER;
    uint8_t *storage = mem->storage + t->offset;
    cl_int result = clFinish(t->queue);
    if (result != CL_SUCCESS)
        return result;
    wh_bulk_copy(reads ? memory : storage, reads ? storage : memory, size);
    atomic_fetch_add_explicit(&wh_session_stats(wh_opencl_session())->shared_bytes, size,
                              memory_order_relaxed);
    if (!event)
        return CL_SUCCESS;
    result = clEnqueueMarkerWithWaitList(t->queue, 0, NULL, event);
    if (result == CL_SUCCESS && blocking)
        result = clWaitForEvents(1, event);
    return wh_opencl_typed(result, event, reads ? CL_COMMAND_READ_BUFFER : CL_COMMAND_WRITE_BUFFER);
}

/* Whether a direct copy between the program's memory and shared storage is possible. */
static bool is_direct(const struct wh_cl_mem *mem, cl_bool blocking, size_t size)
{
    return blocking && size >= DIRECT_LEAST && mem->storage;
}

/* The queue's word on when the storage may be touched is a map; nothing moves by it. */
static cl_int direct(const struct wh_cl_transfer *t, const struct wh_cl_mem *mem, void *memory,
                     size_t size, cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    bool reads = t->kind == WH_CL_READ_BUFFER;
    uint8_t *storage = mem->storage + t->offset;
    cl_event mapped = NULL;
    cl_int result = wh_opencl_call_map_buffer(
        t->queue, t->mem, CL_TRUE, reads ? CL_MAP_READ : CL_MAP_WRITE, t->offset, size, WH_NO_TOKEN,
        t->num_events, t->events, reads && event ? &mapped : NULL);
    if (result != CL_SUCCESS)
        return result;
    memcpy(reads ? memory : storage, reads ? storage : memory, size);
    atomic_fetch_add_explicit(&wh_session_stats(session)->shared_bytes, size, memory_order_relaxed);
    struct wh_cl_transfer last = {.queue = t->queue, .mem = t->mem};
    result = wh_opencl_unmap_storage(&last, mem, storage, reads || !event ? NULL : &mapped);
    if (result == CL_SUCCESS && !reads && event)
        result = clWaitForEvents(1, &mapped);
    if (event)
        *event = mapped;
    return result;
}

WH_EXPORT cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                     size_t offset, size_t size, void *ptr, cl_uint num_events,
                                     const cl_event *events, cl_event *event)
{
    struct wh_cl_mem *mem = wh_opencl_mem(buffer);
    if (mem && (!ptr || !in_bounds(mem, offset, size)))
        return CL_INVALID_VALUE;
    /* The library's own refusals: nothing is read. */
    if (!mem || size == 0 || !queue)
        return wh_opencl_call_read_small(queue, buffer, offset, 0, ptr, num_events, events, event);
    if (!host_may(mem, true))
        return CL_INVALID_OPERATION;
    struct wh_cl_transfer t = {.kind = WH_CL_READ_BUFFER,
                               .queue = queue,
                               .mem = buffer,
                               .offset = offset,
                               .num_events = num_events,
                               .events = events};
    if (may_move(&t, mem, blocking, event))
        return move(&t, mem, ptr, size, blocking, event);
    if (blocking && size <= WH_INLINE_READ)
        return wh_opencl_call_read_small(queue, buffer, offset, size, ptr, num_events, events,
                                         event);
    struct wh_copy copy = plain_copy(ptr, size);
    if (is_direct(mem, blocking, size))
        return wh_opencl_typed(direct(&t, mem, ptr, size, event), event, CL_COMMAND_READ_BUFFER);
    return blocking ? wh_opencl_read_now(&t, &copy, size, event)
                    : wh_opencl_read_later(&t, &copy, size, event);
}

static cl_int write_small(cl_command_queue queue, cl_mem buffer, size_t offset, size_t size,
                          const void *ptr, cl_bool blocking, cl_uint num_events,
                          const cl_event *events, cl_event *event)
{
    if (blocking || !surely_writes(queue, buffer, num_events, events))
        return wh_opencl_call_write_small(queue, buffer, offset, size, ptr, blocking, num_events,
                                          events, event);
    uint64_t a[] = {(uintptr_t)queue, (uintptr_t)buffer, offset,          size, (uintptr_t)ptr, 0,
                    num_events,       (uintptr_t)events, (uintptr_t)event};
    return (cl_int)wh_client_post(wh_opencl_session(),
                                  wh_opencl_call_desc(WH_OPENCL_wh_write_small), a);
}

WH_EXPORT cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                      size_t offset, size_t size, const void *ptr,
                                      cl_uint num_events, const cl_event *events, cl_event *event)
{
    struct wh_cl_mem *mem = wh_opencl_mem(buffer);
    if (mem && (!ptr || !in_bounds(mem, offset, size)))
        return CL_INVALID_VALUE;
    if (!mem || size == 0 || !queue)
        return wh_opencl_call_write_small(queue, buffer, offset, 0, ptr, blocking, num_events,
                                          events, event);
    if (!host_may(mem, false))
        return CL_INVALID_OPERATION;
    /* A blocking write is waited for even though its bytes are taken at once: in an in-order queue
     * its return tells the program that everything before it is complete. */
    wh_transfer_settle_range(wh_opencl_session(), ptr, size);
    struct wh_cl_transfer t = {.kind = WH_CL_WRITE_BUFFER,
                               .queue = queue,
                               .mem = buffer,
                               .offset = offset,
                               .num_events = num_events,
                               .events = events};
    if (may_move(&t, mem, blocking, event))
        return move(&t, mem, (void *)(uintptr_t)ptr, size, blocking, event);
    if (size <= WH_INLINE_WRITE)
        return write_small(queue, buffer, offset, size, ptr, blocking, num_events, events, event);
    struct wh_copy copy = plain_copy((void *)(uintptr_t)ptr, size);
    if (is_direct(mem, blocking, size))
        return wh_opencl_typed(direct(&t, mem, (void *)(uintptr_t)ptr, size, event), event,
                               CL_COMMAND_WRITE_BUFFER);
    return wh_opencl_write(&t, &copy, size, blocking, event);
}

cl_int wh_opencl_fill_buffer(cl_context context, cl_mem mem, const void *bytes, size_t size)
{
    cl_device_id device = NULL;
    cl_int result;
    cl_device_id devices[64];
    result = clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof(devices), devices, NULL);
    device = devices[0];
    cl_command_queue queue =
        result == CL_SUCCESS ? clCreateCommandQueue(context, device, 0, &result) : NULL;
    if (!queue)
        return result;
    struct wh_cl_transfer t = {.kind = WH_CL_WRITE_BUFFER, .queue = queue, .mem = mem};
    result = write_pieces(&t, bytes, size, true, NULL);
    clReleaseCommandQueue(queue);
    return result;
}

/* ---- rectangles ---- */

/* The program's side of a rectangle; false when the pitches are impossible (OpenCL 3.0,
 * section 5.2.2). */
static bool lay_out_rect(struct wh_copy *copy, const size_t *origin, const size_t *region,
                         size_t row, size_t slice, uint8_t *memory)
{
    if (!origin || !region || !memory || !region[0] || !region[1] || !region[2])
        return false;
    row = row ? row : region[0];
    if (row < region[0])
        return false;
    if (slice && (slice < row * region[1] || slice % row))
        return false;
    slice = slice ? slice : row * region[1];
    *copy = (struct wh_copy){.memory = memory + origin[2] * slice + origin[1] * row + origin[0],
                             .width = region[0],
                             .height = region[1],
                             .depth = region[2],
                             .memory_row = row,
                             .memory_slice = slice,
                             .arena_row = region[0],
                             .arena_slice = region[0] * region[1]};
    return true;
}

/* Whether the rectangle can lie in the buffer, so that its payload has a sane size. */
static bool rect_fits(const struct wh_cl_mem *mem, const size_t *region)
{
    size_t n;
    return !__builtin_mul_overflow(region[0], region[1], &n) &&
           !__builtin_mul_overflow(n, region[2], &n) && n <= mem->size;
}

static cl_int rect(enum wh_cl_transfer_kind kind, cl_command_queue queue, cl_mem buffer,
                   cl_bool blocking, const size_t *buffer_origin, const size_t *host_origin,
                   const size_t *region, const size_t pitch[4], void *ptr, cl_uint num_events,
                   const cl_event *events, cl_event *event)
{
    struct wh_cl_mem *mem = wh_opencl_mem(buffer);
    struct wh_copy copy;
    if (!queue)
        return CL_INVALID_COMMAND_QUEUE;
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    if (!host_may(mem, kind == WH_CL_READ_RECT))
        return CL_INVALID_OPERATION;
    if (!buffer_origin || !lay_out_rect(&copy, host_origin, region, pitch[2], pitch[3], ptr) ||
        !rect_fits(mem, region))
        return CL_INVALID_VALUE;
    struct wh_cl_transfer t = {.kind = kind,
                               .queue = queue,
                               .mem = buffer,
                               .row_pitch = pitch[0],
                               .slice_pitch = pitch[1],
                               .num_events = num_events,
                               .events = events};
    memcpy(t.origin, buffer_origin, sizeof(t.origin));
    memcpy(t.region, region, sizeof(t.region));
    size_t size = region[0] * region[1] * region[2];
    if (kind == WH_CL_WRITE_RECT)
        return wh_opencl_write(&t, &copy, size, blocking, event);
    return blocking ? wh_opencl_read_now(&t, &copy, size, event)
                    : wh_opencl_read_later(&t, &copy, size, event);
}

WH_EXPORT cl_int clEnqueueReadBufferRect(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                         const size_t *buffer_origin, const size_t *host_origin,
                                         const size_t *region, size_t buffer_row_pitch,
                                         size_t buffer_slice_pitch, size_t host_row_pitch,
                                         size_t host_slice_pitch, void *ptr, cl_uint num_events,
                                         const cl_event *events, cl_event *event)
{
    const size_t pitch[4] = {buffer_row_pitch, buffer_slice_pitch, host_row_pitch,
                             host_slice_pitch};
    return rect(WH_CL_READ_RECT, queue, buffer, blocking, buffer_origin, host_origin, region, pitch,
                ptr, num_events, events, event);
}

WH_EXPORT cl_int clEnqueueWriteBufferRect(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                          const size_t *buffer_origin, const size_t *host_origin,
                                          const size_t *region, size_t buffer_row_pitch,
                                          size_t buffer_slice_pitch, size_t host_row_pitch,
                                          size_t host_slice_pitch, const void *ptr,
                                          cl_uint num_events, const cl_event *events,
                                          cl_event *event)
{
    const size_t pitch[4] = {buffer_row_pitch, buffer_slice_pitch, host_row_pitch,
                             host_slice_pitch};
    return rect(WH_CL_WRITE_RECT, queue, buffer, blocking, buffer_origin, host_origin, region,
                pitch, (void *)(uintptr_t)ptr, num_events, events, event);
}

/* ---- images ---- */

bool wh_opencl_lay_out_image(const struct wh_cl_mem *image, const size_t *region, size_t row,
                             size_t slice, uint8_t *memory, struct wh_copy *copy, size_t *size)
{
    size_t width;
    if (!region || !memory || __builtin_mul_overflow(image->pixel, region[0], &width) ||
        __builtin_mul_overflow(width, region[1], size) ||
        __builtin_mul_overflow(*size, region[2], size) || *size == 0 || (row && row < width))
        return false;
    row = row ? row : width;
    /* Layers of a 1D array are told apart by the slice pitch (OpenCL 3.0, section 5.3.3). */
    bool lines = image->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
    if (slice && slice < (lines ? row : row * region[1]))
        return false;
    if (lines)
        row = slice ? slice : row;
    slice = slice && !lines ? slice : row * region[1];
    *copy = (struct wh_copy){.memory = memory,
                             .width = width,
                             .height = region[1],
                             .depth = region[2],
                             .memory_row = row,
                             .memory_slice = slice,
                             .arena_row = width,
                             .arena_slice = width * region[1]};
    return true;
}

static cl_int image_transfer(enum wh_cl_transfer_kind kind, cl_command_queue queue, cl_mem image,
                             cl_bool blocking, const size_t *origin, const size_t *region,
                             size_t row, size_t slice, void *ptr, cl_uint num_events,
                             const cl_event *events, cl_event *event)
{
    struct wh_cl_mem *mem = wh_opencl_mem(image);
    struct wh_copy copy;
    size_t size;
    if (!queue)
        return CL_INVALID_COMMAND_QUEUE;
    if (!mem || !mem->is_image)
        return CL_INVALID_MEM_OBJECT;
    if (!host_may(mem, kind == WH_CL_READ_IMAGE))
        return CL_INVALID_OPERATION;
    if (!origin || !wh_opencl_lay_out_image(mem, region, row, slice, ptr, &copy, &size))
        return CL_INVALID_VALUE;
    struct wh_cl_transfer t = {
        .kind = kind, .queue = queue, .mem = image, .num_events = num_events, .events = events};
    memcpy(t.origin, origin, sizeof(t.origin));
    memcpy(t.region, region, sizeof(t.region));
    if (kind == WH_CL_WRITE_IMAGE)
        return wh_opencl_write(&t, &copy, size, blocking, event);
    return blocking ? wh_opencl_read_now(&t, &copy, size, event)
                    : wh_opencl_read_later(&t, &copy, size, event);
}

WH_EXPORT cl_int clEnqueueReadImage(cl_command_queue queue, cl_mem image, cl_bool blocking,
                                    const size_t *origin, const size_t *region, size_t row_pitch,
                                    size_t slice_pitch, void *ptr, cl_uint num_events,
                                    const cl_event *events, cl_event *event)
{
    return image_transfer(WH_CL_READ_IMAGE, queue, image, blocking, origin, region, row_pitch,
                          slice_pitch, ptr, num_events, events, event);
}

WH_EXPORT cl_int clEnqueueWriteImage(cl_command_queue queue, cl_mem image, cl_bool blocking,
                                     const size_t *origin, const size_t *region, size_t row_pitch,
                                     size_t slice_pitch, const void *ptr, cl_uint num_events,
                                     const cl_event *events, cl_event *event)
{
    return image_transfer(WH_CL_WRITE_IMAGE, queue, image, blocking, origin, region, row_pitch,
                          slice_pitch, (void *)(uintptr_t)ptr, num_events, events, event);
}
