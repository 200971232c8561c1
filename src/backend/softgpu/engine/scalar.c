/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of arithmetic that is done lane by lane: carries, predicates, packing, conversions; see
 * scalar.h. Directed rounding is in round.c, which is compiled with the compiler knowing of
 * rounding modes.
 */
#include "scalar.h"
#include "exec.h"
#include "number.h"

#include <math.h>

#pragma GCC diagnostic ignored "-Wfloat-equal"

/* ---- carries ---- */

static uint64_t carry_product(const struct wh_ins *ins, uint64_t x, uint64_t y)
{
    bool high = ins->sub == CARRY_MADHI, is_signed = ins->flags & F_SIGNED;
    if (ins->type == T_U64) {
        if (!high)
            return x * y;
        return is_signed ? (uint64_t)((__int128)(int64_t)x * (int64_t)y >> 64)
                         : (uint64_t)((unsigned __int128)x * y >> 64);
    }
    if (!high)
        return (uint32_t)(x * y);
    return is_signed ? (uint32_t)((int64_t)(int32_t)x * (int32_t)y >> 32)
                     : (uint32_t)((uint64_t)(uint32_t)x * (uint32_t)y >> 32);
}

void wh_do_carry(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    bool wide = ins->type == T_U64;
    unsigned bits = wide ? 64 : 32;
    WH_EACH_LANE(lane, mask)
    {
        uint64_t x = wh_get(warp, ins->a, lane, wide), y = wh_get(warp, ins->b, lane, wide);
        unsigned in = ins->n ? warp->carry >> lane & 1 : ins->sub == CARRY_SUB;
        uint64_t ones = wide ? UINT64_MAX : UINT32_MAX;
        if (ins->sub >= CARRY_MADLO) {
            x = carry_product(ins, x, y);
            y = wh_get(warp, ins->c, lane, wide);
        }
        /* As hardware has it: a difference is a sum with the complement, and leaves a carry where
         * nothing was borrowed. */
        unsigned __int128 sum = (unsigned __int128)x + (ins->sub == CARRY_SUB ? ~y & ones : y) + in;
        wh_put(warp, ins->d, lane, wide, (uint64_t)sum);
        if (ins->flags & F_CARRY)
            warp->carry = (warp->carry & ~(1u << lane)) | (uint32_t)(sum >> bits & 1) << lane;
    }
}

/* ---- predicates ---- */

static uint32_t combine(unsigned how, uint32_t x, uint32_t y)
{
    switch (how) {
    case LOGIC_AND:
        return x & y;
    case LOGIC_OR:
        return x | y;
    case LOGIC_XOR:
        return x ^ y;
    default:
        return x;
    }
}

static uint32_t third(const struct wh_warp *warp, const struct wh_ins *ins)
{
    if (ins->sub == LOGIC_NONE)
        return 0;
    return wh_predicate(warp, ins->c) ^ (ins->flags & F_NEGATE ? UINT32_MAX : 0);
}

void wh_do_setp(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t result = wh_compare_lanes(warp, ins), c = third(warp, ins);
    wh_set_predicate(warp, ins->d, mask, combine(ins->sub, result, c));
    if (ins->target != WH_NONE)
        wh_set_predicate(warp, ins->target, mask, combine(ins->sub, ~result, c));
}

/* Compares the upper halves: as the lower ones of registers that are shifted for the while. */
static uint32_t compare_upper(struct wh_warp *warp, const struct wh_ins *ins)
{
    uint32_t halves[2][WH_LANES] __attribute__((aligned(64)));
    for (unsigned lane = 0; lane < WH_LANES; lane++) {
        halves[0][lane] = (uint32_t)wh_get(warp, ins->a, lane, false) >> 16;
        halves[1][lane] = (uint32_t)wh_get(warp, ins->b, lane, false) >> 16;
    }
    uint8_t *saved = warp->base[3];
    struct wh_ins upper = *ins;
    warp->base[3] = (uint8_t *)halves;
    upper.a = 3;
    upper.b = sizeof(halves[0]) | 3;
    uint32_t result = ins->compare(warp, &upper);
    warp->base[3] = saved;
    return result;
}

void wh_do_setp_pair(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t low = ins->compare(warp, ins), high = compare_upper(warp, ins), c = third(warp, ins);
    wh_set_predicate(warp, ins->d, mask, combine(ins->sub, low, c));
    if (ins->target != WH_NONE)
        wh_set_predicate(warp, ins->target, mask, combine(ins->sub, high, c));
}

static uint32_t true_of(unsigned type)
{
    switch (type) {
    case T_F32:
        return 0x3f800000u;
    case T_F16:
    case T_F16X2:
        return 0x3c00u;
    case T_BF16:
    case T_BF16X2:
        return 0x3f80u;
    case T_U16:
    case T_S16:
        return 0xffffu;
    default:
        return UINT32_MAX;
    }
}

void wh_do_set(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t c = third(warp, ins), low = combine(ins->sub, wh_compare_lanes(warp, ins), c),
             yes = true_of(ins->type);
    uint32_t high = ins->n ? combine(ins->sub, compare_upper(warp, ins), c) : 0;
    if (ins->n)
        yes = yes == UINT32_MAX ? 0xffffu : yes;
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, false,
           (low >> lane & 1 ? yes : 0) | (high >> lane & 1 ? yes << 16 : 0));
}

void wh_do_logic(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t x = wh_predicate(warp, ins->a) ^ (ins->n ? UINT32_MAX : 0);
    if (ins->sub == LOGIC_NOT || ins->sub == LOGIC_MOV) {
        wh_set_predicate(warp, ins->d, mask, ins->sub == LOGIC_NOT ? ~x : x);
        return;
    }
    uint32_t y = wh_predicate(warp, ins->b) ^ (ins->flags & F_NEGATE ? UINT32_MAX : 0);
    wh_set_predicate(warp, ins->d, mask, combine(ins->sub, x, y));
}

static bool test(unsigned kind, int class)
{
    switch (kind) {
    case 0:
        return class != FP_NAN && class != FP_INFINITE;
    case 1:
        return class == FP_INFINITE;
    case 2:
        return class != FP_NAN;
    case 3:
        return class == FP_NAN;
    case 4:
        return class == FP_NORMAL || class == FP_ZERO;
    default:
        return class == FP_SUBNORMAL;
    }
}

void wh_do_testp(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint32_t result = 0;
    WH_EACH_LANE(lane, mask)
    {
        uint64_t bits = wh_get(warp, ins->a, lane, ins->type == T_F64);
        int class = ins->type == T_F64 ? fpclassify(wh_float64(bits))
                                       : fpclassify(wh_float32((uint32_t)bits));
        result |= (uint32_t)test(ins->sub, class) << lane;
    }
    wh_set_predicate(warp, ins->d, mask, result);
}

/* ---- vectors in one register ---- */

void wh_do_pack(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    unsigned bits = 8 * wh_type_size((enum wh_type)ins->type);
    WH_EACH_LANE(lane, mask)
    {
        uint64_t value = 0;
        for (unsigned i = 0; i < ins->n; i++)
            value |= (wh_get(warp, ins->list[i], lane, false) & ((1ull << bits) - 1)) << (i * bits);
        wh_put(warp, ins->d, lane, ins->flags & F_WIDE_ADDRESS, value);
    }
}

void wh_do_unpack(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    unsigned bits = 8 * wh_type_size((enum wh_type)ins->type);
    WH_EACH_LANE(lane, mask)
    {
        uint64_t value = wh_get(warp, ins->a, lane, ins->flags & F_WIDE_ADDRESS);
        for (unsigned i = 0; i < ins->n; i++)
            wh_put(warp, ins->list[i], lane, false, value >> (i * bits) & ((1ull << bits) - 1));
    }
}

/* ---- conversions ---- */

/* A number on its way: an integer of 65 bits' worth, or a float. */
struct number {
    bool is_float, negative; /* negative: the integer is signed and below 0 */
    uint64_t integer;
    double value;
};

static struct number read_number(enum wh_type type, uint64_t bits, bool flush)
{
    struct number number = {.is_float = wh_type_float(type)};
    unsigned size = wh_type_size(type);
    switch (type) {
    case T_F64:
        number.value = wh_float64(bits);
        return number;
    case T_F32:
        number.value =
            (double)(flush ? wh_flush(wh_float32((uint32_t)bits)) : wh_float32((uint32_t)bits));
        return number;
    case T_F16:
        number.value = (double)wh_from_half((uint16_t)bits);
        return number;
    case T_BF16:
        number.value = (double)wh_from_bf16((uint16_t)bits);
        return number;
    default:
        break;
    }
    if (wh_type_signed(type))
        number.integer = (uint64_t)((int64_t)(bits << (64 - size * 8)) >> (64 - size * 8));
    else
        number.integer = size == 8 ? bits : bits & ((1ull << size * 8) - 1);
    number.negative = wh_type_signed(type) && (int64_t)number.integer < 0;
    return number;
}

static double round_integral(double value, enum wh_rounding rounding)
{
    switch (rounding) {
    case ROUND_ZERO:
        return trunc(value);
    case ROUND_DOWN:
        return floor(value);
    case ROUND_UP:
        return ceil(value);
    default:
        return rint(value);
    }
}

/* Out of range becomes the nearest there is. NaN becomes 0, or the top bit where 64 bits are at
 * either end, as in hardware. */
static uint64_t float_to_integer(double value, bool from_double, enum wh_type type,
                                 enum wh_rounding rounding)
{
    unsigned bits = wh_type_size(type) * 8;
    if (value != value)
        return bits == 64 || from_double ? 1ull << (bits - 1) : 0;
    value = round_integral(value, rounding);
    if (wh_type_signed(type)) {
        double top = ldexp(1.0, (int)bits - 1);
        if (value >= top)
            return (1ull << (bits - 1)) - 1;
        if (value < -top)
            return 0 - (1ull << (bits - 1));
        return (uint64_t)(int64_t)value;
    }
    if (value <= 0)
        return 0;
    if (value >= ldexp(1.0, (int)bits))
        return bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
    return (uint64_t)value;
}

static uint64_t clamp_integer(const struct number *number, enum wh_type type)
{
    unsigned bits = wh_type_size(type) * 8;
    if (wh_type_signed(type)) {
        int64_t top = (int64_t)((1ull << (bits - 1)) - 1);
        if (number->negative)
            return (uint64_t)((int64_t)number->integer < -top - 1 ? -top - 1
                                                                  : (int64_t)number->integer);
        return number->integer > (uint64_t)top ? (uint64_t)top : number->integer;
    }
    uint64_t top = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
    return number->negative ? 0 : number->integer > top ? top : number->integer;
}

/* An integer as a double that rounds to a shorter float as the integer itself would. */
static double integer_value(const struct number *number, enum wh_rounding rounding, bool to_double)
{
    uint64_t size = number->negative ? 0 - number->integer : number->integer;
    int shift = size >> 53 ? 11 - __builtin_clzll(size) : 0;
    uint64_t kept = size >> shift, rest = size & ((1ull << shift) - 1),
             half = shift ? 1ull << (shift - 1) : 0;
    bool away = to_double && ((rounding == ROUND_UP && !number->negative) ||
                              (rounding == ROUND_DOWN && number->negative));
    if (!to_double)
        kept |= rest != 0; /* sticky */
    else if (rounding == ROUND_NEAREST)
        kept += rest > half || (half && rest == half && (kept & 1));
    else
        kept += away && rest != 0;
    double value = ldexp((double)kept, shift);
    return number->negative ? -value : value;
}

double wh_narrow_to(double value, int digits, int least, double most, enum wh_rounding rounding)
{
    if (value != value || isinf(value) || value == 0.0)
        return value;
    int exponent = ilogb(value);
    int unit = (exponent < least ? least : exponent) - digits + 1;
    double scaled = ldexp(value, -unit), whole = rounding == ROUND_NEAREST_AWAY
                                                     ? round(scaled)
                                                     : round_integral(scaled, rounding);
    double result = copysign(ldexp(whole, unit), value);
    if (fabs(result) <= most)
        return result;
    bool stays = rounding == ROUND_ZERO || (rounding == ROUND_DOWN && value > 0) ||
                 (rounding == ROUND_UP && value < 0);
    return copysign(stays ? most : INFINITY, value);
}

float wh_narrow(double value, enum wh_rounding rounding)
{
    return (float)wh_narrow_to(value, 24, -126, 0x1.fffffep127, rounding);
}

static uint64_t write_short(const struct wh_ins *ins, double value, enum wh_type type)
{
    bool half = type == T_F16;
    double most = half ? 65504.0 : 0x1.fep127;
    enum wh_rounding rounding = (enum wh_rounding)ins->order;
    value = half ? wh_narrow_to(value, 11, -14, most, rounding)
                 : wh_narrow_to(value, 8, -126, most, rounding);
    if (ins->flags & F_MULTI)
        value = value > 0 || value != value ? value : 0.0;
    if (ins->flags & F_SAT && ins->space & CONVERT_PAIR)
        value = value > most ? most : value < -most ? -most : value;
    else if (ins->flags & F_SAT)
        value = wh_saturate64(value);
    if (value != value && ins->type2 == T_F64 && half && !(ins->flags & F_SAT))
        return (wh_bits64(value) >> 48 & 0x8000u) | 0x7e00u | (wh_bits64(value) >> 42 & 0x3ffu);
    return half ? wh_to_half((float)value) : wh_to_bf16((float)value);
}

/* NaN from these keeps the bits that it has room for. */
static bool keeps_nan(const struct wh_ins *ins)
{
    return ins->type2 == T_F64 || ins->type2 == T_BF16;
}

static uint64_t write_float(const struct wh_ins *ins, double value, enum wh_type type)
{
    if (ins->space & CONVERT_TO_INTEGER)
        value = round_integral(value, (enum wh_rounding)ins->order);
    bool saturate = ins->flags & F_SAT;
    switch (type) {
    case T_F64:
        return wh_bits64(saturate ? wh_saturate64(value) : value);
    case T_TF32: {
        uint32_t bits = wh_bits32(
            (float)wh_narrow_to(value, 11, -126, 0x1.ffcp127, (enum wh_rounding)ins->order));
        bits &= 0xffffe000u; /* of NaN */
        return ins->flags & F_MULTI && value < 0 ? 0 : bits;
    }
    case T_F32: {
        float result = wh_narrow(
            value, ins->space & CONVERT_TO_INTEGER ? ROUND_NEAREST : (enum wh_rounding)ins->order);
        result = saturate ? wh_saturate(result) : keeps_nan(ins) ? result : wh_canonical(result);
        return wh_bits32(ins->flags & F_FTZ ? wh_flush(result) : result);
    }
    default:
        return write_short(ins, value, type);
    }
}

static uint64_t convert(const struct wh_ins *ins, uint64_t bits)
{
    enum wh_type target = (enum wh_type)ins->type;
    struct number number = read_number((enum wh_type)ins->type2, bits, ins->flags & F_FTZ);
    enum wh_rounding rounding = (enum wh_rounding)ins->order;
    if (wh_type_integer(target)) {
        if (number.is_float)
            return float_to_integer(number.value, ins->type2 == T_F64, target, rounding);
        return ins->flags & F_SAT ? clamp_integer(&number, target) : number.integer;
    }
    if (!number.is_float)
        number.value = integer_value(&number, rounding, target == T_F64);
    return write_float(ins, number.value, target);
}

/* A narrow integer fills its register as its sign says. */
static uint64_t extend(enum wh_type type, uint64_t bits)
{
    unsigned size = wh_type_size(type);
    if (!wh_type_integer(type) || size == 8)
        return bits;
    bits <<= 64 - size * 8;
    return wh_type_signed(type) ? (uint64_t)((int64_t)bits >> (64 - size * 8))
                                : bits >> (64 - size * 8);
}

void wh_do_convert(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    {
        uint64_t bits = wh_get(warp, ins->a, lane, ins->space & CONVERT_SOURCE_WIDE), result;
        if (ins->space & CONVERT_PAIR)
            result = convert(ins, bits) << 16 |
                     (convert(ins, wh_get(warp, ins->b, lane, false)) & 0xffff);
        else
            result = extend((enum wh_type)ins->type, convert(ins, bits));
        wh_put(warp, ins->d, lane, ins->space & CONVERT_TARGET_WIDE, result);
    }
}
