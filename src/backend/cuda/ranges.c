/* SPDX-License-Identifier: Apache-2.0 */
/* Address ranges in a sorted array: programs hold few allocations and look them up often. See
 * ranges.h. */
#include "backend/cuda/ranges.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct wh_cuda_ranges {
    pthread_rwlock_t lock;
    struct wh_cuda_range *at; /* ascending, disjoint */
    size_t n, room;
};

struct wh_cuda_ranges *wh_cuda_ranges_new(void)
{
    struct wh_cuda_ranges *ranges = calloc(1, sizeof(*ranges));
    if (ranges)
        pthread_rwlock_init(&ranges->lock, NULL);
    return ranges;
}

void wh_cuda_ranges_free(struct wh_cuda_ranges *ranges)
{
    if (!ranges)
        return;
    pthread_rwlock_destroy(&ranges->lock);
    free(ranges->at);
    free(ranges);
}

/* The number of ranges that start at or before `address`. */
static size_t count_before(const struct wh_cuda_ranges *ranges, uint64_t address)
{
    size_t low = 0, high = ranges->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->at[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool make_room(struct wh_cuda_ranges *ranges)
{
    if (ranges->n < ranges->room)
        return true;
    size_t room = ranges->room ? 2 * ranges->room : 64;
    struct wh_cuda_range *at = realloc(ranges->at, room * sizeof(*at));
    if (!at)
        return false;
    ranges->at = at;
    ranges->room = room;
    return true;
}

static bool is_free(const struct wh_cuda_ranges *ranges, size_t place,
                    const struct wh_cuda_range *range)
{
    if (range->size == 0 || range->start > UINT64_MAX - range->size)
        return false;
    if (place > 0 && range->start - ranges->at[place - 1].start < ranges->at[place - 1].size)
        return false;
    return place == ranges->n || ranges->at[place].start - range->start >= range->size;
}

bool wh_cuda_ranges_add(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range)
{
    pthread_rwlock_wrlock(&ranges->lock);
    size_t place = count_before(ranges, range->start);
    bool added = is_free(ranges, place, range) && make_room(ranges);
    if (added) {
        memmove(ranges->at + place + 1, ranges->at + place,
                (ranges->n - place) * sizeof(*ranges->at));
        ranges->at[place] = *range;
        ranges->n++;
    }
    pthread_rwlock_unlock(&ranges->lock);
    return added;
}

bool wh_cuda_ranges_find(struct wh_cuda_ranges *ranges, uint64_t address, uint64_t size,
                         struct wh_cuda_range *found)
{
    pthread_rwlock_rdlock(&ranges->lock);
    size_t place = count_before(ranges, address);
    const struct wh_cuda_range *range = place ? &ranges->at[place - 1] : NULL;
    bool inside = range && address - range->start < range->size &&
                  size <= range->size - (address - range->start);
    if (inside)
        *found = *range;
    pthread_rwlock_unlock(&ranges->lock);
    return inside;
}

static void take_at(struct wh_cuda_ranges *ranges, size_t place, struct wh_cuda_range *taken)
{
    if (taken)
        *taken = ranges->at[place];
    memmove(ranges->at + place, ranges->at + place + 1,
            (ranges->n - place - 1) * sizeof(*ranges->at));
    ranges->n--;
}

bool wh_cuda_ranges_take(struct wh_cuda_ranges *ranges, uint64_t start, struct wh_cuda_range *taken)
{
    pthread_rwlock_wrlock(&ranges->lock);
    size_t place = count_before(ranges, start);
    bool there = place && ranges->at[place - 1].start == start;
    if (there)
        take_at(ranges, place - 1, taken);
    pthread_rwlock_unlock(&ranges->lock);
    return there;
}

bool wh_cuda_ranges_take_owned(struct wh_cuda_ranges *ranges, const void *owner,
                               struct wh_cuda_range *taken)
{
    bool there = false;
    pthread_rwlock_wrlock(&ranges->lock);
    for (size_t i = 0; i < ranges->n && !there; i++)
        if (ranges->at[i].owner == owner) {
            take_at(ranges, i, taken);
            there = true;
        }
    pthread_rwlock_unlock(&ranges->lock);
    return there;
}
