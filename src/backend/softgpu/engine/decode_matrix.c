/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of wmma. Called through the table of decode.c.
 */
#include "decode.h"
#include "matrix.h"

static bool shape_of(const struct wh_opcode *op, struct wh_matrix *matrix)
{
    static const struct {
        uint8_t word, m, n, k;
    } shapes[] = {{M_M16N16K16, 16, 16, 16},
                  {M_M32N8K16, 32, 8, 16},
                  {M_M8N32K16, 8, 32, 16},
                  {M_M16N16K8, 16, 16, 8},
                  {M_M8N8K4, 8, 8, 4}};
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (wh_has(op, shapes[i].word)) {
            matrix->m = shapes[i].m;
            matrix->n = shapes[i].n;
            matrix->k = shapes[i].k;
            return true;
        }
    return false;
}

static unsigned elements(const struct wh_matrix *matrix, unsigned which)
{
    return which == FRAGMENT_A   ? matrix->m * matrix->k
           : which == FRAGMENT_B ? matrix->k * matrix->n
                                 : matrix->m * matrix->n;
}

static bool element_type(unsigned which, enum wh_type type)
{
    if (which >= FRAGMENT_C)
        return type == T_F16 || type == T_F32 || type == T_S32 || type == T_F64;
    return type == T_F16 || type == T_BF16 || type == T_TF32 || type == T_U8 || type == T_S8 ||
           type == T_F64;
}

/* The registers of a fragment: enough for its elements, several to a register where they are short.
 */
static bool fragment(struct wh_ptx *ptx, struct wh_matrix *matrix, unsigned which, unsigned operand,
                     bool written)
{
    enum wh_type type = (enum wh_type)matrix->type[which], held = type == T_F64 ? T_F64 : T_B32;
    unsigned n;
    const struct wh_operand *list = wh_ptx_elements(ptx, &ptx->operands[operand], &n);
    unsigned size = wh_type_size(type),
             room = n * wh_type_size(held) / (size ? size : 1) * WH_LANES;
    if (!element_type(which, type) || n > 16 || room < elements(matrix, which))
        return false;
    matrix->registers[which] = wh_arena_take(ptx->arena, n * sizeof(uint32_t));
    if (!matrix->registers[which])
        return wh_ptx_no_memory(ptx);
    matrix->count[which] = (uint8_t)n;
    for (unsigned i = 0; i < n; i++) {
        uint32_t place =
            written ? wh_ptx_target(ptx, &list[i], held) : wh_ptx_source(ptx, &list[i], held);
        if (place == WH_NONE)
            return false;
        matrix->registers[which][i] = place;
    }
    return true;
}

static bool multiply(struct wh_ptx *ptx, struct wh_matrix *matrix)
{
    bool all = ptx->op.ntypes == 4;
    if (!wh_decode_count(ptx, 4, 4) || (ptx->op.ntypes != 2 && !all))
        return false;
    matrix->type[FRAGMENT_D] = ptx->op.types[0];
    matrix->type[FRAGMENT_A] = all ? ptx->op.types[1] : T_F16;
    matrix->type[FRAGMENT_B] = all ? ptx->op.types[2] : T_F16;
    matrix->type[FRAGMENT_C] = ptx->op.types[all ? 3 : 1];
    matrix->satfinite = wh_has(&ptx->op, M_SATFINITE);
    if (!fragment(ptx, matrix, FRAGMENT_A, 1, false) ||
        !fragment(ptx, matrix, FRAGMENT_B, 2, false) ||
        !fragment(ptx, matrix, FRAGMENT_C, 3, false) || !fragment(ptx, matrix, FRAGMENT_D, 0, true))
        return false;
    struct wh_ins *ins = wh_ptx_emit(ptx, wh_do_matrix_multiply);
    if (ins)
        ins->matrix = matrix;
    return ins != NULL;
}

static bool access(struct wh_ptx *ptx, struct wh_matrix *matrix, bool load)
{
    static const uint8_t words[] = {M_FRAGMENT_A, M_FRAGMENT_B, M_FRAGMENT_C, M_FRAGMENT_D};
    struct wh_ins to = {0};
    unsigned which = 0;
    while (which < FRAGMENT_COUNT && !wh_has(&ptx->op, words[which]))
        which++;
    if (which == FRAGMENT_COUNT || ptx->op.ntypes != 1 || !wh_decode_count(ptx, 2, 3))
        return false;
    matrix->which = (uint8_t)which;
    matrix->type[which] = ptx->op.types[0];
    matrix->row_major = wh_has(&ptx->op, M_GEOMETRY_ROW);
    matrix->stride = ptx->noperands == 3 ? wh_ptx_source(ptx, &ptx->operands[2], T_U32) : WH_NONE;
    if ((ptx->noperands == 3 && matrix->stride == WH_NONE) ||
        !fragment(ptx, matrix, which, load ? 0 : 1, load) ||
        !wh_decode_address(ptx, load ? 1 : 0, &to))
        return false;
    struct wh_ins *ins = wh_ptx_emit(ptx, load ? wh_do_matrix_load : wh_do_matrix_store);
    if (!ins)
        return false;
    ins->a = to.a;
    ins->flags = to.flags;
    ins->offset = to.offset;
    ins->space = (uint8_t)wh_decode_space(ptx);
    ins->matrix = matrix;
    return true;
}

bool wh_decode_wmma(struct wh_ptx *ptx, const struct wh_root *root)
{
    struct wh_matrix *matrix = wh_arena_take(ptx->arena, sizeof(*matrix));
    (void)root;
    if (!matrix)
        return wh_ptx_no_memory(ptx);
    if (!shape_of(&ptx->op, matrix))
        return false;
    if (wh_has(&ptx->op, M_MMA))
        return multiply(ptx, matrix);
    return (wh_has(&ptx->op, M_LOAD) || wh_has(&ptx->op, M_STORE)) &&
           access(ptx, matrix, wh_has(&ptx->op, M_LOAD));
}
