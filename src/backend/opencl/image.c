/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of image data in host memory; see image.h. */
#include "backend/opencl/image.h"

static size_t channels_of(cl_channel_order order)
{
    switch (order) {
    case CL_R:
    case CL_A:
    case CL_INTENSITY:
    case CL_LUMINANCE:
    case CL_DEPTH:
    case CL_Rx:
        return 1;
    case CL_RG:
    case CL_RA:
    case CL_RGx:
        return 2;
    case CL_RGB:
    case CL_RGBx:
    case CL_sRGB:
        return 3;
    case CL_RGBA:
    case CL_BGRA:
    case CL_ARGB:
    case CL_ABGR:
    case CL_sRGBx:
    case CL_sRGBA:
    case CL_sBGRA:
        return 4;
    default:
        return 0;
    }
}

size_t wh_opencl_pixel_size(const cl_image_format *format)
{
    switch (format->image_channel_data_type) {
    case CL_UNORM_SHORT_565: /* packed: all channels in one */
    case CL_UNORM_SHORT_555:
        return 2;
    case CL_UNORM_INT_101010:
    case CL_UNORM_INT_101010_2:
    case CL_UNORM_INT24:
        return 4;
    case CL_SNORM_INT8:
    case CL_UNORM_INT8:
    case CL_SIGNED_INT8:
    case CL_UNSIGNED_INT8:
        return channels_of(format->image_channel_order);
    case CL_SNORM_INT16:
    case CL_UNORM_INT16:
    case CL_SIGNED_INT16:
    case CL_UNSIGNED_INT16:
    case CL_HALF_FLOAT:
        return 2 * channels_of(format->image_channel_order);
    case CL_SIGNED_INT32:
    case CL_UNSIGNED_INT32:
    case CL_FLOAT:
        return 4 * channels_of(format->image_channel_order);
    default:
        return 0;
    }
}

static void shape_of(const cl_image_desc *desc, size_t *height, size_t *depth)
{
    *height = 1;
    *depth = 1;
    switch (desc->image_type) {
    case CL_MEM_OBJECT_IMAGE2D:
        *height = desc->image_height;
        break;
    case CL_MEM_OBJECT_IMAGE3D:
        *height = desc->image_height;
        *depth = desc->image_depth;
        break;
    case CL_MEM_OBJECT_IMAGE1D_ARRAY:
        *depth = desc->image_array_size;
        break;
    case CL_MEM_OBJECT_IMAGE2D_ARRAY:
        *height = desc->image_height;
        *depth = desc->image_array_size;
        break;
    default:
        break;
    }
}

bool wh_opencl_host_image(const cl_image_format *format, const cl_image_desc *desc,
                          struct wh_opencl_host_image *image)
{
    size_t width, least_slice;
    size_t pixel = wh_opencl_pixel_size(format);
    shape_of(desc, &image->height, &image->depth);
    if (!pixel || __builtin_mul_overflow(pixel, desc->image_width, &width) || !width ||
        !image->height || !image->depth)
        return false;
    image->row = desc->image_row_pitch ? desc->image_row_pitch : width;
    if (image->row < width || __builtin_mul_overflow(image->row, image->height, &least_slice))
        return false;
    image->slice = desc->image_slice_pitch ? desc->image_slice_pitch : least_slice;
    if (image->depth == 1)
        image->slice = least_slice;
    return image->slice >= least_slice &&
           !__builtin_mul_overflow(image->slice, image->depth, &image->size);
}
