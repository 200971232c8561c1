/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenCL device: choosing it, building the kernels, memory and launches. Used by layer.c,
 * net.c, train.c and main.c.
 *
 * A function that returns bool has printed the reason when it returns false: the OpenCL call and
 * its error code. After that the only sensible call is the matching close or destroy.
 */
#ifndef LENET_DEVICE_H
#define LENET_DEVICE_H

#include <CL/cl.h>
#include <stdbool.h>
#include <stddef.h>

/* The side of a convolution's filter; kernels.cl is built with it. */
#define FILTER_WIDTH 3

/* The kernels of kernels.cl. */
enum kernel {
    CONV_FORWARD,
    CONV_BACKWARD_WEIGHTS,
    CONV_BACKWARD_INPUT,
    DENSE_FORWARD,
    DENSE_BACKWARD_WEIGHTS,
    DENSE_BACKWARD_INPUT,
    BIAS_BACKWARD,
    RELU_FORWARD,
    RELU_BACKWARD,
    POOL_FORWARD,
    POOL_BACKWARD,
    SOFTMAX_FORWARD,
    SOFTMAX_BACKWARD,
    SUM_OUTCOMES,
    SGD_UPDATE,
    KERNEL_COUNT
};

struct device {
    cl_device_id id;
    cl_context context;
    cl_command_queue queue; /* in order: a command sees the results of all before it */
    cl_program program;
    cl_kernel kernels[KERNEL_COUNT];
    char platform_name[256];
    char name[256];
};

/* How many work-items in each direction, and, where local[0] is not 0, how many in a work-group. */
struct grid {
    size_t global[3];
    size_t local[3];
};

/* An argument of a kernel, in the terms of clSetKernelArg. */
struct kernel_argument {
    size_t size;
    const void *value;
};

#define BUFFER(buffer)            \
    {                             \
        sizeof(cl_mem), &(buffer) \
    }
#define INT(number)               \
    {                             \
        sizeof(cl_int), &(cl_int) \
        {                         \
            (cl_int)(number)      \
        }                         \
    }
#define FLOAT(number)                 \
    {                                 \
        sizeof(cl_float), &(cl_float) \
        {                             \
            (number)                  \
        }                             \
    }
#define LOCAL(bytes)  \
    {                 \
        (bytes), NULL \
    }

/* Queues a kernel: device_run(device, RELU_FORWARD, grid, BUFFER(input), BUFFER(output)). */
#define device_run(device, kernel, grid, ...)                                          \
    device_launch(device, kernel, grid, (const struct kernel_argument[]){__VA_ARGS__}, \
                  sizeof((const struct kernel_argument[]){__VA_ARGS__}) /              \
                      sizeof(struct kernel_argument))

/* Opens a device by its place in the lists of platforms and devices, and builds the kernels for it.
 */
bool device_open(struct device *device, unsigned int platform, unsigned int index);

/* Waits for all that is queued and releases everything. Takes a device that failed to open, too. */
void device_close(struct device *device);

/* A grid without work-groups of its own; the implementation chooses them. */
struct grid grid_of(size_t x, size_t y, size_t z);

bool device_launch(struct device *device, enum kernel kernel, struct grid grid,
                   const struct kernel_argument *arguments, size_t count);

/* Memory on the device, uninitialised. Released by device_free, which takes NULL. */
bool device_allocate(struct device *device, size_t bytes, cl_mem *buffer);
void device_free(cl_mem buffer);

/* Queues a copy to the device. The source must stay as it is until a later read or finish returns.
 */
bool device_write(struct device *device, cl_mem buffer, size_t bytes, const void *source);

/* Waits for all that is queued, then copies from the device. */
bool device_read(struct device *device, cl_mem buffer, size_t bytes, void *target);

/* Waits for all that is queued. */
bool device_finish(struct device *device);

#endif
