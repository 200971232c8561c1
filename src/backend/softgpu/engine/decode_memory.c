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
    unsigned n;
    if (!memory_type(type) || ptx->op.ntypes != 1 || !wh_decode_count(ptx, 2, 3))
        return false;
    const uint32_t *list = register_list(ptx, &ptx->operands[data], type, load, &n);
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

bool wh_decode_store(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    return emit_access(ptx, 1, 0, false);
}

/* ---- atomics ---- */

static bool atomic_of(const struct wh_opcode *op, enum wh_atomic *atomic)
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

static bool atomic_type(enum wh_atomic atomic, enum wh_type type)
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

bool wh_decode_atomic(struct wh_ptx *ptx, const struct wh_root *root)
{
    bool returns = root->op;
    enum wh_type type = wh_decode_type(ptx, 0);
    enum wh_atomic atomic;
    unsigned first = returns ? 1 : 0;
    if (ptx->op.ntypes != 1 || !atomic_of(&ptx->op, &atomic) || !atomic_type(atomic, type) ||
        wh_has(&ptx->op, M_ASYNC) || wh_has(&ptx->op, M_V2) || wh_has(&ptx->op, M_V4) ||
        wh_has(&ptx->op, M_V8))
        return false;
    unsigned n = first + 2 + (atomic == ATOMIC_CAS);
    if (!wh_decode_count(ptx, n, n))
        return false;
    struct wh_ins ins = {
        .type = (uint8_t)type, .sub = (uint8_t)atomic, .space = (uint8_t)wh_decode_space(ptx)};
    ins.n = returns;
    ins.b = wh_ptx_source(ptx, &ptx->operands[first + 1], type);
    ins.c = atomic == ATOMIC_CAS ? wh_ptx_source(ptx, &ptx->operands[first + 2], type) : 0;
    ins.d = returns ? wh_ptx_target(ptx, &ptx->operands[0], type) : 0;
    if (ins.b == WH_NONE || ins.c == WH_NONE || ins.d == WH_NONE ||
        !wh_decode_address(ptx, first, &ins))
        return false;
    return wh_decode_place(ptx, wh_do_atomic, ins);
}

/* ---- addresses ---- */

static struct wh_ins *last(struct wh_ptx *ptx)
{
    return &ptx->function->code[ptx->function->ncode - 1];
}

bool wh_decode_cvta(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type type = T_U64;
    (void)root;
    if (wh_decode_type(ptx, 0) != T_U64 || !wh_decode_emit(ptx, wh_do_cvta, T_U64, &type, 1))
        return false;
    last(ptx)->sub = wh_has(&ptx->op, M_TO);
    last(ptx)->space = (uint8_t)wh_decode_space(ptx);
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

static bool copy_arrive(struct wh_ptx *ptx);
static bool copy_bulk(struct wh_ptx *ptx);

/* cp.async.ca.shared.global [to], [from], size{, bytes read}: done at once, so that groups never
 * wait. */
bool wh_decode_copy(struct wh_ptx *ptx, const struct wh_root *root)
{
    struct wh_ins to = {.space = SPACE_SHARED}, from = {0};
    (void)root;
    if (wh_has(&ptx->op, M_ASYNC) && wh_has(&ptx->op, M_MBARRIER))
        return copy_arrive(ptx);
    if (wh_has(&ptx->op, M_ASYNC) && wh_has(&ptx->op, M_BULK))
        return copy_bulk(ptx);
    if (!wh_has(&ptx->op, M_ASYNC))
        return false;
    if (wh_has(&ptx->op, M_COMMIT_GROUP) || wh_has(&ptx->op, M_WAIT_GROUP) ||
        wh_has(&ptx->op, M_WAIT_ALL))
        return wh_ptx_emit(ptx, wh_do_nothing) != NULL;
    if (!wh_decode_count(ptx, 3, 4) || ptx->operands[2].kind != O_IMMEDIATE)
        return false;
    uint64_t size = ptx->operands[2].imm;
    if (size != 4 && size != 8 && size != 16)
        return wh_ptx_fail(ptx, "%.*s copies %llu bytes", (int)ptx->op.length, ptx->op.text,
                           (unsigned long long)size);
    if (!wh_decode_address(ptx, 0, &to) || !wh_decode_address(ptx, 1, &from))
        return false;
    uint32_t bytes = ptx->noperands == 4 ? wh_ptx_source(ptx, &ptx->operands[3], T_U32)
                                         : wh_ptx_constant(ptx, size, 4);
    struct wh_ins *ins = bytes == WH_NONE ? NULL : wh_ptx_emit(ptx, wh_do_copy_async);
    if (!ins)
        return false;
    ins->a = to.a;
    ins->offset = to.offset;
    ins->flags = to.flags;
    ins->b = from.a;
    ins->imm = from.offset;
    ins->sub = from.flags;
    ins->c = bytes;
    ins->n = (uint8_t)size;
    return true;
}

/* ---- mbarrier ---- */

static bool emit_mbarrier(struct wh_ptx *ptx, struct wh_ins ins)
{
    return wh_decode_place(ptx, wh_do_mbarrier, ins);
}

/* mbarrier.arrive state, [address]{, count}: count in b, bytes to expect in c. */
static bool mbarrier_arrive(struct wh_ptx *ptx, struct wh_ins ins)
{
    bool expects = wh_has(&ptx->op, M_EXPECT_TX);
    uint32_t one = wh_ptx_constant(ptx, 1, 4), more;
    ins.sub = wh_has(&ptx->op, M_ARRIVE_DROP) ? MBARRIER_DROP : MBARRIER_ARRIVE;
    if (!wh_decode_count(ptx, expects ? 3 : 2, 3))
        return false;
    ins.b = one;
    ins.c = wh_ptx_constant(ptx, 0, 4);
    ins.d = wh_ptx_target(ptx, &ptx->operands[0], T_B64);
    more = ptx->noperands == 3 ? wh_ptx_source(ptx, &ptx->operands[2], T_U32) : one;
    if (expects)
        ins.c = more;
    else
        ins.b = more;
    if (ins.b == WH_NONE || ins.c == WH_NONE || ins.d == WH_NONE ||
        !wh_decode_address(ptx, 1, &ins))
        return false;
    return emit_mbarrier(ptx, ins);
}

/* mbarrier.test_wait done, [address], state or parity{, patience} */
static bool mbarrier_wait(struct wh_ptx *ptx, struct wh_ins ins)
{
    bool parity = wh_has(&ptx->op, M_PARITY);
    ins.sub = parity ? MBARRIER_PARITY : MBARRIER_TEST;
    if (!wh_decode_count(ptx, 3, 4))
        return false;
    ins.d = wh_ptx_target(ptx, &ptx->operands[0], T_PRED);
    ins.b = wh_ptx_source(ptx, &ptx->operands[2], parity ? T_U32 : T_B64);
    return ins.d != WH_NONE && ins.b != WH_NONE && wh_decode_address(ptx, 1, &ins) &&
           emit_mbarrier(ptx, ins);
}

bool wh_decode_mbarrier(struct wh_ptx *ptx, const struct wh_root *root)
{
    struct wh_ins ins = {.space = (uint8_t)wh_decode_space(ptx), .type = T_B64};
    (void)root;
    if (wh_has(&ptx->op, M_ARRIVE) || wh_has(&ptx->op, M_ARRIVE_DROP))
        return mbarrier_arrive(ptx, ins);
    if (wh_has(&ptx->op, M_TEST_WAIT) || wh_has(&ptx->op, M_TRY_WAIT))
        return mbarrier_wait(ptx, ins);
    if (wh_has(&ptx->op, M_PENDING_COUNT)) {
        static const enum wh_type state = T_B64;
        if (!wh_decode_emit(ptx, wh_do_mbarrier, T_U32, &state, 1))
            return false;
        last(ptx)->sub = MBARRIER_PENDING;
        return true;
    }
    bool init = wh_has(&ptx->op, M_INIT), expects = wh_has(&ptx->op, M_EXPECT_TX);
    ins.sub = init ? MBARRIER_INIT : expects ? MBARRIER_EXPECT : MBARRIER_INVAL;
    if ((!init && !expects && !wh_has(&ptx->op, M_INVAL)) ||
        !wh_decode_count(ptx, 1 + (init || expects), 1 + (init || expects)))
        return false;
    ins.b = init || expects ? wh_ptx_source(ptx, &ptx->operands[1], T_U32) : 0;
    return ins.b != WH_NONE && wh_decode_address(ptx, 0, &ins) && emit_mbarrier(ptx, ins);
}

/* cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [to], [from], size, [mbarrier],
 * and back to global. */
static bool copy_bulk(struct wh_ptx *ptx)
{
    struct wh_ins to = {0}, from = {0},
                  barrier = {.space = SPACE_SHARED, .type = T_B64, .sub = MBARRIER_COMPLETE};
    bool completes = wh_has(&ptx->op, M_COMPLETE_TX), global = wh_has(&ptx->op, M_GLOBAL);
    if (wh_has(&ptx->op, M_COMMIT_GROUP) || wh_has(&ptx->op, M_WAIT_GROUP))
        return wh_ptx_emit(ptx, wh_do_nothing) != NULL;
    if (!wh_decode_count(ptx, 3 + completes, 3 + completes) ||
        (completes && !wh_has(&ptx->op, M_SHARED_CLUSTER)))
        return false;
    uint32_t size = wh_ptx_source(ptx, &ptx->operands[2], T_U32);
    if (size == WH_NONE || !wh_decode_address(ptx, 0, &to) || !wh_decode_address(ptx, 1, &from))
        return false;
    struct wh_ins *ins = wh_ptx_emit(ptx, wh_do_copy_bulk);
    if (!ins)
        return false;
    ins->a = to.a;
    ins->offset = to.offset;
    ins->flags = to.flags;
    ins->b = from.a;
    ins->imm = from.offset;
    ins->sub = from.flags;
    ins->c = size;
    ins->space = completes ? SPACE_SHARED : SPACE_GLOBAL;
    ins->type2 = completes && global ? SPACE_GLOBAL : SPACE_SHARED;
    barrier.b = size;
    return !completes || (wh_decode_address(ptx, 3, &barrier) && emit_mbarrier(ptx, barrier));
}

/* cp.async.mbarrier.arrive [address]: the copies are done; without .noinc the count was raised for
 * it, and it is nothing. */
static bool copy_arrive(struct wh_ptx *ptx)
{
    struct wh_ins ins = {
        .space = (uint8_t)wh_decode_space(ptx), .type = T_B64, .sub = MBARRIER_ARRIVE};
    if (!wh_has(&ptx->op, M_NOINC))
        return wh_ptx_emit(ptx, wh_do_nothing) != NULL;
    ins.b = wh_ptx_constant(ptx, 1, 4);
    ins.c = wh_ptx_constant(ptx, 0, 4);
    ins.d = wh_ptx_slot(ptx, T_B64);
    return ins.d != WH_NONE && wh_decode_count(ptx, 1, 1) && wh_decode_address(ptx, 0, &ins) &&
           emit_mbarrier(ptx, ins);
}
