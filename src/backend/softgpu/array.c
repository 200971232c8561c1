/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA arrays; see array.h. Mipmaps, sparse arrays and planes of video formats are refused. */
#include "backend/softgpu/array.h"

#include "backend/softgpu/memory.h"
#include "backend/softgpu/queue.h"

#include <limits.h>

/* Bytes of one channel; 0: a format that arrays here do not have. */
static size_t channel_size(CUarray_format format)
{
    switch ((int)format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4;
    default:
        return 0;
    }
}

static void destroy_array(void *object)
{
    struct soft_array *array = object;
    if (array->address)
        soft_memory_give(array->device, array->address, array->size);
}

/* CUDA driver API, cuArray3DCreate: which extents go with which kind of array. */
static CUresult check(const CUDA_ARRAY3D_DESCRIPTOR_v2 *d)
{
    const unsigned plain = CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_CUBEMAP |
                           CUDA_ARRAY3D_TEXTURE_GATHER;
    if (d->Flags & ~plain)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (d->Width == 0 || (d->NumChannels != 1 && d->NumChannels != 2 && d->NumChannels != 4))
        return CUDA_ERROR_INVALID_VALUE;
    if (!channel_size(d->Format))
        return CUDA_ERROR_INVALID_VALUE;
    bool layered = d->Flags & CUDA_ARRAY3D_LAYERED;
    if (d->Depth && !d->Height && !layered)
        return CUDA_ERROR_INVALID_VALUE;
    if ((d->Flags & CUDA_ARRAY3D_CUBEMAP) &&
        (d->Width != d->Height || d->Depth == 0 || d->Depth % 6 || (!layered && d->Depth != 6)))
        return CUDA_ERROR_INVALID_VALUE;
    return d->Width > 1u << 27 || d->Height > 65536 || d->Depth > 16384 ? CUDA_ERROR_INVALID_VALUE
                                                                        : CUDA_SUCCESS;
}

static CUresult create(CUarray *handle, const CUDA_ARRAY3D_DESCRIPTOR_v2 *descriptor)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !descriptor)
        return CUDA_ERROR_INVALID_VALUE;
    result = check(descriptor);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_HOLD struct soft_array *array =
        soft_object_new(SOFT_ARRAY, sizeof(*array), context, destroy_array);
    if (!array)
        return CUDA_ERROR_OUT_OF_MEMORY;
    array->descriptor = *descriptor;
    array->device = context->device;
    array->row = descriptor->Width * descriptor->NumChannels * channel_size(descriptor->Format);
    array->height = descriptor->Height ? descriptor->Height : 1;
    array->depth = descriptor->Depth ? descriptor->Depth : 1;
    if (__builtin_mul_overflow(array->row, array->height * array->depth, &array->size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    array->address = soft_memory_take(context->device, array->size, SOFT_UNIT);
    if (!array->address)
        return CUDA_ERROR_OUT_OF_MEMORY;
    soft_object_list(soft_object_retain(array));
    *handle = (CUarray)array;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR_v2 *descriptor)
{
    return create(array, descriptor);
}

SOFT_API CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR_v2 *descriptor)
{
    if (!descriptor)
        return create(array, NULL);
    const CUDA_ARRAY3D_DESCRIPTOR_v2 whole = {.Width = descriptor->Width,
                                              .Height = descriptor->Height,
                                              .Format = descriptor->Format,
                                              .NumChannels = descriptor->NumChannels};
    return create(array, &whole);
}

static CUresult find_array(CUarray handle, struct soft_array **array)
{
    struct soft_context *context;
    *array = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    *array = soft_object_get(handle, SOFT_ARRAY);
    return *array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

SOFT_API CUresult cuArrayDestroy(CUarray handle)
{
    SOFT_HOLD struct soft_array *array;
    CUresult result = find_array(handle, &array);
    if (result != CUDA_SUCCESS)
        return result;
    soft_context_wait(array->object.context);
    return soft_object_unlist(array) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

SOFT_API CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR_v2 *descriptor, CUarray handle)
{
    SOFT_HOLD struct soft_array *array;
    CUresult result = find_array(handle, &array);
    if (result == CUDA_SUCCESS && !descriptor)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *descriptor = array->descriptor;
    return result;
}

SOFT_API CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR_v2 *descriptor, CUarray handle)
{
    SOFT_HOLD struct soft_array *array;
    CUresult result = find_array(handle, &array);
    if (result == CUDA_SUCCESS && !descriptor)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *descriptor = (CUDA_ARRAY_DESCRIPTOR_v2){.Width = array->descriptor.Width,
                                                 .Height = array->descriptor.Height,
                                                 .Format = array->descriptor.Format,
                                                 .NumChannels = array->descriptor.NumChannels};
    return result;
}
