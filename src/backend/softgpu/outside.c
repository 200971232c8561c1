/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For whoever runs the driver's questions outside of it (callee.h). Found by name; who loads the
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

/* Nothing that was submitted is still to be done, and nothing is being captured. */
SOFT_API bool wormhole_softgpu_quiet(void);
SOFT_API bool wormhole_softgpu_quiet(void)
{
    return !soft_capturing() && soft_queue_is_idle();
}
