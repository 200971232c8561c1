/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small numbers: f16 and bf16 as bit patterns, flushing of denormals, saturation. Used by the
 * handlers of arithmetic and by conversions. Written without branches where lanes are many.
 */
#ifndef WH_SOFTGPU_NUMBER_H
#define WH_SOFTGPU_NUMBER_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t wh_bits32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline float wh_float32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline uint64_t wh_bits64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline double wh_float64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Denormals become zeros of their sign. */
static inline float wh_flush(float value)
{
    uint32_t bits = wh_bits32(value);
    return wh_float32((bits & 0x7f800000u) ? bits : bits & 0x80000000u);
}

/* Into [0, 1]; NaN becomes 0. */
static inline float wh_saturate(float value)
{
    return value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f;
}

static inline double wh_saturate64(double value)
{
    return value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0;
}

static inline float wh_canonical(float value)
{
    return value != value ? wh_float32(0x7fffffffu) : value;
}

static inline float wh_from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7fffu;
    uint32_t normal = (rest << 13) + 0x38000000u;
    float small = (float)(int32_t)rest * 0x1p-24f;
    uint32_t special = (rest << 13) | 0x7f800000u;
    uint32_t bits = rest >= 0x7c00u ? special : rest >= 0x0400u ? normal : wh_bits32(small);
    return wh_float32(bits | sign);
}

/* To nearest, ties to even. */
static inline uint16_t wh_to_half(float value)
{
    uint32_t bits = wh_bits32(value), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    uint32_t normal = (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1)) >> 13;
    /* Adding a number whose last place is that of the denormals lets the adder round. */
    uint32_t small = wh_bits32(wh_float32(rest) + 0.5f) - 0x3f000000u;
    uint32_t half = rest > 0x7f800000u    ? 0x7fffu
                    : rest >= 0x47800000u ? 0x7c00u
                    : rest >= 0x38800000u ? normal
                                          : small;
    return (uint16_t)(half | (half == 0x7fffu ? 0 : sign));
}

static inline float wh_from_bf16(uint16_t value)
{
    return wh_float32((uint32_t)value << 16);
}

static inline uint16_t wh_to_bf16(float value)
{
    uint32_t bits = wh_bits32(value);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
}

/* x * y + z of short numbers, such that rounding it once more to a short one gives what rounding
 * once would. */
static inline float wh_fma_odd(float x, float y, float z)
{
    double product = (double)x * (double)y, addend = (double)z, sum = product + addend;
    double back = sum - product, error = (product - (sum - back)) + (addend - back);
    uint64_t bits = wh_bits64(sum);
    /* Inexact: make the last bit odd, so that it stays between. */
    if (error != 0.0 && error == error && !(bits & 1))
        bits = (error > 0.0) == (sum > 0.0) ? bits + 1 : bits - 1;
    sum = wh_float64(bits);
    /* The same from double to float. */
    float narrow = (float)sum;
    double rest = sum - (double)narrow;
    uint32_t short_bits = wh_bits32(narrow);
    if (rest != 0.0 && rest == rest && !(short_bits & 1) &&
        (short_bits & 0x7f800000u) != 0x7f800000u)
        short_bits = (rest > 0.0) == (sum > 0.0) ? short_bits + 1 : short_bits - 1;
    return wh_float32(short_bits);
}

#endif
