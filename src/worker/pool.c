/* SPDX-License-Identifier: Apache-2.0 */
/* Scratch memory of one call: grows in chunks up to a hard cap, is emptied after every message. See
 * worker.h. */
#include "base/util.h"
#include "worker/worker.h"

#include <string.h>

#define FIRST_CHUNK (64u << 10)

struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(16) uint8_t bytes[];
};

struct wh_pool {
    struct chunk *chunks;
    size_t most, taken;
};

static struct chunk *add_chunk(struct wh_pool *pool, size_t size)
{
    size_t room = size > FIRST_CHUNK ? size : FIRST_CHUNK;
    struct chunk *chunk = malloc(sizeof(*chunk) + room);
    if (!chunk)
        return NULL;
    *chunk = (struct chunk){.next = pool->chunks, .size = room};
    pool->chunks = chunk;
    return chunk;
}

struct wh_pool *wh_pool_new(size_t most)
{
    struct wh_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return NULL;
    pool->most = most;
    return pool;
}

void *wh_pool_take(struct wh_pool *pool, size_t size)
{
    struct chunk *chunk = pool->chunks;
    if (size > pool->most - pool->taken)
        return NULL;
    size = wh_round_up(size ? size : 1, 16);
    if (!chunk || size > chunk->size - chunk->used)
        chunk = add_chunk(pool, size);
    if (!chunk)
        return NULL;
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    pool->taken += size < pool->most - pool->taken ? size : pool->most - pool->taken;
    memset(memory, 0, size);
    return memory;
}

/* Keeps one chunk of ordinary size for the next call. */
void wh_pool_reset(struct wh_pool *pool)
{
    while (pool->chunks && (pool->chunks->next || pool->chunks->size > FIRST_CHUNK)) {
        struct chunk *next = pool->chunks->next;
        free(pool->chunks);
        pool->chunks = next;
    }
    if (pool->chunks)
        pool->chunks->used = 0;
    pool->taken = 0;
}

void wh_pool_free(struct wh_pool *pool)
{
    wh_pool_reset(pool);
    free(pool->chunks);
    free(pool);
}
