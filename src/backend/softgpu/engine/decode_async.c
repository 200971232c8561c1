/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders of copies that go on beside the program, and of the barriers that tell of them. All is
 * done at once here, which is soon enough. Called through the table of decode.c.
 */
#include "decode.h"
#include "flow.h"

static struct wh_ins *last(struct wh_ptx *ptx)
{
    return &ptx->function->code[ptx->function->ncode - 1];
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

bool wh_decode_complete(struct wh_ptx *ptx, unsigned i, uint32_t bytes)
{
    struct wh_ins ins = {
        .space = SPACE_SHARED, .type = T_B64, .sub = MBARRIER_COMPLETE, .b = bytes};
    return bytes != WH_NONE && wh_decode_address(ptx, i, &ins) && emit_mbarrier(ptx, ins);
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

/* cp.reduce.async.bulk...add.u32: what is there is changed by what comes. */
static bool reduces(struct wh_ptx *ptx, struct wh_ins *ins)
{
    enum wh_atomic atomic;
    enum wh_type type = wh_decode_type(ptx, 0);
    if (ptx->op.ntypes != 1 || !wh_decode_atomic_op(&ptx->op, &atomic) || atomic >= ATOMIC_EXCH ||
        !wh_decode_atomic_type(atomic, type))
        return false;
    ins->run = wh_do_reduce_bulk;
    ins->order = (uint8_t)atomic;
    ins->type = (uint8_t)type;
    return true;
}

/* cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [to], [from], size, [mbarrier],
 * and back to global. */
static bool copy_bulk(struct wh_ptx *ptx)
{
    struct wh_ins to = {0}, from = {0};
    bool completes = wh_has(&ptx->op, M_COMPLETE_TX), global = wh_has(&ptx->op, M_GLOBAL);
    if (wh_has(&ptx->op, M_COMMIT_GROUP) || wh_has(&ptx->op, M_WAIT_GROUP) ||
        wh_has(&ptx->op, M_PREFETCH))
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
    if (wh_has(&ptx->op, M_REDUCE) && !reduces(ptx, ins))
        return false;
    return !completes || wh_decode_complete(ptx, 3, size);
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
