/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls as arrays of words, one per parameter: what each word means, and how to make a call of
 * them. The generator writes the tables; the tracer prints by them, a player of traces reads by
 * them. A scalar's word is its value, of a pointer and of a structure by value it is the address.
 */
#ifndef WH_TRACE_WORDS_H
#define WH_TRACE_WORDS_H

#include "wire/desc.h"

enum wh_word_kind {
    WH_WORD_NUMBER,
    WH_WORD_FLOAT,
    WH_WORD_OBJECT,  /* a handle */
    WH_WORD_ADDRESS, /* of memory, whose ever */
    WH_WORD_TEXT,    /* the address of a NUL-terminated text */
    WH_WORD_STRUCT,
    WH_WORD_BYTES,    /* plain bytes, and unions */
    WH_WORD_FUNCTION, /* of the program */
};

enum wh_word_way {
    WH_WORD_VALUE, /* the word itself */
    WH_WORD_IN,    /* elements behind it that the call reads */
    WH_WORD_OUT,   /* that it writes */
};

struct wh_word_type {
    uint8_t kind; /* enum wh_word_kind */
    bool is_signed;
    uint16_t index; /* object type or structure */
    uint32_t size;  /* bytes of one element */
};

struct wh_word_member {
    struct wh_word_type type;
    uint32_t offset, elements;
};

struct wh_word_struct {
    const struct wh_word_member *members;
    size_t nmembers;
    size_t size;
};

struct wh_word_param {
    const char *name;
    uint8_t way; /* enum wh_word_way */
    struct wh_word_type type;
    struct wh_length length; /* elements, of IN and OUT */
};

/* One exported name. */
struct wh_word_call {
    const char *name;
    uint16_t number; /* of its function, in wh_api.calls */
    uint8_t nparams;
    const struct wh_word_param *params;
    uint64_t (*make)(void *function, const uint64_t *a); /* calls `function`, of this type */
};

struct wh_words {
    const struct wh_api *api;
    const struct wh_word_call *calls; /* ascending by name */
    const struct wh_word_struct *structs;
    size_t ncalls;
};

#endif
