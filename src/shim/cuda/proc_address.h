/* SPDX-License-Identifier: Apache-2.0 */
/* Functions by base name and version; called by cuGetProcAddress only. */
#ifndef WH_SHIM_CUDA_PROC_ADDRESS_H
#define WH_SHIM_CUDA_PROC_ADDRESS_H

#include "cuda_types.h"

#include <stdbool.h>

/*
 * The newest variant of a function that exists since `version` (1000 * major + 10 * minor) or
 * longer; *address is NULL unless the answer is CU_GET_PROC_ADDRESS_SUCCESS. `per_thread`: if the
 * function has variants whose NULL stream is the thread's own, only those are looked at.
 */
CUdriverProcAddressQueryResult wh_cuda_find_function(const char *name, unsigned version,
                                                     bool per_thread, void **address);

#endif
