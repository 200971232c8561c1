/* SPDX-License-Identifier: Apache-2.0 */
/* Handles in a hash table, allocations in an array by address. See names.h. */
#include "trace/names.h"

#include <stdlib.h>
#include <string.h>

struct handle {
    uint64_t handle;           /* 0: an empty place */
    struct wh_trace_name name; /* number 0: gone */
};

static struct {
    struct handle *places;
    size_t n, room; /* room is a power of two */
    uint32_t *last; /* number given, by type */
    size_t types;
} handles;

struct range {
    uint64_t start, size;
    uint32_t number;
};

static struct {
    struct range *ranges; /* ascending, without overlaps */
    size_t n, room;
    uint32_t last;
} memory;

/* ---- handles ---- */

static size_t place_of(uint64_t handle)
{
    return (size_t)(handle * 0x9e3779b97f4a7c15u >> 20) & (handles.room - 1);
}

/* The handle's place, or an empty one for it. */
static struct handle *look_up(uint64_t handle)
{
    size_t at = place_of(handle);
    while (handles.places[at].handle && handles.places[at].handle != handle)
        at = (at + 1) & (handles.room - 1);
    return &handles.places[at];
}

static bool grow(void)
{
    size_t room = handles.room, twice = room ? 2 * room : 1024;
    struct handle *old = handles.places, *places = calloc(twice, sizeof(*places));
    if (!places)
        return false;
    handles.places = places;
    handles.room = twice;
    for (size_t i = 0; i < room; i++)
        if (old[i].handle)
            *look_up(old[i].handle) = old[i];
    free(old);
    return true;
}

static uint32_t next_number(uint16_t type)
{
    if (type >= handles.types) {
        uint32_t *last = realloc(handles.last, (type + 1u) * sizeof(*last));
        if (!last)
            return 0;
        memset(last + handles.types, 0, (type + 1u - handles.types) * sizeof(*last));
        handles.last = last;
        handles.types = type + 1u;
    }
    return ++handles.last[type];
}

static struct wh_trace_name name(uint16_t type, uint64_t handle, bool given)
{
    if (2 * handles.n >= handles.room && !grow())
        return (struct wh_trace_name){.type = type};
    struct handle *place = look_up(handle);
    if (!place->handle)
        handles.n++;
    if (!place->handle || !place->name.number || (given && place->name.type != type))
        *place = (struct handle){.handle = handle, .name = {type, next_number(type)}};
    return place->name;
}

struct wh_trace_name wh_trace_name(uint16_t type, uint64_t handle)
{
    return name(type, handle, false);
}

struct wh_trace_name wh_trace_name_given(uint16_t type, uint64_t handle)
{
    return name(type, handle, true);
}

void wh_trace_name_gone(uint64_t handle)
{
    if (handle && handles.room)
        look_up(handle)->name.number = 0;
}

/* ---- memory ---- */

/* The first range that ends behind `address`. */
static size_t first_behind(uint64_t address)
{
    size_t first = 0, end = memory.n;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (memory.ranges[middle].start + memory.ranges[middle].size <= address)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static void take_out(size_t at, size_t n)
{
    if (n == 0)
        return;
    memmove(memory.ranges + at, memory.ranges + at + n,
            (memory.n - at - n) * sizeof(*memory.ranges));
    memory.n -= n;
}

void wh_trace_allocated(uint64_t start, uint64_t size)
{
    size_t at = first_behind(start), end = at;
    while (end < memory.n && memory.ranges[end].start < start + size)
        end++;
    take_out(at, end - at);
    if (memory.n == memory.room) {
        size_t room = memory.room ? 2 * memory.room : 256;
        struct range *ranges = realloc(memory.ranges, room * sizeof(*ranges));
        if (!ranges)
            return;
        memory.ranges = ranges;
        memory.room = room;
    }
    memmove(memory.ranges + at + 1, memory.ranges + at, (memory.n - at) * sizeof(*memory.ranges));
    memory.ranges[at] = (struct range){.start = start, .size = size, .number = ++memory.last};
    memory.n++;
}

void wh_trace_freed(uint64_t start)
{
    size_t at = first_behind(start);
    if (at < memory.n && memory.ranges[at].start == start)
        take_out(at, 1);
}

bool wh_trace_find(uint64_t address, uint32_t *number, uint64_t *offset)
{
    size_t at = first_behind(address);
    if (at == memory.n || memory.ranges[at].start > address)
        return false;
    *number = memory.ranges[at].number;
    *offset = address - memory.ranges[at].start;
    return true;
}
