/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an instruction's words and operands to its handler. One decoder per family of instructions,
 * found by its root in the table of decode.c.
 */
#ifndef WH_SOFTGPU_DECODE_H
#define WH_SOFTGPU_DECODE_H

#include "alu.h"
#include "atomic.h"
#include "exec.h"
#include "ptx.h"

/* Bit 4 of a video instruction's operation: four parts, else two. */
#define VIDEO4(op) (16 + (op))

/* Operation, and how many operands it reads. */
struct wh_root {
    const char *name;
    bool (*decode)(struct wh_ptx *ptx, const struct wh_root *root);
    uint16_t op, sources;
};

/* decode.c */
/* The operation of an atomic instruction by its words, and whether it goes with a type. */
bool wh_decode_atomic_op(const struct wh_opcode *op, enum wh_atomic *atomic);
bool wh_decode_atomic_type(enum wh_atomic atomic, enum wh_type type);
bool wh_decode_count(struct wh_ptx *ptx, unsigned least, unsigned most);
enum wh_type wh_decode_type(const struct wh_ptx *ptx, unsigned i);
wh_run wh_decode_handler(struct wh_ptx *ptx, unsigned op, enum wh_type type);
bool wh_decode_emit(struct wh_ptx *ptx, wh_run run, enum wh_type target,
                    const enum wh_type *sources, unsigned n);
/* The address of operand i into `ins`; false after a failure. */
bool wh_decode_address(struct wh_ptx *ptx, unsigned i, struct wh_ins *ins);
enum wh_space wh_decode_space(const struct wh_ptx *ptx);
/* The instruction as filled in, at the end of the code, under the guard that stands before it. */
bool wh_decode_place(struct wh_ptx *ptx, wh_run run, struct wh_ins ins);

/* decode_alu.c */
bool wh_decode_plain(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_arithmetic(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_multiply(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_carry(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_minmax(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_sign(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_count_bits(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_shift(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_field(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_bits(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_dot(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_math(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_logic(struct wh_ptx *ptx, const struct wh_root *root);

/* decode_move.c */
bool wh_decode_setp(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_set(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_select(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_mov(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_cvt(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_testp(struct wh_ptx *ptx, const struct wh_root *root);

/* decode_memory.c */
bool wh_decode_load(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_store(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_atomic(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_cvta(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_isspacep(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_mapa(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_reduce_async(struct wh_ptx *ptx);
bool wh_decode_rank(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_policy(struct wh_ptx *ptx, const struct wh_root *root);

/* decode_async.c */
bool wh_decode_copy(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_mbarrier(struct wh_ptx *ptx, const struct wh_root *root);
/* Behind what was done at once: the barrier of operand i is told so. */
bool wh_decode_complete(struct wh_ptx *ptx, unsigned i, uint32_t bytes);

/* decode_matrix.c */
bool wh_decode_wmma(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_mma(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_tiles(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_tile_transpose(struct wh_ptx *ptx, const struct wh_root *root);

/* decode_texture.c */
bool wh_decode_texture(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_gather(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_texture_query(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_surface(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_surface_reduce(struct wh_ptx *ptx, const struct wh_root *root);

/* decode_short.c */
bool wh_decode_video(struct wh_ptx *ptx, const struct wh_root *root);
/* A conversion with floats of 8 bits; false: it is none. */
bool wh_decode_cvt_tiny(struct wh_ptx *ptx, enum wh_type target, enum wh_type source);

/* decode_flow.c */
bool wh_decode_branch(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_branch_index(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_call(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_end(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_ignored(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_fence(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_barrier(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_shuffle(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_vote(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_match(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_redux(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_activemask(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_elect(struct wh_ptx *ptx, const struct wh_root *root);
bool wh_decode_sleep(struct wh_ptx *ptx, const struct wh_root *root);

#endif
