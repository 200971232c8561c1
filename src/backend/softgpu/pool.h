/* SPDX-License-Identifier: Apache-2.0 */
/* A memory pool: what pool.c (memory in stream order) and pool_list.c (the pools there are) share.
 */
#ifndef WH_SOFTGPU_POOL_H
#define WH_SOFTGPU_POOL_H

#include "backend/softgpu/memory.h"

struct soft_pool {
    struct soft_object object;
    struct soft_device *device;
    uint64_t most;      /* bytes it may hold; 0: as the device has */
    atomic_uint access; /* devices whose kernels reach its memory */
    bool owned_by_device;
    bool exportable;
    int imported;         /* another process's memory, or -1 */
    pthread_mutex_t lock; /* guards what follows */
    struct soft_extent *unused;
    uint64_t reserved, reserved_high, used, used_high, threshold;
    int reuse[3];                   /* policies, kept only */
    struct soft_pool *next, **link; /* in the list of all; guarded by its own lock */
};

/* A pool that is listed; NULL when memory is short. */
struct soft_pool *soft_pool_new(struct soft_device *device, uint64_t most);

/* Gives unused memory back to the device until at most `keep` bytes are reserved. Lock held. */
void soft_pool_trim(struct soft_pool *pool, uint64_t keep);

#endif
