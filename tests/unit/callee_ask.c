/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions in a view, and what is only set, called directly (callee_session.h): of devices,
 * contexts, code, memory, pools and arrays. The answers are the worker's. The software device is
 * the first argument.
 */
#include "callee_session.h"

#include "backend/softgpu/softgpu.h"

#include <string.h>

#define ARRAY  30u
#define POOL   31u
#define MIPMAP 32u

#define NOTHING WH_PAYLOAD_NULL

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .global .align 4 .b32 number;\n"
                          ".visible .entry add(.param .u64 a, .param .u32 n)\n{\n"
                          "  .reg .b32 %r<4>; .reg .b64 %d<4>; .shared .align 4 .b32 s[64];\n"
                          "  ld.param.u64 %d1, [a]; ld.param.u32 %r1, [n];\n"
                          "  st.global.u32 [%d1], %r1; ret;\n}\n"
                          ".visible .entry more()\n{\n  ret;\n}\n";

static const struct question general[] = {
    {WH_CUDA_cuDeviceGet, 2, {4, 0}},
    {WH_CUDA_cuDeviceGet, 2, {4, 17}},
    {WH_CUDA_cuDeviceGetCount, 1, {4}},
    {WH_CUDA_cuDeviceGetName, 3, {100, 100, 0}},
    {WH_CUDA_cuDeviceGetName, 3, {9, 9, 0}},
    {WH_CUDA_cuDeviceGetUuid_v2, 2, {16, 0}},
    {WH_CUDA_cuDeviceTotalMem_v2, 2, {8, 0}},
    {WH_CUDA_cuDeviceTotalMem_v2, 2, {8, (uint64_t)-1}},
    {WH_CUDA_cuDeviceGetAttribute, 3, {4, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0}},
    {WH_CUDA_cuDeviceGetAttribute, 3, {4, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0}},
    {WH_CUDA_cuDeviceGetAttribute, 3, {4, 0, 0}},
    {WH_CUDA_cuDeviceGetExecAffinitySupport, 3, {4, 0, 0}},
    {WH_CUDA_cuDeviceGetProperties, 2, {sizeof(CUdevprop), 0}},
    {WH_CUDA_cuDeviceComputeCapability, 3, {4, 4, 0}},
    {WH_CUDA_cuDeviceGetPCIBusId, 3, {20, 20, 0}},
    {WH_CUDA_cuDeviceGetPCIBusId, 3, {12, 12, 0}},
    {WH_CUDA_cuDeviceCanAccessPeer, 3, {4, 0, 0}},
    {WH_CUDA_cuDeviceGetP2PAttribute, 4, {4, 1, 0, 0}},
    {WH_CUDA_cuCtxSetFlags, 1, {CU_CTX_SCHED_YIELD}},
    {WH_CUDA_cuCtxGetId, 2, {CONTEXT, 8}},
    {WH_CUDA_cuCtxGetId, 2, {0, 8}},
    {WH_CUDA_cuCtxGetApiVersion, 2, {CONTEXT, 4}},
    {WH_CUDA_cuCtxEnablePeerAccess, 2, {CONTEXT, 0}},
    {WH_CUDA_cuCtxDisablePeerAccess, 1, {CONTEXT}},
    {WH_CUDA_cuDriverGetVersion, 1, {4}},
    {WH_CUDA_cuDeviceGetTexture1DLinearMaxWidth, 4, {8, CU_AD_FORMAT_FLOAT, 4, 0}},
    {WH_CUDA_cuDeviceGetTexture1DLinearMaxWidth, 4, {8, CU_AD_FORMAT_FLOAT, 3, 0}},
    {WH_CUDA_wh_context_synchronize, 1, {CONTEXT}},
    {WH_CUDA_wh_context_synchronize, 1, {0}},
    {WH_CUDA_cuProfilerStart, 0, {0}},
    {WH_CUDA_cuProfilerStop, 0, {0}},
};

static void of_devices_and_contexts(void **state)
{
    (void)state;
    same_answers(general, sizeof(general) / sizeof(general[0]));
}

/* ---- code ---- */

static const struct question code[] = {
    {WH_CUDA_cuFuncGetAttribute, 3, {4, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, FUNCTION}},
    {WH_CUDA_cuFuncGetAttribute, 3, {4, 77, FUNCTION}},
    {WH_CUDA_cuFuncGetAttribute, 3, {4, CU_FUNC_ATTRIBUTE_NUM_REGS, 0}},
    {WH_CUDA_cuFuncSetAttribute,
     3,
     {FUNCTION, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 50000}},
    {WH_CUDA_cuFuncGetAttribute, 3, {4, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, FUNCTION}},
    {WH_CUDA_cuFuncSetCacheConfig, 2, {FUNCTION, 1}},
    {WH_CUDA_cuFuncSetSharedMemConfig, 2, {FUNCTION, 9}},
    {WH_CUDA_cuFuncGetParamInfo, 4, {FUNCTION, 1, 8, 8}},
    {WH_CUDA_cuFuncGetParamInfo, 4, {FUNCTION, 2, 8, NOTHING}},
    {WH_CUDA_cuFuncIsLoaded, 2, {4, FUNCTION}},
    {WH_CUDA_cuFuncLoad, 1, {FUNCTION}},
    {WH_CUDA_cuKernelGetAttribute, 4, {4, CU_FUNC_ATTRIBUTE_NUM_REGS, KERNEL, 0}},
    {WH_CUDA_cuKernelGetAttribute, 4, {4, CU_FUNC_ATTRIBUTE_NUM_REGS, KERNEL, 3}},
    {WH_CUDA_cuKernelSetAttribute,
     4,
     {CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 40, KERNEL, 0}},
    {WH_CUDA_cuKernelGetAttribute,
     4,
     {4, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, KERNEL, 0}},
    {WH_CUDA_cuKernelSetCacheConfig, 3, {KERNEL, 1, 0}},
    {WH_CUDA_cuKernelGetParamInfo, 4, {KERNEL, 1, 8, 8}},
    {WH_CUDA_cuModuleGetFunctionCount, 2, {4, MODULE}},
    {WH_CUDA_cuLibraryGetKernelCount, 2, {4, LIBRARY}},
    {WH_CUDA_cuModuleGetLoadingMode, 1, {4}},
    {WH_CUDA_wh_param_layout, 6, {FUNCTION, 0, 0, 8, 8 * 16, 4}},
    {WH_CUDA_wh_param_layout, 6, {0, KERNEL, 1, 8, 8 * 16, 4}},
    {WH_CUDA_cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, 5, {4, FUNCTION, 128, 1024, 0}},
    {WH_CUDA_cuOccupancyAvailableDynamicSMemPerBlock, 4, {8, FUNCTION, 2, 128}},
    {WH_CUDA_wh_block_size, 7, {FUNCTION, 0, 0, 0, 0, 4, 4}},
};

/* Of a kernel's function in the context, once there is one. */
static const struct question made[] = {
    {WH_CUDA_wh_kernel_occupancy, 6, {4, KERNEL, 0, 128, 0, 0}},
    {WH_CUDA_wh_kernel_free_shared, 5, {8, KERNEL, 0, 2, 128}},
    {WH_CUDA_wh_block_size, 7, {0, KERNEL, 0, 256, 0, 4, 4}},
    {WH_CUDA_cuKernelSetAttribute,
     4,
     {CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 30, KERNEL, 0}},
};

static void of_code(void **state)
{
    (void)state;
    load_function(ptx, "add");
    load_kernel(ptx, "add");
    same_answers(code, sizeof(code) / sizeof(code[0]));
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_wh_kernel_occupancy, 4, KERNEL, 0, 128, 0, 0)); /* makes it */
    assert_int_equal(test->gate.carried_out, before);
    same_answers(made, sizeof(made) / sizeof(made[0]));
    CUlaunchConfig config = {.gridDimX = 4,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 64,
                             .blockDimY = 1,
                             .blockDimZ = 1};
    struct question clusters = {WH_CUDA_wh_cluster_occupancy, 0, {FUNCTION, 0, 1, 1}};
    memcpy(clusters.words + 4, &config, sizeof(config));
    clusters.n = 4 + (sizeof(config) + 7) / 8;
    clusters.words[clusters.n++] = 0;
    clusters.words[clusters.n++] = NOTHING;
    clusters.words[clusters.n++] = 4;
    same_answers(&clusters, 1);
}

/* ---- names ---- */

static void *real_of(uint32_t id)
{
    const struct wh_entry *entry = wh_table_find(test->worker.table, id, 0);
    return entry ? entry->real : NULL;
}

/* Of two ids that got a name's object one after the other, by the worker's threads and in the view
 * or both in the view, which makes what there was not. */
static void same_object(uint16_t call, uint64_t of, const char *name, uint64_t ids, bool by_worker)
{
    uint64_t before = test->gate.carried_out;
    test->pair.client->step_in = by_worker ? NULL : step_in;
    expect_success(ask_named(call, of, name, ids));
    test->pair.client->step_in = step_in;
    wait_for_sleep();
    expect_success(ask_named(call, of, name, ids + 1));
    assert_int_equal(test->gate.carried_out, before + (by_worker ? 1 : 2));
    assert_ptr_equal(real_of((uint32_t)ids), real_of((uint32_t)ids + 1));
    assert_non_null(real_of((uint32_t)ids));
}

static void names(void **state)
{
    (void)state;
    load_function(ptx, "add");
    load_kernel(ptx, "add");
    wait_for_sleep();
    same_object(WH_CUDA_wh_get_function, MODULE, "more", 200, false);
    same_object(WH_CUDA_wh_get_function, MODULE, "add", 202, true);
    same_object(WH_CUDA_wh_get_kernel, LIBRARY, "more", 204, true);
    assert_int_equal(atomic_load(&((struct soft_object *)real_of(200))->references), 1);
    struct answer none = ask_named(WH_CUDA_wh_get_function, MODULE, "mor", 210);
    assert_int_equal(status(&none), CUDA_ERROR_NOT_FOUND);
    assert_null(real_of(210));
    const struct question questions[] = {
        {WH_CUDA_wh_get_global, 7, {MODULE, 0, 7, 0x7265626d756e, 0, 8, 8}}, /* "number" */
        {WH_CUDA_wh_get_global, 7, {MODULE, 0, 4, 0x6d756e, 0, 8, 8}},
        {WH_CUDA_wh_get_global, 7, {0, 0, 4, 0x6d756e, 0, 8, 8}},
        {WH_CUDA_wh_function_name, 6, {MODULE, 0, 1, 16, 16, 8}},
        {WH_CUDA_wh_function_name, 6, {MODULE, 0, 2, 16, 16, 8}},
        {WH_CUDA_wh_function_name, 6, {0, LIBRARY, 0, 3, 3, 8}},
    };
    same_answers(questions, sizeof(questions) / sizeof(questions[0]));
    /* A library's in the context: there is none before the worker has loaded it. */
    uint64_t before = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_wh_kernel_function, KERNEL, 1, 220));
    assert_int_equal(test->gate.carried_out, before);
    wait_for_sleep();
    expect_success(ASK(WH_CUDA_wh_kernel_function, 204, 1, 221)); /* is made here */
    expect_success(ASK(WH_CUDA_wh_library_module, LIBRARY, 1, 222));
    assert_int_equal(test->gate.carried_out, before + 2);
    wait_for_sleep();
    test->pair.client->step_in = NULL;
    expect_success(ASK(WH_CUDA_wh_kernel_function, 205, 1, 223));
    expect_success(ASK(WH_CUDA_wh_library_module, LIBRARY, 1, 224));
    assert_ptr_equal(real_of(221), real_of(223));
    assert_ptr_equal(real_of(222), real_of(224));
    test->pair.client->step_in = step_in;
    wait_for_sleep();
    before = test->gate.carried_out;
    POST(WH_CUDA_wh_forget_function, 221);
    POST(WH_CUDA_wh_forget_kernel, 204);
    assert_int_equal(test->gate.carried_out, before + 2);
    assert_null(real_of(221));
    expect_success(ASK(WH_CUDA_cuModuleUnload, MODULE)); /* with the function made in the view */
    expect_success(ASK(WH_CUDA_cuLibraryUnload, LIBRARY));
    struct answer gone = ASK(WH_CUDA_cuFuncLoad, 200);
    assert_int_equal(status(&gone), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(test->account.calls, test->sent);
}

/* ---- memory ---- */

static const struct question pools[] = {
    {WH_CUDA_cuDeviceGetDefaultMemPool, 2, {1, 0}},
    {WH_CUDA_cuDeviceGetMemPool, 2, {1, 0}},
    {WH_CUDA_cuDeviceGetMemPool, 2, {1, 5}},
    {WH_CUDA_wh_pool_at, 5, {8, CU_MEM_LOCATION_TYPE_DEVICE, CU_MEM_ALLOCATION_TYPE_PINNED, 1, 1}},
    {WH_CUDA_cuDeviceSetMemPool, 2, {0, POOL}},
    {WH_CUDA_cuDeviceGetMemPool, 2, {1, 0}},
    {WH_CUDA_wh_pool_set_at,
     4,
     {8, CU_MEM_LOCATION_TYPE_DEVICE, CU_MEM_ALLOCATION_TYPE_PINNED, POOL}},
    {WH_CUDA_wh_pool_set_attribute, 3, {POOL, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 12345}},
    {WH_CUDA_cuMemPoolGetAttribute, 3, {POOL, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 8}},
    {WH_CUDA_cuMemPoolGetAttribute, 3, {POOL, 99, 8}},
    {WH_CUDA_cuMemPoolSetAccess,
     5,
     {POOL, 12, CU_MEM_LOCATION_TYPE_DEVICE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE, 1}},
    {WH_CUDA_wh_pool_get_access, 4, {POOL, 8, CU_MEM_LOCATION_TYPE_DEVICE, 4}},
};

static void of_memory(void **state)
{
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location.type = CU_MEM_LOCATION_TYPE_DEVICE};
    uint64_t words[3 + sizeof(props) / 8] = {1, POOL, sizeof(props)}, address = allocate(100);
    (void)state;
    memcpy(words + 3, &props, sizeof(props));
    expect_success(ask(WH_CUDA_cuMemPoolCreate, words, sizeof(words) / 8));
    (void)ASK(WH_CUDA_cuDeviceGetDefaultMemPool, 1, 0); /* the worker gives it an id */
    same_answers(pools, sizeof(pools) / sizeof(pools[0]));
    const struct question pointers[] = {
        {WH_CUDA_wh_pointer_attribute, 3, {CU_POINTER_ATTRIBUTE_BUFFER_ID, address, 8}},
        {WH_CUDA_wh_pointer_attribute, 3, {CU_POINTER_ATTRIBUTE_HOST_POINTER, address, 8}},
        {WH_CUDA_wh_pointer_attribute, 3, {CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, address + 99, 8}},
        {WH_CUDA_wh_pointer_sync_memops, 2, {address, 1}},
        {WH_CUDA_wh_pointer_attribute, 3, {CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, address, 8}},
        {WH_CUDA_wh_pointer_pool, 2, {address, 1}},
    };
    same_answers(pointers, sizeof(pointers) / sizeof(pointers[0]));
}

static const struct question arrays[] = {
    {WH_CUDA_cuArrayGetDescriptor_v2, 2, {sizeof(CUDA_ARRAY_DESCRIPTOR), ARRAY}},
    {WH_CUDA_cuArray3DGetDescriptor_v2, 2, {sizeof(CUDA_ARRAY3D_DESCRIPTOR), ARRAY}},
    {WH_CUDA_cuArrayGetPlane, 3, {1, ARRAY, 0}},
    {WH_CUDA_cuArrayGetSparseProperties, 2, {sizeof(CUDA_ARRAY_SPARSE_PROPERTIES), ARRAY}},
    {WH_CUDA_cuArrayGetMemoryRequirements, 3, {sizeof(CUDA_ARRAY_MEMORY_REQUIREMENTS), ARRAY, 0}},
};

static const struct question mipmaps[] = {
    {WH_CUDA_cuMipmappedArrayGetSparseProperties,
     2,
     {sizeof(CUDA_ARRAY_SPARSE_PROPERTIES), MIPMAP}},
    {WH_CUDA_cuMipmappedArrayGetMemoryRequirements,
     3,
     {sizeof(CUDA_ARRAY_MEMORY_REQUIREMENTS), MIPMAP, 0}},
    {WH_CUDA_cuMipmappedArrayGetLevel, 3, {1, MIPMAP, 9}},
    {WH_CUDA_cuMipmappedArrayGetLevel, 3, {1, MIPMAP, 1}},
    /* Of textures that are none. */
    {WH_CUDA_cuTexObjectGetTextureDesc, 2, {sizeof(CUDA_TEXTURE_DESC), 12345}},
    {WH_CUDA_cuTexObjectGetResourceViewDesc, 2, {sizeof(CUDA_RESOURCE_VIEW_DESC), 0}},
};

static void of_mipmaps(void **state)
{
    const CUDA_ARRAY3D_DESCRIPTOR wish = {
        .Width = 8, .Height = 8, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
    uint64_t words[4 + sizeof(wish) / 8] = {1, MIPMAP, sizeof(wish)};
    (void)state;
    memcpy(words + 3, &wish, sizeof(wish));
    words[3 + sizeof(wish) / 8] = 3;
    expect_success(ask(WH_CUDA_cuMipmappedArrayCreate, words, sizeof(words) / 8));
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_cuMipmappedArrayGetLevel, 1, MIPMAP, 1)); /* gets an id */
    assert_int_equal(test->gate.carried_out, before);
    same_answers(mipmaps, sizeof(mipmaps) / sizeof(mipmaps[0]));
}

static void of_mapping(void **state)
{
    const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .location.type = CU_MEM_LOCATION_TYPE_DEVICE};
    struct question questions[] = {
        {WH_CUDA_cuMemGetAllocationGranularity, 3 + sizeof(prop) / 8, {8, sizeof(prop)}},
        {WH_CUDA_cuMemGetAllocationGranularity, 3, {8, NOTHING, 0}},
        {WH_CUDA_cuMemGetAccess, 4, {8, 8, CU_MEM_LOCATION_TYPE_DEVICE, allocate(100)}},
    };
    (void)state;
    memcpy(questions[0].words + 2, &prop, sizeof(prop));
    same_answers(questions, sizeof(questions) / sizeof(questions[0]));
}

static void of_arrays(void **state)
{
    const CUDA_ARRAY_DESCRIPTOR wish = {
        .Width = 8, .Height = 8, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
    uint64_t words[3 + sizeof(wish) / 8] = {1, ARRAY, sizeof(wish)};
    (void)state;
    memcpy(words + 3, &wish, sizeof(wish));
    expect_success(ask(WH_CUDA_cuArrayCreate_v2, words, sizeof(words) / 8));
    same_answers(arrays, sizeof(arrays) / sizeof(arrays[0]));
}

/* ---- streams ---- */

static void of_streams(void **state)
{
    const struct question questions[] = {
        {WH_CUDA_cuStreamGetAttribute, 3, {STREAM, CU_LAUNCH_ATTRIBUTE_PRIORITY, 64}},
        {WH_CUDA_cuStreamSetAttribute, 11, {STREAM, CU_LAUNCH_ATTRIBUTE_PRIORITY, 64, 0}},
        {WH_CUDA_cuStreamSetAttribute, 11, {STREAM, 1234, 64, 0}},
        {WH_CUDA_cuStreamGetAttribute, 3, {STREAM, CU_LAUNCH_ATTRIBUTE_PRIORITY, 64}},
        {WH_CUDA_cuStreamCopyAttributes, 2, {0, STREAM}},
        {WH_CUDA_wh_capture_info, 8, {STREAM, 4, 4, 8, 8, 4, NOTHING, NOTHING}},
        {WH_CUDA_wh_capture_info, 8, {0, 0, 4, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING}},
    };
    (void)state;
    same_answers(questions, sizeof(questions) / sizeof(questions[0]));
}

static uint64_t number_at(uint64_t address)
{
    struct answer answer = ASK(WH_CUDA_wh_read, 8, 8, address, STREAM);
    uint64_t number;
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    memcpy(&number, answer.bytes + 16, sizeof(number));
    return number;
}

static void post_batch(uint64_t address, CUstreamBatchMemOpType operation, uint64_t value)
{
    CUstreamBatchMemOpParams params;
    uint64_t words[4 + sizeof(params) / 8] = {STREAM, 1, sizeof(params)};
    memset(&params, 0, sizeof(params));
    params.writeValue.operation = operation;
    params.writeValue.address = address;
    params.writeValue.value64 = value;
    memcpy(words + 3, &params, sizeof(params));
    send_words(WH_CUDA_wh_batch_memop, WH_NO_SLOT, words, sizeof(words) / 8);
}

/* What may wait is the worker's, but for a value that is there. */
static void values(void **state)
{
    uint64_t address = allocate(64);
    (void)state;
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    POST(WH_CUDA_cuStreamWriteValue64_v2, STREAM, address, 7ull << 40 | 3, 0);
    POST(WH_CUDA_cuStreamWriteValue32_v2, STREAM, address + 4, 99, 0);
    post_batch(address + 8, CU_STREAM_MEM_OP_WRITE_VALUE_64, 1234);
    assert_int_equal(number_at(address), 99ull << 32 | 3);
    assert_int_equal(number_at(address + 8), 1234);
    assert_int_equal(test->gate.carried_out, before + 5);
    POST(WH_CUDA_cuStreamWaitValue64_v2, STREAM, address + 8, 1234, CU_STREAM_WAIT_VALUE_EQ);
    POST(WH_CUDA_cuStreamWaitValue32_v2, STREAM, address + 8, 1000, CU_STREAM_WAIT_VALUE_GEQ);
    assert_int_equal(test->gate.carried_out, before + 7);
    POST(WH_CUDA_cuStreamWaitValue32_v2, STREAM, address + 8, 2000, CU_STREAM_WAIT_VALUE_GEQ);
    wait_for_sleep();
    assert_int_equal(test->gate.carried_out, before + 7);
    POST(WH_CUDA_cuStreamWriteValue32_v2, 0, address + 8, 2001, 0); /* whoever waits goes on */
    expect_success(ASK(WH_CUDA_cuCtxSynchronize));
    wait_for_sleep();
    before = test->gate.carried_out - 5;
    POST(WH_CUDA_cuStreamWriteValue64_v2, STREAM, address + 60, 1, 0); /* beyond the end */
    wait_for_sleep();
    assert_int_equal(test->gate.carried_out, before + 5);
    struct answer told = ASK(WH_CUDA_cuCtxSynchronize);
    assert_int_equal(status(&told), CUDA_ERROR_INVALID_VALUE);
    wait_for_sleep();
    before = test->gate.carried_out;
    post_batch(address + 8, CU_STREAM_MEM_OP_WAIT_VALUE_64, 1);
    wait_for_sleep();
    assert_int_equal(test->gate.carried_out, before);
    assert_int_equal(test->account.calls, test->sent);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_devices_and_contexts, open_session, close_session),
        cmocka_unit_test_setup_teardown(of_code, open_session, close_session),
        cmocka_unit_test_setup_teardown(names, open_session, close_session),
        cmocka_unit_test_setup_teardown(of_memory, open_session, close_session),
        cmocka_unit_test_setup_teardown(of_arrays, open_session, close_session),
        cmocka_unit_test_setup_teardown(of_mipmaps, open_session, close_session),
        cmocka_unit_test_setup_teardown(of_mapping, open_session, close_session),
        cmocka_unit_test_setup_teardown(of_streams, open_session, close_session),
        cmocka_unit_test_setup_teardown(values, open_session, close_session),
    };
    if (argc < 2)
        return 2;
    callee_prepare(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
