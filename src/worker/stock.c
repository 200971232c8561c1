/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the stock of memory for calls in a view; see stock.h. */
#include "worker/stock.h"

#include <stdlib.h>

#define RESTS 64u /* what a view shows of the heap is used up: it may not be soon again */

void wh_stock_open(struct wh_stock *stock, const struct wh_stock_wish *wishes, unsigned n)
{
    *stock = (struct wh_stock){.changed = true};
    for (unsigned i = 0; i < n && i < WH_STOCK_SHELVES; i++)
        stock->shelves[stock->nshelves++] =
            (struct wh_stock_shelf){.size = wishes[i].size, .most = wishes[i].most};
}

static void free_excess(struct wh_stock *stock)
{
    while (stock->excess) {
        struct wh_stock_block *block = stock->excess;
        stock->excess = block->next;
        free(block);
    }
}

/* False: no more of the memory that malloc has is shown. */
static bool fill_shelf(struct wh_stock_shelf *shelf,
                       bool (*shows)(const void *user, const void *bytes, size_t size),
                       const void *user)
{
    while (shelf->n < shelf->most) {
        struct wh_stock_block *block = malloc(shelf->size);
        if (!block || !shows(user, block, shelf->size)) {
            free(block);
            return false;
        }
        block->next = shelf->first;
        shelf->first = block;
        shelf->n++;
    }
    return true;
}

void wh_stock_fill(struct wh_stock *stock,
                   bool (*shows)(const void *user, const void *bytes, size_t size),
                   const void *user)
{
    bool filled = true;
    if (!stock->changed)
        return;
    free_excess(stock);
    if (stock->rests) {
        stock->rests--;
        return;
    }
    for (uint32_t i = 0; i < stock->nshelves; i++)
        filled = fill_shelf(&stock->shelves[i], shows, user) && filled;
    stock->changed = !filled;
    stock->rests = filled ? 0 : RESTS;
}
