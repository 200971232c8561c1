/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emitters: each writes one generated file from a checked description, which it only reads.
 * main calls them through the table in main.c; emit.c has what they share.
 */
#ifndef WH_APIGEN_EMIT_H
#define WH_APIGEN_EMIT_H

#include <stdio.h>

#include "model.h"

void emit_types_h(const struct api *api, FILE *out);
void emit_api_h(const struct api *api, FILE *out);
void emit_api_c(const struct api *api, FILE *out);
void emit_stubs_c(const struct api *api, FILE *out);
void emit_params_h(const struct api *api, FILE *out);
void emit_own_h(const struct api *api, FILE *out);
void emit_messages_h(const struct api *api, FILE *out);
void emit_thunks_h(const struct api *api, FILE *out);
void emit_thunks_c(const struct api *api, FILE *out);
void emit_trace_c(const struct api *api, FILE *out);
void emit_words_c(const struct api *api, FILE *out);
void emit_check_c(const struct api *api, FILE *out);
void emit_coverage_md(const struct api *api, FILE *out);

/* The description's meaning on the wire as text, of which the handshake's hash is taken. */
void emit_canonical(const struct api *api, FILE *out);
uint64_t hash_text(const char *text, size_t length);

/* What follows is for the emitters. */

#define EMIT_COLUMNS 100

/* No list that is emitted has more items: a call's parameters and one before them. */
#define EMIT_ITEMS (WH_MAX_PARAMS + 1)

/*
 * Comma-separated items, wrapped at EMIT_COLUMNS and aligned after the text that opened them, or on
 * lines of their own where that leaves too little room.
 */
struct emit_list {
    FILE *out;
    const char *open; /* one line's beginning */
    const char *items[EMIT_ITEMS];
    size_t count;
};

/* The texts must live until the list is closed. Nothing is written before. */
void emit_open(struct emit_list *list, FILE *out, const char *open);
void emit_item(struct emit_list *list, const char *item);
void emit_close(struct emit_list *list, const char *close);

/* The lines that begin every generated C file; `what` is one sentence. */
void emit_banner(const struct api *api, FILE *out, const char *what);
/* `TYPE NAME` in C; without a name (NULL) also without the const of the value itself, as in a cast.
 */
const char *type_text(const struct api *api, const struct ctype *type, const char *name);
/* The same with function types written out, for a place where our own names are not known. */
const char *vendor_type_text(const struct api *api, const struct ctype *type);
/* A function type's text with `name` (and its stars) inside the parentheses. */
const char *function_text(const struct api *api, const struct type *type, const char *name);
/* `RESULT NAME(PARAMS)`, with `close` after it; `prefix` stands before the result. */
void emit_prototype(const struct api *api, FILE *out, const char *prefix, const struct call *call,
                    const char *name, const char *close);
/* The C expression that makes a word of a parameter; of a structure by value, its address. */
const char *word_text(const struct api *api, const struct param *param);
/* The other way round: the parameter of word `index` of `a`. */
const char *argument_text(const struct api *api, const struct param *param, size_t index);
/* `uint64_t a[] = {...};`, the words of the parameters. */
void emit_words(const struct api *api, FILE *out, const struct call *call);
/* What stands before the call that makes a word, in the statement that returns it as the result. */
const char *return_text(const struct api *api, const struct call *call);

/* A name that programs can look up: a function's own or a variant's. */
struct exported {
    const char *name;
    const struct call *call;
};

/* All of them, ascending; returns how many. */
size_t list_exported(const struct api *api, struct exported **exported);

/* What by-hand code defines and calls: another name where the function has an entry. */
const char *own_name(const struct api *api, const struct call *call);
/* What programs call instead of them: it observes the call where somebody wants that. */
void emit_call_entry(const struct api *api, FILE *out, const struct call *call);

/* The result fits into a word, so that the call can be made by words: no structure. */
bool has_word_result(const struct call *call);
/* The name of a message or function in the names of helpers: a leading wh_ is dropped. */
const char *short_name(const struct call *call);
/* A C integer constant of the value; `hex` keeps the base the description used. */
const char *number_text(const struct api *api, struct number number);

#endif
