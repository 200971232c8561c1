/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the decoder of an instruction, and what all decoders share. Called by ptx_body.c with the
 * token behind the opcode.
 */
#include "decode.h"
#include "short.h"

#include <string.h>

static const struct wh_root roots[] = {
    {"abs", wh_decode_sign, OP_ABS, 1},
    {"activemask", wh_decode_activemask, 0, 0},
    {"add", wh_decode_arithmetic, OP_ADD, 2},
    {"addc", wh_decode_carry, OP_ADD, 2},
    {"and", wh_decode_logic, OP_AND, 2},
    {"applypriority", wh_decode_ignored, 0, 0},
    {"atom", wh_decode_atomic, 1, 0},
    {"bar", wh_decode_barrier, 0, 0},
    {"barrier", wh_decode_barrier, 1, 0},
    {"bfe", wh_decode_field, OP_BFE, 3},
    {"bfi", wh_decode_field, OP_BFI, 4},
    {"bfind", wh_decode_count_bits, OP_BFIND, 1},
    {"bmsk", wh_decode_bits, OP_BMSK_CLAMP, 2},
    {"bra", wh_decode_branch, 0, 0},
    {"brev", wh_decode_plain, OP_BREV, 1},
    {"brkpt", wh_decode_end, 2, 0},
    {"brx", wh_decode_branch_index, 0, 0},
    {"call", wh_decode_call, 0, 0},
    {"clz", wh_decode_count_bits, OP_CLZ, 1},
    {"cnot", wh_decode_plain, OP_CNOT, 1},
    {"copysign", wh_decode_plain, OP_COPYSIGN, 2},
    {"cos", wh_decode_math, OP_COS, 1},
    {"cp", wh_decode_copy, 0, 0},
    {"createpolicy", wh_decode_policy, 0, 0},
    {"cvt", wh_decode_cvt, 0, 0},
    {"cvta", wh_decode_cvta, 0, 0},
    {"discard", wh_decode_ignored, 0, 0},
    {"div", wh_decode_arithmetic, OP_DIV, 2},
    {"dp2a", wh_decode_dot, OP_DP2A_LO, 3},
    {"dp4a", wh_decode_dot, OP_DP4A, 3},
    {"elect", wh_decode_elect, 0, 0},
    {"ex2", wh_decode_math, OP_EX2, 1},
    {"exit", wh_decode_end, 0, 0},
    {"fence", wh_decode_fence, 0, 0},
    {"fma", wh_decode_arithmetic, OP_FMA, 3},
    {"fns", wh_decode_bits, OP_FNS, 3},
    {"getctarank", wh_decode_rank, 0, 0},
    {"griddepcontrol", wh_decode_ignored, 0, 0},
    {"isspacep", wh_decode_isspacep, 0, 0},
    {"ld", wh_decode_load, 0, 0},
    {"ldmatrix", wh_decode_tiles, 0, 0},
    {"ldu", wh_decode_load, 0, 0},
    {"lg2", wh_decode_math, OP_LG2, 1},
    {"lop3", wh_decode_bits, OP_LOP3, 3},
    {"mad", wh_decode_multiply, OP_MADLO, 3},
    {"mad24", wh_decode_multiply, OP_MAD24, 3},
    {"madc", wh_decode_carry, OP_MADLO, 3},
    {"mapa", wh_decode_mapa, 0, 0},
    {"match", wh_decode_match, 0, 0},
    {"max", wh_decode_minmax, OP_MAX, 2},
    {"mbarrier", wh_decode_mbarrier, 0, 0},
    {"membar", wh_decode_fence, 0, 0},
    {"min", wh_decode_minmax, OP_MIN, 2},
    {"mma", wh_decode_mma, 0, 0},
    {"mov", wh_decode_mov, OP_MOV, 1},
    {"movmatrix", wh_decode_tile_transpose, 0, 0},
    {"mul", wh_decode_multiply, OP_MUL, 2},
    {"mul24", wh_decode_multiply, OP_MUL24, 2},
    {"nanosleep", wh_decode_sleep, 0, 0},
    {"neg", wh_decode_sign, OP_NEG, 1},
    {"not", wh_decode_logic, OP_NOT, 1},
    {"or", wh_decode_logic, OP_OR, 2},
    {"pmevent", wh_decode_ignored, 0, 0},
    {"popc", wh_decode_count_bits, OP_POPC, 1},
    {"prefetch", wh_decode_ignored, 0, 0},
    {"prefetchu", wh_decode_ignored, 0, 0},
    {"prmt", wh_decode_bits, OP_PRMT, 3},
    {"rcp", wh_decode_math, OP_RCP, 1},
    {"red", wh_decode_atomic, 0, 0},
    {"redux", wh_decode_redux, 0, 0},
    {"rem", wh_decode_plain, OP_REM, 2},
    {"ret", wh_decode_end, 1, 0},
    {"rsqrt", wh_decode_math, OP_RSQRT, 1},
    {"sad", wh_decode_plain, OP_SAD, 3},
    {"selp", wh_decode_select, OP_SELP, 3},
    {"set", wh_decode_set, 0, 0},
    {"setmaxnreg", wh_decode_ignored, 0, 0},
    {"setp", wh_decode_setp, 0, 0},
    {"shf", wh_decode_bits, OP_SHF_L_CLAMP, 3},
    {"shfl", wh_decode_shuffle, 0, 0},
    {"shl", wh_decode_shift, OP_SHL, 2},
    {"shr", wh_decode_shift, OP_SHR, 2},
    {"sin", wh_decode_math, OP_SIN, 1},
    {"slct", wh_decode_select, OP_SLCT, 3},
    {"sqrt", wh_decode_math, OP_SQRT, 1},
    {"st", wh_decode_store, 0, 0},
    {"stmatrix", wh_decode_tiles, 1, 0},
    {"sub", wh_decode_arithmetic, OP_SUB, 2},
    {"subc", wh_decode_carry, OP_SUB, 2},
    {"suld", wh_decode_surface, 0, 0},
    {"suq", wh_decode_texture_query, 1, 0},
    {"sured", wh_decode_surface_reduce, 0, 0},
    {"sust", wh_decode_surface, 1, 0},
    {"szext", wh_decode_bits, OP_SZEXT_CLAMP, 2},
    {"tanh", wh_decode_math, OP_TANH, 1},
    {"testp", wh_decode_testp, 0, 0},
    {"tex", wh_decode_texture, 0, 0},
    {"tld4", wh_decode_gather, 0, 0},
    {"trap", wh_decode_end, 2, 0},
    {"txq", wh_decode_texture_query, 0, 0},
    {"vabsdiff2", wh_decode_video, VIDEO_DIFFERENCE, 0},
    {"vabsdiff4", wh_decode_video, VIDEO4(VIDEO_DIFFERENCE), 0},
    {"vadd2", wh_decode_video, VIDEO_ADD, 0},
    {"vadd4", wh_decode_video, VIDEO4(VIDEO_ADD), 0},
    {"vavrg2", wh_decode_video, VIDEO_AVERAGE, 0},
    {"vavrg4", wh_decode_video, VIDEO4(VIDEO_AVERAGE), 0},
    {"vmax2", wh_decode_video, VIDEO_MAX, 0},
    {"vmax4", wh_decode_video, VIDEO4(VIDEO_MAX), 0},
    {"vmin2", wh_decode_video, VIDEO_MIN, 0},
    {"vmin4", wh_decode_video, VIDEO4(VIDEO_MIN), 0},
    {"vote", wh_decode_vote, 0, 0},
    {"vset2", wh_decode_video, VIDEO_SET, 0},
    {"vset4", wh_decode_video, VIDEO4(VIDEO_SET), 0},
    {"vsub2", wh_decode_video, VIDEO_SUB, 0},
    {"vsub4", wh_decode_video, VIDEO4(VIDEO_SUB), 0},
    {"wmma", wh_decode_wmma, 0, 0},
    {"xor", wh_decode_logic, OP_XOR, 2},
};

static const struct wh_root *find_root(const struct wh_opcode *op)
{
    size_t low = 0, high = sizeof(roots) / sizeof(roots[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncmp(op->text, roots[middle].name, op->root_length);
        if (order == 0 && roots[middle].name[op->root_length] == '\0')
            return &roots[middle];
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- shared by the decoders ---- */

bool wh_decode_count(struct wh_ptx *ptx, unsigned least, unsigned most)
{
    if (ptx->noperands >= least && ptx->noperands <= most)
        return true;
    return wh_ptx_fail(ptx, "%.*s has %u operands", (int)ptx->op.length, ptx->op.text,
                       ptx->noperands);
}

enum wh_type wh_decode_type(const struct wh_ptx *ptx, unsigned i)
{
    return i < ptx->op.ntypes ? (enum wh_type)ptx->op.types[i] : T_NONE;
}

wh_run wh_decode_handler(struct wh_ptx *ptx, unsigned op, enum wh_type type)
{
    const struct wh_alu *alu = wh_alu_best();
    wh_run run = alu->run[op][type];
    if (!run)
        wh_ptx_unsupported(ptx, "no such type");
    return run;
}

bool wh_decode_emit(struct wh_ptx *ptx, wh_run run, enum wh_type target,
                    const enum wh_type *sources, unsigned n)
{
    uint32_t places[4] = {0};
    if (!run || !wh_decode_count(ptx, n + 1, n + 1))
        return false;
    for (unsigned i = 0; i < n; i++)
        if ((places[i] = wh_ptx_source(ptx, &ptx->operands[i + 1], sources[i])) == WH_NONE)
            return false;
    uint32_t d = wh_ptx_target(ptx, &ptx->operands[0], target);
    struct wh_ins *ins = d == WH_NONE ? NULL : wh_ptx_emit(ptx, run);
    if (!ins)
        return false;
    ins->d = d;
    ins->a = places[0];
    ins->b = places[1];
    ins->c = places[2];
    ins->e = places[3];
    return true;
}

bool wh_decode_address(struct wh_ptx *ptx, unsigned i, struct wh_ins *ins)
{
    int64_t offset;
    uint8_t flags = ins->flags;
    uint32_t a = wh_ptx_address(ptx, &ptx->operands[i], &offset, &flags);
    if (a == WH_NONE)
        return false;
    ins->a = a;
    ins->flags = flags;
    ins->offset = offset;
    return true;
}

bool wh_decode_place(struct wh_ptx *ptx, wh_run run, struct wh_ins ins)
{
    struct wh_ins *at = wh_ptx_emit(ptx, run);
    if (!at)
        return false;
    ins.run = at->run;
    ins.guard = at->guard;
    ins.invert = at->invert;
    ins.line = at->line;
    *at = ins;
    return true;
}

enum wh_space wh_decode_space(const struct wh_ptx *ptx)
{
    static const struct {
        uint8_t word, space;
    } spaces[] = {
        {M_GLOBAL, SPACE_GLOBAL}, {M_SHARED, SPACE_SHARED},         {M_SHARED_CTA, SPACE_SHARED},
        {M_LOCAL, SPACE_LOCAL},   {M_SHARED_CLUSTER, SPACE_SHARED}, {M_CONST, SPACE_CONST},
        {M_PARAM, SPACE_PARAM},   {M_PARAM_ENTRY, SPACE_PARAM},     {M_PARAM_FUNC, SPACE_PARAM}};
    for (unsigned i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
        if (wh_has(&ptx->op, spaces[i].word))
            return (enum wh_space)spaces[i].space;
    return SPACE_GENERIC;
}

/* Two words without a comma between them are in no instruction, known or not. */
static void skip_operands(struct wh_ptx *ptx)
{
    bool word = false;
    while (ptx->token.kind != TOKEN_END && !wh_ptx_is(ptx, ';')) {
        bool another = ptx->token.kind == TOKEN_WORD;
        if (word && another) {
            wh_ptx_fail(ptx, "a comma expected before '%.*s'", (int)ptx->token.length,
                        ptx->token.text);
            return;
        }
        word = another;
        wh_ptx_next(ptx);
    }
}

/* Branches and calls name what is no operand; they read it themselves. */
static bool reads_itself(const struct wh_root *root)
{
    return root->decode == wh_decode_call;
}

/* What cannot be run stops the kernel that reaches it, should one be started in spite of all. */
static void give_up(struct wh_ptx *ptx, const char *why)
{
    wh_ptx_unsupported(ptx, "%s", why);
    skip_operands(ptx);
    wh_ptx_emit(ptx, wh_do_unsupported);
}

void wh_ptx_decode(struct wh_ptx *ptx)
{
    const struct wh_root *root = find_root(&ptx->op);
    bool ignored = root && (root->decode == wh_decode_ignored || root->decode == wh_decode_policy);
    if (!root || (ptx->op.unknown && !ignored)) {
        give_up(ptx, root ? "not supported in this form" : "not supported");
    } else if (reads_itself(root)) {
        root->decode(ptx, root);
    } else if (wh_ptx_operands(ptx)) {
        if (wh_has(&ptx->op, M_CACHE_HINT) && ptx->noperands > 1)
            ptx->noperands--; /* the policy */
        if (!root->decode(ptx, root))
            give_up(ptx, "not supported in this form");
    } else if (ptx->function->broken) {
        give_up(ptx, "");
    }
    wh_ptx_expect(ptx, ';');
}
