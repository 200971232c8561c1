/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handlers of arithmetic, made from alu.def: loops over the lanes of a warp that the compiler
 * turns into vector code. Compiled once per level of processor, as WH_ALU_TABLE. Called through the
 * table only. No lane may trap, whatever its numbers: lanes that are switched off are computed too.
 */
#include "alu.h"
#include "exec.h"
#include "number.h"

#include <math.h>
#include <stdint.h>

#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wfloat-conversion"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wfloat-equal"

#define NAN_F32 wh_float32(0x7fffffffu)

/* ---- helpers of alu.def ---- */

static inline int32_t low24(int32_t x)
{
    return (int32_t)((uint32_t)x << 8) >> 8;
}

static inline int32_t clamp32(int64_t x)
{
    return (int32_t)(x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x);
}

static inline uint32_t find32(int32_t x)
{
    uint32_t bits = (uint32_t)(x < 0 ? ~x : x);
    return bits ? 31u - (uint32_t)__builtin_clz(bits) : UINT32_MAX;
}

static inline uint32_t find64(int64_t x)
{
    uint64_t bits = (uint64_t)(x < 0 ? ~x : x);
    return bits ? 63u - (uint32_t)__builtin_clzll(bits) : UINT32_MAX;
}

static inline uint32_t find_nth(uint32_t mask, uint32_t base, int32_t offset)
{
    if (offset == 0)
        return base < 32 && (mask >> base & 1) ? base : UINT32_MAX;
    int step = offset > 0 ? 1 : -1;
    uint32_t left = offset > 0 ? (uint32_t)offset : 0u - (uint32_t)offset;
    for (int64_t at = base & 31; at >= 0 && at < 32; at += step)
        if ((mask >> at & 1) && --left == 0)
            return (uint32_t)at;
    return UINT32_MAX;
}

static inline uint32_t reverse32(uint32_t x)
{
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}

static inline uint32_t extract32(uint32_t x, uint32_t at, uint32_t n)
{
    at &= 255;
    n &= 255;
    uint64_t field = at > 31 ? 0 : x >> at;
    return (uint32_t)(n > 31 ? field : field & ((1ull << n) - 1));
}

static inline uint64_t extract64(uint64_t x, uint32_t at, uint32_t n)
{
    at &= 255;
    n &= 255;
    uint64_t field = at > 63 ? 0 : x >> at;
    return n > 63 ? field : field & ((1ull << n) - 1);
}

/* What lies past the top, and above the field, is the sign: of the field, or of the number where
 * the field reaches past. */
static inline int64_t extract64_signed(int64_t x, uint32_t at, uint32_t n)
{
    at &= 255;
    n &= 255;
    if (n == 0)
        return 0;
    if (at > 63)
        return x >> 63;
    int64_t field = x >> at;
    return n > 63 - at ? field : (int64_t)((uint64_t)field << (64 - n)) >> (64 - n);
}

static inline int32_t extract32_signed(int32_t x, uint32_t at, uint32_t n)
{
    at &= 255;
    n &= 255;
    if (n == 0)
        return 0;
    if (at > 31)
        return x >> 31;
    int32_t field = x >> at;
    return n > 31 - at ? field : (int32_t)((uint32_t)field << (32 - n)) >> (32 - n);
}

static inline uint32_t insert32(uint32_t x, uint32_t y, uint32_t at, uint32_t n)
{
    at &= 255;
    n &= 255;
    uint64_t mask = at > 31 ? 0 : ((n > 31 ? UINT32_MAX : (1ull << n) - 1) << at);
    return (uint32_t)((y & ~mask) | (at > 31 ? 0 : ((uint64_t)x << at) & mask));
}

static inline uint64_t insert64(uint64_t x, uint64_t y, uint32_t at, uint32_t n)
{
    at &= 255;
    n &= 255;
    uint64_t mask = at > 63 ? 0 : ((n > 63 ? UINT64_MAX : (1ull << n) - 1) << at);
    return (y & ~mask) | (at > 63 ? 0 : (x << at) & mask);
}

static inline uint32_t mask_bits(uint32_t at, uint32_t n)
{
    if (at > 31)
        return 0;
    return (uint32_t)((n > 31 ? UINT32_MAX : (1ull << n) - 1) << at);
}

static inline uint32_t permute(uint32_t x, uint32_t y, uint32_t selector)
{
    uint64_t bytes = (uint64_t)y << 32 | x;
    uint32_t result = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t pick = selector >> (i * 4) & 15,
                 byte = (uint32_t)(bytes >> ((pick & 7) * 8)) & 255;
        if (pick & 8)
            byte = byte & 128 ? 255 : 0;
        result |= byte << (i * 8);
    }
    return result;
}

static inline uint32_t backward4(uint32_t n)
{
    static const uint16_t selectors[] = {0x5670, 0x6701, 0x7012, 0x0123};
    return selectors[n];
}

static inline uint32_t edge_left(uint32_t n)
{
    static const uint16_t selectors[] = {0x3210, 0x3211, 0x3222, 0x3333};
    return selectors[n];
}

static inline uint32_t edge_right(uint32_t n)
{
    static const uint16_t selectors[] = {0x0000, 0x1110, 0x2210, 0x3210};
    return selectors[n];
}

static inline uint32_t lop3(uint32_t x, uint32_t y, uint32_t z, uint32_t table)
{
    uint32_t result = 0;
    result |= table & 0x01 ? ~x & ~y & ~z : 0;
    result |= table & 0x02 ? ~x & ~y & z : 0;
    result |= table & 0x04 ? ~x & y & ~z : 0;
    result |= table & 0x08 ? ~x & y & z : 0;
    result |= table & 0x10 ? x & ~y & ~z : 0;
    result |= table & 0x20 ? x & ~y & z : 0;
    result |= table & 0x40 ? x & y & ~z : 0;
    result |= table & 0x80 ? x & y & z : 0;
    return result;
}

static inline uint64_t join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

static inline uint32_t dot4(uint32_t x, uint32_t y, bool x_signed, bool y_signed)
{
    int32_t sum = 0;
    for (unsigned i = 0; i < 32; i += 8) {
        int32_t a = x_signed ? (int8_t)(x >> i) : (uint8_t)(x >> i);
        int32_t b = y_signed ? (int8_t)(y >> i) : (uint8_t)(y >> i);
        sum += a * b;
    }
    return (uint32_t)sum;
}

static inline uint32_t dot2(uint32_t x, uint32_t y, bool x_signed, bool y_signed)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < 2; i++) {
        int32_t a = x_signed ? (int16_t)(x >> (i * 16)) : (uint16_t)(x >> (i * 16));
        int32_t b = y_signed ? (int8_t)(y >> (i * 8)) : (uint8_t)(y >> (i * 8));
        sum += (uint32_t)(a * b);
    }
    return sum;
}

static inline float relu(float x)
{
    return x > 0.0f || x != x ? x : 0.0f;
}

/* A NaN yields to a number; -0 is less than +0. */
static inline float minimum(float x, float y)
{
    uint32_t both = wh_bits32(x) | wh_bits32(y);
    float less = x == y ? wh_float32(x == 0.0f ? both : wh_bits32(x)) : x < y ? x : y;
    return x != x ? (y != y ? NAN_F32 : y) : y != y ? x : less;
}

static inline float maximum(float x, float y)
{
    uint32_t both = wh_bits32(x) & wh_bits32(y);
    float more = x == y ? wh_float32(x == 0.0f ? both : wh_bits32(x)) : x > y ? x : y;
    return x != x ? (y != y ? NAN_F32 : y) : y != y ? x : more;
}

static inline double minimum64(double x, double y)
{
    uint64_t both = wh_bits64(x) | wh_bits64(y);
    double less = x == y ? wh_float64(x == 0.0 ? both : wh_bits64(x)) : x < y ? x : y;
    return x != x ? (y != y ? wh_float64(0x7ff8000000000000u) : y) : y != y ? x : less;
}

static inline double maximum64(double x, double y)
{
    uint64_t both = wh_bits64(x) & wh_bits64(y);
    double more = x == y ? wh_float64(x == 0.0 ? both : wh_bits64(x)) : x > y ? x : y;
    return x != x ? (y != y ? wh_float64(0x7ff8000000000000u) : y) : y != y ? x : more;
}

static inline double flush64(double value)
{
    uint64_t bits = wh_bits64(value);
    return wh_float64(bits & 0x7ff0000000000000u ? bits : bits & 0x8000000000000000u);
}

/* As hardware does: so many turns that a float of them has no fraction are none. */
static inline float sine(float x)
{
    return isinf(x) ? NAN_F32 : fabsf(x) >= 0x1p26f ? copysignf(0.0f, x) : (float)sin((double)x);
}

static inline float cosine(float x)
{
    return isinf(x) ? NAN_F32 : fabsf(x) >= 0x1p26f ? 1.0f : (float)cos((double)x);
}

static inline float flush_short(float value, float least)
{
    return value < least && value > -least ? copysignf(0.0f, value) : value;
}

/* ---- how registers hold the types: storage, value, in, out ---- */

#define STORE_u16        uint32_t
#define STORE_s16        uint32_t
#define STORE_u32        uint32_t
#define STORE_s32        uint32_t
#define STORE_u64        uint64_t
#define STORE_s64        uint64_t
#define STORE_f32        uint32_t
#define STORE_f32ftz     uint32_t
#define STORE_f32any     uint32_t
#define STORE_f64        uint64_t
#define STORE_f16        uint32_t
#define STORE_bf16       uint32_t
#define STORE_f16ftz     uint32_t
#define STORE_bf16ftz    uint32_t
#define STORE_f32sat     uint32_t
#define STORE_f32ftzsat  uint32_t
#define IN_u16(v)        ((uint16_t)(v))
#define IN_s16(v)        ((int16_t)(v))
#define IN_u32(v)        (v)
#define IN_s32(v)        ((int32_t)(v))
#define IN_u64(v)        (v)
#define IN_s64(v)        ((int64_t)(v))
#define IN_f32(v)        wh_float32(v)
#define IN_f32ftz(v)     wh_flush(wh_float32(v))
#define IN_f64(v)        wh_float64(v)
#define IN_f16(v)        wh_from_half((uint16_t)(v))
#define IN_bf16(v)       wh_from_bf16((uint16_t)(v))
#define IN_f16ftz(v)     flush_short(wh_from_half((uint16_t)(v)), 0x1p-14f)
#define IN_bf16ftz(v)    wh_flush(wh_from_bf16((uint16_t)(v)))
#define OUT_u16(v)       ((uint16_t)(v))
#define OUT_s16(v)       ((uint32_t)(int32_t)(int16_t)(v))
#define OUT_u32(v)       ((uint32_t)(v))
#define OUT_s32(v)       ((uint32_t)(v))
#define OUT_u64(v)       ((uint64_t)(v))
#define OUT_s64(v)       ((uint64_t)(v))
#define OUT_f32(v)       wh_bits32(wh_canonical(v))
#define OUT_f32any(v)    wh_bits32((float)(v))
#define OUT_f32ftz(v)    wh_bits32(wh_flush(wh_canonical(v)))
#define OUT_f32sat(v)    wh_bits32(wh_saturate(v))
#define OUT_f32ftzsat(v) wh_bits32(wh_flush(wh_saturate(v)))
#define OUT_f64(v)       wh_bits64(v)
#define OUT_f16(v)       wh_to_half(v)
#define OUT_bf16(v)      wh_to_bf16(v)
#define OUT_f16ftz(v)    wh_to_half(flush_short(v, 0x1p-14f))
#define OUT_bf16ftz(v)   wh_to_bf16(wh_flush(v))

#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed" /* a hint; sanitizers cannot follow it */
#define VECTOR _Pragma("clang loop vectorize(assume_safety)")
#else
#define VECTOR _Pragma("GCC ivdep")
#endif

/* Lanes that are off keep what they had; with all lanes on there is nothing to keep. */
#define LANES(value)                                                               \
    if (mask == UINT32_MAX) {                                                      \
        VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) d[lane] = (value); \
    } else {                                                                       \
        VECTOR for (unsigned lane = 0; lane < WH_LANES; lane++) d[lane] =          \
            (mask >> lane & 1) ? (value) : d[lane];                                \
    }

#define ALU4(op, entry, D, A, B, C, E, expr)                                                \
    static inline STORE_##D value_##op##_##entry(STORE_##A a, STORE_##B b, STORE_##C c,     \
                                                 STORE_##E e, int64_t table)                \
    {                                                                                       \
        const __auto_type x = IN_##A(a);                                                    \
        const __auto_type y = IN_##B(b);                                                    \
        const __auto_type z = IN_##C(c);                                                    \
        const __auto_type w = IN_##E(e);                                                    \
        return OUT_##D(expr);                                                               \
    }                                                                                       \
    static void op##_##entry(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask) \
    {                                                                                       \
        STORE_##D *d = wh_reg(warp, ins->d);                                                \
        const STORE_##A *a = wh_reg(warp, ins->a);                                          \
        const STORE_##B *b = wh_reg(warp, ins->b);                                          \
        const STORE_##C *c = wh_reg(warp, ins->c);                                          \
        const STORE_##E *e = wh_reg(warp, ins->e);                                          \
        int64_t table = ins->imm;                                                           \
        LANES(value_##op##_##entry(a[lane], b[lane], c[lane], e[lane], table))              \
    }
#define ALU(op, entry, D, A, B, C, expr) ALU4(op, entry, D, A, B, C, u32, expr)
#define WRAP(op, bits, T, expr)          ALU(op, U##bits, T, T, T, T, expr)
#define WRAPB(op, bits, D, A, B, expr)   ALU(op, U##bits, D, A, B, B, expr)

/* Both halves of a 32-bit register. */
#define PAIR(op, entry, T, expr)                                                                  \
    static inline uint16_t half_##op##_##entry(uint16_t a, uint16_t b, uint16_t c)                \
    {                                                                                             \
        const __auto_type x = IN_##T(a);                                                          \
        const __auto_type y = IN_##T(b);                                                          \
        const __auto_type z = IN_##T(c);                                                          \
        return (uint16_t)OUT_##T(expr);                                                           \
    }                                                                                             \
    static void op##_##entry(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)       \
    {                                                                                             \
        uint32_t *d = wh_reg(warp, ins->d);                                                       \
        const uint32_t *a = wh_reg(warp, ins->a), *b = wh_reg(warp, ins->b),                      \
                       *c = wh_reg(warp, ins->c);                                                 \
        LANES((uint32_t)half_##op##_##entry((uint16_t)(a[lane] >> 16), (uint16_t)(b[lane] >> 16), \
                                            (uint16_t)(c[lane] >> 16))                            \
                  << 16 |                                                                         \
              half_##op##_##entry((uint16_t)a[lane], (uint16_t)b[lane], (uint16_t)c[lane]))       \
    }

#define PICK(op, bits, T)                                                                      \
    static void op##_B##bits(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)    \
    {                                                                                          \
        STORE_##T *d = wh_reg(warp, ins->d);                                                   \
        const STORE_##T *a = wh_reg(warp, ins->a), *b = wh_reg(warp, ins->b);                  \
        uint32_t pick = wh_predicate(warp, ins->c) ^ (ins->flags & F_NEGATE ? UINT32_MAX : 0); \
        LANES((pick >> lane & 1) ? a[lane] : b[lane])                                          \
    }

/* Functions of the C library: only for the lanes that are on. */
#define SLOW(op, entry, D, A, expr)                                                         \
    static void op##_##entry(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask) \
    {                                                                                       \
        STORE_##D *d = wh_reg(warp, ins->d);                                                \
        const STORE_##A *a = wh_reg(warp, ins->a);                                          \
        WH_EACH_LANE(lane, mask)                                                            \
        {                                                                                   \
            const __auto_type x = IN_##A(a[lane]);                                          \
            d[lane] = OUT_##D(expr);                                                        \
        }                                                                                   \
    }
#define SLOWPAIR(op, entry, T, expr)                                                        \
    static inline uint16_t half_##op##_##entry(uint16_t a)                                  \
    {                                                                                       \
        const __auto_type x = IN_##T(a);                                                    \
        return (uint16_t)OUT_##T(expr);                                                     \
    }                                                                                       \
    static void op##_##entry(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask) \
    {                                                                                       \
        uint32_t *d = wh_reg(warp, ins->d);                                                 \
        const uint32_t *a = wh_reg(warp, ins->a);                                           \
        WH_EACH_LANE(lane, mask)                                                            \
        d[lane] = (uint32_t)half_##op##_##entry((uint16_t)(a[lane] >> 16)) << 16 |          \
                  half_##op##_##entry((uint16_t)a[lane]);                                   \
    }

#define COMPARE(cmp, entry, T, expr)                                              \
    static uint32_t cmp##_##entry(struct wh_warp *warp, const struct wh_ins *ins) \
    {                                                                             \
        const STORE_##T *a = wh_reg(warp, ins->a), *b = wh_reg(warp, ins->b);     \
        uint32_t result = 0;                                                      \
        for (unsigned lane = 0; lane < WH_LANES; lane++) {                        \
            const __auto_type x = IN_##T(a[lane]);                                \
            const __auto_type y = IN_##T(b[lane]);                                \
            result |= (uint32_t)((expr) ? 1 : 0) << lane;                         \
        }                                                                         \
        return result;                                                            \
    }

#define CONVERT(to, from, D, A)                                                       \
    static void convert_##to##_##from(struct wh_warp *warp, const struct wh_ins *ins, \
                                      uint32_t mask)                                  \
    {                                                                                 \
        STORE_##D *d = wh_reg(warp, ins->d);                                          \
        const STORE_##A *a = wh_reg(warp, ins->a);                                    \
        LANES(OUT_##D(IN_##A(a[lane])))                                               \
    }

#include "alu.def"

/* ---- the table ---- */

#undef ALU
#undef ALU4
#undef WRAP
#undef WRAPB
#undef PAIR
#undef PICK
#undef SLOW
#undef SLOWPAIR
#undef COMPARE
#undef CONVERT
#undef INT3
#undef SIGN6
#undef FLOAT4
#undef FLOAT2
#undef SHORT
#undef SHORT_FTZ
#undef MATH
#undef COMPARE_INT
#undef COMPARE_FLOAT
#define ALU(op, entry, D, A, B, C, expr)     .run[OP_##op][T_##entry] = op##_##entry,
#define ALU4(op, entry, D, A, B, C, E, expr) .run[OP_##op][T_##entry] = op##_##entry,
#define WRAP(op, bits, T, expr)                                                       \
    .run[OP_##op][T_U##bits] = op##_U##bits, .run[OP_##op][T_S##bits] = op##_U##bits, \
    .run[OP_##op][T_B##bits] = op##_U##bits,
#define WRAPB(op, bits, D, A, B, expr) \
    .run[OP_##op][T_U##bits] = op##_U##bits, .run[OP_##op][T_B##bits] = op##_U##bits,
#define PAIR(op, entry, T, expr)     .run[OP_##op][T_##entry] = op##_##entry,
#define PICK(op, bits, T)            .run[OP_##op][T_B##bits] = op##_B##bits,
#define SLOW(op, entry, D, A, expr)  .run[OP_##op][T_##entry] = op##_##entry,
#define SLOWPAIR(op, entry, T, expr) .run[OP_##op][T_##entry] = op##_##entry,
#define COMPARE(cmp, entry, T, expr) .compare[CMP_##cmp][T_##entry] = cmp##_##entry,
#define CONVERT(to, from, D, A)      .convert[T_##to][T_##from] = convert_##to##_##from,

const struct wh_alu WH_ALU_TABLE = {
#include "alu.def"
};
