/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exitless path of a client in a VM: over the same segment as ivshmem, but instead of waking
 * the worker after a message the calling thread steps into the session's view and runs the worker's
 * code there (docs/exitless.md). What that code leaves undone travels as it does over ivshmem. Used
 * by ivshmem.c; the addresses also by the worker, which makes the view.
 */
#ifndef WH_CHANNEL_GATE_H
#define WH_CHANNEL_GATE_H

#include "channel/shm.h"

/* Where every client has its gate page: above where Linux puts programs and their heaps, and far
 * below its mappings; sanitizers keep nothing there, either. */
#define WH_GATE_PAGE 0x567f00000000ull

#define WH_GATE_LANES 8u

/* Whether it is worth while to go there with this call. */
static inline bool wh_gate_may_run(const uint64_t calls[WH_GATE_CALLS / 64], uint16_t call)
{
    return call < WH_GATE_CALLS && (calls[call / 64] >> call % 64 & 1);
}

/* What the worker's code in the view answers. */
#define WH_GATE_TAKEN 0u /* nothing is left in the ring, or somebody leads and will look again */
#define WH_GATE_RING  1u /* the next message is for the worker's own threads */

/*
 * Uses the view that the open segment offers. Returns why not, for people, or NULL when the channel
 * is a gate from here on. WORMHOLE_EXITLESS=0 in the environment is a reason, too. A reason that is
 * neither the host's nor the user's is said on stderr, once for the process.
 */
const char *wh_gate_adopt(struct wh_shm *shm);

/* For the listener: whether the view is gone, and with it the session; then why. */
bool wh_gate_is_over(struct wh_shm *shm, char *reason, size_t size);

void wh_gate_forget(struct wh_shm *shm);

#endif
