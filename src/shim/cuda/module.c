/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules and libraries: images go to the worker in pieces, options and logs beside them. What is
 * found in them: code.c.
 */
#include "shim/cuda/code.h"
#include "shim/cuda/file.h"
#include "shim/cuda/image.h"
#include "shim/cuda/jit.h"
#include "shim/cuda/mirror.h"

#include <stdlib.h>

#define IMAGE_PIECE ((size_t)4 << 20)

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

/* ---- the end ---- */

static CUresult unload(const void *handle, uint16_t type, uint16_t number)
{
    struct wh_object *object = wh_cuda_object(handle, type);
    uint64_t a[] = {(uintptr_t)handle};
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!object || (object->parent && object->parent->type == WH_CUDA_TYPE_CUlibrary))
        return CUDA_ERROR_INVALID_HANDLE;
    wh_cuda_drop_children(object);
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
