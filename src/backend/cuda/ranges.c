/* SPDX-License-Identifier: Apache-2.0 */
/* Address ranges in a sorted array: programs hold few allocations and look them up often. See
 * ranges.h. */
#include "backend/cuda/ranges.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct wh_cuda_ranges {
    pthread_rwlock_t lock;
    struct wh_cuda_range *at; /* ascending, disjoint */
    size_t n, room;
    _Atomic uint64_t *told; /* or NULL */
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

void wh_cuda_ranges_tell(struct wh_cuda_ranges *ranges, _Atomic uint64_t *bytes)
{
    ranges->told = bytes;
}

bool wh_cuda_ranges_seen(const struct wh_cuda_ranges *ranges,
                         bool (*sees)(const void *bytes, size_t size))
{
    return sees(ranges, sizeof(*ranges)) &&
           (!ranges->room || sees(ranges->at, ranges->room * sizeof(*ranges->at))) &&
           (!ranges->told || sees(ranges->told, sizeof(*ranges->told)));
}

bool wh_cuda_ranges_have_room(const struct wh_cuda_ranges *ranges)
{
    return ranges->n < ranges->room;
}

/* Lock held. */
static void tell(const struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range, bool more)
{
    if (ranges->told && range->kind == 0)
        atomic_fetch_add_explicit(ranges->told, more ? range->size : -range->size,
                                  memory_order_relaxed);
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

static void take_at(struct wh_cuda_ranges *ranges, size_t place, struct wh_cuda_range *taken)
{
    tell(ranges, &ranges->at[place], false);
    if (taken)
        *taken = ranges->at[place];
    memmove(ranges->at + place, ranges->at + place + 1,
            (ranges->n - place - 1) * sizeof(*ranges->at));
    ranges->n--;
}

/* Takes one passing range away that meets this one; false: there is none. */
static bool take_passing(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range,
                         struct wh_cuda_range *taken)
{
    size_t place = count_before(ranges, range->start + range->size - 1);
    const struct wh_cuda_range *met = place ? &ranges->at[place - 1] : NULL;
    if (!met || !met->passing || met->start + met->size <= range->start)
        return false;
    take_at(ranges, place - 1, taken);
    return true;
}

static bool add(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range)
{
    size_t place = count_before(ranges, range->start);
    if (!is_free(ranges, place, range) || !make_room(ranges))
        return false;
    memmove(ranges->at + place + 1, ranges->at + place, (ranges->n - place) * sizeof(*ranges->at));
    ranges->at[place] = *range;
    ranges->n++;
    tell(ranges, range, true);
    return true;
}

/* What is passing gives way. */
static bool add_anew(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range)
{
    if (range->size == 0 || range->start > UINT64_MAX - range->size)
        return false;
    while (take_passing(ranges, range, NULL))
        ;
    return add(ranges, range);
}

bool wh_cuda_ranges_add(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range)
{
    pthread_rwlock_wrlock(&ranges->lock);
    bool added = add_anew(ranges, range);
    pthread_rwlock_unlock(&ranges->lock);
    return added;
}

bool wh_cuda_ranges_add_over(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range)
{
    struct wh_cuda_range whole = *range, met;
    if (range->size == 0 || range->start > UINT64_MAX - range->size)
        return false;
    whole.passing = true;
    pthread_rwlock_wrlock(&ranges->lock);
    while (take_passing(ranges, &whole, &met)) {
        uint64_t end = whole.start + whole.size, other = met.start + met.size;
        whole.start = met.start < whole.start ? met.start : whole.start;
        whole.size = (other > end ? other : end) - whole.start;
    }
    bool added = add(ranges, &whole);
    pthread_rwlock_unlock(&ranges->lock);
    return added;
}

/* The range that starts at `start` and is of this kind, or NULL. */
static struct wh_cuda_range *exactly(const struct wh_cuda_ranges *ranges, uint64_t start,
                                     uint32_t kind)
{
    size_t place = count_before(ranges, start);
    struct wh_cuda_range *range = place ? &ranges->at[place - 1] : NULL;
    return range && range->start == start && range->kind == kind ? range : NULL;
}

bool wh_cuda_ranges_add_again(struct wh_cuda_ranges *ranges, const struct wh_cuda_range *range)
{
    pthread_rwlock_wrlock(&ranges->lock);
    struct wh_cuda_range *there = exactly(ranges, range->start, range->kind);
    bool same = there && there->size == range->size && there->again < UINT32_MAX;
    if (same)
        there->again++;
    bool added = same || add_anew(ranges, range);
    pthread_rwlock_unlock(&ranges->lock);
    return added;
}

bool wh_cuda_ranges_take_one(struct wh_cuda_ranges *ranges, uint64_t start, uint32_t kind,
                             struct wh_cuda_range *taken)
{
    pthread_rwlock_wrlock(&ranges->lock);
    struct wh_cuda_range *there = exactly(ranges, start, kind);
    if (there)
        *taken = *there;
    if (there && there->again > 0)
        there->again--;
    else if (there)
        take_at(ranges, (size_t)(there - ranges->at), NULL);
    pthread_rwlock_unlock(&ranges->lock);
    taken->again = 0;
    return there;
}

static bool is_open(const struct wh_cuda_range *range)
{
    return !range->closed;
}

static bool is_chunk(const struct wh_cuda_range *range)
{
    return range->chunk;
}

/* How many bytes from the start of the range at `place` are without a gap: to its end, or that of
 * the last of the chunks that touch one another and are `good`. Stops at `enough`. */
static uint64_t span_of(const struct wh_cuda_ranges *ranges, size_t place, uint64_t enough,
                        bool (*good)(const struct wh_cuda_range *))
{
    const struct wh_cuda_range *first = &ranges->at[place];
    uint64_t span = first->size;
    while (first->chunk && span < enough && ++place < ranges->n) {
        const struct wh_cuda_range *next = &ranges->at[place];
        if (!next->chunk || !good(next) || next->start != first->start + span)
            break;
        span += next->size;
    }
    return span;
}

/* The range that `address` lies in, or NULL. */
static const struct wh_cuda_range *range_at(const struct wh_cuda_ranges *ranges, uint64_t address)
{
    size_t place = count_before(ranges, address);
    const struct wh_cuda_range *range = place ? &ranges->at[place - 1] : NULL;
    return range && address - range->start < range->size ? range : NULL;
}

bool wh_cuda_ranges_find(struct wh_cuda_ranges *ranges, uint64_t address, uint64_t size,
                         struct wh_cuda_range *found)
{
    pthread_rwlock_rdlock(&ranges->lock);
    const struct wh_cuda_range *range = range_at(ranges, address);
    bool inside = range && !range->closed;
    if (inside) {
        uint64_t before = address - range->start;
        inside = size <= range->size - before;
        if (!inside && range->chunk && size <= UINT64_MAX - before)
            inside = before + size <=
                     span_of(ranges, (size_t)(range - ranges->at), before + size, is_open);
    }
    if (inside)
        *found = *range;
    pthread_rwlock_unlock(&ranges->lock);
    return inside;
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
        if (ranges->at[i].owner == owner || ranges->at[i].within == owner) {
            take_at(ranges, i, taken);
            there = true;
        }
    pthread_rwlock_unlock(&ranges->lock);
    return there;
}

/* ---- chunks ---- */

bool wh_cuda_ranges_find_chunk(struct wh_cuda_ranges *ranges, uint64_t address,
                               struct wh_cuda_range *found)
{
    pthread_rwlock_rdlock(&ranges->lock);
    const struct wh_cuda_range *range = range_at(ranges, address);
    bool there = range && range->chunk;
    if (there)
        *found = *range;
    pthread_rwlock_unlock(&ranges->lock);
    return there;
}

bool wh_cuda_ranges_are_chunks(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size)
{
    pthread_rwlock_rdlock(&ranges->lock);
    const struct wh_cuda_range *first = range_at(ranges, start);
    bool filled = first && first->chunk && first->start == start &&
                  span_of(ranges, (size_t)(first - ranges->at), size, is_chunk) == size;
    pthread_rwlock_unlock(&ranges->lock);
    return filled;
}

bool wh_cuda_ranges_touch(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size)
{
    pthread_rwlock_rdlock(&ranges->lock);
    size_t place = count_before(ranges, start);
    bool before = place && start - ranges->at[place - 1].start < ranges->at[place - 1].size;
    bool after = place < ranges->n && ranges->at[place].start - start < size;
    pthread_rwlock_unlock(&ranges->lock);
    return before || after;
}

/* The place of the first range that starts at `start` or behind it. */
static size_t place_from(const struct wh_cuda_ranges *ranges, uint64_t start)
{
    return start ? count_before(ranges, start - 1) : 0;
}

void wh_cuda_ranges_open(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size, bool open)
{
    pthread_rwlock_wrlock(&ranges->lock);
    for (size_t i = place_from(ranges, start); i < ranges->n && ranges->at[i].start - start < size;
         i++)
        if (ranges->at[i].chunk)
            ranges->at[i].closed = !open;
    pthread_rwlock_unlock(&ranges->lock);
}

bool wh_cuda_ranges_take_chunk(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size,
                               struct wh_cuda_range *taken)
{
    pthread_rwlock_wrlock(&ranges->lock);
    size_t place = place_from(ranges, start);
    bool there =
        place < ranges->n && ranges->at[place].start - start < size && ranges->at[place].chunk;
    if (there)
        take_at(ranges, place, taken);
    pthread_rwlock_unlock(&ranges->lock);
    return there;
}
