/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All calls of the CUDA driver. Must know nothing of layers: it names kernels, launches them and
 * moves bytes.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"
#include "kernels.h"

enum { BLOCK = 128, LOG_SIZE = 4096 };

static const char *const kernel_names[KERNEL_COUNT] = {
    [CONV_FORWARD] = "conv_forward",
    [CONV_BACKWARD_INPUT] = "conv_backward_input",
    [CONV_BACKWARD_WEIGHTS] = "conv_backward_weights",
    [BIAS_BACKWARD] = "bias_backward",
    [MULTIPLY] = "multiply",
    [RELU_FORWARD] = "relu_forward",
    [RELU_BACKWARD] = "relu_backward",
    [POOL_FORWARD] = "pool_forward",
    [POOL_BACKWARD] = "pool_backward",
    [SOFTMAX] = "softmax",
    [SUM_OUTCOMES] = "sum_outcomes",
    [SGD_UPDATE] = "sgd_update",
};

static bool succeeded(const struct driver *driver, CUresult code, const char *call,
                      const char *detail)
{
    const char *name = "unknown error";

    if (code == CUDA_SUCCESS)
        return true;
    driver->cuGetErrorName(code, &name);
    fprintf(stderr, "cuda-lenet: %s%s%s failed: %s (%d)\n", call, detail ? " of " : "",
            detail ? detail : "", name, (int)code);
    return false;
}

/* Calls a function of the driver. */
#define CALL(function, ...) succeeded(driver, driver->function(__VA_ARGS__), #function, NULL)

static bool find_function(void *library, const char *name, void *pointer_out)
{
    void *symbol = dlsym(library, name);

    if (!symbol) {
        fprintf(stderr, "cuda-lenet: libcuda.so.1 has no function %s\n", name);
        return false;
    }
    memcpy(pointer_out, &symbol, sizeof(symbol)); /* C has no cast from data to function */
    return true;
}

static bool load_library(struct driver *driver)
{
    driver->library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!driver->library) {
        fprintf(stderr, "cuda-lenet: there is no CUDA driver here: %s\n", dlerror());
        return false;
    }
#define FIND(name) find_function(driver->library, #name, &driver->name) &&
    return DRIVER_FUNCTIONS(FIND) true;
#undef FIND
}

static bool open_device(struct driver *driver)
{
    if (!CALL(cuInit, 0) || !CALL(cuDeviceGet, &driver->device, 0) ||
        !CALL(cuDeviceGetName, driver->name, sizeof(driver->name), driver->device) ||
        !CALL(cuDevicePrimaryCtxRetain, &driver->context, driver->device))
        return false;
    return CALL(cuCtxSetCurrent, driver->context) &&
           CALL(cuStreamCreate, &driver->stream, CU_STREAM_NON_BLOCKING);
}

static bool load_kernels(struct driver *driver)
{
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    char log[LOG_SIZE] = "";
    void *values[] = {log, (void *)(uintptr_t)sizeof(log)};

    if (!CALL(cuModuleLoadDataEx, &driver->module, lenet_kernels, 2, options, values)) {
        if (log[0])
            fprintf(stderr, "cuda-lenet: the driver says: %.*s\n", (int)sizeof(log), log);
        return false;
    }
    for (size_t i = 0; i < KERNEL_COUNT; i++)
        if (!succeeded(
                driver,
                driver->cuModuleGetFunction(&driver->kernels[i], driver->module, kernel_names[i]),
                "cuModuleGetFunction", kernel_names[i]))
            return false;
    return true;
}

bool driver_open(struct driver *driver)
{
    *driver = (struct driver){0};
    return load_library(driver) && open_device(driver) && load_kernels(driver);
}

void driver_close(struct driver *driver)
{
    if (driver->stream)
        CALL(cuStreamDestroy_v2, driver->stream);
    if (driver->module)
        CALL(cuModuleUnload, driver->module);
    if (driver->context)
        CALL(cuDevicePrimaryCtxRelease_v2, driver->device);
    if (driver->library)
        dlclose(driver->library);
    *driver = (struct driver){0};
}

bool driver_launch(const struct driver *driver, enum kernel kernel, struct grid grid,
                   void **arguments)
{
    CUresult code =
        driver->cuLaunchKernel(driver->kernels[kernel], grid.x, grid.y, 1, grid.block_x,
                               grid.block_y, 1, grid.shared, driver->stream, arguments, NULL);

    return succeeded(driver, code, "cuLaunchKernel", kernel_names[kernel]);
}

struct grid grid_of(size_t count)
{
    return (struct grid){
        .x = (unsigned int)((count + BLOCK - 1) / BLOCK), .y = 1, .block_x = BLOCK, .block_y = 1};
}

bool driver_allocate(const struct driver *driver, size_t bytes, CUdeviceptr *memory)
{
    return CALL(cuMemAlloc_v2, memory, bytes) &&
           CALL(cuMemsetD8Async, *memory, 0, bytes, driver->stream);
}

void driver_free(const struct driver *driver, CUdeviceptr memory)
{
    if (memory)
        CALL(cuMemFree_v2, memory);
}

bool driver_allocate_host(const struct driver *driver, size_t bytes, void *memory_out)
{
    void *memory = NULL;

    if (!CALL(cuMemHostAlloc, &memory, bytes, 0))
        return false;
    memcpy(memory_out, &memory, sizeof(memory));
    return true;
}

void driver_free_host(const struct driver *driver, void *memory)
{
    if (memory)
        CALL(cuMemFreeHost, memory);
}

bool driver_write(const struct driver *driver, CUdeviceptr memory, size_t bytes, const void *source)
{
    return CALL(cuMemcpyHtoDAsync_v2, memory, source, bytes, driver->stream);
}

bool driver_read(const struct driver *driver, CUdeviceptr memory, size_t bytes, void *target)
{
    return CALL(cuMemcpyDtoHAsync_v2, target, memory, bytes, driver->stream) &&
           CALL(cuStreamSynchronize, driver->stream);
}
