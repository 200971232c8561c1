/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point as words, by its bits; for generated code on either side. */
#ifndef WH_WIRE_WORD_H
#define WH_WIRE_WORD_H

#include <stdint.h>

static inline uint64_t wh_word_from_float(float value)
{
    union {
        float value;
        uint32_t bits;
    } u = {.value = value};
    return u.bits;
}

static inline uint64_t wh_word_from_double(double value)
{
    union {
        double value;
        uint64_t bits;
    } u = {.value = value};
    return u.bits;
}

static inline float wh_float_from_word(uint64_t word)
{
    union {
        uint32_t bits;
        float value;
    } u = {.bits = (uint32_t)word};
    return u.value;
}

static inline double wh_double_from_word(uint64_t word)
{
    union {
        uint64_t bits;
        double value;
    } u = {.bits = word};
    return u.value;
}

#endif
