/* SPDX-License-Identifier: Apache-2.0 */
/* The software device's driver: modules, libraries, functions, launches and what is refused. */
#include "driver.h"

static void test_module(void **state)
{
    (void)state;
    CUmodule module;
    CUfunction function, again;
    CUdeviceptr pointer;
    size_t size;
    unsigned count;
    uint64_t values[2];
    ok(cuModuleLoadData(&module, driver_ptx));
    ok(cuModuleGetFunction(&function, module, "store"));
    ok(cuModuleGetFunction(&again, module, "store"));
    assert_ptr_equal(function, again);
    fails(cuModuleGetFunction(&again, module, "absent"), CUDA_ERROR_NOT_FOUND);
    ok(cuModuleGetGlobal_v2(&pointer, &size, module, "counter"));
    assert_int_equal(size, 16);
    ok(cuMemcpyDtoH_v2(values, pointer, 16));
    assert_int_equal(values[0], 5);
    assert_int_equal(values[1], 6);
    fails(cuModuleGetGlobal_v2(&pointer, &size, module, "absent"), CUDA_ERROR_NOT_FOUND);
    ok(cuModuleGetFunctionCount(&count, module));
    assert_int_equal(count, 9);
    CUfunction all[9];
    ok(cuModuleEnumerateFunctions(all, 9, module));
    const char *name;
    CUmodule owner;
    ok(cuFuncGetName(&name, function));
    assert_string_equal(name, "store");
    ok(cuFuncGetModule(&owner, function));
    assert_ptr_equal(owner, module);
    ok(cuModuleUnload(module));
    fails(cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
    fails(driver_launch(function, 1, 1, NULL, NULL), CUDA_ERROR_INVALID_HANDLE);
}

static void test_bad_images(void **state)
{
    (void)state;
    CUmodule module;
    char log[512] = "untouched";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof(log)};
    const char bad[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                       ".visible .entry k()\n{\n    add.u32 %r1, ;;;\n    ret;\n}\n";
    const char unknown[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                           ".visible .entry k()\n{\n    bogus.u32 5;\n    ret;\n}\n";
    fails(cuModuleLoadDataEx(&module, bad, 2, options, values), CUDA_ERROR_INVALID_PTX);
    assert_true(strlen(log) > 0);
    assert_string_not_equal(log, "untouched");
    assert_int_equal((uintptr_t)values[1] >= strlen(log), 1);
    values[1] = (void *)(uintptr_t)sizeof(log);
    CUresult result = cuModuleLoadDataEx(&module, unknown, 2, options, values);
    assert_true(result == CUDA_ERROR_INVALID_PTX || result == CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
    assert_non_null(strstr(log, "bogus"));
    result = cuModuleLoadData(&module, "this is no code");
    assert_true(result == CUDA_ERROR_INVALID_IMAGE || result == CUDA_ERROR_INVALID_PTX);
    fails(cuModuleLoadData(NULL, bad), CUDA_ERROR_INVALID_VALUE);
    fails(cuModuleLoadData(&module, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuModuleLoad(&module, "/nonexistent/module.ptx"), CUDA_ERROR_FILE_NOT_FOUND);
}

/* A fat binary with one entry, and the wrapper that nvcc's programs hand to the driver. */
struct fatbin {
    uint32_t magic;
    uint16_t version, header_size;
    uint64_t size;
    struct {
        uint16_t kind, version;
        uint32_t header_size;
        uint64_t size;
        uint32_t unknown[3], arch, unused[8];
        char ptx[(sizeof(driver_ptx) + 7) / 8 * 8];
    } entry;
};

static void test_fatbin(void **state)
{
    (void)state;
    static struct fatbin fatbin = {.magic = 0xba55ed50, .version = 1, .header_size = 16};
    fatbin.size = sizeof(fatbin.entry);
    fatbin.entry.kind = 1; /* PTX */
    fatbin.entry.version = 0x101;
    fatbin.entry.header_size = 64;
    fatbin.entry.size = sizeof(fatbin.entry.ptx);
    fatbin.entry.arch = 70;
    memcpy(fatbin.entry.ptx, driver_ptx, sizeof(driver_ptx));
    const struct {
        uint32_t magic, version;
        const void *data;
        void *others;
    } wrapper = {0x466243b1, 1, &fatbin, NULL}, empty = {0x466243b1, 1, NULL, NULL};
    CUmodule module;
    CUfunction function;
    ok(cuModuleLoadFatBinary(&module, &wrapper));
    ok(cuModuleGetFunction(&function, module, "store"));
    ok(cuModuleUnload(module));
    ok(cuModuleLoadData(&module, &fatbin));
    ok(cuModuleUnload(module));
    fails(cuModuleLoadFatBinary(&module, &empty), CUDA_ERROR_INVALID_IMAGE);
    fatbin.entry.kind = 2; /* a cubin, which this is not, for no device at all */
    fatbin.entry.arch = 10;
    assert_int_not_equal(cuModuleLoadData(&module, &fatbin), CUDA_SUCCESS);
}

static void test_library(void **state)
{
    (void)state;
    CUlibrary library, owner;
    CUkernel kernel;
    CUfunction function, again;
    CUmodule module;
    CUdeviceptr word;
    unsigned count;
    uint32_t value = 12, out = 0;
    size_t offset, size;
    ok(cuLibraryLoadData(&library, driver_ptx, NULL, NULL, 0, NULL, NULL, 0));
    ok(cuLibraryGetKernelCount(&count, library));
    assert_int_equal(count, 9);
    ok(cuLibraryGetKernel(&kernel, library, "store"));
    fails(cuLibraryGetKernel(&kernel, library, "absent"), CUDA_ERROR_NOT_FOUND);
    ok(cuKernelGetLibrary(&owner, kernel));
    assert_ptr_equal(owner, library);
    ok(cuKernelGetParamInfo(kernel, 1, &offset, &size));
    assert_int_equal(offset, 8);
    assert_int_equal(size, 4);
    fails(cuKernelGetParamInfo(kernel, 2, &offset, &size), CUDA_ERROR_INVALID_VALUE);
    ok(cuKernelGetFunction(&function, kernel));
    ok(cuKernelGetFunction(&again, kernel));
    assert_ptr_equal(function, again);
    ok(cuLibraryGetModule(&module, library));
    ok(cuModuleGetFunction(&again, module, "store"));
    assert_ptr_equal(function, again);
    ok(cuMemAlloc_v2(&word, 4));
    void *parameters[] = {&word, &value};
    ok(driver_launch((CUfunction)kernel, 1, 1, NULL, parameters)); /* a kernel as a function */
    const char *name;
    fails(cuFuncGetName(&name, (CUfunction)kernel), CUDA_ERROR_INVALID_HANDLE);
    ok(cuMemcpyDtoH_v2(&out, word, 4));
    assert_int_equal(out, 12);
    int limit;
    ok(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 65536, kernel, 0));
    ok(cuKernelGetAttribute(&limit, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, kernel, 0));
    assert_int_equal(limit, 65536);
    ok(cuFuncGetAttribute(&limit, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, function));
    assert_int_equal(limit, 65536);
    ok(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 65536, NULL, parameters, NULL));
    ok(cuCtxSynchronize());
    ok(cuMemFree_v2(word));
    ok(cuLibraryUnload(library));
    fails(cuLibraryUnload(library), CUDA_ERROR_INVALID_HANDLE);
    fails(cuKernelGetFunction(&function, kernel), CUDA_ERROR_INVALID_HANDLE);
}

/* A library's variables are each context's own. */
static void test_library_contexts(void **state)
{
    CUlibrary library;
    CUdeviceptr first, second;
    CUcontext other;
    size_t size;
    ok(cuLibraryLoadData(&library, driver_ptx, NULL, NULL, 0, NULL, NULL, 0));
    ok(cuLibraryGetGlobal(&first, &size, library, "counter"));
    ok(cuCtxCreate_v2(&other, 0, 0));
    ok(cuLibraryGetGlobal(&second, &size, library, "counter"));
    assert_true(first != second);
    ok(cuCtxDestroy_v2(other));
    ok(cuCtxSetCurrent(*state));
    ok(cuLibraryGetGlobal(&second, &size, library, "counter"));
    assert_int_equal(first, second);
    ok(cuLibraryUnload(library));
}

static void test_refused_launches(void **state)
{
    (void)state;
    CUmodule module;
    CUdeviceptr word;
    uint32_t value = 1;
    CUfunction store = driver_function(&module, "store"), bounded, shared;
    ok(cuModuleGetFunction(&bounded, module, "bounded"));
    ok(cuModuleGetFunction(&shared, module, "shared"));
    ok(cuMemAlloc_v2(&word, 4));
    void *p[] = {&word, &value};
    fails(cuLaunchKernel(store, 0, 1, 1, 1, 1, 1, 0, NULL, p, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernel(store, 1, 1, 1, 0, 1, 1, 0, NULL, p, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernel(store, 1, 65536, 1, 1, 1, 1, 0, NULL, p, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernel(store, 1, 1, 1, 1025, 1, 1, 0, NULL, p, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernel(store, 1, 1, 1, 1, 1, 65, 0, NULL, p, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernel(store, 1, 1, 1, 64, 32, 1, 0, NULL, p, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 49153, NULL, p, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernel(shared, 1, 1, 1, 1, 1, 1, 49152, NULL, NULL, NULL),
          CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    assert_int_not_equal(driver_launch(bounded, 1, 65, NULL, NULL), CUDA_SUCCESS);
    ok(driver_launch(bounded, 1, 64, NULL, NULL));
    fails(cuLaunchCooperativeKernel(store, 1000000, 1, 1, 1024, 1, 1, 0, NULL, p),
          CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
    fails(cuFuncSetAttribute(store, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 240 * 1024),
          CUDA_ERROR_INVALID_VALUE);
    fails(cuFuncSetAttribute(store, CU_FUNC_ATTRIBUTE_NUM_REGS, 8), CUDA_ERROR_INVALID_VALUE);
    ok(cuCtxSynchronize());
    ok(cuMemFree_v2(word));
}

struct packed {
    uint32_t a, b, c;
};

static void check_many(CUdeviceptr out)
{
    uint32_t got[5];
    ok(cuMemcpyDtoH_v2(got, out, sizeof(got)));
    assert_int_equal(got[0], 200);
    assert_int_equal(got[1], 60000);
    assert_int_equal(got[2], 0x55667788);
    assert_int_equal(got[3], 0x11223344);
    assert_int_equal(got[4], 30);
    ok(cuMemsetD8_v2(out, 0, sizeof(got)));
}

static void test_parameters(void **state)
{
    (void)state;
    CUmodule module;
    CUdeviceptr out;
    uint8_t byte = 200;
    uint16_t half = 60000;
    uint64_t wide = 0x1122334455667788;
    struct packed packed = {10, 20, 30};
    CUfunction many = driver_function(&module, "many");
    ok(cuMemAlloc_v2(&out, 20));
    ok(driver_launch(many, 1, 1, NULL, (void *[]){&out, &byte, &half, &wide, &packed}));
    check_many(out);
    unsigned char buffer[64] = {0};
    void *parts[] = {&out, &byte, &half, &wide, &packed};
    size_t total = 0;
    for (size_t i = 0; i < 5; i++) {
        size_t offset, size;
        ok(cuFuncGetParamInfo(many, i, &offset, &size));
        memcpy(buffer + offset, parts[i], size);
        total = offset + size;
    }
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &total,
                     CU_LAUNCH_PARAM_END};
    ok(cuLaunchKernel(many, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    check_many(out);
    fails(cuLaunchKernel(many, 1, 1, 1, 1, 1, 1, 0, NULL, parts, extra), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemFree_v2(out));
}

static void test_launch_ex(void **state)
{
    (void)state;
    CUmodule module;
    CUdeviceptr word;
    CUstream stream;
    CUevent event;
    uint32_t out = 0;
    CUfunction increment = driver_function(&module, "increment");
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    ok(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    ok(cuMemAlloc_v2(&word, 4));
    ok(cuMemsetD32Async(word, 0, 1, stream));
    CUlaunchAttribute attributes[3] = {
        {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, .value.clusterDim = {2, 1, 1}},
        {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
         .value.programmaticStreamSerializationAllowed = 1},
        {.id = CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT,
         .value.launchCompletionEvent = {.event = event}},
    };
    CUlaunchConfig config = {.gridDimX = 4,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 32,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .hStream = stream,
                             .attrs = attributes,
                             .numAttrs = 3};
    void *parameters[] = {&word};
    ok(cuLaunchKernelEx(&config, increment, parameters, NULL));
    ok(cuEventSynchronize(event));
    ok(cuStreamSynchronize(stream));
    ok(cuMemcpyDtoH_v2(&out, word, 4));
    assert_int_equal(out, 128);
    config.gridDimX = 3; /* no whole number of clusters */
    fails(cuLaunchKernelEx(&config, increment, parameters, NULL), CUDA_ERROR_INVALID_CLUSTER_SIZE);
    config.numAttrs = 1;
    attributes[0].id = (CUlaunchAttributeID)99;
    fails(cuLaunchKernelEx(&config, increment, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuLaunchKernelEx(NULL, increment, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemFree_v2(word));
    ok(cuEventDestroy_v2(event));
    ok(cuStreamDestroy_v2(stream));
}

static void test_occupancy(void **state)
{
    (void)state;
    CUmodule module;
    int blocks, fewer, grid, block, limit;
    size_t room;
    CUfunction store = driver_function(&module, "store");
    ok(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, store, 256, 0));
    assert_true(blocks >= 1 && blocks <= 8);
    ok(cuOccupancyMaxActiveBlocksPerMultiprocessor(&fewer, store, 256, 40000));
    assert_true(fewer >= 1 && fewer <= blocks);
    fails(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, store, 0, 0),
          CUDA_ERROR_INVALID_VALUE);
    ok(cuOccupancyMaxPotentialBlockSize(&grid, &block, store, NULL, 0, 0));
    assert_true(grid >= 1 && block >= 32 && block <= 1024);
    ok(cuOccupancyAvailableDynamicSMemPerBlock(&room, store, 2, 128));
    assert_true(room > 0);
    ok(cuFuncGetAttribute(&limit, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, store));
    assert_int_equal(limit, 1024);
}

static void test_link(void **state)
{
    (void)state;
    static const char second[] =
        ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry other()\n{\n    ret;\n}\n";
    CUlinkState link;
    CUmodule module;
    CUfunction function;
    void *image;
    size_t size;
    ok(cuLinkCreate_v2(0, NULL, NULL, &link));
    ok(cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, (void *)(uintptr_t)driver_ptx, sizeof(driver_ptx),
                        "first", 0, NULL, NULL));
    ok(cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, (void *)(uintptr_t)second, sizeof(second), "second",
                        0, NULL, NULL));
    ok(cuLinkComplete(link, &image, &size));
    assert_true(size > 0);
    ok(cuModuleLoadData(&module, image));
    ok(cuLinkDestroy(link));
    ok(cuModuleGetFunction(&function, module, "store"));
    ok(cuModuleGetFunction(&function, module, "other"));
    ok(driver_launch(function, 1, 1, NULL, NULL));
    ok(cuCtxSynchronize());
    ok(cuModuleUnload(module));
    fails(cuLinkDestroy(link), CUDA_ERROR_INVALID_HANDLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_module),           driver_test(test_bad_images),
        driver_test(test_fatbin),           driver_test(test_library),
        driver_test(test_library_contexts), driver_test(test_refused_launches),
        driver_test(test_parameters),       driver_test(test_launch_ex),
        driver_test(test_occupancy),        driver_test(test_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
