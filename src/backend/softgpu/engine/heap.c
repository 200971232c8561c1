/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device-side malloc and free: buddies over one piece of device memory. What is free is kept
 * outside of that memory, where no kernel can write. Called by builtin.c.
 */
#include "exec.h"

#include <stdlib.h>

#define LEAF_SHIFT 6u /* 64 bytes */
#define ORDERS     26u
#define NOBODY     UINT32_MAX
#define HEAP_LEAST (1u << 20)
#define HEAP_MOST  (1ull << 31)

enum { INSIDE = 0, TAKEN = 0x40, FREE = 0x80 };

struct wh_heap {
    uint64_t base;
    uint32_t nleaves;
    uint32_t heads[ORDERS];
    uint32_t *next, *previous;
    uint8_t *state; /* of the first leaf of a piece: FREE or TAKEN, and its order */
};

static void push(struct wh_heap *heap, uint32_t leaf, unsigned order)
{
    heap->state[leaf] = (uint8_t)(FREE | order);
    heap->next[leaf] = heap->heads[order];
    heap->previous[leaf] = NOBODY;
    if (heap->heads[order] != NOBODY)
        heap->previous[heap->heads[order]] = leaf;
    heap->heads[order] = leaf;
}

static void pull(struct wh_heap *heap, uint32_t leaf, unsigned order)
{
    if (heap->previous[leaf] != NOBODY)
        heap->next[heap->previous[leaf]] = heap->next[leaf];
    else
        heap->heads[order] = heap->next[leaf];
    if (heap->next[leaf] != NOBODY)
        heap->previous[heap->next[leaf]] = heap->previous[leaf];
    heap->state[leaf] = INSIDE;
}

static void heap_free(struct wh_heap *heap)
{
    free(heap->next);
    free(heap->previous);
    free(heap->state);
    free(heap);
}

static struct wh_heap *heap_new(const struct wh_soft_memory *memory, uint64_t most)
{
    uint64_t size = HEAP_LEAST;
    unsigned order = 0;
    while (size * 2 <= most && size < HEAP_MOST)
        size *= 2;
    struct wh_heap *heap = calloc(1, sizeof(*heap));
    if (!heap)
        return NULL;
    heap->nleaves = (uint32_t)(size >> LEAF_SHIFT);
    heap->next = malloc(heap->nleaves * sizeof(*heap->next));
    heap->previous = malloc(heap->nleaves * sizeof(*heap->previous));
    heap->state = calloc(1, heap->nleaves);
    heap->base = heap->next && heap->previous && heap->state
                     ? memory->allocate(memory->owner, size, 256)
                     : 0;
    if (!heap->base) {
        heap_free(heap);
        return NULL;
    }
    for (unsigned i = 0; i < ORDERS; i++)
        heap->heads[i] = NOBODY;
    while ((1u << order) < heap->nleaves)
        order++;
    push(heap, 0, order);
    return heap;
}

static uint64_t take(struct wh_heap *heap, uint64_t size)
{
    unsigned wanted = 0, order;
    while (wanted < ORDERS && (uint64_t)1 << (LEAF_SHIFT + wanted) < size)
        wanted++;
    for (order = wanted; order < ORDERS && heap->heads[order] == NOBODY; order++)
        ;
    if (order >= ORDERS)
        return 0;
    uint32_t leaf = heap->heads[order];
    pull(heap, leaf, order);
    while (order > wanted) {
        order--;
        push(heap, leaf + (1u << order), order);
    }
    heap->state[leaf] = (uint8_t)(TAKEN | order);
    return heap->base + ((uint64_t)leaf << LEAF_SHIFT);
}

static bool give(struct wh_heap *heap, uint64_t address)
{
    uint64_t offset = address - heap->base;
    uint32_t leaf = (uint32_t)(offset >> LEAF_SHIFT);
    if (address < heap->base || offset >> LEAF_SHIFT >= heap->nleaves ||
        offset % (1u << LEAF_SHIFT) != 0 || !(heap->state[leaf] & TAKEN))
        return false;
    unsigned order = heap->state[leaf] & (TAKEN - 1);
    heap->state[leaf] = INSIDE;
    for (;; order++) {
        uint32_t buddy = leaf ^ (1u << order);
        if (buddy >= heap->nleaves || heap->state[buddy] != (FREE | order))
            break;
        pull(heap, buddy, order);
        leaf = leaf < buddy ? leaf : buddy;
    }
    push(heap, leaf, order);
    return true;
}

uint64_t wh_heap_take(struct wh_job *job, uint64_t size)
{
    struct wh_soft_module *module = job->module;
    uint64_t address = 0;
    if (size == 0)
        return 0;
    pthread_mutex_lock(&module->heap_lock);
    if (!module->heap)
        module->heap = heap_new(&module->memory, job->launch->heap);
    if (module->heap)
        address = take(module->heap, size);
    pthread_mutex_unlock(&module->heap_lock);
    return address;
}

bool wh_heap_give(struct wh_job *job, uint64_t address)
{
    struct wh_soft_module *module = job->module;
    if (address == 0)
        return true;
    pthread_mutex_lock(&module->heap_lock);
    bool good = module->heap && give(module->heap, address);
    pthread_mutex_unlock(&module->heap_lock);
    return good;
}

void wh_heap_free(struct wh_soft_module *module)
{
    if (!module->heap)
        return;
    module->memory.release(module->memory.owner, module->heap->base);
    heap_free(module->heap);
    module->heap = NULL;
}
