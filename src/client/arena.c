/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segregated fits with immediate coalescing: blocks in address order in one list, the free ones
 * also in a list per power of two. See arena.h.
 */
#include "client/arena.h"

#include "base/util.h"
#include "channel/segment.h"

#include <pthread.h>
#include <sys/mman.h>

#define BUCKETS     48
#define LEAST_BLOCK 64u
#define SMALL_MOST  (64u << 10)  /* what is copied to or from a device in a view */
#define GIVE_BACK   (256u << 10) /* free blocks from this size on can return their pages */
#define KEEP_MOST \
    (64u << 20) /* bytes kept for the next transfer: new pages cost more than a copy */

struct node {
    struct wh_block block;        /* first: the public part */
    struct node *before, *after;  /* neighbours by address */
    struct node *previous, *next; /* free blocks of one bucket */
    bool is_free;
};

struct wh_arena {
    pthread_mutex_t lock;
    uint8_t *base;
    bool returns_pages;
    uint64_t kept; /* bytes freed, and not allocated again, since pages were last returned */
    struct node *buckets[BUCKETS];
    struct node *first;
};

static unsigned bucket_of(uint64_t size)
{
    unsigned bucket = (unsigned)(63 - __builtin_clzll(size));
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static void insert_free(struct wh_arena *arena, struct node *node)
{
    struct node **head = &arena->buckets[bucket_of(node->block.size)];
    node->is_free = true;
    node->previous = NULL;
    node->next = *head;
    if (*head)
        (*head)->previous = node;
    *head = node;
}

static void remove_free(struct wh_arena *arena, struct node *node)
{
    if (node->previous)
        node->previous->next = node->next;
    else
        arena->buckets[bucket_of(node->block.size)] = node->next;
    if (node->next)
        node->next->previous = node->previous;
    node->is_free = false;
}

/* Cuts `node` (not in a bucket) after `size` bytes; the rest becomes a free block. */
static void split(struct wh_arena *arena, struct node *node, uint64_t size)
{
    if (node->block.size - size < LEAST_BLOCK)
        return;
    struct node *rest = calloc(1, sizeof(*rest));
    if (!rest)
        return; /* the block is larger than asked for: harmless */
    rest->block.offset = node->block.offset + size;
    rest->block.size = node->block.size - size;
    rest->before = node;
    rest->after = node->after;
    if (rest->after)
        rest->after->before = rest;
    node->after = rest;
    node->block.size = size;
    insert_free(arena, rest);
}

/* Joins `node` with its successor, which is free and in no bucket any more. */
static void absorb_next(struct node *node)
{
    struct node *gone = node->after;
    node->block.size += gone->block.size;
    node->after = gone->after;
    if (node->after)
        node->after->before = node;
    free(gone);
}

static uint64_t padding_of(const struct node *node, uint64_t least, uint64_t align)
{
    uint64_t offset = node->block.offset > least ? node->block.offset : least;
    return wh_round_up(offset, align) - node->block.offset;
}

static struct node *find(struct wh_arena *arena, uint64_t size, uint64_t least, uint64_t align)
{
    for (unsigned bucket = bucket_of(size); bucket < BUCKETS; bucket++)
        for (struct node *node = arena->buckets[bucket]; node; node = node->next) {
            uint64_t padding = padding_of(node, least, align);
            if (node->block.size >= size && node->block.size - size >= padding)
                return node;
        }
    return NULL;
}

struct wh_arena *wh_arena_new(uint8_t *base, uint64_t size, bool returns_pages)
{
    struct wh_arena *arena = calloc(1, sizeof(*arena));
    struct node *whole = calloc(1, sizeof(*whole));
    if (!arena || !whole) {
        free(arena);
        free(whole);
        return NULL;
    }
    pthread_mutex_init(&arena->lock, NULL);
    arena->base = base;
    arena->returns_pages = returns_pages;
    whole->block.size = size & ~(uint64_t)(LEAST_BLOCK - 1);
    arena->first = whole;
    insert_free(arena, whole);
    return arena;
}

void wh_arena_free(struct wh_arena *arena)
{
    for (struct node *node = arena->first; node;) {
        struct node *next = node->after;
        free(node);
        node = next;
    }
    pthread_mutex_destroy(&arena->lock);
    free(arena);
}

const struct wh_block *wh_arena_allocate(struct wh_arena *arena, uint64_t size, uint64_t align)
{
    if (size > UINT64_MAX / 2)
        return NULL;
    size = wh_round_up(size ? size : 1, LEAST_BLOCK);
    pthread_mutex_lock(&arena->lock);
    /* What is large leaves the beginning to what is small, while it fits behind it. */
    uint64_t least = size > SMALL_MOST ? WH_ARENA_NEAR : 0;
    struct node *node = find(arena, size, least, align);
    if (!node && least)
        node = find(arena, size, least = 0, align);
    if (node) {
        uint64_t padding = padding_of(node, least, align);
        remove_free(arena, node);
        if (padding) { /* the front stays free */
            split(arena, node, padding);
            struct node *front = node;
            node = front->after;
            if (front->block.size != padding) {
                node = NULL; /* no memory to split */
            } else {
                remove_free(arena, node);
            }
            insert_free(arena, front);
        }
        if (node)
            split(arena, node, size);
        arena->kept -= size < arena->kept ? size : arena->kept;
    }
    pthread_mutex_unlock(&arena->lock);
    return node ? &node->block : NULL;
}

/* Returns the pages of all that is free; the lock is held. */
static void return_pages(struct wh_arena *arena)
{
    for (struct node *node = arena->first; node; node = node->after) {
        uint64_t start = wh_round_up(node->block.offset, 4096);
        uint64_t end = (node->block.offset + node->block.size) & ~4095ull;
        if (node->is_free && node->block.size >= GIVE_BACK)
            (void)madvise(arena->base + start, end - start, MADV_REMOVE);
    }
    arena->kept = 0;
}

void wh_arena_release(struct wh_arena *arena, const struct wh_block *block)
{
    struct node *node = (struct node *)(uintptr_t)block;
    if (!node)
        return;
    pthread_mutex_lock(&arena->lock);
    arena->kept += node->block.size;
    if (node->after && node->after->is_free) {
        remove_free(arena, node->after);
        absorb_next(node);
    }
    if (node->before && node->before->is_free) {
        node = node->before;
        remove_free(arena, node);
        absorb_next(node);
    }
    insert_free(arena, node);
    if (arena->returns_pages && arena->kept > KEEP_MOST)
        return_pages(arena);
    pthread_mutex_unlock(&arena->lock);
}

uint8_t *wh_arena_address(const struct wh_arena *arena, const struct wh_block *block)
{
    return arena->base + block->offset;
}
