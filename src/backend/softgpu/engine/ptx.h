/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of one PTX text, shared by its files: ptx_module.c (directives), ptx_body.c
 * (statements), ptx_operand.c (operands), decode*.c (instructions). A failure sticks: the lexer
 * then gives no more tokens, so that every loop ends.
 */
#ifndef WH_SOFTGPU_PTX_H
#define WH_SOFTGPU_PTX_H

#include "lex.h"
#include "symbol.h"

#define WH_OPERANDS_MAX 12u
#define WH_ELEMENTS_MAX 64u

enum wh_operand_kind {
    O_NONE,
    O_REGISTER, /* slot, type */
    O_IMMEDIATE,
    O_SYMBOL, /* variable or function, plus imm */
    O_PARAM,  /* parameter, plus imm */
    O_SINK,   /* _ */
    O_VECTOR, /* elements */
    O_ADDRESS,
    O_NAME, /* anything else: a label */
};

struct wh_operand {
    enum wh_operand_kind kind;
    enum wh_type type;         /* of a register */
    enum wh_token_kind number; /* how an immediate was written */
    uint32_t slot, pair;       /* pair: the q of p|q */
    uint64_t imm;
    bool negated, has_pair;
    uint8_t base;         /* ADDRESS: the kind of what stands first */
    uint8_t first, count; /* VECTOR; ADDRESS: the coordinates behind a texture */
    struct wh_symbol *symbol;
    const char *text;
    unsigned length;
};

struct wh_reference {
    uint32_t *place; /* NULL: the target of instruction `ins` */
    uint32_t ins, line;
    const char *name;
    unsigned length;
};

struct wh_ptx {
    struct wh_soft_module *module;
    struct wh_module_unit *unit;
    struct wh_symbols *symbols;
    struct wh_arena *arena;
    struct wh_lexer lexer;
    struct wh_token token; /* the next one */
    enum wh_soft_status status;
    struct wh_error *error;

    /* The body being parsed. */
    struct wh_function *function;
    struct wh_reference *references;
    size_t nreferences, reference_room, scope_references[64];
    uint32_t scope_params[64];
    uint32_t *constant_hash;
    uint32_t constant_buckets;

    /* The instruction being parsed. */
    struct wh_opcode op;
    struct wh_operand operands[WH_OPERANDS_MAX];
    unsigned noperands;
    struct wh_operand elements[WH_ELEMENTS_MAX];
    unsigned nelements;
    uint32_t guard, line;
    bool invert;
};

/* ---- ptx.c: tokens and failures ---- */

void wh_ptx_next(struct wh_ptx *ptx);
/* What makes the text no PTX: the load is refused. Always false. */
bool wh_ptx_fail(struct wh_ptx *ptx, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool wh_ptx_no_memory(struct wh_ptx *ptx);
/* What this engine does not do: the function is marked, the rest of it skipped over. Always false.
 */
bool wh_ptx_unsupported(struct wh_ptx *ptx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool wh_ptx_is(const struct wh_ptx *ptx, char mark);
bool wh_ptx_accept(struct wh_ptx *ptx, char mark);
bool wh_ptx_expect(struct wh_ptx *ptx, char mark);
bool wh_ptx_word(const struct wh_ptx *ptx, const char *word);
/* `.reg.b16` without a blank is two words as well. */
void wh_ptx_split(struct wh_ptx *ptx);
/* An integer, perhaps negative. */
bool wh_ptx_integer(struct wh_ptx *ptx, int64_t *value);

/* ---- ptx_body.c ---- */

void wh_ptx_body(struct wh_ptx *ptx);
struct wh_ins *wh_ptx_emit(struct wh_ptx *ptx, wh_run run);
bool wh_ptx_refer(struct wh_ptx *ptx, uint32_t *place, uint32_t ins, const char *name,
                  unsigned length);

/* ---- ptx_module.c ---- */

/* A variable declaration; the token stands at its space. */
void wh_ptx_variable(struct wh_ptx *ptx, enum wh_linkage linkage);
/* The rest of `.param .align 8 .b8 name[16]` behind .param. */
bool wh_ptx_param(struct wh_ptx *ptx, struct wh_param *param);

/* ---- ptx_operand.c ---- */

bool wh_ptx_operands(struct wh_ptx *ptx);
bool wh_ptx_operand(struct wh_ptx *ptx, struct wh_operand *operand);
/* Room for a register of that type in the frame. */
uint32_t wh_ptx_slot(struct wh_ptx *ptx, enum wh_type type);
/* Where a source operand of the type is read from, or WH_NONE after a failure. */
uint32_t wh_ptx_source(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type);
/* As wh_ptx_source, for registers of any width at least the type's: *wide says 64 bits. */
uint32_t wh_ptx_source_any(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type,
                           bool *wide);
/* Where a result goes; a sink gets a place of its own. */
uint32_t wh_ptx_target(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type);
uint32_t wh_ptx_target_any(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type,
                           bool *wide);
/* The two places of 64 bits of a register of 128, or of a vector of two. */
bool wh_ptx_halves(struct wh_ptx *ptx, const struct wh_operand *operand, bool written,
                   uint32_t halves[2]);
/* Base and offset of an address; sets F_WIDE_ADDRESS in *flags. */
uint32_t wh_ptx_address(struct wh_ptx *ptx, const struct wh_operand *operand, int64_t *offset,
                        uint8_t *flags);
uint32_t wh_ptx_constant(struct wh_ptx *ptx, uint64_t value, unsigned bytes);
/* The operands of a vector, or the one operand. */
const struct wh_operand *wh_ptx_elements(const struct wh_ptx *ptx, const struct wh_operand *operand,
                                         unsigned *n);

/* ---- decode.c ---- */

void wh_ptx_decode(struct wh_ptx *ptx);

#endif
