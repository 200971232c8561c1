/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic that rounds to zero, down or up: in the processor's own rounding modes, which hold for
 * one instruction and are put back after it. Compiled with -frounding-math. Called as a handler.
 */
#include "exec.h"
#include "number.h"
#include "scalar.h"

#include <fenv.h>
#include <math.h>

#define OPERATIONS(name, type, fused, root)                       \
    static type name(enum wh_round_op op, type x, type y, type z) \
    {                                                             \
        volatile type a = x, b = y, c = z, result;                \
        switch (op) {                                             \
        case ROUND_ADD:                                           \
            result = a + b;                                       \
            break;                                                \
        case ROUND_SUB:                                           \
            result = a - b;                                       \
            break;                                                \
        case ROUND_MUL:                                           \
            result = a * b;                                       \
            break;                                                \
        case ROUND_FMA:                                           \
            result = fused(a, b, c);                              \
            break;                                                \
        case ROUND_DIV:                                           \
            result = a / b;                                       \
            break;                                                \
        case ROUND_RCP:                                           \
            result = (type)1 / a;                                 \
            break;                                                \
        default:                                                  \
            result = root(a);                                     \
            break;                                                \
        }                                                         \
        return result;                                            \
    }
OPERATIONS(single, float, fmaf, sqrtf)
OPERATIONS(twice, double, fma, sqrt)

static float flushed(const struct wh_ins *ins, uint64_t bits)
{
    float value = wh_float32((uint32_t)bits);
    return ins->flags & F_FTZ ? wh_flush(value) : value;
}

static uint32_t finish(const struct wh_ins *ins, float value)
{
    value = ins->flags & F_SAT ? wh_saturate(value) : wh_canonical(value);
    return wh_bits32(ins->flags & F_FTZ ? wh_flush(value) : value);
}

void wh_do_round(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD, FE_TONEAREST};
    bool wide = ins->type == T_F64;
    enum wh_round_op op = (enum wh_round_op)ins->sub;
    fesetround(modes[ins->order]);
    WH_EACH_LANE(lane, mask)
    {
        uint64_t a = wh_get(warp, ins->a, lane, wide), b = wh_get(warp, ins->b, lane, wide),
                 c = wh_get(warp, ins->c, lane, wide);
        uint64_t result =
            wide ? wh_bits64(twice(op, wh_float64(a), wh_float64(b), wh_float64(c)))
                 : finish(ins, single(op, flushed(ins, a), flushed(ins, b), flushed(ins, c)));
        wh_put(warp, ins->d, lane, wide, result);
    }
    fesetround(FE_TONEAREST);
}
