/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the program that the worker asks for, known by tokens; see callback.c. */
#ifndef WH_SHIM_CUDA_CALLBACK_H
#define WH_SHIM_CUDA_CALLBACK_H

#include "shim/cuda/shim.h"

struct wh_cuda_staging;

/* What a token stands for: one of these. */
struct wh_cuda_notice {
    CUhostFn function;
    CUstreamCallback callback;
    CUhostFn destructor; /* of a user object */
    struct wh_cuda_staging *staging;
    CUstream stream;
    void *user;
};

/* A token for it, with an upcall expected; 0: memory is short. */
uint64_t wh_cuda_notice_add(const struct wh_cuda_notice *notice);

/* It will not be asked for: the call that named it has failed. */
void wh_cuda_notice_drop(uint64_t token);

/* A copy of what a token stands for; false: nothing. */
bool wh_cuda_notice_find(uint64_t token, struct wh_cuda_notice *notice);

#endif
