/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and what they stand for, with scopes: the inner hides the outer and goes when its scope is
 * left. Used by the parser, and by the linker for the outermost scope of a unit.
 */
#ifndef WH_SOFTGPU_SYMBOL_H
#define WH_SOFTGPU_SYMBOL_H

#include "code.h"

enum wh_symbol_kind {
    SYMBOL_REGISTER,
    SYMBOL_RANGE, /* .reg .b32 %r<55>: registers come to be as they are named */
    SYMBOL_VARIABLE,
    SYMBOL_FUNCTION,
    SYMBOL_PARAM, /* of the function, or a .param variable of its body */
    SYMBOL_LABEL,
    SYMBOL_LIST, /* .branchtargets, .calltargets, .callprototype */
};

struct wh_symbol {
    struct wh_symbol *chain, *scope_next;
    const char *name;
    unsigned length;
    uint32_t hash;
    uint8_t kind, type, vector, depth;
    bool local; /* SYMBOL_PARAM: of the body */
    union {
        uint32_t slot;  /* REGISTER */
        uint32_t count; /* RANGE */
        uint32_t at;    /* LABEL: index of an instruction */
        struct wh_variable *variable;
        struct wh_function *function;
        struct wh_param *param;
        struct {
            uint32_t *targets;
            uint32_t ntargets;
        } list;
    };
};

struct wh_symbols {
    struct wh_arena *arena;
    struct wh_symbol **buckets;
    uint32_t nbuckets, n;
    struct wh_symbol *scope[64]; /* what each scope declared, last first */
    unsigned depth;
};

struct wh_symbols *wh_symbols_new(struct wh_arena *arena);
struct wh_symbol *wh_symbol_find(const struct wh_symbols *symbols, const char *name,
                                 unsigned length);
/* In the scope itself, not in those around it. */
struct wh_symbol *wh_symbol_find_here(const struct wh_symbols *symbols, const char *name,
                                      unsigned length);
/* Into the scope of that depth, 0 for the outermost. NULL past the arena's limit. The name is
 * copied. */
struct wh_symbol *wh_symbol_add(struct wh_symbols *symbols, unsigned depth,
                                enum wh_symbol_kind kind, const char *name, unsigned length);
/* False: too deep. */
bool wh_symbols_enter(struct wh_symbols *symbols);
void wh_symbols_leave(struct wh_symbols *symbols);

#endif
