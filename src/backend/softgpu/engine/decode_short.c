/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders of arithmetic on the parts of a word (the video instructions, two or four at once) and
 * of conversions to and from floats of 8 bits. Called through the table of decode.c.
 */
#include "decode.h"
#include "short.h"

static struct wh_ins *last(struct wh_ptx *ptx)
{
    return &ptx->function->code[ptx->function->ncode - 1];
}

/* vabsdiff4.u32.u32.u32{.sat}{.add} d, a, b, c; vset4.u32.u32.cmp{.add} d, a, b, c */
bool wh_decode_video(struct wh_ptx *ptx, const struct wh_root *root)
{
    static const enum wh_type sources[] = {T_B32, T_B32, T_B32};
    static const uint8_t words[] = {M_EQ, M_NE, M_LT, M_LE, M_GT, M_GE};
    const uint8_t *types = ptx->op.types;
    enum wh_video op = (enum wh_video)(root->op & 15);
    bool set = op == VIDEO_SET, add = wh_has(&ptx->op, M_ADD);
    unsigned n = set ? 2 : 3;
    if (ptx->op.ntypes != n)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (types[i] != T_U32 && types[i] != T_S32)
            return false;
    if (!wh_decode_emit(ptx, wh_do_video, T_B32, sources, 3))
        return false;
    struct wh_ins *ins = last(ptx);
    ins->sub = (uint8_t)op;
    ins->n = root->op & 16 ? 4 : 2;
    ins->flags = (uint8_t)((wh_has(&ptx->op, M_SAT) ? F_SAT : 0) | (add ? F_MULTI : 0) |
                           (set || types[0] == T_U32 ? 0 : F_SIGNED));
    ins->type = types[n - 2];
    ins->type2 = types[n - 1];
    for (uint8_t i = 0; i < sizeof(words) && set; i++)
        if (wh_has(&ptx->op, words[i]))
            ins->order = i;
    return true;
}

static bool is_tiny(enum wh_type type)
{
    return type == T_E4M3X2 || type == T_E5M2X2;
}

/* cvt.rn.satfinite.e4m3x2.f32 d, a, b; .e4m3x2.f16x2 d, a; cvt.rn.f16x2.e4m3x2 d, a */
bool wh_decode_cvt_tiny(struct wh_ptx *ptx, enum wh_type target, enum wh_type source)
{
    const enum wh_type sources[] = {source == T_F32 ? T_F32 : source, T_F32};
    bool pair = source == T_F32, back = target == T_F16X2 && is_tiny(source);
    if (!back && !(is_tiny(target) && (pair || source == T_F16X2)))
        return false;
    if (!wh_decode_emit(ptx, wh_do_convert_tiny, target, sources, pair ? 2 : 1))
        return false;
    last(ptx)->type = (uint8_t)target;
    last(ptx)->type2 = (uint8_t)source;
    last(ptx)->flags = wh_has(&ptx->op, M_RELU) ? F_MULTI : 0;
    return true;
}
