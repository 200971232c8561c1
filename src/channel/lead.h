/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes messages off a session's ring: one at a time leads. The worker's threads do, and on the
 * exitless path the client's own processor while it runs the worker's code (worker/callee.c). The
 * lead is only ever tried for, never waited for: whoever does not get it leaves the message where
 * it is, and the sleeping flag makes sure that somebody comes for it.
 */
#ifndef WH_CHANNEL_LEAD_H
#define WH_CHANNEL_LEAD_H

#include "channel/shm.h"

static inline bool wh_lead_try(struct wh_shm *shm)
{
    /* Acquire pairs with the release in wh_lead_stop: the ring's private counter is ours. */
    if (atomic_flag_test_and_set_explicit(&shm->leader, memory_order_acquire))
        return false;
    atomic_store_explicit(&shm->calls.control->consumer_sleeps, 0, memory_order_relaxed);
    return true;
}

/* Nobody leads from here on; true when a message came in meanwhile and nobody was told. */
bool wh_lead_stop(struct wh_shm *shm);

/* Says that a reply of `size` bytes lies in its slot; true when the client sleeps and must be
 * woken.
 */
bool wh_lead_reply(struct wh_shm *shm, uint32_t number, uint32_t size);

#endif
