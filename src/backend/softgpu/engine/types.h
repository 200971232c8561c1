/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of PTX after its opcode: types, rounding, comparisons, state spaces and the rest. Made
 * by mods.c, used by whoever decodes. One number per word, so that a decoder asks "is .ftz there".
 */
#ifndef WH_SOFTGPU_TYPES_H
#define WH_SOFTGPU_TYPES_H

#include <stdbool.h>
#include <stdint.h>

enum wh_type {
    T_NONE,
    T_PRED,
    T_B8,
    T_B16,
    T_B32,
    T_B64,
    T_B128,
    T_U8,
    T_U16,
    T_U32,
    T_U64,
    T_S8,
    T_S16,
    T_S32,
    T_S64,
    T_F16,
    T_BF16,
    T_F16X2,
    T_BF16X2,
    T_F32,
    T_F64,
    T_TF32,
    T_U16X2,
    T_S16X2,
    T_E4M3X2,
    T_E5M2X2,
    T_F32X2,
    T_COUNT
};

/* Words that are no type. The names of the table in mods.c are these, with dots. */
#define WH_MODIFIERS(X)                            \
    X(RN, "rn")                                    \
    X(RZ, "rz")                                    \
    X(RM, "rm")                                    \
    X(RP, "rp")                                    \
    X(RNA, "rna")                                  \
    X(RNI, "rni")                                  \
    X(RZI, "rzi")                                  \
    X(RMI, "rmi")                                  \
    X(RPI, "rpi")                                  \
    X(FTZ, "ftz")                                  \
    X(SAT, "sat")                                  \
    X(SATFINITE, "satfinite")                      \
    X(RELU, "relu")                                \
    X(OOB, "oob")                                  \
    X(NAN, "NaN")                                  \
    X(XORSIGN, "xorsign")                          \
    X(ABS, "abs")                                  \
    X(APPROX, "approx")                            \
    X(FULL, "full")                                \
    X(CC, "cc")                                    \
    X(LO, "lo")                                    \
    X(HI, "hi")                                    \
    X(WIDE, "wide")                                \
    X(EQ, "eq")                                    \
    X(NE, "ne")                                    \
    X(LT, "lt")                                    \
    X(LE, "le")                                    \
    X(GT, "gt")                                    \
    X(GE, "ge")                                    \
    X(LS, "ls")                                    \
    X(HS, "hs")                                    \
    X(EQU, "equ")                                  \
    X(NEU, "neu")                                  \
    X(LTU, "ltu")                                  \
    X(LEU, "leu")                                  \
    X(GTU, "gtu")                                  \
    X(GEU, "geu")                                  \
    X(NUM, "num")                                  \
    X(ISNAN, "nan")                                \
    X(AND, "and")                                  \
    X(OR, "or")                                    \
    X(XOR, "xor")                                  \
    X(POPC, "popc")                                \
    X(GLOBAL, "global")                            \
    X(SHARED, "shared")                            \
    X(SHARED_CTA, "shared::cta")                   \
    X(SHARED_CLUSTER, "shared::cluster")           \
    X(LOCAL, "local")                              \
    X(CONST, "const")                              \
    X(PARAM, "param")                              \
    X(PARAM_ENTRY, "param::entry")                 \
    X(PARAM_FUNC, "param::func")                   \
    X(V2, "v2")                                    \
    X(V4, "v4")                                    \
    X(V8, "v8")                                    \
    X(VOLATILE, "volatile")                        \
    X(RELAXED, "relaxed")                          \
    X(ACQUIRE, "acquire")                          \
    X(RELEASE, "release")                          \
    X(ACQ_REL, "acq_rel")                          \
    X(SC, "sc")                                    \
    X(WEAK, "weak")                                \
    X(MMIO, "mmio")                                \
    X(CTA, "cta")                                  \
    X(CLUSTER, "cluster")                          \
    X(GPU, "gpu")                                  \
    X(GL, "gl")                                    \
    X(SYS, "sys")                                  \
    X(NC, "nc")                                    \
    X(TO, "to")                                    \
    X(UNI, "uni")                                  \
    X(SYNC, "sync")                                \
    X(ALIGNED, "aligned")                          \
    X(ARRIVE, "arrive")                            \
    X(RED, "red")                                  \
    X(WARP, "warp")                                \
    X(WAIT, "wait")                                \
    X(BALLOT, "ballot")                            \
    X(ALL, "all")                                  \
    X(ANY, "any")                                  \
    X(UP, "up")                                    \
    X(DOWN, "down")                                \
    X(BFLY, "bfly")                                \
    X(IDX, "idx")                                  \
    X(EXCH, "exch")                                \
    X(CAS, "cas")                                  \
    X(ADD, "add")                                  \
    X(INC, "inc")                                  \
    X(DEC, "dec")                                  \
    X(MIN, "min")                                  \
    X(MAX, "max")                                  \
    X(NOFTZ, "noftz")                              \
    X(L, "l")                                      \
    X(R, "r")                                      \
    X(WRAP, "wrap")                                \
    X(CLAMP, "clamp")                              \
    X(SHIFTAMT, "shiftamt")                        \
    X(F4E, "f4e")                                  \
    X(B4E, "b4e")                                  \
    X(RC8, "rc8")                                  \
    X(ECL, "ecl")                                  \
    X(ECR, "ecr")                                  \
    X(RC16, "rc16")                                \
    X(FINITE, "finite")                            \
    X(INFINITE, "infinite")                        \
    X(NUMBER, "number")                            \
    X(NOTANUMBER, "notanumber")                    \
    X(NORMAL, "normal")                            \
    X(SUBNORMAL, "subnormal")                      \
    X(ASYNC, "async")                              \
    X(CA, "ca")                                    \
    X(CG, "cg")                                    \
    X(CS, "cs")                                    \
    X(LU, "lu")                                    \
    X(CV, "cv")                                    \
    X(WB, "wb")                                    \
    X(WT, "wt")                                    \
    X(COMMIT_GROUP, "commit_group")                \
    X(WAIT_GROUP, "wait_group")                    \
    X(WAIT_ALL, "wait_all")                        \
    X(BULK, "bulk")                                \
    X(MBARRIER, "mbarrier")                        \
    X(COMPLETE_TX, "mbarrier::complete_tx::bytes") \
    X(MBARRIER_INIT, "mbarrier_init")              \
    X(BULK_GROUP, "bulk_group")                    \
    X(READ, "read")                                \
    X(INIT, "init")                                \
    X(INVAL, "inval")                              \
    X(ARRIVE_DROP, "arrive_drop")                  \
    X(TEST_WAIT, "test_wait")                      \
    X(TRY_WAIT, "try_wait")                        \
    X(PARITY, "parity")                            \
    X(PENDING_COUNT, "pending_count")              \
    X(NOCOMPLETE, "noComplete")                    \
    X(EXPECT_TX, "expect_tx")                      \
    X(NOINC, "noinc")                              \
    X(PROXY, "proxy")                              \
    X(ALIAS, "alias")                              \
    X(GEOMETRY_ROW, "row")                         \
    X(GEOMETRY_COL, "col")                         \
    X(M8N8, "m8n8")                                \
    X(X1, "x1")                                    \
    X(X2, "x2")                                    \
    X(X4, "x4")                                    \
    X(TRANS, "trans")                              \
    X(M16N8K8, "m16n8k8")                          \
    X(M16N8K16, "m16n8k16")                        \
    X(M16N8K4, "m16n8k4")                          \
    X(M16N8K32, "m16n8k32")                        \
    X(M8N8K16, "m8n8k16")                          \
    X(M8N8K4, "m8n8k4")                            \
    X(M16N16K16, "m16n16k16")                      \
    X(M32N8K16, "m32n8k16")                        \
    X(M8N32K16, "m8n32k16")                        \
    X(M16N16K8, "m16n16k8")                        \
    X(LOAD, "load")                                \
    X(STORE, "store")                              \
    X(MMA, "mma")                                  \
    X(FRAGMENT_A, "a")                             \
    X(FRAGMENT_B, "b")                             \
    X(FRAGMENT_C, "c")                             \
    X(FRAGMENT_D, "d")                             \
    X(MODE, "mode")                                \
    X(GEOMETRY_1D, "1d")                           \
    X(GEOMETRY_2D, "2d")                           \
    X(GEOMETRY_3D, "3d")                           \
    X(GEOMETRY_A1D, "a1d")                         \
    X(GEOMETRY_A2D, "a2d")                         \
    X(GEOMETRY_CUBE, "cube")                       \
    X(GEOMETRY_ACUBE, "acube")                     \
    X(LEVEL, "level")                              \
    X(GRAD, "grad")                                \
    X(BASE, "base")                                \
    X(TRAP, "trap")                                \
    X(ZERO, "zero")                                \
    X(COMPONENT_G, "g")                            \
    X(FORMATTED, "p")                              \
    X(QUERY_WIDTH, "width")                        \
    X(QUERY_HEIGHT, "height")                      \
    X(QUERY_DEPTH, "depth")                        \
    X(QUERY_LAYERS, "array_size")                  \
    X(QUERY_LEVELS, "num_mipmap_levels")           \
    X(M16N8K64, "m16n8k64")                        \
    X(M16N8K128, "m16n8k128")                      \
    X(M16N8K256, "m16n8k256")                      \
    X(M8N8K32, "m8n8k32")                          \
    X(M8N8K128, "m8n8k128")                        \
    X(ELEMENT_S4, "s4")                            \
    X(ELEMENT_U4, "u4")                            \
    X(ELEMENT_B1, "b1")                            \
    X(ELEMENT_E4M3, "e4m3")                        \
    X(ELEMENT_E5M2, "e5m2")                        \
    X(CACHE_HINT, "L2::cache_hint")                \
    X(PREFETCH, "prefetch")                        \
    X(REDUCE, "reduce")

enum wh_modifier {
#define X(name, text) M_##name,
    WH_MODIFIERS(X)
#undef X
        M_HINT, /* any word that may be ignored: cache and eviction hints */
    M_COUNT
};

/* An opcode with its words: "ld.global.nc.v4.f32" is root "ld", one type and three words. */
struct wh_opcode {
    const char *text; /* the whole, for messages */
    unsigned length, root_length;
    uint64_t words[(M_COUNT + 63) / 64];
    uint8_t types[4], ntypes;
    uint8_t order[12], norder; /* the words as they stand */
    bool unknown;              /* a word that is not in the tables */
};

static inline bool wh_has(const struct wh_opcode *op, unsigned word)
{
    return op->words[word / 64] >> (word % 64) & 1;
}

void wh_opcode_parse(struct wh_opcode *op, const char *text, unsigned length);

/* T_NONE: no type of that name. */
enum wh_type wh_type_of(const char *name, unsigned length);
unsigned wh_type_size(enum wh_type type);
bool wh_type_signed(enum wh_type type);
bool wh_type_float(enum wh_type type);   /* one number: f16 bf16 f32 f64 */
bool wh_type_integer(enum wh_type type); /* u8..u64, s8..s64 */

#endif
