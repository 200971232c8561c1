/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for what calls in a view make and leave behind. There is no allocator in a view, so the
 * worker's threads put blocks of its heap by, of the sizes that are needed: the callee takes them,
 * and puts back what it ends, whoever made that. What there is too much of it leaves to the
 * worker's threads to free. All of it is for who leads.
 */
#ifndef WH_WORKER_STOCK_H
#define WH_WORKER_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WH_STOCK_SHELVES 8u

/* A block that nobody uses. */
struct wh_stock_block {
    struct wh_stock_block *next;
};

/* Of one size. */
struct wh_stock_shelf {
    size_t size;
    uint32_t most, n;
    struct wh_stock_block *first;
};

/* What a backend wants to be put by. */
struct wh_stock_wish {
    size_t size;
    uint32_t most;
};

struct wh_stock {
    struct wh_stock_shelf shelves[WH_STOCK_SHELVES];
    uint32_t nshelves;
    bool changed;                  /* by the callee, since it was filled */
    uint32_t rests;                /* so often it is not filled: there is no memory for it */
    struct wh_stock_block *excess; /* to be freed */
};

static inline struct wh_stock_shelf *wh_stock_shelf(struct wh_stock *stock, size_t size)
{
    for (uint32_t i = 0; i < stock->nshelves; i++)
        if (stock->shelves[i].size == size)
            return &stock->shelves[i];
    return NULL;
}

/* Whether there is a block of this size. */
static inline bool wh_stock_has(struct wh_stock *stock, size_t size)
{
    const struct wh_stock_shelf *shelf = wh_stock_shelf(stock, size);
    return shelf && shelf->first;
}

/* A zeroed block, or NULL. */
static inline void *wh_stock_take(struct wh_stock *stock, size_t size)
{
    struct wh_stock_shelf *shelf = wh_stock_shelf(stock, size);
    struct wh_stock_block *block = shelf ? shelf->first : NULL;
    stock->changed = true;
    if (!block)
        return NULL;
    shelf->first = block->next;
    shelf->n--;
    return memset(block, 0, size);
}

/* Memory that malloc once gave for just this size. */
static inline void wh_stock_give(struct wh_stock *stock, void *memory, size_t size)
{
    struct wh_stock_shelf *shelf = wh_stock_shelf(stock, size);
    struct wh_stock_block *block = memory;
    bool has_room = shelf && shelf->n < shelf->most;
    struct wh_stock_block **first = has_room ? &shelf->first : &stock->excess;
    stock->changed = true;
    block->next = *first;
    *first = block;
    if (has_room)
        shelf->n++;
}

/* ---- for the worker's threads ---- */

/* An empty stock of these sizes. */
void wh_stock_open(struct wh_stock *stock, const struct wh_stock_wish *wishes, unsigned n);

/* Fills it with blocks that are where `shows` says, and frees what there is too much of. */
void wh_stock_fill(struct wh_stock *stock,
                   bool (*shows)(const void *user, const void *bytes, size_t size),
                   const void *user);

#endif
