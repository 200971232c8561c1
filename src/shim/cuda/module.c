/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules and libraries: images go to the worker in pieces, options and logs beside them. What is
 * found in them is found once: functions and kernels are children of their module or library and go
 * with it.
 */
#include "shim/cuda/code.h"

#include "base/log.h"
#include "shim/cuda/file.h"
#include "shim/cuda/image.h"
#include "shim/cuda/jit.h"
#include "shim/cuda/mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define IMAGE_PIECE ((size_t)4 << 20)
#define MOST_NAME   65536u

/* ---- images ---- */

/* Sends an image; *id names it until it is loaded. */
static CUresult send_image(const void *image, size_t size, uint64_t *id)
{
    static _Atomic uint64_t last;
    CUresult result = CUDA_SUCCESS;
    *id = atomic_fetch_add(&last, 1) + 1;
    for (size_t at = 0; at < size && result == CUDA_SUCCESS;) {
        size_t piece = size - at < IMAGE_PIECE ? size - at : IMAGE_PIECE;
        const struct wh_block *block = wh_cuda_stage(piece, 64);
        struct wh_session *session = wh_cuda_session();
        if (!block)
            return wh_cuda_no_stage();
        memcpy(wh_arena_address(wh_session_arena(session), block), (const uint8_t *)image + at,
               piece);
        result = wh_cuda_call_image_part(*id, size, at, piece, block->offset);
        wh_arena_release(wh_session_arena(session), block);
        at += piece;
    }
    return result;
}

/* ---- loading ---- */

static CUresult load_module(CUmodule *module, const void *image, size_t size, unsigned n,
                            const CUjit_option *names, void **values)
{
    struct wh_cuda_jit_options o;
    struct wh_cuda_jit_places places;
    uint64_t id;
    CUmodule made = NULL;
    wh_cuda_jit_answer answer = {0};
    CUresult result = wh_cuda_jit_split(&o, &places, n, names, values);
    if (result == CUDA_SUCCESS)
        result = send_image(image, size, &id);
    if (result == CUDA_SUCCESS)
        result = wh_cuda_call_load_module(id, o.n, o.names, o.values, places.room[0], places.log[0],
                                          places.room[1], places.log[1], &answer, &made);
    if (result != CUDA_SUCCESS)
        return result;
    wh_cuda_jit_give_back(&places, &answer);
    if (answer.status == CUDA_SUCCESS)
        *module = made;
    return (CUresult)answer.status;
}

static CUresult load_module_data(CUmodule *module, const void *image, unsigned n,
                                 const CUjit_option *names, void **values)
{
    const void *bytes;
    size_t size;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!module || !image)
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_cuda_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!wh_cuda_image_find(image, &bytes, &size))
        return CUDA_ERROR_INVALID_IMAGE;
    result = load_module(module, bytes, size, n, names, values);
    void *linked;
    if (!wh_cuda_has_parts(image, result) ||
        wh_cuda_link_parts(image, &linked, &size) != CUDA_SUCCESS)
        return result;
    result = load_module(module, linked, size, n, names, values);
    free(linked);
    return result;
}

WH_EXPORT CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    return load_module_data(module, image, 0, NULL, NULL);
}

WH_EXPORT CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int n,
                                      CUjit_option *names, void **values)
{
    return load_module_data(module, image, n, names, values);
}

WH_EXPORT CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image)
{
    return load_module_data(module, image, 0, NULL, NULL);
}

CUresult wh_cuda_module_from_wrapper(CUmodule *module, const void *wrapper)
{
    return load_module_data(module, wrapper, 0, NULL, NULL);
}

/* A file's image must lie in the file. */
static CUresult file_image(const char *path, char **bytes, size_t *size)
{
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    result = path ? wh_cuda_read_file(path, bytes, size) : CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    if (*size == 0) {
        free(*bytes);
        return CUDA_ERROR_INVALID_IMAGE;
    }
    if (wh_cuda_image_is_text(*bytes))
        *size += 1;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuModuleLoad(CUmodule *module, const char *path)
{
    char *bytes;
    size_t size;
    if (!module)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = file_image(path, &bytes, &size);
    if (result != CUDA_SUCCESS)
        return result;
    result = load_module(module, bytes, size, 0, NULL, NULL);
    free(bytes);
    return result;
}

/* ---- libraries ---- */

static CUresult load_library(CUlibrary *library, const void *image, size_t size, unsigned n,
                             const CUjit_option *names, void **values, unsigned nlibrary,
                             const CUlibraryOption *library_names, void **library_values)
{
    struct wh_cuda_jit_options o;
    struct wh_cuda_jit_places places;
    uint64_t id;
    CUlibrary made = NULL;
    wh_cuda_jit_answer answer = {0};
    CUresult result = wh_cuda_jit_split(&o, &places, n, names, values);
    /* What options there are say how the image's bytes may be kept: here they are always copied. */
    for (unsigned i = 0; i < nlibrary; i++)
        if (!library_names || library_names[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)
            return library_names && library_values ? CUDA_ERROR_NOT_SUPPORTED
                                                   : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = send_image(image, size, &id);
    if (result == CUDA_SUCCESS)
        result =
            wh_cuda_call_load_library(id, o.n, o.names, o.values, places.room[0], places.log[0],
                                      places.room[1], places.log[1], &answer, &made);
    if (result != CUDA_SUCCESS)
        return result;
    wh_cuda_jit_give_back(&places, &answer);
    if (answer.status == CUDA_SUCCESS)
        *library = made;
    return (CUresult)answer.status;
}

WH_EXPORT CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *names,
                                     void **values, unsigned int n, CUlibraryOption *library_names,
                                     void **library_values, unsigned int nlibrary)
{
    const void *bytes;
    size_t size;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!library || !code)
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_cuda_image_find(code, &bytes, &size))
        return CUDA_ERROR_INVALID_IMAGE;
    result = load_library(library, bytes, size, n, names, values, nlibrary, library_names,
                          library_values);
    void *linked;
    if (!wh_cuda_has_parts(code, result) ||
        wh_cuda_link_parts(code, &linked, &size) != CUDA_SUCCESS)
        return result;
    result = load_library(library, linked, size, n, names, values, nlibrary, library_names,
                          library_values);
    free(linked);
    return result;
}

WH_EXPORT CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *path, CUjit_option *names,
                                         void **values, unsigned int n,
                                         CUlibraryOption *library_names, void **library_values,
                                         unsigned int nlibrary)
{
    char *bytes;
    size_t size;
    if (!library)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = file_image(path, &bytes, &size);
    if (result != CUDA_SUCCESS)
        return result;
    result = load_library(library, bytes, size, n, names, values, nlibrary, library_names,
                          library_values);
    free(bytes);
    return result;
}

/* ---- what is in them ---- */

static struct wh_cuda_code *code_of(struct wh_object *object)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!object->extra) {
        struct wh_cuda_code *code = calloc(1, sizeof(*code));
        if (code)
            pthread_mutex_init(&code->lock, NULL);
        object->extra = code;
    }
    pthread_mutex_unlock(&lock);
    return object->extra;
}

static struct wh_cuda_child *find_child(struct wh_cuda_code *code, const char *name)
{
    struct wh_cuda_child *child = code->children;
    while (child && strcmp(child->name, name) != 0)
        child = child->next;
    return child;
}

static struct wh_object *add_child(struct wh_cuda_code *code, const char *name, void *handle)
{
    size_t size = strlen(name) + 1;
    struct wh_cuda_child *child = malloc(sizeof(*child) + size);
    if (!child)
        return NULL;
    memcpy(child->name, name, size);
    child->object = handle;
    child->next = code->children;
    code->children = child;
    return child->object;
}

/* The named thing in `parent`, asked for once. `find` asks the worker. */
static CUresult get_child(struct wh_object *parent, const char *name,
                          CUresult (*find)(struct wh_object *, const char *, void **), void **found)
{
    struct wh_cuda_code *code = code_of(parent);
    void *handle = NULL;
    CUresult result = CUDA_SUCCESS;
    if (!code)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&code->lock);
    struct wh_cuda_child *child = find_child(code, name);
    if (child) {
        handle = child->object;
    } else {
        result = find(parent, name, &handle);
        if (result == CUDA_SUCCESS && !add_child(code, name, handle))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&code->lock);
    if (result == CUDA_SUCCESS)
        *found = handle;
    return result;
}

static CUresult find_function(struct wh_object *module, const char *name, void **found)
{
    return wh_cuda_call_get_function((CUmodule)module, name, (CUfunction *)found);
}

static CUresult find_kernel(struct wh_object *library, const char *name, void **found)
{
    return wh_cuda_call_get_kernel((CUlibrary)library, name, (CUkernel *)found);
}

static CUresult find_module(struct wh_object *library, const char *name, void **found)
{
    (void)name;
    return wh_cuda_call_library_module((CUlibrary)library, (CUmodule *)found);
}

static CUresult find_kernel_function(struct wh_object *kernel, const char *name, void **found)
{
    (void)name;
    return wh_cuda_call_kernel_function((CUkernel)kernel, (CUfunction *)found);
}

WH_EXPORT CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    struct wh_object *object = wh_cuda_object(module, WH_CUDA_TYPE_CUmodule);
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!function || !name || strlen(name) >= MOST_NAME)
        return CUDA_ERROR_INVALID_VALUE;
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    return get_child(object, name, find_function, (void **)function);
}

WH_EXPORT CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    struct wh_object *object = wh_cuda_object(library, WH_CUDA_TYPE_CUlibrary);
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!kernel || !name || strlen(name) >= MOST_NAME)
        return CUDA_ERROR_INVALID_VALUE;
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    return get_child(object, name, find_kernel, (void **)kernel);
}

/* A library's module and a kernel's function are those of one context, named by its id: another
 * context may have its handle later. */
static CUresult context_name(char name[24])
{
    unsigned long long id = 0;
    CUcontext context = wh_cuda_current();
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    CUresult result = cuCtxGetId(context, &id);
    (void)snprintf(name, 24, "\1%llu", id);
    return result;
}

WH_EXPORT CUresult cuLibraryGetModule(CUmodule *module, CUlibrary library)
{
    struct wh_object *object = wh_cuda_object(library, WH_CUDA_TYPE_CUlibrary);
    char name[24];
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!module)
        return CUDA_ERROR_INVALID_VALUE;
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    ready = context_name(name);
    if (ready != CUDA_SUCCESS)
        return ready;
    return get_child(object, name, find_module, (void **)module);
}

WH_EXPORT CUresult cuKernelGetFunction(CUfunction *function, CUkernel kernel)
{
    struct wh_object *object = wh_cuda_object(kernel, WH_CUDA_TYPE_CUkernel);
    char name[24];
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    ready = context_name(name);
    if (ready != CUDA_SUCCESS)
        return ready;
    return get_child(object, name, find_kernel_function, (void **)function);
}

WH_EXPORT CUresult cuKernelGetLibrary(CUlibrary *library, CUkernel kernel)
{
    struct wh_object *object = wh_cuda_object(kernel, WH_CUDA_TYPE_CUkernel);
    if (!library)
        return CUDA_ERROR_INVALID_VALUE;
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    *library = (CUlibrary)object->parent;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuFuncGetModule(CUmodule *module, CUfunction function)
{
    struct wh_object *object = wh_cuda_object(function, WH_CUDA_TYPE_CUfunction);
    if (!module)
        return CUDA_ERROR_INVALID_VALUE;
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    if (object->parent->type == WH_CUDA_TYPE_CUmodule) {
        *module = (CUmodule)object->parent;
        return CUDA_SUCCESS;
    }
    return cuLibraryGetModule(module, (CUlibrary)object->parent->parent);
}

void wh_cuda_forget_functions(CUkernel kernel)
{
    struct wh_object *object = wh_cuda_object(kernel, WH_CUDA_TYPE_CUkernel);
    struct wh_cuda_code *code = object ? object->extra : NULL;
    if (!code)
        return;
    pthread_mutex_lock(&code->lock);
    for (struct wh_cuda_child *child = code->children; child; child = child->next)
        wh_object_forget_answers(child->object);
    pthread_mutex_unlock(&code->lock);
}

/* ---- variables ---- */

static CUresult get_global(CUmodule module, CUlibrary library, const char *name, bool managed,
                           CUdeviceptr *address, size_t *bytes)
{
    CUdeviceptr at = 0;
    size_t size = 0;
    if (!name || (!address && !bytes))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_get_global(module, library, name, managed, &at, &size);
    if (result != CUDA_SUCCESS)
        return result;
    struct wh_cuda_range range = {.start = at,
                                  .size = size,
                                  .kind = WH_CUDA_GLOBAL,
                                  .owner = module ? (void *)module : (void *)library,
                                  .within = wh_cuda_current()};
    wh_cuda_ranges_add(wh_cuda_memory(), &range); /* known already: so much the better */
    if (managed)
        result = wh_cuda_mirror(at, size, library, name);
    if (result != CUDA_SUCCESS)
        return result;
    if (address)
        *address = at;
    if (bytes)
        *bytes = size;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule module,
                                        const char *name)
{
    if (!wh_cuda_object(module, WH_CUDA_TYPE_CUmodule))
        return CUDA_ERROR_INVALID_HANDLE;
    return get_global(module, NULL, name, false, address, bytes);
}

WH_EXPORT CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary library,
                                      const char *name)
{
    if (!wh_cuda_object(library, WH_CUDA_TYPE_CUlibrary))
        return CUDA_ERROR_INVALID_HANDLE;
    return get_global(NULL, library, name, false, address, bytes);
}

/* cudart asks before any context is current: the first device's is used then, and kept, as the
 * program is about to use it anyway. */
WH_EXPORT CUresult cuLibraryGetManaged(CUdeviceptr *address, size_t *bytes, CUlibrary library,
                                       const char *name)
{
    CUcontext context = NULL;
    CUresult result = CUDA_SUCCESS;
    if (!wh_cuda_object(library, WH_CUDA_TYPE_CUlibrary))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!wh_cuda_current())
        result = cuDevicePrimaryCtxRetain(&context, 0);
    if (context)
        result = cuCtxPushCurrent_v2(context);
    if (result == CUDA_SUCCESS)
        result = get_global(NULL, library, name, true, address, bytes);
    if (context) {
        cuCtxPopCurrent_v2(NULL);
        if (result != CUDA_SUCCESS)
            cuDevicePrimaryCtxRelease_v2(0);
    }
    return result;
}

/* ---- names and lists ---- */

/* Calls `take` with the handle of each function or kernel, up to `most`. */
static CUresult enumerate(CUmodule module, CUlibrary library, unsigned most, void **handles)
{
    char name[4096];
    size_t size = 0;
    CUresult result = CUDA_SUCCESS;
    for (unsigned i = 0; i < most && result == CUDA_SUCCESS; i++) {
        result = wh_cuda_call_function_name(module, library, i, sizeof(name), name, &size);
        if (result == CUDA_SUCCESS && (size == 0 || size > sizeof(name)))
            result = CUDA_ERROR_NOT_SUPPORTED;
        if (result == CUDA_SUCCESS) {
            name[size - 1] = '\0';
            result = module ? cuModuleGetFunction((CUfunction *)&handles[i], module, name)
                            : cuLibraryGetKernel((CUkernel *)&handles[i], library, name);
        }
    }
    return result;
}

WH_EXPORT CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned int n,
                                              CUmodule module)
{
    unsigned count = 0;
    CUresult result = cuModuleGetFunctionCount(&count, module);
    if (result != CUDA_SUCCESS)
        return result;
    if (!functions)
        return CUDA_ERROR_INVALID_VALUE;
    return enumerate(module, NULL, n < count ? n : count, (void **)functions);
}

WH_EXPORT CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int n, CUlibrary library)
{
    unsigned count = 0;
    CUresult result = cuLibraryGetKernelCount(&count, library);
    if (result != CUDA_SUCCESS)
        return result;
    if (!kernels)
        return CUDA_ERROR_INVALID_VALUE;
    return enumerate(NULL, library, n < count ? n : count, (void **)kernels);
}

/* The name under which a thing is known to its parent. */
static CUresult name_of(struct wh_object *object, const char **name)
{
    struct wh_cuda_code *code = object && object->parent ? object->parent->extra : NULL;
    const struct wh_cuda_child *child;
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!name || !code)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&code->lock);
    child = code->children;
    while (child && child->object != object)
        child = child->next;
    pthread_mutex_unlock(&code->lock);
    if (!child)
        return CUDA_ERROR_INVALID_HANDLE;
    *name = child->name;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuKernelGetName(const char **name, CUkernel kernel)
{
    return name_of(wh_cuda_object(kernel, WH_CUDA_TYPE_CUkernel), name);
}

/* A kernel's function has the kernel's name. */
WH_EXPORT CUresult cuFuncGetName(const char **name, CUfunction function)
{
    struct wh_object *object = wh_cuda_object(function, WH_CUDA_TYPE_CUfunction);
    if (object && object->parent && object->parent->type == WH_CUDA_TYPE_CUkernel)
        object = object->parent;
    return name_of(object, name);
}

/* ---- the end ---- */

/* Functions and kernels go before what they are in. */
static void drop_children(struct wh_object *object)
{
    struct wh_cuda_code *code = object->extra;
    if (!code)
        return;
    pthread_mutex_lock(&code->lock);
    struct wh_cuda_child *child = code->children;
    code->children = NULL;
    pthread_mutex_unlock(&code->lock);
    while (child) {
        struct wh_cuda_child *next = child->next;
        drop_children(child->object);
        wh_object_unpin(child->object);
        free(child);
        child = next;
    }
}

static CUresult unload(const void *handle, uint16_t type, uint16_t number)
{
    struct wh_object *object = wh_cuda_object(handle, type);
    uint64_t a[] = {(uintptr_t)handle};
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!object || (object->parent && object->parent->type == WH_CUDA_TYPE_CUlibrary))
        return CUDA_ERROR_INVALID_HANDLE;
    drop_children(object);
    wh_cuda_mirrors_drop(handle);
    while (wh_cuda_ranges_take_owned(wh_cuda_memory(), handle, NULL))
        ;
    return (CUresult)wh_cuda_invoke(number, a);
}

WH_EXPORT CUresult cuModuleUnload(CUmodule module)
{
    return unload(module, WH_CUDA_TYPE_CUmodule, WH_CUDA_cuModuleUnload);
}

WH_EXPORT CUresult cuLibraryUnload(CUlibrary library)
{
    return unload(library, WH_CUDA_TYPE_CUlibrary, WH_CUDA_cuLibraryUnload);
}

/* ---- a kernel's parameters ---- */

static struct wh_cuda_layout *make_layout(const uint64_t *pairs, unsigned n)
{
    struct wh_cuda_layout *layout = calloc(1, sizeof(*layout) + n * sizeof(layout->param[0]));
    if (!layout)
        return NULL;
    layout->n = n;
    for (unsigned i = 0; i < n; i++) {
        uint64_t offset = pairs[2 * i], size = pairs[2 * i + 1];
        if (offset > WH_CUDA_MOST_PARAMS || size > WH_CUDA_MOST_PARAMS - offset) {
            free(layout); /* the worker lies */
            return NULL;
        }
        layout->param[i].offset = (uint32_t)offset;
        layout->param[i].size = (uint32_t)size;
        if (offset + size > layout->size)
            layout->size = offset + size;
    }
    return layout;
}

static CUresult ask_layout(CUfunction function, CUkernel kernel, struct wh_cuda_layout **layout)
{
    enum { PIECE = 64 };
    uint64_t *pairs = NULL;
    unsigned n = 0, got = PIECE;
    CUresult result = CUDA_SUCCESS;
    while (got == PIECE && n < WH_CUDA_MOST_PARAMS && result == CUDA_SUCCESS) {
        uint64_t *more = realloc(pairs, (n + PIECE) * 2 * sizeof(*pairs));
        if (!more) {
            result = CUDA_ERROR_OUT_OF_MEMORY;
            break;
        }
        pairs = more;
        result = wh_cuda_call_param_layout(function, kernel, n, PIECE, pairs + 2 * n, &got);
        n += result == CUDA_SUCCESS && got <= PIECE ? got : 0;
    }
    *layout = result == CUDA_SUCCESS ? make_layout(pairs, n) : NULL;
    free(pairs);
    return result == CUDA_SUCCESS && !*layout ? CUDA_ERROR_OUT_OF_MEMORY : result;
}

CUresult wh_cuda_layout_of(struct wh_object *object, const struct wh_cuda_layout **found)
{
    struct wh_cuda_code *code = code_of(object);
    struct wh_cuda_layout *none = NULL, *layout;
    bool function = object->type == WH_CUDA_TYPE_CUfunction;
    if (!code)
        return CUDA_ERROR_OUT_OF_MEMORY;
    /* Acquire pairs with the exchange below: the layout is complete. */
    layout = atomic_load_explicit(&code->layout, memory_order_acquire);
    if (!layout) {
        CUresult result = ask_layout(function ? (CUfunction)object : NULL,
                                     function ? NULL : (CUkernel)object, &layout);
        if (result != CUDA_SUCCESS)
            return result;
        if (!atomic_compare_exchange_strong(&code->layout, &none, layout)) {
            free(layout); /* another thread was first */
            layout = none;
        }
    }
    *found = layout;
    return CUDA_SUCCESS;
}

void wh_cuda_code_free(struct wh_cuda_code *code)
{
    if (!code)
        return;
    free(atomic_load(&code->layout));
    pthread_mutex_destroy(&code->lock);
    free(code);
}
