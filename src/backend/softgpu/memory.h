/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of all memory that kernels and copies may touch, and where device memory comes from. A
 * device address is an address of this process. Thread-safe.
 */
#ifndef WH_SOFTGPU_MEMORY_H
#define WH_SOFTGPU_MEMORY_H

#include "backend/softgpu/softgpu.h"

enum soft_memory_kind {
    SOFT_MEMORY_DEVICE,
    SOFT_MEMORY_POOL,
    SOFT_MEMORY_MANAGED,
    SOFT_MEMORY_GLOBAL, /* a module's, and what kernels allocate */
    SOFT_MEMORY_GRAPH,  /* of nodes of graphs; see graph_memory.c */
    SOFT_MEMORY_HOST,
    SOFT_MEMORY_REGISTERED,
    SOFT_MEMORY_IMPORTED, /* another process's */
    SOFT_MEMORY_MAPPED    /* by the program, at an address that it reserved */
};

/* One allocation. */
struct soft_range {
    struct soft_extent
        extent;    /* what kernels may touch: the size rounded up to what is its alone */
    uint64_t size; /* what the program asked for */
    uint64_t id;   /* no two allocations have the same */
    enum soft_memory_kind kind;
    unsigned flags; /* as given when it was made */
    bool sync_copies, freeing;
    struct soft_device *device;
    struct soft_context *context; /* whose it is: gone with it */
    struct soft_pool *pool;
    struct soft_allocation *allocation; /* what is mapped: a reference */
    unsigned access;                    /* of what is mapped: a bit for each device */
};

static inline bool soft_range_on_host(const struct soft_range *range)
{
    return range->kind == SOFT_MEMORY_HOST || range->kind == SOFT_MEMORY_REGISTERED;
}

/* Adds a copy of the range to the map, with an id. ALREADY_MAPPED: it overlaps another. */
CUresult soft_range_add(const struct soft_range *range);

/* The allocation that an address lies in. */
bool soft_range_find(uint64_t address, struct soft_range *range);

/* The allocation that all these bytes lie in, the first of several that are mapped side by side.
 * Memory that no device may touch is none. */
bool soft_range_holds(uint64_t address, uint64_t size, struct soft_range *range);

/* Takes an allocation out of the map; false: it is there no more. Its memory is the caller's. */
bool soft_range_remove(const struct soft_range *range);

/* Changes an allocation's `freeing` or `sync_copies`; false: no such, or it was freeing already. */
bool soft_range_set_freeing(uint64_t address);
bool soft_range_set_sync_copies(uint64_t address, bool value);

/* Whether the mapped ranges in [start, start + size) fill it, each as a whole. */
bool soft_ranges_fill(uint64_t start, uint64_t size);

/* Gives devices access to the mapped ranges in [start, start + size), or takes it. */
void soft_ranges_set_access(uint64_t start, uint64_t size, unsigned devices, bool access);

/* Device memory without an entry in the map; 0 when it is short. Not zeroed. */
uint64_t soft_memory_take(struct soft_device *device, uint64_t size, uint64_t alignment);
void soft_memory_give(struct soft_device *device, uint64_t address, uint64_t size);

/* What the API hands out: taken and mapped. */
CUresult soft_memory_allocate(struct soft_context *context, enum soft_memory_kind kind,
                              uint64_t size, uint64_t alignment, unsigned flags, uint64_t *address);

/* Fills the context's memory operations for the engine. */
void soft_memory_bind(struct soft_context *context);

/* What a launch in the context uses: those, or their like where code runs elsewhere. */
const struct wh_soft_memory *soft_memory_of(struct soft_context *context);

/* The first of them. */
bool soft_memory_reach(void *owner, uint64_t address, uint64_t *start, uint64_t *end);

/* All that belongs to a context, when it stops. */
void soft_memory_release_all(struct soft_context *context);

/* host.c: gives back what a range of host memory holds, when it is out of the map. */
void soft_host_give(const struct soft_range *range);

/* ipc.c: the same for memory of another process. */
void soft_ipc_give(const struct soft_range *range);

/* ipc.c: maps a part of another process's file at an address of ours; `pool` (may be NULL) is kept
 * with it. */
CUresult soft_ipc_map(int fd, uint64_t offset, uint64_t size, struct soft_context *context,
                      struct soft_pool *pool, CUdeviceptr *address);

/* ---- pool.c ---- */

/* The file that a pool lies in, for one that may be exported, and of one that was imported
 * (borrowed); -1: it is not such a pool. */
int soft_pool_exported_file(const struct soft_pool *pool);
int soft_pool_imported_file(const struct soft_pool *pool);

/* A pool of another process's file, which it takes over; NULL: no memory for it. */
CUmemoryPool soft_pool_import(int file);

/* Makes a device's default pool. */
bool soft_pool_start(struct soft_device *device);

/* The bytes of a range that is out of the map go back to its pool. */
void soft_pool_give(const struct soft_range *range);

/* Gives everything that pools of the device hold back unused to the device. */
void soft_pool_trim_all(struct soft_device *device);

/* Whether kernels on `device` may touch the pool's memory. */
bool soft_pool_reaches(const struct soft_pool *pool, const struct soft_device *device);

#endif
