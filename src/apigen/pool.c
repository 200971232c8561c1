/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator's memory: a list of blocks, freed together. See pool.h.
 */
#include "pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool_block {
    struct pool_block *next;
    max_align_t data[];
};

void *pool_alloc(struct pool *pool, size_t size)
{
    struct pool_block *block = calloc(1, sizeof *block + size);

    if (!block) {
        fputs("wormhole-apigen: out of memory\n", stderr);
        exit(1);
    }
    block->next = pool->blocks;
    pool->blocks = block;
    return block->data;
}

char *pool_copy(struct pool *pool, const char *text, size_t length)
{
    char *copy = pool_alloc(pool, length + 1);

    memcpy(copy, text, length);
    return copy;
}

char *pool_print(struct pool *pool, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);

    char *text = pool_alloc(pool, (size_t)length + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void *pool_grow(struct pool *pool, void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 8;

    void *grown = pool_alloc(pool, *room * size);
    if (count)
        memcpy(grown, items, count * size);
    return grown;
}

void pool_free(struct pool *pool)
{
    while (pool->blocks) {
        struct pool_block *block = pool->blocks;

        pool->blocks = block->next;
        free(block);
    }
}
