/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes an opcode apart into its root, its types and its words. Called for every instruction.
 * Unknown words are noted, not refused: the decoder decides, it knows whether the function is ever
 * used.
 */
#include "types.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t size;
} types[T_COUNT] = {
    [T_PRED] = {"pred", 1},     [T_B8] = {"b8", 1},       [T_B16] = {"b16", 2},
    [T_B32] = {"b32", 4},       [T_B64] = {"b64", 8},     [T_B128] = {"b128", 16},
    [T_U8] = {"u8", 1},         [T_U16] = {"u16", 2},     [T_U32] = {"u32", 4},
    [T_U64] = {"u64", 8},       [T_S8] = {"s8", 1},       [T_S16] = {"s16", 2},
    [T_S32] = {"s32", 4},       [T_S64] = {"s64", 8},     [T_F16] = {"f16", 2},
    [T_BF16] = {"bf16", 2},     [T_F16X2] = {"f16x2", 4}, [T_BF16X2] = {"bf16x2", 4},
    [T_F32] = {"f32", 4},       [T_F64] = {"f64", 8},     [T_TF32] = {"tf32", 4},
    [T_U16X2] = {"u16x2", 4},   [T_S16X2] = {"s16x2", 4}, [T_E4M3X2] = {"e4m3x2", 2},
    [T_E5M2X2] = {"e5m2x2", 2}, [T_F32X2] = {"f32x2", 8},
};

static const char *const words[] = {
#define X(name, text) [M_##name] = text,
    WH_MODIFIERS(X)
#undef X
};

static bool same(const char *name, const char *text, unsigned length)
{
    return name && strncmp(name, text, length) == 0 && name[length] == '\0';
}

enum wh_type wh_type_of(const char *name, unsigned length)
{
    for (unsigned i = 1; i < T_COUNT; i++)
        if (same(types[i].name, name, length))
            return (enum wh_type)i;
    return T_NONE;
}

unsigned wh_type_size(enum wh_type type)
{
    return types[type].size;
}

bool wh_type_signed(enum wh_type type)
{
    return type >= T_S8 && type <= T_S64;
}

bool wh_type_float(enum wh_type type)
{
    return type == T_F16 || type == T_BF16 || type == T_F32 || type == T_F64;
}

bool wh_type_integer(enum wh_type type)
{
    return type >= T_U8 && type <= T_S64;
}

/* Caches and prefetch sizes change no result. */
static bool is_hint(const char *text, unsigned length)
{
    static const char *const hints[] = {"L1::", "L2::", "level::", "evict", "no_allocate"};
    if (length == 2 && text[0] == 'L' && (text[1] == '1' || text[1] == '2'))
        return true;
    for (unsigned i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (length >= strlen(hints[i]) && strncmp(text, hints[i], strlen(hints[i])) == 0)
            return true;
    return false;
}

static void set_word(struct wh_opcode *op, unsigned word)
{
    op->words[word / 64] |= 1ull << (word % 64);
    if (op->norder < sizeof(op->order))
        op->order[op->norder++] = (uint8_t)word;
}

static void parse_word(struct wh_opcode *op, const char *text, unsigned length)
{
    enum wh_type type = wh_type_of(text, length);
    if (type != T_NONE) {
        if (op->ntypes == sizeof(op->types))
            op->unknown = true;
        else
            op->types[op->ntypes++] = (uint8_t)type;
        return;
    }
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (same(words[i], text, length)) {
            set_word(op, i);
            return;
        }
    if (is_hint(text, length))
        set_word(op, M_HINT);
    else
        op->unknown = true;
}

void wh_opcode_parse(struct wh_opcode *op, const char *text, unsigned length)
{
    memset(op, 0, sizeof(*op));
    op->text = text;
    op->length = length;
    unsigned at = 0;
    while (at < length && text[at] != '.')
        at++;
    op->root_length = at;
    while (at < length) {
        unsigned start = ++at;
        while (at < length && text[at] != '.')
            at++;
        parse_word(op, text + start, at - start);
    }
}
