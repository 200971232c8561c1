/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's options for the driver's compiler: numbers, which cross, and the program's own
 * memory, where logs and times go. Used by module.c and linker.c.
 */
#ifndef WH_SHIM_CUDA_JIT_H
#define WH_SHIM_CUDA_JIT_H

#include "shim/cuda/shim.h"

#define WH_CUDA_MOST_OPTIONS 64u

/* The options that cross as they are. */
struct wh_cuda_jit_options {
    unsigned n;
    unsigned names[WH_CUDA_MOST_OPTIONS];
    uint64_t values[WH_CUDA_MOST_OPTIONS];
};

/* Where the program wants the answers: its memory and the values of its options. */
struct wh_cuda_jit_places {
    char *log[2]; /* information, errors */
    unsigned room[2];
    void **filled[2], **wall_time, **threads;
};

/*
 * Splits `n` options. `places` NULL: none may want an answer. CUDA_ERROR_INVALID_VALUE: too many,
 * or there are no arrays; CUDA_ERROR_NOT_SUPPORTED: an option whose value is an address.
 */
CUresult wh_cuda_jit_split(struct wh_cuda_jit_options *options, struct wh_cuda_jit_places *places,
                           unsigned n, const CUjit_option *names, void **values);

/* What the compiler said besides its logs goes where the program wants it. */
void wh_cuda_jit_give_back(const struct wh_cuda_jit_places *places,
                           const wh_cuda_jit_answer *answer);

#endif
