/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object table's inside, for those who look objects up: table.c, and the worker's code in a
 * view, which may touch only what it is told it sees.
 */
#ifndef WH_WORKER_TABLE_H
#define WH_WORKER_TABLE_H

#include "worker/worker.h"

#include <stdatomic.h>

#define WH_TABLE_CHUNK  1024u
#define WH_TABLE_CHUNKS 8193u /* 8 million objects; ids start at 1 */
#define WH_TABLE_FOUND  4096u
#define WH_TABLE_TYPES  256u

struct wh_table {
    pthread_mutex_t lock;
    struct wh_entry *_Atomic *_Atomic chunks[WH_TABLE_CHUNKS];
    struct wh_entry *_Atomic found[WH_TABLE_FOUND];
    _Atomic uint32_t nfound;
    _Atomic uint32_t counts[WH_TABLE_TYPES]; /* of the client's, by type */
};

/* Whether these bytes may be touched; NULL: all may. */
typedef bool wh_table_sees(const void *bytes, size_t size);

static inline struct wh_entry *_Atomic *wh_table_place(struct wh_table *table, uint32_t id,
                                                       wh_table_sees *sees)
{
    if (id >= WH_ID_WORKER_FIRST) {
        uint32_t index = id - WH_ID_WORKER_FIRST;
        return index < atomic_load_explicit(&table->nfound, memory_order_acquire)
                   ? &table->found[index]
                   : NULL;
    }
    if (id / WH_TABLE_CHUNK >= WH_TABLE_CHUNKS)
        return NULL;
    struct wh_entry *_Atomic *chunk =
        atomic_load_explicit(&table->chunks[id / WH_TABLE_CHUNK], memory_order_acquire);
    if (!chunk || (sees && !sees(chunk, WH_TABLE_CHUNK * sizeof(*chunk))))
        return NULL;
    return &chunk[id % WH_TABLE_CHUNK];
}

static inline struct wh_entry *wh_table_look_up(struct wh_table *table, uint32_t id, uint16_t type,
                                                wh_table_sees *sees)
{
    struct wh_entry *_Atomic *place = wh_table_place(table, id, sees);
    /* Acquire pairs with the release in wh_table_add. */
    struct wh_entry *entry = place ? atomic_load_explicit(place, memory_order_acquire) : NULL;
    if (!entry || (sees && !sees(entry, sizeof(*entry))))
        return NULL;
    return type == 0 || entry->type == type ? entry : NULL;
}

/* An object enters at a place that is free, and leaves it. One at a time does so. */
static inline void wh_table_enter(struct wh_table *table, struct wh_entry *_Atomic *place,
                                  struct wh_entry *entry)
{
    /* Release pairs with the acquire in wh_table_look_up. */
    atomic_store_explicit(place, entry, memory_order_release);
    atomic_fetch_add_explicit(&table->counts[entry->type % WH_TABLE_TYPES], 1,
                              memory_order_relaxed);
}

static inline void wh_table_leave(struct wh_table *table, struct wh_entry *_Atomic *place,
                                  const struct wh_entry *entry)
{
    atomic_store_explicit(place, NULL, memory_order_relaxed);
    atomic_fetch_sub_explicit(&table->counts[entry->type % WH_TABLE_TYPES], 1,
                              memory_order_relaxed);
}

static inline void wh_table_fill_in(struct wh_entry *entry, uint32_t id, uint16_t type, void *real)
{
    entry->id = id;
    entry->type = type;
    entry->real = real;
    entry->references = 1;
}

static inline uint32_t wh_table_id_if(struct wh_entry *_Atomic *place, uint16_t type,
                                      const void *real, wh_table_sees *sees)
{
    const struct wh_entry *entry = atomic_load_explicit(place, memory_order_relaxed);
    bool is_it = entry && (!sees || sees(entry, sizeof(*entry))) && entry->real == real &&
                 entry->type == type;
    return is_it ? entry->id : WH_ID_NONE;
}

/* The id of a library's handle: the worker's, or one of the client's in the first so many chunks.
 * Nobody changes the table meanwhile. */
static inline uint32_t wh_table_search(struct wh_table *table, uint16_t type, const void *real,
                                       uint32_t most, wh_table_sees *sees)
{
    uint32_t id = WH_ID_NONE;
    for (uint32_t i = 0; !id && i < table->nfound; i++)
        id = wh_table_id_if(&table->found[i], type, real, sees);
    for (uint32_t c = 0; !id && c < most; c++) {
        struct wh_entry *_Atomic *chunk = table->chunks[c];
        if (!chunk || (sees && !sees(chunk, WH_TABLE_CHUNK * sizeof(*chunk))))
            continue;
        for (uint32_t i = 0; !id && i < WH_TABLE_CHUNK; i++)
            id = wh_table_id_if(&chunk[i], type, real, sees);
    }
    return id;
}

#endif
