/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrices that a warp holds together (wmma, mma). Where elements are: of mma as PTX says; of wmma
 * it is the implementation's own matter: element i, row by row, is in lane i % 32. Shared by
 * decoder and handlers.
 */
#ifndef WH_SOFTGPU_MATRIX_H
#define WH_SOFTGPU_MATRIX_H

#include "code.h"

enum wh_fragment { FRAGMENT_A, FRAGMENT_B, FRAGMENT_C, FRAGMENT_D, FRAGMENT_COUNT };

enum wh_element {
    ELEMENT_NONE,
    ELEMENT_F16,
    ELEMENT_BF16,
    ELEMENT_TF32,
    ELEMENT_F32,
    ELEMENT_E4M3,
    ELEMENT_E5M2,
    ELEMENT_S32,
    ELEMENT_S8,
    ELEMENT_U8,
    ELEMENT_S4,
    ELEMENT_U4,
    ELEMENT_B1, /* 32 of them are one element here */
    ELEMENT_F64
};

struct wh_matrix {
    uint8_t m, n, k;
    uint8_t which;                                          /* of a load or a store */
    bool row_major, satfinite, conjunction;                 /* of single bits: and, else xor */
    uint8_t element[FRAGMENT_COUNT], count[FRAGMENT_COUNT]; /* of registers */
    uint32_t *registers[FRAGMENT_COUNT];
    /* The element of the matrix that is the i-th of a lane, at [i * 32 + lane]; NULL: wmma's. */
    const uint16_t *places[FRAGMENT_COUNT];
    uint32_t stride; /* operand: elements from line to line, or WH_NONE */
};

#define WH_MATRIX_ELEMENTS 1024u /* of one fragment at most */

static inline unsigned wh_element_bits(unsigned element)
{
    static const uint8_t bits[] = {0, 16, 16, 32, 32, 8, 8, 32, 8, 8, 4, 4, 32, 64};
    return bits[element];
}

static inline unsigned wh_matrix_rows(const struct wh_matrix *matrix, unsigned which)
{
    return which == FRAGMENT_B ? matrix->k : matrix->m;
}

static inline unsigned wh_matrix_columns(const struct wh_matrix *matrix, unsigned which)
{
    return which == FRAGMENT_A ? matrix->k : matrix->n;
}

void wh_do_matrix_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_matrix_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
/* ldmatrix and stmatrix: n registers in `list`, flags F_MULTI: transposed. */
void wh_do_tile_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_tile_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_tile_transpose(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

/* Products (product.c), a handler per level of processor. */
extern const wh_run wh_product_baseline, wh_product_v3, wh_product_v4;
wh_run wh_product_best(void);

#endif
