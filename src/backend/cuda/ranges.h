/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device memory of one session: whatever its calls allocated, by address. Thread-safe. Worker
 * and client each keep one; neither shows the other's to anybody.
 */
#ifndef WH_BACKEND_CUDA_RANGES_H
#define WH_BACKEND_CUDA_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_cuda_ranges;

struct wh_cuda_range {
    uint64_t start, size;
    void *owner;    /* what it goes with (a context, a module), or NULL */
    void *within;   /* the context that a module's variable lies in: it goes with that, too */
    uint32_t kind;  /* the user's own */
    void *extra;    /* the user's own */
    bool chunk;     /* mapped by the program: bytes may lie in several chunks that touch */
    bool closed;    /* a chunk that no device may touch */
    bool passing;   /* gives way to a range that is added where it is */
    unsigned again; /* times that it was added beyond the first */
};

struct wh_cuda_ranges *wh_cuda_ranges_new(void);
void wh_cuda_ranges_free(struct wh_cuda_ranges *ranges);

/* From here on *bytes is the size of all ranges of kind 0 together, for others to see. */
void wh_cuda_ranges_tell(struct wh_cuda_ranges *ranges, _Atomic uint64_t *bytes);

/* Whether the map can be looked at by one who may only touch what `sees` says. */
bool wh_cuda_ranges_seen(const struct wh_cuda_ranges *ranges,
                         bool (*sees)(const void *bytes, size_t size));

/* Whether one more range needs no more memory. */
bool wh_cuda_ranges_have_room(const struct wh_cuda_ranges *ranges);

/* False when memory is short, or a range is there already. */
bool wh_cuda_ranges_add(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range);

/* Adds a range that is `passing`; where it meets others of that sort, they become one. False:
 * memory is short. */
bool wh_cuda_ranges_add_over(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range);

/* The range that [address, address + size) lies in, copied out; of several chunks the first. Closed
 * ones are not found. */
bool wh_cuda_ranges_find(struct wh_cuda_ranges *ranges, uint64_t address, uint64_t size,
                         struct wh_cuda_range *found);

/* Takes the range that starts at `start` away; it is copied to `taken` (may be NULL). */
bool wh_cuda_ranges_take(struct wh_cuda_ranges *ranges, uint64_t start,
                         struct wh_cuda_range *taken);

/* Adds a range, or counts one time more where the same (start, size, kind) is already. False:
 * memory is short, or another range is there. */
bool wh_cuda_ranges_add_again(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range);

/* Takes back one of the times that a range of this kind was added at `start`: it goes with the
 * last. False: there is none. `taken` may be added again. */
bool wh_cuda_ranges_take_one(struct wh_cuda_ranges *ranges, uint64_t start, uint32_t kind,
                             struct wh_cuda_range *taken);

/* Takes away one range of this owner, or within it, after the other; false when there is none left.
 */
bool wh_cuda_ranges_take_owned(struct wh_cuda_ranges *ranges, const void *owner,
                               struct wh_cuda_range *taken);

/* ---- chunks ---- */

/* The chunk that `address` lies in, closed or not. */
bool wh_cuda_ranges_find_chunk(struct wh_cuda_ranges *ranges, uint64_t address,
                               struct wh_cuda_range *found);

/* Whether [start, start + size) is filled by whole chunks, closed or not. */
bool wh_cuda_ranges_are_chunks(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size);

/* Whether any range has bytes in [start, start + size). */
bool wh_cuda_ranges_touch(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size);

/* Opens or closes the chunks that start in [start, start + size). */
void wh_cuda_ranges_open(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size, bool open);

/* Takes away one chunk that starts in [start, start + size) after the other; false when there is
 * none left. */
bool wh_cuda_ranges_take_chunk(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size,
                               struct wh_cuda_range *taken);

#endif
