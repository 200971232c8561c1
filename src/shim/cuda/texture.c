/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texture and surface objects over arrays and linear memory. Their numbers are the driver's own,
 * for programs pass them to kernels as plain values. What an object was made of is remembered here:
 * the driver's answer would name the worker's arrays.
 */
#include "shim/cuda/shim.h"

#include <stdlib.h>

/* What a texture or surface object was made of, by its number. */
struct made {
    struct made *next;
    uint64_t number;
    bool surface;
    CUDA_RESOURCE_DESC resource;
};

static struct {
    pthread_mutex_t lock;
    const struct wh_session *session; /* whose numbers these are: not a parent's after fork */
    struct made *list;
} objects = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The place that points to the entry, or to NULL. The lock is held. */
static struct made **find(uint64_t number, bool surface)
{
    const struct wh_session *session = wh_cuda_session();
    struct made **place = &objects.list;
    if (objects.session != session) {
        objects.session = session;
        objects.list = NULL; /* after a fork it is the parent's, and left alone */
    }
    while (*place && ((*place)->number != number || (*place)->surface != surface))
        place = &(*place)->next;
    return place;
}

/* The driver may give a number again. */
static bool remember(uint64_t number, bool surface, const CUDA_RESOURCE_DESC *resource)
{
    pthread_mutex_lock(&objects.lock);
    struct made **place = find(number, surface), *made = *place;
    if (!made && (made = calloc(1, sizeof(*made))))
        *place = made;
    if (made) {
        made->number = number;
        made->surface = surface;
        made->resource = *resource;
    }
    pthread_mutex_unlock(&objects.lock);
    return made != NULL;
}

/* Takes an entry out of the list; NULL: there is none. */
static struct made *take(uint64_t number, bool surface)
{
    pthread_mutex_lock(&objects.lock);
    struct made **place = find(number, surface), *made = *place;
    if (made)
        *place = made->next;
    pthread_mutex_unlock(&objects.lock);
    return made;
}

static void put_back(struct made *made)
{
    pthread_mutex_lock(&objects.lock);
    struct made **place = find(made->number, made->surface), *other = *place;
    made->next = NULL;
    if (!other)
        *place = made;
    pthread_mutex_unlock(&objects.lock);
    if (other)
        free(made);
}

static CUresult recall(uint64_t number, bool surface, CUDA_RESOURCE_DESC *resource)
{
    pthread_mutex_lock(&objects.lock);
    const struct made *made = *find(number, surface);
    if (made)
        *resource = made->resource;
    pthread_mutex_unlock(&objects.lock);
    return made ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

WH_EXPORT CUresult cuTexObjectCreate(CUtexObject *object, const CUDA_RESOURCE_DESC *resource,
                                     const CUDA_TEXTURE_DESC *texture,
                                     const CUDA_RESOURCE_VIEW_DESC *view)
{
    CUDA_RESOURCE_DESC plain;
    CUarray array = NULL;
    CUmipmappedArray mipmap = NULL;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!object || !resource || !texture)
        return CUDA_ERROR_INVALID_VALUE;
    plain = *resource;
    if (resource->resType == CU_RESOURCE_TYPE_ARRAY) {
        array = resource->res.array.hArray;
        plain.res.array.hArray = NULL;
    } else if (resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY) {
        mipmap = resource->res.mipmap.hMipmappedArray;
        plain.res.mipmap.hMipmappedArray = NULL;
    }
    result = wh_cuda_call_texture_create(&plain, array, mipmap, texture, view, object);
    if (result == CUDA_SUCCESS && !remember(*object, false, resource)) {
        (void)wh_cuda_call_cuTexObjectDestroy(*object);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return result;
}

/* What it was made of is forgotten first: behind the message the number may be another object's. */
static CUresult destroy(uint64_t number, bool surface)
{
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    struct made *made = take(number, surface);
    result = surface ? wh_cuda_call_cuSurfObjectDestroy(number)
                     : wh_cuda_call_cuTexObjectDestroy(number);
    if (made && result != CUDA_SUCCESS)
        put_back(made);
    else
        free(made);
    return result;
}

WH_EXPORT CUresult cuTexObjectDestroy(CUtexObject object)
{
    return destroy(object, false);
}

WH_EXPORT CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUtexObject object)
{
    CUDA_TEXTURE_DESC texture;
    CUresult result = cuTexObjectGetTextureDesc(&texture, object); /* whether it is still there */
    if (result == CUDA_SUCCESS && !resource)
        result = CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? recall(object, false, resource) : result;
}

WH_EXPORT CUresult cuSurfObjectCreate(CUsurfObject *object, const CUDA_RESOURCE_DESC *resource)
{
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!object || !resource || resource->resType != CU_RESOURCE_TYPE_ARRAY || resource->flags)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_surface_create(resource->res.array.hArray, object);
    if (result == CUDA_SUCCESS && !remember(*object, true, resource)) {
        (void)wh_cuda_call_cuSurfObjectDestroy(*object);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return result;
}

WH_EXPORT CUresult cuSurfObjectDestroy(CUsurfObject object)
{
    return destroy(object, true);
}

WH_EXPORT CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUsurfObject object)
{
    CUresult result = wh_cuda_ready();
    if (result == CUDA_SUCCESS)
        result = wh_cuda_call_surface_exists(object);
    if (result == CUDA_SUCCESS && !resource)
        result = CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? recall(object, true, resource) : result;
}
