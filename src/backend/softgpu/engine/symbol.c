/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The symbol table; see symbol.h. Its memory is the module's arena.
 */
#include "symbol.h"

#include <string.h>

static uint32_t hash_name(const char *name, unsigned length)
{
    uint32_t hash = 2166136261u;
    for (unsigned i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash;
}

struct wh_symbols *wh_symbols_new(struct wh_arena *arena)
{
    struct wh_symbols *symbols = wh_arena_take(arena, sizeof(*symbols));
    if (!symbols)
        return NULL;
    symbols->arena = arena;
    symbols->nbuckets = 1024;
    symbols->buckets = wh_arena_take(arena, symbols->nbuckets * sizeof(*symbols->buckets));
    return symbols->buckets ? symbols : NULL;
}

struct wh_symbol *wh_symbol_find(const struct wh_symbols *symbols, const char *name,
                                 unsigned length)
{
    uint32_t hash = hash_name(name, length);
    struct wh_symbol *symbol = symbols->buckets[hash & (symbols->nbuckets - 1)];
    while (symbol && (symbol->hash != hash || symbol->length != length ||
                      memcmp(symbol->name, name, length) != 0))
        symbol = symbol->chain;
    return symbol;
}

struct wh_symbol *wh_symbol_find_here(const struct wh_symbols *symbols, const char *name,
                                      unsigned length)
{
    struct wh_symbol *found = wh_symbol_find(symbols, name, length);
    return found && found->depth == symbols->depth ? found : NULL;
}

/* Chains keep their order, newest first, or inner names would no longer hide outer ones. */
static void grow(struct wh_symbols *symbols)
{
    uint32_t more = symbols->nbuckets * 4;
    struct wh_symbol **buckets = wh_arena_take(symbols->arena, more * sizeof(*buckets));
    if (!buckets)
        return;
    for (uint32_t i = 0; i < symbols->nbuckets; i++) {
        struct wh_symbol *reversed = NULL;
        while (symbols->buckets[i]) {
            struct wh_symbol *symbol = symbols->buckets[i];
            symbols->buckets[i] = symbol->chain;
            symbol->chain = reversed;
            reversed = symbol;
        }
        while (reversed) {
            struct wh_symbol *symbol = reversed, **bucket = &buckets[symbol->hash & (more - 1)];
            reversed = symbol->chain;
            symbol->chain = *bucket;
            *bucket = symbol;
        }
    }
    symbols->buckets = buckets;
    symbols->nbuckets = more;
}

struct wh_symbol *wh_symbol_add(struct wh_symbols *symbols, unsigned depth,
                                enum wh_symbol_kind kind, const char *name, unsigned length)
{
    struct wh_symbol *symbol = wh_arena_take(symbols->arena, sizeof(*symbol));
    if (!symbol)
        return NULL;
    symbol->name = wh_arena_text(symbols->arena, name, length);
    if (!symbol->name)
        return NULL;
    if (symbols->n++ > symbols->nbuckets * 2)
        grow(symbols);
    symbol->kind = (uint8_t)kind;
    symbol->length = length;
    symbol->hash = hash_name(name, length);
    struct wh_symbol **bucket = &symbols->buckets[symbol->hash & (symbols->nbuckets - 1)];
    symbol->chain = *bucket;
    *bucket = symbol;
    symbol->depth = (uint8_t)depth;
    symbol->scope_next = symbols->scope[depth];
    symbols->scope[depth] = symbol;
    return symbol;
}

bool wh_symbols_enter(struct wh_symbols *symbols)
{
    if (symbols->depth + 1 == sizeof(symbols->scope) / sizeof(symbols->scope[0]))
        return false;
    symbols->scope[++symbols->depth] = NULL;
    return true;
}

void wh_symbols_leave(struct wh_symbols *symbols)
{
    for (struct wh_symbol *symbol = symbols->scope[symbols->depth]; symbol;
         symbol = symbol->scope_next) {
        struct wh_symbol **at = &symbols->buckets[symbol->hash & (symbols->nbuckets - 1)];
        while (*at != symbol)
            at = &(*at)->chain;
        *at = symbol->chain;
        symbols->n--;
    }
    symbols->depth--;
}
