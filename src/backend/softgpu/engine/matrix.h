/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrices that a warp holds together (wmma). How elements are spread over registers is the
 * implementation's own: element i, row by row, is in lane i % 32. Shared by decoder and handlers.
 */
#ifndef WH_SOFTGPU_MATRIX_H
#define WH_SOFTGPU_MATRIX_H

#include "code.h"

enum wh_fragment { FRAGMENT_A, FRAGMENT_B, FRAGMENT_C, FRAGMENT_D, FRAGMENT_COUNT };

struct wh_matrix {
    uint8_t m, n, k;
    uint8_t which; /* of a load or a store */
    bool row_major, satfinite;
    uint8_t type[FRAGMENT_COUNT], count[FRAGMENT_COUNT]; /* of registers */
    uint32_t *registers[FRAGMENT_COUNT];
    uint32_t stride; /* operand: elements from line to line, or WH_NONE */
};

void wh_do_matrix_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_matrix_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_matrix_multiply(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

#endif
