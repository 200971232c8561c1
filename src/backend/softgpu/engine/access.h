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
};

extern const struct wh_access wh_access_baseline, wh_access_v3, wh_access_v4;

/* The processor's. */
const struct wh_access *wh_access_best(void);

#endif
