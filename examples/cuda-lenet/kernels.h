/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of kernels.ptx as the build embeds it (embed-ptx.sh). Used by driver.c only.
 */
#ifndef CUDA_LENET_KERNELS_H
#define CUDA_LENET_KERNELS_H

extern const char lenet_kernels[];

#endif
