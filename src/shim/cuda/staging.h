/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of the program's own memory in graphs: through a piece of the arena that is the graph's,
 * which this process fills or empties when a launch comes to it. See staging.c.
 */
#ifndef WH_SHIM_CUDA_STAGING_H
#define WH_SHIM_CUDA_STAGING_H

#include "shim/cuda/copy2d.h"

struct wh_cuda_staging;

/* A copy one side of which is the program's own memory, as it crosses. */
struct wh_cuda_staged {
    wh_cuda_box box;
    uint64_t token;
    uint64_t offset, size; /* of the piece in the arena; 0, 0: nothing is staged */
};

/* The form in which a copy crosses. A call that fails undoes it. */
CUresult wh_cuda_stage_sides(const struct wh_cuda_sides *sides, struct wh_cuda_staged *staged);
void wh_cuda_unstage(const struct wh_cuda_staged *staged);

/* The program's side of a staged copy, as it gave it. */
bool wh_cuda_staged_side(uint64_t token, wh_cuda_place *place, bool *fills);

/* In a capture. */
CUresult wh_cuda_capture_sides(const struct wh_cuda_sides *sides, CUstream stream);
CUresult wh_cuda_capture_plain(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream);

/* The worker's turn has come (callback.c). */
void wh_cuda_staging_move(const struct wh_cuda_staging *staging);

/*
 * No graph needs it any more. The thread of the callbacks only says so: to post a message it might
 * have to wait for room, and the worker for a function that is this thread's to run. A thread of
 * the program's gives the memory back, at the next occasion.
 */
void wh_cuda_staging_over(struct wh_cuda_staging *staging);
void wh_cuda_staging_reap(void);
void wh_cuda_staging_end(struct wh_cuda_staging *staging);

#endif
