/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders of loads, stores, atomics and addresses. Called through the table of decode.c.
 */
#include "atomic.h"
#include "decode.h"
#include "flow.h"

static bool memory_type(enum wh_type type)
{
    return type != T_NONE && type != T_PRED && wh_type_size(type) <= 8;
}

static bool vector_of(const struct wh_ptx *ptx, unsigned n)
{
    unsigned said = wh_has(&ptx->op, M_V2)   ? 2
                    : wh_has(&ptx->op, M_V4) ? 4
                    : wh_has(&ptx->op, M_V8) ? 8
                                             : 1;
    return n == said;
}

/* Both halves of a register of 128 bits, as of a vector of two. */
static uint32_t *wide_list(struct wh_ptx *ptx, const struct wh_operand *operand, bool load)
{
    uint32_t *list = wh_arena_take(ptx->arena, 2 * sizeof(*list));
    if (!list)
        wh_ptx_no_memory(ptx);
    if (!list || !wh_ptx_halves(ptx, operand, load, list))
        return NULL;
    for (unsigned i = 0; i < 2; i++)
        list[i] |= WH_LIST_WIDE;
    return list;
}

/* Registers of a load or a store; a bit of each entry says that it has 64 bits. */
static uint32_t *register_list(struct wh_ptx *ptx, const struct wh_operand *operand,
                               enum wh_type type, bool load, unsigned *n)
{
    const struct wh_operand *elements = wh_ptx_elements(ptx, operand, n);
    if (!vector_of(ptx, *n))
        return NULL;
    uint32_t *list = wh_arena_take(ptx->arena, *n * sizeof(*list));
    if (!list) {
        wh_ptx_no_memory(ptx);
        return NULL;
    }
    for (unsigned i = 0; i < *n; i++) {
        bool wide;
        list[i] = load ? wh_ptx_target_any(ptx, &elements[i], type, &wide)
                       : wh_ptx_source_any(ptx, &elements[i], type, &wide);
        if (list[i] == WH_NONE)
            return NULL;
        list[i] |= wide ? WH_LIST_WIDE : 0;
    }
    return list;
}

static bool is_strong(const struct wh_opcode *op)
{
    return wh_has(op, M_VOLATILE) || wh_has(op, M_RELAXED) || wh_has(op, M_ACQUIRE) ||
           wh_has(op, M_RELEASE) || wh_has(op, M_MMIO) || wh_has(op, M_SC);
}

/* Parameters that are known by name live in the launch or in the frame, and are no memory. */
static bool emit_param(struct wh_ptx *ptx, const struct wh_operand *address, struct wh_ins ins,
                       bool load)
{
    const struct wh_param *param = address->symbol->param;
    bool local = address->symbol->local, entry = ptx->function->entry && !local;
    uint64_t bytes = (uint64_t)wh_type_size((enum wh_type)ins.type) * ins.n;
    if (address->imm > param->size || param->size - address->imm < bytes)
        return wh_ptx_fail(ptx, "%.*s: bytes %lld to %lld of parameter %s, which has %u",
                           (int)ptx->op.length, ptx->op.text, (long long)address->imm,
                           (long long)(address->imm + bytes), param->name, param->size);
    if ((entry && !load) || address->imm % wh_type_size((enum wh_type)ins.type) != 0)
        return false;
    struct wh_ins *at = wh_ptx_emit(ptx, entry ? wh_do_load_param : wh_do_param_word);
    if (!at)
        return false;
    at->type = ins.type;
    at->n = ins.n;
    at->list = ins.list;
    at->flags = ins.flags;
    at->sub = (uint8_t)((local ? 2 : 0) | (load ? 0 : 1));
    at->offset = (int64_t)(param->offset + address->imm);
    return true;
}

static bool emit_access(struct wh_ptx *ptx, unsigned data, unsigned address, bool load)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    unsigned n = 2;
    bool wide = type == T_B128 && vector_of(ptx, 1);
    type = wide ? T_B64 : type;
    if (!memory_type(type) || ptx->op.ntypes != 1 || !wh_decode_count(ptx, 2, 3))
        return false;
    const uint32_t *list = wide ? wide_list(ptx, &ptx->operands[data], load)
                                : register_list(ptx, &ptx->operands[data], type, load, &n);
    if (!list)
        return false;
    struct wh_ins ins = {.type = (uint8_t)type, .n = (uint8_t)n, .list = list};
    ins.flags =
        (uint8_t)((wh_type_signed(type) ? F_SIGNED : 0) | (is_strong(&ptx->op) ? F_STRONG : 0));
    ins.space = (uint8_t)wh_decode_space(ptx);
    const struct wh_operand *operand = &ptx->operands[address];
    if (operand->kind == O_ADDRESS && operand->base == O_PARAM && ins.space == SPACE_PARAM)
        return emit_param(ptx, operand, ins, load);
    if (ins.space == SPACE_PARAM && (!ptx->function->entry || !load))
        return false;
    if (!wh_decode_address(ptx, address, &ins))
        return false;
    ins.d = list[0] & ~WH_LIST_WIDE;
    return wh_decode_place(ptx, load ? wh_load_handler(&ins) : wh_store_handler(&ins), ins);
}

bool wh_decode_load(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    return emit_access(ptx, 0, 1, true);
}

static bool store_async(struct wh_ptx *ptx);

bool wh_decode_store(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    return wh_has(&ptx->op, M_ASYNC) ? store_async(ptx) : emit_access(ptx, 1, 0, false);
}

/* ---- atomics ---- */

bool wh_decode_atomic_op(const struct wh_opcode *op, enum wh_atomic *atomic)
{
    static const struct {
        uint8_t word, atomic;
    } words[] = {{M_ADD, ATOMIC_ADD}, {M_MIN, ATOMIC_MIN}, {M_MAX, ATOMIC_MAX},
                 {M_AND, ATOMIC_AND}, {M_OR, ATOMIC_OR},   {M_XOR, ATOMIC_XOR},
                 {M_INC, ATOMIC_INC}, {M_DEC, ATOMIC_DEC}, {M_EXCH, ATOMIC_EXCH},
                 {M_CAS, ATOMIC_CAS}};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (wh_has(op, words[i].word)) {
            *atomic = (enum wh_atomic)words[i].atomic;
            return true;
        }
    return false;
}

bool wh_decode_atomic_type(enum wh_atomic atomic, enum wh_type type)
{
    bool number = wh_type_float(type) || type == T_F16X2 || type == T_BF16X2;
    if (number)
        return atomic == ATOMIC_ADD ||
               (type != T_F32 && type != T_F64 && (atomic == ATOMIC_MIN || atomic == ATOMIC_MAX));
    unsigned size = wh_type_size(type);
    if (atomic == ATOMIC_CAS || atomic == ATOMIC_EXCH)
        return size == 4 || size == 8 || (type == T_B16 && atomic == ATOMIC_CAS);
    return (size == 4 || size == 8) && type != T_TF32;
}

static bool emit_atomic(struct wh_ptx *ptx, struct wh_ins ins, const struct wh_operand *value,
                        const struct wh_operand *swap, const struct wh_operand *target)
{
    enum wh_type type = (enum wh_type)ins.type;
    ins.n = target != NULL;
    ins.b = wh_ptx_source(ptx, value, type);
    ins.c = swap ? wh_ptx_source(ptx, swap, type) : 0;
    ins.d = target ? wh_ptx_target(ptx, target, type) : 0;
    return ins.b != WH_NONE && ins.c != WH_NONE && ins.d != WH_NONE &&
           wh_decode_place(ptx, wh_do_atomic, ins);
}

/* Several values behind each other: each is done atomically, not all of them together. */
static bool atomic_vector(struct wh_ptx *ptx, struct wh_ins ins, unsigned first)
{
    unsigned n, results = 0;
    const struct wh_operand *values = wh_ptx_elements(ptx, &ptx->operands[first + 1], &n),
                            *targets =
                                first ? wh_ptx_elements(ptx, &ptx->operands[0], &results) : NULL;
    enum wh_type type = (enum wh_type)ins.type;
    if (!vector_of(ptx, n) || (first && results != n) ||
        !(wh_type_float(type) || type == T_F16X2 || type == T_BF16X2) || type == T_F64)
        return false;
    for (unsigned i = 0; i < n; i++, ins.offset += wh_type_size(type))
        if (!emit_atomic(ptx, ins, &values[i], NULL, targets ? &targets[i] : NULL))
            return false;
    return true;
}

/* atom.exch.b128, atom.cas.b128 */
static bool atomic_wide(struct wh_ptx *ptx, struct wh_ins ins)
{
    uint32_t *list = wh_arena_take(ptx->arena, 6 * sizeof(*list));
    bool cas = ins.sub == ATOMIC_CAS;
    if (!list)
        return wh_ptx_no_memory(ptx);
    if ((!cas && ins.sub != ATOMIC_EXCH) || !wh_ptx_halves(ptx, &ptx->operands[0], true, list) ||
        !wh_ptx_halves(ptx, &ptx->operands[2], false, list + 2) ||
        (cas && !wh_ptx_halves(ptx, &ptx->operands[3], false, list + 4)))
        return false;
    ins.list = list;
    return wh_decode_place(ptx, wh_do_atomic_wide, ins);
}

bool wh_decode_atomic(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    enum wh_atomic atomic;
    unsigned first = root->op;
    if (wh_has(&ptx->op, M_ASYNC))
        return !first && wh_decode_reduce_async(ptx);
    if (ptx->op.ntypes != 1 || !wh_decode_atomic_op(&ptx->op, &atomic))
        return false;
    bool cas = atomic == ATOMIC_CAS;
    struct wh_ins ins = {
        .type = (uint8_t)type, .sub = (uint8_t)atomic, .space = (uint8_t)wh_decode_space(ptx)};
    if (!wh_decode_count(ptx, first + 2 + cas, first + 2 + cas) ||
        !wh_decode_address(ptx, first, &ins))
        return false;
    if (type == T_B128)
        return first && atomic_wide(ptx, ins);
    if (!wh_decode_atomic_type(atomic, type))
        return false;
    if (ptx->operands[first + 1].kind == O_VECTOR)
        return !cas && atomic_vector(ptx, ins, first);
    return emit_atomic(ptx, ins, &ptx->operands[first + 1], cas ? &ptx->operands[first + 2] : NULL,
                       first ? &ptx->operands[0] : NULL);
}

/* red.async.add.u32 [to], value, [mbarrier] */
bool wh_decode_reduce_async(struct wh_ptx *ptx)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    enum wh_atomic atomic;
    struct wh_ins ins = {.type = (uint8_t)type, .space = SPACE_SHARED};
    if (ptx->op.ntypes != 1 || !wh_has(&ptx->op, M_COMPLETE_TX) || !wh_decode_count(ptx, 3, 3) ||
        !wh_decode_atomic_op(&ptx->op, &atomic) || !wh_decode_atomic_type(atomic, type) ||
        atomic == ATOMIC_CAS || !wh_decode_address(ptx, 0, &ins))
        return false;
    ins.sub = (uint8_t)atomic;
    return emit_atomic(ptx, ins, &ptx->operands[1], NULL, NULL) &&
           wh_decode_complete(ptx, 2, wh_ptx_constant(ptx, wh_type_size(type), 4));
}

/* st.async.v4.b32 [to], values, [mbarrier] */
static bool store_async(struct wh_ptx *ptx)
{
    unsigned n;
    wh_ptx_elements(ptx, &ptx->operands[1], &n);
    return wh_has(&ptx->op, M_COMPLETE_TX) && wh_decode_count(ptx, 3, 3) &&
           emit_access(ptx, 1, 0, false) &&
           wh_decode_complete(ptx, 2,
                              wh_ptx_constant(ptx, n * wh_type_size(wh_decode_type(ptx, 0)), 4));
}

/* ---- addresses ---- */

static struct wh_ins *last(struct wh_ptx *ptx)
{
    return &ptx->function->code[ptx->function->ncode - 1];
}

bool wh_decode_cvta(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type type = T_U64;
    enum wh_space space = wh_decode_space(ptx);
    (void)root;
    if (wh_decode_type(ptx, 0) != T_U64)
        return false;
    if (space == SPACE_GLOBAL || space == SPACE_CONST) /* generic ones are these */
        return wh_decode_emit(ptx, wh_decode_handler(ptx, OP_MOV, T_B64), T_U64, &type, 1);
    if (!wh_decode_emit(ptx, wh_do_cvta, T_U64, &type, 1))
        return false;
    last(ptx)->sub = wh_has(&ptx->op, M_TO);
    last(ptx)->space = (uint8_t)space;
    return true;
}

bool wh_decode_isspacep(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type type = T_U64;
    (void)root;
    if (!wh_decode_emit(ptx, wh_do_isspacep, T_PRED, &type, 1))
        return false;
    last(ptx)->space = (uint8_t)wh_decode_space(ptx);
    last(ptx)->sub = wh_has(&ptx->op, M_SHARED_CLUSTER);
    return true;
}

/* mapa d, a, rank */
bool wh_decode_mapa(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    const enum wh_type sources[] = {type, T_U32};
    (void)root;
    if (!wh_decode_emit(ptx, wh_do_mapa, type, sources, 2))
        return false;
    last(ptx)->flags = type == T_U64 ? F_WIDE_ADDRESS : 0;
    last(ptx)->space = (uint8_t)wh_decode_space(ptx);
    return true;
}

/* getctarank d, a: whose shared memory an address is of */
bool wh_decode_rank(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    (void)root;
    if ((type != T_U32 && type != T_U64) || !wh_decode_emit(ptx, wh_do_rank, T_U32, &type, 1))
        return false;
    last(ptx)->flags = type == T_U64 ? F_WIDE_ADDRESS : 0;
    return true;
}

/* Policies of caches: a value that nothing depends on. */
bool wh_decode_policy(struct wh_ptx *ptx, const struct wh_root *root)
{
    struct wh_ins *ins;
    (void)root;
    if (ptx->noperands == 0 || !(ins = wh_ptx_emit(ptx, wh_decode_handler(ptx, OP_MOV, T_B64))))
        return false;
    uint32_t d = wh_ptx_target(ptx, &ptx->operands[0], T_B64), a = wh_ptx_constant(ptx, 0, 8);
    ins->d = d;
    ins->a = a;
    return d != WH_NONE && a != WH_NONE;
}
