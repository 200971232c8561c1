/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders of branches, calls, barriers and of talk among lanes. Called through the table of
 * decode.c.
 */
#include "decode.h"
#include "flow.h"

#include <string.h>

static struct wh_ins *last(struct wh_ptx *ptx)
{
    return &ptx->function->code[ptx->function->ncode - 1];
}

bool wh_decode_branch(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    if (!wh_decode_count(ptx, 1, 1))
        return false;
    const struct wh_operand *label = &ptx->operands[0];
    if (label->kind != O_NAME)
        return wh_ptx_fail(ptx, "a label expected");
    if (!wh_ptx_emit(ptx, wh_do_branch))
        return false;
    return wh_ptx_refer(ptx, NULL, (uint32_t)ptx->function->ncode - 1, label->text, label->length);
}

bool wh_decode_branch_index(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    if (!wh_decode_count(ptx, 2, 2) || ptx->operands[1].kind != O_NAME)
        return false;
    const struct wh_symbol *list =
        wh_symbol_find(ptx->symbols, ptx->operands[1].text, ptx->operands[1].length);
    if (!list || list->kind != SYMBOL_LIST || !list->list.targets)
        return wh_ptx_fail(ptx, "'%.*s' is not a list of labels", (int)ptx->operands[1].length,
                           ptx->operands[1].text);
    uint32_t a = wh_ptx_source(ptx, &ptx->operands[0], T_U32);
    struct wh_ins *ins = a == WH_NONE ? NULL : wh_ptx_emit(ptx, wh_do_branch_index);
    if (!ins)
        return false;
    ins->a = a;
    ins->list = list->list.targets;
    ins->target = list->list.ntargets;
    return true;
}

bool wh_decode_end(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const wh_run runs[] = {wh_do_exit, wh_do_return, wh_do_trap};
    wh_run run = root->op == 1 && ptx->function->entry ? wh_do_exit : runs[root->op];
    return wh_decode_count(ptx, 0, 0) && wh_ptx_emit(ptx, run);
}

bool wh_decode_ignored(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    return wh_ptx_emit(ptx, wh_do_nothing) != NULL;
}

bool wh_decode_fence(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    return wh_ptx_emit(ptx, wh_do_fence) != NULL;
}

bool wh_decode_sleep(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    return wh_ptx_emit(ptx, wh_do_sleep) != NULL;
}

/* ---- calls ---- */

/* (name, name): .param variables of the body. */
static bool call_params(struct wh_ptx *ptx, struct wh_call *call, size_t *room, uint32_t *n)
{
    wh_ptx_next(ptx);
    while (!wh_ptx_is(ptx, ')')) {
        const struct wh_symbol *symbol =
            ptx->token.kind == TOKEN_WORD
                ? wh_symbol_find(ptx->symbols, ptx->token.text, ptx->token.length)
                : NULL;
        if (!symbol || symbol->kind != SYMBOL_PARAM || !symbol->local)
            return wh_ptx_fail(ptx, "a .param variable expected before '%.*s'",
                               (int)(ptx->token.length < 60 ? ptx->token.length : 60),
                               ptx->token.text);
        size_t count = call->nreturns + call->nargs;
        if (!wh_arena_grow(ptx->arena, &call->args, count, room, sizeof(*call->args)))
            return wh_ptx_no_memory(ptx);
        call->args[count] = *symbol->param;
        ++*n;
        wh_ptx_next(ptx);
        if (!wh_ptx_accept(ptx, ','))
            break;
    }
    return wh_ptx_expect(ptx, ')');
}

static bool call_target(struct wh_ptx *ptx, struct wh_call *call)
{
    struct wh_operand target;
    if (!wh_ptx_operand(ptx, &target))
        return false;
    if (target.kind == O_SYMBOL && target.symbol->kind == SYMBOL_FUNCTION) {
        call->symbol = target.symbol;
        call->function = target.symbol->function;
        return true;
    }
    if (target.kind != O_REGISTER)
        return wh_ptx_fail(ptx, "'%.*s' is not a function",
                           (int)(target.length < 60 ? target.length : 60), target.text);
    call->through = wh_ptx_source(ptx, &target, T_U64);
    ptx->function->indirect = true;
    return call->through != WH_NONE;
}

static bool add_callee(struct wh_ptx *ptx, struct wh_function *callee)
{
    struct wh_function *function = ptx->function;
    if (!wh_arena_grow(ptx->arena, &function->callees, function->ncallees, &function->callee_room,
                       sizeof(callee)))
        return wh_ptx_no_memory(ptx);
    function->callees[function->ncallees++] = callee;
    return true;
}

bool wh_decode_call(struct wh_ptx *ptx, const struct wh_root *root)
{
    size_t room = 0;
    struct wh_call *call = wh_arena_take(ptx->arena, sizeof(*call));
    (void)root;
    if (!call)
        return wh_ptx_no_memory(ptx);
    if (wh_ptx_is(ptx, '(') &&
        (!call_params(ptx, call, &room, &call->nreturns) || !wh_ptx_expect(ptx, ',')))
        return false;
    bool taken = false;
    if (ptx->token.kind == TOKEN_WORD) {
        const struct wh_symbol *symbol =
            wh_symbol_find(ptx->symbols, ptx->token.text, ptx->token.length);
        taken = symbol && symbol->kind == SYMBOL_FUNCTION && !symbol->function->address_taken;
    }
    if (!call_target(ptx, call))
        return false;
    if (taken) /* a call alone takes no address */
        call->function->address_taken = false;
    if (wh_ptx_accept(ptx, ',') && wh_ptx_is(ptx, '(') &&
        !call_params(ptx, call, &room, &call->nargs))
        return false;
    if (wh_ptx_accept(ptx, ',')) /* the prototype, which the caller's own parameters tell */
        wh_ptx_next(ptx);
    if (call->function && !add_callee(ptx, call->function))
        return false;
    struct wh_ins *ins = wh_ptx_emit(ptx, wh_do_call);
    if (ins)
        ins->call = call;
    return ins != NULL;
}

/* ---- barriers ---- */

static bool warp_barrier(struct wh_ptx *ptx)
{
    if (!wh_decode_count(ptx, 1, 1))
        return false;
    uint32_t e = wh_ptx_source(ptx, &ptx->operands[0], T_U32);
    struct wh_ins *ins = e == WH_NONE ? NULL : wh_ptx_emit(ptx, wh_do_warp_sync);
    if (ins)
        ins->e = e;
    return ins != NULL;
}

static bool cluster_barrier(struct wh_ptx *ptx)
{
    struct wh_ins *ins = wh_ptx_emit(ptx, wh_do_cluster_barrier);
    if (ins)
        ins->sub = wh_has(&ptx->op, M_WAIT);
    return ins != NULL;
}

bool wh_decode_barrier(struct wh_ptx *ptx, const struct wh_root *root)
{
    bool red = wh_has(&ptx->op, M_RED), arrive = wh_has(&ptx->op, M_ARRIVE);
    unsigned first = red ? 1 : 0, at;
    (void)root;
    if (wh_has(&ptx->op, M_WARP))
        return warp_barrier(ptx);
    if (wh_has(&ptx->op, M_CLUSTER))
        return cluster_barrier(ptx);
    if (!red && !arrive && !wh_has(&ptx->op, M_SYNC))
        return false;
    if (!wh_decode_count(ptx, first + 1 + red, first + 2 + red))
        return false;
    bool counted = ptx->noperands == first + 2 + red;
    uint32_t id = wh_ptx_source(ptx, &ptx->operands[first], T_U32), count = WH_NONE, predicate = 0,
             d = 0;
    at = first + 1;
    if (id == WH_NONE ||
        (counted && (count = wh_ptx_source(ptx, &ptx->operands[at++], T_U32)) == WH_NONE))
        return false;
    enum wh_type type = wh_has(&ptx->op, M_POPC) ? T_U32 : T_PRED;
    if (red) {
        predicate = wh_ptx_source(ptx, &ptx->operands[at], T_PRED);
        d = wh_ptx_target(ptx, &ptx->operands[0], type);
    }
    struct wh_ins *ins =
        predicate == WH_NONE || d == WH_NONE ? NULL : wh_ptx_emit(ptx, wh_do_barrier);
    if (!ins)
        return false;
    ins->sub = arrive                    ? BARRIER_ARRIVE
               : !red                    ? BARRIER_SYNC
               : type == T_U32           ? BARRIER_POPC
               : wh_has(&ptx->op, M_AND) ? BARRIER_AND
                                         : BARRIER_OR;
    ins->a = id;
    ins->b = count;
    ins->c = predicate;
    ins->d = d;
    ins->flags = red && ptx->operands[at].negated ? F_NEGATE : 0;
    return true;
}

/* ---- talk among lanes ---- */

static bool emit_pair(struct wh_ptx *ptx)
{
    last(ptx)->target = ptx->operands[0].has_pair ? ptx->operands[0].pair : WH_NONE;
    return true;
}

bool wh_decode_shuffle(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type sources[] = {T_B32, T_B32, T_B32, T_B32};
    (void)root;
    if (!wh_has(&ptx->op, M_SYNC) || !wh_decode_emit(ptx, wh_do_shuffle, T_B32, sources, 4))
        return false;
    last(ptx)->sub = wh_has(&ptx->op, M_UP)     ? SHUFFLE_UP
                     : wh_has(&ptx->op, M_DOWN) ? SHUFFLE_DOWN
                     : wh_has(&ptx->op, M_BFLY) ? SHUFFLE_BFLY
                                                : SHUFFLE_IDX;
    return emit_pair(ptx);
}

bool wh_decode_vote(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type sources[] = {T_PRED, T_U32};
    bool ballot = wh_has(&ptx->op, M_BALLOT);
    (void)root;
    if (!wh_has(&ptx->op, M_SYNC) ||
        !wh_decode_emit(ptx, wh_do_vote, ballot ? T_B32 : T_PRED, sources, 2))
        return false;
    struct wh_ins *ins = last(ptx);
    ins->sub = ballot                    ? VOTE_BALLOT
               : wh_has(&ptx->op, M_ALL) ? VOTE_ALL
               : wh_has(&ptx->op, M_ANY) ? VOTE_ANY
                                         : VOTE_UNI;
    ins->flags = ptx->operands[1].negated ? F_NEGATE : 0;
    ins->e = ins->b;
    return true;
}

bool wh_decode_match(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    const enum wh_type sources[] = {type, T_U32};
    (void)root;
    if (wh_type_size(type) < 4 || !wh_decode_emit(ptx, wh_do_match, T_B32, sources, 2))
        return false;
    struct wh_ins *ins = last(ptx);
    ins->sub = wh_has(&ptx->op, M_ALL);
    ins->flags = wh_type_size(type) == 8 ? F_WIDE_ADDRESS : 0;
    ins->e = ins->b;
    return emit_pair(ptx);
}

bool wh_decode_redux(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const uint8_t words[] = {M_ADD, M_MIN, M_MAX, M_AND, M_OR, M_XOR};
    enum wh_type type = wh_decode_type(ptx, 0);
    const enum wh_type sources[] = {type, T_U32};
    (void)root;
    if (type == T_F32 || !wh_decode_emit(ptx, wh_do_redux, type, sources, 2))
        return false;
    struct wh_ins *ins = last(ptx);
    for (uint8_t i = 0; i < sizeof(words); i++)
        if (wh_has(&ptx->op, words[i]))
            ins->sub = i;
    ins->flags = type == T_S32 ? F_SIGNED : 0;
    ins->e = ins->b;
    return true;
}

bool wh_decode_activemask(struct wh_ptx *ptx, const struct wh_root *root)
{
    (void)root;
    return wh_decode_emit(ptx, wh_do_activemask, T_B32, NULL, 0);
}

bool wh_decode_elect(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type type = T_U32;
    (void)root;
    if (!wh_decode_emit(ptx, wh_do_elect, T_B32, &type, 1))
        return false;
    last(ptx)->e = last(ptx)->a;
    return emit_pair(ptx);
}
