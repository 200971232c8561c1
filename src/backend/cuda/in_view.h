/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that may run in a session's view, with the software device: for the callee, which
 * carries them out (callee.c), and for the worker, which tells the client of them (load.c). Lists
 * only; no code.
 */
#ifndef WH_BACKEND_CUDA_IN_VIEW_H
#define WH_BACKEND_CUDA_IN_VIEW_H

/* X(the call, the callee's function, whether it may be posted) */
#define WH_CUDA_IN_VIEW(X)                                \
    X(wh_set_current, set_current, true)                  \
    X(cuMemGetInfo_v2, memory_info, false)                \
    X(cuCtxGetFlags, get_flags, false)                    \
    X(cuCtxGetLimit, get_limit, false)                    \
    X(cuCtxSetLimit, set_limit, false)                    \
    X(cuCtxGetCacheConfig, get_cache, false)              \
    X(cuCtxSetCacheConfig, set_cache, false)              \
    X(cuCtxGetSharedMemConfig, get_banks, false)          \
    X(cuCtxSetSharedMemConfig, set_banks, false)          \
    X(cuCtxGetStreamPriorityRange, get_priorities, false) \
    X(cuCtxGetExecAffinity, get_affinity, false)          \
    X(cuCtxResetPersistingL2Cache, reset_cache, false)    \
    X(cuCtxSynchronize, context_synchronize, false)       \
    X(cuStreamGetPriority, stream_priority, false)        \
    X(cuStreamGetFlags, stream_flags, false)              \
    X(cuStreamGetId, stream_id, false)                    \
    X(cuStreamQuery, stream_query, false)                 \
    X(cuStreamSynchronize, stream_synchronize, false)     \
    X(cuEventQuery, event_query, false)                   \
    X(cuEventSynchronize, event_synchronize, false)       \
    X(cuEventRecord, record, true)                        \
    X(cuEventRecordWithFlags, record_flags, true)         \
    X(cuEventElapsedTime, elapsed, false)                 \
    X(cuEventElapsedTime_v2, elapsed, false)              \
    X(cuStreamWaitEvent, stream_wait, true)               \
    X(cuMemsetD8_v2, set_8, false)                        \
    X(cuMemsetD16_v2, set_16, false)                      \
    X(cuMemsetD32_v2, set_32, false)                      \
    X(cuMemsetD8Async, set_8_async, true)                 \
    X(cuMemsetD16Async, set_16_async, true)               \
    X(cuMemsetD32Async, set_32_async, true)               \
    X(cuMemcpyDtoD_v2, copy, false)                       \
    X(cuMemcpyDtoDAsync_v2, copy_async, true)             \
    X(wh_write, write_bytes, true)                        \
    X(wh_read, read_bytes, false)                         \
    X(wh_copy_shared, copy_shared, true)                  \
    X(wh_launch, launch, true)                            \
    X(cuMemAlloc_v2, allocate, false)                     \
    X(cuMemFree_v2, free_memory, false)

#endif
