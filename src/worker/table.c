/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's objects by id. The client mints ids, the worker those of what it discovers. An id
 * that is not here, or is of another type, never reaches the library. See worker.h.
 */
#include "worker/table.h"

#include <stdatomic.h>
#include <stdlib.h>

struct wh_table *wh_table_new(void)
{
    struct wh_table *table = calloc(1, sizeof(*table));
    if (table)
        pthread_mutex_init(&table->lock, NULL);
    return table;
}

void wh_table_free(struct wh_table *table)
{
    for (uint32_t c = 0; c < WH_TABLE_CHUNKS; c++) {
        for (uint32_t i = 0; table->chunks[c] && i < WH_TABLE_CHUNK; i++)
            free(table->chunks[c][i]);
        free(table->chunks[c]);
    }
    for (uint32_t i = 0; i < table->nfound; i++)
        free(table->found[i]);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

struct wh_entry *wh_table_find(struct wh_table *table, uint32_t id, uint16_t type)
{
    return wh_table_look_up(table, id, type, NULL);
}

/* The place for a new id; the lock is held. */
static struct wh_entry *_Atomic *new_place(struct wh_table *table, uint32_t id)
{
    if (id == WH_ID_NONE || id / WH_TABLE_CHUNK >= WH_TABLE_CHUNKS)
        return NULL;
    if (!atomic_load_explicit(&table->chunks[id / WH_TABLE_CHUNK], memory_order_relaxed)) {
        struct wh_entry *_Atomic *chunk = calloc(WH_TABLE_CHUNK, sizeof(*chunk));
        if (!chunk)
            return NULL;
        atomic_store_explicit(&table->chunks[id / WH_TABLE_CHUNK], chunk, memory_order_release);
    }
    return wh_table_place(table, id, NULL);
}

struct wh_entry *wh_table_add(struct wh_table *table, uint32_t id, uint16_t type, void *real)
{
    struct wh_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    wh_table_fill_in(entry, id, type, real);
    pthread_mutex_lock(&table->lock);
    struct wh_entry *_Atomic *place = new_place(table, id);
    bool is_free = place && !atomic_load_explicit(place, memory_order_relaxed);
    if (is_free)
        wh_table_enter(table, place, entry);
    pthread_mutex_unlock(&table->lock);
    if (is_free)
        return entry;
    free(entry);
    return NULL;
}

uint32_t wh_table_count(struct wh_table *table, uint16_t type)
{
    return atomic_load_explicit(&table->counts[type % WH_TABLE_TYPES], memory_order_relaxed);
}

static uint32_t discover_locked(struct wh_table *table, uint16_t type, void *real)
{
    uint32_t index = table->nfound;
    struct wh_entry *entry = index < WH_TABLE_FOUND ? calloc(1, sizeof(*entry)) : NULL;
    if (!entry)
        return WH_ID_NONE;
    wh_table_fill_in(entry, WH_ID_WORKER_FIRST + index, type, real);
    entry->discovered = true;
    table->found[index] = entry;
    atomic_store_explicit(&table->nfound, index + 1, memory_order_release);
    return entry->id;
}

uint32_t wh_table_id_of(struct wh_table *table, uint16_t type, void *real, bool *discovered)
{
    *discovered = false;
    if (!real)
        return WH_ID_NONE;
    pthread_mutex_lock(&table->lock);
    uint32_t id = wh_table_search(table, type, real, WH_TABLE_CHUNKS, NULL);
    if (!id) {
        id = discover_locked(table, type, real);
        *discovered = id != WH_ID_NONE;
    }
    pthread_mutex_unlock(&table->lock);
    return id;
}

bool wh_table_remove(struct wh_table *table, struct wh_entry *entry)
{
    pthread_mutex_lock(&table->lock);
    wh_table_leave(table, wh_table_place(table, entry->id, NULL), entry);
    bool last = entry->pins == 0;
    entry->dying = !last;
    pthread_mutex_unlock(&table->lock);
    return last;
}

void wh_table_pin(struct wh_table *table, struct wh_entry *entry)
{
    pthread_mutex_lock(&table->lock);
    entry->pins++;
    pthread_mutex_unlock(&table->lock);
}

bool wh_table_unpin(struct wh_table *table, struct wh_entry *entry)
{
    pthread_mutex_lock(&table->lock);
    bool last = --entry->pins == 0 && entry->dying;
    pthread_mutex_unlock(&table->lock);
    return last;
}
