/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrices that a warp holds together: loading and storing them. Called as handlers, with whole
 * warps: what lanes that are off would hold is undefined. Products are product.c's.
 */
#include "exec.h"
#include "matrix.h"

#include <string.h>

/* ---- wmma.load, wmma.store: a line is a row or a column, whichever lies together ---- */

static unsigned line_bytes(const struct wh_matrix *matrix, uint64_t elements)
{
    return (unsigned)(elements * wh_element_bits(matrix->element[matrix->which]) / 8);
}

static uint8_t *line_at(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane,
                        unsigned line, unsigned length, bool write)
{
    const struct wh_matrix *matrix = ins->matrix;
    unsigned bits = wh_element_bits(matrix->element[matrix->which]),
             bytes = bits < 8 ? 1 : bits / 8;
    uint64_t stride =
        matrix->stride == WH_NONE ? length : wh_get(warp, matrix->stride, lane, false);
    if (matrix->element[matrix->which] == ELEMENT_B1 && matrix->stride != WH_NONE)
        stride /= 32;
    uint64_t address =
        wh_get(warp, ins->a, lane, ins->flags & F_WIDE_ADDRESS) + (uint64_t)ins->offset;
    return wh_reach(warp, ins, lane, address + line * stride * bits / 8, bytes,
                    line_bytes(matrix, length), write);
}

/* ---- elements of a whole matrix, as bits ---- */

union elements {
    uint32_t words[WH_MATRIX_ELEMENTS];
    uint64_t wide[WH_MATRIX_ELEMENTS];
};

/* `step`: from one element of a line to the next one's place in the matrix. */
static void take_line(const uint8_t *at, unsigned bits, unsigned length, unsigned first,
                      unsigned step, union elements *all)
{
    const uint16_t *shorts = (const void *)at;
    const uint32_t *words = (const void *)at;
    const uint64_t *wide = (const void *)at;
    for (unsigned i = 0; i < length; i++, first += step)
        if (bits == 16)
            all->words[first] = shorts[i];
        else if (bits == 32)
            all->words[first] = words[i];
        else if (bits == 64)
            all->wide[first] = wide[i];
        else
            all->words[first] = (uint32_t)(bits == 8 ? at[i] : at[i / 2] >> i % 2 * 4 & 15);
}

static void give_line(uint8_t *at, unsigned bits, unsigned length, unsigned first, unsigned step,
                      const union elements *all)
{
    for (unsigned i = 0; i < length; i++, first += step)
        if (bits == 16)
            ((uint16_t *)(void *)at)[i] = (uint16_t)all->words[first];
        else if (bits == 32)
            ((uint32_t *)(void *)at)[i] = all->words[first];
        else
            ((uint64_t *)(void *)at)[i] = all->wide[first];
}

/* Registers hold elements in the order of the matrix: 32 for the lanes, then the next 32. */
static void to_registers(struct wh_warp *warp, const struct wh_matrix *matrix, uint32_t mask,
                         const union elements *all)
{
    unsigned which = matrix->which, bits = wh_element_bits(matrix->element[which]),
             each = bits < 32 ? 32 / bits : 1,
             n = wh_matrix_rows(matrix, which) * wh_matrix_columns(matrix, which);
    for (unsigned i = 0; i < matrix->count[which]; i++) {
        uint64_t words[WH_LANES] = {0};
        for (unsigned k = 0; k < each && (i * each + k) * WH_LANES < n; k++)
            for (unsigned lane = 0; lane < WH_LANES; lane++) {
                unsigned element = (i * each + k) * WH_LANES + lane;
                words[lane] |=
                    bits == 64 ? all->wide[element] : (uint64_t)all->words[element] << k * bits;
            }
        WH_EACH_LANE(lane, mask)
        wh_put(warp, matrix->registers[which][i], lane, bits == 64, words[lane]);
    }
}

static void from_registers(const struct wh_warp *warp, const struct wh_matrix *matrix,
                           union elements *all)
{
    unsigned which = matrix->which, bits = wh_element_bits(matrix->element[which]),
             each = bits < 32 ? 32 / bits : 1,
             n = wh_matrix_rows(matrix, which) * wh_matrix_columns(matrix, which);
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = i / WH_LANES;
        uint64_t word =
            wh_get(warp, matrix->registers[which][slot / each], i % WH_LANES, bits == 64);
        if (bits == 64)
            all->wide[i] = word;
        else
            all->words[i] = (uint32_t)(word >> slot % each * bits);
    }
}

static bool move(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask, bool write,
                 union elements *all)
{
    const struct wh_matrix *matrix = ins->matrix;
    unsigned which = matrix->which, across = wh_matrix_columns(matrix, which),
             down = wh_matrix_rows(matrix, which), bits = wh_element_bits(matrix->element[which]);
    unsigned lines = matrix->row_major ? down : across, length = matrix->row_major ? across : down,
             lane = (unsigned)__builtin_ctz(mask);
    for (unsigned line = 0; line < lines; line++) {
        uint8_t *at = line_at(warp, ins, lane, line, length, write);
        unsigned first = matrix->row_major ? line * across : line,
                 step = matrix->row_major ? 1 : across;
        if (!at)
            return false;
        if (write)
            give_line(at, bits, length, first, step, all);
        else
            take_line(at, bits, length, first, step, all);
    }
    return true;
}

void wh_do_matrix_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    union elements all;
    if (wh_together(warp, UINT32_MAX) && move(warp, ins, mask, false, &all))
        to_registers(warp, ins->matrix, mask, &all);
}

void wh_do_matrix_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    union elements all;
    if (!wh_together(warp, UINT32_MAX))
        return;
    from_registers(warp, ins->matrix, &all);
    move(warp, ins, mask, true, &all);
}

/* ---- ldmatrix, stmatrix: tiles of 8 by 8 shorts; a lane names a row of one of them ---- */

static uint8_t *row_at(struct wh_warp *warp, const struct wh_ins *ins, unsigned tile, unsigned row,
                       bool write)
{
    unsigned lane = tile * 8 + row;
    uint64_t address =
        wh_get(warp, ins->a, lane, ins->flags & F_WIDE_ADDRESS) + (uint64_t)ins->offset;
    if (!(ins->flags & F_WIDE_ADDRESS))
        address = (uint32_t)address;
    return wh_reach(warp, ins, lane, address, 16, 16, write);
}

void wh_do_tile_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint16_t tile[8][8];
    if (!wh_together(warp, UINT32_MAX))
        return;
    uint32_t words[4][WH_LANES]; /* the address may be in a register that is written */
    for (unsigned i = 0; i < ins->n; i++) {
        for (unsigned row = 0; row < 8; row++) {
            const uint8_t *at = row_at(warp, ins, i, row, false);
            if (!at)
                return;
            memcpy(tile[row], at, 16);
        }
        for (unsigned lane = 0; lane < WH_LANES; lane++) {
            unsigned row = lane / 4, column = lane % 4 * 2;
            words[i][lane] = ins->flags & F_MULTI
                                 ? tile[column][row] | (uint32_t)tile[column + 1][row] << 16
                                 : tile[row][column] | (uint32_t)tile[row][column + 1] << 16;
        }
    }
    for (unsigned i = 0; i < ins->n; i++)
        WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->list[i], lane, false, words[i][lane]);
}

static void gather_tile(const struct wh_warp *warp, uint32_t operand, bool transposed,
                        uint16_t tile[8][8])
{
    for (unsigned lane = 0; lane < WH_LANES; lane++) {
        uint32_t word = (uint32_t)wh_get(warp, operand, lane, false);
        unsigned row = lane / 4, column = lane % 4 * 2;
        *(transposed ? &tile[column][row] : &tile[row][column]) = (uint16_t)word;
        *(transposed ? &tile[column + 1][row] : &tile[row][column + 1]) = (uint16_t)(word >> 16);
    }
}

void wh_do_tile_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint16_t tile[8][8];
    (void)mask;
    if (!wh_together(warp, UINT32_MAX))
        return;
    for (unsigned i = 0; i < ins->n; i++) {
        gather_tile(warp, ins->list[i], ins->flags & F_MULTI, tile);
        for (unsigned row = 0; row < 8; row++) {
            uint8_t *at = row_at(warp, ins, i, row, true);
            if (!at)
                return;
            memcpy(at, tile[row], 16);
        }
    }
}

void wh_do_tile_transpose(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint16_t tile[8][8];
    if (!wh_together(warp, UINT32_MAX))
        return;
    gather_tile(warp, ins->a, true, tile);
    WH_EACH_LANE(lane, mask)
    {
        unsigned row = lane / 4, column = lane % 4 * 2;
        wh_put(warp, ins->d, lane, false,
               tile[row][column] | (uint32_t)tile[row][column + 1] << 16);
    }
}
