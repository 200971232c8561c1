/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered about managed allocations besides their extent (pointer.c). */
#ifndef WH_SHIM_CUDA_POINTER_H
#define WH_SHIM_CUDA_POINTER_H

#include "shim/cuda/shim.h"

/* The managed allocation that starts here is gone, and what was advised about it. */
void wh_cuda_forget_advice(CUdeviceptr start);

#endif
