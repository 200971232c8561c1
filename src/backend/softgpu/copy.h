/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of boxes of bytes: what copy.c (the API's forms) and region.c (checks and work) share. */
#ifndef WH_SOFTGPU_COPY_H
#define WH_SOFTGPU_COPY_H

#include "backend/softgpu/queue.h"

/* One end of a copy as a program gives it. */
struct soft_end {
    CUmemorytype type; /* CU_MEMORYTYPE_* */
    uint64_t address;  /* of host, device or unified memory */
    CUarray array;
    size_t x, y, z;       /* where the box begins; x in bytes */
    size_t pitch, height; /* bytes in a row, rows in a slice */
};

struct soft_box {
    struct soft_end from, to;
    size_t width, height, depth; /* bytes, rows, slices */
};

/*
 * Checks a copy and puts it into the stream; with `wait` it is done on return if host memory takes
 * part. Without, it is as asynchronous as memory allows: ordinary host memory that is read has been
 * read on return, and if it is written, it has been written.
 */
CUresult soft_copy(CUstream stream, const struct soft_box *box, bool wait);

/* Between the API's form and ours. */
CUresult soft_box_of(const CUDA_MEMCPY3D *copy, struct soft_box *box);
void soft_box_describe(const struct soft_box *box, CUDA_MEMCPY3D *copy);

#endif
