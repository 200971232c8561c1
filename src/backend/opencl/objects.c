/* SPDX-License-Identifier: Apache-2.0 */
/* Making buffers, images, programs, sub-devices, and setting kernel arguments: what carries host
 * memory. */
#include "backend/opencl/backend.h"
#include "backend/opencl/image.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST_POINTER_FLAGS (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)

cl_int wh_opencl_do_has_function(struct wh_call *call, cl_platform_id platform, const char *name)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (!platform || !name || !state->f.clGetExtensionFunctionAddressForPlatform)
        return CL_INVALID_VALUE;
    return state->f.clGetExtensionFunctionAddressForPlatform(platform, name) ? CL_SUCCESS
                                                                             : CL_INVALID_VALUE;
}

cl_int wh_opencl_do_create_sub_devices(struct wh_call *call, cl_device_id device, cl_uint num_words,
                                       const cl_device_partition_property *words,
                                       cl_uint num_devices, cl_device_id *devices,
                                       cl_uint *num_devices_ret)
{
    if (words && (num_words == 0 || words[num_words - 1] != 0)) {
        wh_call_fault(call, "a partition list does not end with zero");
        return CL_INVALID_VALUE;
    }
    /* However the library reads its list, it finds an end. */
    cl_device_partition_property *list =
        words ? wh_call_memory(call, (num_words + 2) * sizeof(*list)) : NULL;
    if (list)
        memcpy(list, words, num_words * sizeof(*list));
    return wh_opencl_state(call)->f.clCreateSubDevices(device, list, num_devices, devices,
                                                       num_devices_ret);
}

cl_mem wh_opencl_do_create_buffer(struct wh_call *call, cl_context context, cl_mem_flags flags,
                                  size_t size, cl_int *errcode_ret)
{
    flags &= ~(cl_mem_flags)(CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR);
    return wh_opencl_state(call)->f.clCreateBuffer(context, flags, size, NULL, errcode_ret);
}

/* Whether a buffer over the host's memory really is that memory: mapped, it must lie there. */
static bool uses_host_memory(const struct wh_opencl_state *state, cl_context context,
                             cl_device_id device)
{
    static const size_t page = 4096, size = 100; /* as the least of the client's buffers lie */
    bool same = false;
    uint8_t *all = aligned_alloc(page, page), *memory = all ? all + 256 : NULL;
    cl_command_queue queue =
        memory ? state->f.clCreateCommandQueue(context, device, 0, NULL) : NULL;
    cl_mem mem = queue ? state->f.clCreateBuffer(context, CL_MEM_USE_HOST_PTR | CL_MEM_READ_WRITE,
                                                 size, memory, NULL)
                       : NULL;
    if (mem) {
        void *mapped = state->f.clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, 0, size, 0,
                                                   NULL, NULL, NULL);
        same = mapped == memory;
        if (mapped)
            state->f.clEnqueueUnmapMemObject(queue, mem, mapped, 0, NULL, NULL);
        state->f.clFinish(queue);
        state->f.clReleaseMemObject(mem);
    }
    if (queue)
        state->f.clReleaseCommandQueue(queue);
    free(all);
    return same;
}

/* Whether a mapped image region comes without gaps between its rows, or with the image's own pitch.
 */
static bool maps_without_gaps(const struct wh_opencl_state *state, cl_context context,
                              cl_device_id device)
{
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 64, .image_height = 4};
    const size_t origin[3] = {0, 0, 0}, region[3] = {3, 2, 1};
    size_t row = 0;
    cl_int result;
    cl_command_queue queue = state->f.clCreateCommandQueue(context, device, 0, NULL);
    cl_mem image =
        queue && state->f.clCreateImage
            ? state->f.clCreateImage(context, CL_MEM_READ_WRITE, &format, &desc, NULL, &result)
            : NULL;
    if (image) {
        void *mapped = state->f.clEnqueueMapImage(queue, image, CL_TRUE, CL_MAP_READ, origin,
                                                  region, &row, NULL, 0, NULL, NULL, &result);
        if (mapped)
            state->f.clEnqueueUnmapMemObject(queue, image, mapped, 0, NULL, NULL);
        state->f.clFinish(queue);
        state->f.clReleaseMemObject(image);
    }
    if (queue)
        state->f.clReleaseCommandQueue(queue);
    return row == 4 * region[0];
}

cl_int wh_opencl_do_context_storage(struct wh_call *call, cl_context context, cl_uint *how)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    cl_device_id devices[64];
    size_t size = 0;
    cl_int result =
        state->f.clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof(devices), devices, &size);
    if (result != CL_SUCCESS || !how)
        return result;
    /* Tried out in a context of our own: what it leaves behind for a moment must not show in the
     * program's. */
    cl_uint n = (cl_uint)(size / sizeof(devices[0]));
    cl_context probe = n ? state->f.clCreateContext(NULL, n, devices, NULL, NULL, &result) : NULL;
    *how = probe ? 2 : 0;
    bool only_cpus = true;
    for (cl_uint i = 0; i < n; i++) {
        cl_bool unified = CL_FALSE;
        cl_device_type type = 0;
        state->f.clGetDeviceInfo(devices[i], CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(unified),
                                 &unified, NULL);
        state->f.clGetDeviceInfo(devices[i], CL_DEVICE_TYPE, sizeof(type), &type, NULL);
        only_cpus = only_cpus && (type & CL_DEVICE_TYPE_CPU);
        if (!unified && *how > 1)
            *how = 1;
        if (!probe || !uses_host_memory(state, probe, devices[i]))
            *how = 0;
    }
    if (*how == 2 && only_cpus)
        *how |= 8;
    if (probe && maps_without_gaps(state, probe, devices[0]))
        *how |= 4;
    if (probe)
        state->f.clReleaseContext(probe);
    return CL_SUCCESS;
}

/* The buffer is really gone: its storage may be used again. */
struct storage_notice {
    struct wh_worker *worker;
    cl_ulong token;
};

static void on_freed(cl_mem mem, void *user)
{
    struct storage_notice *notice = user;
    struct wh_channel *channel = notice->worker->channel;
    (void)mem;
    channel->ops->push_upcall(channel, WH_UPCALL_FREED, notice->token, NULL, 0);
    free(notice);
}

cl_mem wh_opencl_do_create_shared_buffer(struct wh_call *call, cl_context context,
                                         cl_mem_flags flags, size_t size, void *storage,
                                         cl_ulong freed, cl_int *errcode_ret)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    struct storage_notice *notice = malloc(sizeof(*notice));
    flags = flags ? flags : CL_MEM_READ_WRITE; /* the default must stay one, whatever is added */
    flags = (flags & ~(cl_mem_flags)HOST_POINTER_FLAGS) | CL_MEM_USE_HOST_PTR;
    cl_mem mem =
        notice ? state->f.clCreateBuffer(context, flags, size, storage, errcode_ret) : NULL;
    if (!mem) {
        free(notice);
        return NULL;
    }
    *notice = (struct storage_notice){.worker = call->worker, .token = freed};
    /* Without the callback the storage is never reused: safe, if wasteful. */
    if (state->f.clSetMemObjectDestructorCallback(mem, on_freed, notice) != CL_SUCCESS)
        free(notice);
    return mem;
}

cl_mem wh_opencl_do_create_filled_buffer(struct wh_call *call, cl_context context,
                                         cl_mem_flags flags, size_t size, void *bytes,
                                         cl_int *errcode_ret)
{
    flags = (flags & ~(cl_mem_flags)CL_MEM_USE_HOST_PTR) | CL_MEM_COPY_HOST_PTR;
    return wh_opencl_state(call)->f.clCreateBuffer(context, flags, size, bytes, errcode_ret);
}

/* OpenCL 1.0 and 1.1 implementations have the older entry points only. */
static cl_mem create_image(struct wh_opencl_state *state, cl_context context, cl_mem_flags flags,
                           const cl_image_format *format, const cl_image_desc *desc, void *bytes,
                           cl_int *errcode_ret)
{
    if (state->f.clCreateImage)
        return state->f.clCreateImage(context, flags, format, desc, bytes, errcode_ret);
    *errcode_ret = CL_INVALID_OPERATION;
    return NULL;
}

cl_mem wh_opencl_do_create_image(struct wh_call *call, cl_context context, cl_mem_flags flags,
                                 const cl_image_format *format, const cl_image_desc *desc,
                                 cl_int *errcode_ret)
{
    cl_int ignored;
    flags &= ~(cl_mem_flags)(CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR);
    return create_image(wh_opencl_state(call), context, flags, format, desc, NULL,
                        errcode_ret ? errcode_ret : &ignored);
}

cl_mem wh_opencl_do_create_filled_image(struct wh_call *call, cl_context context,
                                        cl_mem_flags flags, const cl_image_format *format,
                                        const cl_image_desc *desc, size_t size, void *bytes,
                                        cl_int *errcode_ret)
{
    cl_int ignored;
    struct wh_opencl_host_image host;
    if (!format || !desc || !wh_opencl_host_image(format, desc, &host) || host.size > size)
        return wh_call_fault(call, "an image is larger than its data");
    flags = (flags & ~(cl_mem_flags)CL_MEM_USE_HOST_PTR) | CL_MEM_COPY_HOST_PTR;
    return create_image(wh_opencl_state(call), context, flags, format, desc, bytes,
                        errcode_ret ? errcode_ret : &ignored);
}

cl_mem wh_opencl_do_create_pipe(struct wh_call *call, cl_context context, cl_mem_flags flags,
                                cl_uint packet_size, cl_uint max_packets, cl_int *errcode_ret)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (state->f.clCreatePipe)
        return state->f.clCreatePipe(context, flags, packet_size, max_packets, NULL, errcode_ret);
    if (errcode_ret)
        *errcode_ret = CL_INVALID_OPERATION;
    return NULL;
}

/* ---- programs ---- */

cl_program wh_opencl_do_create_program(struct wh_call *call, cl_context context, size_t size,
                                       const void *source, cl_int *errcode_ret)
{
    const char *text = source ? source : "";
    size = source ? size : 0;
    return wh_opencl_state(call)->f.clCreateProgramWithSource(context, 1, &text, &size,
                                                              errcode_ret);
}

cl_program wh_opencl_do_create_program_binary(struct wh_call *call, cl_context context,
                                              cl_uint num_devices, const cl_device_id *devices,
                                              const size_t *sizes, size_t total,
                                              const void *binaries, cl_int *results,
                                              cl_int *errcode_ret)
{
    const unsigned char **list = wh_call_memory(call, (num_devices + 1) * sizeof(*list));
    size_t used = 0;
    if (total && !binaries)
        return wh_call_fault(call, "a program's binaries are missing");
    for (cl_uint i = 0; list && sizes && i < num_devices; i++) {
        if (sizes[i] > total - used)
            return wh_call_fault(call, "a program binary is longer than its payload");
        list[i] = (const unsigned char *)binaries + used;
        used += sizes[i];
    }
    if (!list)
        return NULL;
    return wh_opencl_state(call)->f.clCreateProgramWithBinary(context, num_devices, devices, sizes,
                                                              list, results, errcode_ret);
}

cl_program wh_opencl_do_create_program_il(struct wh_call *call, cl_context context, size_t size,
                                          const void *il, cl_int *errcode_ret)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (state->f.clCreateProgramWithIL)
        return state->f.clCreateProgramWithIL(context, il, size, errcode_ret);
    if (errcode_ret)
        *errcode_ret = CL_INVALID_OPERATION;
    return NULL;
}

/* The library writes as much as it has: its own sizes must be those that the client made room for.
 */
cl_int wh_opencl_do_program_binaries(struct wh_call *call, cl_program program, cl_uint num_devices,
                                     const size_t *sizes, size_t total, void *binaries)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    size_t bytes = num_devices * sizeof(size_t), used = 0;
    size_t *real = wh_call_memory(call, bytes + 1);
    unsigned char **list = wh_call_memory(call, num_devices * sizeof(*list) + 1);
    if (!real || !list || !sizes || (total && !binaries))
        return CL_INVALID_VALUE;
    cl_int result = state->f.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, bytes, real, NULL);
    if (result != CL_SUCCESS)
        return result;
    for (cl_uint i = 0; i < num_devices; i++) {
        if (sizes[i] == 0)
            continue; /* not wanted */
        if (sizes[i] != real[i] || sizes[i] > total - used)
            return CL_INVALID_VALUE;
        list[i] = (unsigned char *)binaries + used;
        used += sizes[i];
    }
    return state->f.clGetProgramInfo(program, CL_PROGRAM_BINARIES, num_devices * sizeof(*list),
                                     list, NULL);
}

/* ---- kernel arguments ---- */

/* What an argument is, as far as the library says; remembered per kernel (wh_entry.extra), used by
 * the leader only. */
enum arg_kind { ARG_NOT_ASKED, ARG_VALUE, ARG_MEM, ARG_SAMPLER, ARG_QUEUE, ARG_OTHER, ARG_NO_INFO };

#define MOST_ARGS 256u

/* A type's name as clGetKernelArgInfo gives it (OpenCL C 3.0, section 6.3.3: the other built-in
 * types). */
static enum arg_kind kind_of_type(const char *type, cl_kernel_arg_address_qualifier where)
{
    size_t length = strlen(type);
    bool is_image = strncmp(type, "image", 5) == 0 && type[5] >= '1' && type[5] <= '3';
    if (where != CL_KERNEL_ARG_ADDRESS_PRIVATE || is_image || strncmp(type, "pipe ", 5) == 0 ||
        (length && type[length - 1] == '*'))
        return ARG_MEM;
    if (strcmp(type, "sampler_t") == 0)
        return ARG_SAMPLER;
    if (strcmp(type, "queue_t") == 0)
        return ARG_QUEUE;
    bool is_event = strcmp(type, "event_t") == 0 || strcmp(type, "clk_event_t") == 0;
    return is_event ? ARG_OTHER : ARG_VALUE;
}

static enum arg_kind ask_kind(const struct wh_opencl_functions_table *f, cl_kernel kernel,
                              cl_uint index)
{
    cl_kernel_arg_address_qualifier where = 0;
    char type[256] = "";
    if (!f->clGetKernelArgInfo ||
        f->clGetKernelArgInfo(kernel, index, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof(where), &where,
                              NULL) != CL_SUCCESS ||
        f->clGetKernelArgInfo(kernel, index, CL_KERNEL_ARG_TYPE_NAME, sizeof(type) - 1, type,
                              NULL) != CL_SUCCESS)
        return ARG_NO_INFO;
    return kind_of_type(type, where);
}

static enum arg_kind kind_of(struct wh_call *call, cl_kernel kernel, cl_uint index)
{
    struct wh_entry *entry = call->entries[0];
    if (!entry || index >= MOST_ARGS)
        return ask_kind(&wh_opencl_state(call)->f, kernel, index);
    if (!entry->extra)
        entry->extra = calloc(1, MOST_ARGS);
    uint8_t *kinds = entry->extra;
    if (!kinds)
        return ARG_NO_INFO;
    if (kinds[index] == ARG_NOT_ASKED)
        kinds[index] = (uint8_t)ask_kind(&wh_opencl_state(call)->f, kernel, index);
    return kinds[index];
}

/* The error for something that is not what the argument takes. */
static cl_int unsuitable(enum arg_kind expected)
{
    switch (expected) {
    case ARG_MEM:
        return CL_INVALID_MEM_OBJECT;
    case ARG_SAMPLER:
        return CL_INVALID_SAMPLER;
    case ARG_QUEUE:
        return CL_INVALID_DEVICE_QUEUE;
    default:
        return CL_INVALID_ARG_VALUE;
    }
}

/* Whether an object of `kind` may go where the library expects something: some of them do not look
 * themselves. */
static cl_int check_suits(struct wh_call *call, cl_kernel kernel, cl_uint index, enum arg_kind kind)
{
    enum arg_kind expected = kernel ? kind_of(call, kernel, index) : kind;
    return expected == kind || expected == ARG_NO_INFO ? CL_SUCCESS : unsuitable(expected);
}

/* Whether a library that took the word for a handle would find memory there; the kernel looks,
 * without a fault. */
static bool is_readable(const struct wh_opencl_state *state, uint64_t word)
{
    char byte;
    if (word < 4096 || word >> 47 || write(state->probe[1], (void *)(uintptr_t)word, 1) != 1)
        return false;
    ssize_t ignored = read(state->probe[0], &byte, 1);
    (void)ignored;
    return true;
}

/*
 * Whether eight bytes could be taken for a handle by the library: only objects of the session may
 * be passed as such. Without argument information (a program from binaries) an address that exists
 * in this process is suspicious enough.
 */
static bool could_be_handle(struct wh_call *call, cl_kernel kernel, cl_uint index,
                            const void *value)
{
    uint64_t word;
    memcpy(&word, value, sizeof(word));
    enum arg_kind kind = word ? kind_of(call, kernel, index) : ARG_VALUE;
    if (kind == ARG_NO_INFO)
        return is_readable(wh_opencl_state(call), word);
    return kind != ARG_VALUE;
}

cl_int wh_opencl_do_set_arg_bytes(struct wh_call *call, cl_kernel kernel, cl_uint index,
                                  size_t size, const void *value)
{
    if (value && kernel && size == sizeof(void *) && could_be_handle(call, kernel, index, value))
        return unsuitable(kind_of(call, kernel, index));
    return wh_opencl_state(call)->f.clSetKernelArg(kernel, index, size, value);
}

cl_int wh_opencl_do_set_arg_mem(struct wh_call *call, cl_kernel kernel, cl_uint index, cl_mem mem)
{
    cl_int result = check_suits(call, kernel, index, ARG_MEM);
    if (result != CL_SUCCESS)
        return result;
    return wh_opencl_state(call)->f.clSetKernelArg(kernel, index, sizeof(mem), &mem);
}

cl_int wh_opencl_do_set_arg_sampler(struct wh_call *call, cl_kernel kernel, cl_uint index,
                                    cl_sampler sampler)
{
    cl_int result = check_suits(call, kernel, index, ARG_SAMPLER);
    if (result != CL_SUCCESS)
        return result;
    return wh_opencl_state(call)->f.clSetKernelArg(kernel, index, sizeof(sampler), &sampler);
}

cl_int wh_opencl_do_set_arg_queue(struct wh_call *call, cl_kernel kernel, cl_uint index,
                                  cl_command_queue queue)
{
    cl_int result = check_suits(call, kernel, index, ARG_QUEUE);
    if (result != CL_SUCCESS)
        return result;
    return wh_opencl_state(call)->f.clSetKernelArg(kernel, index, sizeof(queue), &queue);
}

cl_int wh_opencl_do_set_exec_flag(struct wh_call *call, cl_kernel kernel, cl_uint name,
                                  cl_uint value)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (!state->f.clSetKernelExecInfo)
        return CL_INVALID_OPERATION;
    if (name == CL_KERNEL_EXEC_INFO_SVM_PTRS) /* takes addresses: has a message of its own */
        return CL_INVALID_VALUE;
    return state->f.clSetKernelExecInfo(kernel, name, sizeof(value), &value);
}

cl_int wh_opencl_do_enqueue_command_buffer(struct wh_call *call, cl_uint num_queues,
                                           const cl_command_queue *queues,
                                           cl_command_buffer_khr command_buffer, cl_uint num_events,
                                           const cl_event *events, cl_event *event)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (!state->f.clEnqueueCommandBufferKHR)
        return CL_INVALID_OPERATION;
    return state->f.clEnqueueCommandBufferKHR(num_queues, (cl_command_queue *)(uintptr_t)queues,
                                              command_buffer, num_events, events, event);
}
