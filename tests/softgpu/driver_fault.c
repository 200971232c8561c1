/* SPDX-License-Identifier: Apache-2.0 */
/* The software device's driver: a fault ends a context and nothing else. */
#include "driver.h"

struct answer {
    int called, functions;
    CUresult result;
};

static void callback(CUstream stream, CUresult result, void *data)
{
    (void)stream;
    struct answer *answer = data;
    answer->called++;
    answer->result = result;
}

static void host_function(void *data)
{
    ((struct answer *)data)->functions++;
}

static CUresult fault(const char *kernel)
{
    CUmodule module;
    CUfunction function = driver_function(&module, kernel);
    ok(driver_launch(function, 1, 1, NULL, NULL));
    return cuCtxSynchronize();
}

static void test_sticky(void **state)
{
    (void)state;
    CUcontext context;
    CUdeviceptr pointer, other;
    CUstream stream;
    CUevent event;
    uint32_t value = 0;
    ok(cuMemAlloc_v2(&other, 4)); /* in the test's context */
    ok(cuCtxCreate_v2(&context, 0, 0));
    ok(cuMemAlloc_v2(&pointer, 1 << 20));
    ok(cuStreamCreate(&stream, 0));
    ok(cuEventCreate(&event, 0));
    fails(fault("wild"), CUDA_ERROR_ILLEGAL_ADDRESS);
    fails(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    fails(cuMemAlloc_v2(&pointer, 16), CUDA_ERROR_ILLEGAL_ADDRESS);
    fails(cuMemcpyDtoH_v2(&value, pointer, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
    fails(cuStreamQuery(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    fails(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    fails(cuEventQuery(event), CUDA_ERROR_ILLEGAL_ADDRESS);
    fails(cuMemFree_v2(pointer), CUDA_ERROR_ILLEGAL_ADDRESS);
    CUcontext current;
    ok(cuCtxGetCurrent(&current));
    assert_ptr_equal(current, context);
    ok(cuCtxDestroy_v2(context));
    ok(cuMemcpyHtoD_v2(other, &value, 4)); /* the other context is as it was */
    ok(cuMemFree_v2(other));
}

static void test_trap(void **state)
{
    (void)state;
    CUcontext context;
    ok(cuCtxCreate_v2(&context, 0, 0));
    CUresult result = fault("stop");
    assert_true(result == CUDA_ERROR_LAUNCH_FAILED || result == CUDA_ERROR_ILLEGAL_INSTRUCTION);
    ok(cuCtxDestroy_v2(context));
}

/* After a fault callbacks are told, host functions are not called, kernels do not run. */
static void test_behind_a_fault(void **state)
{
    (void)state;
    CUcontext context;
    CUstream stream;
    CUmodule module;
    CUdeviceptr word;
    struct answer answer = {0};
    struct driver_gate gate;
    uint32_t one = 1;
    ok(cuCtxCreate_v2(&context, 0, 0));
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUfunction wild = driver_function(&module, "wild"), store;
    ok(cuModuleGetFunction(&store, module, "store"));
    ok(cuMemAllocManaged(&word, 4, CU_MEM_ATTACH_GLOBAL));
    *(volatile uint32_t *)(uintptr_t)word = 0;
    driver_gate_close(&gate, stream);
    ok(driver_launch(wild, 1, 1, stream, NULL));
    ok(driver_launch(store, 1, 1, stream, (void *[]){&word, &one}));
    ok(cuLaunchHostFunc(stream, host_function, &answer));
    ok(cuStreamAddCallback(stream, callback, &answer, 0));
    driver_gate_open(&gate);
    fails(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(*(volatile uint32_t *)(uintptr_t)word, 0);
    assert_int_equal(answer.called, 1);
    assert_int_equal(answer.functions, 0);
    assert_int_equal(answer.result, CUDA_ERROR_ILLEGAL_ADDRESS);
    ok(cuCtxDestroy_v2(context));
}

/* A fault in one stream ends the kernels of the others: nothing waits for one that would never end.
 */
static void test_endless_beside_a_fault(void **state)
{
    (void)state;
    CUcontext context;
    CUstream first, second;
    CUmodule module;
    CUdeviceptr word;
    ok(cuCtxCreate_v2(&context, 0, 0));
    ok(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    ok(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    CUfunction spin = driver_function(&module, "spin"), wild;
    ok(cuModuleGetFunction(&wild, module, "wild"));
    ok(cuMemAlloc_v2(&word, 4));
    ok(cuMemsetD32_v2(word, 0, 1));
    ok(driver_launch(spin, 1, 32, first, (void *[]){&word}));
    ok(driver_launch(wild, 1, 1, second, NULL));
    fails(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    ok(cuCtxDestroy_v2(context));
}

static void test_primary_reset(void **state)
{
    (void)state;
    CUcontext primary;
    CUdeviceptr pointer;
    ok(cuDevicePrimaryCtxRetain(&primary, 0));
    ok(cuCtxPushCurrent_v2(primary));
    fails(fault("wild"), CUDA_ERROR_ILLEGAL_ADDRESS);
    ok(cuDevicePrimaryCtxReset_v2(0));
    ok(cuDevicePrimaryCtxRetain(&primary, 0));
    ok(cuMemAlloc_v2(&pointer, 16));
    ok(cuMemFree_v2(pointer));
    ok(cuCtxPopCurrent_v2(&primary));
    ok(cuDevicePrimaryCtxRelease_v2(0));
    ok(cuDevicePrimaryCtxRelease_v2(0));
}

/* Kernels reach their own context's memory, not another's on the same device. */
static void test_foreign_memory(void **state)
{
    (void)state;
    CUcontext context;
    CUdeviceptr foreign;
    CUmodule module;
    uint32_t one = 1;
    ok(cuMemAlloc_v2(&foreign, 4));
    ok(cuCtxCreate_v2(&context, 0, 0));
    CUfunction store = driver_function(&module, "store");
    ok(driver_launch(store, 1, 1, NULL, (void *[]){&foreign, &one}));
    fails(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    ok(cuCtxDestroy_v2(context));
    ok(cuMemFree_v2(foreign));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_sticky),         driver_test(test_trap),
        driver_test(test_behind_a_fault), driver_test(test_endless_beside_a_fault),
        driver_test(test_primary_reset),  driver_test(test_foreign_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
