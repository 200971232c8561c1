/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of arithmetic, by operation and type. They are compiled several times, for what the
 * processor may have; the best table is chosen as the first module is loaded. Used by the decoders.
 */
#ifndef WH_SOFTGPU_ALU_H
#define WH_SOFTGPU_ALU_H

#include "code.h"

/* Operations with four variants: plain, ftz, sat, both: variant = ftz + 2 * sat. */
#define WH_FLOAT_OPS(X) X(ADD) X(SUB) X(MUL) X(FMA)
#define WH_OPS(X)  \
    X(MULHI)       \
    X(MULWIDE)     \
    X(MADLO)       \
    X(MADHI)       \
    X(MADWIDE)     \
    X(MUL24)       \
    X(MAD24)       \
    X(SAD)         \
    X(DIV)         \
    X(DIV_FTZ)     \
    X(REM)         \
    X(ABS)         \
    X(ABS_FTZ)     \
    X(NEG)         \
    X(NEG_FTZ)     \
    X(MIN)         \
    X(MIN_FTZ)     \
    X(MIN_NAN)     \
    X(MIN_FTZ_NAN) \
    X(MAX)         \
    X(MAX_FTZ)     \
    X(MAX_NAN)     \
    X(MAX_FTZ_NAN) \
    X(POPC)        \
    X(CLZ)         \
    X(BFIND)       \
    X(BFIND_SHIFT) \
    X(FNS)         \
    X(BREV)        \
    X(BFE)         \
    X(BFI)         \
    X(SZEXT_CLAMP) \
    X(SZEXT_WRAP)  \
    X(BMSK_CLAMP)  \
    X(BMSK_WRAP)   \
    X(PRMT)        \
    X(PRMT_F4E)    \
    X(PRMT_B4E)    \
    X(PRMT_RC8)    \
    X(PRMT_ECL)    \
    X(PRMT_ECR)    \
    X(PRMT_RC16)   \
    X(AND)         \
    X(OR)          \
    X(XOR)         \
    X(NOT)         \
    X(CNOT)        \
    X(LOP3)        \
    X(SHL)         \
    X(SHR)         \
    X(SHF_L_CLAMP) \
    X(SHF_L_WRAP)  \
    X(SHF_R_CLAMP) \
    X(SHF_R_WRAP)  \
    X(DP4A)        \
    X(DP2A_LO)     \
    X(DP2A_HI)     \
    X(MOV)         \
    X(SELP)        \
    X(SLCT)        \
    X(SLCT_FTZ)    \
    X(SQRT)        \
    X(SQRT_FTZ)    \
    X(RCP)         \
    X(RCP_FTZ)     \
    X(COPYSIGN)    \
    X(RSQRT)       \
    X(RSQRT_FTZ)   \
    X(SIN)         \
    X(SIN_FTZ)     \
    X(COS)         \
    X(COS_FTZ)     \
    X(EX2)         \
    X(EX2_FTZ)     \
    X(LG2)         \
    X(LG2_FTZ)     \
    X(TANH)        \
    X(FMA_RELU)    \
    X(FMA_FTZ_RELU)

enum wh_op {
#define X(name) OP_##name, OP_##name##_FTZ, OP_##name##_SAT, OP_##name##_FTZ_SAT,
    WH_FLOAT_OPS(X)
#undef X
#define X(name) OP_##name,
        WH_OPS(X)
#undef X
            OP_COUNT
};

/* In the order of enum wh_modifier from M_EQ on. */
enum wh_compare {
    CMP_EQ,
    CMP_NE,
    CMP_LT,
    CMP_LE,
    CMP_GT,
    CMP_GE,
    CMP_EQU,
    CMP_NEU,
    CMP_LTU,
    CMP_LEU,
    CMP_GTU,
    CMP_GEU,
    CMP_NUM,
    CMP_UNORDERED,
    CMP_COUNT
};

typedef uint32_t (*wh_compare)(struct wh_warp *warp, const struct wh_ins *ins);

struct wh_alu {
    wh_run run[OP_COUNT][T_COUNT];
    wh_compare compare[CMP_COUNT][T_COUNT]; /* of a and b: a bit a lane */
    wh_run convert[T_COUNT][T_COUNT]; /* target, source: plain ones; NULL: wh_do_convert does it */
};

extern const struct wh_alu wh_alu_baseline, wh_alu_v3, wh_alu_v4;

/* The processor's. */
const struct wh_alu *wh_alu_best(void);

#endif
