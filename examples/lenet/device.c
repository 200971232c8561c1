/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All OpenCL calls of the program. Called by everything that computes. Must know nothing of layers:
 * it names kernels, launches them and moves bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cl_error.h"
#include "device.h"
#include "kernels.h"

#define TEXT_OF(token) #token
#define TEXT(macro)    TEXT_OF(macro)

static const char build_options[] = "-cl-std=CL1.2 -D FILTER=" TEXT(FILTER_WIDTH);

static const char *const kernel_names[KERNEL_COUNT] = {
    [CONV_FORWARD] = "conv_forward",
    [CONV_BACKWARD_WEIGHTS] = "conv_backward_weights",
    [CONV_BACKWARD_INPUT] = "conv_backward_input",
    [DENSE_FORWARD] = "dense_forward",
    [DENSE_BACKWARD_WEIGHTS] = "dense_backward_weights",
    [DENSE_BACKWARD_INPUT] = "dense_backward_input",
    [BIAS_BACKWARD] = "bias_backward",
    [RELU_FORWARD] = "relu_forward",
    [RELU_BACKWARD] = "relu_backward",
    [POOL_FORWARD] = "pool_forward",
    [POOL_BACKWARD] = "pool_backward",
    [SOFTMAX_FORWARD] = "softmax_forward",
    [SOFTMAX_BACKWARD] = "softmax_backward",
    [SUM_OUTCOMES] = "sum_outcomes",
    [SGD_UPDATE] = "sgd_update",
};

static bool choose_platform(unsigned int index, cl_platform_id *platform)
{
    cl_uint count = 0;
    cl_platform_id *all;
    bool ok;

    if (!cl_succeeded(clGetPlatformIDs(0, NULL, &count), "clGetPlatformIDs", NULL))
        return false;
    if (index >= count) {
        fprintf(stderr, "lenet: there is no platform %u; platforms found: %u\n", index, count);
        return false;
    }
    all = calloc(count, sizeof(*all));
    if (!all) {
        fputs("lenet: out of memory\n", stderr);
        return false;
    }
    ok = cl_succeeded(clGetPlatformIDs(count, all, NULL), "clGetPlatformIDs", NULL);
    if (ok)
        *platform = all[index];
    free(all);
    return ok;
}

static bool choose_device(cl_platform_id platform, unsigned int index, cl_device_id *device)
{
    cl_uint count = 0;
    cl_device_id *all;
    bool ok;

    if (!cl_succeeded(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count),
                      "clGetDeviceIDs", NULL))
        return false;
    if (index >= count) {
        fprintf(stderr, "lenet: there is no device %u; devices found: %u\n", index, count);
        return false;
    }
    all = calloc(count, sizeof(*all));
    if (!all) {
        fputs("lenet: out of memory\n", stderr);
        return false;
    }
    ok = cl_succeeded(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, all, NULL),
                      "clGetDeviceIDs", NULL);
    if (ok)
        *device = all[index];
    free(all);
    return ok;
}

static bool read_names(struct device *device, cl_platform_id platform)
{
    return cl_succeeded(clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof(device->platform_name),
                                          device->platform_name, NULL),
                        "clGetPlatformInfo", "CL_PLATFORM_NAME") &&
           cl_succeeded(clGetDeviceInfo(device->id, CL_DEVICE_NAME, sizeof(device->name),
                                        device->name, NULL),
                        "clGetDeviceInfo", "CL_DEVICE_NAME");
}

static bool create_queue(struct device *device)
{
    cl_int code;

    device->context = clCreateContext(NULL, 1, &device->id, NULL, NULL, &code);
    if (!cl_succeeded(code, "clCreateContext", NULL))
        return false;
    device->queue = clCreateCommandQueue(device->context, device->id, 0, &code);
    return cl_succeeded(code, "clCreateCommandQueue", NULL);
}

static void print_build_log(const struct device *device)
{
    size_t size = 0;
    char *log;

    if (clGetProgramBuildInfo(device->program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) !=
            CL_SUCCESS ||
        size == 0)
        return;
    log = malloc(size);
    if (log && clGetProgramBuildInfo(device->program, device->id, CL_PROGRAM_BUILD_LOG, size, log,
                                     NULL) == CL_SUCCESS)
        fprintf(stderr, "lenet: build log of kernels.cl:\n%.*s\n", (int)size, log);
    free(log);
}

static bool build_program(struct device *device)
{
    /* The array of lines is never written; the parameter's type says less than it could. */
    const char **lines = (const char **)(void *)lenet_kernels;
    cl_int code;

    device->program =
        clCreateProgramWithSource(device->context, lenet_kernels_lines, lines, NULL, &code);
    if (!cl_succeeded(code, "clCreateProgramWithSource", NULL))
        return false;
    code = clBuildProgram(device->program, 1, &device->id, build_options, NULL, NULL);
    if (code == CL_BUILD_PROGRAM_FAILURE)
        print_build_log(device);
    return cl_succeeded(code, "clBuildProgram", NULL);
}

static bool create_kernels(struct device *device)
{
    for (size_t i = 0; i < KERNEL_COUNT; i++) {
        cl_int code;

        device->kernels[i] = clCreateKernel(device->program, kernel_names[i], &code);
        if (!cl_succeeded(code, "clCreateKernel", kernel_names[i]))
            return false;
    }
    return true;
}

bool device_open(struct device *device, unsigned int platform_index, unsigned int index)
{
    cl_platform_id platform;

    *device = (struct device){0};
    return choose_platform(platform_index, &platform) &&
           choose_device(platform, index, &device->id) && read_names(device, platform) &&
           create_queue(device) && build_program(device) && create_kernels(device);
}

void device_close(struct device *device)
{
    if (device->queue)
        clFinish(device->queue);
    for (size_t i = 0; i < KERNEL_COUNT; i++)
        if (device->kernels[i])
            clReleaseKernel(device->kernels[i]);
    if (device->program)
        clReleaseProgram(device->program);
    if (device->queue)
        clReleaseCommandQueue(device->queue);
    if (device->context)
        clReleaseContext(device->context);
    *device = (struct device){0};
}

struct grid grid_of(size_t x, size_t y, size_t z)
{
    return (struct grid){.global = {x, y, z}};
}

bool device_launch(struct device *device, enum kernel id, struct grid grid,
                   const struct kernel_argument *arguments, size_t count)
{
    cl_kernel kernel = device->kernels[id];
    const size_t *local = grid.local[0] ? grid.local : NULL;

    for (cl_uint i = 0; i < count; i++)
        if (!cl_succeeded(clSetKernelArg(kernel, i, arguments[i].size, arguments[i].value),
                          "clSetKernelArg", kernel_names[id]))
            return false;
    return cl_succeeded(
        clEnqueueNDRangeKernel(device->queue, kernel, 3, NULL, grid.global, local, 0, NULL, NULL),
        "clEnqueueNDRangeKernel", kernel_names[id]);
}

bool device_allocate(struct device *device, size_t bytes, cl_mem *buffer)
{
    cl_int code;

    *buffer = clCreateBuffer(device->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    return cl_succeeded(code, "clCreateBuffer", NULL);
}

void device_free(cl_mem buffer)
{
    if (buffer)
        clReleaseMemObject(buffer);
}

bool device_write(struct device *device, cl_mem buffer, size_t bytes, const void *source)
{
    return cl_succeeded(
        clEnqueueWriteBuffer(device->queue, buffer, CL_FALSE, 0, bytes, source, 0, NULL, NULL),
        "clEnqueueWriteBuffer", NULL);
}

bool device_read(struct device *device, cl_mem buffer, size_t bytes, void *target)
{
    return cl_succeeded(
        clEnqueueReadBuffer(device->queue, buffer, CL_TRUE, 0, bytes, target, 0, NULL, NULL),
        "clEnqueueReadBuffer", NULL);
}

bool device_finish(struct device *device)
{
    return cl_succeeded(clFinish(device->queue), "clFinish", NULL);
}
