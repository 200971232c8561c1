/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels: arguments and launches, the hot path. OpenCL wants errors at once; so a call is posted
 * only when one just like it has succeeded before and nothing that could make a difference has
 * changed since, else it is waited for.
 */
#include "shim/opencl/shim.h"

#include <stdlib.h>

#define MOST_ARGS 256u /* arguments of a kernel that are remembered */
#define SHAPES    256u /* places for launches that were accepted */
#define WAYS      4u   /* where one of them may be */

/* What an argument was when the library last accepted it. */
enum arg_kind { ARG_UNKNOWN, ARG_BYTES, ARG_LOCAL, ARG_MEM, ARG_SAMPLER, ARG_QUEUE, ARG_SVM };

struct arg {
    size_t size;        /* of bytes or local memory */
    cl_mem_flags flags; /* of a memory object: read-only images may not be written, and so on */
    uint8_t kind;
    bool is_image;
};

/* A launch that the library accepted. */
struct shape {
    const struct wh_object *queue;
    cl_uint dimensions;
    bool has_local, has_offset;
    size_t global[3], local[3], offset[3];
};

struct wh_cl_kernel {
    pthread_mutex_t lock;
    struct arg args[MOST_ARGS];
    uint32_t era;  /* shapes of an earlier one say nothing any more */
    unsigned turn; /* which of a shape's places is overwritten next */
    struct {
        uint32_t era;
        struct shape shape;
    } shapes[SHAPES];
};

/* The kernel's state, made on first use; NULL for a handle that is none, or when memory is short:
 * then every call is waited for. */
static struct wh_cl_kernel *kernel_state(cl_kernel kernel)
{
    struct wh_object *object = wh_opencl_object(kernel, WH_OPENCL_TYPE_cl_kernel);
    if (!object || object->extra)
        return object ? object->extra : NULL;
    struct wh_cl_kernel *state = calloc(1, sizeof(*state));
    void *none = NULL;
    if (!state)
        return NULL;
    pthread_mutex_init(&state->lock, NULL);
    if (__atomic_compare_exchange_n(&object->extra, &none, state, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return state;
    free(state);
    return none;
}

WH_EXPORT cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *errcode_ret)
{
    if (!name && wh_opencl_object(program, WH_OPENCL_TYPE_cl_program))
        return wh_opencl_fail(errcode_ret, CL_INVALID_VALUE);
    return wh_opencl_call_clCreateKernel(program, name, errcode_ret);
}

/* ---- arguments ---- */

static bool same_arg(const struct arg *one, const struct arg *two)
{
    return one->kind == two->kind && one->size == two->size && one->flags == two->flags &&
           one->is_image == two->is_image;
}

/*
 * Sends an argument: posted if one like it was accepted in this place before. `a` holds the
 * message's words.
 */
static cl_int set_arg(cl_kernel kernel, cl_uint index, const struct arg *arg, uint16_t message,
                      uint64_t *a)
{
    struct wh_session *session = wh_opencl_session();
    struct wh_cl_kernel *state = kernel_state(kernel);
    const struct wh_call_desc *call = wh_opencl_call_desc(message);
    if (!state || index >= MOST_ARGS)
        return (cl_int)wh_client_call(session, call, a);
    pthread_mutex_lock(&state->lock);
    bool known = same_arg(&state->args[index], arg);
    if (!known)
        state->era++; /* what was launched before says nothing about this kind of argument */
    pthread_mutex_unlock(&state->lock);
    if (known)
        return (cl_int)wh_client_post(session, call, a);
    cl_int result = (cl_int)wh_client_call(session, call, a);
    pthread_mutex_lock(&state->lock);
    state->args[index] = result == CL_SUCCESS ? *arg : (struct arg){0};
    pthread_mutex_unlock(&state->lock);
    return result;
}

static cl_int set_object(cl_kernel kernel, cl_uint index, struct wh_object *object)
{
    uint64_t a[] = {(uintptr_t)kernel, index, (uintptr_t)object};
    struct arg arg = {.kind = ARG_QUEUE, .size = sizeof(void *)};
    uint16_t message = WH_OPENCL_wh_set_arg_queue;
    if (object->type == WH_OPENCL_TYPE_cl_sampler) {
        arg.kind = ARG_SAMPLER;
        message = WH_OPENCL_wh_set_arg_sampler;
    } else if (object->type == WH_OPENCL_TYPE_cl_mem) {
        const struct wh_cl_mem *mem = object->extra;
        arg.kind = ARG_MEM;
        arg.flags =
            mem ? mem->flags & (CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY | CL_MEM_READ_WRITE) : 0;
        arg.is_image = mem && mem->is_image;
        message = WH_OPENCL_wh_set_arg_mem;
    }
    return set_arg(kernel, index, &arg, message, a);
}

/* A value that is one of this session's handles is meant as one. */
static struct wh_object *object_in(size_t size, const void *value)
{
    void *handle;
    if (size != sizeof(handle) || !value)
        return NULL;
    memcpy(&handle, value, sizeof(handle));
    struct wh_object *object = handle ? wh_opencl_object(handle, 0) : NULL;
    bool passable = object && (object->type == WH_OPENCL_TYPE_cl_mem ||
                               object->type == WH_OPENCL_TYPE_cl_sampler ||
                               object->type == WH_OPENCL_TYPE_cl_command_queue);
    return passable ? object : NULL;
}

WH_EXPORT cl_int clSetKernelArg(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    if (!wh_opencl_object(kernel, WH_OPENCL_TYPE_cl_kernel))
        return CL_INVALID_KERNEL;
    struct wh_object *object = object_in(size, value);
    if (object)
        return set_object(kernel, index, object);
    if (value &&
        size > WH_MESSAGE_MAX / 2) /* no device takes an argument like that; it is not looked at */
        return CL_INVALID_ARG_SIZE;
    struct arg arg = {.kind = value ? ARG_BYTES : ARG_LOCAL, .size = size};
    uint64_t a[] = {(uintptr_t)kernel, index, size, (uintptr_t)value};
    return set_arg(kernel, index, &arg, WH_OPENCL_wh_set_arg_bytes, a);
}

WH_EXPORT cl_int clSetKernelArgSVMPointer(cl_kernel kernel, cl_uint index, const void *value)
{
    if (!wh_opencl_object(kernel, WH_OPENCL_TYPE_cl_kernel))
        return CL_INVALID_KERNEL;
    struct arg arg = {.kind = ARG_SVM, .flags = wh_opencl_is_svm(value)};
    uint64_t a[] = {(uintptr_t)kernel, index, (uintptr_t)value};
    return set_arg(kernel, index, &arg, WH_OPENCL_wh_set_arg_svm, a);
}

WH_EXPORT cl_int clSetKernelExecInfo(cl_kernel kernel, cl_kernel_exec_info name, size_t size,
                                     const void *value)
{
    cl_uint flag;
    if (!wh_opencl_object(kernel, WH_OPENCL_TYPE_cl_kernel))
        return CL_INVALID_KERNEL;
    if (name == CL_KERNEL_EXEC_INFO_SVM_PTRS) { /* none is a list too */
        if (size % sizeof(void *))
            return CL_INVALID_VALUE;
        return wh_opencl_call_set_exec_pointers(kernel, (cl_uint)(size / sizeof(void *)), value);
    }
    if (!value || size != sizeof(flag))
        return CL_INVALID_VALUE;
    memcpy(&flag, value, sizeof(flag));
    return wh_opencl_call_set_exec_flag(kernel, name, flag);
}

/* ---- launches ---- */

/* The launch as a shape; false when it is odd enough for the library to judge. */
static bool shape_of(struct shape *shape, cl_command_queue queue, cl_uint dimensions,
                     const size_t *offset, const size_t *global, const size_t *local)
{
    if (dimensions < 1 || dimensions > 3 || !global)
        return false;
    memset(shape, 0, sizeof(*shape)); /* shapes are compared byte by byte */
    shape->queue = (struct wh_object *)(void *)queue;
    shape->dimensions = dimensions;
    shape->has_local = local != NULL;
    shape->has_offset = offset != NULL;
    memcpy(shape->global, global, dimensions * sizeof(*global));
    if (local)
        memcpy(shape->local, local, dimensions * sizeof(*local));
    if (offset)
        memcpy(shape->offset, offset, dimensions * sizeof(*offset));
    return true;
}

/* The first of the places where a shape may be remembered. */
static unsigned place_of(const struct shape *shape)
{
    uint64_t words[sizeof(*shape) / 8], hash = 0;
    memcpy(words, shape, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15u;
    return (unsigned)(hash >> 32) % (SHAPES / WAYS) * WAYS;
}

static bool was_accepted(struct wh_cl_kernel *state, const struct shape *shape)
{
    unsigned place = place_of(shape);
    pthread_mutex_lock(&state->lock);
    bool found = false;
    for (unsigned i = place; i < place + WAYS && !found; i++)
        found = state->shapes[i].era == state->era &&
                memcmp(&state->shapes[i].shape, shape, sizeof(*shape)) == 0;
    pthread_mutex_unlock(&state->lock);
    return found;
}

static void accept_shape(struct wh_cl_kernel *state, const struct shape *shape)
{
    unsigned place = place_of(shape);
    pthread_mutex_lock(&state->lock);
    place += state->turn++ % WAYS;
    state->shapes[place].era = state->era;
    state->shapes[place].shape = *shape;
    pthread_mutex_unlock(&state->lock);
}

WH_EXPORT cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint work_dim,
                                        const size_t *global_offset, const size_t *global_size,
                                        const size_t *local_size, cl_uint num_events,
                                        const cl_event *events, cl_event *event)
{
    struct wh_session *session = wh_opencl_session();
    struct wh_cl_kernel *state = kernel_state(kernel);
    struct wh_object *q = wh_opencl_object(queue, WH_OPENCL_TYPE_cl_command_queue);
    struct shape shape;
    uint64_t a[] = {
        (uintptr_t)queue,       (uintptr_t)kernel,     work_dim,   (uintptr_t)global_offset,
        (uintptr_t)global_size, (uintptr_t)local_size, num_events, (uintptr_t)events,
        (uintptr_t)event};
    if (!kernel && q) /* some libraries look into it */
        return CL_INVALID_KERNEL;
    if (work_dim < 1 ||
        work_dim > 3) /* nobody knows how long the arrays are: the library refuses without them */
        return wh_opencl_call_clEnqueueNDRangeKernel(queue, kernel, work_dim, NULL, NULL, NULL,
                                                     num_events, events, event);
    if (!state || !q || !shape_of(&shape, queue, work_dim, global_offset, global_size, local_size))
        return wh_opencl_call_clEnqueueNDRangeKernel(queue, kernel, work_dim, global_offset,
                                                     global_size, local_size, num_events, events,
                                                     event);
    const struct wh_call_desc *call = wh_opencl_call_desc(WH_OPENCL_clEnqueueNDRangeKernel);
    if (was_accepted(state, &shape) &&
        wh_opencl_events_are_good(wh_opencl_context_of(q), num_events, events))
        return (cl_int)wh_client_post(session, call, a);
    cl_int result = (cl_int)wh_client_call(session, call, a);
    if (result == CL_SUCCESS)
        accept_shape(state, &shape);
    return result;
}
