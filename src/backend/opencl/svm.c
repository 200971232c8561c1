/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared virtual memory: one address on both sides. On a device that lives in this process's memory
 * (a CPU) the pages of an allocation are replaced by pages of the session's arena, which the client
 * maps at the same address. On any other device the client mirrors the allocation at that address
 * and the bytes move at map and unmap, which is what coarse-grained sharing means.
 */
#include "backend/opencl/backend.h"
#include "base/log.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u

/* The allocation that holds [address, address + size), or NULL. */
static struct wh_opencl_svm *find(struct wh_opencl_state *state, cl_ulong address, size_t size)
{
    pthread_mutex_lock(&state->lock);
    struct wh_opencl_svm *svm = state->svm;
    while (svm &&
           (address < (uintptr_t)svm->address || address - (uintptr_t)svm->address > svm->size ||
            size > svm->size - (address - (uintptr_t)svm->address)))
        svm = svm->next;
    pthread_mutex_unlock(&state->lock);
    return svm;
}

/* The address as a pointer, if the session owns those bytes. */
static void *checked(struct wh_call *call, cl_ulong address, size_t size)
{
    return find(wh_opencl_state(call), address, size) ? (void *)(uintptr_t)address : NULL;
}

bool wh_opencl_owns_svm(struct wh_opencl_state *state, cl_ulong address, size_t size)
{
    return find(state, address, size) != NULL;
}

cl_mem wh_opencl_do_create_svm_buffer(struct wh_call *call, cl_context context, cl_mem_flags flags,
                                      size_t size, cl_ulong address, cl_int *errcode_ret)
{
    void *memory = checked(call, address, size);
    if (!memory)
        return wh_call_fault(call, "a buffer lies outside of the shared virtual memory");
    flags &= ~(cl_mem_flags)(CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR);
    return wh_opencl_state(call)->f.clCreateBuffer(context, flags | CL_MEM_USE_HOST_PTR, size,
                                                   memory, errcode_ret);
}

cl_int wh_opencl_do_unmap_svm_buffer(struct wh_call *call, cl_command_queue queue, cl_mem mem,
                                     cl_ulong address, cl_uint num_events, const cl_event *events,
                                     cl_event *event)
{
    void *pointer = checked(call, address, 0);
    if (!pointer)
        return CL_INVALID_VALUE;
    return wh_opencl_state(call)->f.clEnqueueUnmapMemObject(queue, mem, pointer, num_events, events,
                                                            event);
}

static bool lives_in_host_memory(struct wh_opencl_state *state, cl_context context)
{
    cl_device_id devices[64];
    size_t size = 0;
    if (state->f.clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof(devices), devices, &size) !=
        CL_SUCCESS)
        return false;
    for (size_t i = 0; i < size / sizeof(devices[0]); i++) {
        cl_device_type type = 0;
        state->f.clGetDeviceInfo(devices[i], CL_DEVICE_TYPE, sizeof(type), &type, NULL);
        if (!(type & CL_DEVICE_TYPE_CPU))
            return false;
    }
    return size > 0;
}

/* Puts the arena's pages in the place of the library's. */
static bool overlay(struct wh_call *call, struct wh_opencl_svm *svm, const uint8_t *storage)
{
    const struct wh_channel *channel = call->worker->channel;
    uint64_t offset = channel->arena_offset + (uint64_t)(storage - channel->arena);
    if (channel->arena_fd < 0 || offset % PAGE)
        return false;
    return mmap(svm->address, wh_round_up(svm->size, PAGE), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED, channel->arena_fd, (off_t)offset) == svm->address;
}

cl_int wh_opencl_do_svm_allocate(struct wh_call *call, cl_context context, cl_ulong flags,
                                 size_t size, cl_uint alignment, void *storage, cl_ulong *address,
                                 cl_uint *shared)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    struct wh_opencl_svm *svm = calloc(1, sizeof(*svm));
    size_t whole = wh_round_up(size, PAGE);
    if (!svm || !address || !shared || !state->f.clSVMAlloc || whole < size ||
        whole > SIZE_MAX - PAGE) {
        free(svm);
        return CL_OUT_OF_HOST_MEMORY;
    }
    svm->shared = context && storage && lives_in_host_memory(state, context);
    /* Whole pages of our own: the library's book-keeping must not share them. */
    svm->base = state->f.clSVMAlloc(context, flags, svm->shared ? whole + PAGE : size, alignment);
    svm->address = svm->shared ? (uint8_t *)wh_round_up((uintptr_t)svm->base, PAGE) : svm->base;
    svm->size = size;
    svm->context = context;
    if (!svm->base || (svm->shared && !overlay(call, svm, storage))) {
        wh_debug("no shared virtual memory: base %p, shared %d", svm->base, svm->shared);
        if (svm->base)
            state->f.clSVMFree(context, svm->base);
        free(svm);
        return CL_OUT_OF_HOST_MEMORY;
    }
    state->f.clRetainContext(context);
    pthread_mutex_lock(&state->lock);
    svm->next = state->svm;
    state->svm = svm;
    pthread_mutex_unlock(&state->lock);
    *address = (uintptr_t)svm->address;
    *shared = svm->shared;
    return CL_SUCCESS;
}

/* Takes the allocation that starts at `address` off the list. */
static struct wh_opencl_svm *take(struct wh_opencl_state *state, cl_ulong address)
{
    pthread_mutex_lock(&state->lock);
    struct wh_opencl_svm **link = &state->svm;
    while (*link && (uintptr_t)(*link)->address != address)
        link = &(*link)->next;
    struct wh_opencl_svm *svm = *link;
    if (svm)
        *link = svm->next;
    pthread_mutex_unlock(&state->lock);
    return svm;
}

static void release(struct wh_opencl_state *state, struct wh_opencl_svm *svm)
{
    size_t whole = wh_round_up(svm->size, PAGE);
    /* The library gets ordinary memory back, as it handed it out. */
    if (svm->shared && mmap(svm->address, whole, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        abort();
    state->f.clSVMFree(svm->context, svm->base);
    state->f.clReleaseContext(svm->context);
    free(svm);
}

cl_int wh_opencl_do_svm_free(struct wh_call *call, cl_context context, cl_ulong address)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    struct wh_opencl_svm *svm = take(state, address);
    (void)context;
    if (!svm)
        return CL_INVALID_VALUE;
    release(state, svm);
    return CL_SUCCESS;
}

/* ---- enqueued frees ---- */

struct later_free {
    struct wh_worker *worker;
    cl_ulong token;
    cl_uint n;
    cl_ulong addresses[];
};

/* The library calls this in place of freeing; with a token, the client's program frees, without one
 * we do. */
static void on_free(cl_command_queue queue, cl_uint n, void **pointers, void *user)
{
    struct later_free *later = user;
    struct wh_channel *channel = later->worker->channel;
    (void)queue;
    (void)n;
    (void)pointers;
    for (cl_uint i = 0; !later->token && i < later->n; i++) {
        struct wh_opencl_svm *svm = take(later->worker->state, later->addresses[i]);
        if (svm)
            release(later->worker->state, svm);
    }
    if (later->token)
        channel->ops->push_upcall(channel, WH_UPCALL_CALLBACK, later->token, later->addresses,
                                  later->n * (uint32_t)sizeof(later->addresses[0]));
    free(later);
}

cl_int wh_opencl_do_svm_enqueue_free(struct wh_call *call, cl_command_queue queue,
                                     cl_uint num_addresses, const cl_ulong *addresses,
                                     cl_ulong notify, cl_uint num_events, const cl_event *events,
                                     cl_event *event)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    size_t bytes = num_addresses * sizeof(*addresses);
    struct later_free *later = malloc(sizeof(*later) + bytes);
    if (!later || !state->f.clEnqueueSVMFree || bytes > WH_UPCALL_MAX / 2 ||
        (bytes && !addresses)) {
        free(later);
        return bytes && !addresses ? CL_INVALID_VALUE : CL_OUT_OF_HOST_MEMORY;
    }
    *later = (struct later_free){.worker = call->worker, .token = notify, .n = num_addresses};
    if (bytes)
        memcpy(later->addresses, addresses, bytes);
    for (cl_uint i = 0; i < num_addresses; i++)
        if (!checked(call, addresses[i], 0)) {
            free(later);
            return CL_INVALID_VALUE;
        }
    cl_int result = state->f.clEnqueueSVMFree(queue, num_addresses, (void **)(uintptr_t)addresses,
                                              on_free, later, num_events, events, event);
    if (result != CL_SUCCESS)
        free(later);
    return result;
}

/* ---- commands ---- */

cl_int wh_opencl_do_set_arg_svm(struct wh_call *call, cl_kernel kernel, cl_uint index,
                                cl_ulong address)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (!state->f.clSetKernelArgSVMPointer)
        return CL_INVALID_OPERATION;
    if (address && !checked(call, address, 0))
        return CL_INVALID_ARG_VALUE;
    return state->f.clSetKernelArgSVMPointer(kernel, index, (void *)(uintptr_t)address);
}

cl_int wh_opencl_do_set_exec_pointers(struct wh_call *call, cl_kernel kernel, cl_uint num_addresses,
                                      const cl_ulong *addresses)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (!state->f.clSetKernelExecInfo)
        return CL_INVALID_OPERATION;
    for (cl_uint i = 0; addresses && i < num_addresses; i++)
        if (addresses[i] && !checked(call, addresses[i], 0))
            return CL_INVALID_VALUE;
    return state->f.clSetKernelExecInfo(kernel, CL_KERNEL_EXEC_INFO_SVM_PTRS,
                                        num_addresses * sizeof(*addresses), addresses);
}

/* The one copy behind three messages: between two allocations, or between one and the arena. */
static cl_int copy(struct wh_call *call, cl_command_queue queue, void *to, const void *from,
                   size_t size, cl_uint token, cl_uint blocking, cl_uint num_events,
                   const cl_event *events, cl_event *event)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    cl_event done = NULL;
    if (token != WH_NO_TOKEN && token >= WH_TOKENS) {
        wh_call_fault(call, "a transfer token does not exist");
        return CL_INVALID_VALUE;
    }
    if (!state->f.clEnqueueSVMMemcpy)
        return CL_INVALID_OPERATION;
    if (!to || !from)
        return CL_INVALID_VALUE;
    cl_int result =
        state->f.clEnqueueSVMMemcpy(queue, CL_FALSE, to, from, size, num_events, events, &done);
    return wh_opencl_finish_transfer(call, result, done, token, blocking, NULL, event);
}

cl_int wh_opencl_do_svm_copy(struct wh_call *call, cl_command_queue queue, cl_uint blocking,
                             cl_ulong to, cl_ulong from, size_t size, cl_uint num_events,
                             const cl_event *events, cl_event *event)
{
    return copy(call, queue, checked(call, to, size), checked(call, from, size), size, WH_NO_TOKEN,
                blocking, num_events, events, event);
}

cl_int wh_opencl_do_svm_read(struct wh_call *call, cl_command_queue queue, cl_ulong from,
                             size_t size, void *bytes, cl_uint token, cl_uint blocking,
                             cl_uint num_events, const cl_event *events, cl_event *event)
{
    return copy(call, queue, bytes, checked(call, from, size), size, token, blocking, num_events,
                events, event);
}

cl_int wh_opencl_do_svm_write(struct wh_call *call, cl_command_queue queue, cl_ulong to,
                              size_t size, void *bytes, cl_uint token, cl_uint blocking,
                              cl_uint num_events, const cl_event *events, cl_event *event)
{
    return copy(call, queue, checked(call, to, size), bytes, size, token, blocking, num_events,
                events, event);
}

cl_int wh_opencl_do_svm_fill(struct wh_call *call, cl_command_queue queue, cl_ulong to,
                             size_t pattern_size, const void *pattern, size_t size,
                             cl_uint num_events, const cl_event *events, cl_event *event)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    void *target = checked(call, to, size);
    if (!state->f.clEnqueueSVMMemFill)
        return CL_INVALID_OPERATION;
    if (to && !target)
        return CL_INVALID_VALUE;
    return state->f.clEnqueueSVMMemFill(queue, target, pattern, pattern_size, size, num_events,
                                        events, event);
}

cl_int wh_opencl_do_svm_map(struct wh_call *call, cl_command_queue queue, cl_uint blocking,
                            cl_map_flags flags, cl_ulong address, size_t size, cl_uint num_events,
                            const cl_event *events, cl_event *event)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    cl_event done = NULL;
    void *target = checked(call, address, size);
    if (!state->f.clEnqueueSVMMap)
        return CL_INVALID_OPERATION;
    if (address && !target)
        return CL_INVALID_VALUE;
    cl_int result =
        state->f.clEnqueueSVMMap(queue, CL_FALSE, flags, target, size, num_events, events, &done);
    return wh_opencl_finish_transfer(call, result, done, WH_NO_TOKEN, blocking, NULL, event);
}

cl_int wh_opencl_do_svm_unmap(struct wh_call *call, cl_command_queue queue, cl_ulong address,
                              cl_uint num_events, const cl_event *events, cl_event *event)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (!state->f.clEnqueueSVMUnmap)
        return CL_INVALID_OPERATION;
    if (address && !checked(call, address, 0))
        return CL_INVALID_VALUE;
    return state->f.clEnqueueSVMUnmap(queue, (void *)(uintptr_t)address, num_events, events, event);
}

cl_int wh_opencl_do_svm_migrate(struct wh_call *call, cl_command_queue queue, cl_uint num_addresses,
                                const cl_ulong *addresses, const size_t *sizes,
                                cl_mem_migration_flags flags, cl_uint num_events,
                                const cl_event *events, cl_event *event)
{
    struct wh_opencl_state *state = wh_opencl_state(call);
    if (!state->f.clEnqueueSVMMigrateMem)
        return CL_INVALID_OPERATION;
    for (cl_uint i = 0; addresses && i < num_addresses; i++)
        if (!checked(call, addresses[i], sizes ? sizes[i] : 0))
            return CL_INVALID_VALUE;
    return state->f.clEnqueueSVMMigrateMem(queue, num_addresses,
                                           (const void **)(uintptr_t)addresses, sizes, flags,
                                           num_events, events, event);
}
