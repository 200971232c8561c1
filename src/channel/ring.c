/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of records between two parties that do not trust each other; see ring.h. */
#include "channel/ring.h"

#include <stddef.h>
#include <string.h>

#define FILLER_KIND 0xffffu
#define REWIND_STEP (256u << 10) /* smaller rings are in the caches whole */

static uint8_t *place(const struct wh_ring *ring, uint32_t counter)
{
    return ring->data + (counter & (ring->size - 1));
}

static uint32_t until_end(const struct wh_ring *ring, uint32_t counter)
{
    return ring->size - (counter & (ring->size - 1));
}

static void write_filler(struct wh_ring *ring, uint32_t size)
{
    uint64_t word = (uint64_t)size | (uint64_t)FILLER_KIND << 32;
    memcpy(place(ring, ring->at), &word, sizeof(word));
}

/* Room for `size` bytes behind what is used, by the consumer's counter as known. */
static int has_room(const struct wh_ring *ring, uint32_t size)
{
    return ring->size - (ring->at - ring->known) >= size;
}

/* Now and then an empty ring is begun anew from its start: a small piece of a large ring stays in
 * the caches, and only bursts use the rest. */
static int should_rewind(struct wh_ring *ring)
{
    if (ring->at - ring->looked < REWIND_STEP)
        return 0;
    ring->looked = ring->at;
    return (ring->at & (ring->size - 1)) >= REWIND_STEP &&
           atomic_load_explicit(&ring->control->head, memory_order_acquire) == ring->at;
}

void *wh_ring_reserve(struct wh_ring *ring, uint32_t size, int *lied)
{
    uint32_t edge = until_end(ring, ring->at);
    uint32_t filler = edge < size || should_rewind(ring) ? edge : 0;
    if (!has_room(ring, size + filler)) {
        /* Acquire pairs with the release in tell: the consumer's reads of the old records are over.
         */
        uint32_t head = atomic_load_explicit(&ring->control->head, memory_order_acquire);
        if (ring->at - head > ring->size) {
            *lied = 1;
            return NULL;
        }
        ring->known = head;
        if (!has_room(ring, size + filler))
            return NULL;
    }
    if (filler) {
        write_filler(ring, filler);
        ring->at += filler;
    }
    ring->reserved = ring->at + size;
    return place(ring, ring->at);
}

const void *wh_ring_reserved(const struct wh_ring *ring)
{
    return place(ring, ring->at);
}

void wh_ring_publish(struct wh_ring *ring)
{
    ring->at = ring->reserved;
    /* Release pairs with the acquire in take and has_record: the record is written before it is
     * seen. */
    atomic_store_explicit(&ring->control->tail, ring->at, memory_order_release);
}

int wh_ring_tell(struct wh_ring *ring, uint32_t least)
{
    uint32_t news = ring->at - ring->told;
    if (news == 0 || news < least)
        return 0;
    ring->told = ring->at;
    /* Release pairs with the acquire in reserve: the records have been copied before their room is
     * reused. */
    atomic_store_explicit(&ring->control->head, ring->at, memory_order_release);
    return 1;
}

static const char *check_record(const struct wh_ring *ring, uint32_t size, uint32_t available)
{
    if (size < 8 || size % 8 != 0)
        return "a record's size is not a positive multiple of 8";
    if (size > available)
        return "a record is longer than what was produced";
    if (size > until_end(ring, ring->at))
        return "a record reaches over the ring's end";
    return NULL;
}

int64_t wh_ring_take(struct wh_ring *ring, void *record, uint32_t room, const char **fault)
{
    for (;;) {
        if (ring->known == ring->at) {
            /* Acquire pairs with the release in publish. */
            uint32_t tail = atomic_load_explicit(&ring->control->tail, memory_order_acquire);
            uint32_t available = tail - ring->at;
            if (available == 0)
                return 0;
            *fault =
                available > ring->size || available % 8 ? "the ring's tail is impossible" : NULL;
            if (*fault)
                return -1;
            ring->known = tail;
        }
        /* The first word is read once; the producer may rewrite it, we go by what we checked. */
        uint64_t word;
        memcpy(&word, place(ring, ring->at), sizeof(word));
        uint32_t size = (uint32_t)word;
        *fault = check_record(ring, size, ring->known - ring->at);
        if (*fault)
            return -1;
        if ((uint16_t)(word >> 32) == FILLER_KIND) {
            ring->at += size;
            continue;
        }
        if (size > room) {
            *fault = "a record is larger than any message may be";
            return -1;
        }
        memcpy(record, place(ring, ring->at), size);
        memcpy(record, &word, sizeof(word));
        ring->at += size;
        return size;
    }
}
