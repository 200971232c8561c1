/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operands: what is written, and where the handlers find it. Called by ptx_body.c and the decoders.
 * Registers of a declared range get their place as they are first named, constants theirs in the
 * function's pool.
 */
#include "exec.h"
#include "ptx.h"

#include <string.h>

static const struct {
    const char *name;
    uint16_t special;
    uint8_t type;
} specials[] = {
    {"%tid.x", SR_TID, T_U32},
    {"%tid.y", SR_TID + 1, T_U32},
    {"%tid.z", SR_TID + 2, T_U32},
    {"%ntid.x", SR_NTID, T_U32},
    {"%ntid.y", SR_NTID + 1, T_U32},
    {"%ntid.z", SR_NTID + 2, T_U32},
    {"%ctaid.x", SR_CTAID, T_U32},
    {"%ctaid.y", SR_CTAID + 1, T_U32},
    {"%ctaid.z", SR_CTAID + 2, T_U32},
    {"%nctaid.x", SR_NCTAID, T_U32},
    {"%nctaid.y", SR_NCTAID + 1, T_U32},
    {"%nctaid.z", SR_NCTAID + 2, T_U32},
    {"%laneid", SR_LANEID, T_U32},
    {"%warpid", SR_WARPID, T_U32},
    {"%nwarpid", SR_NWARPID, T_U32},
    {"%smid", SR_SMID, T_U32},
    {"%nsmid", SR_NSMID, T_U32},
    {"%gridid", SR_GRIDID, T_U64},
    {"%lanemask_eq", SR_LANEMASK_EQ, T_U32},
    {"%lanemask_le", SR_LANEMASK_LE, T_U32},
    {"%lanemask_lt", SR_LANEMASK_LT, T_U32},
    {"%lanemask_ge", SR_LANEMASK_GE, T_U32},
    {"%lanemask_gt", SR_LANEMASK_GT, T_U32},
    {"%dynamic_smem_size", SR_DYNAMIC_SMEM, T_U32},
    {"%total_smem_size", SR_TOTAL_SMEM, T_U32},
    {"%aggr_smem_size", SR_TOTAL_SMEM, T_U32},
    {"%clusterid.x", SR_CLUSTERID, T_U32},
    {"%clusterid.y", SR_CLUSTERID + 1, T_U32},
    {"%clusterid.z", SR_CLUSTERID + 2, T_U32},
    {"%nclusterid.x", SR_NCLUSTERID, T_U32},
    {"%nclusterid.y", SR_NCLUSTERID + 1, T_U32},
    {"%nclusterid.z", SR_NCLUSTERID + 2, T_U32},
    {"%cluster_ctaid.x", SR_CLUSTER_CTAID, T_U32},
    {"%cluster_ctaid.y", SR_CLUSTER_CTAID + 1, T_U32},
    {"%cluster_ctaid.z", SR_CLUSTER_CTAID + 2, T_U32},
    {"%cluster_nctaid.x", SR_CLUSTER_NCTAID, T_U32},
    {"%cluster_nctaid.y", SR_CLUSTER_NCTAID + 1, T_U32},
    {"%cluster_nctaid.z", SR_CLUSTER_NCTAID + 2, T_U32},
    {"%cluster_ctarank", SR_CLUSTER_CTARANK, T_U32},
    {"%cluster_nctarank", SR_CLUSTER_NCTARANK, T_U32},
    {"%is_explicit_cluster", SR_IS_CLUSTER, T_PRED},
    {"%reserved_smem_offset_begin", SR_RESERVED, T_B32},
    {"%reserved_smem_offset_0", SR_RESERVED, T_B32},
    {"%reserved_smem_offset_1", SR_RESERVED, T_B32},
    {"%envreg1", SR_ENVREG1, T_B32},
    {"%envreg2", SR_ENVREG2, T_B32},
    {"%current_graph_exec", SR_ZERO, T_U64},
};

/* Registers that change by themselves: read anew wherever they are named. */
static const struct {
    const char *name;
    uint8_t clock, type;
} clocks[] = {
    {"%clock", CLOCK_LOW, T_U32},
    {"%clock_hi", CLOCK_HIGH, T_U32},
    {"%clock64", CLOCK_LOW, T_U64},
    {"%globaltimer", CLOCK_TIMER, T_U64},
    {"%globaltimer_lo", CLOCK_TIMER, T_U32},
    {"%globaltimer_hi", CLOCK_TIMER_HIGH, T_U32},
};

static unsigned width(enum wh_type type)
{
    unsigned size = wh_type_size(type);
    return type == T_PRED ? 1 : size <= 4 ? 4 : size;
}

uint32_t wh_ptx_slot(struct wh_ptx *ptx, enum wh_type type)
{
    uint32_t size = width(type) * WH_LANES, at = ptx->function->frame_size;
    size = type == T_PRED ? 4 : size;
    if (type != T_PRED)
        at = (at + 63) & ~63u;
    if (size > WH_FRAME_MAX - at) {
        wh_ptx_fail(ptx, "%s has more registers than the software device takes",
                    ptx->function->name);
        return WH_NONE;
    }
    ptx->function->frame_size = at + size;
    return at | BASE_FRAME;
}

/* ---- constants ---- */

static bool grow_hash(struct wh_ptx *ptx)
{
    struct wh_function *function = ptx->function;
    uint32_t more = ptx->constant_buckets ? ptx->constant_buckets * 4 : 256;
    uint32_t *buckets = wh_arena_take(ptx->arena, more * sizeof(*buckets));
    if (!buckets)
        return wh_ptx_no_memory(ptx);
    for (uint32_t i = 0; i < function->nconstants; i++) {
        uint64_t hash = function->constants[i].value * 0x9e3779b97f4a7c15ull >> 32;
        while (buckets[hash & (more - 1)])
            hash++;
        buckets[hash & (more - 1)] = i + 1;
    }
    ptx->constant_hash = buckets;
    ptx->constant_buckets = more;
    return true;
}

static uint32_t add_constant(struct wh_ptx *ptx, uint64_t value, unsigned bytes)
{
    struct wh_function *function = ptx->function;
    if (!wh_arena_grow(ptx->arena, &function->constants, function->nconstants,
                       &function->constant_room, sizeof(*function->constants))) {
        wh_ptx_no_memory(ptx);
        return WH_NONE;
    }
    uint32_t size = bytes == 1 ? WH_SLOT / 2 : bytes * WH_LANES;
    if (function->pool_size > (256u << 20)) {
        wh_ptx_no_memory(ptx);
        return WH_NONE;
    }
    uint32_t offset = function->pool_size;
    function->pool_size += size;
    function->constants[function->nconstants++] =
        (struct wh_constant){.value = value, .offset = offset, .bytes = (uint8_t)bytes};
    return offset | BASE_CONSTANTS;
}

uint32_t wh_ptx_constant(struct wh_ptx *ptx, uint64_t value, unsigned bytes)
{
    struct wh_function *function = ptx->function;
    if (bytes == 4)
        value = (uint32_t)value;
    if (function->nconstants * 2 >= ptx->constant_buckets && !grow_hash(ptx))
        return WH_NONE;
    uint64_t hash = value * 0x9e3779b97f4a7c15ull >> 32;
    for (;; hash++) {
        uint32_t *bucket = &ptx->constant_hash[hash & (ptx->constant_buckets - 1)];
        if (*bucket == 0) {
            uint32_t operand = add_constant(ptx, value, bytes);
            *bucket = operand == WH_NONE ? 0 : (uint32_t)function->nconstants;
            return operand;
        }
        const struct wh_constant *constant = &function->constants[*bucket - 1];
        if (constant->value == value && constant->bytes == bytes)
            return constant->offset | BASE_CONSTANTS;
    }
}

/* An address that the linker fills in. A value of its own keeps it apart in the hash. */
static uint32_t symbol_constant(struct wh_ptx *ptx, struct wh_symbol *symbol, int64_t addend,
                                unsigned bytes)
{
    struct wh_function *function = ptx->function;
    for (size_t i = function->nfixups; i > 0 && i + 16 > function->nfixups; i--) {
        const struct wh_fixup *old = &function->fixups[i - 1];
        if (old->symbol == symbol && old->addend == addend && old->bytes == bytes)
            return function->constants[old->place].offset | BASE_CONSTANTS;
    }
    if (function->nconstants * 2 >= ptx->constant_buckets && !grow_hash(ptx))
        return WH_NONE;
    uint32_t operand = add_constant(ptx, 0x5eed000000000000ull + function->nconstants, bytes);
    if (operand == WH_NONE)
        return operand;
    if (!wh_arena_grow(ptx->arena, &function->fixups, function->nfixups, &function->fixup_room,
                       sizeof(*function->fixups))) {
        wh_ptx_no_memory(ptx);
        return WH_NONE;
    }
    function->fixups[function->nfixups++] =
        (struct wh_fixup){.symbol = symbol,
                          .addend = addend,
                          .place = (uint32_t)function->nconstants - 1,
                          .bytes = (uint8_t)bytes,
                          .line = ptx->line};
    return operand;
}

/* ---- reading operands ---- */

static bool read_clock(struct wh_ptx *ptx, struct wh_operand *operand, uint8_t clock,
                       enum wh_type type)
{
    operand->kind = O_REGISTER;
    operand->type = type;
    operand->slot = wh_ptx_slot(ptx, type);
    struct wh_ins *ins = wh_ptx_emit(ptx, wh_do_clock);
    if (!ins)
        return false;
    ins->d = operand->slot;
    ins->sub = clock;
    ins->flags = type == T_U64 ? F_WIDE_ADDRESS : 0;
    return true;
}

static bool special_operand(struct wh_ptx *ptx, struct wh_operand *operand)
{
    const struct wh_token word = {
        .kind = TOKEN_WORD, .text = operand->text, .length = operand->length};
    for (unsigned i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
        if (wh_token_is(&word, specials[i].name)) {
            operand->kind = O_REGISTER;
            operand->type = specials[i].type;
            operand->slot = specials[i].special * WH_SLOT | BASE_SPECIAL;
            ptx->function->reserved |= specials[i].special == SR_RESERVED;
            return true;
        }
    for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
        if (wh_token_is(&word, clocks[i].name))
            return read_clock(ptx, operand, clocks[i].clock, clocks[i].type);
    if (operand->length > 7 && memcmp(operand->text, "%envreg", 7) == 0) {
        operand->kind = O_REGISTER;
        operand->type = T_B32;
        operand->slot = SR_ZERO * WH_SLOT | BASE_SPECIAL;
        return true;
    }
    return false;
}

/* %r17 of `.reg .b32 %r<55>`: becomes a register of the range's scope. */
static struct wh_symbol *range_register(struct wh_ptx *ptx, const char *name, unsigned length)
{
    unsigned digits = 0;
    while (digits < length && digits < 9 && name[length - 1 - digits] >= '0' &&
           name[length - 1 - digits] <= '9')
        digits++;
    for (unsigned n = digits; n > 0; n--) {
        const struct wh_symbol *range = wh_symbol_find(ptx->symbols, name, length - n);
        if (!range || range->kind != SYMBOL_RANGE)
            continue;
        uint64_t number = 0;
        for (unsigned i = length - n; i < length; i++)
            number = number * 10 + (uint64_t)(name[i] - '0');
        if (number >= range->count || (n > 1 && name[length - n] == '0'))
            continue;
        struct wh_symbol *symbol =
            wh_symbol_add(ptx->symbols, range->depth, SYMBOL_REGISTER, name, length);
        if (!symbol) {
            wh_ptx_no_memory(ptx);
            return NULL;
        }
        symbol->type = range->type;
        symbol->slot = wh_ptx_slot(ptx, (enum wh_type)range->type);
        return symbol->slot == WH_NONE ? NULL : symbol;
    }
    return NULL;
}

/* name+8, name-8: only behind symbols. */
static bool parse_addend(struct wh_ptx *ptx, struct wh_operand *operand)
{
    while (wh_ptx_is(ptx, '+') || wh_ptx_is(ptx, '-')) {
        bool negative = wh_ptx_is(ptx, '-');
        int64_t value;
        wh_ptx_next(ptx);
        if (!wh_ptx_integer(ptx, &value))
            return false;
        operand->imm += negative ? 0 - (uint64_t)value : (uint64_t)value;
    }
    return true;
}

/* Memory of a thread lies where its frame has it: the address is made by an instruction of its own.
 */
static bool local_address(struct wh_ptx *ptx, struct wh_operand *operand)
{
    uint32_t slot = wh_ptx_slot(ptx, T_U64), addend = symbol_constant(ptx, operand->symbol, 0, 8);
    struct wh_ins *ins = wh_ptx_emit(ptx, wh_do_local_address);
    if (!ins || slot == WH_NONE || addend == WH_NONE)
        return false;
    ins->d = slot;
    ins->a = addend;
    operand->kind = O_REGISTER;
    operand->type = T_U64;
    operand->slot = slot;
    return true;
}

/* So does a block's dynamic shared memory, behind what the kernel has of its own. */
static bool dynamic_address(struct wh_ptx *ptx, struct wh_operand *operand)
{
    struct wh_function *function = ptx->function;
    uint32_t align = operand->symbol->variable->align, slot = wh_ptx_slot(ptx, T_U64);
    function->dynamic_align = align > function->dynamic_align ? align : function->dynamic_align;
    struct wh_ins *ins = slot == WH_NONE ? NULL : wh_ptx_emit(ptx, wh_do_dynamic_address);
    if (!ins)
        return false;
    ins->d = slot;
    operand->kind = O_REGISTER;
    operand->type = T_U64;
    operand->slot = slot;
    return true;
}

static bool symbol_operand(struct wh_ptx *ptx, struct wh_operand *operand, struct wh_symbol *symbol)
{
    operand->symbol = symbol;
    switch (symbol->kind) {
    case SYMBOL_REGISTER:
        operand->kind = O_REGISTER;
        operand->type = (enum wh_type)symbol->type;
        operand->slot = symbol->slot;
        return true;
    case SYMBOL_VARIABLE:
        if (symbol->variable->space == SPACE_LOCAL)
            return local_address(ptx, operand);
        operand->kind = O_SYMBOL;
        return !symbol->variable->dynamic || dynamic_address(ptx, operand);
    case SYMBOL_FUNCTION:
        operand->kind = O_SYMBOL;
        symbol->function->address_taken = true;
        return true;
    case SYMBOL_PARAM:
        operand->kind = O_PARAM;
        return true;
    default:
        operand->kind = O_NAME;
        return true;
    }
}

static bool word_operand(struct wh_ptx *ptx, struct wh_operand *operand)
{
    operand->text = ptx->token.text;
    operand->length = ptx->token.length;
    bool sink = wh_ptx_word(ptx, "_");
    wh_ptx_next(ptx);
    if (sink) {
        operand->kind = O_SINK;
        return true;
    }
    if (operand->text[0] == '%' && special_operand(ptx, operand))
        return true;
    const struct wh_token name = {
        .kind = TOKEN_WORD, .text = operand->text, .length = operand->length};
    if (wh_token_is(&name, "WARP_SZ")) {
        operand->kind = O_IMMEDIATE;
        operand->number = TOKEN_INTEGER;
        operand->imm = WH_LANES;
        return true;
    }
    struct wh_symbol *symbol = wh_symbol_find(ptx->symbols, operand->text, operand->length);
    if (!symbol || symbol->kind == SYMBOL_RANGE)
        symbol = range_register(ptx, operand->text, operand->length);
    if (symbol)
        return symbol_operand(ptx, operand, symbol);
    operand->kind = O_NAME;
    return ptx->status == WH_SOFT_OK;
}

static bool number_operand(struct wh_ptx *ptx, struct wh_operand *operand)
{
    bool negative = false, inverted = false;
    for (;;) {
        if (wh_ptx_accept(ptx, '-'))
            negative = !negative;
        else if (wh_ptx_accept(ptx, '~'))
            inverted = !inverted;
        else if (!wh_ptx_accept(ptx, '+'))
            break;
    }
    operand->kind = O_IMMEDIATE;
    operand->number = ptx->token.kind;
    operand->imm = ptx->token.value;
    switch (ptx->token.kind) {
    case TOKEN_INTEGER:
        operand->imm = negative ? 0 - operand->imm : operand->imm;
        operand->imm = inverted ? ~operand->imm : operand->imm;
        break;
    case TOKEN_FLOAT:
        operand->imm ^= negative ? 1ull << 63 : 0;
        break;
    case TOKEN_SINGLE:
        operand->imm ^= negative ? 1ull << 31 : 0;
        break;
    default:
        return wh_ptx_fail(ptx, "an operand expected before '%.*s'",
                           (int)(ptx->token.length < 60 ? ptx->token.length : 60), ptx->token.text);
    }
    wh_ptx_next(ptx);
    return true;
}

static bool elements(struct wh_ptx *ptx, struct wh_operand *operand);

/* [register+8], [symbol+8], [8], [texture, {x, y}] */
static bool address_operand(struct wh_ptx *ptx, struct wh_operand *operand)
{
    wh_ptx_next(ptx);
    bool good =
        ptx->token.kind == TOKEN_WORD ? word_operand(ptx, operand) : number_operand(ptx, operand);
    if (!good)
        return false;
    operand->base = (uint8_t)operand->kind;
    operand->kind = O_ADDRESS;
    if (operand->base == O_NAME)
        return wh_ptx_fail(ptx, "'%.*s' is not declared",
                           (int)(operand->length < 60 ? operand->length : 60), operand->text);
    if (operand->base == O_REGISTER)
        operand->imm = 0;
    if (!parse_addend(ptx, operand))
        return false;
    if (wh_ptx_accept(ptx, ',')) {
        if (!wh_ptx_is(ptx, '{'))
            return wh_ptx_unsupported(ptx, "addresses of several parts") ||
                   wh_ptx_fail(ptx, "'{' expected");
        if (!elements(ptx, operand))
            return false;
    }
    return wh_ptx_expect(ptx, ']');
}

/* {a, b, c} */
static bool elements(struct wh_ptx *ptx, struct wh_operand *operand)
{
    wh_ptx_next(ptx);
    operand->first = (uint8_t)ptx->nelements;
    do {
        if (ptx->nelements == WH_ELEMENTS_MAX)
            return wh_ptx_fail(ptx, "more than %u elements in one instruction", WH_ELEMENTS_MAX);
        struct wh_operand element = {0};
        if (wh_ptx_is(ptx, '{') || wh_ptx_is(ptx, '['))
            return wh_ptx_fail(ptx, "an element expected");
        if (!wh_ptx_operand(ptx, &element))
            return false;
        ptx->elements[ptx->nelements++] = element;
        operand->count++;
    } while (wh_ptx_accept(ptx, ','));
    return wh_ptx_expect(ptx, '}');
}

static bool pair_operand(struct wh_ptx *ptx, struct wh_operand *operand)
{
    struct wh_operand second = {0};
    wh_ptx_next(ptx);
    if (ptx->token.kind != TOKEN_WORD || !word_operand(ptx, &second))
        return wh_ptx_fail(ptx, "a second register expected behind '|'");
    operand->has_pair = second.kind != O_SINK;
    if (operand->has_pair &&
        (second.kind != O_REGISTER || second.type != T_PRED || (second.slot & 3) != BASE_FRAME))
        return wh_ptx_fail(ptx, "a predicate expected behind '|'");
    operand->pair = second.slot;
    return true;
}

bool wh_ptx_operand(struct wh_ptx *ptx, struct wh_operand *operand)
{
    memset(operand, 0, sizeof(*operand));
    if (wh_ptx_is(ptx, '['))
        return address_operand(ptx, operand);
    if (wh_ptx_is(ptx, '{')) {
        operand->kind = O_VECTOR;
        return elements(ptx, operand) && (!wh_ptx_is(ptx, '|') || pair_operand(ptx, operand));
    }
    if (wh_ptx_accept(ptx, '!'))
        operand->negated = true;
    if (ptx->token.kind != TOKEN_WORD)
        return number_operand(ptx, operand);
    if (!word_operand(ptx, operand))
        return false;
    if (wh_ptx_is(ptx, '|'))
        return pair_operand(ptx, operand);
    if (operand->kind == O_SYMBOL || operand->kind == O_PARAM ||
        (operand->symbol && operand->symbol->kind == SYMBOL_VARIABLE))
        return parse_addend(ptx, operand);
    return true;
}

bool wh_ptx_operands(struct wh_ptx *ptx)
{
    ptx->noperands = ptx->nelements = 0;
    if (wh_ptx_is(ptx, ';'))
        return true;
    do {
        if (ptx->noperands == WH_OPERANDS_MAX)
            return wh_ptx_fail(ptx, "more than %u operands", WH_OPERANDS_MAX);
        if (!wh_ptx_operand(ptx, &ptx->operands[ptx->noperands++]))
            return false;
    } while (wh_ptx_accept(ptx, ','));
    return true;
}

/* ---- operands for handlers ---- */

static uint64_t immediate(const struct wh_operand *operand, enum wh_type type)
{
    double wide;
    float single;
    uint64_t bits = operand->imm;
    uint32_t narrow;
    if (operand->number == TOKEN_FLOAT && wh_type_size(type) == 4) {
        memcpy(&wide, &bits, sizeof(wide));
        single = (float)wide;
        memcpy(&narrow, &single, sizeof(narrow));
        return narrow;
    }
    if (operand->number == TOKEN_SINGLE && type == T_F64) {
        narrow = (uint32_t)bits;
        memcpy(&single, &narrow, sizeof(single));
        wide = (double)single;
        memcpy(&bits, &wide, sizeof(bits));
    }
    if (operand->number == TOKEN_INTEGER && (type == T_F32 || type == T_F64)) {
        wide = (double)(int64_t)bits;
        single = (float)wide;
        memcpy(&bits, &wide, sizeof(bits));
        memcpy(&narrow, &single, sizeof(narrow));
        return type == T_F32 ? narrow : bits;
    }
    return bits;
}

static uint32_t named_wrong(struct wh_ptx *ptx, const struct wh_operand *operand)
{
    if (operand->kind == O_NAME)
        wh_ptx_fail(ptx, "'%.*s' is not declared",
                    (int)(operand->length < 60 ? operand->length : 60), operand->text);
    else
        wh_ptx_fail(ptx, "%.*s: a register or a constant expected",
                    (int)(ptx->op.length < 60 ? ptx->op.length : 60), ptx->op.text);
    return WH_NONE;
}

static uint32_t symbol_source(struct wh_ptx *ptx, const struct wh_operand *operand, unsigned bytes)
{
    const struct wh_symbol *symbol = operand->symbol;
    if (bytes < 4)
        return named_wrong(ptx, operand);
    if (operand->kind == O_PARAM) {
        if (!ptx->function->entry || symbol->local) {
            wh_ptx_unsupported(ptx, "the address of a function's parameter");
            return wh_ptx_constant(ptx, 0, bytes);
        }
        return wh_ptx_constant(ptx, symbol->param->offset + operand->imm, bytes);
    }
    return symbol_constant(ptx, operand->symbol, (int64_t)operand->imm, bytes);
}

/* An address that an instruction made, perhaps with an addend, in the width that is asked for. */
static uint32_t made_address(struct wh_ptx *ptx, const struct wh_operand *operand, unsigned bytes)
{
    if (bytes < 4)
        return named_wrong(ptx, operand);
    uint32_t slot = wh_ptx_slot(ptx, bytes == 8 ? T_U64 : T_U32),
             addend = wh_ptx_constant(ptx, operand->imm, 8);
    struct wh_ins *ins =
        slot == WH_NONE || addend == WH_NONE ? NULL : wh_ptx_emit(ptx, wh_do_add_address);
    if (!ins)
        return WH_NONE;
    ins->d = slot;
    ins->a = operand->slot;
    ins->b = addend;
    ins->flags = bytes == 8 ? F_WIDE_ADDRESS : 0;
    return slot;
}

uint32_t wh_ptx_source(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type)
{
    unsigned bytes = width(type);
    switch (operand->kind) {
    case O_REGISTER:
        if (operand->symbol && operand->symbol->kind == SYMBOL_VARIABLE)
            return made_address(ptx, operand, bytes);
        if (width(operand->type) != bytes) {
            wh_ptx_fail(ptx, "%.*s: register of %u bits where .%s-sized one is needed",
                        (int)(ptx->op.length < 60 ? ptx->op.length : 60), ptx->op.text,
                        wh_type_size(operand->type) * 8,
                        type == T_PRED ? "pred"
                        : bytes == 4   ? "b32"
                                       : "b64");
            return WH_NONE;
        }
        return operand->slot;
    case O_IMMEDIATE:
        if (type == T_PRED)
            return wh_ptx_constant(ptx, operand->imm != 0, 1);
        return wh_ptx_constant(ptx, immediate(operand, type), bytes);
    case O_SYMBOL:
    case O_PARAM:
        return symbol_source(ptx, operand, bytes);
    default:
        return named_wrong(ptx, operand);
    }
}

uint32_t wh_ptx_source_any(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type,
                           bool *wide)
{
    enum wh_type as = type;
    if (operand->kind == O_REGISTER && operand->type != T_PRED && !operand->symbol)
        as = operand->type;
    if (operand->kind == O_REGISTER && operand->symbol &&
        operand->symbol->kind == SYMBOL_REGISTER && operand->type != T_PRED)
        as = operand->type;
    if (wh_type_size(as) < wh_type_size(type)) {
        wh_ptx_fail(ptx, "%.*s: a register narrower than its type",
                    (int)(ptx->op.length < 60 ? ptx->op.length : 60), ptx->op.text);
        return WH_NONE;
    }
    *wide = width(as) == 8;
    return wh_ptx_source(ptx, operand, as);
}

uint32_t wh_ptx_target(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type)
{
    if (operand->kind == O_SINK)
        return wh_ptx_slot(ptx, type);
    if (operand->kind != O_REGISTER || (operand->slot & 3) != BASE_FRAME) {
        named_wrong(ptx, operand);
        return WH_NONE;
    }
    return wh_ptx_source(ptx, operand, type);
}

uint32_t wh_ptx_target_any(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type,
                           bool *wide)
{
    enum wh_type as = operand->kind == O_REGISTER && operand->type != T_PRED ? operand->type : type;
    if (wh_type_size(as) < wh_type_size(type)) {
        wh_ptx_fail(ptx, "%.*s: a register narrower than its type",
                    (int)(ptx->op.length < 60 ? ptx->op.length : 60), ptx->op.text);
        return WH_NONE;
    }
    *wide = width(as) == 8;
    return wh_ptx_target(ptx, operand, as);
}

bool wh_ptx_halves(struct wh_ptx *ptx, const struct wh_operand *operand, bool written,
                   uint32_t halves[2])
{
    if (operand->kind == O_VECTOR) {
        const struct wh_operand *list = &ptx->elements[operand->first];
        for (unsigned i = 0; i < 2; i++) {
            halves[i] = operand->count != 2 ? WH_NONE
                        : written           ? wh_ptx_target(ptx, &list[i], T_B64)
                                            : wh_ptx_source(ptx, &list[i], T_B64);
            if (halves[i] == WH_NONE)
                return false;
        }
        return true;
    }
    if (operand->kind == O_SINK && written) {
        halves[0] = wh_ptx_slot(ptx, T_B128);
    } else if (operand->kind != O_REGISTER || operand->type != T_B128) {
        named_wrong(ptx, operand);
        return false;
    } else {
        halves[0] = operand->slot;
    }
    halves[1] = halves[0] + 8 * WH_LANES;
    return halves[0] != WH_NONE;
}

uint32_t wh_ptx_address(struct wh_ptx *ptx, const struct wh_operand *operand, int64_t *offset,
                        uint8_t *flags)
{
    *offset = (int64_t)operand->imm;
    *flags |= F_WIDE_ADDRESS;
    if (operand->kind != O_ADDRESS)
        return named_wrong(ptx, operand);
    if (operand->count) {
        wh_ptx_unsupported(ptx, "addresses of several parts");
        return WH_NONE;
    }
    switch (operand->base) {
    case O_REGISTER:
        if (width(operand->type) == 4)
            *flags &= (uint8_t)~F_WIDE_ADDRESS;
        else if (width(operand->type) != 8)
            return named_wrong(ptx, operand);
        return operand->slot;
    case O_IMMEDIATE:
        return SR_ZERO * WH_SLOT | BASE_SPECIAL;
    case O_PARAM:
        *offset = 0;
        return wh_ptx_constant(ptx, operand->symbol->param->offset + operand->imm, 8);
    default:
        *offset = 0;
        return symbol_constant(ptx, operand->symbol, (int64_t)operand->imm, 8);
    }
}

const struct wh_operand *wh_ptx_elements(const struct wh_ptx *ptx, const struct wh_operand *operand,
                                         unsigned *n)
{
    *n = operand->kind == O_VECTOR ? operand->count : 1;
    return operand->kind == O_VECTOR ? &ptx->elements[operand->first] : operand;
}
