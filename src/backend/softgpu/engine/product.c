/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices that a warp holds: mma and wmma.mma. Compiled once per level of processor,
 * as alu.c is; WH_PRODUCT is the name of the handler's pointer. Products of short numbers are exact
 * in single precision, sums are rounded to it, element after element; of f64 each step is one fma.
 */
#include "exec.h"
#include "matrix.h"
#include "number.h"

#include <string.h>

/* ---- what lanes hold, to arrays ---- */

static float from_e4m3(uint32_t bits)
{
    uint32_t exponent = bits >> 3 & 15, fraction = bits & 7;
    float value =
        exponent ? wh_float32((exponent + 120) << 23 | fraction << 20) : (float)fraction * 0x1p-9f;
    if ((bits & 0x7f) == 0x7f)
        value = wh_float32(0x7fffffffu);
    return bits & 0x80 ? -value : value;
}

static inline __attribute__((always_inline)) float float_of(unsigned element, uint32_t word)
{
    switch (element) {
    case ELEMENT_F16:
        return wh_from_half((uint16_t)word);
    case ELEMENT_BF16:
        return wh_from_bf16((uint16_t)word);
    case ELEMENT_TF32:
        return wh_float32(word & 0xffffe000u);
    case ELEMENT_E4M3:
        return from_e4m3(word);
    case ELEMENT_E5M2:
        return wh_from_half((uint16_t)(word << 8));
    default:
        return wh_float32(word);
    }
}

static inline __attribute__((always_inline)) int32_t integer_of(unsigned element, uint32_t word)
{
    switch (element) {
    case ELEMENT_S8:
        return (int8_t)word;
    case ELEMENT_U8:
        return (uint8_t)word;
    case ELEMENT_S4:
        return (int32_t)(word << 28) >> 28;
    case ELEMENT_U4:
        return (int32_t)(word & 15);
    default:
        return (int32_t)word;
    }
}

/* The 32 lanes of one slot: `to` is either the next 32 elements or a place each. */
#define SPREAD(kind, type)                                                                       \
    static inline __attribute__((always_inline)) void kind##s_of(                                \
        unsigned element, const uint32_t *reg, unsigned shift, const uint16_t *places, type *to) \
    {                                                                                            \
        type values[WH_LANES];                                                                   \
        for (unsigned lane = 0; lane < WH_LANES; lane++)                                         \
            values[lane] = kind##_of(element, reg[lane] >> shift);                               \
        if (!places)                                                                             \
            memcpy(to, values, sizeof(values));                                                  \
        else                                                                                     \
            for (unsigned lane = 0; lane < WH_LANES; lane++)                                     \
                to[places[lane]] = values[lane];                                                 \
    }                                                                                            \
    static void unpack_##kind##s(const struct wh_warp *warp, const struct wh_matrix *matrix,     \
                                 unsigned which, type *out)                                      \
    {                                                                                            \
        unsigned bits = wh_element_bits(matrix->element[which]), each = 32 / bits;               \
        unsigned n = wh_matrix_rows(matrix, which) * wh_matrix_columns(matrix, which);           \
        for (unsigned slot = 0; slot < n / WH_LANES; slot++) {                                   \
            const uint32_t *reg = wh_reg(warp, matrix->registers[which][slot / each]);           \
            const uint16_t *places = matrix->places[which];                                      \
            type *to = places ? out : out + slot * WH_LANES;                                     \
            places = places ? places + slot * WH_LANES : NULL;                                   \
            unsigned shift = slot % each * bits;                                                 \
            switch (matrix->element[which]) { /* a loop for each, without a question in it */    \
                CASES(kind)                                                                      \
            }                                                                                    \
        }                                                                                        \
    }
#define CASE(kind, element)                          \
    case element:                                    \
        kind##s_of(element, reg, shift, places, to); \
        break;
#define CASES(kind) CASES_##kind
#define CASES_float           \
    CASE(float, ELEMENT_F16)  \
    CASE(float, ELEMENT_BF16) \
    CASE(float, ELEMENT_TF32) \
    CASE(float, ELEMENT_E4M3) \
    CASE(float, ELEMENT_E5M2) default : float##s_of(ELEMENT_F32, reg, shift, places, to);
#define CASES_integer         \
    CASE(integer, ELEMENT_S8) \
    CASE(integer, ELEMENT_U8) \
    CASE(integer, ELEMENT_S4) \
    CASE(integer, ELEMENT_U4) default : integer##s_of(ELEMENT_S32, reg, shift, places, to);

SPREAD(float, float)
SPREAD(integer, int32_t)

static void unpack_doubles(const struct wh_warp *warp, const struct wh_matrix *matrix,
                           unsigned which, double *out)
{
    unsigned n = wh_matrix_rows(matrix, which) * wh_matrix_columns(matrix, which);
    const uint16_t *places = matrix->places[which];
    for (unsigned i = 0; i < n; i++) {
        const double *reg = wh_reg(warp, matrix->registers[which][i / WH_LANES]);
        out[places ? places[i] : i] = reg[i % WH_LANES];
    }
}

/* ---- arrays to what lanes hold ---- */

static void put_words(struct wh_warp *warp, uint32_t operand, uint32_t mask,
                      const uint32_t words[WH_LANES])
{
    uint32_t *reg = wh_reg(warp, operand);
    for (unsigned lane = 0; lane < WH_LANES; lane++)
        reg[lane] = mask >> lane & 1 ? words[lane] : reg[lane];
}

static void pack_words(struct wh_warp *warp, const struct wh_matrix *matrix, uint32_t mask,
                       const uint32_t *in)
{
    const uint16_t *places = matrix->places[FRAGMENT_D];
    unsigned n = (unsigned)matrix->m * matrix->n;
    for (unsigned slot = 0; slot < n / WH_LANES; slot++) {
        uint32_t words[WH_LANES];
        for (unsigned lane = 0; lane < WH_LANES; lane++) {
            unsigned i = slot * WH_LANES + lane;
            words[lane] = in[places ? places[i] : i];
        }
        put_words(warp, matrix->registers[FRAGMENT_D][slot], mask, words);
    }
}

static void pack_halves(struct wh_warp *warp, const struct wh_matrix *matrix, uint32_t mask,
                        const float *in)
{
    const uint16_t *places = matrix->places[FRAGMENT_D];
    unsigned n = (unsigned)matrix->m * matrix->n;
    for (unsigned slot = 0; slot < n / WH_LANES; slot += 2) {
        uint32_t words[WH_LANES];
        for (unsigned lane = 0; lane < WH_LANES; lane++) {
            unsigned i = slot * WH_LANES + lane, j = i + WH_LANES;
            words[lane] = wh_to_half(in[places ? places[i] : i]) |
                          (uint32_t)wh_to_half(in[places ? places[j] : j]) << 16;
        }
        put_words(warp, matrix->registers[FRAGMENT_D][slot / 2], mask, words);
    }
}

static void pack_doubles(struct wh_warp *warp, const struct wh_matrix *matrix, uint32_t mask,
                         const double *in)
{
    const uint16_t *places = matrix->places[FRAGMENT_D];
    unsigned n = (unsigned)matrix->m * matrix->n;
    for (unsigned i = 0; i < n; i++) {
        double *reg = wh_reg(warp, matrix->registers[FRAGMENT_D][i / WH_LANES]);
        if (mask >> i % WH_LANES & 1)
            reg[i % WH_LANES] = in[places ? places[i] : i];
    }
}

/* ---- products ---- */

#define FLOAT_STEP(x, y, z)   ((x) * (y) + (z))
#define DOUBLE_STEP(x, y, z)  __builtin_fma(x, y, z)
#define INTEGER_STEP(x, y, z) ((int32_t)((uint32_t)(x) * (uint32_t)(y) + (uint32_t)(z)))
#define XOR_STEP(x, y, z)     ((z) + __builtin_popcount((uint32_t)(x) ^ (uint32_t)(y)))
#define AND_STEP(x, y, z)     ((z) + __builtin_popcount((uint32_t)(x) & (uint32_t)(y)))

/* With the width known, the inner loop is a few vectors. */
#define PRODUCT(name, type, STEP)                                                                 \
    static inline __attribute__((always_inline)) void name##_wide(                                \
        const struct wh_matrix *matrix, const type *restrict a, const type *restrict b,           \
        type *restrict c, unsigned width)                                                         \
    {                                                                                             \
        for (unsigned row = 0; row < matrix->m; row++)                                            \
            for (unsigned k = 0; k < matrix->k; k++)                                              \
                for (unsigned column = 0; column < width; column++)                               \
                    c[row * width + column] = STEP(a[row * matrix->k + k], b[k * width + column], \
                                                   c[row * width + column]);                      \
    }                                                                                             \
    static void name(const struct wh_matrix *matrix, const type *a, const type *b, type *c)       \
    {                                                                                             \
        if (matrix->n == 8)                                                                       \
            name##_wide(matrix, a, b, c, 8);                                                      \
        else if (matrix->n == 16)                                                                 \
            name##_wide(matrix, a, b, c, 16);                                                     \
        else                                                                                      \
            name##_wide(matrix, a, b, c, 32);                                                     \
    }
PRODUCT(multiply_floats, float, FLOAT_STEP)
PRODUCT(multiply_doubles, double, DOUBLE_STEP)
PRODUCT(multiply_integers, int32_t, INTEGER_STEP)
PRODUCT(multiply_xor, int32_t, XOR_STEP)
PRODUCT(multiply_and, int32_t, AND_STEP)

static void product_of_floats(struct wh_warp *warp, const struct wh_matrix *matrix, uint32_t mask)
{
    float a[WH_MATRIX_ELEMENTS], b[WH_MATRIX_ELEMENTS], c[WH_MATRIX_ELEMENTS];
    unpack_floats(warp, matrix, FRAGMENT_A, a);
    unpack_floats(warp, matrix, FRAGMENT_B, b);
    unpack_floats(warp, matrix, FRAGMENT_C, c);
    multiply_floats(matrix, a, b, c);
    if (matrix->element[FRAGMENT_D] == ELEMENT_F16) {
        pack_halves(warp, matrix, mask, c);
        return;
    }
    uint32_t words[WH_MATRIX_ELEMENTS];
    memcpy(words, c, (size_t)matrix->m * matrix->n * sizeof(*c));
    pack_words(warp, matrix, mask, words);
}

/* Sums that do not fit stay at the end of their range, or wrap. */
static void saturated(const struct wh_matrix *matrix, const int32_t *a, const int32_t *b,
                      int32_t *c)
{
    for (unsigned row = 0; row < matrix->m; row++)
        for (unsigned column = 0; column < matrix->n; column++) {
            int64_t sum = c[row * matrix->n + column];
            for (unsigned k = 0; k < matrix->k; k++)
                sum += (int64_t)a[row * matrix->k + k] * b[k * matrix->n + column];
            c[row * matrix->n + column] = (int32_t)(sum > INT32_MAX   ? INT32_MAX
                                                    : sum < INT32_MIN ? INT32_MIN
                                                                      : sum);
        }
}

static void product_of_integers(struct wh_warp *warp, const struct wh_matrix *matrix, uint32_t mask)
{
    int32_t a[WH_MATRIX_ELEMENTS], b[WH_MATRIX_ELEMENTS], c[WH_MATRIX_ELEMENTS];
    uint32_t words[WH_MATRIX_ELEMENTS];
    unpack_integers(warp, matrix, FRAGMENT_A, a);
    unpack_integers(warp, matrix, FRAGMENT_B, b);
    unpack_integers(warp, matrix, FRAGMENT_C, c);
    if (matrix->element[FRAGMENT_A] == ELEMENT_B1)
        (matrix->conjunction ? multiply_and : multiply_xor)(matrix, a, b, c);
    else
        (matrix->satfinite ? saturated : multiply_integers)(matrix, a, b, c);
    memcpy(words, c, (size_t)matrix->m * matrix->n * sizeof(*c));
    pack_words(warp, matrix, mask, words);
}

static void product_of_doubles(struct wh_warp *warp, const struct wh_matrix *matrix, uint32_t mask)
{
    double a[WH_MATRIX_ELEMENTS], b[WH_MATRIX_ELEMENTS], c[WH_MATRIX_ELEMENTS];
    unpack_doubles(warp, matrix, FRAGMENT_A, a);
    unpack_doubles(warp, matrix, FRAGMENT_B, b);
    unpack_doubles(warp, matrix, FRAGMENT_C, c);
    multiply_doubles(matrix, a, b, c);
    pack_doubles(warp, matrix, mask, c);
}

static void multiply(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_matrix *matrix = ins->matrix;
    if (!wh_together(warp, UINT32_MAX))
        return;
    switch (matrix->element[FRAGMENT_D]) {
    case ELEMENT_F64:
        product_of_doubles(warp, matrix, mask);
        break;
    case ELEMENT_S32:
        product_of_integers(warp, matrix, mask);
        break;
    default:
        product_of_floats(warp, matrix, mask);
        break;
    }
}

const wh_run WH_PRODUCT = multiply;
