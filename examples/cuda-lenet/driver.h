/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA driver: libcuda.so.1, loaded when the program runs, so that building needs nothing of
 * NVIDIA's. Used by everything that computes.
 *
 * bool results: true is success; what failed was printed on standard error.
 */
#ifndef CUDA_LENET_DRIVER_H
#define CUDA_LENET_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "cuda_types.h"

/* The functions of the driver that the program calls, by the names that the library exports. */
#define DRIVER_FUNCTIONS(F)         \
    F(cuInit)                       \
    F(cuGetErrorName)               \
    F(cuDeviceGet)                  \
    F(cuDeviceGetName)              \
    F(cuDevicePrimaryCtxRetain)     \
    F(cuDevicePrimaryCtxRelease_v2) \
    F(cuCtxSetCurrent)              \
    F(cuModuleLoadDataEx)           \
    F(cuModuleUnload)               \
    F(cuModuleGetFunction)          \
    F(cuStreamCreate)               \
    F(cuStreamSynchronize)          \
    F(cuStreamDestroy_v2)           \
    F(cuMemAlloc_v2)                \
    F(cuMemFree_v2)                 \
    F(cuMemHostAlloc)               \
    F(cuMemFreeHost)                \
    F(cuMemsetD8Async)              \
    F(cuMemcpyHtoDAsync_v2)         \
    F(cuMemcpyDtoHAsync_v2)         \
    F(cuLaunchKernel)

enum kernel {
    CONV_FORWARD,
    CONV_BACKWARD_INPUT,
    CONV_BACKWARD_WEIGHTS,
    BIAS_BACKWARD,
    MULTIPLY,
    RELU_FORWARD,
    RELU_BACKWARD,
    POOL_FORWARD,
    POOL_BACKWARD,
    SOFTMAX,
    SUM_OUTCOMES,
    SGD_UPDATE,
    KERNEL_COUNT
};

struct driver {
#define DRIVER_MEMBER(name) __typeof__(name) *name;
    DRIVER_FUNCTIONS(DRIVER_MEMBER)
#undef DRIVER_MEMBER
    void *library;
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUstream stream; /* in order: each command sees the results of all before it */
    CUfunction kernels[KERNEL_COUNT];
    char name[256];
};

/* Blocks, threads of a block, bytes of shared memory of a block. */
struct grid {
    unsigned int x, y;
    unsigned int block_x, block_y;
    unsigned int shared;
};

/* Loads the library, opens the first device, loads the kernels. */
bool driver_open(struct driver *driver);

/* Releases everything. Takes a driver that failed to open, too. */
void driver_close(struct driver *driver);

/* Queues a kernel; the arguments' values are copied before it returns. The macro takes pointers to
 * them. */
bool driver_launch(const struct driver *driver, enum kernel kernel, struct grid grid,
                   void **arguments);
#define driver_run(driver, kernel, grid, ...) \
    driver_launch(driver, kernel, grid, (void *[]){__VA_ARGS__})

/* One thread for each of count values. */
struct grid grid_of(size_t count);

/* Memory on the device, set to zero. Released by driver_free, which takes 0. */
bool driver_allocate(const struct driver *driver, size_t bytes, CUdeviceptr *memory);
void driver_free(const struct driver *driver, CUdeviceptr memory);

/* Memory of the host that the device can reach. Released by driver_free_host, which takes NULL. */
bool driver_allocate_host(const struct driver *driver, size_t bytes, void *memory_out);
void driver_free_host(const struct driver *driver, void *memory);

/* Queues a copy to the device. The source must stay as it is until a later read returns. */
bool driver_write(const struct driver *driver, CUdeviceptr memory, size_t bytes,
                  const void *source);

/* Waits for all that is queued, then copies from the device. */
bool driver_read(const struct driver *driver, CUdeviceptr memory, size_t bytes, void *target);

#endif
