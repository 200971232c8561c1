/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a code image is that a program gives by its address alone. Called by module.c. Reads the
 * program's memory as far as the image says that it reaches, as the driver does; allocates nothing.
 */
#ifndef WH_SHIM_CUDA_IMAGE_H
#define WH_SHIM_CUDA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The bytes behind `image`, which is a wrapper as nvcc makes it, a fat binary, an ELF file or
 * NUL-terminated text (*size counts the NUL). False: none of these, or sizes that cannot be.
 */
bool wh_cuda_image_find(const void *image, const void **bytes, size_t *size);

/*
 * The fat binaries that a device-linked wrapper was linked from (nvcc -rdc=true), for when the
 * linked one has no code for the device: number `i`, from 0. False: there is no such one.
 */
bool wh_cuda_image_part(const void *image, size_t i, const void **bytes, size_t *size);

/* Whether NUL-terminated bytes look like the text of a program rather than a binary. */
bool wh_cuda_image_is_text(const void *bytes);

#endif
