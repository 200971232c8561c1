/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software device's engine: loads code images and runs kernels. Called by the software driver
 * (module.c, launch.c ...). It knows no streams, contexts or handles of the driver API. It must
 * never touch memory outside of what `reach` grants.
 */
#ifndef WH_SOFTGPU_ENGINE_H
#define WH_SOFTGPU_ENGINE_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_soft_module; /* one loaded image; immutable after load but for its global variables' bytes
                        */
struct wh_soft_kernel; /* owned by its module */
struct wh_soft_texture; /* texture.h */

/* The device's memory, as the driver keeps it. Device addresses are host addresses of this process.
 */
struct wh_soft_memory {
    /* The allocation that `address` lies in: [*start, *end). False: none (the access is illegal).
     * Thread-safe. Answers are remembered for the rest of the launch: what was there stays mapped
     * until the launch ends. */
    bool (*reach)(void *owner, uint64_t address, uint64_t *start, uint64_t *end);
    /* Memory for module globals, device-side malloc and the like; 0 when short. Zeroed. */
    uint64_t (*allocate)(void *owner, size_t size, size_t alignment);
    void (*release)(void *owner, uint64_t address);
    /* The texture or surface with that number, as it stands until the launch ends; NULL: none.
     * Thread-safe. The function may be NULL where there are none. */
    const struct wh_soft_texture *(*texture)(void *owner, uint64_t number);
    /* A kernel says what a graph's conditional node is to see. NULL where there are no graphs. */
    void (*set_condition)(void *owner, uint64_t handle, uint32_t value);
    void *owner;
};

/* What went wrong, for cuModuleLoad* (the driver maps it to CUresult). */
enum wh_soft_status {
    WH_SOFT_OK,
    WH_SOFT_INVALID_IMAGE /* CUDA_ERROR_INVALID_IMAGE */,
    WH_SOFT_NO_BINARY /* NO_BINARY_FOR_GPU */,
    WH_SOFT_INVALID_PTX /* INVALID_PTX; error->text "line N: instruction X: why" */,
    WH_SOFT_UNSUPPORTED_PTX,
    WH_SOFT_NO_MEMORY,
    WH_SOFT_UNRESOLVED /* extern symbol without definition */
};

/*
 * `images`: n code images (fatbin, ELF cubin with PTX, PTX text); more than one only for the linker
 * calls. Wrapper structs (0x466243b1) hold client addresses and never come here. Sizes are exact;
 * contents are hostile.
 */
enum wh_soft_status wh_soft_load(const struct wh_soft_memory *memory, const void *const *images,
                                 const size_t *sizes, size_t n, struct wh_soft_module **module,
                                 struct wh_error *error);
void wh_soft_unload(struct wh_soft_module *module);

/* Kernels by name and by index; globals by name: address and size. */
struct wh_soft_kernel *wh_soft_find_kernel(struct wh_soft_module *module, const char *name);
size_t wh_soft_nkernels(const struct wh_soft_module *module);
struct wh_soft_kernel *wh_soft_kernel_at(struct wh_soft_module *module, size_t index);
bool wh_soft_find_global(struct wh_soft_module *module, const char *name, uint64_t *address,
                         size_t *size);
/* The variable that a texture (surface) reference of that name is: it holds the number of what is
 * bound to it. */
bool wh_soft_find_reference(struct wh_soft_module *module, const char *name, bool surface,
                            uint64_t *address);
/* Whether that global is declared .managed. */
bool wh_soft_global_is_managed(struct wh_soft_module *module, const char *name);
/* .texref/.surfref etc. are not supported: refused at load. */

struct wh_soft_kernel_info {
    const char *name;
    size_t nparams, params_size; /* bytes of the parameter area */
    size_t shared, local,
        constant; /* static bytes: shared per block, local per thread, module's constants */
    uint32_t registers, max_threads; /* .maxntid or 1024 */
    uint32_t required_block[3];      /* .reqntid or zeros */
    uint32_t required_cluster[3];    /* .reqnctapercluster or zeros */
    uint32_t ptx_version;            /* 90 for target sm_90 */
};
void wh_soft_kernel_info(const struct wh_soft_kernel *kernel, struct wh_soft_kernel_info *info);
/* Offset and size of parameter i; false: no such parameter. */
bool wh_soft_kernel_param(const struct wh_soft_kernel *kernel, size_t i, size_t *offset,
                          size_t *size);

/* A fault in a kernel, as the driver reports it (700 illegal address, 710 assert, 715 illegal
 * instruction, 716 misaligned, 719 trap, 701 resources ...). */
struct wh_soft_fault {
    int code;       /* CUresult */
    char text[200]; /* what, where: kernel, block, thread, PTX line */
};

struct wh_soft_launch {
    struct wh_soft_kernel *kernel;
    uint32_t grid[3], block[3], cluster[3]; /* cluster: 1,1,1 without */
    uint32_t dynamic_shared;
    bool cooperative;           /* all blocks make progress together */
    const void *params;         /* params_size bytes, kernel layout */
    size_t heap;                /* device-side malloc: most bytes */
    const _Atomic bool *cancel; /* set: stop soon (context destroyed) */
    uint64_t number;            /* no other launch has it: %gridid */
};

/* Runs a kernel to its end on all cores of the process; printed text goes to stdout/stderr of the
 * process in whole lines as the kernel ends at the latest. 0, or -1 with *fault. Thread-safe;
 * several may run at once. */
int wh_soft_run(const struct wh_soft_memory *memory, const struct wh_soft_launch *launch,
                struct wh_soft_fault *fault);

#endif
