/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries and kernels: code that belongs to no context. A library keeps its image and, for
 * questions, one loaded copy with memory of the host; each context that uses it gets a module.
 */
#include "backend/softgpu/library.h"

#include "backend/softgpu/queue.h"
#include "base/util.h"

#include <string.h>

/* A library's module in one context. */
struct part {
    struct part *next;
    struct soft_context *context; /* not held: the part goes when it stops */
    struct soft_module *module;   /* a reference */
};

struct soft_kernel {
    struct soft_object object;
    struct soft_library *library; /* a reference; the library's own to us is a plain pointer */
    size_t index;                 /* among the library's kernels */
    struct wh_soft_kernel *code;  /* of the copy for questions */
    struct wh_soft_kernel_info info;
    struct soft_function_settings settings[SOFT_MAX_DEVICES];
};

struct soft_library {
    struct soft_object object;
    void *image;
    size_t size;
    struct wh_soft_module *code; /* for questions */
    struct soft_kernel **kernels;
    size_t nkernels;
    pthread_mutex_t lock; /* guards `parts` */
    bool dropped;
    struct part *parts;
    struct soft_library *next, **link; /* in the list of all; guarded by its lock */
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct soft_library *all;

/* ---- the copy for questions: no kernel of it ever runs ---- */

static bool reach_nothing(void *owner, uint64_t address, uint64_t *start, uint64_t *end)
{
    (void)owner, (void)address, (void)start, (void)end;
    return false;
}

static uint64_t allocate_host(void *owner, size_t size, size_t alignment)
{
    (void)owner;
    void *memory;
    if (size > INT32_MAX || alignment > 4096 ||
        posix_memalign(&memory, alignment < 16 ? 16 : alignment, size ? size : 1) != 0)
        return 0;
    memset(memory, 0, size);
    return (uint64_t)(uintptr_t)memory;
}

static void release_host(void *owner, uint64_t address)
{
    (void)owner;
    free((void *)(uintptr_t)address);
}

static const struct wh_soft_memory host_memory = {
    .reach = reach_nothing, .allocate = allocate_host, .release = release_host};

/* ---- life ---- */

static void destroy_kernel(void *object)
{
    soft_object_release(((struct soft_kernel *)object)->library);
}

static struct part *take_parts(struct soft_library *library)
{
    pthread_mutex_lock(&library->lock);
    struct part *parts = library->parts;
    library->parts = NULL;
    library->dropped = true;
    pthread_mutex_unlock(&library->lock);
    return parts;
}

static void drop_parts(struct part *parts)
{
    while (parts) {
        struct part *next = parts->next;
        soft_module_drop(parts->module);
        soft_object_release(parts->module);
        free(parts);
        parts = next;
    }
}

static void destroy_library(void *object)
{
    struct soft_library *library = object;
    pthread_mutex_lock(&all_lock);
    if (library->link) {
        *library->link = library->next;
        if (library->next)
            library->next->link = library->link;
    }
    pthread_mutex_unlock(&all_lock);
    drop_parts(take_parts(library));
    if (library->code)
        wh_soft_unload(library->code);
    free(library->kernels);
    free(library->image);
    pthread_mutex_destroy(&library->lock);
}

static bool add_kernel(struct soft_library *library, size_t index)
{
    struct soft_kernel *kernel =
        soft_object_new(SOFT_KERNEL, sizeof(*kernel), NULL, destroy_kernel);
    if (!kernel)
        return false;
    kernel->library = soft_object_retain(library);
    kernel->index = index;
    kernel->code = wh_soft_kernel_at(library->code, index);
    wh_soft_kernel_info(kernel->code, &kernel->info);
    for (int i = 0; i < soft.ndevices; i++)
        soft_settings_init(&kernel->settings[i], &kernel->info);
    library->kernels[library->nkernels++] = kernel;
    soft_object_list(kernel);
    return true;
}

static bool add_kernels(struct soft_library *library)
{
    size_t n = wh_soft_nkernels(library->code);
    library->kernels = calloc(n ? n : 1, sizeof(struct soft_kernel *));
    bool good = library->kernels;
    for (size_t i = 0; i < n && good; i++)
        good = add_kernel(library, i);
    return good;
}

static void list_library(struct soft_library *library)
{
    pthread_mutex_lock(&all_lock);
    library->next = all;
    library->link = &all;
    if (all)
        all->link = &library->next;
    all = library;
    pthread_mutex_unlock(&all_lock);
    soft_object_list(library);
}

static void unlist_kernels(struct soft_library *library)
{
    for (size_t i = 0; i < library->nkernels; i++)
        soft_object_unlist(library->kernels[i]);
}

static CUresult load(CUlibrary *handle, const void *image, size_t size, const struct soft_jit *jit)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_HOLD struct soft_library *library =
        soft_object_new(SOFT_LIBRARY, sizeof(*library), NULL, destroy_library);
    if (!library)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_init(&library->lock, NULL);
    library->image = malloc(size + 1);
    if (!library->image)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(library->image, image, size);
    ((char *)library->image)[size] = 0;
    library->size = size;
    CUresult result = soft_code_load(&host_memory, library->image, size, jit, &library->code);
    if (result != CUDA_SUCCESS) {
        library->code = NULL;
        return result;
    }
    if (!add_kernels(library)) {
        unlist_kernels(library);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    list_library(soft_object_retain(library));
    *handle = (CUlibrary)library;
    return CUDA_SUCCESS;
}

static bool options_good(const CUlibraryOption *options, void *const *values, unsigned count)
{
    if (count && (!options || !values))
        return false;
    for (unsigned i = 0; i < count; i++)
        if ((unsigned)options[i] >= CU_LIBRARY_NUM_OPTIONS)
            return false;
    return true;
}

SOFT_API CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jit_options,
                                    void **jit_values, unsigned jit_count, CUlibraryOption *options,
                                    void **values, unsigned count)
{
    struct soft_jit jit;
    const void *image;
    size_t size;
    if (!library || !code || !options_good(options, values, count))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_jit_parse(&jit, jit_count, jit_options, jit_values);
    if (result == CUDA_SUCCESS)
        result = soft_payload(code, &image, &size);
    return result == CUDA_SUCCESS ? load(library, image, size, &jit) : result;
}

SOFT_API CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *path,
                                        CUjit_option *jit_options, void **jit_values,
                                        unsigned jit_count, CUlibraryOption *options, void **values,
                                        unsigned count)
{
    struct soft_jit jit;
    void *bytes;
    size_t size;
    if (!library || !path || !options_good(options, values, count))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_jit_parse(&jit, jit_count, jit_options, jit_values);
    if (result == CUDA_SUCCESS)
        result = soft_read_file(path, &bytes, &size);
    if (result != CUDA_SUCCESS)
        return result;
    result = load(library, bytes, size, &jit);
    free(bytes);
    return result;
}

static CUresult find_library(CUlibrary handle, struct soft_library **library)
{
    *library = NULL;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    *library = soft_object_get(handle, SOFT_LIBRARY);
    return *library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

SOFT_API CUresult cuLibraryUnload(CUlibrary handle)
{
    SOFT_HOLD struct soft_library *library;
    CUresult result = find_library(handle, &library);
    if (result != CUDA_SUCCESS)
        return result;
    if (!soft_object_unlist(library))
        return CUDA_ERROR_INVALID_HANDLE;
    struct part *parts = take_parts(library);
    for (const struct part *part = parts; part; part = part->next)
        soft_context_wait(part->context);
    drop_parts(parts);
    unlist_kernels(library);
    return CUDA_SUCCESS;
}

/* ---- a library in a context ---- */

static struct part *find_part(const struct soft_library *library,
                              const struct soft_context *context)
{
    struct part *part = library->parts;
    while (part && part->context != context)
        part = part->next;
    return part;
}

static CUresult add_part(struct soft_library *library, struct soft_context *context)
{
    struct wh_soft_module *code;
    struct part *part = malloc(sizeof(*part));
    if (!part)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = soft_code_load(&context->memory, library->image, library->size,
                                     &(struct soft_jit){0}, &code);
    if (result == CUDA_SUCCESS)
        result = soft_module_make(context, code, library, &part->module);
    if (result != CUDA_SUCCESS) {
        free(part);
        return result;
    }
    soft_object_retain(part->module);
    part->context = context;
    part->next = library->parts;
    library->parts = part;
    return CUDA_SUCCESS;
}

/* The library's module in the current context; the reference is the caller's. */
static CUresult current_module(struct soft_library *library, struct soft_module **module)
{
    struct soft_context *context;
    *module = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&library->lock);
    if (library->dropped)
        result = CUDA_ERROR_INVALID_HANDLE;
    else if (!find_part(library, context))
        result = add_part(library, context);
    if (result == CUDA_SUCCESS)
        *module = soft_object_retain(find_part(library, context)->module);
    pthread_mutex_unlock(&library->lock);
    return result;
}

/* Takes a context's part out of a library. */
static struct part *unlink_part(struct soft_library *library, const struct soft_context *context)
{
    pthread_mutex_lock(&library->lock);
    struct part **link = &library->parts;
    while (*link && (*link)->context != context)
        link = &(*link)->next;
    struct part *part = *link;
    if (part) {
        *link = part->next;
        part->next = NULL;
    }
    pthread_mutex_unlock(&library->lock);
    return part;
}

void soft_library_forget(struct soft_context *context)
{
    struct part *gone = NULL;
    pthread_mutex_lock(&all_lock);
    for (struct soft_library *library = all; library; library = library->next) {
        struct part *part = unlink_part(library, context);
        if (part) {
            part->next = gone;
            gone = part;
        }
    }
    pthread_mutex_unlock(&all_lock);
    drop_parts(gone);
}

SOFT_API CUresult cuLibraryGetModule(CUmodule *handle, CUlibrary library_handle)
{
    SOFT_HOLD struct soft_library *library;
    SOFT_HOLD struct soft_module *module = NULL;
    CUresult result = soft_needs(find_library(library_handle, &library), handle);
    if (result == CUDA_SUCCESS)
        result = current_module(library, &module);
    if (result == CUDA_SUCCESS)
        *handle = (CUmodule)module;
    return result;
}

static CUresult get_global(CUdeviceptr *pointer, size_t *size, CUlibrary handle, const char *name,
                           bool managed)
{
    SOFT_HOLD struct soft_library *library;
    SOFT_HOLD struct soft_module *module = NULL;
    CUresult result = find_library(handle, &library);
    if (result == CUDA_SUCCESS && (!name || (!pointer && !size)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = current_module(library, &module);
    if (result == CUDA_SUCCESS && managed && !wh_soft_global_is_managed(module->code, name))
        result = CUDA_ERROR_NOT_FOUND;
    return result == CUDA_SUCCESS ? soft_module_global(module, name, pointer, size) : result;
}

SOFT_API CUresult cuLibraryGetGlobal(CUdeviceptr *pointer, size_t *size, CUlibrary handle,
                                     const char *name)
{
    return get_global(pointer, size, handle, name, false);
}

/* All device memory is the host's too: a managed variable is as any other. */
SOFT_API CUresult cuLibraryGetManaged(CUdeviceptr *pointer, size_t *size, CUlibrary handle,
                                      const char *name)
{
    CUcontext context = NULL;
    /* A managed variable is there in all contexts, even before there is one: here it lives in the
     * first device's primary context, which is kept for it. */
    if (!soft_current()) {
        CUresult result = cuDevicePrimaryCtxRetain(&context, 0);
        if (result == CUDA_SUCCESS)
            result = cuCtxPushCurrent_v2(context);
        if (result != CUDA_SUCCESS)
            return result;
    }
    CUresult result = get_global(pointer, size, handle, name, true);
    if (context)
        cuCtxPopCurrent_v2(&context);
    return result;
}

/* ---- kernels ---- */

SOFT_API CUresult cuLibraryGetKernelCount(unsigned *count, CUlibrary handle)
{
    SOFT_HOLD struct soft_library *library;
    CUresult result = soft_needs(find_library(handle, &library), count);
    if (result == CUDA_SUCCESS)
        *count = (unsigned)library->nkernels;
    return result;
}

SOFT_API CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned most, CUlibrary handle)
{
    SOFT_HOLD struct soft_library *library;
    CUresult result = find_library(handle, &library);
    if (result != CUDA_SUCCESS)
        return result;
    if (!kernels || most == 0)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < most && i < library->nkernels; i++)
        kernels[i] = (CUkernel)library->kernels[i];
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuLibraryGetKernel(CUkernel *handle, CUlibrary library_handle, const char *name)
{
    SOFT_HOLD struct soft_library *library;
    CUresult result = find_library(library_handle, &library);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !name)
        return CUDA_ERROR_INVALID_VALUE;
    const struct wh_soft_kernel *code = wh_soft_find_kernel(library->code, name);
    for (size_t i = 0; code && i < library->nkernels; i++)
        if (library->kernels[i]->code == code) {
            *handle = (CUkernel)library->kernels[i];
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_NOT_FOUND;
}

static CUresult find_kernel(CUkernel handle, struct soft_kernel **kernel)
{
    *kernel = NULL;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    *kernel = soft_object_get(handle, SOFT_KERNEL);
    return *kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* A kernel as a function of the current context. */
static CUresult kernel_function(struct soft_kernel *kernel, struct soft_function **function)
{
    SOFT_HOLD struct soft_module *module;
    CUresult result = current_module(kernel->library, &module);
    if (result != CUDA_SUCCESS)
        return result;
    bool new_one;
    result = soft_module_function(module, wh_soft_kernel_at(module->code, kernel->index), function,
                                  &new_one);
    if (result == CUDA_SUCCESS && new_one)
        soft_settings_copy(&(*function)->settings,
                           &kernel->settings[module->object.context->device->ordinal]);
    return result;
}

bool soft_library_seen(const struct soft_library *library,
                       bool (*sees)(const void *bytes, size_t size))
{
    return sees(library, sizeof(*library));
}

const struct soft_module *soft_library_part(const struct soft_library *library,
                                            const struct soft_context *context,
                                            bool (*sees)(const void *bytes, size_t size))
{
    const struct part *part = library->parts;
    while (part && sees(part, sizeof(*part)) && part->context != context)
        part = part->next;
    return part && sees(part, sizeof(*part)) ? part->module : NULL;
}

const struct wh_soft_module *soft_library_code(const struct soft_library *library)
{
    return library->code;
}

bool soft_library_kernels_seen(const struct soft_library *library, size_t most,
                               bool (*sees)(const void *bytes, size_t size))
{
    bool seen = library->nkernels <= most &&
                sees(library->kernels, library->nkernels * sizeof(*library->kernels));
    for (size_t i = 0; seen && i < library->nkernels; i++)
        seen = sees(library->kernels[i], sizeof(*library->kernels[i]));
    return seen;
}

const struct wh_soft_kernel *soft_kernel_code(const struct soft_kernel *kernel)
{
    return kernel->code;
}

const struct soft_library *soft_kernel_library(const struct soft_kernel *kernel)
{
    return kernel->library;
}

static bool function_seen(const struct soft_module *module, size_t index,
                          bool (*sees)(const void *bytes, size_t size))
{
    return sees(module, sizeof(*module)) && index < module->nfunctions &&
           sees(module->functions, module->nfunctions * sizeof(*module->functions)) &&
           (!module->functions[index] ||
            sees(module->functions[index], sizeof(*module->functions[index])));
}

bool soft_kernel_seen(const struct soft_kernel *kernel,
                      bool (*sees)(const void *bytes, size_t size))
{
    if (!sees(kernel, sizeof(*kernel)) || !soft_library_seen(kernel->library, sees))
        return false;
    for (const struct part *part = kernel->library->parts; part; part = part->next)
        if (!sees(part, sizeof(*part)) || !sees(part->context, sizeof(*part->context)) ||
            !function_seen(part->module, kernel->index, sees))
            return false;
    return true;
}

const struct soft_function *soft_kernel_made(const struct soft_kernel *kernel,
                                             const struct soft_context *context,
                                             bool (*sees)(const void *bytes, size_t size))
{
    if (!sees(kernel, sizeof(*kernel)) || !soft_library_seen(kernel->library, sees))
        return NULL;
    const struct soft_module *module = soft_library_part(kernel->library, context, sees);
    return module && function_seen(module, kernel->index, sees) ? module->functions[kernel->index]
                                                                : NULL;
}

CUresult soft_launchable_find(CUfunction handle, struct soft_function **function)
{
    *function = NULL;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_HOLD struct soft_kernel *kernel = soft_object_get(handle, SOFT_KERNEL);
    return kernel ? kernel_function(kernel, function) : soft_function_find(handle, function);
}

SOFT_API CUresult cuKernelGetFunction(CUfunction *handle, CUkernel kernel_handle)
{
    SOFT_HOLD struct soft_kernel *kernel;
    SOFT_HOLD struct soft_function *function = NULL;
    CUresult result = soft_needs(find_kernel(kernel_handle, &kernel), handle);
    if (result == CUDA_SUCCESS)
        result = kernel_function(kernel, &function);
    if (result == CUDA_SUCCESS)
        *handle = (CUfunction)function;
    return result;
}

SOFT_API CUresult cuKernelGetLibrary(CUlibrary *library, CUkernel handle)
{
    SOFT_HOLD struct soft_kernel *kernel;
    CUresult result = soft_needs(find_kernel(handle, &kernel), library);
    if (result == CUDA_SUCCESS)
        *library = (CUlibrary)kernel->library;
    return result;
}

SOFT_API CUresult cuKernelGetName(const char **name, CUkernel handle)
{
    SOFT_HOLD struct soft_kernel *kernel;
    CUresult result = soft_needs(find_kernel(handle, &kernel), name);
    if (result == CUDA_SUCCESS)
        *name = kernel->info.name;
    return result;
}

SOFT_API CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t *offset, size_t *size)
{
    SOFT_HOLD struct soft_kernel *kernel;
    CUresult result = find_kernel(handle, &kernel);
    if (result != CUDA_SUCCESS)
        return result;
    return soft_parameter(kernel->code, index, offset, size);
}

SOFT_API CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel handle,
                                       CUdevice device)
{
    SOFT_HOLD struct soft_kernel *kernel;
    CUresult result = find_kernel(handle, &kernel);
    if (result != CUDA_SUCCESS)
        return result;
    if (!soft_device_get(device))
        return CUDA_ERROR_INVALID_DEVICE;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    return soft_settings_get(&kernel->settings[device], &kernel->info, (int)attribute, value);
}

/* What is set of a kernel holds for its functions in all contexts of the device. */
SOFT_API CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle,
                                       CUdevice device)
{
    SOFT_HOLD struct soft_kernel *kernel;
    CUresult result = find_kernel(handle, &kernel);
    if (result != CUDA_SUCCESS)
        return result;
    if (!soft_device_get(device))
        return CUDA_ERROR_INVALID_DEVICE;
    result = soft_settings_set(&kernel->settings[device], &kernel->info, (int)attribute, value);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_library *library = kernel->library;
    pthread_mutex_lock(&library->lock);
    for (struct part *part = library->parts; part; part = part->next)
        if (part->context->device->ordinal == device)
            soft_module_set(part->module, kernel->index, (int)attribute, value);
    pthread_mutex_unlock(&library->lock);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache preference, CUdevice device)
{
    SOFT_HOLD struct soft_kernel *kernel;
    CUresult result = find_kernel(handle, &kernel);
    if (result != CUDA_SUCCESS)
        return result;
    if (!soft_device_get(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return (unsigned)preference > CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_ERROR_INVALID_VALUE
                                                             : CUDA_SUCCESS;
}
