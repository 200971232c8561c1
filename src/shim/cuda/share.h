/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that stand for what is shared with other processes; see share.c. */
#ifndef WH_SHIM_CUDA_SHARE_H
#define WH_SHIM_CUDA_SHARE_H

#include "shim/cuda/shim.h"

/* A file with the token in it, which can be passed to other processes; -1: there can be none. */
int wh_cuda_token_to_file(const char *magic, const uint8_t *token);

/* The token in a file; false: it is no such file. */
bool wh_cuda_token_from_file(int fd, const char *magic, uint8_t *token);

#endif
