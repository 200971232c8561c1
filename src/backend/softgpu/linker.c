/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker calls: images are collected, and linked by the engine when the result is loaded. What
 * cuLinkComplete gives is one ELF file that holds them all; it has been loaded once, so that what
 * does not link fails there.
 */
#include "backend/softgpu/library.h"

#include <stdlib.h>
#include <string.h>

struct soft_link {
    struct soft_object object;
    struct soft_jit jit; /* the program's buffers: they must live as long as this, says the API */
    size_t count;
    void *images[SOFT_MOST_IMAGES];
    size_t sizes[SOFT_MOST_IMAGES];
    void *linked;
    pthread_mutex_t lock;
};

static void destroy_link(void *object)
{
    struct soft_link *link = object;
    for (size_t i = 0; i < link->count; i++)
        free(link->images[i]);
    free(link->linked);
    pthread_mutex_destroy(&link->lock);
}

SOFT_API CUresult cuLinkCreate_v2(unsigned count, CUjit_option *options, void **values,
                                  CUlinkState *handle)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_jit jit;
    result = handle ? soft_jit_parse(&jit, count, options, values) : CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_link *link = soft_object_new(SOFT_LINK, sizeof(*link), context, destroy_link);
    if (!link)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_init(&link->lock, NULL);
    link->jit = jit;
    soft_object_list(link);
    *handle = (CUlinkState)link;
    return CUDA_SUCCESS;
}
SOFT_ALIAS(cuLinkCreate, cuLinkCreate_v2);

static CUresult find_link(CUlinkState handle, struct soft_link **link)
{
    struct soft_context *context;
    *link = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    *link = soft_object_get(handle, SOFT_LINK);
    return *link ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult keep_image(struct soft_link *link, const void *data, size_t size)
{
    char *copy = link->count < SOFT_MOST_IMAGES ? malloc(size + 1) : NULL;
    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(copy, data, size);
    copy[size] = 0;
    link->images[link->count] = copy;
    link->sizes[link->count++] = size;
    return CUDA_SUCCESS;
}

static CUresult add(CUlinkState handle, CUjitInputType type, const void *data, size_t size,
                    unsigned count, CUjit_option *options, void **values)
{
    SOFT_HOLD struct soft_link *link;
    struct soft_jit jit;
    CUresult result = find_link(handle, &link);
    if (result != CUDA_SUCCESS)
        return result;
    if (!data || size == 0 || (unsigned)type >= CU_JIT_NUM_INPUT_TYPES)
        return CUDA_ERROR_INVALID_VALUE;
    result = soft_jit_parse(&jit, count, options, values);
    if (result != CUDA_SUCCESS)
        return result;
    if (type == CU_JIT_INPUT_LIBRARY || type == CU_JIT_INPUT_NVVM)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (type == CU_JIT_INPUT_PTX) /* its zero byte may be counted or not */
        size = strnlen(data, size);
    pthread_mutex_lock(&link->lock);
    result = link->linked ? CUDA_ERROR_INVALID_VALUE : keep_image(link, data, size);
    pthread_mutex_unlock(&link->lock);
    return result;
}

SOFT_API CUresult cuLinkAddData_v2(CUlinkState handle, CUjitInputType type, void *data, size_t size,
                                   const char *name, unsigned count, CUjit_option *options,
                                   void **values)
{
    (void)name;
    return add(handle, type, data, size, count, options, values);
}
SOFT_ALIAS(cuLinkAddData, cuLinkAddData_v2);

SOFT_API CUresult cuLinkAddFile_v2(CUlinkState handle, CUjitInputType type, const char *path,
                                   unsigned count, CUjit_option *options, void **values)
{
    void *bytes;
    size_t size;
    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = soft_read_file(path, &bytes, &size);
    if (result != CUDA_SUCCESS)
        return result;
    result = add(handle, type, bytes, size, count, options, values);
    free(bytes);
    return result;
}
SOFT_ALIAS(cuLinkAddFile, cuLinkAddFile_v2);

/* Lock held. */
static CUresult complete(struct soft_link *link, size_t *size)
{
    struct wh_soft_module *code;
    link->linked =
        soft_payload_join((const void *const *)link->images, link->sizes, link->count, size);
    if (!link->linked)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result =
        soft_code_load(&link->object.context->memory, link->linked, *size, &link->jit, &code);
    if (result == CUDA_SUCCESS) {
        wh_soft_unload(code);
        return CUDA_SUCCESS;
    }
    free(link->linked);
    link->linked = NULL;
    return result;
}

SOFT_API CUresult cuLinkComplete(CUlinkState handle, void **image, size_t *size)
{
    SOFT_HOLD struct soft_link *link;
    CUresult result = find_link(handle, &link);
    if (result != CUDA_SUCCESS)
        return result;
    size_t bytes;
    pthread_mutex_lock(&link->lock);
    result = !image || link->linked || link->count == 0 ? CUDA_ERROR_INVALID_VALUE
                                                        : complete(link, &bytes);
    if (result == CUDA_SUCCESS) {
        *image = link->linked;
        if (size)
            *size = bytes;
    }
    pthread_mutex_unlock(&link->lock);
    return result;
}

SOFT_API CUresult cuLinkDestroy(CUlinkState handle)
{
    SOFT_HOLD struct soft_link *link;
    CUresult result = find_link(handle, &link);
    if (result != CUDA_SUCCESS)
        return result;
    return soft_object_unlist(link) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
