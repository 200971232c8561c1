/* SPDX-License-Identifier: Apache-2.0 */
/* The software device's driver: several devices and what one may touch of another. */
#include "driver.h"

static CUcontext contexts[2];

static int start(void **state)
{
    (void)state;
    setenv("WORMHOLE_SOFTGPU_DEVICES", "2", 1);
    return cuInit(0) == CUDA_SUCCESS ? 0 : -1;
}

static int make_contexts(void **state)
{
    (void)state;
    return cuCtxCreate_v2(&contexts[1], 0, 1) == CUDA_SUCCESS &&
                   cuCtxCreate_v2(&contexts[0], 0, 0) == CUDA_SUCCESS
               ? 0
               : -1;
}

static int drop_contexts(void **state)
{
    (void)state;
    return cuCtxDestroy_v2(contexts[0]) == CUDA_SUCCESS &&
                   cuCtxDestroy_v2(contexts[1]) == CUDA_SUCCESS
               ? 0
               : -1;
}

static CUdeviceptr allocate_on(int device, size_t size)
{
    CUdeviceptr pointer;
    ok(cuCtxPushCurrent_v2(contexts[device]));
    ok(cuMemAlloc_v2(&pointer, size));
    ok(cuMemsetD8_v2(pointer, 0, size));
    ok(cuCtxSynchronize());
    ok(cuCtxPopCurrent_v2(NULL));
    return pointer;
}

static void test_devices(void **state)
{
    (void)state;
    int n, can;
    CUuuid first, second;
    char bus[2][16];
    ok(cuDeviceGetCount(&n));
    assert_int_equal(n, 2);
    ok(cuDeviceGetUuid_v2(&first, 0));
    ok(cuDeviceGetUuid_v2(&second, 1));
    assert_memory_not_equal(&first, &second, sizeof(first));
    ok(cuDeviceGetPCIBusId(bus[0], 16, 0));
    ok(cuDeviceGetPCIBusId(bus[1], 16, 1));
    assert_string_not_equal(bus[0], bus[1]);
    ok(cuDeviceCanAccessPeer(&can, 0, 1));
    assert_int_equal(can, 1);
    ok(cuDeviceCanAccessPeer(&can, 0, 0));
    assert_int_equal(can, 0);
    fails(cuDeviceCanAccessPeer(&can, 0, 2), CUDA_ERROR_INVALID_DEVICE);
}

static void test_copies(void **state)
{
    (void)state;
    CUdeviceptr here = allocate_on(0, 64), there = allocate_on(1, 64);
    uint32_t out[16];
    ok(cuMemsetD32_v2(here, 0x12345678, 16));
    ok(cuMemcpyPeer(there, contexts[1], here, contexts[0], 64));
    ok(cuMemcpyDtoH_v2(out, there, 64));
    assert_int_equal(out[15], 0x12345678);
    fails(cuMemcpyPeer(there, (CUcontext)(uintptr_t)0x1230, here, contexts[0], 64),
          CUDA_ERROR_INVALID_CONTEXT);
    int ordinal;
    ok(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, there));
    assert_int_equal(ordinal, 1);
}

static void test_access(void **state)
{
    (void)state;
    CUmodule module;
    CUdeviceptr there = allocate_on(1, 4);
    uint32_t value = 9, out = 0;
    CUfunction store = driver_function(&module, "store");
    fails(cuCtxDisablePeerAccess(contexts[1]), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
    fails(cuCtxEnablePeerAccess(contexts[1], 1), CUDA_ERROR_INVALID_VALUE);
    ok(cuCtxEnablePeerAccess(contexts[1], 0));
    fails(cuCtxEnablePeerAccess(contexts[1], 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
    ok(driver_launch(store, 1, 1, NULL, (void *[]){&there, &value}));
    ok(cuMemcpyDtoH_v2(&out, there, 4));
    assert_int_equal(out, 9);
    ok(cuCtxDisablePeerAccess(contexts[1]));
    ok(driver_launch(store, 1, 1, NULL, (void *[]){&there, &value}));
    fails(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* A stream of one device waits for an event of another. */
static void test_events(void **state)
{
    (void)state;
    CUstream first, second;
    CUevent event;
    struct driver_gate gate;
    ok(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    ok(cuEventCreate(&event, 0));
    driver_gate_close(&gate, first);
    ok(cuEventRecord(event, first));
    ok(cuCtxPushCurrent_v2(contexts[1]));
    ok(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    ok(cuStreamWaitEvent(second, event, 0));
    fails(cuEventRecord(event, second), CUDA_ERROR_INVALID_HANDLE);
    fails(cuStreamQuery(second), CUDA_ERROR_NOT_READY);
    driver_gate_open(&gate);
    ok(cuStreamSynchronize(second));
    ok(cuCtxPopCurrent_v2(NULL));
    driver_gate_free(&gate);
}

#define peer_test(function) cmocka_unit_test_setup_teardown(function, make_contexts, drop_contexts)

/* The context with the fault is made anew for each test. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_devices),
        peer_test(test_copies),
        peer_test(test_access),
        peer_test(test_events),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
