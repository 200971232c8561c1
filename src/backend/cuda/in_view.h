/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that may run in a session's view, with the software device: for the callee, which
 * carries them out (callee.c), and for the worker, which tells the client of them (load.c). Lists
 * only; no code.
 */
#ifndef WH_BACKEND_CUDA_IN_VIEW_H
#define WH_BACKEND_CUDA_IN_VIEW_H

/* X(the call, the callee's function, whether it may be posted) */
#define WH_CUDA_IN_VIEW(X)                                                    \
    X(wh_set_current, set_current, true)                                      \
    X(cuMemGetInfo_v2, memory_info, false)                                    \
    X(cuCtxGetFlags, get_flags, false)                                        \
    X(cuCtxGetLimit, get_limit, false)                                        \
    X(cuCtxSetLimit, set_limit, false)                                        \
    X(cuCtxGetCacheConfig, get_cache, false)                                  \
    X(cuCtxSetCacheConfig, set_cache, false)                                  \
    X(cuCtxGetSharedMemConfig, get_banks, false)                              \
    X(cuCtxSetSharedMemConfig, set_banks, false)                              \
    X(cuCtxGetStreamPriorityRange, get_priorities, false)                     \
    X(cuCtxGetExecAffinity, get_affinity, false)                              \
    X(cuCtxResetPersistingL2Cache, reset_cache, false)                        \
    X(cuCtxSynchronize, context_synchronize, false)                           \
    X(cuStreamGetPriority, stream_priority, false)                            \
    X(cuStreamGetFlags, stream_flags, false)                                  \
    X(cuStreamGetId, stream_id, false)                                        \
    X(cuStreamQuery, stream_query, false)                                     \
    X(cuStreamSynchronize, stream_synchronize, false)                         \
    X(cuEventQuery, event_query, false)                                       \
    X(cuEventSynchronize, event_synchronize, false)                           \
    X(cuEventRecord, record, true)                                            \
    X(cuEventRecordWithFlags, record_flags, true)                             \
    X(cuEventElapsedTime, elapsed, false)                                     \
    X(cuEventElapsedTime_v2, elapsed, false)                                  \
    X(cuStreamWaitEvent, stream_wait, true)                                   \
    X(cuMemsetD8_v2, set_8, false)                                            \
    X(cuMemsetD16_v2, set_16, false)                                          \
    X(cuMemsetD32_v2, set_32, false)                                          \
    X(cuMemsetD8Async, set_8_async, true)                                     \
    X(cuMemsetD16Async, set_16_async, true)                                   \
    X(cuMemsetD32Async, set_32_async, true)                                   \
    X(cuMemcpyDtoD_v2, copy, false)                                           \
    X(cuMemcpyDtoDAsync_v2, copy_async, true)                                 \
    X(wh_write, write_bytes, true)                                            \
    X(wh_read, read_bytes, false)                                             \
    X(wh_copy_shared, copy_shared, true)                                      \
    X(wh_launch, launch, true)                                                \
    X(cuMemAlloc_v2, allocate, false)                                         \
    X(cuMemFree_v2, free_memory, false)                                       \
    X(cuCtxSetFlags, set_flags, false)                                        \
    X(cuCtxGetId, context_id, false)                                          \
    X(cuCtxGetApiVersion, context_version, false)                             \
    X(cuCtxEnablePeerAccess, enable_peer, false)                              \
    X(cuCtxDisablePeerAccess, disable_peer, false)                            \
    X(cuProfilerStart, start_profiler, false)                                 \
    X(cuProfilerStop, stop_profiler, false)                                   \
    X(cuDeviceGet, device, false)                                             \
    X(cuDeviceGetCount, device_count, false)                                  \
    X(cuDeviceGetName, device_name, false)                                    \
    X(cuDeviceGetUuid_v2, device_uuid, false)                                 \
    X(cuDeviceTotalMem_v2, device_memory, false)                              \
    X(cuDeviceGetAttribute, device_attribute, false)                          \
    X(cuDeviceGetExecAffinitySupport, device_affinity, false)                 \
    X(cuDeviceGetProperties, device_properties, false)                        \
    X(cuDeviceComputeCapability, device_capability, false)                    \
    X(cuDeviceGetPCIBusId, device_bus, false)                                 \
    X(cuDeviceCanAccessPeer, device_peer, false)                              \
    X(cuDeviceGetP2PAttribute, device_pair, false)                            \
    X(cuFuncGetAttribute, function_attribute, false)                          \
    X(cuFuncSetAttribute, set_function_attribute, false)                      \
    X(cuFuncSetCacheConfig, set_function_cache, false)                        \
    X(cuFuncSetSharedMemConfig, set_function_banks, false)                    \
    X(cuFuncGetParamInfo, function_parameter, false)                          \
    X(cuFuncIsLoaded, function_loaded, false)                                 \
    X(cuFuncLoad, load_function, false)                                       \
    X(cuKernelGetAttribute, kernel_attribute, false)                          \
    X(cuKernelSetAttribute, set_kernel_attribute, false)                      \
    X(cuKernelSetCacheConfig, set_kernel_cache, false)                        \
    X(cuKernelGetParamInfo, kernel_parameter, false)                          \
    X(cuModuleGetFunctionCount, function_count, false)                        \
    X(cuLibraryGetKernelCount, kernel_count, false)                           \
    X(cuModuleGetLoadingMode, loading_mode, false)                            \
    X(wh_param_layout, parameters, false)                                     \
    X(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, occupancy, false) \
    X(cuOccupancyAvailableDynamicSMemPerBlock, free_shared, false)            \
    X(wh_kernel_occupancy, kernel_occupancy, false)                           \
    X(wh_kernel_free_shared, kernel_free_shared, false)                       \
    X(wh_block_size, block_size, false)                                       \
    X(wh_cluster_occupancy, clusters, false)                                  \
    X(wh_pointer_attribute, pointer_attribute, false)                         \
    X(wh_pointer_pool, pointer_pool, false)                                   \
    X(wh_pointer_sync_memops, pointer_synchronous, false)                     \
    X(cuDeviceGetDefaultMemPool, default_pool, false)                         \
    X(cuDeviceGetMemPool, pool, false)                                        \
    X(cuDeviceSetMemPool, set_pool, false)                                    \
    X(wh_pool_at, pool_at, false)                                             \
    X(wh_pool_set_at, set_pool_at, false)                                     \
    X(cuMemPoolGetAttribute, pool_attribute, false)                           \
    X(wh_pool_set_attribute, set_pool_attribute, false)                       \
    X(cuMemPoolSetAccess, set_pool_access, false)                             \
    X(wh_pool_get_access, pool_access, false)                                 \
    X(cuArrayGetDescriptor_v2, array_2d, false)                               \
    X(cuArray3DGetDescriptor_v2, array_3d, false)                             \
    X(cuArrayGetPlane, array_plane, false)                                    \
    X(cuArrayGetSparseProperties, array_sparse, false)                        \
    X(cuArrayGetMemoryRequirements, array_requirements, false)                \
    X(cuStreamGetAttribute, stream_attribute, false)                          \
    X(cuStreamSetAttribute, set_stream_attribute, false)                      \
    X(cuStreamCopyAttributes, copy_stream_attributes, false)                  \
    X(wh_capture_info, capture_info, false)                                   \
    X(cuStreamWriteValue32_v2, write_32, true)                                \
    X(cuStreamWriteValue64_v2, write_64, true)                                \
    X(wh_batch_memop, batch, true)

#endif
