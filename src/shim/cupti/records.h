/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUPTI's kinds of activity and the layouts of their records, as CUDA 13.0 has them. Needs nothing
 * else, so that tests can compare it with the vendor's header.
 */
#ifndef WH_SHIM_CUPTI_RECORDS_H
#define WH_SHIM_CUPTI_RECORDS_H

#include <stdint.h>

enum {
    KIND_MEMCPY = 1,
    KIND_MEMSET = 2,
    KIND_KERNEL = 3,
    KIND_DRIVER = 4,
    KIND_RUNTIME = 5,
    KIND_CONCURRENT_KERNEL = 10,
    KIND_OVERHEAD = 17,
    KIND_MEMCPY2 = 22,
    KIND_SYNCHRONIZATION = 38,
    KIND_EXTERNAL_CORRELATION = 39,
    KIND_MEMORY2 = 49,
    KIND_GRAPH_TRACE = 51,
    KINDS = 56,
};

/* ---- records: eight bytes aligned, of these sizes ---- */

struct record_kernel { /* CUpti_ActivityKernel10 */
    uint32_t kind;
    uint8_t cache_config, shared_config;
    uint16_t registers;
    uint32_t partitioned_requested, partitioned_executed;
    uint64_t start, end, completed;
    uint32_t device, context, stream;
    int32_t grid[3], block[3], fixed_shared, dynamic_shared;
    uint32_t local_per_thread, local_total, correlation;
    int64_t grid_id;
    const char *name;
    void *reserved;
    uint64_t queued, submitted;
    uint8_t launch_type, carveout_requested, carveout, padding;
    uint32_t shared_executed;
    uint64_t graph_node;
    uint32_t shared_limit, graph;
    void *access_policy;
    uint32_t channel, channel_type, cluster[3], cluster_policy;
    uint64_t local_total_wide;
    uint32_t most_cluster, most_active_clusters;
    uint8_t device_launched, padding_end[7];
};

struct record_copy { /* CUpti_ActivityMemcpy6 */
    uint32_t kind;
    uint8_t copy_kind, from, to, flags;
    uint64_t bytes, start, end;
    uint32_t device, context, stream, correlation, runtime_correlation, padding;
    void *reserved;
    uint64_t graph_node;
    uint32_t graph, channel, channel_type;
    uint8_t device_launched, padding_end[3];
    uint64_t count;
};

struct record_peer_copy { /* CUpti_ActivityMemcpyPtoP4 */
    uint32_t kind;
    uint8_t copy_kind, from, to, flags;
    uint64_t bytes, start, end;
    uint32_t device, context, stream, from_device, from_context, to_device, to_context, correlation;
    void *reserved;
    uint64_t graph_node;
    uint32_t graph, channel, channel_type, padding;
};

struct record_set { /* CUpti_ActivityMemset4 */
    uint32_t kind, value;
    uint64_t bytes, start, end;
    uint32_t device, context, stream, correlation;
    uint16_t flags, memory;
    uint32_t padding;
    void *reserved;
    uint64_t graph_node;
    uint32_t graph, channel, channel_type;
    uint8_t device_launched, padding_end[3];
};

struct record_call { /* CUpti_ActivityAPI */
    uint32_t kind, call;
    uint64_t start, end;
    uint32_t process, thread, correlation, result;
};

struct record_wait { /* CUpti_ActivitySynchronization2 */
    uint32_t kind, type;
    uint64_t start, end;
    uint32_t correlation, context, stream, event;
    uint64_t event_sync;
    uint32_t result, padding;
};

struct record_external { /* CUpti_ActivityExternalCorrelation */
    uint32_t kind, external_kind;
    uint64_t external;
    uint32_t correlation, reserved;
};

struct record_memory { /* CUpti_ActivityMemory4 */
    uint32_t kind, operation, memory, correlation;
    uint64_t address, bytes, time, program_counter;
    uint32_t process, device, context, stream;
    const char *name;
    uint32_t asynchronous, padding;
    struct {
        uint32_t type, padding;
        uint64_t address, threshold, size, used;
    } pool;
    const char *source;
};

struct record_graph { /* CUpti_ActivityGraphTrace2 */
    uint32_t kind, correlation;
    uint64_t start, end;
    uint32_t device, graph, context, stream;
    void *reserved;
    uint32_t end_device, end_context;
};

#endif
