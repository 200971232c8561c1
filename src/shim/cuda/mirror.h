/* SPDX-License-Identifier: Apache-2.0 */
/* Managed variables of modules on both sides; see mirror.c. Thread-safe. */
#ifndef WH_SHIM_CUDA_MIRROR_H
#define WH_SHIM_CUDA_MIRROR_H

#include "shim/cuda/shim.h"

/* Makes a variable of the module or library `owner` readable here, at its own address.
 * CUDA_ERROR_NOT_SUPPORTED when this process uses the address. */
CUresult wh_cuda_mirror(CUdeviceptr address, size_t size, const void *owner);

/* Before a launch on `stream`: what the program changed goes out. Cheap when there is none. */
CUresult wh_cuda_mirrors_push(CUstream stream);

/* After the program synchronised: what the device changed comes back. */
void wh_cuda_mirrors_pull(void);

/* The module or library is unloaded. */
void wh_cuda_mirrors_drop(const void *owner);

#endif
