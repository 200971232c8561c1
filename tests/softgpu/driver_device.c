/* SPDX-License-Identifier: Apache-2.0 */
/* The software device's driver: initialisation, devices, contexts and their stacks, errors. */
#include "driver.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static void *before_init(void *unused)
{
    (void)unused;
    int n;
    fails(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
    CUcontext context;
    fails(cuCtxGetCurrent(&context), CUDA_ERROR_NOT_INITIALIZED);
    return NULL;
}

static void test_init(void **state)
{
    (void)state;
    before_init(NULL);
    fails(cuInit(1), CUDA_ERROR_INVALID_VALUE);
    ok(cuInit(0));
    ok(cuInit(0));
    int version;
    ok(cuDriverGetVersion(&version));
    assert_int_equal(version, 13000);
    fails(cuDriverGetVersion(NULL), CUDA_ERROR_INVALID_VALUE);
}

static void test_devices(void **state)
{
    (void)state;
    int n, value, other;
    CUdevice device;
    ok(cuDeviceGetCount(&n));
    assert_true(n >= 1);
    fails(cuDeviceGet(&device, n), CUDA_ERROR_INVALID_DEVICE);
    fails(cuDeviceGet(&device, -1), CUDA_ERROR_INVALID_DEVICE);
    ok(cuDeviceGet(&device, 0));
    char name[64], bus[16];
    ok(cuDeviceGetName(name, sizeof(name), device));
    assert_true(strlen(name) > 0);
    ok(cuDeviceGetName(name, 5, device));
    assert_int_equal(strlen(name), 4);
    ok(cuDeviceGetPCIBusId(bus, sizeof(bus), device));
    CUdevice again;
    ok(cuDeviceGetByPCIBusId(&again, bus));
    assert_int_equal(again, device);
    size_t total;
    ok(cuDeviceTotalMem_v2(&total, device));
    assert_true(total > 0);
    ok(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device));
    assert_int_equal(value, 32);
    fails(cuDeviceGetAttribute(&value, 100000, device), CUDA_ERROR_INVALID_VALUE);
    fails(cuDeviceGetAttribute(&value, 0, device), CUDA_ERROR_INVALID_VALUE);
    ok(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
    ok(cuDeviceComputeCapability(&other, &n, device));
    assert_int_equal(value, other);
}

static void test_every_attribute(void **state)
{
    (void)state;
    for (int i = 1; i < CU_DEVICE_ATTRIBUTE_MAX; i++) {
        int value;
        ok(cuDeviceGetAttribute(&value, (CUdevice_attribute)i, 0));
    }
}

static void test_errors(void **state)
{
    (void)state;
    const char *text = NULL;
    ok(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    assert_string_equal(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
    ok(cuGetErrorString(CUDA_SUCCESS, &text));
    assert_string_equal(text, "no error");
    fails(cuGetErrorName((CUresult)12345, &text), CUDA_ERROR_INVALID_VALUE);
    assert_null(text);
}

static void test_stack(void **state)
{
    (void)state;
    CUcontext first, second, current;
    CUdevice device;
    ok(cuCtxSetCurrent(NULL));
    fails(cuCtxGetDevice(&device), CUDA_ERROR_INVALID_CONTEXT);
    fails(cuCtxPopCurrent_v2(&current), CUDA_ERROR_INVALID_CONTEXT);
    ok(cuCtxCreate_v2(&first, 0, 0));
    ok(cuCtxCreate_v2(&second, CU_CTX_SCHED_BLOCKING_SYNC, 0));
    ok(cuCtxGetCurrent(&current));
    assert_ptr_equal(current, second);
    unsigned flags;
    ok(cuCtxGetFlags(&flags));
    assert_int_equal(flags & CU_CTX_SCHED_MASK, CU_CTX_SCHED_BLOCKING_SYNC);
    ok(cuCtxPopCurrent_v2(&current));
    assert_ptr_equal(current, second);
    ok(cuCtxGetCurrent(&current));
    assert_ptr_equal(current, first);
    ok(cuCtxPushCurrent_v2(second));
    ok(cuCtxSetCurrent(first));
    ok(cuCtxPopCurrent_v2(&current));
    assert_ptr_equal(current, first);
    unsigned long long one, two;
    ok(cuCtxGetId(first, &one));
    ok(cuCtxGetId(second, &two));
    assert_true(one != two);
    ok(cuCtxDestroy_v2(second));
    fails(cuCtxDestroy_v2(second), CUDA_ERROR_INVALID_CONTEXT);
    fails(cuCtxPushCurrent_v2(second), CUDA_ERROR_INVALID_CONTEXT);
    ok(cuCtxDestroy_v2(first));
    ok(cuCtxGetCurrent(&current));
    assert_null(current);
}

static void *use_destroyed(void *context)
{
    CUdeviceptr pointer;
    CUcontext current;
    ok(cuCtxSetCurrent(context));
    ok(cuCtxDestroy_v2(context));
    ok(cuCtxGetCurrent(&current));
    assert_null(current);
    fails(cuMemAlloc_v2(&pointer, 16), CUDA_ERROR_INVALID_CONTEXT);
    return NULL;
}

/* Destroyed by another thread, a context stays current where it was, of no use. */
static void test_destroyed(void **state)
{
    (void)state;
    CUcontext context;
    CUdeviceptr pointer;
    pthread_t thread;
    ok(cuCtxCreate_v2(&context, 0, 0));
    assert_int_equal(pthread_create(&thread, NULL, use_destroyed, context), 0);
    pthread_join(thread, NULL);
    fails(cuMemAlloc_v2(&pointer, 16), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    ok(cuCtxSetCurrent(NULL));
}

static void test_primary(void **state)
{
    (void)state;
    CUcontext context, again;
    unsigned flags;
    int active;
    ok(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_int_equal(active, 0);
    fails(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
    ok(cuDevicePrimaryCtxSetFlags_v2(0, CU_CTX_SCHED_YIELD));
    ok(cuDevicePrimaryCtxRetain(&context, 0));
    ok(cuDevicePrimaryCtxRetain(&again, 0));
    assert_ptr_equal(context, again);
    ok(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_int_equal(active, 1);
    assert_int_equal(flags & CU_CTX_SCHED_MASK, CU_CTX_SCHED_YIELD);
    fails(cuCtxDestroy_v2(context), CUDA_ERROR_INVALID_CONTEXT);
    ok(cuCtxSetCurrent(context));
    size_t free_before, free_after, total;
    ok(cuMemGetInfo_v2(&free_before, &total));
    CUdeviceptr pointer;
    ok(cuMemAlloc_v2(&pointer, 64 << 20));
    ok(cuMemAllocAsync(&pointer, 64 << 20, NULL));
    ok(cuDevicePrimaryCtxRelease_v2(0));
    ok(cuDevicePrimaryCtxRelease_v2(0));
    fails(cuMemAlloc_v2(&pointer, 16), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    ok(cuDevicePrimaryCtxRetain(&again, 0));
    assert_ptr_equal(context, again);
    ok(cuMemGetInfo_v2(&free_after, &total));
    assert_true(free_after >= free_before - (32 << 20));
    unsigned long long before, after;
    CUdevice device;
    unsigned version;
    ok(cuCtxGetId(context, &before));
    ok(cuDevicePrimaryCtxReset_v2(0)); /* ends it, and keeps the references */
    ok(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_int_equal(active, 0);
    fails(cuCtxGetDevice(&device), CUDA_ERROR_INVALID_CONTEXT);
    fails(cuCtxGetId(context, &after), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    ok(cuCtxGetApiVersion(context, &version));
    ok(cuDevicePrimaryCtxRetain(&again, 0));
    ok(cuCtxGetId(context, &after));
    assert_true(before != after);
    ok(cuDevicePrimaryCtxRelease_v2(0));
    ok(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_int_equal(active, 1);
    ok(cuDevicePrimaryCtxRelease_v2(0));
    ok(cuDevicePrimaryCtxGetState(0, &flags, &active));
    assert_int_equal(active, 0);
    ok(cuDevicePrimaryCtxSetFlags_v2(0, 0));
    ok(cuCtxSetCurrent(NULL));
}

static void test_limits(void **state)
{
    (void)state;
    size_t value;
    ok(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 32 << 20));
    ok(cuCtxGetLimit(&value, CU_LIMIT_MALLOC_HEAP_SIZE));
    assert_true(value >= 32 << 20);
    ok(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    assert_true(value > 0);
    fails(cuCtxGetLimit(&value, (CUlimit)1000), CUDA_ERROR_INVALID_VALUE);
    int least, greatest;
    ok(cuCtxGetStreamPriorityRange(&least, &greatest));
    assert_int_equal(least, 0);
    assert_true(greatest < 0);
    unsigned version;
    ok(cuCtxGetApiVersion(NULL, &version));
    assert_true(version >= 3020);
}

static void test_bad_handles(void **state)
{
    (void)state;
    char junk[4096] = {0};
    void *handles[] = {junk + 64, (void *)(uintptr_t)0x10, (void *)(uintptr_t)0xdeadbeef000};
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
        void *h = handles[i];
        CUfunction function;
        fails(cuCtxPushCurrent_v2(h), CUDA_ERROR_INVALID_CONTEXT);
        fails(cuCtxSetCurrent(h), CUDA_ERROR_INVALID_CONTEXT);
        fails(cuStreamSynchronize(h), CUDA_ERROR_INVALID_HANDLE);
        fails(cuEventQuery(h), CUDA_ERROR_INVALID_HANDLE);
        fails(cuModuleUnload(h), CUDA_ERROR_INVALID_HANDLE);
        fails(cuLibraryUnload(h), CUDA_ERROR_INVALID_HANDLE);
        fails(cuModuleGetFunction(&function, h, "x"), CUDA_ERROR_INVALID_HANDLE);
        fails(cuLaunchKernel(h, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_HANDLE);
        fails(cuArrayDestroy(h), CUDA_ERROR_INVALID_HANDLE);
        fails(cuMemPoolDestroy(h), CUDA_ERROR_INVALID_VALUE);
    }
    CUevent event;
    ok(cuEventCreate(&event, 0));
    fails(cuStreamSynchronize((CUstream)event), CUDA_ERROR_INVALID_HANDLE);
    ok(cuEventDestroy_v2(event));
    fails(cuEventDestroy_v2(event), CUDA_ERROR_INVALID_HANDLE);
}

/* As the hardware's driver: of no use in a child of a process that has used it. */
static void test_fork(void **state)
{
    (void)state;
    int status, n;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(cuDeviceGetCount(&n) == CUDA_ERROR_NOT_INITIALIZED &&
                      cuInit(0) == CUDA_ERROR_NOT_INITIALIZED
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ok(cuDeviceGetCount(&n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_every_attribute),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stack),
        cmocka_unit_test(test_destroyed),
        cmocka_unit_test(test_primary),
        driver_test(test_limits),
        driver_test(test_bad_handles),
        driver_test(test_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
