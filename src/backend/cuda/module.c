/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules and libraries. Images arrive in pieces and are the tenant's: their own sizes must lie
 * inside of what arrived before the driver, which is told no size, looks at them.
 */
#include "backend/cuda/backend.h"

#include "backend/cuda/image.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define MOST_IMAGE   ((size_t)2 << 30) /* bytes of all that are on their way */
#define MOST_PENDING 64u               /* images that arrived and were not loaded yet */
#define PADDING      64u               /* zeros behind an image */

struct image {
    struct image *next;
    uint64_t id;
    size_t size, filled;
    uint8_t bytes[];
};

struct wh_cuda_images {
    pthread_mutex_t lock;
    struct image *first;
    unsigned n;
    size_t bytes; /* of all */
};

struct wh_cuda_images *wh_cuda_images_new(void)
{
    struct wh_cuda_images *images = calloc(1, sizeof(*images));
    if (images)
        pthread_mutex_init(&images->lock, NULL);
    return images;
}

static struct image **find_image(struct wh_cuda_images *images, uint64_t id)
{
    struct image **link = &images->first;
    while (*link && (*link)->id != id)
        link = &(*link)->next;
    return link;
}

static struct image *add_image(struct wh_cuda_images *images, uint64_t id, size_t size)
{
    struct image *image = NULL;
    if (size <= MOST_IMAGE - images->bytes && images->n < MOST_PENDING)
        image = calloc(1, sizeof(*image) + size + PADDING);
    if (!image)
        return NULL;
    image->id = id;
    image->size = size;
    image->next = images->first;
    images->first = image;
    images->n++;
    images->bytes += size;
    return image;
}

CUresult wh_cuda_do_image_part(struct wh_call *call, uint64_t id, size_t total, size_t at,
                               size_t size, void *bytes)
{
    struct wh_cuda_images *images = wh_cuda_state(call)->images;
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&images->lock);
    struct image *image = *find_image(images, id);
    if (!image)
        image = add_image(images, id, total);
    if (!image)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    else if (image->size != total || at != image->filled || size > total - at)
        wh_call_fault(call, "an image's pieces do not fit together");
    else {
        memcpy(image->bytes + at, bytes, size);
        image->filled += size;
    }
    pthread_mutex_unlock(&images->lock);
    return result;
}

/* The image is the caller's from here on; NULL: not there, or not complete. */
static struct image *take_image(struct wh_call *call, uint64_t id)
{
    struct wh_cuda_images *images = wh_cuda_state(call)->images;
    pthread_mutex_lock(&images->lock);
    struct image **link = find_image(images, id);
    struct image *image = *link;
    if (image) {
        *link = image->next;
        images->n--;
        images->bytes -= image->size;
    }
    pthread_mutex_unlock(&images->lock);
    if (image && image->filled == image->size)
        return image;
    free(image);
    return wh_call_fault(call, "a module's image is not there");
}

/* ---- options ---- */

/* The driver's two arrays, made from the client's and from rooms for logs of our own. */
struct options {
    unsigned n;
    CUjit_option *names;
    void **values;
    unsigned info, errors, wall, threads; /* places of what comes back */
};

#define OWN_OPTIONS 5u

static void add_option(struct options *o, CUjit_option name, void *value)
{
    o->names[o->n] = name;
    o->values[o->n++] = value;
}

/* Only numbers cross: an option that holds an address would hold the client's. */
bool wh_cuda_jit_crosses(unsigned option)
{
    switch (option) {
    case CU_JIT_MAX_REGISTERS:
    case CU_JIT_THREADS_PER_BLOCK:
    case CU_JIT_OPTIMIZATION_LEVEL:
    case CU_JIT_TARGET_FROM_CUCONTEXT:
    case CU_JIT_TARGET:
    case CU_JIT_FALLBACK_STRATEGY:
    case CU_JIT_GENERATE_DEBUG_INFO:
    case CU_JIT_LOG_VERBOSE:
    case CU_JIT_GENERATE_LINE_INFO:
    case CU_JIT_CACHE_MODE:
    case CU_JIT_LTO:
    case CU_JIT_FTZ:
    case CU_JIT_PREC_DIV:
    case CU_JIT_PREC_SQRT:
    case CU_JIT_FMA:
    case CU_JIT_OPTIMIZE_UNUSED_DEVICE_VARIABLES:
    case CU_JIT_POSITION_INDEPENDENT_CODE:
    case CU_JIT_MIN_CTA_PER_SM:
    case CU_JIT_MAX_THREADS_PER_BLOCK:
    case CU_JIT_OVERRIDE_DIRECTIVE_VALUES:
        return true;
    default:
        return false;
    }
}

static bool make_options(struct wh_call *call, struct options *o, unsigned n, const unsigned *names,
                         const uint64_t *values, unsigned info_room, char *info,
                         unsigned error_room, char *errors)
{
    *o = (struct options){0};
    o->names = wh_call_memory(call, (n + OWN_OPTIONS) * sizeof(*o->names));
    o->values = wh_call_memory(call, (n + OWN_OPTIONS) * sizeof(*o->values));
    if (!o->names || !o->values)
        return false;
    o->threads = UINT32_MAX;
    for (unsigned i = 0; i < n; i++) {
        if (!names || !values || !wh_cuda_jit_crosses(names[i])) {
            wh_call_fault(call, "an option of a loader may not cross");
            return false;
        }
        if (names[i] == CU_JIT_THREADS_PER_BLOCK)
            o->threads = o->n;
        add_option(o, (CUjit_option)names[i], (void *)(uintptr_t)values[i]);
    }
    o->wall = o->n;
    add_option(o, CU_JIT_WALL_TIME, NULL);
    if (info && info_room) {
        add_option(o, CU_JIT_INFO_LOG_BUFFER, info);
        o->info = o->n;
        add_option(o, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, (void *)(uintptr_t)info_room);
    }
    if (errors && error_room) {
        add_option(o, CU_JIT_ERROR_LOG_BUFFER, errors);
        o->errors = o->n;
        add_option(o, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, (void *)(uintptr_t)error_room);
    }
    return true;
}

static void read_options(const struct options *o, wh_cuda_jit_answer *answer)
{
    if (o->info)
        answer->info_size = (unsigned)(uintptr_t)o->values[o->info];
    if (o->errors)
        answer->error_size = (unsigned)(uintptr_t)o->values[o->errors];
    if (o->threads != UINT32_MAX)
        answer->threads_per_block = (unsigned)(uintptr_t)o->values[o->threads];
    memcpy(&answer->wall_time, &o->values[o->wall], sizeof(answer->wall_time));
}

/* ---- loading ---- */

/* Exactly one of `module` and `library` is wanted. */
static CUresult load(struct wh_call *call, uint64_t id, struct options *o,
                     wh_cuda_jit_answer *answer, CUmodule *module, CUlibrary *library)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct image *image = take_image(call, id);
    if (!image)
        return CUDA_ERROR_INVALID_IMAGE;
    if (!wh_cuda_image_fits(image->bytes, image->size))
        answer->status = CUDA_ERROR_INVALID_IMAGE;
    else if (module)
        answer->status = f->cuModuleLoadDataEx(module, image->bytes, o->n, o->names, o->values);
    else
        answer->status =
            f->cuLibraryLoadData(library, image->bytes, o->names, o->values, o->n, NULL, NULL, 0);
    free(image);
    read_options(o, answer);
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_load_module(struct wh_call *call, uint64_t id, unsigned n,
                                const unsigned *names, const uint64_t *values, unsigned info_room,
                                char *info, unsigned error_room, char *errors,
                                wh_cuda_jit_answer *answer, CUmodule *module)
{
    struct options o;
    if (!answer || !module ||
        !make_options(call, &o, n, names, values, info_room, info, error_room, errors))
        return CUDA_ERROR_INVALID_VALUE;
    return load(call, id, &o, answer, module, NULL);
}

CUresult wh_cuda_do_load_library(struct wh_call *call, uint64_t id, unsigned n,
                                 const unsigned *names, const uint64_t *values, unsigned info_room,
                                 char *info, unsigned error_room, char *errors,
                                 wh_cuda_jit_answer *answer, CUlibrary *library)
{
    struct options o;
    if (!answer || !library ||
        !make_options(call, &o, n, names, values, info_room, info, error_room, errors))
        return CUDA_ERROR_INVALID_VALUE;
    return load(call, id, &o, answer, NULL, library);
}

/* ---- what is in them ---- */

CUresult wh_cuda_do_get_function(struct wh_call *call, CUmodule module, const char *name,
                                 CUfunction *function)
{
    if (!name || !function)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuModuleGetFunction(function, module, name);
}

CUresult wh_cuda_do_get_kernel(struct wh_call *call, CUlibrary library, const char *name,
                               CUkernel *kernel)
{
    if (!name || !kernel)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuLibraryGetKernel(kernel, library, name);
}

CUresult wh_cuda_do_get_texref(struct wh_call *call, CUmodule module, const char *name,
                               CUtexref *reference)
{
    if (!name || !reference)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuModuleGetTexRef(reference, module, name);
}

CUresult wh_cuda_do_get_surfref(struct wh_call *call, CUmodule module, const char *name,
                                CUsurfref *reference)
{
    if (!name || !reference)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuModuleGetSurfRef(reference, module, name);
}

CUresult wh_cuda_do_library_module(struct wh_call *call, CUlibrary library, CUmodule *module)
{
    return module ? wh_cuda_driver(call)->cuLibraryGetModule(module, library)
                  : CUDA_ERROR_INVALID_VALUE;
}

CUresult wh_cuda_do_kernel_function(struct wh_call *call, CUkernel kernel, CUfunction *function)
{
    return function ? wh_cuda_driver(call)->cuKernelGetFunction(function, kernel)
                    : CUDA_ERROR_INVALID_VALUE;
}

CUresult wh_cuda_do_get_global(struct wh_call *call, CUmodule module, CUlibrary library,
                               const char *name, unsigned managed, CUdeviceptr *address,
                               size_t *size)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_range range = {.kind = WH_CUDA_RANGE_GLOBAL};
    CUdeviceptr at = 0;
    size_t bytes = 0;
    if (!name || (!module && !library))
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = module    ? f->cuModuleGetGlobal_v2(&at, &bytes, module, name)
                      : managed ? f->cuLibraryGetManaged(&at, &bytes, library, name)
                                : f->cuLibraryGetGlobal(&at, &bytes, library, name);
    if (result != CUDA_SUCCESS)
        return result;
    range.start = at;
    range.size = bytes;
    range.owner = module ? (void *)module : (void *)library;
    range.within = wh_cuda_current(call);
    wh_cuda_ranges_add(wh_cuda_state(call)->ranges, &range); /* asked for again: it is there */
    if (address)
        *address = at;
    if (size)
        *size = bytes;
    return CUDA_SUCCESS;
}

/* The name of function or kernel number `i`: the client asks for each by name. */
CUresult wh_cuda_do_function_name(struct wh_call *call, CUmodule module, CUlibrary library,
                                  unsigned i, size_t room, char *name, size_t *size)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    const char *found = NULL;
    size_t length;
    void **handles = i < 1u << 20 ? wh_call_memory(call, (i + 1) * sizeof(*handles)) : NULL;
    if (!handles || (!module && !library))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = module ? f->cuModuleEnumerateFunctions((CUfunction *)handles, i + 1, module)
                             : f->cuLibraryEnumerateKernels((CUkernel *)handles, i + 1, library);
    if (result == CUDA_SUCCESS && !handles[i])
        result = CUDA_ERROR_NOT_FOUND;
    if (result == CUDA_SUCCESS)
        result =
            module ? f->cuFuncGetName(&found, handles[i]) : f->cuKernelGetName(&found, handles[i]);
    if (result != CUDA_SUCCESS || !found)
        return result;
    length = strlen(found) + 1;
    if (name)
        memcpy(name, found, length < room ? length : room);
    if (size)
        *size = length;
    return CUDA_SUCCESS;
}

/* The client's handle is gone; the thing itself goes with its module or library. */
CUresult wh_cuda_do_forget_function(struct wh_call *call, CUfunction function)
{
    (void)call;
    (void)function;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_forget_kernel(struct wh_call *call, CUkernel kernel)
{
    (void)call;
    (void)kernel;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_forget_texref(struct wh_call *call, CUtexref reference)
{
    (void)call;
    (void)reference;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_forget_surfref(struct wh_call *call, CUsurfref reference)
{
    (void)call;
    (void)reference;
    return CUDA_SUCCESS;
}
