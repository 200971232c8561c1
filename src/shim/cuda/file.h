/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the program names: images of code and what it links. */
#ifndef WH_SHIM_CUDA_FILE_H
#define WH_SHIM_CUDA_FILE_H

#include "cuda_types.h"

#include <stddef.h>

/*
 * A regular file's bytes with a zero behind them; free with free. CUDA_ERROR_FILE_NOT_FOUND,
 * CUDA_ERROR_OUT_OF_MEMORY, or CUDA_ERROR_OPERATING_SYSTEM for all else that can be wrong; then
 * *bytes is NULL.
 */
CUresult wh_cuda_read_file(const char *path, char **bytes, size_t *size);

#endif
