/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that the program mapped at addresses of its choice; see virtual.c. Thread-safe. */
#ifndef WH_SHIM_CUDA_VIRTUAL_H
#define WH_SHIM_CUDA_VIRTUAL_H

#include "shim/cuda/shim.h"

/* Of a range of kind WH_CUDA_MAPPED: the device whose memory it is, and how that may be handed on
 * (CUmemAllocationHandleType). */
int wh_cuda_chunk_device(const struct wh_cuda_range *chunk);
unsigned wh_cuda_chunk_handle_types(const struct wh_cuda_range *chunk);

#endif
