/* SPDX-License-Identifier: Apache-2.0 */
/* Big copies between the device and the program's own memory; see stage.c. Thread-safe. */
#ifndef WH_SHIM_CUDA_STAGE_H
#define WH_SHIM_CUDA_STAGE_H

#include "shim/cuda/shim.h"

#define WH_CUDA_BIG ((size_t)1 << 20) /* bytes from which on these are the better way */

/*
 * As wh_cuda_write and wh_cuda_read, for at least one byte. False: there is no room, or other
 * threads use it; nothing was done.
 */
bool wh_cuda_stage_write(CUdeviceptr to, const void *from, size_t size, CUstream stream,
                         CUresult *result);
bool wh_cuda_stage_read(void *to, CUdeviceptr from, size_t size, CUstream stream, CUresult *result);

/* The context is gone, and what was registered in it. */
void wh_cuda_stage_forget(CUcontext context);

#endif
