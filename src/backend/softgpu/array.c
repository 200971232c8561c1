/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA arrays; see array.h. Sparse arrays, planes of video formats and blocks that are compressed
 * are refused. */
#include "backend/softgpu/array.h"

#include "backend/softgpu/memory.h"
#include "backend/softgpu/queue.h"

#include <limits.h>

bool soft_format_find(CUarray_format format, struct soft_format *found)
{
    static const struct {
        uint32_t format;
        struct soft_format is;
    } formats[] = {
        {CU_AD_FORMAT_UNSIGNED_INT8, {WH_SOFT_UNSIGNED8, 1, 0, false}},
        {CU_AD_FORMAT_UNSIGNED_INT16, {WH_SOFT_UNSIGNED16, 2, 0, false}},
        {CU_AD_FORMAT_UNSIGNED_INT32, {WH_SOFT_UNSIGNED32, 4, 0, false}},
        {CU_AD_FORMAT_SIGNED_INT8, {WH_SOFT_SIGNED8, 1, 0, false}},
        {CU_AD_FORMAT_SIGNED_INT16, {WH_SOFT_SIGNED16, 2, 0, false}},
        {CU_AD_FORMAT_SIGNED_INT32, {WH_SOFT_SIGNED32, 4, 0, false}},
        {CU_AD_FORMAT_HALF, {WH_SOFT_FLOAT16, 2, 0, false}},
        {CU_AD_FORMAT_FLOAT, {WH_SOFT_FLOAT32, 4, 0, false}},
        {CU_AD_FORMAT_UNORM_INT8X1, {WH_SOFT_UNSIGNED8, 1, 1, true}},
        {CU_AD_FORMAT_UNORM_INT8X2, {WH_SOFT_UNSIGNED8, 1, 2, true}},
        {CU_AD_FORMAT_UNORM_INT8X4, {WH_SOFT_UNSIGNED8, 1, 4, true}},
        {CU_AD_FORMAT_UNORM_INT16X1, {WH_SOFT_UNSIGNED16, 2, 1, true}},
        {CU_AD_FORMAT_UNORM_INT16X2, {WH_SOFT_UNSIGNED16, 2, 2, true}},
        {CU_AD_FORMAT_UNORM_INT16X4, {WH_SOFT_UNSIGNED16, 2, 4, true}},
        {CU_AD_FORMAT_SNORM_INT8X1, {WH_SOFT_SIGNED8, 1, 1, true}},
        {CU_AD_FORMAT_SNORM_INT8X2, {WH_SOFT_SIGNED8, 1, 2, true}},
        {CU_AD_FORMAT_SNORM_INT8X4, {WH_SOFT_SIGNED8, 1, 4, true}},
        {CU_AD_FORMAT_SNORM_INT16X1, {WH_SOFT_SIGNED16, 2, 1, true}},
        {CU_AD_FORMAT_SNORM_INT16X2, {WH_SOFT_SIGNED16, 2, 2, true}},
        {CU_AD_FORMAT_SNORM_INT16X4, {WH_SOFT_SIGNED16, 2, 4, true}},
    };
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].format == (uint32_t)format) {
            *found = formats[i].is;
            return true;
        }
    return false;
}

void soft_array_end(void *object)
{
    struct soft_array *array = object;
    if (array->address)
        soft_memory_give(array->device, array->address, array->size);
}

/* Which extents go with which kind of array. */
CUresult soft_array_check(const CUDA_ARRAY3D_DESCRIPTOR_v2 *d)
{
    struct soft_format format;
    const unsigned plain = CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_CUBEMAP |
                           CUDA_ARRAY3D_TEXTURE_GATHER;
    if (d->Flags & ~plain)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (d->Width == 0 || (d->NumChannels != 1 && d->NumChannels != 2 && d->NumChannels != 4))
        return CUDA_ERROR_INVALID_VALUE;
    if (!soft_format_find(d->Format, &format) ||
        (format.nchannels && format.nchannels != d->NumChannels))
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

CUresult soft_array_make(struct soft_context *context, const CUDA_ARRAY3D_DESCRIPTOR_v2 *descriptor,
                         struct soft_array **made)
{
    struct soft_format format;
    SOFT_HOLD struct soft_array *array =
        soft_object_new(SOFT_ARRAY, sizeof(*array), context, soft_array_end);
    if (!array)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!soft_format_find(descriptor->Format, &format))
        return CUDA_ERROR_INVALID_VALUE;
    array->descriptor = *descriptor;
    array->device = context->device;
    array->row = descriptor->Width * descriptor->NumChannels * format.size;
    array->pitch = (array->row + 15) & ~(size_t)15; /* atomic operations find texels aligned */
    array->height = descriptor->Height ? descriptor->Height : 1;
    array->depth = descriptor->Depth ? descriptor->Depth : 1;
    if (__builtin_mul_overflow(array->pitch, array->height * array->depth, &array->size))
        return CUDA_ERROR_OUT_OF_MEMORY;
    array->address = soft_memory_take(context->device, array->size, SOFT_UNIT);
    if (!array->address)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *made = soft_object_retain(array);
    return CUDA_SUCCESS;
}

static CUresult create(CUarray *handle, const CUDA_ARRAY3D_DESCRIPTOR_v2 *descriptor)
{
    struct soft_context *context;
    struct soft_array *array;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !descriptor)
        return CUDA_ERROR_INVALID_VALUE;
    result = soft_array_check(descriptor);
    if (result == CUDA_SUCCESS)
        result = soft_array_make(context, descriptor, &array);
    if (result != CUDA_SUCCESS)
        return result;
    soft_object_list(array);
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
    if (result != CUDA_SUCCESS || array->level)
        return result != CUDA_SUCCESS ? result : CUDA_ERROR_INVALID_HANDLE;
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

/* ---- what arrays may have, and those of this device have not ---- */

static CUresult without(const void *result_place, CUarray handle)
{
    SOFT_HOLD struct soft_array *array;
    CUresult result = find_array(handle, &array);
    (void)result_place;
    return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : result;
}

SOFT_API CUresult cuArrayGetPlane(CUarray *plane, CUarray handle, unsigned index)
{
    (void)index;
    return without(plane, handle); /* no format here has several planes */
}

SOFT_API CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties,
                                             CUarray handle)
{
    return without(properties, handle);
}

SOFT_API CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements,
                                               CUarray handle, CUdevice device)
{
    if (!soft_device_get(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return without(requirements, handle);
}
