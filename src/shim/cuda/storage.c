/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Context-local storage. Keys are few (one for each copy of the runtime library in the process), so
 * a context has a list, which only grows: an entry's key never changes, and a deleted one waits for
 * its key to come back. So readers need no lock and never meet freed memory. Called by
 * export_table.c and context.c.
 */
#include "shim/cuda/storage.h"

#include "shim/cuda/shim.h"

#include <stdlib.h>

struct entry {
    struct entry *next; /* constant once the entry can be seen, as is the key */
    void *key;
    void *_Atomic value;
    _Atomic bool present;
    wh_storage_destructor *destructor;
    uint64_t number; /* counts puts: the greatest is the newest */
};

struct wh_storage {
    pthread_mutex_t lock; /* for all but look-ups */
    struct entry *_Atomic entries;
    uint64_t puts;
};

/* The storage of a context (NULL: the current one), made if `make`. */
static CUresult storage_of(CUcontext context, bool make, struct wh_storage **storage)
{
    struct wh_cuda_context *state = wh_cuda_context(context ? context : wh_cuda_current());
    *storage = NULL;
    if (!state)
        return CUDA_ERROR_INVALID_CONTEXT;
    /* Acquire pairs with the exchange below. */
    *storage = atomic_load_explicit(&state->storage, memory_order_acquire);
    if (*storage || !make)
        return CUDA_SUCCESS;
    struct wh_storage *made = calloc(1, sizeof(*made));
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_init(&made->lock, NULL);
    if (!atomic_compare_exchange_strong(&state->storage, storage, made))
        wh_storage_free(made);
    else
        *storage = made;
    return CUDA_SUCCESS;
}

/* The entry of a key, whether it has a value or not. */
static struct entry *find(struct wh_storage *storage, const void *key)
{
    if (!storage)
        return NULL;
    /* Acquire pairs with the release in add_locked. */
    struct entry *entry = atomic_load_explicit(&storage->entries, memory_order_acquire);
    while (entry && entry->key != key)
        entry = entry->next;
    return entry;
}

static struct entry *add_locked(struct wh_storage *storage, void *key)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->key = key;
    entry->next = atomic_load_explicit(&storage->entries, memory_order_relaxed);
    /* Release pairs with the acquire in find: who sees the entry sees its key. */
    atomic_store_explicit(&storage->entries, entry, memory_order_release);
    return entry;
}

static CUresult put_locked(struct wh_storage *storage, void *key, void *value,
                           wh_storage_destructor *destructor)
{
    struct entry *entry = find(storage, key);
    if (entry && atomic_load_explicit(&entry->present, memory_order_relaxed))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!entry)
        entry = add_locked(storage, key);
    if (!entry)
        return CUDA_ERROR_OUT_OF_MEMORY;
    entry->destructor = destructor;
    entry->number = ++storage->puts;
    atomic_store_explicit(&entry->value, value, memory_order_relaxed);
    /* Release pairs with the acquire in wh_cuda_storage_get: present means that the value is. */
    atomic_store_explicit(&entry->present, true, memory_order_release);
    return CUDA_SUCCESS;
}

CUresult wh_cuda_storage_put(CUcontext context, void *key, void *value,
                             wh_storage_destructor *destructor)
{
    struct wh_storage *storage;
    CUresult result = storage_of(context, true, &storage);
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&storage->lock);
    result = put_locked(storage, key, value, destructor);
    pthread_mutex_unlock(&storage->lock);
    return result;
}

CUresult wh_cuda_storage_delete(CUcontext context, void *key)
{
    struct wh_storage *storage;
    CUresult result = storage_of(context, false, &storage);
    if (result != CUDA_SUCCESS)
        return result;
    struct entry *entry = find(storage, key);
    if (!entry || !atomic_exchange(&entry->present, false))
        return CUDA_ERROR_INVALID_HANDLE;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_storage_get(void **value, CUcontext context, void *key)
{
    struct wh_storage *storage;
    CUresult result = storage_of(context, false, &storage);
    if (result != CUDA_SUCCESS)
        return result;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    struct entry *entry = find(storage, key);
    /* Acquire pairs with the release in put_locked. */
    if (!entry || !atomic_load_explicit(&entry->present, memory_order_acquire))
        return CUDA_ERROR_INVALID_HANDLE;
    *value = atomic_load_explicit(&entry->value, memory_order_relaxed);
    return CUDA_SUCCESS;
}

/* Takes the newest value out of those up to put number `last`. */
static bool take_newest(struct wh_storage *storage, uint64_t last, struct entry *taken)
{
    struct entry *newest = NULL;
    pthread_mutex_lock(&storage->lock);
    for (struct entry *entry = atomic_load(&storage->entries); entry; entry = entry->next)
        if (atomic_load(&entry->present) && entry->number <= last &&
            (!newest || entry->number > newest->number))
            newest = entry;
    if (newest) {
        taken->key = newest->key;
        taken->destructor = newest->destructor;
        atomic_store(&taken->value, atomic_load(&newest->value));
        atomic_store(&newest->present, false);
    }
    pthread_mutex_unlock(&storage->lock);
    return newest != NULL;
}

void wh_cuda_storage_end(CUcontext context)
{
    struct wh_storage *storage;
    struct entry taken = {0};
    if (!context || storage_of(context, false, &storage) != CUDA_SUCCESS || !storage)
        return;
    pthread_mutex_lock(&storage->lock);
    uint64_t last = storage->puts; /* what a destructor puts back stays */
    pthread_mutex_unlock(&storage->lock);
    while (take_newest(storage, last, &taken))
        if (taken.destructor)
            taken.destructor(context, taken.key, atomic_load(&taken.value));
}

void wh_storage_free(struct wh_storage *storage)
{
    if (!storage)
        return;
    for (struct entry *entry = atomic_load(&storage->entries), *next; entry; entry = next) {
        next = entry->next;
        free(entry);
    }
    pthread_mutex_destroy(&storage->lock);
    free(storage);
}
