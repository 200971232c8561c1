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

struct wh_cuda_facts;
struct wh_cuda_old_launch;
struct wh_cuda_shapes;

/* A value of an attribute of a kernel or function that the driver took. */
struct wh_cuda_setting {
    int attribute, value;
    CUdevice device; /* of a kernel; functions have one */
    unsigned since;  /* wh_cuda_settings_age when it was set */
    bool holds;      /* it is what was set last */
};

#define WH_CUDA_MOST_SETTINGS 8u

struct wh_cuda_code {
    pthread_mutex_t lock;
    struct wh_cuda_child *children;
    struct wh_cuda_layout *_Atomic layout; /* functions and kernels */
    _Atomic int most_threads;              /* of a block; 0: not asked yet */
    _Atomic int own_shared;                /* bytes of a block, and 1; 0: not asked yet */
    _Atomic uint64_t clustered;            /* likewise; see launch.c */
    struct wh_cuda_facts *_Atomic facts;   /* for profilers (observe_id.c), or NULL */
    struct wh_cuda_old_launch *old;        /* what old_launch.c was told of a function, or NULL */
    struct wh_cuda_shapes *shapes;         /* of launches that the driver took (shape.c), or NULL */
    struct wh_cuda_setting settings[WH_CUDA_MOST_SETTINGS];
    unsigned nsettings, setters; /* in `settings` (setting.c); calls that set and wait */
    _Atomic unsigned set;        /* calls that set, in all */
};

/* What is kept with the object, made on first use. NULL when memory is short. */
struct wh_cuda_code *wh_cuda_code_of(struct wh_object *object);

/* The same, if it was made; NULL: not yet. Takes no lock. */
struct wh_cuda_code *wh_cuda_code_known(struct wh_object *object);

/* A function's or kernel's parameters, asked for once. The layout lives as long as the object. */
CUresult wh_cuda_layout_of(struct wh_object *object, const struct wh_cuda_layout **layout);

/* A module, library or kernel ends: what was found in it goes before it. */
void wh_cuda_drop_children(struct wh_object *object);

/* What is remembered of the functions of a kernel, one for each context, no longer holds. */
void wh_cuda_forget_functions(CUkernel kernel);

/* Grows with every attribute that is set of a function, for a kernel, and the other way round, for
 * a function may be a kernel's; and when a context ends. */
unsigned wh_cuda_settings_age(const struct wh_object *object);
void wh_cuda_settings_aged(void);

/* Grows when a function or kernel is set to have clusters. */
unsigned wh_cuda_clusters_set(void);

/* ---- launches that the driver took (shape.c) ---- */

#define WH_CUDA_SHAPE_ATTRIBUTES 4u

/* What decides whether a launch of one kernel is refused. */
struct wh_cuda_shape {
    wh_cuda_grid grid;
    CUcontext context;
    unsigned set, age; /* of settings, the kernel's own and those of the other sort */
    unsigned nattributes;
    CUlaunchAttribute attributes[WH_CUDA_SHAPE_ATTRIBUTES];
};

/* False: no two launches of this sort are known to be alike. */
bool wh_cuda_shape_of(struct wh_cuda_shape *shape, struct wh_object *code, const wh_cuda_grid *grid,
                      unsigned nattributes, const CUlaunchAttribute *attributes);
bool wh_cuda_shape_was_taken(struct wh_cuda_code *code, const struct wh_cuda_shape *shape);
void wh_cuda_shape_taken(struct wh_cuda_code *code, const struct wh_cuda_shape *shape);

/* Whether what a wrapper has linked is nothing for the device, and its parts may be
 * (relocatable.c).
 */
bool wh_cuda_has_parts(const void *wrapper, CUresult loaded);

/* Links them; the image is to be freed. */
CUresult wh_cuda_link_parts(const void *wrapper, void **image, size_t *size);

/* NULL is nothing. */
void wh_cuda_code_free(struct wh_cuda_code *code);

#endif
