/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and failures of the parser; see ptx.h. Called by its other files.
 */
#include "ptx.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX (64u << 20) /* decoding takes some hundred times the text */

static int shown(const struct wh_token *token)
{
    return (int)(token->length < 60 ? token->length : 60);
}

void wh_ptx_next(struct wh_ptx *ptx)
{
    if (ptx->status != WH_SOFT_OK) {
        ptx->token.kind = TOKEN_END;
        return;
    }
    ptx->token = wh_lex(&ptx->lexer);
    if (ptx->token.kind == TOKEN_BAD)
        wh_ptx_fail(ptx, "not PTX at '%.*s'", shown(&ptx->token), ptx->token.text);
}

bool wh_ptx_fail(struct wh_ptx *ptx, const char *format, ...)
{
    if (ptx->status != WH_SOFT_OK)
        return false;
    char text[160];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    ptx->status = WH_SOFT_INVALID_PTX;
    wh_error_set(ptx->error, EINVAL, "line %u: %s", ptx->token.line, text);
    ptx->token.kind = TOKEN_END;
    return false;
}

bool wh_ptx_no_memory(struct wh_ptx *ptx)
{
    if (ptx->status != WH_SOFT_OK)
        return false;
    ptx->status = WH_SOFT_NO_MEMORY;
    wh_error_set(ptx->error, ENOMEM, "line %u: the module is larger than the software device takes",
                 ptx->token.line);
    ptx->token.kind = TOKEN_END;
    return false;
}

bool wh_ptx_unsupported(struct wh_ptx *ptx, const char *format, ...)
{
    if (ptx->status != WH_SOFT_OK || !ptx->function || ptx->function->broken)
        return false;
    char why[100], text[240];
    va_list list;
    va_start(list, format);
    vsnprintf(why, sizeof(why), format, list);
    va_end(list);
    int n = snprintf(text, sizeof(text), "line %u: instruction %.*s: %s", ptx->line,
                     (int)(ptx->op.length < 80 ? ptx->op.length : 80),
                     ptx->op.text ? ptx->op.text : "", why);
    ptx->function->broken =
        wh_arena_text(ptx->arena, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    return ptx->function->broken ? false : wh_ptx_no_memory(ptx);
}

bool wh_ptx_is(const struct wh_ptx *ptx, char mark)
{
    return ptx->token.kind == TOKEN_MARK && ptx->token.mark == mark;
}

bool wh_ptx_accept(struct wh_ptx *ptx, char mark)
{
    if (!wh_ptx_is(ptx, mark))
        return false;
    wh_ptx_next(ptx);
    return true;
}

bool wh_ptx_expect(struct wh_ptx *ptx, char mark)
{
    if (wh_ptx_accept(ptx, mark))
        return true;
    return wh_ptx_fail(ptx, "'%c' expected before '%.*s'", mark, shown(&ptx->token),
                       ptx->token.text);
}

bool wh_ptx_word(const struct wh_ptx *ptx, const char *word)
{
    return wh_token_is(&ptx->token, word);
}

void wh_ptx_split(struct wh_ptx *ptx)
{
    static const char *const words[] = {".reg", ".param", ".global", ".shared", ".local", ".const"};
    struct wh_token *token = &ptx->token;
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        unsigned length = (unsigned)strlen(words[i]);
        if (token->kind == TOKEN_WORD && token->length > length && token->text[length] == '.' &&
            memcmp(token->text, words[i], length) == 0) {
            ptx->lexer.at = token->text + length;
            token->length = length;
            return;
        }
    }
}

bool wh_ptx_integer(struct wh_ptx *ptx, int64_t *value)
{
    bool negative = wh_ptx_accept(ptx, '-');
    if (ptx->token.kind != TOKEN_INTEGER)
        return wh_ptx_fail(ptx, "a number expected before '%.*s'", shown(&ptx->token),
                           ptx->token.text);
    *value = (int64_t)(negative ? 0 - ptx->token.value : ptx->token.value);
    wh_ptx_next(ptx);
    return true;
}

void wh_ptx_module(struct wh_ptx *ptx);

enum wh_soft_status wh_ptx_parse(struct wh_soft_module *module, const char *text, size_t size,
                                 struct wh_error *error)
{
    struct wh_ptx ptx = {.module = module, .arena = &module->arena, .error = error};
    size_t length = strnlen(text, size);
    if (length > TEXT_MAX) {
        wh_error_set(error, EFBIG, "PTX of %zu bytes: the software device takes %u at most", length,
                     TEXT_MAX);
        return WH_SOFT_NO_MEMORY;
    }
    ptx.lexer = (struct wh_lexer){.at = text, .end = text + length, .line = 1};
    ptx.unit = wh_arena_take(ptx.arena, sizeof(*ptx.unit));
    ptx.symbols = wh_symbols_new(ptx.arena);
    if (!ptx.unit || !ptx.symbols) {
        wh_ptx_no_memory(&ptx);
        return ptx.status;
    }
    ptx.unit->symbols = ptx.symbols;
    ptx.unit->functions_end = &ptx.unit->functions;
    ptx.unit->variables_end = &ptx.unit->variables;
    struct wh_module_unit **end = &module->units;
    while (*end) {
        ptx.unit->index++;
        end = &(*end)->next;
    }
    *end = ptx.unit;
    wh_ptx_next(&ptx);
    wh_ptx_module(&ptx);
    return ptx.status;
}
