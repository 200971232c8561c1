/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library with an API's own names between a program and the library that it would have loaded:
 * each call is written down as a line of text, then made. `wormhole run --trace` puts it there, and
 * says in WORMHOLE_TRACE where to write, in WORMHOLE_TRACE_LIBRARY what to trace; without that
 * option it is not loaded, so that it costs nothing. The format is in
 * docs/trace-format.md.
 */
#ifndef WH_TRACE_TRACE_H
#define WH_TRACE_TRACE_H

#include "trace/print.h"

/* An API's side of it. Whatever may be NULL is left out. */
struct wh_tracer {
    const struct wh_words *words;
    void *const *wrappers; /* the tracing library's own functions, as words->calls */
    wh_trace_special *special;
    /* Before a call, without the lock: may make calls to the library. */
    void (*prepare)(const struct wh_word_call *call, const uint64_t *a);
    /* Prints an argument in its own way, or returns false. */
    bool (*argument)(const struct wh_trace_printer *printer, const struct wh_word_call *call,
                     unsigned index, const uint64_t *a);
    /* The call is written down and about to be made; it has succeeded. */
    void (*going)(const struct wh_word_call *call, const uint64_t *a);
    void (*succeeded)(const struct wh_word_call *call, const uint64_t *a);
};

/* The library's one. */
extern const struct wh_tracer wh_tracer;

/* Makes a call of words->calls, and writes it down where that is wanted. Its result. */
uint64_t wh_trace_call(unsigned place, const uint64_t *a);

/* The traced library's function of this name, or NULL. Only from the tracer's own functions. */
void *wh_trace_function(const char *name);

/* The tracing function that stands for an address in the traced library; the address itself when
 * none does. */
void *wh_trace_wrapper(void *address);

#endif
