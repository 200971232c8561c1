/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the generated entries of the driver API's functions do where a profiler observes calls
 * (observe.c). While none does, an entry is one load and a branch before the function itself.
 */
#ifndef WH_SHIM_CUDA_ENTRY_H
#define WH_SHIM_CUDA_ENTRY_H

#include "cuda_types.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WH_COLD __attribute__((cold, noinline))

/* What is observed (WH_OBSERVE_... of observe_table.h, but resources). */
extern _Atomic unsigned wh_cuda_observed;

static inline bool wh_cuda_observing(void)
{
    return __builtin_expect(atomic_load_explicit(&wh_cuda_observed, memory_order_relaxed) != 0, 0);
}

/* A call of the program's that is observed; on its thread's stack, for as long as it lasts. */
struct wh_cuda_frame {
    struct wh_cuda_frame *outer; /* the call in which the program made this one, from a callback */
    const void *params;          /* as cuda_params.h has them; NULL: there are none */
    uint64_t begin;              /* ns of CLOCK_MONOTONIC */
    uint64_t shared;             /* a word of the profiler's callbacks */
    uint64_t freed, freed_bytes; /* memory that the call is to free; 0: none that is known */
    uint32_t correlation;
    uint32_t ticket;      /* of the callback that told that it begins; 0: none was told */
    uint16_t number;      /* of the function */
    uint8_t freed_memory; /* what sort that is (enum wh_observed_memory) */
    bool worked;          /* something of it was put into a stream and will be told of */
};

void wh_cuda_call_begins(struct wh_cuda_frame *frame, uint16_t number, const void *params);

/* Returns `result`. */
CUresult wh_cuda_call_ends(struct wh_cuda_frame *frame, CUresult result);

#endif
