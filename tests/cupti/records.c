/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled where NVIDIA's headers of CUDA 13.0 are: our records, kinds and numbers are theirs.
 * There is nothing to run.
 */
#include "shim/cupti/records.h"

#include <cuda.h>
#include <cupti.h>
#include <stddef.h>

#define SAME(ours, theirs)   _Static_assert((int64_t)(ours) == (int64_t)(theirs), #theirs)
#define RECORD(ours, theirs) SAME(sizeof(struct ours), sizeof(theirs))
#define FIELD(ours, our_field, theirs, field)                        \
    SAME(offsetof(struct ours, our_field), offsetof(theirs, field)); \
    SAME(sizeof(((struct ours *)0)->our_field), sizeof(((theirs *)0)->field))

RECORD(record_kernel, CUpti_ActivityKernel10);
FIELD(record_kernel, registers, CUpti_ActivityKernel10, registersPerThread);
FIELD(record_kernel, start, CUpti_ActivityKernel10, start);
FIELD(record_kernel, end, CUpti_ActivityKernel10, end);
FIELD(record_kernel, completed, CUpti_ActivityKernel10, completed);
FIELD(record_kernel, device, CUpti_ActivityKernel10, deviceId);
FIELD(record_kernel, context, CUpti_ActivityKernel10, contextId);
FIELD(record_kernel, stream, CUpti_ActivityKernel10, streamId);
FIELD(record_kernel, grid[0], CUpti_ActivityKernel10, gridX);
FIELD(record_kernel, block[2], CUpti_ActivityKernel10, blockZ);
FIELD(record_kernel, fixed_shared, CUpti_ActivityKernel10, staticSharedMemory);
FIELD(record_kernel, dynamic_shared, CUpti_ActivityKernel10, dynamicSharedMemory);
FIELD(record_kernel, local_per_thread, CUpti_ActivityKernel10, localMemoryPerThread);
FIELD(record_kernel, correlation, CUpti_ActivityKernel10, correlationId);
FIELD(record_kernel, name, CUpti_ActivityKernel10, name);
FIELD(record_kernel, queued, CUpti_ActivityKernel10, queued);
FIELD(record_kernel, launch_type, CUpti_ActivityKernel10, launchType);
FIELD(record_kernel, graph_node, CUpti_ActivityKernel10, graphNodeId);
FIELD(record_kernel, graph, CUpti_ActivityKernel10, graphId);
FIELD(record_kernel, channel, CUpti_ActivityKernel10, channelID);
FIELD(record_kernel, cluster[0], CUpti_ActivityKernel10, clusterX);
FIELD(record_kernel, local_total_wide, CUpti_ActivityKernel10, localMemoryTotal_v2);
FIELD(record_kernel, device_launched, CUpti_ActivityKernel10, isDeviceLaunched);

RECORD(record_copy, CUpti_ActivityMemcpy6);
FIELD(record_copy, copy_kind, CUpti_ActivityMemcpy6, copyKind);
FIELD(record_copy, from, CUpti_ActivityMemcpy6, srcKind);
FIELD(record_copy, to, CUpti_ActivityMemcpy6, dstKind);
FIELD(record_copy, flags, CUpti_ActivityMemcpy6, flags);
FIELD(record_copy, bytes, CUpti_ActivityMemcpy6, bytes);
FIELD(record_copy, start, CUpti_ActivityMemcpy6, start);
FIELD(record_copy, stream, CUpti_ActivityMemcpy6, streamId);
FIELD(record_copy, correlation, CUpti_ActivityMemcpy6, correlationId);
FIELD(record_copy, graph_node, CUpti_ActivityMemcpy6, graphNodeId);
FIELD(record_copy, count, CUpti_ActivityMemcpy6, copyCount);

RECORD(record_peer_copy, CUpti_ActivityMemcpyPtoP4);
FIELD(record_peer_copy, from_device, CUpti_ActivityMemcpyPtoP4, srcDeviceId);
FIELD(record_peer_copy, from_context, CUpti_ActivityMemcpyPtoP4, srcContextId);
FIELD(record_peer_copy, to_device, CUpti_ActivityMemcpyPtoP4, dstDeviceId);
FIELD(record_peer_copy, to_context, CUpti_ActivityMemcpyPtoP4, dstContextId);
FIELD(record_peer_copy, correlation, CUpti_ActivityMemcpyPtoP4, correlationId);

RECORD(record_set, CUpti_ActivityMemset4);
FIELD(record_set, value, CUpti_ActivityMemset4, value);
FIELD(record_set, bytes, CUpti_ActivityMemset4, bytes);
FIELD(record_set, end, CUpti_ActivityMemset4, end);
FIELD(record_set, correlation, CUpti_ActivityMemset4, correlationId);
FIELD(record_set, flags, CUpti_ActivityMemset4, flags);
FIELD(record_set, memory, CUpti_ActivityMemset4, memoryKind);

RECORD(record_call, CUpti_ActivityAPI);
FIELD(record_call, call, CUpti_ActivityAPI, cbid);
FIELD(record_call, start, CUpti_ActivityAPI, start);
FIELD(record_call, process, CUpti_ActivityAPI, processId);
FIELD(record_call, thread, CUpti_ActivityAPI, threadId);
FIELD(record_call, correlation, CUpti_ActivityAPI, correlationId);
FIELD(record_call, result, CUpti_ActivityAPI, returnValue);

RECORD(record_wait, CUpti_ActivitySynchronization2);
FIELD(record_wait, type, CUpti_ActivitySynchronization2, type);
FIELD(record_wait, start, CUpti_ActivitySynchronization2, start);
FIELD(record_wait, correlation, CUpti_ActivitySynchronization2, correlationId);
FIELD(record_wait, context, CUpti_ActivitySynchronization2, contextId);
FIELD(record_wait, stream, CUpti_ActivitySynchronization2, streamId);
FIELD(record_wait, event, CUpti_ActivitySynchronization2, cudaEventId);
FIELD(record_wait, result, CUpti_ActivitySynchronization2, returnValue);

RECORD(record_external, CUpti_ActivityExternalCorrelation);
FIELD(record_external, external_kind, CUpti_ActivityExternalCorrelation, externalKind);
FIELD(record_external, external, CUpti_ActivityExternalCorrelation, externalId);
FIELD(record_external, correlation, CUpti_ActivityExternalCorrelation, correlationId);

RECORD(record_memory, CUpti_ActivityMemory4);
FIELD(record_memory, operation, CUpti_ActivityMemory4, memoryOperationType);
FIELD(record_memory, memory, CUpti_ActivityMemory4, memoryKind);
FIELD(record_memory, correlation, CUpti_ActivityMemory4, correlationId);
FIELD(record_memory, address, CUpti_ActivityMemory4, address);
FIELD(record_memory, bytes, CUpti_ActivityMemory4, bytes);
FIELD(record_memory, time, CUpti_ActivityMemory4, timestamp);
FIELD(record_memory, program_counter, CUpti_ActivityMemory4, PC);
FIELD(record_memory, process, CUpti_ActivityMemory4, processId);
FIELD(record_memory, device, CUpti_ActivityMemory4, deviceId);
FIELD(record_memory, context, CUpti_ActivityMemory4, contextId);
FIELD(record_memory, stream, CUpti_ActivityMemory4, streamId);
FIELD(record_memory, name, CUpti_ActivityMemory4, name);
FIELD(record_memory, asynchronous, CUpti_ActivityMemory4, isAsync);
FIELD(record_memory, pool, CUpti_ActivityMemory4, memoryPoolConfig);
FIELD(record_memory, pool.used, CUpti_ActivityMemory4, memoryPoolConfig.utilizedSize);
FIELD(record_memory, source, CUpti_ActivityMemory4, source);

RECORD(record_graph, CUpti_ActivityGraphTrace2);
FIELD(record_graph, correlation, CUpti_ActivityGraphTrace2, correlationId);
FIELD(record_graph, start, CUpti_ActivityGraphTrace2, start);
FIELD(record_graph, graph, CUpti_ActivityGraphTrace2, graphId);
FIELD(record_graph, stream, CUpti_ActivityGraphTrace2, streamId);
FIELD(record_graph, end_context, CUpti_ActivityGraphTrace2, endContextId);

SAME(KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMCPY);
SAME(KIND_MEMSET, CUPTI_ACTIVITY_KIND_MEMSET);
SAME(KIND_KERNEL, CUPTI_ACTIVITY_KIND_KERNEL);
SAME(KIND_DRIVER, CUPTI_ACTIVITY_KIND_DRIVER);
SAME(KIND_RUNTIME, CUPTI_ACTIVITY_KIND_RUNTIME);
SAME(KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
SAME(KIND_OVERHEAD, CUPTI_ACTIVITY_KIND_OVERHEAD);
SAME(KIND_MEMCPY2, CUPTI_ACTIVITY_KIND_MEMCPY2);
SAME(KIND_SYNCHRONIZATION, CUPTI_ACTIVITY_KIND_SYNCHRONIZATION);
SAME(KIND_EXTERNAL_CORRELATION, CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION);
SAME(KIND_MEMORY2, CUPTI_ACTIVITY_KIND_MEMORY2);
SAME(KIND_GRAPH_TRACE, CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
SAME(KINDS, CUPTI_ACTIVITY_KIND_COUNT);

#define CALL(number, name) SAME(number, CUPTI_DRIVER_TRACE_CBID_##name);
#include "shim/cupti/calls.def"

#define RESULT(number, name, text) SAME(number, CUPTI_##name);
#include "shim/cupti/results.def"
