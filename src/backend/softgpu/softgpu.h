/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software CUDA device's driver: what its files share. The library exports the CUDA driver API
 * by its ABI names and behaves as that API's documentation says, on the CPU; kernels are run by the
 * engine (engine/engine.h). It knows nothing of Wormhole's wire, worker or shim. Names: `soft_` is
 * the driver's, `wh_soft_` the engine's.
 */
#ifndef WH_SOFTGPU_SOFTGPU_H
#define WH_SOFTGPU_SOFTGPU_H

#include "backend/softgpu/engine/engine.h"
#include "backend/softgpu/extent.h"
#include "backend/softgpu/object.h"
#include "cuda_types.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SOFT_API __attribute__((visibility("default")))

/* An older name of the same function. */
#define SOFT_ALIAS(old, function) \
    SOFT_API extern __typeof__(function) old __attribute__((alias(#function)))

#define SOFT_MAX_DEVICES  8
#define SOFT_CUDA_VERSION 13000

/* What the device attributes and the launch checks both say. */
#define SOFT_WARP            32
#define SOFT_BLOCK_THREADS   1024
#define SOFT_SM_THREADS      2048
#define SOFT_SM_BLOCKS       32
#define SOFT_SM_REGISTERS    65536
#define SOFT_SM_SHARED       (228 * 1024)
#define SOFT_BLOCK_SHARED    (48 * 1024)
#define SOFT_BLOCK_OPTIN     (227 * 1024)
#define SOFT_BLOCK_RESERVED  1024 /* shared memory that a block takes beyond what it asks for */
#define SOFT_CLUSTER_BLOCKS  8    /* without the function's leave for more */
#define SOFT_CLUSTER_MOST    16
#define SOFT_PARAMETER_BYTES 32764
#define SOFT_PITCH_ALIGNMENT 512
#define SOFT_UNIT            512        /* device memory is handed out in these */
#define SOFT_GRANULE         (2u << 20) /* and, to be mapped by the program, in these */
#define SOFT_NEAR_BYTES      (8u << 20) /* at the device's first addresses, */
#define SOFT_NEAR_MOST       (1u << 20) /* for allocations of so many bytes at most */

struct soft_pool;
struct wh_meter;
struct soft_stream;

struct soft_device {
    int ordinal;
    pthread_mutex_t lock;      /* guards what follows */
    struct soft_extent *space; /* free addresses of the reserve, but for */
    struct soft_extent *near;  /* those of its first bytes, which are for small allocations */
    uint64_t near_size;        /* so many; they are never given back to the system */
    uint64_t base, reserve;    /* the address range that its memory comes from */
    int memory;                /* the same bytes as a file, so that parts can be mapped elsewhere */
    uint64_t total, used;      /* bytes */
    struct soft_context *primary;
    unsigned primary_references, primary_flags; /* guarded by contexts' own lock */
    struct soft_pool *default_pool, *pool;      /* the second: what cuMemAllocAsync takes from */
};

/* Of all memory that kernels and copies may touch: see memory.h. */
struct soft_map {
    pthread_rwlock_t lock; /* guards what follows */
    struct soft_extent *ranges;
    uint64_t id;
};

/* All streams, and the last number given to a command or a stream. Guarded by the queues' lock. */
struct soft_streams {
    struct soft_stream *first;
    uint64_t number;
};

struct soft_driver {
    atomic_bool ready, forked;
    int ndevices, multiprocessors;
    struct soft_device devices[SOFT_MAX_DEVICES];
    struct soft_map map;
    struct soft_slots slots;
    struct soft_streams streams;
    uint64_t event_time; /* the last that an event was given; guarded by the queues' lock */
    /* The `destroy` of objects that are made where these functions have other addresses. */
    void (*ends[SOFT_KINDS])(void *object);
    struct wh_meter *_Atomic meters; /* NULL: nobody reads them */
    atomic_uint nmeters;
    atomic_ullong launches;
};

extern struct soft_driver soft;

/* The same, for what is also run where it has another address (callee.h). */
struct soft_driver *soft_driver(void);

/* Makes the devices, if that has not been done; cuInit lets calls in, too. */
CUresult soft_start(void);

#define SOFT_LIMITS 8

struct soft_context {
    struct soft_object object;
    struct soft_device *device;
    uint64_t id;
    atomic_uint flags;
    unsigned version;
    bool primary;
    atomic_bool alive;
    atomic_int fault;           /* CUresult of the first fault: what every later call gets */
    atomic_bool cancel;         /* kernels of this context end soon */
    struct soft_stream *legacy; /* the NULL stream */
    struct soft_stream *thread; /* CU_STREAM_PER_THREAD: one for all threads; made when asked for */
    atomic_size_t limits[SOFT_LIMITS];
    atomic_int cache;             /* a preference, kept only */
    atomic_uint peers;            /* one bit for each device whose memory kernels may reach */
    struct wh_soft_memory memory; /* for the engine */
};

/* ---- device.c ---- */

/* NULL: no such device. */
struct soft_device *soft_device_get(CUdevice device);

/* NOT_INITIALIZED, NOT_PERMITTED within a stream's callback, or success. */
CUresult soft_ready(void);

/* The result so far, or INVALID_VALUE when the pointer that the call needs next is NULL. */
static inline CUresult soft_needs(CUresult result, const void *pointer)
{
    return result == CUDA_SUCCESS && !pointer ? CUDA_ERROR_INVALID_VALUE : result;
}

/* ---- attribute.c ---- */

/* The value of a device attribute; false: no such attribute. */
bool soft_device_attribute(const struct soft_device *device, int attribute, int *value);

/* ---- context.c ---- */

/*
 * Begins a call that needs a current context: gives it (borrowed: it stays current until the thread
 * itself changes that) or the error that the call returns.
 */
CUresult soft_enter(struct soft_context **context);

/* As soft_enter for a context named by handle; NULL is the current one. The reference is the
 * caller's. */
CUresult soft_enter_context(CUcontext handle, struct soft_context **context);

/* Whether calls that work in this context may go on: destroyed, failed or success. */
CUresult soft_context_state(struct soft_context *context);

/* A context that is not started yet, with its handle listed; NULL when memory is short. */
struct soft_context *soft_context_make(struct soft_device *device);

/* ---- current.c ---- */

/* The current context (borrowed), whatever its state; NULL without one. */
struct soft_context *soft_current(void);

/* Changes this thread's stack; the context is retained. False: memory is short. */
bool soft_current_push(struct soft_context *context);

/* Takes the top off this thread's stack; its reference is the caller's. NULL: nothing was there. */
struct soft_context *soft_current_pop(void);

/* ---- meter.c ---- */

/* What NVML is to be told of the device: memory in use (its lock held), contexts, kernels that
 * begin (1) and end (-1). */
void soft_meter_memory(const struct soft_device *device);
void soft_meter_contexts(const struct soft_device *device, int change);
void soft_meter_kernels(const struct soft_device *device, int change);

/* Where that is written; NULL: nobody reads it. */
struct wh_meter *soft_meter_of(const struct soft_device *device);

/* ---- limit.c ---- */

void soft_limits_reset(struct soft_context *context);

#endif
