/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUPTI's Activity API for programs that run through Wormhole: what the CUDA shim tells of calls
 * and of the device's work (shim/cuda/observe_table.h) becomes CUPTI's records, in the program's
 * buffers. Numbers and layouts are those of CUDA 13.0. Loaded into every process of `wormhole run`:
 * nothing may happen before a program calls one of its functions.
 */
#ifndef WH_SHIM_CUPTI_CUPTI_H
#define WH_SHIM_CUPTI_CUPTI_H

#include "shim/cuda/observe_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_EXPORT        __attribute__((visibility("default")))
#define WH_CUPTI_VERSION 130001u

typedef int32_t CUptiResult;

enum {
#define RESULT(number, name, text) CUPTI_##name = (number),
#include "shim/cupti/results.def"
#undef RESULT
};

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

struct record_graph { /* CUpti_ActivityGraphTrace2 */
    uint32_t kind, correlation;
    uint64_t start, end;
    uint32_t device, graph, context, stream;
    void *reserved;
    uint32_t end_device, end_context;
};

/* Bytes of a record of this kind; 0: there are none here. */
size_t wh_cupti_record_size(uint32_t kind);

/* ---- the CUDA shim (library.c) ---- */

/* Its table, found when first asked for. NULL: the program's driver library is another one. */
const struct wh_observe_table *wh_cupti_driver(void);

/* The CUPTI number of a function of the driver API; 0: it has none. */
uint32_t wh_cupti_call_number(unsigned number, bool per_thread);
const char *wh_cupti_call_name(uint32_t call);

/* ---- time (clock.c) ---- */

typedef uint64_t (*wh_cupti_clock)(void);

/* NULL: the system's time, in nanoseconds. */
void wh_cupti_clock_set(wh_cupti_clock clock);

/* From here on times are converted. */
void wh_cupti_clock_start(void);

uint64_t wh_cupti_clock_now(void);

/* A time of CLOCK_MONOTONIC on the program's clock. */
uint64_t wh_cupti_clock_of(uint64_t monotonic);

/* ---- buffers (buffer.c) ---- */

typedef void (*wh_cupti_request)(uint8_t **buffer, size_t *size, size_t *most);
typedef void (*wh_cupti_complete)(void *context, uint32_t stream, uint8_t *buffer, size_t size,
                                  size_t valid);

void wh_cupti_buffers_register(wh_cupti_request request, wh_cupti_complete complete);
bool wh_cupti_buffers_are_registered(void);

/* Appends a record, of which the first word is the kind, to the program's buffer. */
void wh_cupti_emit(const void *record);

/* Gives the program all that was written. */
void wh_cupti_buffers_flush(void);

void wh_cupti_drop(size_t records);
size_t wh_cupti_dropped(void);

/* ---- correlation with what the program does (correlate.c) ---- */

/* Writes a record for each kind of which the calling thread has an id. */
void wh_cupti_emit_external(uint32_t correlation);

/* ---- records (record.c) ---- */

extern const struct wh_observer wh_cupti_observer;

/* ---- what is wanted (activity.c) ---- */

bool wh_cupti_wants(uint32_t kind);
bool wh_cupti_wants_call(uint32_t call);

/* The kind that the program knows kernels by. */
uint32_t wh_cupti_kernel_kind(void);

/* A thread as records name it. */
uint32_t wh_cupti_thread(void);

/* Remembers a failure for cuptiGetLastError, and returns it. */
CUptiResult wh_cupti_fail(CUptiResult result);

/* Says once that something is not there. `said` is the caller's. */
void wh_cupti_say(_Atomic bool *said, const char *what);

#endif
