/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of one run of the generator: everything is taken from one pool and given back at once, at
 * the end. Used by every part of the generator. Running out of memory ends the program.
 */
#ifndef WH_APIGEN_POOL_H
#define WH_APIGEN_POOL_H

#include <stddef.h>

struct pool {
    struct pool_block *blocks;
};

/* Returns zeroed memory that lives until pool_free. */
void *pool_alloc(struct pool *pool, size_t size);
char *pool_copy(struct pool *pool, const char *text, size_t length);
char *pool_print(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Returns `items` with room for one more than `count`; the old array stays valid until pool_free.
 */
void *pool_grow(struct pool *pool, void *items, size_t count, size_t *room, size_t size);
void pool_free(struct pool *pool);

#define LIST(type)          \
    struct {                \
        type *items;        \
        size_t count, room; \
    }

#define LIST_ADD(pool, list, item)                                                                 \
    do {                                                                                           \
        (list)->items =                                                                            \
            pool_grow((pool), (list)->items, (list)->count, &(list)->room, sizeof *(list)->items); \
        (list)->items[(list)->count++] = (item);                                                   \
    } while (0)

#endif
