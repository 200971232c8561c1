/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls in a session's view that ask, and those that set what is only kept: of devices, contexts,
 * functions, pointers, pools. See callee.h.
 */
#include "backend/cuda/callee.h"

#define CONTEXT POINTER(struct CUctx_st, 0)

/* ---- contexts ---- */

/* The thread's number has a place already: else the worker makes room. */
bool wh_callee_set_current(struct wh_call *call, uint64_t *a)
{
    const struct wh_gate *gate = wh_callee_gate();
    const struct wh_cuda_contexts *contexts = gate->backend[0];
    if (call->thread >= contexts->room)
        return false;
    contexts->current[call->thread] = call->entries[0] ? call->entries[0]->id : 0;
    a[WH_RESULT] = CUDA_SUCCESS;
    return true;
}

/* Unlike the driver's, where either may be left out: as the backend's own. */
bool wh_callee_memory_info(struct wh_call *call, uint64_t *a)
{
    size_t unused, total;
    CUresult result = cuMemGetInfo_v2(&unused, &total);
    (void)call;
    a[WH_RESULT] = (uint64_t)(int64_t)result;
    if (result == CUDA_SUCCESS && a[0])
        *(size_t *)(uintptr_t)a[0] = unused;
    if (result == CUDA_SUCCESS && a[1])
        *(size_t *)(uintptr_t)a[1] = total;
    return true;
}

CALL(get_flags, true, CtxGetFlags(POINTER(unsigned, 0)))
CALL(get_limit, true, CtxGetLimit(POINTER(size_t, 0), (CUlimit)a[1]))
CALL(set_limit, true, CtxSetLimit((CUlimit)a[0], a[1]))
CALL(get_cache, true, CtxGetCacheConfig(POINTER(CUfunc_cache, 0)))
CALL(set_cache, true, CtxSetCacheConfig((CUfunc_cache)a[0]))
CALL(get_banks, true, CtxGetSharedMemConfig(POINTER(CUsharedconfig, 0)))
CALL(set_banks, true, CtxSetSharedMemConfig((CUsharedconfig)a[0]))
CALL(get_priorities, true, CtxGetStreamPriorityRange(POINTER(int, 0), POINTER(int, 1)))
CALL(get_affinity, true,
     CtxGetExecAffinity(POINTER(CUexecAffinityParam, 0), (CUexecAffinityType)a[1]))
CALL(reset_cache, true, CtxResetPersistingL2Cache())
CALL(context_synchronize, true, CtxSynchronize())
CALL(set_flags, true, CtxSetFlags((unsigned)a[0]))
CALL(context_id, soft_callee_reaches_named(CONTEXT),
     CtxGetId(CONTEXT, POINTER(unsigned long long, 1)))
CALL(context_version, soft_callee_reaches_named(CONTEXT),
     CtxGetApiVersion(CONTEXT, POINTER(unsigned, 1)))
CALL(enable_peer, soft_callee_reaches_named(CONTEXT), CtxEnablePeerAccess(CONTEXT, (unsigned)a[1]))
CALL(disable_peer, soft_callee_reaches_named(CONTEXT), CtxDisablePeerAccess(CONTEXT))

/* Nothing is to be waited for. A context that cannot be made current is the worker's. */
bool wh_callee_synchronize(struct wh_call *call, uint64_t *a)
{
    CUresult result = CUDA_ERROR_INVALID_CONTEXT;
    (void)call;
    if (soft_callee_reaches_named(CONTEXT))
        result = cuCtxSynchronize_v2(CONTEXT);
    a[WH_RESULT] = (uint64_t)(int64_t)result;
    return result == CUDA_SUCCESS;
}

CALL(start_profiler, true, ProfilerStart())
CALL(stop_profiler, true, ProfilerStop())

/* ---- devices ---- */

CALL(version, true, DriverGetVersion(POINTER(int, 0)))
CALL(device, true, DeviceGet(POINTER(CUdevice, 0), (int)a[1]))
CALL(device_count, true, DeviceGetCount(POINTER(int, 0)))
CALL(device_name, true, DeviceGetName(POINTER(char, 0), (int)a[1], (CUdevice)a[2]))
CALL(device_uuid, true, DeviceGetUuid_v2(POINTER(CUuuid, 0), (CUdevice)a[1]))
CALL(device_memory, true, DeviceTotalMem_v2(POINTER(size_t, 0), (CUdevice)a[1]))
CALL(device_attribute, true,
     DeviceGetAttribute(POINTER(int, 0), (CUdevice_attribute)a[1], (CUdevice)a[2]))
CALL(device_affinity, true,
     DeviceGetExecAffinitySupport(POINTER(int, 0), (CUexecAffinityType)a[1], (CUdevice)a[2]))
CALL(device_properties, true, DeviceGetProperties(POINTER(CUdevprop, 0), (CUdevice)a[1]))
CALL(device_capability, true,
     DeviceComputeCapability(POINTER(int, 0), POINTER(int, 1), (CUdevice)a[2]))
CALL(device_bus, true, DeviceGetPCIBusId(POINTER(char, 0), (int)a[1], (CUdevice)a[2]))
CALL(device_peer, true, DeviceCanAccessPeer(POINTER(int, 0), (CUdevice)a[1], (CUdevice)a[2]))
CALL(device_pair, true,
     DeviceGetP2PAttribute(POINTER(int, 0), (CUdevice_P2PAttribute)a[1], (CUdevice)a[2],
                           (CUdevice)a[3]))

/* ---- functions and kernels ---- */

#define FUNCTION_AT(i) soft_callee_reaches_function(POINTER(struct CUfunc_st, i))
#define KERNEL_AT(i)   soft_callee_reaches_kernel(POINTER(struct CUkern_st, i))

/* What may be launched, be it a function or a kernel in its place. */
#define CODE_AT(i) soft_callee_reaches_launchable(POINTER(struct CUfunc_st, i))

CALL(function_attribute, FUNCTION_AT(2),
     FuncGetAttribute(POINTER(int, 0), (CUfunction_attribute)a[1], POINTER(struct CUfunc_st, 2)))
CALL(set_function_attribute, FUNCTION_AT(0),
     FuncSetAttribute(POINTER(struct CUfunc_st, 0), (CUfunction_attribute)a[1], (int)a[2]))
CALL(set_function_cache, FUNCTION_AT(0),
     FuncSetCacheConfig(POINTER(struct CUfunc_st, 0), (CUfunc_cache)a[1]))
CALL(set_function_banks, FUNCTION_AT(0),
     FuncSetSharedMemConfig(POINTER(struct CUfunc_st, 0), (CUsharedconfig)a[1]))
CALL(function_parameter, FUNCTION_AT(0),
     FuncGetParamInfo(POINTER(struct CUfunc_st, 0), a[1], POINTER(size_t, 2), POINTER(size_t, 3)))
CALL(function_loaded, FUNCTION_AT(1),
     FuncIsLoaded(POINTER(CUfunctionLoadingState, 0), POINTER(struct CUfunc_st, 1)))
CALL(load_function, FUNCTION_AT(0), FuncLoad(POINTER(struct CUfunc_st, 0)))
CALL(kernel_attribute, KERNEL_AT(2),
     KernelGetAttribute(POINTER(int, 0), (CUfunction_attribute)a[1], POINTER(struct CUkern_st, 2),
                        (CUdevice)a[3]))
CALL(set_kernel_attribute, KERNEL_AT(2),
     KernelSetAttribute((CUfunction_attribute)a[0], (int)a[1], POINTER(struct CUkern_st, 2),
                        (CUdevice)a[3]))
CALL(set_kernel_cache, KERNEL_AT(0),
     KernelSetCacheConfig(POINTER(struct CUkern_st, 0), (CUfunc_cache)a[1], (CUdevice)a[2]))
CALL(kernel_parameter, KERNEL_AT(0),
     KernelGetParamInfo(POINTER(struct CUkern_st, 0), a[1], POINTER(size_t, 2), POINTER(size_t, 3)))
CALL(function_count, soft_callee_reaches_module(POINTER(struct CUmod_st, 1)),
     ModuleGetFunctionCount(POINTER(unsigned, 0), POINTER(struct CUmod_st, 1)))
CALL(kernel_count, soft_callee_reaches_library(POINTER(struct CUlib_st, 1)),
     LibraryGetKernelCount(POINTER(unsigned, 0), POINTER(struct CUlib_st, 1)))
CALL(loading_mode, true, ModuleGetLoadingMode(POINTER(CUmoduleLoadingMode, 0)))
HAND(parameters, FUNCTION_AT(0) && KERNEL_AT(1),
     param_layout(call, POINTER(struct CUfunc_st, 0), POINTER(struct CUkern_st, 1), (unsigned)a[2],
                  (unsigned)a[3], POINTER(uint64_t, 4), POINTER(unsigned, 5)))

CALL(occupancy, CODE_AT(1),
     OccupancyMaxActiveBlocksPerMultiprocessorWithFlags(POINTER(int, 0),
                                                        POINTER(struct CUfunc_st, 1), (int)a[2],
                                                        a[3], (unsigned)a[4]))
CALL(free_shared, CODE_AT(1),
     OccupancyAvailableDynamicSMemPerBlock(POINTER(size_t, 0), POINTER(struct CUfunc_st, 1),
                                           (int)a[2], (int)a[3]))
HAND(kernel_occupancy, CODE_AT(1),
     kernel_occupancy(call, POINTER(int, 0), POINTER(struct CUkern_st, 1), (CUdevice)a[2],
                      (int)a[3], a[4], (unsigned)a[5]))
HAND(kernel_free_shared, CODE_AT(1),
     kernel_free_shared(call, POINTER(size_t, 0), POINTER(struct CUkern_st, 1), (CUdevice)a[2],
                        (int)a[3], (int)a[4]))
HAND(block_size, CODE_AT(0) && CODE_AT(1),
     block_size(call, POINTER(struct CUfunc_st, 0), POINTER(struct CUkern_st, 1), a[2], (int)a[3],
                (unsigned)a[4], POINTER(int, 5), POINTER(int, 6)))
HAND(clusters, CODE_AT(0) && CODE_AT(1),
     cluster_occupancy(call, POINTER(struct CUfunc_st, 0), POINTER(struct CUkern_st, 1), (int)a[2],
                       POINTER(const CUlaunchConfig, 3), (unsigned)a[4],
                       POINTER(const CUlaunchAttribute, 5), POINTER(int, 6)))

/* ---- pointers ---- */

HAND(pointer_attribute, soft_callee_reaches_maps(),
     pointer_attribute(call, (CUpointer_attribute)a[0], a[1], POINTER(uint64_t, 2)))
HAND(pointer_pool, soft_callee_reaches_maps(), pointer_pool(call, a[0], POINTER(CUmemoryPool, 1)))
HAND(pointer_synchronous, soft_callee_reaches_maps(),
     pointer_sync_memops(call, a[0], (unsigned)a[1]))

/* ---- pools ---- */

#define POOL_AT(i) soft_callee_reaches_pool(POINTER(struct CUmemPoolHandle_st, i))
#define POOLS      soft_callee_reaches_pools()

CALL(default_pool, POOLS, DeviceGetDefaultMemPool(POINTER(CUmemoryPool, 0), (CUdevice)a[1]))
CALL(pool, POOLS, DeviceGetMemPool(POINTER(CUmemoryPool, 0), (CUdevice)a[1]))
CALL(set_pool, POOLS &&POOL_AT(1),
     DeviceSetMemPool((CUdevice)a[0], POINTER(struct CUmemPoolHandle_st, 1)))
HAND(pool_at, POOLS,
     pool_at(call, POINTER(const CUmemLocation, 0), (CUmemAllocationType)a[1], (int)a[2],
             POINTER(CUmemoryPool, 3)))
HAND(set_pool_at, POOLS &&POOL_AT(2),
     pool_set_at(call, POINTER(const CUmemLocation, 0), (CUmemAllocationType)a[1],
                 POINTER(struct CUmemPoolHandle_st, 2)))
CALL(pool_attribute, POOL_AT(0),
     MemPoolGetAttribute(POINTER(struct CUmemPoolHandle_st, 0), (CUmemPool_attribute)a[1],
                         POINTER(void, 2)))
HAND(set_pool_attribute, POOL_AT(0),
     pool_set_attribute(call, POINTER(struct CUmemPoolHandle_st, 0), (CUmemPool_attribute)a[1],
                        a[2]))
CALL(set_pool_access, POOL_AT(0),
     MemPoolSetAccess(POINTER(struct CUmemPoolHandle_st, 0), POINTER(const CUmemAccessDesc, 1),
                      a[2]))
HAND(pool_access, POOL_AT(0),
     pool_get_access(call, POINTER(struct CUmemPoolHandle_st, 0), POINTER(const CUmemLocation, 1),
                     POINTER(CUmemAccess_flags, 2)))

/* ---- arrays ---- */

#define ARRAY_AT(i) soft_callee_reaches_array(POINTER(struct CUarray_st, i))

CALL(array_2d, ARRAY_AT(1),
     ArrayGetDescriptor_v2(POINTER(CUDA_ARRAY_DESCRIPTOR, 0), POINTER(struct CUarray_st, 1)))
CALL(array_3d, ARRAY_AT(1),
     Array3DGetDescriptor_v2(POINTER(CUDA_ARRAY3D_DESCRIPTOR, 0), POINTER(struct CUarray_st, 1)))
CALL(array_plane, ARRAY_AT(1),
     ArrayGetPlane(POINTER(CUarray, 0), POINTER(struct CUarray_st, 1), (unsigned)a[2]))
CALL(array_sparse, ARRAY_AT(1),
     ArrayGetSparseProperties(POINTER(CUDA_ARRAY_SPARSE_PROPERTIES, 0),
                              POINTER(struct CUarray_st, 1)))
CALL(array_requirements, ARRAY_AT(1),
     ArrayGetMemoryRequirements(POINTER(CUDA_ARRAY_MEMORY_REQUIREMENTS, 0),
                                POINTER(struct CUarray_st, 1), (CUdevice)a[2]))

#define MIPMAP_AT(i) soft_callee_reaches_mipmap(POINTER(struct CUmipmappedArray_st, i))

CALL(mipmap_level, MIPMAP_AT(1),
     MipmappedArrayGetLevel(POINTER(CUarray, 0), POINTER(struct CUmipmappedArray_st, 1),
                            (unsigned)a[2]))
CALL(mipmap_sparse, MIPMAP_AT(1),
     MipmappedArrayGetSparseProperties(POINTER(CUDA_ARRAY_SPARSE_PROPERTIES, 0),
                                       POINTER(struct CUmipmappedArray_st, 1)))
CALL(mipmap_requirements, MIPMAP_AT(1),
     MipmappedArrayGetMemoryRequirements(POINTER(CUDA_ARRAY_MEMORY_REQUIREMENTS, 0),
                                         POINTER(struct CUmipmappedArray_st, 1), (CUdevice)a[2]))

/* ---- textures ---- */

CALL(texture, soft_callee_reaches_texture(a[1]),
     TexObjectGetTextureDesc(POINTER(CUDA_TEXTURE_DESC, 0), a[1]))
CALL(texture_view, soft_callee_reaches_texture(a[1]),
     TexObjectGetResourceViewDesc(POINTER(CUDA_RESOURCE_VIEW_DESC, 0), a[1]))
CALL(texture_width, true,
     DeviceGetTexture1DLinearMaxWidth(POINTER(size_t, 0), (CUarray_format)a[1], (unsigned)a[2],
                                      (CUdevice)a[3]))

/* ---- memory that the program maps ---- */

HAND(granularity, true,
     cuMemGetAllocationGranularity(call, POINTER(size_t, 0), POINTER(const CUmemAllocationProp, 1),
                                   (CUmemAllocationGranularity_flags)a[2]))
HAND(access, wh_callee_reaches_maps(call),
     cuMemGetAccess(call, POINTER(unsigned long long, 0), POINTER(const CUmemLocation, 1), a[2]))
