/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is found in modules and libraries is found once: functions and kernels are children of their
 * module or library and go with it. What is known of them is kept with them.
 */
#include "shim/cuda/code.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_NAME 65536u

/* ---- children ---- */

struct wh_cuda_code *wh_cuda_code_of(struct wh_object *object)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!object->extra) {
        struct wh_cuda_code *code = calloc(1, sizeof(*code));
        if (code)
            pthread_mutex_init(&code->lock, NULL);
        /* Release pairs with the acquire in wh_cuda_code_known. */
        __atomic_store_n(&object->extra, code, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lock);
    return object->extra;
}

struct wh_cuda_code *wh_cuda_code_known(struct wh_object *object)
{
    return __atomic_load_n(&object->extra, __ATOMIC_ACQUIRE);
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
    struct wh_cuda_code *code = wh_cuda_code_of(parent);
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

void wh_cuda_drop_children(struct wh_object *object)
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
        wh_cuda_drop_children(child->object);
        wh_object_unpin(child->object);
        free(child);
        child = next;
    }
}

/* ---- by name, and here ---- */

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

static CUresult find_texref(struct wh_object *module, const char *name, void **found)
{
    return wh_cuda_call_get_texref((CUmodule)module, name + 1, (CUtexref *)found);
}

static CUresult find_surfref(struct wh_object *module, const char *name, void **found)
{
    return wh_cuda_call_get_surfref((CUmodule)module, name + 1, (CUsurfref *)found);
}

/* A function or kernel by its name. */
static CUresult get_named(struct wh_object *parent, const char *name,
                          CUresult (*find)(struct wh_object *, const char *, void **), void **found)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!found || !name || strlen(name) >= MOST_NAME)
        return CUDA_ERROR_INVALID_VALUE;
    return parent ? get_child(parent, name, find, found) : CUDA_ERROR_INVALID_HANDLE;
}

/* A library's module and a kernel's function are those of one context, named by its id: another
 * context may have its handle later. */
static CUresult get_here(struct wh_object *parent,
                         CUresult (*find)(struct wh_object *, const char *, void **), void **found)
{
    char name[24];
    unsigned long long id = 0;
    CUcontext context = wh_cuda_current();
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!found)
        return CUDA_ERROR_INVALID_VALUE;
    if (!parent)
        return CUDA_ERROR_INVALID_HANDLE;
    result = context ? cuCtxGetId(context, &id) : CUDA_ERROR_INVALID_CONTEXT;
    (void)snprintf(name, sizeof(name), "\1%llu", id);
    return result == CUDA_SUCCESS ? get_child(parent, name, find, found) : result;
}

/* The driver has one function of a library's kernel in a context, whether it is asked for by the
 * library's module there or by the kernel: so must we, for what is remembered of it. */
static CUresult get_library_function(CUfunction *function, struct wh_object *module,
                                     const char *name)
{
    CUkernel kernel;
    CUmodule here = NULL;
    CUlibrary library = (CUlibrary)module->parent;
    CUresult result = cuLibraryGetModule(&here, library);
    if (result != CUDA_SUCCESS || here != (CUmodule)module) /* another context's */
        return get_named(module, name, find_function, (void **)function);
    result = cuLibraryGetKernel(&kernel, library, name);
    return result == CUDA_SUCCESS ? cuKernelGetFunction(function, kernel) : result;
}

WH_EXPORT CUresult cuModuleGetFunction(CUfunction *function, CUmodule handle, const char *name)
{
    struct wh_object *module = wh_cuda_object(handle, WH_CUDA_TYPE_CUmodule);
    if (module && module->parent && module->parent->type == WH_CUDA_TYPE_CUlibrary)
        return get_library_function(function, module, name);
    return get_named(module, name, find_function, (void **)function);
}

/* A texture or surface reference is no function, whatever its name: a mark comes before that. */
static CUresult get_reference(CUmodule module, char mark, const char *name,
                              CUresult (*find)(struct wh_object *, const char *, void **),
                              void **found)
{
    size_t size = name ? strlen(name) + 2 : 0;
    char *marked = name ? malloc(size) : NULL;
    if (!marked)
        return name ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    (void)snprintf(marked, size, "%c%s", mark, name);
    CUresult result = get_named(wh_cuda_object(module, WH_CUDA_TYPE_CUmodule), marked, find, found);
    free(marked);
    return result;
}

WH_EXPORT CUresult cuModuleGetTexRef(CUtexref *reference, CUmodule module, const char *name)
{
    return get_reference(module, '\2', name, find_texref, (void **)reference);
}

WH_EXPORT CUresult cuModuleGetSurfRef(CUsurfref *reference, CUmodule module, const char *name)
{
    return get_reference(module, '\3', name, find_surfref, (void **)reference);
}

WH_EXPORT CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    return get_named(wh_cuda_object(library, WH_CUDA_TYPE_CUlibrary), name, find_kernel,
                     (void **)kernel);
}

WH_EXPORT CUresult cuLibraryGetModule(CUmodule *module, CUlibrary library)
{
    return get_here(wh_cuda_object(library, WH_CUDA_TYPE_CUlibrary), find_module, (void **)module);
}

WH_EXPORT CUresult cuKernelGetFunction(CUfunction *function, CUkernel kernel)
{
    return get_here(wh_cuda_object(kernel, WH_CUDA_TYPE_CUkernel), find_kernel_function,
                    (void **)function);
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
    struct wh_cuda_code *code = wh_cuda_code_of(object);
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
    free(atomic_load(&code->facts));
    free(code->old);
    free(code->shapes);
    pthread_mutex_destroy(&code->lock);
    free(code);
}
