/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native kernels: functions of the program, run in the program. The worker's queue says when their
 * turn has come and waits until they are done; the memory objects they name are mapped for them
 * meanwhile. They run in the session's callback thread.
 */
#include "shim/opencl/shim.h"

#include "base/log.h"

#include <stdlib.h>

struct native {
    pthread_mutex_t lock; /* held until the enqueue is over: the turn may come before it returns */
    cl_native_kernel function;
    cl_event gate;          /* completed when the function has returned */
    cl_command_queue queue; /* of its own, to map with: the program's is waiting */
    void *args;
    cl_uint n;
    struct {
        cl_mem mem;
        size_t place; /* where in args its address goes */
        void *mapped;
    } mems[];
};

static void free_native(struct native *native)
{
    for (cl_uint i = 0; i < native->n; i++)
        if (native->mems[i].mem)
            clReleaseMemObject(native->mems[i].mem);
    if (native->queue)
        clReleaseCommandQueue(native->queue);
    if (native->gate)
        clReleaseEvent(native->gate);
    pthread_mutex_destroy(&native->lock);
    free(native->args);
    free(native);
}

/* Maps one object and puts its address where the program wants it. */
static cl_int lend(struct native *native, cl_uint i)
{
    cl_int result = CL_SUCCESS;
    size_t size = 0;
    cl_mem mem = native->mems[i].mem;
    if (!mem)
        return CL_SUCCESS;
    result = clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof(size), &size, NULL);
    if (result == CL_SUCCESS)
        native->mems[i].mapped =
            clEnqueueMapBuffer(native->queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 0,
                               NULL, NULL, &result);
    memcpy((char *)native->args + native->mems[i].place, &native->mems[i].mapped, sizeof(void *));
    return result;
}

void wh_opencl_run_native(void *argument)
{
    struct native *native = argument;
    cl_int result = CL_SUCCESS;
    pthread_mutex_lock(&native->lock);
    pthread_mutex_unlock(&native->lock);
    for (cl_uint i = 0; i < native->n && result == CL_SUCCESS; i++)
        result = lend(native, i);
    if (result == CL_SUCCESS)
        native->function(native->args);
    else
        wh_log("a native kernel's memory cannot be mapped (%d)", result);
    for (cl_uint i = 0; i < native->n; i++)
        if (native->mems[i].mapped)
            clEnqueueUnmapMemObject(native->queue, native->mems[i].mem, native->mems[i].mapped, 0,
                                    NULL, NULL);
    if (native->n > 0)
        clFinish(native->queue);
    clSetUserEventStatus(native->gate, result == CL_SUCCESS ? CL_COMPLETE : result);
    free_native(native);
}

/* The rules of OpenCL 3.0, section 5.9. */
static cl_int check(cl_native_kernel function, const void *args, size_t size, cl_uint n,
                    const cl_mem *mems, const void *const *places)
{
    if (!function || (!args && (size > 0 || n > 0)) || (args && size == 0))
        return CL_INVALID_VALUE;
    if ((n > 0) != (mems != NULL) || (n > 0) != (places != NULL))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < n; i++) {
        uintptr_t place = (uintptr_t)places[i] - (uintptr_t)args;
        if (mems[i] && !wh_opencl_object(mems[i], WH_OPENCL_TYPE_cl_mem))
            return CL_INVALID_MEM_OBJECT;
        if (place > size || size - place < sizeof(void *))
            return CL_INVALID_VALUE;
    }
    return CL_SUCCESS;
}

static bool runs_native_kernels(cl_command_queue queue, cl_device_id *device, cl_context *context)
{
    cl_device_exec_capabilities can = 0;
    return clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(*device), device, NULL) ==
               CL_SUCCESS &&
           clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(*context), context, NULL) ==
               CL_SUCCESS &&
           clGetDeviceInfo(*device, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof(can), &can, NULL) ==
               CL_SUCCESS &&
           (can & CL_EXEC_NATIVE_KERNEL);
}

/* A copy of all that the function needs, since the program may reuse its own on return. */
static struct native *copy_native(cl_native_kernel function, const void *args, size_t size,
                                  cl_uint n, const cl_mem *mems, const void *const *places)
{
    struct native *native = calloc(1, sizeof(*native) + n * sizeof(native->mems[0]));
    if (!native)
        return NULL;
    pthread_mutex_init(&native->lock, NULL);
    native->function = function;
    native->args = args ? malloc(size) : NULL;
    if (args && !native->args) {
        free(native);
        return NULL;
    }
    if (args)
        memcpy(native->args, args, size);
    native->n = n;
    for (cl_uint i = 0; i < n; i++) {
        native->mems[i].mem = mems[i];
        native->mems[i].place = (uintptr_t)places[i] - (uintptr_t)args;
        if (mems[i])
            clRetainMemObject(mems[i]);
    }
    return native;
}

WH_EXPORT cl_int clEnqueueNativeKernel(cl_command_queue queue, cl_native_kernel func, void *args,
                                       size_t size, cl_uint num_mems, const cl_mem *mems,
                                       const void **args_mem_loc, cl_uint num_events,
                                       const cl_event *events, cl_event *event)
{
    cl_device_id device;
    cl_context context;
    cl_int result;
    if (!wh_opencl_object(queue, WH_OPENCL_TYPE_cl_command_queue))
        return CL_INVALID_COMMAND_QUEUE;
    result = check(func, args, size, num_mems, mems, args_mem_loc);
    if (result != CL_SUCCESS)
        return result;
    if (!runs_native_kernels(queue, &device, &context))
        return CL_INVALID_OPERATION;
    struct native *native = copy_native(func, args, size, num_mems, mems, args_mem_loc);
    if (!native)
        return CL_OUT_OF_HOST_MEMORY;
    if (num_mems > 0)
        native->queue = clCreateCommandQueue(context, device, 0, &result);
    struct wh_cl_notice notice = {.kind = WH_CL_NOTICE_NATIVE, .user = native};
    uint64_t token = result == CL_SUCCESS ? wh_opencl_notice_expect(&notice, false) : 0;
    if (!token) {
        free_native(native);
        return result != CL_SUCCESS ? result : CL_OUT_OF_HOST_MEMORY;
    }
    pthread_mutex_lock(&native->lock);
    result =
        wh_opencl_notice_judge(token, wh_opencl_call_native_kernel(queue, token, num_events, events,
                                                                   &native->gate, event));
    if (result == CL_SUCCESS && event)
        ((struct wh_object *)(void *)*event)->word = CL_COMMAND_NATIVE_KERNEL;
    pthread_mutex_unlock(&native->lock);
    if (result != CL_SUCCESS)
        free_native(native);
    return result;
}
