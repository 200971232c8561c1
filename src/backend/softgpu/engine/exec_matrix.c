/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wmma: matrices that a warp holds together are loaded, multiplied and stored. Called as handlers,
 * with whole warps: what lanes that are off would hold is undefined.
 */
#include "exec.h"
#include "matrix.h"
#include "number.h"

#include <string.h>

#define ELEMENTS_MAX 512u

static unsigned rows(const struct wh_matrix *matrix, unsigned which)
{
    return which == FRAGMENT_B ? matrix->k : matrix->m;
}

static unsigned columns(const struct wh_matrix *matrix, unsigned which)
{
    return which == FRAGMENT_A ? matrix->k : matrix->n;
}

/* ---- elements in registers: element i is the (i / 32)-th that lane i % 32 holds ---- */

static uint64_t get_element(const struct wh_warp *warp, const struct wh_matrix *matrix,
                            unsigned which, unsigned i)
{
    unsigned size = wh_type_size((enum wh_type)matrix->type[which]), lane = i % WH_LANES,
             slot = i / WH_LANES;
    if (size == 8)
        return wh_get(warp, matrix->registers[which][slot], lane, true);
    unsigned each = 4 / size;
    uint64_t word = wh_get(warp, matrix->registers[which][slot / each], lane, false);
    return word >> (slot % each * size * 8) & ((1ull << size * 8) - 1);
}

static void put_element(struct wh_warp *warp, const struct wh_matrix *matrix, unsigned which,
                        unsigned i, uint64_t value)
{
    unsigned size = wh_type_size((enum wh_type)matrix->type[which]), lane = i % WH_LANES,
             slot = i / WH_LANES;
    if (size == 8) {
        wh_put(warp, matrix->registers[which][slot], lane, true, value);
        return;
    }
    unsigned each = 4 / size, shift = slot % each * size * 8;
    uint32_t place = matrix->registers[which][slot / each];
    uint64_t mask = ((1ull << size * 8) - 1) << shift, word = wh_get(warp, place, lane, false);
    wh_put(warp, place, lane, false, (word & ~mask) | (value << shift & mask));
}

/* ---- memory: a line is a row or a column, whichever lies together ---- */

static uint8_t *line_at(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane,
                        unsigned line, bool write)
{
    const struct wh_matrix *matrix = ins->matrix;
    unsigned size = wh_type_size((enum wh_type)matrix->type[matrix->which]);
    unsigned across = columns(matrix, matrix->which), down = rows(matrix, matrix->which);
    unsigned length = matrix->row_major ? across : down;
    uint64_t stride =
        matrix->stride == WH_NONE ? length : wh_get(warp, matrix->stride, lane, false);
    uint64_t address =
        wh_get(warp, ins->a, lane, ins->flags & F_WIDE_ADDRESS) + (uint64_t)ins->offset;
    return wh_reach(warp, ins, lane, address + line * stride * size, size, (uint64_t)length * size,
                    write);
}

static void move(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask, bool write)
{
    const struct wh_matrix *matrix = ins->matrix;
    unsigned which = matrix->which, across = columns(matrix, which), down = rows(matrix, which);
    unsigned size = wh_type_size((enum wh_type)matrix->type[which]),
             lane = (unsigned)__builtin_ctz(mask);
    unsigned lines = matrix->row_major ? down : across, length = matrix->row_major ? across : down;
    for (unsigned line = 0; line < lines; line++) {
        uint8_t *at = line_at(warp, ins, lane, line, write);
        if (!at)
            return;
        for (unsigned i = 0; i < length; i++, at += size) {
            unsigned element = matrix->row_major ? line * across + i : i * across + line;
            uint64_t value = write ? get_element(warp, matrix, which, element) : 0;
            if (write) {
                memcpy(at, &value, size);
            } else {
                memcpy(&value, at, size);
                put_element(warp, matrix, which, element, value);
            }
        }
    }
}

void wh_do_matrix_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_matrix *matrix = ins->matrix;
    bool wide = matrix->type[matrix->which] == T_F64;
    for (unsigned i = 0; i < matrix->count[matrix->which]; i++)
        WH_EACH_LANE(lane, mask)
    wh_put(warp, matrix->registers[matrix->which][i], lane, wide, 0);
    move(warp, ins, mask, false);
}

void wh_do_matrix_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    move(warp, ins, mask, true);
}

/* ---- products ---- */

static double number_of(enum wh_type type, uint64_t bits)
{
    switch (type) {
    case T_F16:
        return (double)wh_from_half((uint16_t)bits);
    case T_BF16:
        return (double)wh_from_bf16((uint16_t)bits);
    case T_TF32:
        return (double)wh_float32((uint32_t)bits & 0xffffe000u);
    case T_F32:
        return (double)wh_float32((uint32_t)bits);
    case T_S32:
        return (double)(int32_t)bits;
    case T_U8:
        return (double)(uint8_t)bits;
    case T_S8:
        return (double)(int8_t)bits;
    default:
        return wh_float64(bits);
    }
}

static uint64_t bits_of(const struct wh_matrix *matrix, double value)
{
    switch (matrix->type[FRAGMENT_D]) {
    case T_F16:
        return wh_to_half((float)value);
    case T_F32:
        return wh_bits32((float)value);
    case T_S32: /* exact: sums of small products stay below 2^53 */
        if (matrix->satfinite)
            value = value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value;
        return (uint32_t)(int64_t)value;
    default:
        return wh_bits64(value);
    }
}

static void numbers(const struct wh_warp *warp, const struct wh_matrix *matrix, unsigned which,
                    double out[ELEMENTS_MAX])
{
    unsigned n = rows(matrix, which) * columns(matrix, which);
    for (unsigned i = 0; i < n; i++)
        out[i] = number_of((enum wh_type)matrix->type[which], get_element(warp, matrix, which, i));
}

void wh_do_matrix_multiply(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_matrix *matrix = ins->matrix;
    double a[ELEMENTS_MAX], b[ELEMENTS_MAX], c[ELEMENTS_MAX];
    (void)mask;
    numbers(warp, matrix, FRAGMENT_A, a);
    numbers(warp, matrix, FRAGMENT_B, b);
    numbers(warp, matrix, FRAGMENT_C, c);
    for (unsigned row = 0; row < matrix->m; row++)
        for (unsigned k = 0; k < matrix->k; k++)
            for (unsigned column = 0; column < matrix->n; column++)
                c[row * matrix->n + column] = fma(a[row * matrix->k + k], b[k * matrix->n + column],
                                                  c[row * matrix->n + column]);
    for (unsigned i = 0; i < (unsigned)matrix->m * matrix->n; i++)
        put_element(warp, matrix, FRAGMENT_D, i, bits_of(matrix, c[i]));
}
