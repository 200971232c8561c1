/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of variable-sized records in shared memory: one producer side, one consumer side, each of
 * which may be hostile to the other. The counters run freely and wrap at 2^32; a record never wraps
 * around the ring's end (a filler record takes the rest). The first word of a record holds its size
 * (32 bits, a multiple of 8), then its kind (16 bits). Callers serialise producers among
 * themselves, and consumers among themselves.
 */
#ifndef WH_CHANNEL_RING_H
#define WH_CHANNEL_RING_H

#include <stdatomic.h>
#include <stdint.h>

/* The shared half. Each counter has a cache line of its own. */
struct wh_ring_control {
    _Alignas(64) _Atomic uint32_t tail;            /* bytes ever produced */
    _Alignas(64) _Atomic uint32_t head;            /* bytes ever consumed */
    _Alignas(64) _Atomic uint32_t consumer_sleeps; /* the producer must ring */
    _Atomic uint32_t door;                         /* counts the rings; the consumer sleeps on it */
    _Alignas(64) _Atomic uint32_t producer_waits;  /* the consumer must say when it made room */
};

/* One side's private view. */
struct wh_ring {
    struct wh_ring_control *control;
    uint8_t *data;
    uint32_t size;     /* bytes, a power of two */
    uint32_t at;       /* this side's own counter: never read back from shared memory */
    uint32_t reserved; /* producer: the counter after the record being written */
    /* The other side's counter as last seen: looked at again only when it does not suffice, so that
     * the two sides do not pull one cache line to and fro. */
    uint32_t known;
    uint32_t told;   /* consumer: the head that the producer was told last */
    uint32_t looked; /* producer: `at` when it last looked whether the ring is empty */
};

/*
 * Room for a record of `size` bytes (a multiple of 8, at most a quarter of the ring), to be written
 * in place and then published; NULL when the consumer has to make room first. *lied is set when the
 * consumer's counter is impossible.
 */
void *wh_ring_reserve(struct wh_ring *ring, uint32_t size, int *lied);

/* The reserved record. */
const void *wh_ring_reserved(const struct wh_ring *ring);

/* Makes the reserved record visible. */
void wh_ring_publish(struct wh_ring *ring);

/*
 * Copies the next record into `record` (of `room` bytes). Returns its size, 0 when there is none,
 * or -1 with *fault saying what the producer did wrong. The producer is told of the room when there
 * is some to speak of; see wh_ring_tell.
 */
int64_t wh_ring_take(struct wh_ring *ring, void *record, uint32_t room, const char **fault);

/*
 * Tells the producer how much has been consumed, if that is news of `least` bytes or more. Returns
 * whether it was told.
 */
int wh_ring_tell(struct wh_ring *ring, uint32_t least);

/* Whether a record waits, without taking it. */
static inline int wh_ring_has_record(const struct wh_ring *ring)
{
    /* Acquire pairs with the release in wh_ring_publish. */
    return atomic_load_explicit(&ring->control->tail, memory_order_acquire) != ring->at;
}

#endif
