/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions on textures and surfaces in their decoded form, shared by decoder and handlers.
 */
#ifndef WH_SOFTGPU_TEXTURING_H
#define WH_SOFTGPU_TEXTURING_H

#include "code.h"
#include "texture.h"

enum wh_detail { DETAIL_NONE, DETAIL_LEVEL, DETAIL_SLOPES };
enum wh_edge { EDGE_TRAP, EDGE_CLAMP, EDGE_ZERO };
enum wh_texture_query { QUERY_WIDTH, QUERY_HEIGHT, QUERY_DEPTH, QUERY_LAYERS, QUERY_LEVELS };

struct wh_texturing {
    uint8_t geometry, detail, edge, query, component;
    bool whole; /* coordinates are integers */
    bool named; /* `number` is the address of a variable that holds the number */
    bool formatted;
    uint8_t op; /* enum wh_atomic */
    uint8_t type, nvalues;
    uint8_t wide;    /* a bit for each value that is of 64 bits */
    uint32_t number; /* operands from here on */
    uint32_t coordinates[3], layer, level, dx[3], dy[3], resident;
    uint32_t values[4];
};

void wh_do_texture(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_gather(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_texture_query(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_surface_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_surface_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_surface_reduce(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

#endif
