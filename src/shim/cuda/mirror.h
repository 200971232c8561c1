/* SPDX-License-Identifier: Apache-2.0 */
/* Managed variables of modules on both sides; see mirror.c. Thread-safe. */
#ifndef WH_SHIM_CUDA_MIRROR_H
#define WH_SHIM_CUDA_MIRROR_H

#include "shim/cuda/shim.h"

/* Makes a variable of a library readable here, at its own address, as it is in the current context.
 * CUDA_ERROR_NOT_SUPPORTED when this process uses the address. */
CUresult wh_cuda_mirror(CUdeviceptr address, size_t size, CUlibrary library, const char *name);

/* Before a launch on `stream`: what the program changed is on the device when this returns, for
 * every stream. Cheap when there is none. */
CUresult wh_cuda_mirrors_push(CUstream stream);

/* After the program synchronised: what the device changed comes back. An error: not all of it did,
 * and the program is not to go on as if. */
CUresult wh_cuda_mirrors_pull(void);

/* The library is unloaded. */
void wh_cuda_mirrors_drop(const void *library);

/* A context is over, and its variables with it. Those of a primary context come back with that: the
 * program has their addresses, which the runtime library does not ask for again. */
void wh_cuda_mirrors_end(CUcontext context, bool is_primary);
void wh_cuda_mirrors_begin(CUcontext context);

#endif
