/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Textures and surfaces: what the driver tells the engine of one, and how texels are read from it.
 * CUDA C++ Programming Guide, "Texture and Surface Memory" and "Texture Fetching". The driver fills
 * the structure; the handlers of exec_texture.c read it.
 */
#ifndef WH_SOFTGPU_TEXTURE_H
#define WH_SOFTGPU_TEXTURE_H

#include <stdbool.h>
#include <stdint.h>

#define WH_TEXTURE_LEVELS 18u /* of a texture 131072 texels wide */

/* In the order of CU_TR_ADDRESS_MODE_*. */
enum wh_soft_wrap { WH_SOFT_WRAP, WH_SOFT_CLAMP, WH_SOFT_MIRROR, WH_SOFT_BORDER };

enum wh_soft_channel {
    WH_SOFT_UNSIGNED8,
    WH_SOFT_SIGNED8,
    WH_SOFT_UNSIGNED16,
    WH_SOFT_SIGNED16,
    WH_SOFT_UNSIGNED32,
    WH_SOFT_SIGNED32,
    WH_SOFT_FLOAT16,
    WH_SOFT_FLOAT32
};

/* One level of detail. Layers and faces of cubes count as depth. */
struct wh_soft_level {
    uint64_t address; /* of the first texel */
    uint32_t width, height, depth;
    uint64_t row, slice; /* bytes from one to the next */
};

struct wh_soft_texture {
    struct wh_soft_level levels[WH_TEXTURE_LEVELS];
    uint32_t nlevels;                  /* at least 1; no level is empty */
    uint8_t channel, nchannels, texel; /* enum wh_soft_channel; channels and bytes of a texel */
    uint8_t wrap[3];
    bool surface;
    bool linear;   /* a piece of memory rather than an array: outside of it are zeros */
    bool borrowed; /* the program's own memory, which may be gone: looked up at every access */
    bool layered, cube;
    bool normalized; /* coordinates from 0 to 1 */
    bool integers;   /* whole numbers stay what they are; else they become fractions */
    bool filtered, filtered_levels;
    bool srgb, seamless;
    float bias, least_level, most_level;
    float border[4];
};

enum wh_geometry {
    GEOMETRY_1D,
    GEOMETRY_2D,
    GEOMETRY_3D,
    GEOMETRY_LAYERED_1D,
    GEOMETRY_LAYERED_2D,
    GEOMETRY_CUBE,
    GEOMETRY_LAYERED_CUBE,
    GEOMETRY_COUNT
};

/* Where a texel's bytes are, or NULL where the program has no memory there (any more). */
typedef const void *(*wh_texel_at)(void *owner, uint64_t address, unsigned bytes);

/* One fetch. A failed look-up sets `lost`, and zeros are read. */
struct wh_fetch {
    const struct wh_soft_texture *texture;
    wh_texel_at at;
    void *owner;
    uint64_t lost; /* an address, or 0 */
};

/* Coordinates of one fetch: floating ones in `x`, or whole ones in `i`. */
struct wh_coordinates {
    float x[3];
    int32_t i[3];
    uint32_t layer;
    float level; /* of detail */
    bool whole;
};

/* The texel or the mixture of texels there: four floats or integers, as bits. */
void wh_texture_read(struct wh_fetch *fetch, enum wh_geometry geometry,
                     const struct wh_coordinates *at, uint32_t texel[4]);
/* One component of the four texels that linear filtering would mix. Section "tld4" of PTX. */
void wh_texture_gather(struct wh_fetch *fetch, enum wh_geometry geometry,
                       const struct wh_coordinates *at, unsigned component, uint32_t texel[4]);
/* The level of detail that differences of coordinates from one pixel to the next ask for. */
float wh_texture_level(const struct wh_soft_texture *texture, unsigned dimensions,
                       const float dx[3], const float dy[3]);

#endif
