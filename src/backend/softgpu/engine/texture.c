/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading textures; see texture.h. Weights of linear filtering have 8 bits after the point, as the
 * programming guide says of hardware. Called by exec_texture.c. Coordinates are a kernel's: any
 * value must end at a texel, at the border or at zeros.
 */
#include "texture.h"

#include "number.h"

#include <math.h>
#include <string.h>

#define FAR (1ll << 40) /* farther out, all texels are alike */

/* ---- one texel ---- */

static float fraction(const struct wh_soft_texture *texture, int32_t value)
{
    switch (texture->channel) {
    case WH_SOFT_UNSIGNED8:
        return (float)value / 255.0f;
    case WH_SOFT_SIGNED8:
        return fmaxf((float)value / 127.0f, -1.0f);
    case WH_SOFT_UNSIGNED16:
        return (float)value / 65535.0f;
    default:
        return fmaxf((float)value / 32767.0f, -1.0f);
    }
}

/* IEC 61966-2-1. */
static float linear_of_srgb(float value)
{
    return value <= 0.04045f ? value / 12.92f : powf((value + 0.055f) / 1.055f, 2.4f);
}

static bool as_floats(const struct wh_soft_texture *texture)
{
    return texture->channel >= WH_SOFT_FLOAT16 ||
           (!texture->integers && texture->channel < WH_SOFT_UNSIGNED32);
}

/* Whole numbers as they are read: as such, or as fractions. */
static uint32_t number_of(const struct wh_soft_texture *texture, int32_t value, unsigned i)
{
    if (texture->integers)
        return (uint32_t)value;
    float part = fraction(texture, value);
    return wh_bits32(texture->srgb && i < 3 ? linear_of_srgb(part) : part);
}

static void unpack(const struct wh_soft_texture *texture, const uint8_t *bytes, uint32_t texel[4])
{
    uint16_t shorts[4];
    unsigned n = texture->nchannels;
    switch (texture->channel) {
    case WH_SOFT_UNSIGNED8:
        for (unsigned i = 0; i < n; i++)
            texel[i] = number_of(texture, bytes[i], i);
        return;
    case WH_SOFT_SIGNED8:
        for (unsigned i = 0; i < n; i++)
            texel[i] = number_of(texture, (int8_t)bytes[i], i);
        return;
    case WH_SOFT_UNSIGNED32:
    case WH_SOFT_SIGNED32:
    case WH_SOFT_FLOAT32:
        for (unsigned i = 0; i < n; i++)
            memcpy(&texel[i], bytes + i * 4, 4);
        return;
    default:
        break;
    }
    for (unsigned i = 0; i < n; i++) {
        memcpy(&shorts[i], bytes + i * 2, 2);
        texel[i] = texture->channel == WH_SOFT_FLOAT16 ? wh_bits32(wh_from_half(shorts[i]))
                   : texture->channel == WH_SOFT_SIGNED16
                       ? number_of(texture, (int16_t)shorts[i], i)
                       : number_of(texture, shorts[i], i);
    }
}

/* Channels that a texture does not have read as 0, the fourth as 1. */
static void missing_channels(const struct wh_soft_texture *texture, uint32_t texel[4])
{
    for (unsigned i = texture->nchannels; i < 4; i++)
        texel[i] = i < 3 ? 0 : as_floats(texture) ? wh_bits32(1.0f) : 1;
}

static void read_texel(struct wh_fetch *fetch, const struct wh_soft_level *level, uint32_t x,
                       uint32_t y, uint32_t z, uint32_t texel[4])
{
    const struct wh_soft_texture *texture = fetch->texture;
    uint64_t address = level->address + z * level->slice + y * level->row + x * texture->texel;
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)address; /* NOLINT */
    if (texture->borrowed && !(bytes = fetch->at(fetch->owner, address, texture->texel))) {
        fetch->lost = address;
        memset(texel, 0, 4 * sizeof(*texel));
        return;
    }
    unpack(texture, bytes, texel);
    missing_channels(texture, texel);
}

static void read_border(const struct wh_soft_texture *texture, uint32_t texel[4])
{
    for (unsigned i = 0; i < 4; i++)
        texel[i] = texture->linear ? 0
                   : as_floats(texture)
                       ? wh_bits32(texture->border[i])
                       : (uint32_t)(int32_t)fmaxf(fminf(texture->border[i], 2147483520.0f),
                                                  -2147483648.0f);
    if (!texture->linear)
        missing_channels(texture, texel);
}

/* ---- addressing ---- */

static int64_t addressed_outside(int64_t i, int64_t n, enum wh_soft_wrap wrap)
{
    int64_t back;
    switch (wrap) {
    case WH_SOFT_WRAP:
        back = i % n;
        return back < 0 ? back + n : back;
    case WH_SOFT_MIRROR:
        back = i % (2 * n);
        back = back < 0 ? back + 2 * n : back;
        return back < n ? back : 2 * n - 1 - back;
    case WH_SOFT_CLAMP:
        return i < 0 ? 0 : n - 1;
    default:
        return -1;
    }
}

/* Texel number i of n, or -1 for the border. */
static inline int64_t addressed(int64_t i, int64_t n, enum wh_soft_wrap wrap)
{
    return i >= 0 && i < n ? i : addressed_outside(i, n, wrap);
}

/* Wrapping and mirroring are for normalized coordinates only; others are clamped. */
static enum wh_soft_wrap wrap_of(const struct wh_soft_texture *texture, unsigned dimension)
{
    enum wh_soft_wrap wrap = (enum wh_soft_wrap)texture->wrap[dimension];
    if (texture->linear)
        return WH_SOFT_BORDER;
    return !texture->normalized && wrap != WH_SOFT_BORDER ? WH_SOFT_CLAMP : wrap;
}

/* The whole number below; floor() would be a call. */
static int64_t whole_of(double x)
{
    if (!(x < FAR))
        return x != x ? 0 : FAR;
    if (x < -FAR)
        return -FAR;
    int64_t whole = (int64_t)x;
    return whole - (x < (double)whole);
}

/* Where a coordinate falls among n texels: the texel, or of linear filtering the first of two and
 * the weight of the second. */
struct spot {
    int64_t first;
    float weight;
};

static struct spot spot_of(const struct wh_soft_texture *texture, float coordinate, uint32_t n,
                           bool filtered)
{
    double x = texture->normalized ? (double)coordinate * n : (double)coordinate;
    if (!filtered)
        return (struct spot){.first = whole_of(x)};
    int64_t steps = whole_of(x * 256 - 128 + 0.5); /* stays far enough out */
    return (struct spot){.first = steps >> 8, .weight = (float)(steps & 255) / 256.0f};
}

/* ---- cubes. Programming guide, "Cubemap Textures". ---- */

struct face {
    uint32_t face;
    float s, t; /* from -1 to 1 */
};

static struct face face_of(const float v[3])
{
    float x = v[0], y = v[1], z = v[2], ax = fabsf(x), ay = fabsf(y), az = fabsf(z), m, s, t;
    uint32_t face;
    if (ax >= ay && ax >= az) {
        face = x >= 0 ? 0 : 1;
        m = ax;
        s = x >= 0 ? -z : z;
        t = -y;
    } else if (ay >= az) {
        face = y >= 0 ? 2 : 3;
        m = ay;
        s = x;
        t = y >= 0 ? z : -z;
    } else {
        face = z >= 0 ? 4 : 5;
        m = az;
        s = z >= 0 ? x : -x;
        t = -y;
    }
    return (struct face){face, m > 0 ? s / m : 0, m > 0 ? t / m : 0};
}

/* The direction that a place on, or beyond, a face lies in. */
static void direction_of(uint32_t face, float s, float t, float v[3])
{
    const float directions[6][3] = {{1, -t, -s}, {-1, -t, s}, {s, 1, t},
                                    {s, -1, -t}, {s, -t, 1},  {-s, -t, -1}};
    memcpy(v, directions[face], sizeof(directions[face]));
}

/* A texel of a face; beyond its edges the neighbour's, where faces are seamless. */
static void read_face(struct wh_fetch *fetch, const struct wh_soft_level *level, uint32_t layer,
                      uint32_t face, int64_t x, int64_t y, uint32_t texel[4])
{
    int64_t n = level->width;
    if ((x < 0 || y < 0 || x >= n || y >= n) && fetch->texture->seamless) {
        float v[3], half = (float)n / 2;
        direction_of(face, ((float)x + 0.5f) / half - 1, ((float)y + 0.5f) / half - 1, v);
        struct face other = face_of(v);
        face = other.face;
        x = whole_of((double)((other.s + 1) * half));
        y = whole_of((double)((other.t + 1) * half));
    }
    read_texel(fetch, level, (uint32_t)addressed(x, n, WH_SOFT_CLAMP),
               (uint32_t)addressed(y, level->height, WH_SOFT_CLAMP), layer * 6 + face, texel);
}

/* ---- fetches of one level ---- */

static void read_at(struct wh_fetch *fetch, const struct wh_soft_level *level, bool flat,
                    const int64_t at[3], uint32_t layer, uint32_t texel[4])
{
    const struct wh_soft_texture *texture = fetch->texture;
    int64_t x = addressed(at[0], level->width, wrap_of(texture, 0)),
            y = addressed(at[1], level->height, wrap_of(texture, 1)),
            z = flat ? layer : addressed(at[2], level->depth, wrap_of(texture, 2));
    if (x < 0 || y < 0 || z < 0)
        read_border(texture, texel);
    else
        read_texel(fetch, level, (uint32_t)x, (uint32_t)y, (uint32_t)z, texel);
}

static unsigned dimensions_of(enum wh_geometry geometry)
{
    static const uint8_t dimensions[GEOMETRY_COUNT] = {1, 2, 3, 1, 2, 2, 2};
    return dimensions[geometry];
}

static bool is_cube(enum wh_geometry geometry)
{
    return geometry == GEOMETRY_CUBE || geometry == GEOMETRY_LAYERED_CUBE;
}

/* Layers are counted, never filtered; the last one stands for those behind it. */
static uint32_t layer_of(const struct wh_soft_level *level, enum wh_geometry geometry,
                         uint32_t layer)
{
    uint32_t n = is_cube(geometry) ? level->depth / 6 : level->depth;
    if (geometry == GEOMETRY_1D || geometry == GEOMETRY_2D || geometry == GEOMETRY_3D ||
        geometry == GEOMETRY_CUBE || n == 0)
        return 0;
    return layer < n ? layer : (int32_t)layer < 0 ? 0 : n - 1;
}

/* What a fetch of one level works on. */
struct sample {
    struct wh_fetch *fetch;
    const struct wh_soft_level *level;
    bool flat, cube;
    unsigned dimensions;
    uint32_t layer, face;
    struct spot spots[3];
};

static void read_corner(const struct sample *sample, unsigned corner, uint32_t texel[4])
{
    int64_t at[3];
    for (unsigned d = 0; d < 3; d++)
        at[d] = sample->spots[d].first + (corner >> d & 1);
    if (sample->cube && sample->level->depth >= 6)
        read_face(sample->fetch, sample->level, sample->layer, sample->face, at[0], at[1], texel);
    else
        read_at(sample->fetch, sample->level, sample->flat, at, sample->layer, texel);
}

static void set_sample(struct sample *sample, struct wh_fetch *fetch,
                       const struct wh_soft_level *level, enum wh_geometry geometry,
                       const struct wh_coordinates *at, bool filtered)
{
    const uint32_t sizes[3] = {level->width, level->height, level->depth};
    float place[3] = {at->x[0], at->x[1], at->x[2]};
    sample->fetch = fetch;
    sample->level = level;
    sample->flat = geometry != GEOMETRY_3D;
    sample->cube = is_cube(geometry);
    sample->dimensions = dimensions_of(geometry);
    sample->layer = layer_of(level, geometry, at->layer);
    if (sample->cube) {
        struct face face = face_of(at->x);
        sample->face = face.face;
        place[0] = (face.s + 1) / 2;
        place[1] = (face.t + 1) / 2;
    }
    for (unsigned d = 0; d < 3; d++)
        sample->spots[d] = d >= sample->dimensions ? (struct spot){0}
                           : at->whole             ? (struct spot){.first = at->i[d]}
                                       : spot_of(fetch->texture, place[d], sizes[d], filtered);
}

/* The weighted mean of the texels around. */
static void mix(const struct sample *sample, uint32_t texel[4])
{
    float sum[4] = {0};
    for (unsigned corner = 0; corner < 1u << sample->dimensions; corner++) {
        float weight = 1;
        for (unsigned d = 0; d < sample->dimensions; d++)
            weight *= corner >> d & 1 ? sample->spots[d].weight : 1 - sample->spots[d].weight;
        if (weight == 0)
            continue; /* what is not a number there does not count */
        uint32_t part[4];
        read_corner(sample, corner, part);
        for (unsigned i = 0; i < 4; i++)
            sum[i] += weight * wh_float32(part[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        texel[i] = wh_bits32(sum[i]);
}

/* What most fetches are: one texel in one or two dimensions. */
static void read_nearest(struct wh_fetch *fetch, const struct wh_soft_level *level, bool rows,
                         const struct wh_coordinates *at, uint32_t texel[4])
{
    const struct wh_soft_texture *texture = fetch->texture;
    int64_t x = at->i[0], y = rows ? at->i[1] : 0;
    if (!at->whole) {
        x = spot_of(texture, at->x[0], level->width, false).first;
        y = rows ? spot_of(texture, at->x[1], level->height, false).first : 0;
    }
    x = addressed(x, level->width, wrap_of(texture, 0));
    y = addressed(y, level->height, wrap_of(texture, 1));
    if (x < 0 || y < 0)
        read_border(texture, texel);
    else
        read_texel(fetch, level, (uint32_t)x, (uint32_t)y, 0, texel);
}

/* Four around a place in two dimensions. */
static void mix_plane(struct wh_fetch *fetch, const struct wh_soft_level *level,
                      const struct wh_coordinates *at, uint32_t texel[4])
{
    const struct wh_soft_texture *texture = fetch->texture;
    struct spot across = spot_of(texture, at->x[0], level->width, true),
                down = spot_of(texture, at->x[1], level->height, true);
    float sum[4] = {0};
    for (unsigned corner = 0; corner < 4; corner++) {
        float weight = (corner & 1 ? across.weight : 1 - across.weight) *
                       (corner & 2 ? down.weight : 1 - down.weight);
        if (weight == 0)
            continue; /* what is not a number there does not count */
        uint32_t part[4];
        int64_t x = addressed(across.first + (corner & 1), level->width, wrap_of(texture, 0)),
                y = addressed(down.first + (corner >> 1), level->height, wrap_of(texture, 1));
        if (x < 0 || y < 0)
            read_border(texture, part);
        else
            read_texel(fetch, level, (uint32_t)x, (uint32_t)y, 0, part);
        for (unsigned i = 0; i < 4; i++)
            sum[i] += weight * wh_float32(part[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        texel[i] = wh_bits32(sum[i]);
}

static void read_level(struct wh_fetch *fetch, const struct wh_soft_level *level,
                       enum wh_geometry geometry, const struct wh_coordinates *at,
                       uint32_t texel[4])
{
    const struct wh_soft_texture *texture = fetch->texture;
    bool filtered = texture->filtered && !at->whole && as_floats(texture) && !texture->linear;
    struct sample sample;
    if (!filtered && (geometry == GEOMETRY_1D || geometry == GEOMETRY_2D)) {
        read_nearest(fetch, level, geometry == GEOMETRY_2D, at, texel);
        return;
    }
    if (filtered && geometry == GEOMETRY_2D) {
        mix_plane(fetch, level, at, texel);
        return;
    }
    set_sample(&sample, fetch, level, geometry, at, filtered);
    if (filtered)
        mix(&sample, texel);
    else
        read_corner(&sample, 0, texel);
}

/* ---- levels of detail ---- */

void wh_texture_read(struct wh_fetch *fetch, enum wh_geometry geometry,
                     const struct wh_coordinates *at, uint32_t texel[4])
{
    const struct wh_soft_texture *texture = fetch->texture;
    float last = (float)(texture->nlevels - 1);
    if (texture->nlevels == 1) {
        read_level(fetch, &texture->levels[0], geometry, at, texel);
        return;
    }
    float level = at->level == at->level ? at->level + texture->bias : 0;
    level = fminf(fmaxf(level, texture->least_level), texture->most_level);
    level = fminf(fmaxf(level, 0), last);
    if (!texture->filtered_levels || !as_floats(texture)) {
        read_level(fetch, &texture->levels[(unsigned)(level + 0.5f)], geometry, at, texel);
        return;
    }
    unsigned steps = (unsigned)(level * 256 + 0.5f), first = steps >> 8;
    float weight = (float)(steps & 255) / 256.0f;
    uint32_t second[4];
    read_level(fetch, &texture->levels[first], geometry, at, texel);
    if (weight == 0)
        return;
    read_level(fetch, &texture->levels[first + 1], geometry, at, second);
    for (unsigned i = 0; i < 4; i++)
        texel[i] = wh_bits32((1 - weight) * wh_float32(texel[i]) + weight * wh_float32(second[i]));
}

void wh_texture_gather(struct wh_fetch *fetch, enum wh_geometry geometry,
                       const struct wh_coordinates *at, unsigned component, uint32_t texel[4])
{
    static const uint8_t corners[4] = {2, 3, 1, 0};
    struct sample sample;
    set_sample(&sample, fetch, &fetch->texture->levels[0], geometry, at, true);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t whole[4];
        read_corner(&sample, corners[i], whole);
        texel[i] = whole[component];
    }
}

float wh_texture_level(const struct wh_soft_texture *texture, unsigned dimensions,
                       const float dx[3], const float dy[3])
{
    const struct wh_soft_level *base = &texture->levels[0];
    const uint32_t sizes[3] = {base->width, base->height, base->depth};
    float x = 0, y = 0;
    for (unsigned d = 0; d < dimensions; d++) {
        float size = texture->normalized ? (float)sizes[d] : 1;
        x += dx[d] * size * dx[d] * size;
        y += dy[d] * size * dy[d] * size;
    }
    float most = fmaxf(x, y);
    return most > 0 ? log2f(most) / 2 : 0;
}
