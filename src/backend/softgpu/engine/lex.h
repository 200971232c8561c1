/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PTX text as tokens. Used by the parser only.
 */
#ifndef WH_SOFTGPU_LEX_H
#define WH_SOFTGPU_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wh_token_kind {
    TOKEN_END,
    TOKEN_WORD, /* names, opcodes, directives: everything from a letter, _ $ % or . on, dots and ::
                   included */
    TOKEN_INTEGER, /* value */
    TOKEN_FLOAT,   /* value: bits of a double */
    TOKEN_SINGLE,  /* value: bits of a float */
    TOKEN_STRING,
    TOKEN_MARK, /* one character, in `mark` */
    TOKEN_BAD
};

struct wh_token {
    enum wh_token_kind kind;
    char mark;
    const char *text;
    unsigned length;
    uint64_t value;
    uint32_t line;
};

struct wh_lexer {
    const char *at, *end;
    uint32_t line;
};

struct wh_token wh_lex(struct wh_lexer *lexer);

static inline bool wh_token_is(const struct wh_token *token, const char *text)
{
    unsigned n = 0;
    while (n < token->length && text[n] && text[n] == token->text[n])
        n++;
    return token->kind == TOKEN_WORD && n == token->length && text[n] == '\0';
}

#endif
