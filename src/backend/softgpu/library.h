/* SPDX-License-Identifier: Apache-2.0 */
/* Modules, libraries, functions and kernels: what module.c, library.c and function.c share. */
#ifndef WH_SOFTGPU_LIBRARY_H
#define WH_SOFTGPU_LIBRARY_H

#include "backend/softgpu/softgpu.h"

struct soft_library;
struct soft_texref;

/* One loaded image in one context. */
struct soft_module {
    struct soft_object object;
    struct wh_soft_module *code;
    struct soft_library
        *library; /* a library's part in this context: not the program's to unload */
    struct soft_function **functions; /* by the engine's index; NULL until asked for */
    size_t nfunctions;
    struct soft_texref *texrefs; /* that were asked for */
    bool dropped;
    pthread_mutex_t lock; /* guards `functions`, `texrefs` and `dropped` */
};

/* What the program may set of a function, or of a kernel on one device. */
struct soft_function_settings {
    atomic_int dynamic_shared; /* the most that a launch may ask for */
    atomic_int carveout, cluster_policy, non_portable_cluster;
    atomic_int cluster[3]; /* the cluster that a launch without one gets; 0: none */
};

struct soft_function {
    struct soft_object object;
    struct soft_module *module; /* a reference; the module's own to us is a plain pointer */
    struct wh_soft_kernel *code;
    struct wh_soft_kernel_info info;
    struct soft_function_settings settings;
};

/* Settings as they are before the program sets anything. */
void soft_settings_init(struct soft_function_settings *settings,
                        const struct wh_soft_kernel_info *info);

void soft_settings_copy(struct soft_function_settings *to,
                        const struct soft_function_settings *from);

/* Offset and size of a parameter; either may be NULL. */
CUresult soft_parameter(const struct wh_soft_kernel *kernel, size_t index, size_t *offset,
                        size_t *size);

/* An attribute's value and its change; what both functions and kernels answer with. */
CUresult soft_settings_get(const struct soft_function_settings *settings,
                           const struct wh_soft_kernel_info *info, int attribute, int *value);
CUresult soft_settings_set(struct soft_function_settings *settings,
                           const struct wh_soft_kernel_info *info, int attribute, int value);

/* jit.c */

/* Options of a load, and where its messages go. */
struct soft_jit {
    char *info, *error;             /* the program's buffers, or NULL */
    size_t info_size, error_size;   /* bytes there */
    void **info_left, **error_left; /* where the number of bytes written goes */
    void **wall_time;
};

CUresult soft_jit_parse(struct soft_jit *jit, unsigned count, const CUjit_option *options,
                        void **values);
/* Writes the logs and sizes of a load that ended with `text`. */
void soft_jit_report(const struct soft_jit *jit, CUresult result, const char *text,
                     uint64_t nanoseconds);

/* module.c */

/* Loads images for a context (its memory) and gives the driver's error; the log goes to `jit`. */
CUresult soft_code_load(const struct wh_soft_memory *memory, const void *image, size_t size,
                        const struct soft_jit *jit, struct wh_soft_module **code);

/* A module object around code in a context, listed. On failure the code is unloaded. */
CUresult soft_module_make(struct soft_context *context, struct wh_soft_module *code,
                          struct soft_library *library, struct soft_module **module);

/* The function of a module by the engine's kernel; one object for each. `made`: it is new. */
CUresult soft_module_function(struct soft_module *module, struct wh_soft_kernel *kernel,
                              struct soft_function **function, bool *made);

/* Sets an attribute of a module's function, if anybody has asked for that function. */
void soft_module_set(struct soft_module *module, size_t index, int attribute, int value);

/* Ends a module: its handle and its functions' go. */
void soft_module_drop(struct soft_module *module);

/* A context stops: ends all its modules. */
void soft_module_forget(struct soft_context *context);

CUresult soft_module_global(struct soft_module *module, const char *name, CUdeviceptr *pointer,
                            size_t *size);

/* A whole file, for the calls that name one; free() it. */
CUresult soft_read_file(const char *path, void **bytes, size_t *size);

/* payload.c */

/* The image that a pointer without length points to: wrapper, fatbin, ELF or PTX. */
CUresult soft_payload(const void *pointer, const void **image, size_t *size);

/* Several images as one, an ELF file with a section for each; free() it. NULL when memory is short.
 */
void *soft_payload_join(const void *const *images, const size_t *sizes, size_t n, size_t *size);

/* The images that an ELF file of soft_payload_join holds; at most `most`; 0: it is none of these.
 */
size_t soft_payload_split(const void *image, size_t size, const void **images, size_t *sizes,
                          size_t most);
#define SOFT_MOST_IMAGES 256

/* occupancy.c */

/* Registers of a thread as the driver tells them. */
unsigned soft_registers(const struct wh_soft_kernel_info *info);

/* Blocks of this shape that one multiprocessor holds at once; 0: the shape does not fit. */
unsigned soft_resident_blocks(const struct soft_function *function, unsigned threads,
                              size_t dynamic_shared);

/* launch.c */

/* A launch's shape, from its configuration and attributes. */
struct soft_shape {
    unsigned grid[3], block[3], cluster[3]; /* cluster 0, 0, 0: none asked for */
    unsigned shared;
    bool cooperative;
    CUevent events[2]; /* to be recorded when the kernel is done; or NULL */
};

/* Checks a configuration's attributes. */
CUresult soft_shape_read(const CUlaunchConfig *config, struct soft_shape *shape);

/* Settles the cluster of a launch: 1, 1, 1 without one. */
CUresult soft_shape_cluster(const struct soft_function *function, struct soft_shape *shape);

/* function.c: the function that a handle names; the reference is the caller's. */
CUresult soft_function_find(CUfunction handle, struct soft_function **function);

/* library.c */

/* What a launch or an occupancy call means: a function, or a kernel, which then is its function in
 * the current context. The reference is the caller's. */
CUresult soft_launchable_find(CUfunction handle, struct soft_function **function);

/* ---- for who may only touch what `sees` says, whether something can be looked at ---- */

struct soft_kernel;

/* A library itself; its kernels, if it can and they are no more than that; a kernel, and what is
 * made of it in all contexts. */
bool soft_library_seen(const struct soft_library *library,
                       bool (*sees)(const void *bytes, size_t size));
bool soft_library_kernels_seen(const struct soft_library *library, size_t most,
                               bool (*sees)(const void *bytes, size_t size));
bool soft_kernel_seen(const struct soft_kernel *kernel,
                      bool (*sees)(const void *bytes, size_t size));

/* A library's module in a context, and the function that a kernel has in one, if there is one that
 * can be found; borrowed. */
const struct soft_module *soft_library_part(const struct soft_library *library,
                                            const struct soft_context *context,
                                            bool (*sees)(const void *bytes, size_t size));
const struct soft_function *soft_kernel_made(const struct soft_kernel *kernel,
                                             const struct soft_context *context,
                                             bool (*sees)(const void *bytes, size_t size));

/* The copy for questions, of a library and of a kernel; and a kernel's library. */
const struct wh_soft_module *soft_library_code(const struct soft_library *library);
const struct wh_soft_kernel *soft_kernel_code(const struct soft_kernel *kernel);
const struct soft_library *soft_kernel_library(const struct soft_kernel *kernel);

/* A context stops: drops every library's part in it. */
void soft_library_forget(struct soft_context *context);

#endif
