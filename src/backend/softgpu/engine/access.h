/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick loads and stores, a table per level of processor. Used as instructions are decoded.
 */
#ifndef WH_SOFTGPU_ACCESS_H
#define WH_SOFTGPU_ACCESS_H

#include "code.h"

struct wh_access {
    wh_run load_shared[2], store_shared[2], load_global[2],
        store_global[2];                           /* of 32 and of 64 bits */
    wh_run load_shared_vector, load_global_vector; /* of n values of 32 bits */
    wh_run store_shared_vector, store_global_vector;
    /* Of 8 and of 16 bits in registers of 32; without and with a sign. */
    wh_run load_global_short[2][2], load_shared_short[2][2], store_global_short[2];
};

extern const struct wh_access wh_access_baseline, wh_access_v3, wh_access_v4;

/* The processor's. */
const struct wh_access *wh_access_best(void);

#endif
