/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake's shared virtual memory. Commands on it touch it at once, and it really goes with the
 * reset only: that a program frees what commands, kernels or buffers still use is the API's own
 * rule, broken by the program alone. See fake_opencl.h.
 */
#include "fake_opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES (1u << 20)

struct svm {
    struct svm *next;
    uint8_t *bytes;
    size_t size;
    bool freed;
};

static struct svm *allocations;

static void *allocate(cl_context context, cl_svm_mem_flags flags, size_t size, cl_uint alignment)
{
    (void)flags;
    if (!fake_check(context, FAKE_CONTEXT) || size == 0 || size > MOST_BYTES ||
        alignment & (alignment - 1))
        return NULL;
    struct svm *svm = malloc(sizeof(*svm));
    size_t unit = alignment > 128 ? alignment : 128;
    if (!svm)
        return NULL;
    *svm = (struct svm){.next = allocations, .size = size};
    if (unit > 1u << 20 || posix_memalign((void **)&svm->bytes, unit, size) != 0) {
        free(svm);
        return NULL;
    }
    memset(svm->bytes, 0, size);
    allocations = svm;
    return svm->bytes;
}

static void deallocate(cl_context context, void *bytes)
{
    struct svm *svm = allocations;
    fake_check(context, FAKE_CONTEXT);
    while (svm && (svm->freed || svm->bytes != bytes))
        svm = svm->next;
    if (bytes && !svm) {
        (void)fprintf(stderr, "fake OpenCL: shared memory was freed that does not exist: %p\n",
                      bytes);
        abort();
    }
    if (svm)
        svm->freed = true;
}

void fake_forget_svm(void)
{
    while (allocations) {
        struct svm *svm = allocations;
        allocations = svm->next;
        free(svm->bytes);
        free(svm);
    }
}

static cl_int simple(cl_int checked, const void *queue, cl_event *event)
{
    return checked == CL_SUCCESS ? fake_enqueue(queue, NULL, 0, false, event, NULL, NULL) : checked;
}

static cl_int copy(cl_command_queue queue, cl_bool blocking, void *to, const void *from,
                   size_t size, cl_uint n, const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    (void)blocking;
    if (result == CL_SUCCESS && (!to || !from))
        result = CL_INVALID_VALUE;
    if (result == CL_SUCCESS)
        memmove(to, from, size);
    return simple(result, queue, event);
}

static cl_int fill(cl_command_queue queue, void *to, const void *pattern, size_t pattern_size,
                   size_t size, cl_uint n, const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    if (result == CL_SUCCESS &&
        (!to || !pattern || pattern_size == 0 || pattern_size > 128 || size % pattern_size))
        result = CL_INVALID_VALUE;
    if (result == CL_SUCCESS) {
        fake_read(pattern, pattern_size);
        fake_write(to, size);
    }
    return simple(result, queue, event);
}

static cl_int map(cl_command_queue queue, cl_bool blocking, cl_map_flags flags, void *at,
                  size_t size, cl_uint n, const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    (void)blocking;
    (void)flags;
    if (result == CL_SUCCESS && (!at || size == 0))
        result = CL_INVALID_VALUE;
    if (result == CL_SUCCESS)
        fake_read(at, size);
    return simple(result, queue, event);
}

static cl_int unmap(cl_command_queue queue, void *at, cl_uint n, const cl_event *events,
                    cl_event *event)
{
    cl_int result = fake_check_command(queue, n, events);
    return simple(result == CL_SUCCESS && !at ? CL_INVALID_VALUE : result, queue, event);
}

static cl_int migrate(cl_command_queue queue, cl_uint n, const void **at, const size_t *sizes,
                      cl_mem_migration_flags flags, cl_uint num_events, const cl_event *events,
                      cl_event *event)
{
    cl_int result = fake_check_command(queue, num_events, events);
    (void)flags;
    if (result == CL_SUCCESS && (n == 0 || !at))
        result = CL_INVALID_VALUE;
    for (cl_uint i = 0; result == CL_SUCCESS && i < n; i++)
        fake_read(at[i], sizes ? sizes[i] : 0);
    return simple(result, queue, event);
}

/* ---- enqueued frees: the caller's function runs when its turn comes ---- */

struct frees {
    cl_svm_free_callback run;
    cl_command_queue queue;
    void *user;
    cl_uint n;
    void *list[];
};

static void run_frees(void *user)
{
    struct frees *frees = user;
    frees->run(frees->queue, frees->n, frees->list, frees->user);
    free(frees);
}

static cl_int enqueue_free(cl_command_queue queue, cl_uint n, void **list, cl_svm_free_callback run,
                           void *user, cl_uint num_events, const cl_event *events, cl_event *event)
{
    cl_int result = fake_check_command(queue, num_events, events);
    if (result == CL_SUCCESS && ((n == 0) != (list == NULL) || !run))
        result = CL_INVALID_VALUE;
    if (result != CL_SUCCESS)
        return result;
    struct frees *frees = malloc(sizeof(*frees) + n * sizeof(void *));
    if (!frees)
        return CL_OUT_OF_HOST_MEMORY;
    *frees = (struct frees){.run = run, .queue = queue, .user = user, .n = n};
    if (n)
        memcpy(frees->list, list, n * sizeof(void *));
    return fake_enqueue(queue, NULL, 0, false, event, run_frees, frees);
}

static cl_int set_arg_pointer(cl_kernel kernel, cl_uint index, const void *value)
{
    if (!fake_check(kernel, FAKE_KERNEL))
        return CL_INVALID_KERNEL;
    (void)value;
    return index == 0 ? CL_SUCCESS : CL_INVALID_ARG_INDEX;
}

static cl_int set_exec_info(cl_kernel kernel, cl_kernel_exec_info name, size_t size,
                            const void *value)
{
    if (!fake_check(kernel, FAKE_KERNEL))
        return CL_INVALID_KERNEL;
    if (!value || size == 0 || (name == CL_KERNEL_EXEC_INFO_SVM_PTRS && size % sizeof(void *)))
        return CL_INVALID_VALUE;
    fake_read(value, size);
    return CL_SUCCESS;
}

void fake_fill_svm(struct wh_opencl_functions_table *f)
{
    f->clSVMAlloc = allocate;
    f->clSVMFree = deallocate;
    f->clEnqueueSVMFree = enqueue_free;
    f->clEnqueueSVMMemcpy = copy;
    f->clEnqueueSVMMemFill = fill;
    f->clEnqueueSVMMap = map;
    f->clEnqueueSVMUnmap = unmap;
    f->clEnqueueSVMMigrateMem = migrate;
    f->clSetKernelArgSVMPointer = set_arg_pointer;
    f->clSetKernelExecInfo = set_exec_info;
}
