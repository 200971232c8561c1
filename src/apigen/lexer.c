/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lexer: names, numbers, strings, marks; `#` comments and white space are dropped. See lexer.h.
 */
#include "lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lexer {
    const struct source *source;
    struct pool *pool;
    size_t at;
    struct where where;
};

void fail(const struct source *source, struct where where, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d:%d: error: ", source->path, where.line, where.column);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static int peek(const struct lexer *lexer)
{
    if (lexer->at == lexer->source->length)
        return -1;
    return (unsigned char)lexer->source->text[lexer->at];
}

static void advance(struct lexer *lexer)
{
    if (peek(lexer) == '\n') {
        lexer->where.line++;
        lexer->where.column = 0;
    }
    lexer->where.column++;
    lexer->at++;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static void skip_blank(struct lexer *lexer)
{
    for (int c = peek(lexer); c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '#';
         c = peek(lexer)) {
        if (c != '#') {
            advance(lexer);
            continue;
        }
        while (peek(lexer) != '\n' && peek(lexer) != -1)
            advance(lexer);
    }
}

static const char *take_word(struct lexer *lexer)
{
    size_t start = lexer->at;

    while (is_name(peek(lexer)))
        advance(lexer);
    return pool_copy(lexer->pool, lexer->source->text + start, lexer->at - start);
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Reads the suffixes at `text`; false when they are not C's. */
static bool read_suffix(const char *text, struct number *number)
{
    size_t longs = 0;

    for (; *text; text++) {
        if ((*text == 'u' || *text == 'U') && !number->suffix_u)
            number->suffix_u = true;
        else if ((*text == 'l' || *text == 'L') && longs++ < 2)
            number->suffix_l = true;
        else
            return false;
    }
    return true;
}

static void read_number(const struct lexer *lexer, struct token *token)
{
    struct number *number = &token->number;
    const char *at = token->text;
    uint64_t base = 10;

    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        number->hex = true;
        base = 16;
        at += 2;
    } else if (at[0] == '0' && is_digit(at[1])) {
        fail(lexer->source, token->where, "a number may not begin with 0: octal is not known");
    }
    if ((uint64_t)digit_value(*at) >= base)
        fail(lexer->source, token->where, "'%s' is not a number", token->text);
    for (; (uint64_t)digit_value(*at) < base; at++) {
        uint64_t digit = (uint64_t)digit_value(*at);

        if (__builtin_mul_overflow(number->magnitude, base, &number->magnitude) ||
            __builtin_add_overflow(number->magnitude, digit, &number->magnitude))
            fail(lexer->source, token->where, "'%s' does not fit 64 bits", token->text);
    }
    if (!read_suffix(at, number))
        fail(lexer->source, token->where, "'%s' is not a number", token->text);
}

static const char *take_string(struct lexer *lexer)
{
    struct where begin = lexer->where;

    advance(lexer);
    size_t start = lexer->at;
    while (peek(lexer) != '"') {
        if (peek(lexer) == '\n' || peek(lexer) == -1)
            fail(lexer->source, begin, "the string does not end on its line");
        if (peek(lexer) < ' ' || peek(lexer) > '~')
            fail(lexer->source, lexer->where, "a string holds printable ASCII only");
        advance(lexer);
    }
    const char *text = pool_copy(lexer->pool, lexer->source->text + start, lexer->at - start);
    advance(lexer);
    return text;
}

static struct token take_token(struct lexer *lexer)
{
    skip_blank(lexer);

    struct token token = {.where = lexer->where, .text = ""};
    int c = peek(lexer);
    if (c == -1) {
        token.kind = TOKEN_END;
    } else if (is_digit(c)) {
        token.kind = TOKEN_NUMBER;
        token.text = take_word(lexer);
        read_number(lexer, &token);
    } else if (is_name(c)) {
        token.kind = TOKEN_NAME;
        token.text = take_word(lexer);
    } else if (c == '"') {
        token.kind = TOKEN_STRING;
        token.text = take_string(lexer);
    } else if (c && strchr("{}()[]=;:,*.-", c)) {
        token.kind = TOKEN_MARK;
        token.text = pool_print(lexer->pool, "%c", c);
        advance(lexer);
    } else if (c > ' ' && c <= '~') {
        fail(lexer->source, lexer->where, "'%c' has no meaning here", c);
    } else {
        fail(lexer->source, lexer->where, "byte 0x%02x is not printable ASCII", (unsigned)c);
    }
    return token;
}

void lexer_read(const struct source *source, struct pool *pool, struct tokens *tokens)
{
    struct lexer lexer = {.source = source, .pool = pool, .where = {1, 1}};
    struct token token;

    do {
        token = take_token(&lexer);
        LIST_ADD(pool, &tokens->list, token);
    } while (token.kind != TOKEN_END);
}
