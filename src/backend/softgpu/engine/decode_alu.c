/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders of arithmetic and of bits. Called through the table of decode.c.
 */
#include "decode.h"
#include "scalar.h"

/* One type for all; what has no sign takes the table's entry of its width. */
static bool emit_same(struct wh_ptx *ptx, unsigned op, enum wh_type type, unsigned n)
{
    const enum wh_type sources[] = {type, type, type, type};
    return wh_decode_emit(ptx, wh_decode_handler(ptx, op, type), type, sources, n);
}

bool wh_decode_plain(struct wh_ptx *ptx, const struct wh_root *root)
{
    return emit_same(ptx, root->op, wh_decode_type(ptx, 0), root->sources);
}

static enum wh_rounding rounding_of(const struct wh_opcode *op)
{
    return wh_has(op, M_RZ)   ? ROUND_ZERO
           : wh_has(op, M_RM) ? ROUND_DOWN
           : wh_has(op, M_RP) ? ROUND_UP
                              : ROUND_NEAREST;
}

static struct wh_ins *last(struct wh_ptx *ptx)
{
    return &ptx->function->code[ptx->function->ncode - 1];
}

/* Directed rounding goes the slow way. */
static bool emit_round(struct wh_ptx *ptx, enum wh_round_op op, enum wh_type type, unsigned n)
{
    const enum wh_type sources[] = {type, type, type};
    if (type != T_F32 && type != T_F64)
        return false;
    if (!wh_decode_emit(ptx, wh_do_round, type, sources, n))
        return false;
    struct wh_ins *ins = last(ptx);
    ins->type = (uint8_t)type;
    ins->sub = (uint8_t)op;
    ins->order = (uint8_t)rounding_of(&ptx->op);
    ins->flags =
        (uint8_t)((wh_has(&ptx->op, M_FTZ) ? F_FTZ : 0) | (wh_has(&ptx->op, M_SAT) ? F_SAT : 0));
    return true;
}

static enum wh_round_op round_op(unsigned op)
{
    return op == OP_ADD   ? ROUND_ADD
           : op == OP_SUB ? ROUND_SUB
           : op == OP_MUL ? ROUND_MUL
           : op == OP_FMA ? ROUND_FMA
                          : ROUND_DIV;
}

bool wh_decode_arithmetic(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    unsigned op = root->op;
    bool ftz = wh_has(&ptx->op, M_FTZ), sat = wh_has(&ptx->op, M_SAT);
    if (wh_has(&ptx->op, M_CC))
        return wh_decode_carry(ptx, root);
    if (ptx->op.ntypes != 1)
        return false;
    if (rounding_of(&ptx->op) != ROUND_NEAREST)
        return emit_round(ptx, round_op(op), type, root->sources);
    if (op == OP_DIV)
        op += ftz ? OP_DIV_FTZ - OP_DIV : 0;
    else if (wh_has(&ptx->op, M_RELU))
        op = ftz ? OP_FMA_FTZ_RELU : OP_FMA_RELU;
    else
        op += (ftz ? 1u : 0u) + (sat ? 2u : 0u);
    if (type == T_F64 && (ftz || sat))
        return false;
    return emit_same(ptx, op, type, root->sources);
}

static bool is_long(enum wh_type type)
{
    return type == T_U64 || type == T_S64 || type == T_B64;
}

bool wh_decode_carry(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    const enum wh_type sources[] = {type, type, type};
    unsigned size = wh_type_size(type);
    if (!wh_type_integer(type) || size < 4 ||
        !wh_decode_emit(ptx, wh_do_carry, type, sources, root->sources))
        return false;
    struct wh_ins *ins = last(ptx);
    bool carries_in = ptx->op.text[ptx->op.root_length - 1] == 'c';
    ins->sub = root->op == OP_ADD       ? CARRY_ADD
               : root->op == OP_SUB     ? CARRY_SUB
               : wh_has(&ptx->op, M_HI) ? CARRY_MADHI
                                        : CARRY_MADLO;
    ins->n = carries_in;
    ins->type = (uint8_t)(is_long(type) ? T_U64 : T_U32);
    ins->flags =
        (uint8_t)((wh_has(&ptx->op, M_CC) ? F_CARRY : 0) | (wh_type_signed(type) ? F_SIGNED : 0));
    return true;
}

static enum wh_type twice(enum wh_type type)
{
    switch (type) {
    case T_U16:
        return T_U32;
    case T_S16:
        return T_S32;
    case T_U32:
        return T_U64;
    case T_S32:
        return T_S64;
    default:
        return T_NONE;
    }
}

bool wh_decode_multiply(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    bool add = root->sources == 3, hi = wh_has(&ptx->op, M_HI), wide = wh_has(&ptx->op, M_WIDE);
    if (!wh_type_integer(type)) {
        struct wh_root as = *root;
        as.op = add ? OP_FMA : OP_MUL;
        return wh_decode_arithmetic(ptx, &as);
    }
    if (wh_has(&ptx->op, M_SAT))
        return false;
    if (wh_has(&ptx->op, M_CC))
        return wh_decode_carry(ptx, root);
    if (root->op == OP_MUL24 || root->op == OP_MAD24)
        return !hi && emit_same(ptx, root->op, type, root->sources);
    if (!wide)
        return emit_same(ptx, hi ? (add ? OP_MADHI : OP_MULHI) : root->op, type, root->sources);
    enum wh_type target = twice(type);
    const enum wh_type sources[] = {type, type, target};
    if (target == T_NONE)
        return false;
    return wh_decode_emit(ptx, wh_decode_handler(ptx, add ? OP_MADWIDE : OP_MULWIDE, type), target,
                          sources, root->sources);
}

bool wh_decode_minmax(struct wh_ptx *ptx, const struct wh_root *root)
{
    unsigned variant = (wh_has(&ptx->op, M_FTZ) ? 1u : 0u) + (wh_has(&ptx->op, M_NAN) ? 2u : 0u);
    if (wh_has(&ptx->op, M_XORSIGN) || wh_has(&ptx->op, M_ABS) || wh_has(&ptx->op, M_RELU) ||
        ptx->noperands != 3)
        return false;
    return emit_same(ptx, root->op + variant, wh_decode_type(ptx, 0), 2);
}

bool wh_decode_sign(struct wh_ptx *ptx, const struct wh_root *root)
{
    return emit_same(ptx, root->op + (wh_has(&ptx->op, M_FTZ) ? 1u : 0u), wh_decode_type(ptx, 0),
                     1);
}

bool wh_decode_count_bits(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    unsigned op = root->op + (wh_has(&ptx->op, M_SHIFTAMT) ? 1u : 0u);
    return wh_decode_emit(ptx, wh_decode_handler(ptx, op, type), T_U32, &type, 1);
}

bool wh_decode_shift(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    const enum wh_type sources[] = {type, T_U32};
    return wh_decode_emit(ptx, wh_decode_handler(ptx, root->op, type), type, sources, 2);
}

bool wh_decode_field(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    const enum wh_type extract[] = {type, T_U32, T_U32}, insert[] = {type, type, T_U32, T_U32};
    return wh_decode_emit(ptx, wh_decode_handler(ptx, root->op, type), type,
                          root->sources == 3 ? extract : insert, root->sources);
}

static unsigned variant_of(const struct wh_opcode *op, unsigned base)
{
    switch (base) {
    case OP_PRMT:
        return wh_has(op, M_F4E)    ? OP_PRMT_F4E
               : wh_has(op, M_B4E)  ? OP_PRMT_B4E
               : wh_has(op, M_RC8)  ? OP_PRMT_RC8
               : wh_has(op, M_ECL)  ? OP_PRMT_ECL
               : wh_has(op, M_ECR)  ? OP_PRMT_ECR
               : wh_has(op, M_RC16) ? OP_PRMT_RC16
                                    : OP_PRMT;
    case OP_SHF_L_CLAMP:
        return base + (wh_has(op, M_R) ? 2u : 0u) + (wh_has(op, M_WRAP) ? 1u : 0u);
    case OP_BMSK_CLAMP:
    case OP_SZEXT_CLAMP:
        return base + (wh_has(op, M_WRAP) ? 1u : 0u);
    default:
        return base;
    }
}

/* Everything is 32 bits wide; lop3 has its table as a fourth operand. */
bool wh_decode_bits(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type sources[] = {T_B32, T_B32, T_B32};
    enum wh_type type = wh_decode_type(ptx, 0);
    uint64_t table = 0;
    if (wh_type_size(type) != 4)
        return false;
    if (root->op == OP_LOP3) {
        if (ptx->noperands != 5 || ptx->operands[4].kind != O_IMMEDIATE)
            return false;
        table = ptx->operands[4].imm & 0xff;
        ptx->noperands = 4;
    }
    if (!wh_decode_emit(ptx, wh_decode_handler(ptx, variant_of(&ptx->op, root->op), type), type,
                        sources, root->sources))
        return false;
    last(ptx)->imm = (int64_t)table;
    return true;
}

bool wh_decode_dot(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type sources[] = {T_B32, T_B32, T_B32};
    bool a = wh_decode_type(ptx, 0) == T_S32, b = wh_decode_type(ptx, 1) == T_S32;
    enum wh_type entry = a ? (b ? T_S32 : T_S16) : (b ? T_U16 : T_U32);
    unsigned op = root->op + (root->op == OP_DP2A_LO && wh_has(&ptx->op, M_HI) ? 1u : 0u);
    return ptx->op.ntypes == 2 &&
           wh_decode_emit(ptx, wh_decode_handler(ptx, op, entry), T_B32, sources, 3);
}

bool wh_decode_math(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    bool ftz = wh_has(&ptx->op, M_FTZ);
    if (rounding_of(&ptx->op) != ROUND_NEAREST && (root->op == OP_RCP || root->op == OP_SQRT))
        return emit_round(ptx, root->op == OP_RCP ? ROUND_RCP : ROUND_SQRT, type, 1);
    return emit_same(ptx, root->op + (ftz ? 1u : 0u), type, 1);
}

bool wh_decode_logic(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type sources[] = {T_PRED, T_PRED};
    enum wh_type type = wh_decode_type(ptx, 0);
    if (type != T_PRED)
        return emit_same(ptx, root->op, type, root->sources);
    if (!wh_decode_emit(ptx, wh_do_logic, T_PRED, sources, root->sources))
        return false;
    struct wh_ins *ins = last(ptx);
    ins->sub = root->op == OP_AND   ? LOGIC_AND
               : root->op == OP_OR  ? LOGIC_OR
               : root->op == OP_XOR ? LOGIC_XOR
                                    : LOGIC_NOT;
    ins->n = ptx->operands[1].negated;
    ins->flags = ptx->noperands > 2 && ptx->operands[2].negated ? F_NEGATE : 0;
    return true;
}
