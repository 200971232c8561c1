/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of arithmetic that is not worth vector code, one loop over the lanes each: directed
 * rounding, carries, conversions of all kinds, predicates. Named by the decoders.
 */
#ifndef WH_SOFTGPU_SCALAR_H
#define WH_SOFTGPU_SCALAR_H

#include "code.h"

enum wh_rounding { ROUND_NEAREST, ROUND_ZERO, ROUND_DOWN, ROUND_UP, ROUND_NEAREST_AWAY };
enum wh_round_op { ROUND_ADD, ROUND_SUB, ROUND_MUL, ROUND_FMA, ROUND_DIV, ROUND_RCP, ROUND_SQRT };

/* type f32 or f64, sub: the operation, order: the rounding, flags: F_FTZ F_SAT */
void wh_do_round(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

/* A value x of the mode, carried out in it; used by conversions as well. */
float wh_narrow(double value, enum wh_rounding rounding);
/* To a shorter float, in any direction, by its count of bits, its least exponent and its largest
 * number. */
double wh_narrow_to(double value, int digits, int least, double most, enum wh_rounding rounding);

enum wh_carry_op { CARRY_ADD, CARRY_SUB, CARRY_MADLO, CARRY_MADHI };

/* sub: the operation, n: 1 takes the carry in; flags: F_CARRY writes it, F_SIGNED: of mad.hi */
void wh_do_carry(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

/* type: target, type2: source, order: rounding, n: 1 integer result in a float's type; flags: F_FTZ
 * F_SAT, F_MULTI: relu */
void wh_do_convert(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
enum {
    CONVERT_TARGET_WIDE = 1,
    CONVERT_SOURCE_WIDE = 2,
    CONVERT_TO_INTEGER = 4,
    CONVERT_PAIR = 8
}; /* in space */

enum { LOGIC_NONE, LOGIC_AND, LOGIC_OR, LOGIC_XOR, LOGIC_NOT, LOGIC_MOV };

void wh_do_setp(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_setp_pair(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask); /* of f16x2 */
void wh_do_set(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_logic(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_testp(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
/* mov between one wide register and a vector of narrow ones; type: of the elements */
void wh_do_pack(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_unpack(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

#endif
