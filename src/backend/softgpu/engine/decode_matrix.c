/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders of wmma, mma and of the tiles that feed it. Called through the table of decode.c.
 */
#include "decode.h"
#include "matrix.h"

static bool shape_of(const struct wh_opcode *op, struct wh_matrix *matrix)
{
    static const struct {
        uint8_t word, m, n;
        uint16_t k;
    } shapes[] = {{M_M16N16K16, 16, 16, 16}, {M_M32N8K16, 32, 8, 16},   {M_M8N32K16, 8, 32, 16},
                  {M_M16N16K8, 16, 16, 8},   {M_M8N8K4, 8, 8, 4},       {M_M8N8K16, 8, 8, 16},
                  {M_M8N8K32, 8, 8, 32},     {M_M8N8K128, 8, 8, 128},   {M_M16N8K4, 16, 8, 4},
                  {M_M16N8K8, 16, 8, 8},     {M_M16N8K16, 16, 8, 16},   {M_M16N8K32, 16, 8, 32},
                  {M_M16N8K64, 16, 8, 64},   {M_M16N8K128, 16, 8, 128}, {M_M16N8K256, 16, 8, 256}};
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (wh_has(op, shapes[i].word)) {
            matrix->m = shapes[i].m;
            matrix->n = shapes[i].n;
            matrix->k = (uint8_t)(shapes[i].k < 128 ? shapes[i].k : shapes[i].k / 32);
            return true;
        }
    return false;
}

static bool has_bits(const struct wh_opcode *op)
{
    return wh_has(op, M_ELEMENT_B1);
}

static unsigned elements(const struct wh_matrix *matrix, unsigned which)
{
    return wh_matrix_rows(matrix, which) * wh_matrix_columns(matrix, which);
}

/* ---- types of elements ---- */

static enum wh_element element_of_type(enum wh_type type)
{
    static const struct {
        uint8_t type, element;
    } types[] = {{T_F16, ELEMENT_F16}, {T_BF16, ELEMENT_BF16}, {T_TF32, ELEMENT_TF32},
                 {T_F32, ELEMENT_F32}, {T_S32, ELEMENT_S32},   {T_S8, ELEMENT_S8},
                 {T_U8, ELEMENT_U8},   {T_F64, ELEMENT_F64}};
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].type == type)
            return (enum wh_element)types[i].element;
    return ELEMENT_NONE;
}

static enum wh_element element_of_word(unsigned word)
{
    return word == M_ELEMENT_S4     ? ELEMENT_S4
           : word == M_ELEMENT_U4   ? ELEMENT_U4
           : word == M_ELEMENT_B1   ? ELEMENT_B1
           : word == M_ELEMENT_E4M3 ? ELEMENT_E4M3
           : word == M_ELEMENT_E5M2 ? ELEMENT_E5M2
                                    : ELEMENT_NONE;
}

/* Types that only matrices have are words. Of a load the one type; of a product those of A and B.
 */
static unsigned word_elements(const struct wh_opcode *op, uint8_t found[2])
{
    unsigned n = 0;
    for (unsigned i = 0; i < op->norder; i++) {
        enum wh_element element = element_of_word(op->order[i]);
        if (element != ELEMENT_NONE && n < 2)
            found[n++] = (uint8_t)element;
    }
    return n;
}

static bool is_factor(unsigned element)
{
    return element != ELEMENT_NONE && element != ELEMENT_F32 && element != ELEMENT_S32;
}

static bool is_sum(unsigned element)
{
    return element == ELEMENT_F16 || element == ELEMENT_F32 || element == ELEMENT_S32 ||
           element == ELEMENT_F64;
}

/* 1: integers, 2: double precision, 0: short and single precision */
static unsigned class_of(unsigned element)
{
    return element == ELEMENT_F64 ? 2 : element >= ELEMENT_S32;
}

/* D, A, B, C of a product. */
static bool product_elements(struct wh_ptx *ptx, struct wh_matrix *matrix)
{
    const struct wh_opcode *op = &ptx->op;
    uint8_t found[2], *e = matrix->element;
    unsigned words = word_elements(op, found), n = op->ntypes;
    if (words == 1 || (words == 2 && n != 2) || (words == 0 && n != 2 && n != 4))
        return false;
    e[FRAGMENT_D] = (uint8_t)element_of_type((enum wh_type)op->types[0]);
    e[FRAGMENT_C] = (uint8_t)element_of_type((enum wh_type)op->types[n - 1]);
    for (unsigned i = 0; i < 2; i++)
        e[FRAGMENT_A + i] = words    ? found[i]
                            : n == 4 ? (uint8_t)element_of_type((enum wh_type)op->types[1 + i])
                                     : ELEMENT_F16;
    unsigned class = class_of(e[FRAGMENT_D]);
    return is_factor(e[FRAGMENT_A]) && is_factor(e[FRAGMENT_B]) && is_sum(e[FRAGMENT_C]) &&
           is_sum(e[FRAGMENT_D]) && class_of(e[FRAGMENT_A]) == class &&
           class_of(e[FRAGMENT_B]) == class && class_of(e[FRAGMENT_C]) == class &&
           wh_element_bits(e[FRAGMENT_A]) == wh_element_bits(e[FRAGMENT_B]) &&
           (e[FRAGMENT_A] == ELEMENT_B1) == (e[FRAGMENT_B] == ELEMENT_B1);
}

/* ---- registers ---- */

/* The registers of a fragment, several elements to a register where they are short: enough of them,
 * or exactly as many as are needed. */
static bool fragment(struct wh_ptx *ptx, struct wh_matrix *matrix, unsigned which, unsigned operand,
                     bool written, bool exactly)
{
    unsigned bits = wh_element_bits(matrix->element[which]), n;
    enum wh_type held = bits == 64 ? T_F64 : T_B32;
    const struct wh_operand *list = wh_ptx_elements(ptx, &ptx->operands[operand], &n);
    unsigned room = bits ? n * (bits == 64 ? 1 : 32 / bits) * WH_LANES : 0,
             need = elements(matrix, which);
    if (n > 16 || room < need || (exactly && room != need) || need > WH_MATRIX_ELEMENTS)
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

static bool multiply(struct wh_ptx *ptx, struct wh_matrix *matrix, bool exactly)
{
    if (!wh_decode_count(ptx, 4, 4) || !product_elements(ptx, matrix) ||
        has_bits(&ptx->op) != (matrix->element[FRAGMENT_A] == ELEMENT_B1))
        return false;
    matrix->satfinite = wh_has(&ptx->op, M_SATFINITE);
    matrix->conjunction = wh_has(&ptx->op, M_AND);
    if (!fragment(ptx, matrix, FRAGMENT_A, 1, false, exactly) ||
        !fragment(ptx, matrix, FRAGMENT_B, 2, false, exactly) ||
        !fragment(ptx, matrix, FRAGMENT_C, 3, false, exactly) ||
        !fragment(ptx, matrix, FRAGMENT_D, 0, true, exactly))
        return false;
    struct wh_ins *ins = wh_ptx_emit(ptx, wh_product_best());
    if (ins)
        ins->matrix = matrix;
    return ins != NULL;
}

/* ---- wmma ---- */

static bool access(struct wh_ptx *ptx, struct wh_matrix *matrix, bool load)
{
    static const uint8_t words[] = {M_FRAGMENT_A, M_FRAGMENT_B, M_FRAGMENT_C, M_FRAGMENT_D};
    struct wh_ins to = {0};
    uint8_t found[2];
    unsigned which = 0, nwords = word_elements(&ptx->op, found);
    while (which < FRAGMENT_COUNT && !wh_has(&ptx->op, words[which]))
        which++;
    if (which == FRAGMENT_COUNT || load == (which == FRAGMENT_D) || ptx->op.ntypes + nwords != 1 ||
        !wh_decode_count(ptx, 2, 3))
        return false;
    matrix->which = (uint8_t)which;
    matrix->element[which] =
        nwords ? found[0] : (uint8_t)element_of_type((enum wh_type)ptx->op.types[0]);
    if (which <= FRAGMENT_B ? !is_factor(matrix->element[which]) : !is_sum(matrix->element[which]))
        return false;
    matrix->row_major = wh_has(&ptx->op, M_GEOMETRY_ROW);
    matrix->stride = ptx->noperands == 3 ? wh_ptx_source(ptx, &ptx->operands[2], T_U32) : WH_NONE;
    if ((ptx->noperands == 3 && matrix->stride == WH_NONE) ||
        !fragment(ptx, matrix, which, load ? 0 : 1, load, false) ||
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

static struct wh_matrix *new_matrix(struct wh_ptx *ptx)
{
    struct wh_matrix *matrix = wh_arena_take(ptx->arena, sizeof(*matrix));
    if (!matrix)
        wh_ptx_no_memory(ptx);
    return matrix && shape_of(&ptx->op, matrix) ? matrix : NULL;
}

bool wh_decode_wmma(struct wh_ptx *ptx, const struct wh_root *root)
{
    struct wh_matrix *matrix = new_matrix(ptx);
    (void)root;
    if (!matrix)
        return false;
    if (wh_has(&ptx->op, M_MMA))
        return multiply(ptx, matrix, false);
    return (wh_has(&ptx->op, M_LOAD) || wh_has(&ptx->op, M_STORE)) &&
           access(ptx, matrix, wh_has(&ptx->op, M_LOAD));
}

/* ---- mma. PTX ISA, "Matrix Fragments for mma": lanes in groups of four. ---- */

/* Where a lane's i-th element is. A and B: a register has a run of elements along k, four lanes
 * beside each other; of A registers then alternate between rows and those eight below. */
static unsigned place_of(const struct wh_matrix *matrix, unsigned which, unsigned i, unsigned lane)
{
    unsigned group = lane / 4, member = lane % 4, bits = wh_element_bits(matrix->element[which]),
             each = bits == 64 ? 1 : 32 / bits, reg = i / each;
    if (which >= FRAGMENT_C)
        return (group + i / 2 * 8) * matrix->n + member * 2 + i % 2;
    bool halves = which == FRAGMENT_A && matrix->m == 16;
    unsigned k = (halves ? reg / 2 : reg) * 4 * each + member * each + i % each;
    if (which == FRAGMENT_B)
        return k * matrix->n + group;
    return (group + (halves ? reg % 2 * 8 : 0)) * matrix->k + k;
}

static bool set_places(struct wh_ptx *ptx, struct wh_matrix *matrix)
{
    for (unsigned which = 0; which < FRAGMENT_COUNT; which++) {
        unsigned n = elements(matrix, which);
        uint16_t *places = wh_arena_take(ptx->arena, n * sizeof(*places));
        if (!places)
            return wh_ptx_no_memory(ptx);
        for (unsigned i = 0; i < n; i++)
            places[i] = (uint16_t)place_of(matrix, which, i / WH_LANES, i % WH_LANES);
        matrix->places[which] = places;
    }
    return true;
}

/* mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 d, a, b, c */
bool wh_decode_mma(struct wh_ptx *ptx, const struct wh_root *root)
{
    struct wh_matrix *matrix = new_matrix(ptx);
    (void)root;
    if (!matrix || !wh_has(&ptx->op, M_GEOMETRY_ROW) || !wh_has(&ptx->op, M_GEOMETRY_COL) ||
        matrix->n != 8 || !multiply(ptx, matrix, true))
        return false;
    unsigned bits = wh_element_bits(matrix->element[FRAGMENT_A]);
    /* m8n8k4 of f16 is four products at once, for processors long gone */
    return matrix->k % (bits == 64 ? 4 : 128 / bits) == 0 && set_places(ptx, matrix);
}

/* ---- ldmatrix, stmatrix, movmatrix ---- */

bool wh_decode_tiles(struct wh_ptx *ptx, const struct wh_root *root)
{
    bool store = root->op;
    unsigned n, said = wh_has(&ptx->op, M_X1)   ? 1
                       : wh_has(&ptx->op, M_X2) ? 2
                       : wh_has(&ptx->op, M_X4) ? 4
                                                : 0;
    const struct wh_operand *list;
    struct wh_ins ins = {.space = (uint8_t)wh_decode_space(ptx)};
    if (!wh_has(&ptx->op, M_M8N8) || wh_decode_type(ptx, 0) != T_B16 || !wh_decode_count(ptx, 2, 2))
        return false;
    list = wh_ptx_elements(ptx, &ptx->operands[store], &n);
    if (n != said)
        return false;
    uint32_t *registers = wh_arena_take(ptx->arena, n * sizeof(*registers));
    if (!registers)
        return wh_ptx_no_memory(ptx);
    for (unsigned i = 0; i < n; i++) {
        registers[i] =
            store ? wh_ptx_source(ptx, &list[i], T_B32) : wh_ptx_target(ptx, &list[i], T_B32);
        if (registers[i] == WH_NONE)
            return false;
    }
    ins.list = registers;
    ins.n = (uint8_t)n;
    if (!wh_decode_address(ptx, store ? 0 : 1, &ins))
        return false;
    ins.flags |= wh_has(&ptx->op, M_TRANS) ? F_MULTI : 0;
    return wh_decode_place(ptx, store ? wh_do_tile_store : wh_do_tile_load, ins);
}

/* movmatrix.sync.aligned.m8n8.trans.b16 d, a */
bool wh_decode_tile_transpose(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type source = T_B32;
    (void)root;
    return wh_has(&ptx->op, M_M8N8) && wh_has(&ptx->op, M_TRANS) &&
           wh_decode_type(ptx, 0) == T_B16 &&
           wh_decode_emit(ptx, wh_do_tile_transpose, T_B32, &source, 1);
}
