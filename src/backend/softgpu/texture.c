/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texture and surface objects; see texture.h. CUDA driver API, "Texture Object Management" and
 * "Surface Object Management". Their number is the address of the object, and good only while the
 * object is listed.
 */
#include "backend/softgpu/texture.h"

#include "backend/softgpu/array.h"
#include "backend/softgpu/queue.h"

#include <string.h>

#define LINEAR_MOST   (1u << 27) /* texels */
#define ALIGNMENT     512u
#define ROW_ALIGNMENT 32u

void soft_texture_end(void *object)
{
    struct soft_texture *texture = object;
    soft_object_release(texture->backing);
}

const struct wh_soft_texture *soft_texture_find(void *context, uint64_t number)
{
    struct soft_texture *texture = soft_object_get((const void *)(uintptr_t)number, SOFT_TEXTURE);
    bool own = texture && texture->object.context == context;
    soft_object_release(texture); /* who destroys it waits for the launch */
    return own ? &texture->engine : NULL;
}

/* ---- where the texels are ---- */

static bool describe_format(struct wh_soft_texture *engine, CUarray_format format,
                            unsigned nchannels)
{
    struct soft_format found;
    if (!soft_format_find(format, &found) || (nchannels != 1 && nchannels != 2 && nchannels != 4))
        return false;
    engine->channel = (uint8_t)found.channel;
    engine->nchannels = (uint8_t)nchannels;
    engine->texel = (uint8_t)(found.size * nchannels);
    engine->integers = engine->integers && !found.normalized;
    return true;
}

static void add_level(struct wh_soft_texture *engine, const struct soft_array *array)
{
    engine->levels[engine->nlevels++] =
        (struct wh_soft_level){.address = array->address,
                               .width = (uint32_t)array->descriptor.Width,
                               .height = (uint32_t)array->height,
                               .depth = (uint32_t)array->depth,
                               .row = array->pitch,
                               .slice = array->pitch * array->height};
    engine->layered = array->descriptor.Flags & CUDA_ARRAY3D_LAYERED;
    engine->cube = array->descriptor.Flags & CUDA_ARRAY3D_CUBEMAP;
}

static CUresult describe_array(struct soft_texture *texture, CUarray handle)
{
    struct soft_array *array = soft_object_get(handle, SOFT_ARRAY);
    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    texture->backing = array;
    add_level(&texture->engine, array);
    return describe_format(&texture->engine, array->descriptor.Format,
                           array->descriptor.NumChannels)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

static CUresult describe_mipmap(struct soft_texture *texture, CUmipmappedArray handle)
{
    struct soft_mipmap *mipmap = soft_object_get(handle, SOFT_MIPMAP);
    if (!mipmap)
        return CUDA_ERROR_INVALID_HANDLE;
    texture->backing = mipmap;
    for (unsigned i = 0; i < mipmap->nlevels; i++)
        add_level(&texture->engine, mipmap->levels[i]);
    return describe_format(&texture->engine, mipmap->descriptor.Format,
                           mipmap->descriptor.NumChannels)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

static CUresult describe_linear(struct wh_soft_texture *engine, const CUDA_RESOURCE_DESC *resource)
{
    if (!describe_format(engine, resource->res.linear.format, resource->res.linear.numChannels) ||
        resource->res.linear.devPtr % ALIGNMENT != 0)
        return CUDA_ERROR_INVALID_VALUE;
    size_t n = resource->res.linear.sizeInBytes / engine->texel;
    if (n == 0 || n > LINEAR_MOST)
        return CUDA_ERROR_INVALID_VALUE;
    engine->linear = engine->borrowed = true;
    engine->nlevels = 1;
    engine->levels[0] = (struct wh_soft_level){
        .address = resource->res.linear.devPtr, .width = (uint32_t)n, .height = 1, .depth = 1};
    return CUDA_SUCCESS;
}

static CUresult describe_rows(struct wh_soft_texture *engine, const CUDA_RESOURCE_DESC *resource)
{
    size_t width = resource->res.pitch2D.width, height = resource->res.pitch2D.height,
           pitch = resource->res.pitch2D.pitchInBytes;
    if (!describe_format(engine, resource->res.pitch2D.format, resource->res.pitch2D.numChannels) ||
        resource->res.pitch2D.devPtr % ALIGNMENT != 0 || pitch % ROW_ALIGNMENT != 0 || width == 0 ||
        height == 0 || width > 131072 || height > 65000 || pitch >= 1u << 21 ||
        pitch < width * engine->texel)
        return CUDA_ERROR_INVALID_VALUE;
    engine->borrowed = true;
    engine->nlevels = 1;
    engine->levels[0] = (struct wh_soft_level){.address = resource->res.pitch2D.devPtr,
                                               .width = (uint32_t)width,
                                               .height = (uint32_t)height,
                                               .depth = 1,
                                               .row = pitch,
                                               .slice = pitch * height};
    return CUDA_SUCCESS;
}

static CUresult describe_resource(struct soft_texture *texture, const CUDA_RESOURCE_DESC *resource)
{
    switch ((int)resource->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        return describe_array(texture, resource->res.array.hArray);
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        return describe_mipmap(texture, resource->res.mipmap.hMipmappedArray);
    case CU_RESOURCE_TYPE_LINEAR:
        return describe_linear(&texture->engine, resource);
    case CU_RESOURCE_TYPE_PITCH2D:
        return describe_rows(&texture->engine, resource);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- views: some levels and layers, in another format of the same size ---- */

static bool view_format(struct wh_soft_texture *engine, CUresourceViewFormat format)
{
    static const CUarray_format formats[] = {CU_AD_FORMAT_UNSIGNED_INT8,  CU_AD_FORMAT_SIGNED_INT8,
                                             CU_AD_FORMAT_UNSIGNED_INT16, CU_AD_FORMAT_SIGNED_INT16,
                                             CU_AD_FORMAT_UNSIGNED_INT32, CU_AD_FORMAT_SIGNED_INT32,
                                             CU_AD_FORMAT_HALF,           CU_AD_FORMAT_FLOAT};
    unsigned i = (unsigned)format - CU_RES_VIEW_FORMAT_UINT_1X8, texel = engine->texel;
    return format != CU_RES_VIEW_FORMAT_NONE && i / 3 < sizeof(formats) / sizeof(formats[0]) &&
           describe_format(engine, formats[i / 3], 1u << i % 3) && engine->texel == texel;
}

static CUresult describe_view(struct wh_soft_texture *engine, const CUDA_RESOURCE_VIEW_DESC *view)
{
    const struct wh_soft_level *base = &engine->levels[0];
    bool flat = engine->layered || engine->cube;
    if (engine->borrowed || view->firstMipmapLevel > view->lastMipmapLevel ||
        view->lastMipmapLevel >= engine->nlevels || view->firstLayer > view->lastLayer ||
        view->lastLayer >= (flat ? base->depth : 1) || !view_format(engine, view->format))
        return CUDA_ERROR_INVALID_VALUE;
    if (view->width != base->width || (view->height ? view->height : 1) != base->height ||
        (!flat && (view->depth ? view->depth : 1) != base->depth))
        return CUDA_ERROR_INVALID_VALUE;
    engine->nlevels = view->lastMipmapLevel - view->firstMipmapLevel + 1;
    memmove(engine->levels, engine->levels + view->firstMipmapLevel,
            engine->nlevels * sizeof(engine->levels[0]));
    for (unsigned i = 0; i < engine->nlevels && flat; i++) {
        engine->levels[i].address += view->firstLayer * engine->levels[i].slice;
        engine->levels[i].depth = view->lastLayer - view->firstLayer + 1;
    }
    return CUDA_SUCCESS;
}

/* ---- how texels are read ---- */

static CUresult describe_reading(struct wh_soft_texture *engine, const CUDA_TEXTURE_DESC *texture)
{
    const unsigned known = CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |
                           CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP;
    if (texture->flags & ~known || texture->filterMode > CU_TR_FILTER_MODE_LINEAR ||
        texture->mipmapFilterMode > CU_TR_FILTER_MODE_LINEAR)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < 3; i++) {
        if (texture->addressMode[i] > CU_TR_ADDRESS_MODE_BORDER)
            return CUDA_ERROR_INVALID_VALUE;
        engine->wrap[i] = (uint8_t)texture->addressMode[i];
    }
    engine->normalized = texture->flags & CU_TRSF_NORMALIZED_COORDINATES;
    engine->integers = texture->flags & CU_TRSF_READ_AS_INTEGER;
    engine->srgb = texture->flags & CU_TRSF_SRGB;
    engine->seamless = texture->flags & CU_TRSF_SEAMLESS_CUBEMAP;
    engine->filtered = texture->filterMode == CU_TR_FILTER_MODE_LINEAR;
    engine->filtered_levels = texture->mipmapFilterMode == CU_TR_FILTER_MODE_LINEAR;
    engine->bias = texture->mipmapLevelBias;
    engine->least_level = texture->minMipmapLevelClamp;
    engine->most_level = texture->maxMipmapLevelClamp;
    memcpy(engine->border, texture->borderColor, sizeof(engine->border));
    return CUDA_SUCCESS;
}

CUresult soft_texture_describe(struct soft_texture *texture, const CUDA_RESOURCE_DESC *resource,
                               const CUDA_TEXTURE_DESC *texturing,
                               const CUDA_RESOURCE_VIEW_DESC *view)
{
    if (resource->flags)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = describe_reading(&texture->engine, texturing);
    if (result == CUDA_SUCCESS)
        result = describe_resource(texture, resource);
    if (result == CUDA_SUCCESS && view)
        result = describe_view(&texture->engine, view);
    if (texture->engine.cube) /* a direction says nothing else */
        texture->engine.normalized = true;
    return result;
}

SOFT_API CUresult cuTexObjectCreate(CUtexObject *number, const CUDA_RESOURCE_DESC *resource,
                                    const CUDA_TEXTURE_DESC *texturing,
                                    const CUDA_RESOURCE_VIEW_DESC *view)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!number || !resource || !texturing)
        return CUDA_ERROR_INVALID_VALUE;
    SOFT_HOLD struct soft_texture *texture =
        soft_object_new(SOFT_TEXTURE, sizeof(*texture), context, soft_texture_end);
    if (!texture)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = soft_texture_describe(texture, resource, texturing, view);
    if (result != CUDA_SUCCESS)
        return result;
    texture->resource = *resource;
    texture->texture = *texturing;
    texture->viewed = view != NULL;
    if (view)
        texture->view = *view;
    soft_object_list(soft_object_retain(texture));
    *number = (uintptr_t)texture;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuSurfObjectCreate(CUsurfObject *number, const CUDA_RESOURCE_DESC *resource)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!number || !resource || resource->resType != CU_RESOURCE_TYPE_ARRAY || resource->flags)
        return CUDA_ERROR_INVALID_VALUE;
    SOFT_HOLD struct soft_texture *surface =
        soft_object_new(SOFT_TEXTURE, sizeof(*surface), context, soft_texture_end);
    if (!surface)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = describe_array(surface, resource->res.array.hArray);
    if (result != CUDA_SUCCESS)
        return result;
    const struct soft_array *array = surface->backing;
    if (!(array->descriptor.Flags & CUDA_ARRAY3D_SURFACE_LDST))
        return CUDA_ERROR_INVALID_VALUE;
    surface->engine.surface = true;
    surface->resource = *resource;
    soft_object_list(soft_object_retain(surface));
    *number = (uintptr_t)surface;
    return CUDA_SUCCESS;
}

/* ---- objects by their number ---- */

static CUresult find(uint64_t number, bool surface, struct soft_texture **texture)
{
    struct soft_context *context;
    *texture = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_texture *found = soft_object_get((const void *)(uintptr_t)number, SOFT_TEXTURE);
    if (found && found->engine.surface == surface) {
        *texture = found;
        return CUDA_SUCCESS;
    }
    soft_object_release(found);
    return CUDA_ERROR_INVALID_VALUE;
}

/* Programs destroy what kernels that they have launched yet use: these end first. Of kernels that
 * another thread launches meanwhile, those that know the object keep it until they end. */
static CUresult destroy(uint64_t number, bool surface)
{
    SOFT_HOLD struct soft_texture *texture;
    CUresult result = find(number, surface, &texture);
    if (result != CUDA_SUCCESS)
        return result;
    soft_context_wait(texture->object.context);
    if (!soft_object_unlist(texture))
        return CUDA_ERROR_INVALID_VALUE;
    soft_context_wait(texture->object.context);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuTexObjectDestroy(CUtexObject number)
{
    return destroy(number, false);
}

SOFT_API CUresult cuSurfObjectDestroy(CUsurfObject number)
{
    return destroy(number, true);
}

static CUresult get_resource(uint64_t number, bool surface, CUDA_RESOURCE_DESC *resource)
{
    SOFT_HOLD struct soft_texture *texture;
    CUresult result = find(number, surface, &texture);
    if (result == CUDA_SUCCESS && !resource)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *resource = texture->resource;
    return result;
}

SOFT_API CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUtexObject number)
{
    return get_resource(number, false, resource);
}

SOFT_API CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUsurfObject number)
{
    return get_resource(number, true, resource);
}

SOFT_API CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *texturing, CUtexObject number)
{
    SOFT_HOLD struct soft_texture *texture;
    CUresult result = find(number, false, &texture);
    if (result == CUDA_SUCCESS && !texturing)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *texturing = texture->texture;
    return result;
}

SOFT_API CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *view, CUtexObject number)
{
    SOFT_HOLD struct soft_texture *texture;
    CUresult result = find(number, false, &texture);
    if (result == CUDA_SUCCESS && (!view || !texture->viewed))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *view = texture->view;
    return result;
}

SOFT_API CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *width, CUarray_format format,
                                                     unsigned nchannels, CUdevice device)
{
    struct soft_format found;
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!width || !soft_format_find(format, &found) ||
        (nchannels != 1 && nchannels != 2 && nchannels != 4))
        return CUDA_ERROR_INVALID_VALUE;
    if (!soft_device_get(device))
        return CUDA_ERROR_INVALID_DEVICE;
    *width = LINEAR_MOST;
    return CUDA_SUCCESS;
}
