/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser: tokens to the model of model.h. parser.c reads the declarations, parse_call.c the
 * functions. It resolves types and constants, which are declared before their use; everything else
 * is the checker's.
 */
#ifndef WH_APIGEN_PARSER_H
#define WH_APIGEN_PARSER_H

#include "model.h"

struct parser {
    struct api *api;
    const struct source *source;
    const struct token *at;
};

/* Fills `api`, whose pool and source are set. The first error ends the program. */
void parse_api(struct api *api);

/* What follows is for parser.c and parse_call.c only. */

_Noreturn void expected(const struct parser *parser, const char *what);
bool at_mark(const struct parser *parser, char mark);
bool at_word(const struct parser *parser, const char *word);
bool accept_mark(struct parser *parser, char mark);
bool accept_word(struct parser *parser, const char *word);
void expect_mark(struct parser *parser, char mark);
const char *expect_name(struct parser *parser, const char *what);
const char *expect_string(struct parser *parser, const char *what);
/* A number with its sign, or the name of a constant. */
struct number parse_number(struct parser *parser);
int32_t parse_int32(struct parser *parser);
struct ctype parse_ctype(struct parser *parser);
/* A version of the API, not above the one described. */
void parse_since_version(struct parser *parser, uint8_t *major, uint8_t *minor);
/* The functions inside the braces of `since`. */
void parse_calls(struct parser *parser, uint8_t major, uint8_t minor);

#endif
