/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a lead, and of a call; see lead.h. Linked into the worker and into its callee. */
#include "channel/lead.h"

bool wh_lead_stop(struct wh_shm *shm)
{
    struct wh_ring_control *control = shm->calls.control;
    uint32_t at = shm->calls.at;
    /* The lead before the flag: who is woken by the flag must find the lead free, or taken by one
     * who looks at the ring after us. The other way round he could come too early, go back to
     * sleep, and have been the last to be told. */
    atomic_flag_clear_explicit(&shm->leader, memory_order_release);
    atomic_store(&control->consumer_sleeps, 1);
    /* Pairs with the fence in wake_consumer: the client sees us sleeping or we see its message. */
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&control->tail, memory_order_acquire) != at &&
           atomic_exchange(&control->consumer_sleeps, 0) == 1;
}

bool wh_lead_reply(struct wh_shm *shm, uint32_t number, uint32_t size)
{
    struct wh_slot *slot = &shm->segment->slots[number];
    slot->size = size;
    slot->upcalls = atomic_load_explicit(&shm->upcalls.control->tail, memory_order_relaxed);
    /* Sequentially consistent: pairs with client_await, which announces its sleep, then looks at
     * the state. */
    atomic_store(&slot->state, WH_SLOT_DONE);
    return atomic_load(&slot->sleeps) != 0;
}
