/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders of texture and surface instructions. Called through the table of decode.c.
 */
#include "atomic.h"
#include "decode.h"
#include "texturing.h"

static bool geometry_of(const struct wh_opcode *op, struct wh_texturing *t)
{
    static const uint8_t words[GEOMETRY_COUNT] = {M_GEOMETRY_1D,   M_GEOMETRY_2D,  M_GEOMETRY_3D,
                                                  M_GEOMETRY_A1D,  M_GEOMETRY_A2D, M_GEOMETRY_CUBE,
                                                  M_GEOMETRY_ACUBE};
    for (uint8_t i = 0; i < GEOMETRY_COUNT; i++)
        if (wh_has(op, words[i])) {
            t->geometry = i;
            return true;
        }
    return false;
}

static bool is_layered(const struct wh_texturing *t)
{
    return t->geometry == GEOMETRY_LAYERED_1D || t->geometry == GEOMETRY_LAYERED_2D ||
           t->geometry == GEOMETRY_LAYERED_CUBE;
}

/* Numbers that say where in one layer: directions have three. */
static unsigned ncoordinates(const struct wh_texturing *t)
{
    static const uint8_t n[GEOMETRY_COUNT] = {1, 2, 3, 1, 2, 3, 3};
    return n[t->geometry];
}

/* The texture's number: a register that holds it, or a variable that does. */
static bool number_of(struct wh_ptx *ptx, const struct wh_operand *operand, struct wh_texturing *t)
{
    struct wh_operand alone = *operand;
    int64_t offset;
    uint8_t flags = 0;
    alone.count = 0;
    t->named = operand->base == O_SYMBOL;
    t->number = wh_ptx_address(ptx, &alone, &offset, &flags);
    return t->number != WH_NONE && flags & F_WIDE_ADDRESS && offset == 0 &&
           (operand->base == O_REGISTER || t->named);
}

/* [number, {layer, x, y, z}]; what PTX wants as a fourth and does not use is left out. */
static bool place_of(struct wh_ptx *ptx, unsigned i, struct wh_texturing *t)
{
    const struct wh_operand *operand = &ptx->operands[i],
                            *elements = &ptx->elements[operand->first];
    enum wh_type type = t->whole ? T_S32 : T_F32;
    unsigned at = 0, n = ncoordinates(t);
    if (operand->kind != O_ADDRESS || operand->count < n + is_layered(t) ||
        !number_of(ptx, operand, t))
        return false;
    if (is_layered(t) && (t->layer = wh_ptx_source(ptx, &elements[at++], T_U32)) == WH_NONE)
        return false;
    for (unsigned d = 0; d < n; d++)
        if ((t->coordinates[d] = wh_ptx_source(ptx, &elements[at++], type)) == WH_NONE)
            return false;
    return true;
}

/* {a, b, c, d} or a: results, or what is stored. */
static bool values_of(struct wh_ptx *ptx, const struct wh_operand *operand, enum wh_type type,
                      bool written, struct wh_texturing *t)
{
    unsigned n;
    const struct wh_operand *list = wh_ptx_elements(ptx, operand, &n);
    unsigned said = wh_has(&ptx->op, M_V2) ? 2 : wh_has(&ptx->op, M_V4) ? 4 : 1;
    if (n != said)
        return wh_ptx_fail(ptx, "%.*s of %u registers", (int)ptx->op.length, ptx->op.text, n);
    t->type = (uint8_t)type;
    t->nvalues = (uint8_t)n;
    for (unsigned i = 0; i < n; i++) {
        bool wide;
        t->values[i] = written ? wh_ptx_target_any(ptx, &list[i], type, &wide)
                               : wh_ptx_source_any(ptx, &list[i], type, &wide);
        if (t->values[i] == WH_NONE)
            return false;
        t->wide |= (uint8_t)(wide << i);
    }
    return true;
}

static bool emit(struct wh_ptx *ptx, wh_run run, const struct wh_texturing *t)
{
    struct wh_ins *ins = wh_ptx_emit(ptx, run);
    if (ins)
        ins->texturing = t;
    return ins != NULL;
}

static struct wh_texturing *new_texturing(struct wh_ptx *ptx)
{
    struct wh_texturing *t = wh_arena_take(ptx->arena, sizeof(*t));
    if (!t)
        wh_ptx_no_memory(ptx);
    else
        t->resident = WH_NONE;
    return t;
}

/* ---- fetches ---- */

static bool slopes_of(struct wh_ptx *ptx, const struct wh_operand *operand, unsigned n,
                      uint32_t slopes[3])
{
    unsigned given;
    const struct wh_operand *list = wh_ptx_elements(ptx, operand, &given);
    if (given < n)
        return false;
    for (unsigned d = 0; d < n; d++)
        if ((slopes[d] = wh_ptx_source(ptx, &list[d], T_F32)) == WH_NONE)
            return false;
    return true;
}

static bool detail_of(struct wh_ptx *ptx, struct wh_texturing *t)
{
    if (wh_has(&ptx->op, M_LEVEL)) {
        t->detail = DETAIL_LEVEL;
        if (!wh_decode_count(ptx, 3, 3))
            return false;
        t->level = wh_ptx_source(ptx, &ptx->operands[2], t->whole ? T_S32 : T_F32);
        return t->level != WH_NONE;
    }
    if (wh_has(&ptx->op, M_GRAD)) {
        t->detail = DETAIL_SLOPES;
        unsigned n = ncoordinates(t);
        return wh_decode_count(ptx, 4, 4) && slopes_of(ptx, &ptx->operands[2], n, t->dx) &&
               slopes_of(ptx, &ptx->operands[3], n, t->dy);
    }
    return ptx->noperands == 2; /* more: offsets and comparisons of depth */
}

/* Results are words of 32 bits: tex.geometry.v4.TYPE.f32, of whole coordinates .s32. */
static bool result_type(enum wh_type type)
{
    return type == T_U32 || type == T_S32 || type == T_F32;
}

bool wh_decode_texture(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0), coordinate = wh_decode_type(ptx, 1);
    struct wh_texturing *t = new_texturing(ptx);
    (void)root;
    if (!t || !geometry_of(&ptx->op, t) || ptx->op.ntypes != 2 || !result_type(type) ||
        (coordinate != T_F32 && coordinate != T_S32) || ptx->noperands < 2)
        return false;
    t->whole = coordinate == T_S32;
    if (!place_of(ptx, 1, t) || !detail_of(ptx, t) ||
        !values_of(ptx, &ptx->operands[0], type, true, t))
        return false;
    if (ptx->operands[0].has_pair)
        t->resident = ptx->operands[0].pair;
    return emit(ptx, wh_do_texture, t);
}

bool wh_decode_gather(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const uint8_t components[4] = {M_R, M_COMPONENT_G, M_FRAGMENT_B, M_FRAGMENT_A};
    enum wh_type type = wh_decode_type(ptx, 0);
    struct wh_texturing *t = new_texturing(ptx);
    (void)root;
    if (!t || !geometry_of(&ptx->op, t) || !result_type(type) || wh_decode_type(ptx, 1) != T_F32 ||
        ptx->noperands != 2 || t->geometry == GEOMETRY_1D || t->geometry == GEOMETRY_3D)
        return false;
    while (t->component < 4 && !wh_has(&ptx->op, components[t->component]))
        t->component++;
    if (t->component == 4 || !place_of(ptx, 1, t) ||
        !values_of(ptx, &ptx->operands[0], type, true, t))
        return false;
    if (ptx->operands[0].has_pair)
        t->resident = ptx->operands[0].pair;
    return emit(ptx, wh_do_gather, t);
}

/* txq.width.b32 d, [number]; txq.level.width.b32 d, [number], level */
bool wh_decode_texture_query(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const uint8_t words[] = {M_QUERY_WIDTH, M_QUERY_HEIGHT, M_QUERY_DEPTH, M_QUERY_LAYERS,
                                    M_QUERY_LEVELS};
    struct wh_texturing *t = new_texturing(ptx);
    bool level = wh_has(&ptx->op, M_LEVEL);
    (void)root;
    if (!t || !wh_decode_count(ptx, 2 + level, 2 + level) || ptx->operands[1].kind != O_ADDRESS)
        return false;
    while (t->query < sizeof(words) && !wh_has(&ptx->op, words[t->query]))
        t->query++;
    t->level = level ? wh_ptx_source(ptx, &ptx->operands[2], T_U32) : 0;
    t->detail = level ? DETAIL_LEVEL : DETAIL_NONE;
    t->nvalues = 1;
    t->values[0] = wh_ptx_target(ptx, &ptx->operands[0], T_B32);
    return t->query < sizeof(words) && t->level != WH_NONE && t->values[0] != WH_NONE &&
           number_of(ptx, &ptx->operands[1], t) && emit(ptx, wh_do_texture_query, t);
}

/* ---- surfaces ---- */

static bool surface_place(struct wh_ptx *ptx, unsigned i, struct wh_texturing *t)
{
    t->whole = true;
    t->edge = wh_has(&ptx->op, M_CLAMP)  ? EDGE_CLAMP
              : wh_has(&ptx->op, M_ZERO) ? EDGE_ZERO
                                         : EDGE_TRAP;
    return geometry_of(&ptx->op, t) && t->geometry < GEOMETRY_CUBE && place_of(ptx, i, t);
}

/* suld.b.2d.v4.b32.trap values, [number, {x, y}]; sust.b.2d.b32.trap [number, {x, y}], values */
bool wh_decode_surface(struct wh_ptx *ptx, const struct wh_root *root)
{
    enum wh_type type = wh_decode_type(ptx, 0);
    unsigned size = wh_type_size(type), store = root->op;
    struct wh_texturing *t = new_texturing(ptx);
    if (!t || !wh_decode_count(ptx, 2, 2) || !wh_has(&ptx->op, M_FRAGMENT_B) ||
        (type != T_B8 && type != T_B16 && type != T_B32 && type != T_B64) || size == 0)
        return false;
    if (!surface_place(ptx, store ? 0 : 1, t) ||
        !values_of(ptx, &ptx->operands[store], type, !store, t))
        return false;
    return emit(ptx, store ? wh_do_surface_store : wh_do_surface_load, t);
}

/* sured.b.add.2d.u32.trap [number, {x, y}], value */
bool wh_decode_surface_reduce(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const uint8_t words[] = {M_ADD, M_MIN, M_MAX, M_AND, M_OR};
    static const uint8_t ops[] = {ATOMIC_ADD, ATOMIC_MIN, ATOMIC_MAX, ATOMIC_AND, ATOMIC_OR};
    enum wh_type type = wh_decode_type(ptx, 0);
    struct wh_texturing *t = new_texturing(ptx);
    unsigned op = 0;
    (void)root;
    while (op < sizeof(words) && !wh_has(&ptx->op, words[op]))
        op++;
    bool bits = op < sizeof(words) && (ops[op] == ATOMIC_AND || ops[op] == ATOMIC_OR);
    if (!t || op == sizeof(words) || !wh_decode_count(ptx, 2, 2) ||
        (!bits && type != T_U32 && type != T_S32 && type != T_U64 && type != T_S64) ||
        (bits && type != T_B32 && type != T_B64) || !surface_place(ptx, 0, t) ||
        !values_of(ptx, &ptx->operands[1], type, false, t))
        return false;
    t->op = ops[op];
    t->formatted = wh_has(&ptx->op, M_FORMATTED);
    return emit(ptx, wh_do_surface_reduce, t);
}
