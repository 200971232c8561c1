/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For whoever runs calls of the driver outside of it (callee.h). Found by name; who loads the
 * library as a driver knows nothing of it.
 */
#include "backend/softgpu/graph.h"

/* Where what the questions read lies, beside the heap. */
SOFT_API void wormhole_softgpu_state(struct soft_driver **driver, struct soft_object ***buckets);
SOFT_API void wormhole_softgpu_state(struct soft_driver **driver, struct soft_object ***buckets)
{
    *driver = &soft;
    *buckets = soft_object_buckets();
}

/* The device's first addresses, where small allocations lie as long as there is room: these bytes
 * are there from here on, and stay. */
SOFT_API void wormhole_softgpu_near(void **start, size_t *size);
SOFT_API void wormhole_softgpu_near(void **start, size_t *size)
{
    bool made = soft_start() == CUDA_SUCCESS;
    *start = (void *)(uintptr_t)soft.devices[0].base;
    *size = made ? soft.devices[0].near_size : 0;
}

/* Nothing that was submitted is still to be done, nothing is being captured, and no thread of the
 * driver's own is in it. */
SOFT_API bool wormhole_softgpu_quiet(void);
SOFT_API bool wormhole_softgpu_quiet(void)
{
    return !soft_capturing() && soft_queue_is_idle() && !soft_users_are_ending();
}
