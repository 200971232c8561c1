/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders of comparisons, selections, moves and conversions. Called through the table of decode.c.
 */
#include "decode.h"
#include "scalar.h"

static struct wh_ins *last(struct wh_ptx *ptx)
{
    return &ptx->function->code[ptx->function->ncode - 1];
}

/* ---- comparisons ---- */

static bool compare_of(const struct wh_opcode *op, enum wh_compare *compare)
{
    static const struct {
        uint8_t word, compare;
    } words[] = {{M_EQ, CMP_EQ},   {M_NE, CMP_NE},          {M_LT, CMP_LT},   {M_LE, CMP_LE},
                 {M_GT, CMP_GT},   {M_GE, CMP_GE},          {M_LO, CMP_LT},   {M_LS, CMP_LE},
                 {M_HI, CMP_GT},   {M_HS, CMP_GE},          {M_EQU, CMP_EQU}, {M_NEU, CMP_NEU},
                 {M_LTU, CMP_LTU}, {M_LEU, CMP_LEU},        {M_GTU, CMP_GTU}, {M_GEU, CMP_GEU},
                 {M_NUM, CMP_NUM}, {M_ISNAN, CMP_UNORDERED}};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (wh_has(op, words[i].word)) {
            *compare = (enum wh_compare)words[i].compare;
            return true;
        }
    return false;
}

static uint8_t combine_of(const struct wh_opcode *op)
{
    return wh_has(op, M_AND)   ? LOGIC_AND
           : wh_has(op, M_OR)  ? LOGIC_OR
           : wh_has(op, M_XOR) ? LOGIC_XOR
                               : LOGIC_NONE;
}

/* Bits compare as unsigned numbers do; .ftz of f32 has its own entry. */
static enum wh_type entry_of(const struct wh_opcode *op, enum wh_type type)
{
    switch (type) {
    case T_B16:
        return T_U16;
    case T_B32:
        return T_U32;
    case T_B64:
        return T_U64;
    case T_F32:
        return wh_has(op, M_FTZ) ? T_TF32 : T_F32;
    case T_F16X2:
        return T_F16;
    case T_BF16X2:
        return T_BF16;
    default:
        return type;
    }
}

/* The operands of setp and set behind the target: a, b and perhaps a predicate. */
static bool emit_compare(struct wh_ptx *ptx, wh_run run, uint32_t d, enum wh_type type)
{
    enum wh_compare compare;
    if (!compare_of(&ptx->op, &compare))
        return false;
    wh_compare function = wh_alu_best()->compare[compare][entry_of(&ptx->op, type)];
    uint8_t combine = combine_of(&ptx->op);
    if (!function || !wh_decode_count(ptx, combine ? 4 : 3, combine ? 4 : 3))
        return false;
    uint32_t a = wh_ptx_source(ptx, &ptx->operands[1], type),
             b = wh_ptx_source(ptx, &ptx->operands[2], type);
    uint32_t c = combine ? wh_ptx_source(ptx, &ptx->operands[3], T_PRED) : 0;
    struct wh_ins *ins =
        a == WH_NONE || b == WH_NONE || c == WH_NONE ? NULL : wh_ptx_emit(ptx, run);
    if (!ins)
        return false;
    ins->d = d;
    ins->a = a;
    ins->b = b;
    ins->c = c;
    ins->sub = combine;
    ins->compare = function;
    ins->flags = combine && ptx->operands[3].negated ? F_NEGATE : 0;
    ins->target = WH_NONE;
    return true;
}

bool wh_decode_setp(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    bool pair = type == T_F16X2 || type == T_BF16X2;
    (void)root;
    uint32_t d = ptx->noperands ? wh_ptx_target(ptx, &ptx->operands[0], T_PRED) : WH_NONE;
    if (d == WH_NONE || ptx->op.ntypes != 1 ||
        !emit_compare(ptx, pair ? wh_do_setp_pair : wh_do_setp, d, type))
        return false;
    if (ptx->operands[0].has_pair)
        last(ptx)->target = ptx->operands[0].pair;
    return true;
}

bool wh_decode_set(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type target = wh_decode_type(ptx, 0), type = wh_decode_type(ptx, 1);
    (void)root;
    uint32_t d = ptx->noperands ? wh_ptx_target(ptx, &ptx->operands[0], target) : WH_NONE;
    if (d == WH_NONE || ptx->op.ntypes != 2 || wh_type_size(target) > 4)
        return false;
    bool pair = type == T_F16X2 || type == T_BF16X2;
    if (!emit_compare(ptx, wh_do_set, d, type))
        return false;
    last(ptx)->type = (uint8_t)target;
    last(ptx)->n = pair;
    return true;
}

bool wh_decode_testp(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const uint8_t words[] = {M_FINITE,     M_INFINITE, M_NUMBER,
                                    M_NOTANUMBER, M_NORMAL,   M_SUBNORMAL};
    enum wh_type type = wh_decode_type(ptx, 0);
    (void)root;
    if ((type != T_F32 && type != T_F64) || !wh_decode_emit(ptx, wh_do_testp, T_PRED, &type, 1))
        return false;
    for (uint8_t i = 0; i < sizeof(words); i++)
        if (wh_has(&ptx->op, words[i]))
            last(ptx)->sub = i;
    last(ptx)->type = (uint8_t)type;
    return true;
}

/* ---- selections ---- */

static enum wh_type bits_of(enum wh_type type)
{
    unsigned size = wh_type_size(type);
    return type == T_PRED ? T_PRED : size == 8 ? T_B64 : size <= 4 ? T_B32 : T_NONE;
}

bool wh_decode_select(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0), bits = bits_of(type), by = wh_decode_type(ptx, 1);
    if (bits == T_NONE || bits == T_PRED)
        return false;
    if (root->op == OP_SELP) {
        const enum wh_type sources[] = {type, type, T_PRED};
        if (!wh_decode_emit(ptx, wh_decode_handler(ptx, OP_SELP, bits), type, sources, 3))
            return false;
        last(ptx)->flags = ptx->operands[3].negated ? F_NEGATE : 0;
        return true;
    }
    const enum wh_type sources[] = {type, type, by};
    bool ftz = wh_has(&ptx->op, M_FTZ);
    enum wh_type entry = by != T_F32     ? bits
                         : bits == T_B64 ? (ftz ? T_F32X2 : T_F64)
                         : ftz           ? T_TF32
                                         : T_F32;
    return (by == T_F32 || by == T_S32) &&
           wh_decode_emit(ptx, wh_decode_handler(ptx, OP_SLCT, entry), type, sources, 3);
}

/* ---- moves ---- */

static bool emit_vector(struct wh_ptx *ptx, unsigned vector, unsigned scalar, wh_run run,
                        enum wh_type type)
{
    unsigned n;
    const struct wh_operand *elements = wh_ptx_elements(ptx, &ptx->operands[vector], &n);
    unsigned size = wh_type_size(type);
    bool pack = vector == 1;
    if (size % n != 0 || size / n == 0 || n > 8 || size > 8 ||
        (size / n != 1 && size / n != 2 && size / n != 4))
        return false;
    enum wh_type element = size / n == 1 ? T_B8 : size / n == 2 ? T_B16 : T_B32;
    uint32_t *list = wh_arena_take(ptx->arena, n * sizeof(*list));
    if (!list)
        return wh_ptx_no_memory(ptx);
    for (unsigned i = 0; i < n; i++) {
        bool wide;
        list[i] = pack ? wh_ptx_source_any(ptx, &elements[i], element, &wide)
                       : wh_ptx_target_any(ptx, &elements[i], element, &wide);
        if (list[i] == WH_NONE || wide)
            return false;
    }
    uint32_t place = pack ? wh_ptx_target(ptx, &ptx->operands[scalar], type)
                          : wh_ptx_source(ptx, &ptx->operands[scalar], type);
    struct wh_ins *ins = place == WH_NONE ? NULL : wh_ptx_emit(ptx, run);
    if (!ins)
        return false;
    ins->d = ins->a = place;
    ins->list = list;
    ins->n = (uint8_t)n;
    ins->type = (uint8_t)element;
    ins->flags = size == 8 ? F_WIDE_ADDRESS : 0;
    return true;
}

/* mov.b128: a register of 128 bits is two of 64. */
static bool move_wide(struct wh_ptx *ptx)
{
    uint32_t to[2], from[2];
    if (!wh_ptx_halves(ptx, &ptx->operands[1], false, from) ||
        !wh_ptx_halves(ptx, &ptx->operands[0], true, to))
        return false;
    for (unsigned i = 0; i < 2; i++) {
        struct wh_ins *ins = wh_ptx_emit(ptx, wh_decode_handler(ptx, OP_MOV, T_B64));
        if (!ins)
            return false;
        ins->d = to[i];
        ins->a = from[i];
    }
    return true;
}

bool wh_decode_mov(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0), bits = bits_of(type);
    if (!wh_decode_count(ptx, 2, 2))
        return false;
    if (type == T_B128)
        return move_wide(ptx);
    if (ptx->operands[1].kind == O_VECTOR)
        return emit_vector(ptx, 1, 0, wh_do_pack, type);
    if (ptx->operands[0].kind == O_VECTOR)
        return emit_vector(ptx, 0, 1, wh_do_unpack, type);
    if (type == T_PRED) {
        if (!wh_decode_emit(ptx, wh_do_logic, T_PRED, &type, 1))
            return false;
        last(ptx)->sub = LOGIC_MOV;
        last(ptx)->n = ptx->operands[1].negated;
        return true;
    }
    if (bits == T_NONE)
        return false;
    return wh_decode_emit(ptx, wh_decode_handler(ptx, root->op, bits), type, &type, 1);
}

/* ---- conversions ---- */

static enum wh_rounding rounding_of(const struct wh_opcode *op, bool *integer)
{
    *integer = wh_has(op, M_RNI) || wh_has(op, M_RZI) || wh_has(op, M_RMI) || wh_has(op, M_RPI);
    return wh_has(op, M_RZ) || wh_has(op, M_RZI)   ? ROUND_ZERO
           : wh_has(op, M_RM) || wh_has(op, M_RMI) ? ROUND_DOWN
           : wh_has(op, M_RP) || wh_has(op, M_RPI) ? ROUND_UP
           : wh_has(op, M_RNA)                     ? ROUND_NEAREST_AWAY
                                                   : ROUND_NEAREST;
}

/* cvt.rn.f16x2.f32 d, a, b: a becomes the upper half. */
static bool emit_pair(struct wh_ptx *ptx, enum wh_type target)
{
    static const enum wh_type sources[] = {T_F32, T_F32};
    bool integer;
    if (!wh_decode_emit(ptx, wh_do_convert, target, sources, 2))
        return false;
    struct wh_ins *ins = last(ptx);
    ins->type = target == T_F16X2 ? T_F16 : T_BF16;
    ins->type2 = T_F32;
    ins->order = (uint8_t)rounding_of(&ptx->op, &integer);
    ins->space = CONVERT_PAIR;
    ins->flags = (uint8_t)((wh_has(&ptx->op, M_RELU) ? F_MULTI : 0) |
                           (wh_has(&ptx->op, M_SATFINITE) ? F_SAT : 0));
    return true;
}

static bool convertible(enum wh_type type)
{
    return wh_type_integer(type) || wh_type_float(type);
}

bool wh_decode_cvt(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type target = wh_decode_type(ptx, 0), source = wh_decode_type(ptx, 1);
    bool target_wide, source_wide, integer;
    enum wh_rounding rounding = rounding_of(&ptx->op, &integer);
    (void)root;
    if ((target == T_F16X2 || target == T_BF16X2) && source == T_F32)
        return emit_pair(ptx, target);
    if (wh_decode_cvt_tiny(ptx, target, source))
        return true;
    bool tf32 = target == T_TF32 && source == T_F32;
    if (!wh_decode_count(ptx, 2, 2) || (!tf32 && !convertible(target)) || !convertible(source))
        return false;
    uint32_t a = wh_ptx_source_any(ptx, &ptx->operands[1], source, &source_wide);
    uint32_t d = wh_ptx_target_any(ptx, &ptx->operands[0], target, &target_wide);
    if (a == WH_NONE || d == WH_NONE)
        return false;
    wh_run fast = wh_alu_best()->convert[target][source];
    bool plain = !wh_has(&ptx->op, M_FTZ) && !wh_has(&ptx->op, M_SAT) &&
                 !wh_has(&ptx->op, M_RELU) && rounding == ROUND_NEAREST && !integer &&
                 target_wide == (wh_type_size(target) == 8) &&
                 source_wide == (wh_type_size(source) == 8) && ptx->operands[0].type != T_NONE &&
                 wh_type_size(ptx->operands[0].type) == wh_type_size(target);
    struct wh_ins *ins = wh_ptx_emit(ptx, plain && fast ? fast : wh_do_convert);
    if (!ins)
        return false;
    ins->d = d;
    ins->a = a;
    ins->type = (uint8_t)target;
    ins->type2 = (uint8_t)source;
    ins->order = (uint8_t)rounding;
    ins->space =
        (uint8_t)((target_wide ? CONVERT_TARGET_WIDE : 0) |
                  (source_wide ? CONVERT_SOURCE_WIDE : 0) | (integer ? CONVERT_TO_INTEGER : 0));
    ins->flags = (uint8_t)((wh_has(&ptx->op, M_FTZ) ? F_FTZ : 0) |
                           (wh_has(&ptx->op, M_SAT) || wh_has(&ptx->op, M_SATFINITE) ? F_SAT : 0) |
                           (wh_has(&ptx->op, M_RELU) ? F_MULTI : 0));
    return true;
}
