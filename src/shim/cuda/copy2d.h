/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies with rows and slices between linear memory, arrays and the program's own memory; used by
 * copy2d.c for the functions that describe them, and by array.c.
 */
#ifndef WH_SHIM_CUDA_COPY2D_H
#define WH_SHIM_CUDA_COPY2D_H

#include "shim/cuda/shim.h"

/* One side of a copy. */
struct wh_cuda_side {
    wh_cuda_place place;
    CUarray array;
    uint8_t *host; /* the program's own memory, which only this process has */
    bool shared;   /* memory that the program may look at without a copy */
};

struct wh_cuda_sides {
    struct wh_cuda_side to, from;
    size_t width, height, depth; /* bytes, rows, slices */
};

/* Memory at `address` that the API calls `type`; place.x to place.height are set already. The
 * copy's extent says how much of it is meant. */
CUresult wh_cuda_side_of(const struct wh_cuda_sides *sides, struct wh_cuda_side *side,
                         CUmemorytype type, const void *host, CUdeviceptr device, CUarray array);

/* The sides of a copy as the API describes it. */
CUresult wh_cuda_sides_of(const CUDA_MEMCPY3D *copy, struct wh_cuda_sides *sides);

/* Carries it out in stream order; `wait`: the program may look at the result afterwards. */
CUresult wh_cuda_copy_sides(const struct wh_cuda_sides *sides, CUstream stream, bool wait);

#endif
