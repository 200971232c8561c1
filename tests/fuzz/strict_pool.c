/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's scratch memory for fuzzing: each piece an allocation of its own, freed after the
 * message, so that a sanitizer sees every byte too far and every use too late. Takes the place of
 * src/worker/pool.c.
 */
#include "worker/worker.h"

#include <stdlib.h>

struct piece {
    struct piece *next;
    void *bytes;
};

struct wh_pool {
    struct piece *pieces;
    size_t most, taken;
};

struct wh_pool *wh_pool_new(size_t most)
{
    struct wh_pool *pool = calloc(1, sizeof(*pool));
    if (pool)
        pool->most = most;
    return pool;
}

void *wh_pool_take(struct wh_pool *pool, size_t size)
{
    if (size > pool->most - pool->taken)
        return NULL;
    struct piece *piece = malloc(sizeof(*piece));
    void *bytes = calloc(1, size ? size : 1);
    if (!piece || !bytes)
        abort();
    *piece = (struct piece){.next = pool->pieces, .bytes = bytes};
    pool->pieces = piece;
    pool->taken += size;
    return bytes;
}

void wh_pool_reset(struct wh_pool *pool)
{
    while (pool->pieces) {
        struct piece *next = pool->pieces->next;
        free(pool->pieces->bytes);
        free(pool->pieces);
        pool->pieces = next;
    }
    pool->taken = 0;
}

void wh_pool_free(struct wh_pool *pool)
{
    wh_pool_reset(pool);
    free(pool);
}
