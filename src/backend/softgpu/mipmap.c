/* SPDX-License-Identifier: Apache-2.0 */
/* Mipmapped arrays: an array for each level of detail; see array.h. */
#include "backend/softgpu/array.h"
#include "backend/softgpu/queue.h"

static void destroy_mipmap(void *object)
{
    struct soft_mipmap *mipmap = object;
    for (unsigned i = 0; i < mipmap->nlevels; i++) {
        soft_object_unlist(mipmap->levels[i]);
        soft_object_release(mipmap->levels[i]);
    }
}

static size_t halved(size_t extent, unsigned times)
{
    return extent && !(extent >> times) ? 1 : extent >> times;
}

/* Layers and faces do not become fewer. */
static CUDA_ARRAY3D_DESCRIPTOR_v2 level_of(const CUDA_ARRAY3D_DESCRIPTOR_v2 *whole, unsigned level)
{
    CUDA_ARRAY3D_DESCRIPTOR_v2 descriptor = *whole;
    descriptor.Width = halved(whole->Width, level);
    descriptor.Height = halved(whole->Height, level);
    if (!(whole->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)))
        descriptor.Depth = halved(whole->Depth, level);
    return descriptor;
}

/* From 1 to where every extent is 1. */
static unsigned possible_levels(const CUDA_ARRAY3D_DESCRIPTOR_v2 *d, unsigned wanted)
{
    unsigned most = 1;
    bool flat = d->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    for (size_t n = d->Width | d->Height | (flat ? 0 : d->Depth); n > 1; n >>= 1)
        most++;
    most = most < WH_TEXTURE_LEVELS ? most : WH_TEXTURE_LEVELS;
    return wanted == 0 ? 1 : wanted < most ? wanted : most;
}

SOFT_API CUresult cuMipmappedArrayCreate(CUmipmappedArray *handle,
                                         const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                                         unsigned nlevels)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !descriptor)
        return CUDA_ERROR_INVALID_VALUE;
    result = soft_array_check(descriptor);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_HOLD struct soft_mipmap *mipmap =
        soft_object_new(SOFT_MIPMAP, sizeof(*mipmap), context, destroy_mipmap);
    if (!mipmap)
        return CUDA_ERROR_OUT_OF_MEMORY;
    mipmap->descriptor = *descriptor;
    for (unsigned i = 0, n = possible_levels(descriptor, nlevels); i < n; i++) {
        const CUDA_ARRAY3D_DESCRIPTOR_v2 level = level_of(descriptor, i);
        result = soft_array_make(context, &level, &mipmap->levels[i]);
        if (result != CUDA_SUCCESS)
            return result;
        mipmap->levels[i]->level = true;
        mipmap->nlevels = i + 1;
        soft_object_list(soft_object_retain(mipmap->levels[i]));
    }
    soft_object_list(soft_object_retain(mipmap));
    *handle = (CUmipmappedArray)mipmap;
    return CUDA_SUCCESS;
}

static CUresult find_mipmap(CUmipmappedArray handle, struct soft_mipmap **mipmap)
{
    struct soft_context *context;
    *mipmap = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    *mipmap = soft_object_get(handle, SOFT_MIPMAP);
    return *mipmap ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

SOFT_API CUresult cuMipmappedArrayGetLevel(CUarray *array, CUmipmappedArray handle, unsigned level)
{
    SOFT_HOLD struct soft_mipmap *mipmap;
    CUresult result = find_mipmap(handle, &mipmap);
    if (result == CUDA_SUCCESS && (!array || level >= mipmap->nlevels))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *array = (CUarray)mipmap->levels[level];
    return result;
}

SOFT_API CUresult cuMipmappedArrayDestroy(CUmipmappedArray handle)
{
    SOFT_HOLD struct soft_mipmap *mipmap;
    CUresult result = find_mipmap(handle, &mipmap);
    if (result != CUDA_SUCCESS)
        return result;
    soft_context_wait(mipmap->object.context);
    return soft_object_unlist(mipmap) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* Only sparse ones and those mapped later have such. */
SOFT_API CUresult cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties,
                                                      CUmipmappedArray handle)
{
    SOFT_HOLD struct soft_mipmap *mipmap;
    CUresult result = find_mipmap(handle, &mipmap);
    (void)properties;
    return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : result;
}

SOFT_API CUresult cuMipmappedArrayGetMemoryRequirements(
    CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUmipmappedArray handle, CUdevice device)
{
    SOFT_HOLD struct soft_mipmap *mipmap;
    CUresult result = find_mipmap(handle, &mipmap);
    (void)requirements;
    if (result == CUDA_SUCCESS && !soft_device_get(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : result;
}
