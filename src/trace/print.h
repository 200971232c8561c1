/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls as text, by the tables of the description: arguments, what they point to, results. Never
 * prints the bytes of a transfer. Called by trace.c, under its lock.
 */
#ifndef WH_TRACE_PRINT_H
#define WH_TRACE_PRINT_H

#include "trace/words.h"

#include <stdio.h>

/* What the tables cannot say of the API: prints a structure of this number in its own way, or
 * returns false. */
struct wh_trace_printer;
typedef bool wh_trace_special(const struct wh_trace_printer *printer, unsigned structure,
                              const void *bytes);

struct wh_trace_printer {
    FILE *out;
    const struct wh_words *words;
    wh_trace_special *special;
    bool given; /* what is printed is a result */
};

/* `handle` as TYPE#NUMBER; small ones as TYPE=VALUE, none as NULL. */
void wh_trace_print_handle(const struct wh_trace_printer *printer, unsigned type, uint64_t handle);

/* An address as mem#NUMBER, mem#NUMBER+OFFSET, host, or NULL. */
void wh_trace_print_address(FILE *out, uint64_t address);

/* Bytes in hexadecimal after an x, without the zeros at the end. */
void wh_trace_print_bytes(FILE *out, const uint8_t *bytes, size_t size);

/* A call's argument before it is made: of results only whether they are wanted. */
void wh_trace_print_argument(const struct wh_trace_printer *printer,
                             const struct wh_word_call *call, unsigned index, const uint64_t *a);

/* What a successful call wrote, in parentheses; nothing when there is nothing. */
void wh_trace_print_results(const struct wh_trace_printer *printer, const struct wh_word_call *call,
                            const uint64_t *a);

#endif
