/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a module being loaded; see arena.h. Never shared between threads.
 */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (256u << 10)

struct wh_arena_chunk {
    struct wh_arena_chunk *next;
    size_t used, size;
    char *bytes;
};

static struct wh_arena_chunk *new_chunk(struct wh_arena *arena, size_t size)
{
    size = size > CHUNK ? size : CHUNK;
    if (size > arena->limit - arena->total)
        return NULL;
    struct wh_arena_chunk *chunk = malloc(sizeof(*chunk));
    size = (size + 63) & ~(size_t)63;
    char *bytes = chunk ? aligned_alloc(64, size) : NULL;
    if (!bytes) {
        free(chunk);
        return NULL;
    }
    memset(bytes, 0, size);
    arena->total += size < arena->limit - arena->total ? size : arena->limit - arena->total;
    *chunk = (struct wh_arena_chunk){.next = arena->chunks, .size = size, .bytes = bytes};
    arena->chunks = chunk;
    return chunk;
}

void *wh_arena_take(struct wh_arena *arena, size_t size)
{
    if (size > arena->limit)
        return NULL;
    size_t unit = size >= 64 ? 64 : 16;
    size = (size + unit - 1) & ~(unit - 1);
    struct wh_arena_chunk *chunk = arena->chunks;
    size_t at = chunk ? (chunk->used + unit - 1) & ~(unit - 1) : 0;
    if (!chunk || at > chunk->size || chunk->size - at < size) {
        chunk = new_chunk(arena, size);
        at = 0;
    }
    if (!chunk)
        return NULL;
    chunk->used = at + size;
    return chunk->bytes + at;
}

char *wh_arena_text(struct wh_arena *arena, const char *text, size_t size)
{
    char *copy = wh_arena_take(arena, size + 1);
    if (copy && size > 0)
        memcpy(copy, text, size);
    return copy;
}

void *wh_arena_grow(struct wh_arena *arena, void *array, size_t n, size_t *room, size_t size)
{
    void *old;
    memcpy(&old, array, sizeof(old));
    if (n < *room)
        return old;
    size_t more = *room ? *room * 2 : 16;
    if (more > arena->limit / size)
        return NULL;
    void *grown = wh_arena_take(arena, more * size);
    if (!grown)
        return NULL;
    if (n > 0)
        memcpy(grown, old, n * size);
    *room = more;
    memcpy(array, &grown, sizeof(grown));
    return grown;
}

bool wh_arena_seen(const struct wh_arena *arena, bool (*sees)(const void *bytes, size_t size))
{
    for (const struct wh_arena_chunk *chunk = arena->chunks; chunk; chunk = chunk->next)
        if (!sees(chunk, sizeof(*chunk)) || !sees(chunk->bytes, chunk->size))
            return false;
    return true;
}

void wh_arena_free(struct wh_arena *arena)
{
    while (arena->chunks) {
        struct wh_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk->bytes);
        free(chunk);
    }
}
