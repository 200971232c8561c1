/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that lives as long as one module: many small pieces, freed at once. There is a most,
 * because what is loaded is hostile: past it pieces are refused, never the process.
 */
#ifndef WH_SOFTGPU_ARENA_H
#define WH_SOFTGPU_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct wh_arena {
    struct wh_arena_chunk *chunks;
    size_t total, limit;
};

/* Zeroed memory aligned to 64 bytes for pieces of 64 bytes and more, else to 16; NULL past the
 * limit. */
void *wh_arena_take(struct wh_arena *arena, size_t size);
/* `size` bytes and a 0 behind them. */
char *wh_arena_text(struct wh_arena *arena, const char *text, size_t size);
/* Room for one more in an array of `n` pieces of `size` bytes; `array` is its address. NULL past
 * the limit. */
void *wh_arena_grow(struct wh_arena *arena, void *array, size_t n, size_t *room, size_t size);
/* Whether all pieces can be looked at by one who may only touch what `sees` says. */
bool wh_arena_seen(const struct wh_arena *arena, bool (*sees)(const void *bytes, size_t size));
void wh_arena_free(struct wh_arena *arena);

#endif
