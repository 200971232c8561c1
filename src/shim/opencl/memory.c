/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers, images and their queries. A buffer that the library may allocate where the host reaches
 * it lives in the session's arena: mapping it moves nothing.
 */
#include "shim/opencl/shim.h"

#include "backend/opencl/image.h"

#include <stdlib.h>

#define HOST_RIGHTS \
    ((cl_mem_flags)(CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS))
#define STAGE_ROUNDS 100 /* waits of 20 ms at most, for a block of the arena */
#define HOST_POINTER_FLAGS \
    ((cl_mem_flags)(CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR))

int wh_opencl_storage(cl_context context)
{
    struct wh_cl_context *state = wh_opencl_context(context);
    cl_uint how = 0;
    if (!state)
        return 0;
    int known = atomic_load_explicit(&state->storage, memory_order_relaxed);
    if (known < 0) {
        if (wh_opencl_call_context_storage(context, &how) != CL_SUCCESS)
            how = 0;
        known = (int)how;
        atomic_store_explicit(&state->storage, known, memory_order_relaxed);
    }
    return known;
}

const struct wh_block *wh_opencl_stage(size_t size, size_t align)
{
    struct wh_session *session = wh_opencl_session();
    struct wh_arena *arena = wh_session_arena(session);
    const struct wh_block *block = wh_arena_allocate(arena, size, align);
    if (block)
        return block;
    /* Blocks come back with finished transfers and with what the worker has let go of. One that
     * waits for something that only this thread will do never finishes: the patience has an end. */
    cl_uint n;
    wh_opencl_call_clGetPlatformIDs(0, NULL, &n);
    wh_transfer_sweep(session);
    block = wh_arena_allocate(arena, size, align);
    for (int round = 0; !block && round < STAGE_ROUNDS && wh_transfer_wait_any(session); round++)
        block = wh_arena_allocate(arena, size, align);
    return block;
}

static struct wh_cl_mem *new_state(cl_mem_flags flags, size_t size)
{
    struct wh_cl_mem *state = calloc(1, sizeof(*state));
    if (!state)
        return NULL;
    state->flags = flags;
    state->size = size;
    pthread_mutex_init(&state->lock, NULL);
    return state;
}

void wh_opencl_forget_mem(struct wh_cl_mem *state)
{
    struct wh_session *session = wh_opencl_session();
    while (state->maps) {
        struct wh_cl_map *next = state->maps->next;
        wh_transfer_hand_over(session, state->maps->reading, state->maps->block);
        free(state->maps);
        state->maps = next;
    }
    pthread_mutex_destroy(&state->lock);
    free(state->properties);
}

/*
 * Flags for the library: staging must be able to read what the host may only write, so the host's
 * rights are kept by us, for everything that is staged. What contradicts itself is left for the
 * library to refuse.
 */
static cl_mem_flags without_host_rights(cl_mem_flags flags)
{
    cl_mem_flags rights = flags & HOST_RIGHTS;
    return rights & (rights - 1) ? flags : flags & ~HOST_RIGHTS;
}

/* The rules that tie host_ptr to flags (OpenCL 3.0, section 5.2.1). */
static cl_int check_host_pointer(cl_mem_flags flags, const void *host_ptr)
{
    bool wants = (flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0;
    if ((flags & CL_MEM_USE_HOST_PTR) && (flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)))
        return CL_INVALID_VALUE;
    return wants == (host_ptr != NULL) ? CL_SUCCESS : CL_INVALID_HOST_PTR;
}

/* Hands a new memory object its state; without memory for it the object is given up. */
static cl_mem adopt(cl_mem mem, struct wh_cl_mem *state, cl_int *errcode_ret)
{
    if (mem && state) {
        ((struct wh_object *)(void *)mem)->extra = state;
        return mem;
    }
    if (mem) {
        clReleaseMemObject(mem);
        wh_opencl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    }
    if (state) {
        wh_opencl_forget_mem(state);
        free(state);
    }
    return NULL;
}

/* ---- buffers ---- */

/* A buffer over `block` of the arena, which is released when the worker's library has let go of it.
 */
static cl_mem create_over_block(cl_context context, struct wh_cl_mem *state, const void *host_ptr,
                                const struct wh_block *block, cl_int *errcode_ret)
{
    struct wh_session *session = wh_opencl_session();
    struct wh_cl_notice notice = {.kind = WH_CL_NOTICE_STORAGE, .storage.block = block};
    uint8_t *bytes = wh_arena_address(wh_session_arena(session), block);
    uint64_t token = wh_opencl_notice_add(&notice, false);
    cl_mem mem = NULL;
    if (host_ptr)
        memcpy(bytes, host_ptr, state->size);
    if (token)
        mem = wh_opencl_call_create_shared_buffer(context, state->flags, state->size, block->offset,
                                                  token, errcode_ret);
    if (mem) {
        state->storage = bytes;
        atomic_fetch_add_explicit(&wh_session_stats(session)->shared_bytes, state->size,
                                  memory_order_relaxed);
        return mem;
    }
    wh_opencl_notice_cancel(token);
    wh_arena_release(wh_session_arena(session), block);
    return token ? NULL : wh_opencl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
}

/* A buffer in the library's own memory. */
static cl_mem create_private(cl_context context, const struct wh_cl_mem *state,
                             const void *host_ptr, cl_int *errcode_ret)
{
    cl_mem_flags flags = without_host_rights(state->flags);
    struct wh_session *session = wh_opencl_session();
    if (!host_ptr)
        return wh_opencl_call_create_buffer(context, flags, state->size, errcode_ret);
    const struct wh_block *block = wh_opencl_stage(state->size, 256);
    if (block) {
        memcpy(wh_arena_address(wh_session_arena(session), block), host_ptr, state->size);
        cl_mem mem = wh_opencl_call_create_filled_buffer(context, flags, state->size, block->offset,
                                                         errcode_ret);
        wh_arena_release(wh_session_arena(session), block);
        return mem;
    }
    cl_mem mem = wh_opencl_call_create_buffer(context, flags, state->size, errcode_ret);
    cl_int error = mem ? wh_opencl_fill_buffer(context, mem, host_ptr, state->size) : CL_SUCCESS;
    if (error == CL_SUCCESS)
        return mem;
    clReleaseMemObject(mem);
    return wh_opencl_fail(errcode_ret, error);
}

/* The largest buffer that any device of the context takes; what is larger gets the library's own
 * refusal. */
static bool may_share(cl_context context, const struct wh_cl_mem *state)
{
    int how = wh_opencl_storage(context) & 3;
    return state->size > 0 && (how == 2 || (how == 1 && (state->flags & CL_MEM_ALLOC_HOST_PTR)));
}

/* A buffer over shared virtual memory: the very bytes, at the very address. NULL without an error:
 * not possible. */
static cl_mem create_over_svm(cl_context context, struct wh_cl_mem *state, cl_int *error)
{
    bool shared;
    size_t room = wh_opencl_svm_room(state->host, &shared);
    *error = CL_SUCCESS;
    state->has_svm = room > 0;
    if (state->has_svm && state->size > room)
        *error = CL_INVALID_BUFFER_SIZE;
    if (*error != CL_SUCCESS || !shared)
        return NULL;
    cl_mem mem = wh_opencl_call_create_svm_buffer(context, state->flags, state->size,
                                                  (uintptr_t)state->host, error);
    state->storage = mem ? state->host : NULL;
    state->over_svm = mem != NULL;
    return mem;
}

/* Where the buffer's bytes shall lie. */
static cl_mem place_buffer(cl_context context, struct wh_cl_mem *state, void *host_ptr,
                           cl_int *errcode_ret)
{
    const struct wh_block *block = NULL;
    cl_int error = CL_SUCCESS;
    if (state->size == 0) /* the library refuses it in its own way */
        return wh_opencl_call_create_buffer(context, state->flags, 0, errcode_ret);
    cl_mem mem = state->host ? create_over_svm(context, state, &error) : NULL;
    if (mem || error != CL_SUCCESS) {
        if (errcode_ret)
            *errcode_ret = error;
        return mem;
    }
    if (may_share(context, state))
        block = wh_opencl_stage(state->size, state->size < 4096 ? 256 : 4096);
    return block ? create_over_block(context, state, host_ptr, block, errcode_ret)
                 : create_private(context, state, host_ptr, errcode_ret);
}

static cl_mem create_buffer(cl_context context, cl_mem_flags flags, size_t size, void *host_ptr,
                            cl_int *errcode_ret)
{
    struct wh_cl_mem *state = new_state(flags, size);
    if (!state)
        return wh_opencl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    state->host = flags & CL_MEM_USE_HOST_PTR ? host_ptr : NULL;
    return adopt(place_buffer(context, state, host_ptr, errcode_ret), state, errcode_ret);
}

WH_EXPORT cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host_ptr,
                                cl_int *errcode_ret)
{
    if (!wh_opencl_object(context, WH_OPENCL_TYPE_cl_context))
        return wh_opencl_fail(errcode_ret, CL_INVALID_CONTEXT);
    cl_int error = check_host_pointer(flags, host_ptr);
    if (error != CL_SUCCESS)
        return wh_opencl_fail(errcode_ret, size == 0 ? CL_INVALID_BUFFER_SIZE : error);
    return create_buffer(context, flags, size, host_ptr, errcode_ret);
}

/* Remembers a property list for CL_MEM_PROPERTIES. Only the empty list is known to core OpenCL 3.0.
 */
static cl_mem keep_properties(cl_mem mem, const cl_mem_properties *properties)
{
    struct wh_cl_mem *state = wh_opencl_mem(mem);
    if (state && properties) {
        state->properties = calloc(1, sizeof(*properties));
        state->nproperties = state->properties ? 1 : 0;
    }
    return mem;
}

WH_EXPORT cl_mem clCreateBufferWithProperties(cl_context context,
                                              const cl_mem_properties *properties,
                                              cl_mem_flags flags, size_t size, void *host_ptr,
                                              cl_int *errcode_ret)
{
    if (properties && properties[0])
        return wh_opencl_fail(errcode_ret, wh_opencl_object(context, WH_OPENCL_TYPE_cl_context)
                                               ? CL_INVALID_PROPERTY
                                               : CL_INVALID_CONTEXT);
    return keep_properties(clCreateBuffer(context, flags, size, host_ptr, errcode_ret), properties);
}

/* Whether a sub-buffer's flags give the host a right that the buffer does not (OpenCL 3.0,
 * section 5.2.1). */
static bool widens_rights(cl_mem_flags buffer, cl_mem_flags sub)
{
    return ((buffer & CL_MEM_HOST_WRITE_ONLY) && (sub & CL_MEM_HOST_READ_ONLY)) ||
           ((buffer & CL_MEM_HOST_READ_ONLY) && (sub & CL_MEM_HOST_WRITE_ONLY)) ||
           ((buffer & CL_MEM_HOST_NO_ACCESS) &&
            (sub & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY)));
}

WH_EXPORT cl_mem clCreateSubBuffer(cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type,
                                   const void *info, cl_int *errcode_ret)
{
    struct wh_cl_mem *parent = wh_opencl_mem(buffer);
    const cl_buffer_region *region = info;
    if (parent && widens_rights(parent->flags, flags))
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    cl_mem mem = wh_opencl_call_clCreateSubBuffer(buffer, flags, type, info, errcode_ret);
    if (!mem || !parent)
        return mem;
    cl_mem_flags inherited = parent->flags & HOST_POINTER_FLAGS;
    if (!(flags & HOST_RIGHTS))
        inherited |= parent->flags & HOST_RIGHTS;
    struct wh_cl_mem *state = new_state(flags | inherited, region->size);
    if (state) {
        state->parent = (struct wh_object *)(void *)buffer;
        state->storage = parent->storage ? parent->storage + region->origin : NULL;
        state->host = parent->host ? parent->host + region->origin : NULL;
        state->has_svm = parent->has_svm;
        state->over_svm = parent->over_svm;
    }
    return adopt(mem, state, errcode_ret);
}

WH_EXPORT cl_mem clCreatePipe(cl_context context, cl_mem_flags flags, cl_uint packet_size,
                              cl_uint max_packets, const cl_pipe_properties *properties,
                              cl_int *errcode_ret)
{
    if (properties && properties[0])
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    cl_mem mem = wh_opencl_call_create_pipe(context, flags, packet_size, max_packets, errcode_ret);
    return mem ? adopt(mem, new_state(flags, 0), errcode_ret) : NULL;
}

/* ---- images ---- */

static cl_mem create_image(cl_context context, struct wh_cl_mem *state,
                           const cl_image_format *format, const cl_image_desc *desc,
                           const void *host_ptr, cl_int *errcode_ret)
{
    struct wh_session *session = wh_opencl_session();
    struct wh_opencl_host_image host;
    bool described = format && desc && wh_opencl_host_image(format, desc, &host);
    state->is_image = true;
    state->pixel = format ? wh_opencl_pixel_size(format) : 0;
    state->image_type = desc ? desc->image_type : 0;
    if (!host_ptr || !described) /* without data, or the library says what is wrong */
        return wh_opencl_call_create_image(context, without_host_rights(state->flags), format, desc,
                                           errcode_ret);
    state->host_row = host.row;
    state->host_slice = host.slice;
    const struct wh_block *block = wh_opencl_stage(host.size, 256);
    if (!block)
        return wh_opencl_fail(errcode_ret, CL_MEM_OBJECT_ALLOCATION_FAILURE);
    memcpy(wh_arena_address(wh_session_arena(session), block), host_ptr, host.size);
    cl_mem mem =
        wh_opencl_call_create_filled_image(context, without_host_rights(state->flags), format, desc,
                                           host.size, block->offset, errcode_ret);
    wh_arena_release(wh_session_arena(session), block);
    return mem;
}

WH_EXPORT cl_mem clCreateImage(cl_context context, cl_mem_flags flags,
                               const cl_image_format *format, const cl_image_desc *desc,
                               void *host_ptr, cl_int *errcode_ret)
{
    if (!wh_opencl_object(context, WH_OPENCL_TYPE_cl_context))
        return wh_opencl_fail(errcode_ret, CL_INVALID_CONTEXT);
    cl_int error = check_host_pointer(flags, host_ptr);
    bool over_memory = desc && desc->mem_object;
    if (error != CL_SUCCESS && !over_memory)
        return wh_opencl_fail(errcode_ret, error);
    struct wh_cl_mem *state = new_state(flags, 0);
    if (!state)
        return wh_opencl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    state->host = flags & CL_MEM_USE_HOST_PTR ? host_ptr : NULL;
    cl_mem mem = create_image(context, state, format, desc, host_ptr, errcode_ret);
    struct wh_object *base =
        mem && over_memory ? wh_opencl_object(desc->mem_object, WH_OPENCL_TYPE_cl_mem) : NULL;
    mem = adopt(mem, state, errcode_ret);
    if (mem && base) { /* the image keeps what it lies over; that one keeps the context */
        struct wh_object *object = (struct wh_object *)(void *)mem;
        struct wh_object *old = object->parent;
        wh_object_pin(base);
        object->parent = base;
        wh_object_unpin(old);
    }
    return mem;
}

WH_EXPORT cl_mem clCreateImageWithProperties(cl_context context,
                                             const cl_mem_properties *properties,
                                             cl_mem_flags flags, const cl_image_format *format,
                                             const cl_image_desc *desc, void *host_ptr,
                                             cl_int *errcode_ret)
{
    if (properties && properties[0])
        return wh_opencl_fail(errcode_ret, wh_opencl_object(context, WH_OPENCL_TYPE_cl_context)
                                               ? CL_INVALID_PROPERTY
                                               : CL_INVALID_CONTEXT);
    return keep_properties(clCreateImage(context, flags, format, desc, host_ptr, errcode_ret),
                           properties);
}

WH_EXPORT cl_mem clCreateImage2D(cl_context context, cl_mem_flags flags,
                                 const cl_image_format *format, size_t width, size_t height,
                                 size_t row_pitch, void *host_ptr, cl_int *errcode_ret)
{
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D,
                          .image_width = width,
                          .image_height = height,
                          .image_row_pitch = row_pitch};
    return clCreateImage(context, flags, format, &desc, host_ptr, errcode_ret);
}

WH_EXPORT cl_mem clCreateImage3D(cl_context context, cl_mem_flags flags,
                                 const cl_image_format *format, size_t width, size_t height,
                                 size_t depth, size_t row_pitch, size_t slice_pitch, void *host_ptr,
                                 cl_int *errcode_ret)
{
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE3D,
                          .image_width = width,
                          .image_height = height,
                          .image_depth = depth,
                          .image_row_pitch = row_pitch,
                          .image_slice_pitch = slice_pitch};
    return clCreateImage(context, flags, format, &desc, host_ptr, errcode_ret);
}

/* The library fills as many formats as it has; what lies behind them in the program's array stays
 * untouched. */
WH_EXPORT cl_int clGetSupportedImageFormats(cl_context context, cl_mem_flags flags,
                                            cl_mem_object_type image_type, cl_uint num_entries,
                                            cl_image_format *formats, cl_uint *num_formats)
{
    cl_uint n = 0;
    if (formats && num_entries == 0 && wh_opencl_object(context, WH_OPENCL_TYPE_cl_context))
        return CL_INVALID_VALUE;
    cl_image_format *copy = formats && num_entries ? calloc(num_entries, sizeof(*copy)) : NULL;
    if (formats && num_entries && !copy)
        return CL_OUT_OF_HOST_MEMORY;
    cl_int result = wh_opencl_call_clGetSupportedImageFormats(
        context, flags, image_type, num_entries, formats ? copy : NULL, &n);
    if (result == CL_SUCCESS && copy)
        memcpy(formats, copy, (n < num_entries ? n : num_entries) * sizeof(*copy));
    if (result == CL_SUCCESS && num_formats)
        *num_formats = n;
    free(copy);
    return result;
}

/* ---- queries ---- */

/* The library knows its own flags; those about host pointers are ours. */
static cl_int get_flags(struct wh_session *session, cl_mem mem, const struct wh_cl_mem *state,
                        size_t size, void *value, size_t *size_ret)
{
    cl_mem_flags flags = 0;
    cl_int result =
        wh_opencl_call_clGetMemObjectInfo(mem, CL_MEM_FLAGS, sizeof(flags), &flags, NULL);
    if (result != CL_SUCCESS)
        return result;
    flags = (flags & ~(HOST_POINTER_FLAGS | HOST_RIGHTS)) |
            (state->flags & (HOST_POINTER_FLAGS | HOST_RIGHTS));
    return wh_client_answer(session, &flags, sizeof(flags), size, value, size_ret);
}

WH_EXPORT cl_int clGetMemObjectInfo(cl_mem mem, cl_mem_info name, size_t size, void *value,
                                    size_t *size_ret)
{
    struct wh_session *session = wh_opencl_session();
    struct wh_cl_mem *state = wh_opencl_mem(mem);
    cl_bool svm;
    if (!state)
        return mem && session ? CL_INVALID_MEM_OBJECT
                              : wh_opencl_call_clGetMemObjectInfo(mem, name, size, value, size_ret);
    switch (name) {
    case CL_MEM_FLAGS:
        return get_flags(session, mem, state, size, value, size_ret);
    case CL_MEM_HOST_PTR:
        return wh_client_answer(session, &state->host, sizeof(state->host), size, value, size_ret);
    case CL_MEM_MAP_COUNT:
        if (state->storage) /* the library counts them itself */
            return wh_opencl_call_clGetMemObjectInfo(mem, name, size, value, size_ret);
        return wh_client_answer(session, &state->nmaps, sizeof(state->nmaps), size, value,
                                size_ret);
    case CL_MEM_USES_SVM_POINTER:
        svm = state->has_svm;
        return wh_client_answer(session, &svm, sizeof(svm), size, value, size_ret);
    case CL_MEM_PROPERTIES:
        return wh_client_answer(session, state->properties,
                                state->nproperties * sizeof(cl_mem_properties), size, value,
                                size_ret);
    default:
        return wh_opencl_call_clGetMemObjectInfo(mem, name, size, value, size_ret);
    }
}
