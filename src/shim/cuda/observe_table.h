/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a profiling library in the same process hears of calls and of what they made the device do: a
 * private table of the CUDA shim's, which cuGetExportTable gives out for WH_OBSERVE_ID. Used by
 * src/shim/cupti, and made by observe.c. Must mention nothing of CUPTI.
 */
#ifndef WH_SHIM_CUDA_OBSERVE_TABLE_H
#define WH_SHIM_CUDA_OBSERVE_TABLE_H

#include "cuda_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_OBSERVE_ID      "wormhole-observe" /* sixteen bytes */
#define WH_OBSERVE_VERSION 5u

/* What is to be told of. */
enum {
    WH_OBSERVE_CALLS = 1u,
    WH_OBSERVE_KERNELS = 2u,
    WH_OBSERVE_COPIES = 4u,
    WH_OBSERVE_SETS = 8u,
    WH_OBSERVE_GRAPHS = 16u,
    WH_OBSERVE_RESOURCES = 32u,
    WH_OBSERVE_CALLBACKS = 64u,
};

#define WH_OBSERVE_NO_ID UINT32_MAX

/* What a call waited for. */
enum wh_observed_wait {
    WH_WAITS_NOT,
    WH_WAITS_EVENT,        /* cuEventSynchronize */
    WH_WAITS_STREAM_EVENT, /* cuStreamWaitEvent */
    WH_WAITS_STREAM,
    WH_WAITS_CONTEXT,
};

enum wh_observed_memory { WH_OF_PAGEABLE, WH_OF_PINNED, WH_OF_DEVICE, WH_OF_ARRAY, WH_OF_MANAGED };

/* Memory that a call allocated or freed. */
struct wh_observed_memory_call {
    enum { WH_NO_MEMORY, WH_ALLOCATES, WH_FREES } what;
    enum wh_observed_memory memory;
    uint64_t address, bytes;
    bool asynchronous; /* in the order of a stream */
    uint32_t stream;   /* WH_OBSERVE_NO_ID: not so */
};

/* One call of the driver API that returned. Times are of CLOCK_MONOTONIC, in nanoseconds. */
struct wh_observed_call {
    unsigned number; /* for wh_observe_table.name */
    bool per_thread; /* by its name for per-thread default streams */
    bool worked;     /* something of it was put into a stream and will be told of */
    uint32_t correlation;
    uint64_t begin, end;
    CUresult result;
    enum wh_observed_wait wait;
    uint32_t context, stream, event; /* WH_OBSERVE_NO_ID: none; the last two with `wait` only */
    uint32_t device;                 /* likewise: the context's */
    struct wh_observed_memory_call memory;
};

struct wh_observed_kernel {
    const char *name; /* as in the image; stays for as long as the process */
    unsigned grid[3], block[3], cluster[3];
    uint32_t registers, fixed_shared, dynamic_shared, local; /* bytes a thread */
    bool cooperative;
};

struct wh_observed_copy {
    enum wh_observed_memory from, to;
    uint64_t bytes;
    bool asynchronous, peer;
    uint32_t from_device, from_context, to_device, to_context; /* `peer` */
};

struct wh_observed_set {
    uint32_t value;
    uint64_t bytes;
    enum wh_observed_memory memory;
    bool asynchronous;
};

/* What the device did for a call. */
struct wh_observed_work {
    unsigned what; /* one of WH_OBSERVE_KERNELS and those behind it */
    uint32_t correlation, device, context, stream;
    uint64_t begin, end; /* as above */
    union {
        struct wh_observed_kernel kernel;
        struct wh_observed_copy copy;
        struct wh_observed_set set;
        struct {
            uint32_t id;
        } graph;
    };
};

/* A call, as it begins and as it ends. */
struct wh_observed_callback {
    unsigned number;
    bool per_thread;
    uint32_t correlation;
    CUcontext context; /* NULL: there is none */
    uint32_t context_id;
    const char *symbol;     /* a launch: the kernel's name; else NULL */
    const void *params;     /* the arguments in their order, as a structure; NULL: there are none */
    uint64_t *shared;       /* a word for the observer, one for both times */
    const CUresult *result; /* NULL: it begins */
    uint32_t ticket;        /* it ends: what the observer said when it began */
};

/* What is there now, or is about to end. */
enum wh_observed_resource {
    WH_CONTEXT_BEGINS,
    WH_CONTEXT_ENDS,
    WH_STREAM_BEGINS,
    WH_STREAM_ENDS,
};

/* Who observes. Its functions are called from any thread, and must not call the driver API; but
 * `resource` and `callback` may. */
struct wh_observer {
    void (*call)(const struct wh_observed_call *call);
    void (*work)(const struct wh_observed_work *work);
    void (*lost)(size_t works); /* so many will not be told of */
    void (*resource)(enum wh_observed_resource what, CUcontext context, CUstream stream);

    /* Whether it wants to be called back for a function; if so, what it said is given to it as the
     * call ends, or if that was 0, it is not called then. */
    bool (*wants)(unsigned number, bool per_thread);
    uint32_t (*callback)(const struct wh_observed_callback *callback);
};

struct wh_observe_table {
    size_t size;
    uint32_t version, padding;

    /* From here on the observer is told of `what`; 0: of no more calls, and of no work but what is
     * under way. The observer must stay. */
    void (*observe)(const struct wh_observer *observer, unsigned what);

    /* Tells of all work that the devices have done. Waits for none of it; the first time in a
     * context, when all of it is done, for a kernel of its own. */
    void (*collect)(void);

    /* The name of a function; NULL when there is none of this number. */
    const char *(*name)(unsigned number, bool per_thread);

    CUresult (*context_id)(CUcontext context, uint32_t *id);
    CUresult (*device_id)(CUcontext context, uint32_t *id);
    CUresult (*stream_id)(CUcontext context, CUstream stream, bool per_thread, uint32_t *id);
    CUresult (*graph_id)(CUgraph graph, uint32_t *id);
    CUresult (*graph_exec_id)(CUgraphExec exec, uint32_t *id); /* as in wh_observed_work.graph */
};

#endif
