/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of functions: scopes, labels, declarations and one instruction after the other. Called by
 * ptx_module.c.
 */
#include "exec.h"
#include "ptx.h"

#include <string.h>

#define CODE_MAX (1u << 24)

struct wh_ins *wh_ptx_emit(struct wh_ptx *ptx, wh_run run)
{
    struct wh_function *function = ptx->function;
    if (function->ncode == CODE_MAX ||
        !wh_arena_grow(ptx->arena, &function->code, function->ncode, &function->code_room,
                       sizeof(*function->code))) {
        wh_ptx_no_memory(ptx);
        return NULL;
    }
    struct wh_ins *ins = &function->code[function->ncode++];
    *ins =
        (struct wh_ins){.run = run, .guard = ptx->guard, .invert = ptx->invert, .line = ptx->line};
    return ins;
}

/* ---- labels ---- */

bool wh_ptx_refer(struct wh_ptx *ptx, uint32_t *place, uint32_t ins, const char *name,
                  unsigned length)
{
    if (!wh_arena_grow(ptx->arena, &ptx->references, ptx->nreferences, &ptx->reference_room,
                       sizeof(*ptx->references)))
        return wh_ptx_no_memory(ptx);
    ptx->references[ptx->nreferences++] = (struct wh_reference){
        .place = place, .ins = ins, .line = ptx->line, .name = name, .length = length};
    return true;
}

/* A scope is left: what it names of its own labels is found now, the rest is the outer scope's
 * matter. */
static void resolve_references(struct wh_ptx *ptx)
{
    size_t left = ptx->scope_references[ptx->symbols->depth];
    for (size_t i = left; i < ptx->nreferences; i++) {
        const struct wh_reference *reference = &ptx->references[i];
        const struct wh_symbol *label =
            wh_symbol_find_here(ptx->symbols, reference->name, reference->length);
        if (!label || label->kind != SYMBOL_LABEL)
            ptx->references[left++] = *reference;
        else if (reference->place)
            *reference->place = label->at;
        else
            ptx->function->code[reference->ins].target = label->at;
    }
    ptx->nreferences = left;
}

static void add_label(struct wh_ptx *ptx, const char *name, unsigned length)
{
    if (wh_symbol_find_here(ptx->symbols, name, length)) {
        wh_ptx_fail(ptx, "'%.*s' is declared twice", (int)length, name);
        return;
    }
    struct wh_symbol *label =
        wh_symbol_add(ptx->symbols, ptx->symbols->depth, SYMBOL_LABEL, name, length);
    if (!label)
        wh_ptx_no_memory(ptx);
    else
        label->at = (uint32_t)ptx->function->ncode;
}

/* ---- lists: L: .branchtargets a, b; and its like ---- */

static void parse_targets(struct wh_ptx *ptx, struct wh_symbol *list)
{
    size_t n = 1, i = 0;
    struct wh_lexer saved = ptx->lexer;
    for (struct wh_token token = ptx->token; token.kind != TOKEN_END && token.kind != TOKEN_BAD;
         token = wh_lex(&ptx->lexer)) {
        if (token.kind == TOKEN_MARK && token.mark == ';')
            break;
        n += token.kind == TOKEN_MARK && token.mark == ',';
    }
    ptx->lexer = saved;
    list->list.targets = wh_arena_take(ptx->arena, n * sizeof(uint32_t));
    if (!list->list.targets) {
        wh_ptx_no_memory(ptx);
        return;
    }
    do {
        if (ptx->token.kind != TOKEN_WORD || i == n) {
            wh_ptx_fail(ptx, "a label expected");
            return;
        }
        if (!wh_ptx_refer(ptx, &list->list.targets[i++], 0, ptx->token.text, ptx->token.length))
            return;
        wh_ptx_next(ptx);
    } while (wh_ptx_accept(ptx, ','));
    list->list.ntargets = (uint32_t)n;
    wh_ptx_expect(ptx, ';');
}

static void skip_statement(struct wh_ptx *ptx)
{
    while (ptx->token.kind != TOKEN_END && !wh_ptx_accept(ptx, ';'))
        wh_ptx_next(ptx);
}

static void parse_list(struct wh_ptx *ptx, const char *name, unsigned length)
{
    bool branches = wh_ptx_word(ptx, ".branchtargets");
    if (wh_symbol_find_here(ptx->symbols, name, length)) {
        wh_ptx_fail(ptx, "'%.*s' is declared twice", (int)length, name);
        return;
    }
    struct wh_symbol *list =
        wh_symbol_add(ptx->symbols, ptx->symbols->depth, SYMBOL_LIST, name, length);
    if (!list) {
        wh_ptx_no_memory(ptx);
        return;
    }
    wh_ptx_next(ptx);
    if (branches)
        parse_targets(ptx, list);
    else
        skip_statement(ptx);
}

/* ---- declarations ---- */

static bool declare_register(struct wh_ptx *ptx, enum wh_type type)
{
    struct wh_token name = ptx->token;
    int64_t count = -1;
    if (name.kind != TOKEN_WORD)
        return wh_ptx_fail(ptx, "a register's name expected");
    wh_ptx_next(ptx);
    if (wh_ptx_accept(ptx, '<') && (!wh_ptx_integer(ptx, &count) || !wh_ptx_expect(ptx, '>')))
        return false;
    if (count < -1 || count > UINT32_MAX)
        return wh_ptx_fail(ptx, "%lld registers", (long long)count);
    if (wh_symbol_find_here(ptx->symbols, name.text, name.length))
        return wh_ptx_fail(ptx, "'%.*s' is declared twice", (int)name.length, name.text);
    struct wh_symbol *symbol =
        wh_symbol_add(ptx->symbols, ptx->symbols->depth, count < 0 ? SYMBOL_REGISTER : SYMBOL_RANGE,
                      name.text, name.length);
    if (!symbol)
        return wh_ptx_no_memory(ptx);
    symbol->type = (uint8_t)type;
    if (count >= 0)
        symbol->count = (uint32_t)count;
    else
        symbol->slot = wh_ptx_slot(ptx, type);
    return ptx->status == WH_SOFT_OK;
}

static void declare_registers(struct wh_ptx *ptx)
{
    wh_ptx_next(ptx);
    const struct wh_token *token = &ptx->token;
    enum wh_type type = token->kind == TOKEN_WORD && token->length > 1
                            ? wh_type_of(token->text + 1, token->length - 1)
                            : T_NONE;
    if (type == T_NONE) {
        wh_ptx_fail(ptx, "'%.*s' is not a type of registers", (int)token->length, token->text);
        return;
    }
    wh_ptx_next(ptx);
    do {
        if (!declare_register(ptx, type))
            return;
    } while (wh_ptx_accept(ptx, ','));
    wh_ptx_expect(ptx, ';');
}

static void declare_params(struct wh_ptx *ptx)
{
    struct wh_function *function = ptx->function;
    struct wh_param *param = wh_arena_take(ptx->arena, sizeof(*param));
    wh_ptx_next(ptx);
    if (!param) {
        wh_ptx_no_memory(ptx);
        return;
    }
    if (!wh_ptx_param(ptx, param))
        return;
    struct wh_symbol *symbol = wh_symbol_add(ptx->symbols, ptx->symbols->depth, SYMBOL_PARAM,
                                             param->name, (unsigned)strlen(param->name));
    if (!symbol) {
        wh_ptx_no_memory(ptx);
        return;
    }
    uint32_t *at = &ptx->scope_params[ptx->symbols->depth],
             unit = param->align > 4 ? param->align : 4;
    symbol->param = param;
    symbol->local = true;
    param->offset = (*at + unit - 1) & ~(unit - 1);
    *at = param->offset + param->size;
    if (*at > WH_PARAMS_MAX) {
        wh_ptx_fail(ptx, "more than %u bytes of parameters", WH_PARAMS_MAX);
        return;
    }
    if (*at > function->locals_size)
        function->locals_size = *at;
    wh_ptx_expect(ptx, ';');
}

static void skip_location(struct wh_ptx *ptx)
{
    uint32_t line = ptx->token.line;
    while (ptx->token.kind != TOKEN_END && ptx->token.line == line)
        wh_ptx_next(ptx);
}

static void parse_directive(struct wh_ptx *ptx)
{
    wh_ptx_split(ptx);
    if (wh_ptx_word(ptx, ".reg"))
        declare_registers(ptx);
    else if (wh_ptx_word(ptx, ".param"))
        declare_params(ptx);
    else if (wh_ptx_word(ptx, ".loc"))
        skip_location(ptx);
    else if (wh_ptx_word(ptx, ".pragma"))
        skip_statement(ptx);
    else if (wh_ptx_word(ptx, ".local") || wh_ptx_word(ptx, ".shared") ||
             wh_ptx_word(ptx, ".global") || wh_ptx_word(ptx, ".const"))
        wh_ptx_variable(ptx, LINK_STATIC);
    else
        wh_ptx_fail(ptx, "'%.*s' is not known here", (int)ptx->token.length, ptx->token.text);
}

/* ---- statements ---- */

static bool parse_guard(struct wh_ptx *ptx)
{
    ptx->invert = false;
    ptx->guard = wh_ptx_constant(ptx, 1, 1);
    if (!wh_ptx_accept(ptx, '@'))
        return true;
    struct wh_operand guard;
    ptx->op = (struct wh_opcode){0};
    if (!wh_ptx_operand(ptx, &guard))
        return false;
    if (guard.kind != O_REGISTER || guard.type != T_PRED)
        return wh_ptx_fail(ptx, "a predicate expected behind '@'");
    ptx->guard = guard.slot;
    ptx->invert = guard.negated;
    return true;
}

static void parse_instruction(struct wh_ptx *ptx)
{
    ptx->line = ptx->token.line;
    if (!parse_guard(ptx))
        return;
    if (ptx->token.kind != TOKEN_WORD) {
        wh_ptx_fail(ptx, "an instruction expected before '%.*s'",
                    (int)(ptx->token.length < 60 ? ptx->token.length : 60), ptx->token.text);
        return;
    }
    ptx->line = ptx->token.line;
    if (ptx->token.length > 200) {
        wh_ptx_fail(ptx, "an instruction expected");
        return;
    }
    wh_opcode_parse(&ptx->op, ptx->token.text, ptx->token.length);
    wh_ptx_next(ptx);
    wh_ptx_decode(ptx);
}

/* `name:` is a label; with a directive behind, a list. */
static bool parse_label(struct wh_ptx *ptx)
{
    struct wh_lexer saved = ptx->lexer;
    struct wh_token name = ptx->token, mark = wh_lex(&ptx->lexer);
    if (mark.kind != TOKEN_MARK || mark.mark != ':') {
        ptx->lexer = saved;
        return false;
    }
    wh_ptx_next(ptx);
    if (wh_ptx_word(ptx, ".branchtargets") || wh_ptx_word(ptx, ".calltargets") ||
        wh_ptx_word(ptx, ".callprototype"))
        parse_list(ptx, name.text, name.length);
    else
        add_label(ptx, name.text, name.length);
    return true;
}

static bool enter(struct wh_ptx *ptx)
{
    uint32_t params = ptx->scope_params[ptx->symbols->depth];
    if (!wh_symbols_enter(ptx->symbols))
        return wh_ptx_fail(ptx, "scopes nest too deep");
    ptx->scope_references[ptx->symbols->depth] = ptx->nreferences;
    ptx->scope_params[ptx->symbols->depth] = params;
    return true;
}

static void parse_statement(struct wh_ptx *ptx, unsigned outer)
{
    if (wh_ptx_accept(ptx, '{')) {
        enter(ptx);
    } else if (wh_ptx_is(ptx, '}')) {
        resolve_references(ptx);
        if (ptx->symbols->depth > outer) {
            wh_symbols_leave(ptx->symbols);
            wh_ptx_next(ptx);
        }
    } else if (wh_ptx_accept(ptx, ';')) {
        return;
    } else if (ptx->token.kind == TOKEN_WORD && ptx->token.text[0] == '.') {
        parse_directive(ptx);
    } else if (ptx->token.kind != TOKEN_WORD || !parse_label(ptx)) {
        parse_instruction(ptx);
    }
}

/* Behind the last instruction stands one that ends the thread: no program counter leaves the code.
 */
static void finish(struct wh_ptx *ptx)
{
    ptx->invert = false;
    ptx->guard = wh_ptx_constant(ptx, 1, 1);
    wh_ptx_emit(ptx, ptx->function->entry ? wh_do_exit : wh_do_return);
    if (ptx->nreferences > 0 && ptx->status == WH_SOFT_OK) {
        const struct wh_reference *reference = &ptx->references[0];
        ptx->token.line = reference->line;
        wh_ptx_fail(ptx, "there is no label '%.*s'",
                    (int)(reference->length < 60 ? reference->length : 60), reference->name);
    }
}

void wh_ptx_body(struct wh_ptx *ptx)
{
    unsigned outer = ptx->symbols->depth;
    ptx->constant_hash = NULL;
    ptx->constant_buckets = 0;
    ptx->nreferences = 0;
    ptx->scope_references[outer] = 0;
    ptx->scope_params[outer] = 0;
    ptx->function->frame_size = 4 * WH_SLOT;
    ptx->line = ptx->token.line;
    if (!wh_ptx_expect(ptx, '{'))
        return;
    while (ptx->token.kind != TOKEN_END) {
        if (wh_ptx_is(ptx, '}') && ptx->symbols->depth == outer)
            break;
        parse_statement(ptx, outer);
    }
    if (ptx->status == WH_SOFT_OK && ptx->symbols->depth != outer)
        wh_ptx_fail(ptx, "'}' expected");
    while (ptx->symbols->depth > outer)
        wh_symbols_leave(ptx->symbols);
    resolve_references(ptx);
    finish(ptx);
    wh_ptx_expect(ptx, '}');
}
