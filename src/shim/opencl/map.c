/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mapping memory objects. A buffer with shared storage is mapped where it lies; anything else is
 * staged in the arena: read at map, written back at unmap. Memory that the program provided
 * (CL_MEM_USE_HOST_PTR) is mapped at its own address, whatever the storage.
 */
#include "shim/opencl/transfer.h"

#include <stdlib.h>

static void add_map(struct wh_cl_mem *mem, struct wh_cl_map *map)
{
    pthread_mutex_lock(&mem->lock);
    map->next = mem->maps;
    mem->maps = map;
    mem->nmaps++;
    pthread_mutex_unlock(&mem->lock);
}

/* The newest mapping at `pointer`, taken off the list. */
static struct wh_cl_map *take_map(struct wh_cl_mem *mem, const void *pointer)
{
    pthread_mutex_lock(&mem->lock);
    struct wh_cl_map **link = &mem->maps;
    while (*link && (*link)->pointer != pointer)
        link = &(*link)->next;
    struct wh_cl_map *map = *link;
    if (map) {
        *link = map->next;
        mem->nmaps--;
    }
    pthread_mutex_unlock(&mem->lock);
    return map;
}

static bool writes(cl_map_flags flags)
{
    return (flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION)) != 0;
}

/* Maps of buffers whose old contents the program does not want move nothing. An image is read all
 * the same: only the library checks the region. */
static bool wants_contents(cl_map_flags flags, bool is_image)
{
    return is_image || (flags & CL_MAP_WRITE_INVALIDATE_REGION) == 0;
}

static cl_int check_flags(const struct wh_cl_mem *mem, cl_map_flags flags)
{
    if (flags & ~(cl_map_flags)(CL_MAP_READ | CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION))
        return CL_INVALID_VALUE;
    if ((flags & CL_MAP_WRITE_INVALIDATE_REGION) && (flags & (CL_MAP_READ | CL_MAP_WRITE)))
        return CL_INVALID_VALUE;
    if ((flags & CL_MAP_READ) && (mem->flags & (CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS)))
        return CL_INVALID_OPERATION;
    if (writes(flags) && (mem->flags & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS)))
        return CL_INVALID_OPERATION;
    return CL_SUCCESS;
}

/* Nothing to move: the command is a marker in the queue's order. */
static cl_int mark(const struct wh_cl_transfer *t, bool blocking, cl_event *event)
{
    cl_event done = NULL;
    cl_int result = clEnqueueMarkerWithWaitList(t->queue, t->num_events, t->events,
                                                blocking || event ? &done : NULL);
    if (result == CL_SUCCESS && blocking)
        result = clWaitForEvents(1, &done);
    if (event && result == CL_SUCCESS)
        *event = done;
    else if (done)
        clReleaseEvent(done);
    return result;
}

/*
 * Brings the bytes to where the mapping points: into its staging block, or, for the program's own
 * memory, through one into that memory when the command is complete.
 */
static cl_int stage_in(const struct wh_cl_transfer *t, struct wh_cl_map *map, size_t size,
                       bool own_memory, bool blocking, cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    if (own_memory)
        return !wants_contents(map->flags, t->kind == WH_CL_READ_IMAGE) ? mark(t, blocking, event)
               : blocking ? wh_opencl_read_now(t, &map->layout, size, event)
                          : wh_opencl_read_later(t, &map->layout, size, event);
    map->block = wh_opencl_stage(size, 4096);
    if (!map->block)
        return CL_MAP_FAILURE;
    map->pointer = map->layout.memory = wh_arena_address(wh_session_arena(session), map->block);
    if (!wants_contents(map->flags, t->kind == WH_CL_READ_IMAGE)) {
        cl_int result = mark(t, blocking, event);
        if (result != CL_SUCCESS)
            wh_arena_release(wh_session_arena(session), map->block);
        return result;
    }
    /* The program may unmap before the bytes have come: the block must outlive the read. */
    map->reading = blocking ? -1 : wh_transfer_begin(session, NULL, NULL);
    cl_uint token = map->reading < 0 ? WH_NO_TOKEN : WH_TICKET_TOKEN(map->reading);
    cl_int result =
        wh_opencl_send(t, map->block, 0, size, token, blocking || map->reading < 0, event);
    if (result != CL_SUCCESS && map->reading >= 0)
        wh_transfer_cancel(session, map->reading);
    if (result != CL_SUCCESS)
        wh_arena_release(wh_session_arena(session), map->block);
    return result;
}

/* A buffer whose bytes lie in the arena: the library orders the map, nothing moves but into the
 * program's memory. */
static cl_int map_shared(const struct wh_cl_transfer *t, const struct wh_cl_mem *mem,
                         const struct wh_cl_map *map, bool blocking, cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    bool copies =
        mem->host && !mem->over_svm && wants_contents(map->flags, t->kind == WH_CL_READ_IMAGE);
    struct wh_copy copy = map->layout;
    copy.arena = mem->storage + map->offset;
    int64_t ticket = copies ? wh_transfer_begin(session, NULL, &copy) : -1;
    bool late = copies && ticket < 0; /* all tokens are in use: wait for this map */
    cl_int result = wh_opencl_call_map_buffer(
        t->queue, t->mem, blocking || late, map->flags, map->offset, map->size,
        ticket < 0 ? WH_NO_TOKEN : WH_TICKET_TOKEN(ticket), t->num_events, t->events, event);
    if (result == CL_SUCCESS && late)
        wh_copy_to_memory(&map->layout, copy.arena);
    if (result != CL_SUCCESS && ticket >= 0)
        wh_transfer_cancel(session, ticket);
    if (!mem->host)
        atomic_fetch_add_explicit(&wh_session_stats(session)->shared_bytes, map->size,
                                  memory_order_relaxed);
    return result;
}

/* Records a mapping that worked, and reports. */
static void *finish_map(struct wh_cl_mem *mem, struct wh_cl_map *map, cl_int result,
                        cl_int *errcode_ret)
{
    if (errcode_ret)
        *errcode_ret = result;
    if (result != CL_SUCCESS) {
        free(map);
        return NULL;
    }
    add_map(mem, map);
    return map->pointer;
}

WH_EXPORT void *clEnqueueMapBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                   cl_map_flags flags, size_t offset, size_t size,
                                   cl_uint num_events, const cl_event *events, cl_event *event,
                                   cl_int *errcode_ret)
{
    struct wh_cl_mem *mem = wh_opencl_mem(buffer);
    if (!wh_opencl_object(queue, WH_OPENCL_TYPE_cl_command_queue))
        return wh_opencl_fail(errcode_ret, CL_INVALID_COMMAND_QUEUE);
    if (!mem || mem->is_image)
        return wh_opencl_fail(errcode_ret, CL_INVALID_MEM_OBJECT);
    if (size == 0 || offset > mem->size || size > mem->size - offset)
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    cl_int result = check_flags(mem, flags);
    struct wh_cl_map *map = result == CL_SUCCESS ? calloc(1, sizeof(*map)) : NULL;
    if (!map)
        return wh_opencl_fail(errcode_ret, result != CL_SUCCESS ? result : CL_OUT_OF_HOST_MEMORY);
    struct wh_cl_transfer t = {.kind = WH_CL_READ_BUFFER,
                               .queue = queue,
                               .mem = buffer,
                               .offset = offset,
                               .num_events = num_events,
                               .events = events};
    map->flags = flags;
    map->reading = -1;
    map->offset = offset;
    map->size = size;
    map->pointer = mem->host ? mem->host + offset : mem->storage ? mem->storage + offset : NULL;
    map->layout = (struct wh_copy){.memory = map->pointer,
                                   .width = size,
                                   .height = 1,
                                   .depth = 1,
                                   .memory_row = size,
                                   .arena_row = size};
    if (mem->storage)
        result = map_shared(&t, mem, map, blocking, event);
    else
        result = stage_in(&t, map, size, mem->host != NULL, blocking, event);
    return finish_map(mem, map, wh_opencl_typed(result, event, CL_COMMAND_MAP_BUFFER), errcode_ret);
}

static bool has_slices(const struct wh_cl_mem *mem)
{
    return mem->image_type == CL_MEM_OBJECT_IMAGE3D ||
           mem->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY ||
           mem->image_type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
}

/* The pitches of a mapped image: the program's own, or the library's own, as a native map would
 * show. */
static void pitches_of(cl_mem image, const struct wh_cl_mem *mem, size_t *row, size_t *slice)
{
    *row = mem->host_row;
    *slice = mem->host_slice;
    if (mem->host)
        return;
    *row = *slice = 0;
    struct wh_object *context = wh_opencl_context_of((struct wh_object *)(void *)image);
    if (wh_opencl_storage((cl_context)(void *)context) & 4)
        return;
    clGetImageInfo(image, CL_IMAGE_ROW_PITCH, sizeof(*row), row, NULL);
    clGetImageInfo(image, CL_IMAGE_SLICE_PITCH, sizeof(*slice), slice, NULL);
}

/*
 * Lays a map out. Over the program's memory, staging is without gaps and a copy follows; else
 * staging is what the program sees, with the image's pitches. *size is the staging's. False: an
 * empty or impossible region.
 */
static bool lay_out_map(cl_mem image, const struct wh_cl_mem *mem, struct wh_cl_map *map,
                        struct wh_cl_transfer *t, size_t *size)
{
    bool lines = mem->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
    uint8_t *memory = (uint8_t *)map; /* not used for staging, whose address is not known yet */
    size_t row, slice;
    pitches_of(image, mem, &row, &slice);
    if (mem->host)
        memory = mem->host + map->origin[0] * mem->pixel + map->origin[1] * (lines ? slice : row) +
                 map->origin[2] * slice;
    if (!wh_opencl_lay_out_image(mem, map->region, row, has_slices(mem) ? slice : 0, memory,
                                 &map->layout, size))
        return false;
    map->row_pitch = row ? row : map->layout.width;
    map->slice_pitch = has_slices(mem) ? (slice ? slice : map->layout.memory_slice) : 0;
    map->pointer = mem->host ? memory : NULL;
    if (mem->host)
        return true;
    t->row_pitch = map->row_pitch;
    t->slice_pitch = lines || map->region[2] > 1 ? map->slice_pitch : 0;
    size_t step = lines ? map->slice_pitch : map->row_pitch;
    *size = (map->region[2] - 1) * map->slice_pitch + map->region[1] * step;
    return true;
}

WH_EXPORT void *clEnqueueMapImage(cl_command_queue queue, cl_mem image, cl_bool blocking,
                                  cl_map_flags flags, const size_t *origin, const size_t *region,
                                  size_t *row_pitch, size_t *slice_pitch, cl_uint num_events,
                                  const cl_event *events, cl_event *event, cl_int *errcode_ret)
{
    struct wh_cl_mem *mem = wh_opencl_mem(image);
    size_t size;
    if (!wh_opencl_object(queue, WH_OPENCL_TYPE_cl_command_queue))
        return wh_opencl_fail(errcode_ret, CL_INVALID_COMMAND_QUEUE);
    if (!mem || !mem->is_image)
        return wh_opencl_fail(errcode_ret, CL_INVALID_MEM_OBJECT);
    if (!origin || !region || !row_pitch || (!slice_pitch && has_slices(mem)))
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    cl_int result = check_flags(mem, flags);
    struct wh_cl_map *map = result == CL_SUCCESS ? calloc(1, sizeof(*map)) : NULL;
    if (!map)
        return wh_opencl_fail(errcode_ret, result != CL_SUCCESS ? result : CL_OUT_OF_HOST_MEMORY);
    struct wh_cl_transfer t = {.kind = WH_CL_READ_IMAGE,
                               .queue = queue,
                               .mem = image,
                               .num_events = num_events,
                               .events = events};
    map->flags = flags;
    map->reading = -1;
    memcpy(t.origin, origin, sizeof(t.origin));
    memcpy(t.region, region, sizeof(t.region));
    memcpy(map->origin, origin, sizeof(map->origin));
    memcpy(map->region, region, sizeof(map->region));
    result = lay_out_map(image, mem, map, &t, &size)
                 ? stage_in(&t, map, size, mem->host != NULL, blocking, event)
                 : CL_INVALID_VALUE;
    map->size = size;
    if (result == CL_SUCCESS) {
        *row_pitch = map->row_pitch;
        if (slice_pitch)
            *slice_pitch = map->slice_pitch;
    }
    return finish_map(mem, map, wh_opencl_typed(result, event, CL_COMMAND_MAP_IMAGE), errcode_ret);
}

/* ---- unmapping ---- */

cl_int wh_opencl_unmap_storage(const struct wh_cl_transfer *t, const struct wh_cl_mem *mem,
                               const uint8_t *storage, cl_event *event)
{
    const struct wh_channel *channel = wh_session_channel(wh_opencl_session());
    if (mem->over_svm)
        return wh_opencl_call_unmap_svm_buffer(t->queue, t->mem, (uintptr_t)storage, t->num_events,
                                               t->events, event);
    return wh_opencl_call_unmap_buffer(t->queue, t->mem, (uint64_t)(storage - channel->arena),
                                       t->num_events, t->events, event);
}

static cl_int unmap_shared(const struct wh_cl_transfer *t, const struct wh_cl_mem *mem,
                           const struct wh_cl_map *map, cl_event *event)
{
    uint8_t *storage = mem->storage + map->offset;
    if (mem->host && !mem->over_svm && writes(map->flags))
        wh_copy_from_memory(&map->layout, storage);
    return wh_opencl_unmap_storage(t, mem, storage, event);
}

/* Staged bytes go back as a write; the block follows when the device has them. */
static cl_int stage_out(const struct wh_cl_transfer *t, struct wh_cl_map *map, size_t size,
                        cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    if (!writes(map->flags)) {
        cl_int result = mark(t, false, event);
        if (result == CL_SUCCESS)
            wh_transfer_hand_over(session, map->reading, map->block);
        return result;
    }
    if (!map->block)
        return wh_opencl_write(t, &map->layout, size, false, event);
    int64_t ticket = wh_transfer_begin(session, map->block, NULL);
    cl_uint token = ticket >= 0 ? WH_TICKET_TOKEN(ticket) : WH_NO_TOKEN;
    cl_int result = wh_opencl_send(t, map->block, 0, size, token, ticket < 0, event);
    if (result != CL_SUCCESS && ticket >= 0)
        wh_transfer_keep(session, ticket); /* it stays mapped, and the block its */
    else if (result == CL_SUCCESS && ticket < 0)
        wh_arena_release(wh_session_arena(session), map->block);
    return result;
}

WH_EXPORT cl_int clEnqueueUnmapMemObject(cl_command_queue queue, cl_mem memobj, void *ptr,
                                         cl_uint num_events, const cl_event *events,
                                         cl_event *event)
{
    struct wh_cl_mem *mem = wh_opencl_mem(memobj);
    if (!wh_opencl_object(queue, WH_OPENCL_TYPE_cl_command_queue))
        return CL_INVALID_COMMAND_QUEUE;
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    struct wh_cl_map *map = take_map(mem, ptr);
    if (!map)
        return CL_INVALID_VALUE;
    struct wh_cl_transfer t = {.kind = mem->is_image ? WH_CL_WRITE_IMAGE : WH_CL_WRITE_BUFFER,
                               .queue = queue,
                               .mem = memobj,
                               .offset = map->offset,
                               .num_events = num_events,
                               .events = events};
    memcpy(t.origin, map->origin, sizeof(t.origin));
    memcpy(t.region, map->region, sizeof(t.region));
    size_t size = map->size;
    if (mem->is_image && map->block) {
        bool lines = mem->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
        t.row_pitch = map->row_pitch;
        t.slice_pitch = lines || map->region[2] > 1 ? map->slice_pitch : 0;
    }
    cl_int result =
        mem->storage ? unmap_shared(&t, mem, map, event) : stage_out(&t, map, size, event);
    if (result == CL_SUCCESS)
        free(map);
    else
        add_map(mem, map); /* it is still mapped */
    return wh_opencl_typed(result, event, CL_COMMAND_UNMAP_MEM_OBJECT);
}
