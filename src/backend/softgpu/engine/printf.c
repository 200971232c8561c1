/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel's printf: the format and the packed arguments lie in device memory and are hostile. Each
 * conversion is handed to the C library alone, with a format that was made here. Called by
 * builtin.c.
 */
#include "exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_MAX 65536u
#define TEXT_MAX   (256u << 10)
#define WIDTH_MAX  4096

struct printing {
    struct wh_warp *warp;
    unsigned lane;
    uint64_t arguments, at;
    char *text;
    size_t size, room;
    int n;
};

static void put(struct printing *p, const char *text, size_t size)
{
    if (p->size + size > p->room) {
        size_t room = (p->size + size) * 2 + 64;
        char *more = p->size + size > TEXT_MAX ? NULL : realloc(p->text, room);
        if (!more)
            return;
        p->text = more;
        p->room = room;
    }
    if (size)
        memcpy(p->text + p->size, text, size);
    p->size += size;
}

/* The next argument: 4 or 8 bytes, where their size lets them begin. */
static uint64_t argument(struct printing *p, unsigned size)
{
    uint64_t value = 0, room = 0;
    p->at = (p->at + size - 1) & ~(uint64_t)(size - 1);
    const void *from = wh_span(p->warp, p->lane, p->arguments + p->at, &room);
    if (from && room >= size)
        memcpy(&value, from, size);
    p->at += size;
    return value;
}

struct conversion {
    char flags[8];
    int width, precision; /* -1: none */
    bool wide;            /* 64 bits */
    unsigned shorts;      /* h: 1, hh: 2 */
    char kind;
};

static const char *read_number(struct printing *p, const char *at, const char *end, int *number)
{
    if (at < end && *at == '*') {
        int value = (int)argument(p, 4);
        *number = value < -WIDTH_MAX ? -WIDTH_MAX : value > WIDTH_MAX ? WIDTH_MAX : value;
        return at + 1;
    }
    if (at < end && *at >= '0' && *at <= '9')
        *number = 0;
    while (at < end && *at >= '0' && *at <= '9') {
        *number = *number * 10 + (*at++ - '0');
        *number = *number > WIDTH_MAX ? WIDTH_MAX : *number;
    }
    return at;
}

/* Behind the '%'. */
static const char *read_conversion(struct printing *p, const char *at, const char *end,
                                   struct conversion *conversion)
{
    size_t n = 0;
    *conversion = (struct conversion){.width = -1, .precision = -1};
    while (at < end && *at && strchr("-+ #0", *at)) {
        if (n < sizeof(conversion->flags) - 1 && !strchr(conversion->flags, *at))
            conversion->flags[n++] = *at;
        at++;
    }
    at = read_number(p, at, end, &conversion->width);
    if (conversion->width < -1 && n < sizeof(conversion->flags) - 1) {
        conversion->flags[n] = '-';
        conversion->width = -conversion->width;
    }
    if (at < end && *at == '.') {
        conversion->precision = 0;
        at = read_number(p, at + 1, end, &conversion->precision);
    }
    for (; at < end && *at && strchr("hljztLq", *at); at++) {
        conversion->wide |= *at != 'h' && *at != 'L';
        conversion->shorts += *at == 'h';
    }
    conversion->kind = at < end ? *at++ : '\0';
    return at;
}

static void put_string(struct printing *p, const struct conversion *conversion, const char *format)
{
    char *text = malloc(TEXT_MAX);
    uint64_t room = 0, address = argument(p, 8);
    const char *from = address ? wh_span(p->warp, p->lane, address, &room) : "(null)";
    size_t most = address ? (size_t)(room < FORMAT_MAX ? room : FORMAT_MAX) : 6;
    size_t n = from ? strnlen(from, most) : 0;
    char *copy = malloc(n + 1);
    if (text && copy) {
        if (n)
            memcpy(copy, from, n);
        copy[n] = '\0';
        int width = conversion->width < 0 ? 0 : conversion->width,
            precision = conversion->precision;
        int size = snprintf(text, TEXT_MAX, format, width,
                            precision < 0 ? (int)FORMAT_MAX : precision, copy);
        put(p, text, size < 0 ? 0 : (size_t)size < TEXT_MAX ? (size_t)size : TEXT_MAX - 1);
    }
    free(copy);
    free(text);
}

static void put_value(struct printing *p, const struct conversion *conversion)
{
    static const char kinds[] = "diouxXcpeEfFgGaAs";
    char format[32], text[3 * WIDTH_MAX];
    int size, width = conversion->width < 0 ? 0 : conversion->width,
              precision = conversion->precision;
    if (!conversion->kind || !strchr(kinds, conversion->kind)) {
        put(p, &conversion->kind, conversion->kind ? 1 : 0);
        return;
    }
    bool integer = strchr("diouxX", conversion->kind) != NULL;
    snprintf(format, sizeof(format), "%%%s*.*%s%c", conversion->flags, integer ? "ll" : "",
             conversion->kind);
    p->n++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (conversion->kind == 's') {
        put_string(p, conversion, format);
        return;
    }
    if (conversion->kind == 'c') {
        snprintf(format, sizeof(format), "%%%s*c", conversion->flags);
        size = snprintf(text, sizeof(text), format, width, (int)argument(p, 4));
    } else if (conversion->kind == 'p') {
        snprintf(format, sizeof(format), "%%%s*p", conversion->flags);
        size = snprintf(text, sizeof(text), format, width,
                        (void *)(uintptr_t)argument(p, 8)); /* NOLINT */
    } else if (integer) {
        uint64_t value = argument(p, conversion->wide ? 8 : 4);
        bool is_signed = conversion->kind == 'd' || conversion->kind == 'i';
        if (!conversion->wide && is_signed)
            value = (uint64_t)(int64_t)(int32_t)value;
        if (conversion->shorts && !conversion->wide)
            value = conversion->shorts > 1
                        ? (is_signed ? (uint64_t)(int64_t)(int8_t)value : (uint8_t)value)
                        : (is_signed ? (uint64_t)(int64_t)(int16_t)value : (uint16_t)value);
        size = snprintf(text, sizeof(text), format, width, precision, (long long)value);
    } else {
        uint64_t bits = argument(p, 8);
        double value;
        memcpy(&value, &bits, sizeof(value));
        size = snprintf(text, sizeof(text), format, width, precision, value);
    }
#pragma GCC diagnostic pop
    put(p, text, size < 0 ? 0 : (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

int wh_printf(struct wh_warp *warp, unsigned lane, uint64_t format, uint64_t arguments, char **text,
              size_t *size)
{
    struct printing p = {.warp = warp, .lane = lane, .arguments = arguments};
    uint64_t room = 0;
    const char *at = wh_span(warp, lane, format, &room);
    if (!at)
        return -1;
    const char *end = at + strnlen(at, room < FORMAT_MAX ? room : FORMAT_MAX);
    while (at < end) {
        const char *percent = memchr(at, '%', (size_t)(end - at));
        put(&p, at, (size_t)((percent ? percent : end) - at));
        if (!percent)
            break;
        at = percent + 1;
        if (at < end && *at == '%') {
            put(&p, at++, 1);
            continue;
        }
        struct conversion conversion;
        at = read_conversion(&p, at, end, &conversion);
        put_value(&p, &conversion);
    }
    *text = p.text;
    *size = p.size;
    return p.n;
}
