/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a code image keeps inside of the bytes that arrived: the driver is given an address and
 * no length. Called by module.c on private memory; the bytes are a tenant's.
 */
#ifndef WH_BACKEND_CUDA_IMAGE_H
#define WH_BACKEND_CUDA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

/* A fat binary, an ELF file or NUL-terminated text whose own sizes lie within `size` bytes. A
 * wrapper, which holds addresses, is none of them. */
bool wh_cuda_image_fits(const void *image, size_t size);

#endif
