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
static inline bool wh_lead_stop(struct wh_shm *shm)
{
    struct wh_ring_control *control = shm->calls.control;
    uint32_t at = shm->calls.at;
    atomic_store(&control->consumer_sleeps, 1);
    atomic_flag_clear_explicit(&shm->leader, memory_order_release);
    /* Pairs with the fence in wake_consumer: the client sees us sleeping or we see its message. */
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&control->tail, memory_order_acquire) != at &&
           atomic_exchange(&control->consumer_sleeps, 0) == 1;
}

/* Fills in a reply that lies in its slot, and says so; true when the client sleeps and must be
 * woken. */
static inline bool wh_lead_reply(struct wh_shm *shm, uint32_t number, uint32_t size)
{
    struct wh_slot *slot = &shm->segment->slots[number];
    slot->size = size;
    slot->upcalls = atomic_load_explicit(&shm->upcalls.control->tail, memory_order_relaxed);
    /* Sequentially consistent: pairs with client_await, which announces its sleep, then looks at
     * the state. */
    atomic_store(&slot->state, WH_SLOT_DONE);
    return atomic_load(&slot->sleeps) != 0;
}

#endif
