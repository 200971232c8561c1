/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texture and surface objects, and references. Arrays come as handles beside the description of the
 * resource; what a description says of linear memory must be the session's.
 */
#include "backend/cuda/backend.h"

#include <string.h>

static bool owns(struct wh_call *call, CUdeviceptr address, size_t size)
{
    struct wh_cuda_range range;
    return wh_cuda_ranges_find(wh_cuda_state(call)->ranges, address, size, &range);
}

static bool owns_rows(struct wh_call *call, CUdeviceptr address, size_t height, size_t pitch)
{
    size_t size;
    return height > 0 && !__builtin_mul_overflow(height, pitch, &size) && owns(call, address, size);
}

CUresult wh_cuda_do_texture_create(struct wh_call *call, const CUDA_RESOURCE_DESC *resource,
                                   CUarray array, CUmipmappedArray mipmap,
                                   const CUDA_TEXTURE_DESC *texture,
                                   const CUDA_RESOURCE_VIEW_DESC *view, CUtexObject *object)
{
    if (!resource || !texture || !object)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_RESOURCE_DESC own = *resource;
    switch (own.resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        own.res.array.hArray = array;
        if (!array)
            return CUDA_ERROR_INVALID_HANDLE;
        break;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        own.res.mipmap.hMipmappedArray = mipmap;
        if (!mipmap)
            return CUDA_ERROR_INVALID_HANDLE;
        break;
    case CU_RESOURCE_TYPE_LINEAR:
        if (!owns(call, own.res.linear.devPtr, own.res.linear.sizeInBytes))
            return CUDA_ERROR_INVALID_VALUE;
        break;
    case CU_RESOURCE_TYPE_PITCH2D:
        if (!owns_rows(call, own.res.pitch2D.devPtr, own.res.pitch2D.height,
                       own.res.pitch2D.pitchInBytes))
            return CUDA_ERROR_INVALID_VALUE;
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return wh_cuda_driver(call)->cuTexObjectCreate(object, &own, texture, view);
}

CUresult wh_cuda_do_surface_create(struct wh_call *call, CUarray array, CUsurfObject *object)
{
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array};
    if (!object)
        return CUDA_ERROR_INVALID_VALUE;
    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    return wh_cuda_driver(call)->cuSurfObjectCreate(object, &resource);
}

/* Whether there is such a surface; what it is made of stays here. */
CUresult wh_cuda_do_surface_exists(struct wh_call *call, CUsurfObject object)
{
    CUDA_RESOURCE_DESC resource;
    return wh_cuda_driver(call)->cuSurfObjectGetResourceDesc(&resource, object);
}

CUresult wh_cuda_do_cuTexRefSetAddress2D_v3(struct wh_call *call, CUtexref reference,
                                            const CUDA_ARRAY_DESCRIPTOR *descriptor,
                                            CUdeviceptr address, size_t pitch)
{
    if (!descriptor || !owns_rows(call, address, descriptor->Height, pitch))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuTexRefSetAddress2D_v3(reference, descriptor, address, pitch);
}

CUresult wh_cuda_do_texref_border(struct wh_call *call, CUtexref reference, const float *color)
{
    float own[4];
    if (!color)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(own, color, sizeof(own));
    return wh_cuda_driver(call)->cuTexRefSetBorderColor(reference, own);
}
