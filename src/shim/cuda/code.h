/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim keeps with modules, libraries, kernels and functions (wh_object.extra). */
#ifndef WH_SHIM_CUDA_CODE_H
#define WH_SHIM_CUDA_CODE_H

#include "shim/cuda/shim.h"

#define WH_CUDA_MOST_PARAMS 65536u /* bytes; the driver's own limit is 32,764 */

/* A function or kernel by name. */
struct wh_cuda_child {
    struct wh_cuda_child *next;
    struct wh_object *object;
    char name[];
};

struct wh_cuda_old_launch;

struct wh_cuda_code {
    pthread_mutex_t lock;
    struct wh_cuda_child *children;
    struct wh_cuda_layout *_Atomic layout; /* functions and kernels */
    _Atomic int most_threads;              /* of a block; 0: not asked yet */
    _Atomic int clustered;                 /* likewise; see launch.c */
    struct wh_cuda_old_launch *old;        /* what old_launch.c was told of a function, or NULL */
};

/* What is kept with the object, made on first use. NULL when memory is short. */
struct wh_cuda_code *wh_cuda_code_of(struct wh_object *object);

/* A function's or kernel's parameters, asked for once. The layout lives as long as the object. */
CUresult wh_cuda_layout_of(struct wh_object *object, const struct wh_cuda_layout **layout);

/* A module, library or kernel ends: what was found in it goes before it. */
void wh_cuda_drop_children(struct wh_object *object);

/* What is remembered of the functions of a kernel, one for each context, no longer holds. */
void wh_cuda_forget_functions(CUkernel kernel);

/* Whether what a wrapper has linked is nothing for the device, and its parts may be
 * (relocatable.c).
 */
bool wh_cuda_has_parts(const void *wrapper, CUresult loaded);

/* Links them; the image is to be freed. */
CUresult wh_cuda_link_parts(const void *wrapper, void **image, size_t *size);

/* NULL is nothing. */
void wh_cuda_code_free(struct wh_cuda_code *code);

#endif
