/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Textures and surfaces: one lane after the other, for each has its own place to read. Called as
 * handlers. A number that is none of the context's textures ends the launch.
 */
#include "exec.h"
#include "number.h"
#include "texturing.h"

#include <string.h>

/* ---- which texture ---- */

static const struct wh_soft_texture *look_up(struct wh_warp *warp, uint64_t number)
{
    const struct wh_soft_memory *memory = warp->block->job->memory;
    if (warp->texture && warp->texture_number == number)
        return warp->texture;
    const struct wh_soft_texture *texture =
        memory->texture ? memory->texture(memory->owner, number) : NULL;
    if (texture) {
        warp->texture = texture;
        warp->texture_number = number;
    }
    return texture;
}

/* A texture where `surface` is false; NULL after a fault. */
static const struct wh_soft_texture *texture_of(struct wh_warp *warp, const struct wh_ins *ins,
                                                unsigned lane, bool surface)
{
    const struct wh_texturing *t = ins->texturing;
    uint64_t number = wh_get(warp, t->number, lane, true), room;
    if (t->named) { /* a variable of the module: it is there */
        const void *place = wh_span(warp, lane, number, &room);
        number = 0;
        if (place && room >= sizeof(number))
            memcpy(&number, place, sizeof(number));
    }
    const struct wh_soft_texture *texture = look_up(warp, number);
    if (texture && texture->surface == surface)
        return texture;
    wh_fault(warp, ins, lane, FAULT_ILLEGAL_ADDRESS, "%#llx is no %s of this context",
             (unsigned long long)number, surface ? "surface" : "texture");
    return NULL;
}

/* ---- fetches ---- */

struct reader {
    struct wh_warp *warp;
    unsigned lane;
};

static const void *texel_at(void *owner, uint64_t address, unsigned bytes)
{
    struct reader *reader = owner;
    uint64_t room;
    const void *place =
        address < WH_SHARED_WINDOW ? wh_span(reader->warp, reader->lane, address, &room) : NULL;
    return place && room >= bytes ? place : NULL;
}

static void coordinates_of(struct wh_warp *warp, const struct wh_texturing *t, unsigned lane,
                           struct wh_coordinates *at)
{
    static const uint8_t n[GEOMETRY_COUNT] = {1, 2, 3, 1, 2, 3, 3};
    at->whole = t->whole;
    at->layer = 0;
    at->level = 0;
    for (unsigned d = n[t->geometry]; d < 3; d++) {
        at->x[d] = 0;
        at->i[d] = 0;
    }
    for (unsigned d = 0; d < n[t->geometry]; d++) {
        uint32_t bits = (uint32_t)wh_get(warp, t->coordinates[d], lane, false);
        at->x[d] = wh_float32(bits);
        at->i[d] = (int32_t)bits;
    }
    if (t->geometry == GEOMETRY_LAYERED_1D || t->geometry == GEOMETRY_LAYERED_2D ||
        t->geometry == GEOMETRY_LAYERED_CUBE)
        at->layer = (uint32_t)wh_get(warp, t->layer, lane, false);
}

static float slope_level(struct wh_warp *warp, const struct wh_texturing *t,
                         const struct wh_soft_texture *texture, unsigned lane)
{
    static const uint8_t n[GEOMETRY_COUNT] = {1, 2, 3, 1, 2, 2, 2};
    float dx[3] = {0}, dy[3] = {0};
    for (unsigned d = 0; d < n[t->geometry]; d++) {
        dx[d] = wh_float32((uint32_t)wh_get(warp, t->dx[d], lane, false));
        dy[d] = wh_float32((uint32_t)wh_get(warp, t->dy[d], lane, false));
    }
    return wh_texture_level(texture, n[t->geometry], dx, dy);
}

static float level_of(struct wh_warp *warp, const struct wh_texturing *t,
                      const struct wh_soft_texture *texture, unsigned lane)
{
    uint32_t bits;
    switch (t->detail) {
    case DETAIL_LEVEL:
        bits = (uint32_t)wh_get(warp, t->level, lane, false);
        return t->whole ? (float)(int32_t)bits : wh_float32(bits);
    case DETAIL_SLOPES:
        return slope_level(warp, t, texture, lane);
    default:
        return 0;
    }
}

static void fetch(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask, bool gather)
{
    const struct wh_texturing *t = ins->texturing;
    WH_EACH_LANE(lane, mask)
    {
        struct reader reader = {warp, lane};
        struct wh_coordinates at;
        uint32_t texel[4];
        struct wh_fetch fetch = {
            .texture = texture_of(warp, ins, lane, false), .at = texel_at, .owner = &reader};
        if (!fetch.texture)
            return;
        coordinates_of(warp, t, lane, &at);
        if (gather) {
            wh_texture_gather(&fetch, (enum wh_geometry)t->geometry, &at, t->component, texel);
        } else {
            at.level = level_of(warp, t, fetch.texture, lane);
            wh_texture_read(&fetch, (enum wh_geometry)t->geometry, &at, texel);
        }
        if (fetch.lost) {
            wh_fault(warp, ins, lane, FAULT_ILLEGAL_ADDRESS,
                     "illegal address %#llx behind a texture", (unsigned long long)fetch.lost);
            return;
        }
        for (unsigned i = 0; i < t->nvalues; i++)
            wh_put(warp, t->values[i], lane, t->wide >> i & 1, texel[i]);
    }
    if (t->resident != WH_NONE)
        wh_set_predicate(warp, t->resident, mask, UINT32_MAX);
}

void wh_do_texture(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    fetch(warp, ins, mask, false);
}

void wh_do_gather(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    fetch(warp, ins, mask, true);
}

/* ---- queries ---- */

static uint32_t answer(const struct wh_soft_texture *texture, enum wh_texture_query query,
                       const struct wh_soft_level *level)
{
    switch (query) {
    case QUERY_WIDTH:
        return level->width;
    case QUERY_HEIGHT:
        return level->height;
    case QUERY_DEPTH:
        return texture->layered || texture->cube ? 1 : level->depth;
    case QUERY_LAYERS:
        return texture->cube ? level->depth / 6 : texture->layered ? level->depth : 0;
    default:
        return texture->nlevels;
    }
}

void wh_do_texture_query(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_texturing *t = ins->texturing;
    WH_EACH_LANE(lane, mask)
    {
        const struct wh_soft_texture *texture;
        uint64_t number = wh_get(warp, t->number, lane, true);
        texture = t->named ? NULL : look_up(warp, number);
        if (!texture && !(texture = texture_of(warp, ins, lane, false)))
            return;
        uint64_t level = t->detail ? wh_get(warp, t->level, lane, false) : 0;
        level = level < texture->nlevels ? level : texture->nlevels - 1;
        wh_put(warp, t->values[0], lane, false,
               answer(texture, (enum wh_texture_query)t->query, &texture->levels[level]));
    }
}

/* ---- surfaces ---- */

enum reached { REACHED, OUTSIDE, FAULT };

/* A place in [0, size - bytes], or -1. */
static int64_t within(int64_t at, int64_t size, int64_t bytes, bool clamp)
{
    if (at >= 0 && at <= size - bytes)
        return at;
    if (!clamp || size < bytes)
        return -1;
    return at < 0 ? 0 : size - bytes;
}

/*
 * Where a surface access leads; its first coordinate counts bytes. What lies outside is nothing,
 * the nearest texel or a fault, as the instruction says.
 */
static enum reached place_on(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane,
                             unsigned bytes, uint8_t **place)
{
    const struct wh_texturing *t = ins->texturing;
    const struct wh_soft_texture *surface = texture_of(warp, ins, lane, true);
    struct wh_coordinates at;
    if (!surface)
        return FAULT;
    const struct wh_soft_level *level = &surface->levels[0];
    coordinates_of(warp, t, lane, &at);
    bool clamp = t->edge == EDGE_CLAMP, layers = t->geometry >= GEOMETRY_LAYERED_1D;
    int64_t along = (int64_t)at.i[0] * (t->formatted ? surface->texel : 1);
    int64_t x = within(along, (int64_t)level->width * surface->texel, bytes, clamp),
            y = within(at.i[1], level->height, 1, clamp),
            z = within(layers ? (int32_t)at.layer : at.i[2], level->depth, 1, clamp);
    bool misplaced = x >= 0 && x % bytes != 0;
    if (x >= 0 && y >= 0 && z >= 0 && !misplaced) {
        uint64_t offset = (uint64_t)z * level->slice + (uint64_t)y * level->row + (uint64_t)x;
        *place = (uint8_t *)(uintptr_t)(level->address + offset); /* NOLINT */
        return REACHED;
    }
    if (t->edge != EDGE_TRAP && !misplaced)
        return OUTSIDE;
    wh_fault(warp, ins, lane, misplaced ? FAULT_MISALIGNED : FAULT_LAUNCH,
             "a surface of %u x %u x %u texels has no %u bytes at byte %lld, %d, %d", level->width,
             level->height, level->depth, bytes, (long long)along, at.i[1],
             layers ? (int)at.layer : at.i[2]);
    return FAULT;
}

void wh_do_surface_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_texturing *t = ins->texturing;
    unsigned size = wh_type_size((enum wh_type)t->type);
    WH_EACH_LANE(lane, mask)
    {
        uint8_t *place = NULL;
        enum reached reached = place_on(warp, ins, lane, size * t->nvalues, &place);
        if (reached == FAULT)
            return;
        for (unsigned i = 0; i < t->nvalues; i++) {
            uint64_t value = 0;
            if (reached == REACHED)
                memcpy(&value, place + i * size, size);
            wh_put(warp, t->values[i], lane, t->wide >> i & 1, value);
        }
    }
}

void wh_do_surface_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_texturing *t = ins->texturing;
    unsigned size = wh_type_size((enum wh_type)t->type);
    WH_EACH_LANE(lane, mask)
    {
        uint8_t *place;
        enum reached reached = place_on(warp, ins, lane, size * t->nvalues, &place);
        if (reached == FAULT)
            return;
        for (unsigned i = 0; i < t->nvalues && reached == REACHED; i++) {
            uint64_t value = wh_get(warp, t->values[i], lane, t->wide >> i & 1);
            memcpy(place + i * size, &value, size);
        }
    }
}

void wh_do_surface_reduce(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_texturing *t = ins->texturing;
    unsigned size = wh_type_size((enum wh_type)t->type);
    WH_EACH_LANE(lane, mask)
    {
        uint8_t *place;
        enum reached reached = place_on(warp, ins, lane, size, &place);
        if (reached == FAULT)
            return;
        if (reached == REACHED)
            wh_atomic_at(t->op, t->type, place, wh_get(warp, t->values[0], lane, t->wide & 1));
    }
}
