/* SPDX-License-Identifier: Apache-2.0 */
/* What generated worker code needs to know of the worker; see worker.h for the rest. */
#ifndef WH_WORKER_THUNK_H
#define WH_WORKER_THUNK_H

#include "wire/desc.h"

#include <stdint.h>

struct wh_call;

/*
 * Carries out one decoded call: `functions` is the real library's table (one pointer per call
 * number), `a` holds one word per parameter; the result goes to a[WH_RESULT].
 */
typedef void wh_thunk(struct wh_call *call, const void *functions, uint64_t *a);

static inline float wh_float_from_word(uint64_t word)
{
    union {
        uint32_t bits;
        float value;
    } u = {.bits = (uint32_t)word};
    return u.value;
}

static inline double wh_double_from_word(uint64_t word)
{
    union {
        uint64_t bits;
        double value;
    } u = {.bits = word};
    return u.value;
}

#endif
