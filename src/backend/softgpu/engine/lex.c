/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lexer of PTX. Reads hostile text between two pointers and never past them; allocates nothing.
 */
#include "lex.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 63u

static int peek(const struct wh_lexer *lexer, size_t ahead)
{
    return (size_t)(lexer->end - lexer->at) > ahead ? (unsigned char)lexer->at[ahead] : 0;
}

static void skip_comment(struct wh_lexer *lexer)
{
    bool block = peek(lexer, 1) == '*';
    lexer->at += 2;
    while (lexer->at < lexer->end) {
        if (*lexer->at == '\n' && !block)
            return;
        if (block && *lexer->at == '*' && peek(lexer, 1) == '/') {
            lexer->at += 2;
            return;
        }
        lexer->line += *lexer->at++ == '\n';
    }
}

static void skip_space(struct wh_lexer *lexer)
{
    for (;;) {
        int c = peek(lexer, 0);
        if (c == '/' && (peek(lexer, 1) == '/' || peek(lexer, 1) == '*'))
            skip_comment(lexer);
        else if (c && isspace(c))
            lexer->line += *lexer->at++ == '\n';
        else
            return;
    }
}

static bool is_word(int c)
{
    return isalnum(c) || c == '_' || c == '$' || c == '%' || c == '.';
}

static void lex_word(struct wh_lexer *lexer, struct wh_token *token)
{
    token->kind = TOKEN_WORD;
    for (;;) {
        if (is_word(peek(lexer, 0)))
            lexer->at++;
        else if (peek(lexer, 0) == ':' && peek(lexer, 1) == ':' && is_word(peek(lexer, 2)))
            lexer->at += 2;
        else
            break;
    }
    token->length = (unsigned)(lexer->at - token->text);
}

/* 0f3F800000 and 0d3FF0000000000000: the bits themselves. */
static bool lex_bits(struct wh_token *token, const char *number, size_t length)
{
    char kind = (char)tolower(number[1]);
    if (length != (kind == 'f' ? 10u : 18u))
        return false;
    for (size_t i = 2; i < length; i++)
        if (!isxdigit((unsigned char)number[i]))
            return false;
    token->value = strtoull(number + 2, NULL, 16);
    token->kind = kind == 'f' ? TOKEN_SINGLE : TOKEN_FLOAT;
    return true;
}

static bool lex_decimal(struct wh_token *token, const char *number)
{
    char *end;
    double value = strtod(number, &end);
    memcpy(&token->value, &value, sizeof(value));
    token->kind = TOKEN_FLOAT;
    return *end == '\0';
}

static bool lex_integer(struct wh_token *token, char *number, size_t length)
{
    if (length > 1 && tolower((unsigned char)number[length - 1]) == 'u')
        number[--length] = '\0';
    int radix = number[0] == '0' && length > 1 ? 8 : 10;
    const char *digits = number;
    if (radix == 8 && tolower((unsigned char)number[1]) == 'x') {
        radix = 16;
        digits += 2;
    } else if (radix == 8 && tolower((unsigned char)number[1]) == 'b') {
        radix = 2;
        digits += 2;
    }
    char *end;
    token->value = strtoull(digits, &end, radix);
    token->kind = TOKEN_INTEGER;
    return end != digits && *end == '\0';
}

static bool is_exponent_sign(const struct wh_lexer *lexer, const char *start)
{
    int before = tolower((unsigned char)lexer->at[-1]);
    return before == 'e' && (peek(lexer, 0) == '-' || peek(lexer, 0) == '+') &&
           !(lexer->at - start > 1 && start[0] == '0' && tolower((unsigned char)start[1]) == 'x') &&
           isdigit(peek(lexer, 1));
}

static void lex_number(struct wh_lexer *lexer, struct wh_token *token)
{
    char number[NUMBER_MAX + 1];
    const char *start = lexer->at++;
    while (isalnum(peek(lexer, 0)) || peek(lexer, 0) == '.' || is_exponent_sign(lexer, start))
        lexer->at++;
    size_t length = (size_t)(lexer->at - start);
    token->length = (unsigned)length;
    token->kind = TOKEN_BAD;
    if (length > NUMBER_MAX)
        return;
    memcpy(number, start, length);
    number[length] = '\0';
    char kind = length > 1 && number[0] == '0' ? (char)tolower((unsigned char)number[1]) : ' ';
    bool hex = kind == 'x', good;
    if (kind == 'f' || kind == 'd')
        good = lex_bits(token, number, length);
    else if (!hex && strpbrk(number, ".eE"))
        good = lex_decimal(token, number);
    else
        good = lex_integer(token, number, length);
    if (!good)
        token->kind = TOKEN_BAD;
}

static void lex_string(struct wh_lexer *lexer, struct wh_token *token)
{
    token->text = ++lexer->at;
    while (lexer->at < lexer->end && *lexer->at != '"' && *lexer->at != '\n')
        lexer->at++;
    token->length = (unsigned)(lexer->at - token->text);
    token->kind = peek(lexer, 0) == '"' ? TOKEN_STRING : TOKEN_BAD;
    if (token->kind == TOKEN_STRING)
        lexer->at++;
}

struct wh_token wh_lex(struct wh_lexer *lexer)
{
    skip_space(lexer);
    struct wh_token token = {.kind = TOKEN_END, .text = lexer->at, .line = lexer->line};
    int c = peek(lexer, 0);
    if (lexer->at == lexer->end)
        return token;
    if (isdigit(c)) {
        lex_number(lexer, &token);
    } else if (is_word(c)) {
        lex_word(lexer, &token);
    } else if (c == '"') {
        lex_string(lexer, &token);
    } else {
        token.kind = c > ' ' && c < 127 ? TOKEN_MARK : TOKEN_BAD;
        token.mark = (char)c;
        token.length = 1;
        lexer->at++;
    }
    return token;
}
