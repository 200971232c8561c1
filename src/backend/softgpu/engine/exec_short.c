/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic on the parts of a word; conversions of floats of 8 bits. PTX ISA, "SIMD Video
 * Instructions" and "cvt". Called as handlers.
 */
#include "exec.h"
#include "number.h"
#include "scalar.h"
#include "short.h"

static inline int32_t part_of(uint32_t word, unsigned i, unsigned n, enum wh_type type)
{
    unsigned bits = 32 / n, shift = 32 - bits * (i + 1);
    return type == T_S32 ? (int32_t)(word << shift) >> (32 - bits)
                         : (int32_t)(word << shift >> (32 - bits));
}

static bool holds(unsigned comparison, int32_t a, int32_t b)
{
    switch (comparison) { /* in the order of wh_decode_video */
    case 0:
        return a == b;
    case 1:
        return a != b;
    case 2:
        return a < b;
    case 3:
        return a <= b;
    case 4:
        return a > b;
    default:
        return a >= b;
    }
}

static inline int32_t part_result(const struct wh_ins *ins, int32_t a, int32_t b)
{
    int32_t sum = a + b;
    switch (ins->sub) {
    case VIDEO_ADD:
        return sum;
    case VIDEO_SUB:
        return a - b;
    case VIDEO_DIFFERENCE:
        return a < b ? b - a : a - b;
    case VIDEO_MIN:
        return a < b ? a : b;
    case VIDEO_MAX:
        return a < b ? b : a;
    case VIDEO_AVERAGE:
        return (sum + (sum >= 0)) >> 1;
    default:
        return holds(ins->order, a, b);
    }
}

/* Into the range of a part, or what is left of it there. */
static inline int32_t fitted(const struct wh_ins *ins, unsigned n, int32_t value)
{
    unsigned bits = 32u / n;
    bool is_signed = ins->flags & F_SIGNED;
    int32_t most = (int32_t)((1u << (is_signed ? bits - 1 : bits)) - 1),
            least = is_signed ? -most - 1 : 0;
    if (ins->flags & F_SAT)
        return value > most ? most : value < least ? least : value;
    uint32_t kept = (uint32_t)value << (32 - bits);
    return is_signed ? (int32_t)kept >> (32 - bits) : (int32_t)(kept >> (32 - bits));
}

static inline __attribute__((always_inline)) void video(struct wh_warp *warp,
                                                        const struct wh_ins *ins, uint32_t mask,
                                                        unsigned n)
{
    WH_EACH_LANE(lane, mask)
    {
        uint32_t a = (uint32_t)wh_get(warp, ins->a, lane, false),
                 b = (uint32_t)wh_get(warp, ins->b, lane, false), word = 0,
                 sum = (uint32_t)wh_get(warp, ins->c, lane, false);
        for (unsigned i = 0; i < n; i++) {
            int32_t part = fitted(ins, n,
                                  part_result(ins, part_of(a, i, n, (enum wh_type)ins->type),
                                              part_of(b, i, n, (enum wh_type)ins->type2)));
            unsigned bits = 32u / n;
            word |= ((uint32_t)part & ((1u << bits) - 1)) << i * bits;
            sum += (uint32_t)part;
        }
        wh_put(warp, ins->d, lane, false, ins->flags & F_MULTI ? sum : word);
    }
}

void wh_do_video(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    if (ins->n == 4)
        video(warp, ins, mask, 4);
    else
        video(warp, ins, mask, 2);
}

/* ---- floats of 8 bits ---- */

struct tiny {
    int digits, least; /* of the fraction, the hidden one counted; the least exponent */
    double most;
};

static const struct tiny *tiny_of(enum wh_type type)
{
    static const struct tiny e4m3 = {4, -6, 448.0}, e5m2 = {3, -14, 57344.0};
    return type == T_E4M3X2 ? &e4m3 : &e5m2;
}

/* To nearest; what is too large becomes the largest. */
static uint32_t tiny_bits(const struct tiny *tiny, double value, bool relu)
{
    if (value != value)
        return 0x7f;
    if (relu && !(value > 0.0))
        return 0;
    uint32_t sign = signbit(value) ? 0x80 : 0;
    double size = fabs(value);
    size = size > tiny->most
               ? tiny->most
               : fmin(wh_narrow_to(size, tiny->digits, tiny->least, INFINITY, ROUND_NEAREST),
                      tiny->most);
    int fraction_bits = tiny->digits - 1, exponent;
    if (size < ldexp(1.0, tiny->least)) /* no hidden digit */
        return sign | (uint32_t)ldexp(size, fraction_bits - tiny->least);
    exponent = ilogb(size);
    uint32_t fraction =
        (uint32_t)ldexp(size, fraction_bits - exponent) & ((1u << fraction_bits) - 1);
    return sign | (uint32_t)(exponent - tiny->least + 1) << fraction_bits | fraction;
}

static uint16_t half_of_tiny(enum wh_type type, uint32_t bits)
{
    if (type == T_E5M2X2)
        return (bits & 0x7f) > 0x7c ? 0x7fff : (uint16_t)(bits << 8);
    uint32_t exponent = bits >> 3 & 15, fraction = bits & 7;
    if ((bits & 0x7f) == 0x7f)
        return 0x7fff;
    double size = exponent ? ldexp(1.0 + fraction / 8.0, (int)exponent - 7) : ldexp(fraction, -9);
    return (uint16_t)(wh_to_half((float)size) | (bits & 0x80) << 8);
}

void wh_do_convert_tiny(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    enum wh_type target = (enum wh_type)ins->type, source = (enum wh_type)ins->type2;
    bool relu = ins->flags & F_MULTI;
    WH_EACH_LANE(lane, mask)
    {
        uint32_t a = (uint32_t)wh_get(warp, ins->a, lane, false), result;
        if (target == T_F16X2) {
            uint16_t high = half_of_tiny(source, a >> 8 & 0xff),
                     low = half_of_tiny(source, a & 0xff);
            high = relu && high >> 15 ? 0 : high;
            low = relu && low >> 15 ? 0 : low;
            result = (uint32_t)high << 16 | low;
        } else {
            double high = source == T_F32 ? (double)wh_float32(a)
                                          : (double)wh_from_half((uint16_t)(a >> 16)),
                   low = source == T_F32
                             ? (double)wh_float32((uint32_t)wh_get(warp, ins->b, lane, false))
                             : (double)wh_from_half((uint16_t)a);
            result =
                tiny_bits(tiny_of(target), high, relu) << 8 | tiny_bits(tiny_of(target), low, relu);
        }
        wh_put(warp, ins->d, lane, false, result);
    }
}
