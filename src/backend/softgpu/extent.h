/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of address ranges that do not overlap, as a treap ordered by address in which each node
 * knows the longest range below it. Used for free space (first fit), for what a pool holds back,
 * and for the map of all memory. Not locked: the owner does that.
 */
#ifndef WH_SOFTGPU_EXTENT_H
#define WH_SOFTGPU_EXTENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The entries of these sets, and of the map of all memory (memory.h), are of one size, and lie in
 * the driver's own state as long as there is room. NULL when memory is short. Thread-safe.
 */
#define SOFT_SLOT  128u
#define SOFT_SLOTS 2048u

struct soft_slots {
    pthread_mutex_t lock; /* guards what follows */
    struct soft_slot *free;
    uint32_t used;      /* places that were ever taken */
    uint32_t elsewhere; /* entries that have no place here */
    _Alignas(16) unsigned char places[SOFT_SLOTS][SOFT_SLOT];
};

void *soft_slot_take(void);
void soft_slot_give(void *slot); /* NULL is fine */

struct soft_extent {
    uint64_t start, size;
    uint64_t longest; /* the largest size in this subtree */
    uint32_t weight;  /* as if random; no child's is larger */
    struct soft_extent *left, *right;
};

/* Adds a range that overlaps none of the set; start and size are set, the rest is filled. */
void soft_extent_insert(struct soft_extent **root, struct soft_extent *extent);

/* Takes out a range that is in the set. */
void soft_extent_remove(struct soft_extent **root, struct soft_extent *extent);

/* The range with the largest start not above `address`; NULL when all lie above. */
struct soft_extent *soft_extent_below(struct soft_extent *root, uint64_t address);

/* The range that `address` lies in, or NULL. */
struct soft_extent *soft_extent_at(struct soft_extent *root, uint64_t address);

/* The lowest range of at least `size` bytes, or NULL. */
struct soft_extent *soft_extent_fit(struct soft_extent *root, uint64_t size);

/* Any range of the set, or NULL. */
static inline struct soft_extent *soft_extent_any(struct soft_extent *root)
{
    return root;
}

/*
 * Free space: takes `size` bytes at a multiple of `alignment` (a power of two) out of the set;
 * 0 when there are none in one piece or memory is short.
 */
uint64_t soft_space_take(struct soft_extent **root, uint64_t size, uint64_t alignment);

/* Gives bytes back to the free space, joining what touches. False: memory is short, they are lost.
 */
bool soft_space_give(struct soft_extent **root, uint64_t start, uint64_t size);

/* Forgets all ranges of a free space. */
void soft_space_clear(struct soft_extent **root);

#endif
