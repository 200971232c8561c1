/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel without a peer: the worker's end over a buffer of messages. What the worker sends is
 * counted and dropped. For fuzzing and tests only; it is single-threaded and never sleeps.
 */
#ifndef WH_CHANNEL_MEMORY_H
#define WH_CHANNEL_MEMORY_H

#include "channel/channel.h"
#include "channel/segment.h"

struct wh_memory {
    struct wh_channel channel; /* first */
    const uint8_t *bytes;      /* messages yet to be received, one behind the other */
    size_t left;
    uint32_t replies, upcalls; /* how many were sent */
    uint32_t reply_slot, reply_size;
    _Alignas(8) uint8_t slot[WH_SLOT_ROOM]; /* of whichever slot was replied to last */
    _Atomic uint32_t tokens[WH_TOKENS];
    char ended[256]; /* the reason given to end, or empty */
};

/*
 * Makes a channel in `memory`, with an arena of the caller's (NULL with 0 bytes: none) that may lie
 * at the start of `arena_fd` (else -1). Nothing is owned; there is nothing to free.
 */
void wh_memory_init(struct wh_memory *memory, uint8_t *arena, uint64_t arena_size, int arena_fd);

/* What receive will hand out from now on. The bytes stay the caller's and are not changed. */
void wh_memory_feed(struct wh_memory *memory, const void *bytes, size_t size);

#endif
