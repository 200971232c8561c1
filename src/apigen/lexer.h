/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of a description to tokens, and the one way to report an error in it. Called by main and by
 * the parser. Knows nothing of the grammar: keywords are names here.
 */
#ifndef WH_APIGEN_LEXER_H
#define WH_APIGEN_LEXER_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

/* A place in the description, both counted from 1, the column in bytes. */
struct where {
    int line, column;
};

struct source {
    const char *path; /* as the user wrote it, for messages */
    const char *text;
    size_t length;
};

enum token_kind { TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_MARK, TOKEN_END };

/* A number as it was written: what is emitted keeps its base and suffixes. */
struct number {
    uint64_t magnitude;
    bool negative, hex, suffix_u, suffix_l;
};

struct token {
    enum token_kind kind;
    struct where where;
    const char *text; /* a name, a string without its quotes, a number's or mark's own text */
    struct number number;
};

struct tokens {
    LIST(struct token) list; /* ends with a TOKEN_END */
};

void lexer_read(const struct source *source, struct pool *pool, struct tokens *tokens);

/* Prints PATH:LINE:COLUMN: error: TEXT and ends the program with status 1. */
_Noreturn void fail(const struct source *source, struct where where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
