/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's allocator for the session's shared arena. Its book-keeping is private memory:
 * nothing that the worker writes can confuse it. Thread-safe.
 */
#ifndef WH_CLIENT_ARENA_H
#define WH_CLIENT_ARENA_H

#include <stdbool.h>
#include <stdint.h>

struct wh_arena;

/* A piece of the arena; read-only for its owner. */
struct wh_block {
    uint64_t offset, size;
};

/* An allocator for `size` bytes; `base` is where the arena is mapped. `returns_pages`: freed pages
 * are given back to the system. NULL when memory is short. */
struct wh_arena *wh_arena_new(uint8_t *base, uint64_t size, bool returns_pages);
void wh_arena_free(struct wh_arena *arena);

/* At least `size` bytes at a multiple of `align` (a power of two, at least 64). NULL when there is
 * no room. */
const struct wh_block *wh_arena_allocate(struct wh_arena *arena, uint64_t size, uint64_t align);

/* Gives a block back; NULL is nothing. */
void wh_arena_release(struct wh_arena *arena, const struct wh_block *block);

/* The block's bytes in this process. */
uint8_t *wh_arena_address(const struct wh_arena *arena, const struct wh_block *block);

#endif
