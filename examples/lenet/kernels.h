/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of kernels.cl, line by line, as the build embeds it (embed-text.sh). Used by device.c
 * only.
 */
#ifndef LENET_KERNELS_H
#define LENET_KERNELS_H

extern const char *const lenet_kernels[];
extern const unsigned int lenet_kernels_lines;

#endif
