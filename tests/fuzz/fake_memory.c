/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's buffers, images, pipes and samplers. See fake_opencl.h. */
#include "fake_opencl.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES (1u << 20)
#define MOST_SIDE  128u

/* ---- memory ---- */

static struct fake *new_mem(struct fake *parent, size_t size, cl_mem_flags flags, void *host,
                            cl_int *errcode_ret)
{
    bool uses = flags & CL_MEM_USE_HOST_PTR, copies = flags & CL_MEM_COPY_HOST_PTR;
    if ((host != NULL) != (uses || copies))
        return fake_fail(errcode_ret, CL_INVALID_HOST_PTR);
    struct fake *mem = fake_new(FAKE_MEM, 1, &parent);
    if (!mem)
        return fake_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    mem->size = size;
    mem->owns_bytes = !uses;
    mem->host = uses ? host : NULL;
    mem->bytes = uses ? host : calloc(1, size);
    fake_read(mem->bytes, size);
    return fake_made(mem, errcode_ret);
}

static cl_mem create_buffer(cl_context object, cl_mem_flags flags, size_t size, void *host,
                            cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    if (!context)
        return fake_fail(errcode_ret, CL_INVALID_CONTEXT);
    if (size == 0 || size > MOST_BYTES)
        return fake_fail(errcode_ret, CL_INVALID_BUFFER_SIZE);
    if (flags & CL_MEM_COPY_HOST_PTR && host)
        fake_read(host, size);
    return (cl_mem)(void *)new_mem(context, size, flags, host, errcode_ret);
}

static cl_mem create_sub_buffer(cl_mem object, cl_mem_flags flags, cl_buffer_create_type type,
                                const void *info, cl_int *errcode_ret)
{
    struct fake *parent = fake_check(object, FAKE_MEM);
    (void)flags;
    if (!parent || parent->is_image || parent->origin)
        return fake_fail(errcode_ret, CL_INVALID_MEM_OBJECT);
    if (type != CL_BUFFER_CREATE_TYPE_REGION || !info)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    const cl_buffer_region *region = info;
    if (region->origin > parent->size || region->size > parent->size - region->origin ||
        region->size == 0)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    struct fake *mem = fake_new(FAKE_MEM, 1, &parent);
    if (!mem)
        return fake_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
    mem->size = region->size;
    mem->origin = region->origin;
    mem->bytes = parent->bytes + region->origin;
    mem->host = parent->host ? (uint8_t *)parent->host + region->origin : NULL;
    return fake_made(mem, errcode_ret);
}

static size_t pixel_size(const cl_image_format *format)
{
    if (format->image_channel_order != CL_RGBA && format->image_channel_order != CL_R)
        return 0;
    size_t channels = format->image_channel_order == CL_RGBA ? 4 : 1;
    if (format->image_channel_data_type == CL_UNORM_INT8)
        return channels;
    return format->image_channel_data_type == CL_FLOAT ? 4 * channels : 0;
}

/* Fills the image's shape; false when there is no such image. */
static bool shape(struct fake *image, const cl_image_format *format, const cl_image_desc *desc)
{
    cl_mem_object_type type = desc->image_type;
    bool flat = type == CL_MEM_OBJECT_IMAGE1D || type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
    bool layers = type == CL_MEM_OBJECT_IMAGE1D_ARRAY || type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
    if (type < CL_MEM_OBJECT_IMAGE2D || type > CL_MEM_OBJECT_IMAGE1D_ARRAY)
        return false;
    image->pixel = pixel_size(format);
    image->width = desc->image_width;
    image->height = flat ? 1 : desc->image_height;
    image->depth = type == CL_MEM_OBJECT_IMAGE3D ? desc->image_depth
                   : layers                      ? desc->image_array_size
                                                 : 1;
    return image->pixel && image->width && image->height && image->depth &&
           image->width <= MOST_SIDE && image->height <= MOST_SIDE && image->depth <= MOST_SIDE;
}

/* Reads the host's pixels by the pitches of the description (OpenCL 3.0, section 5.3.1.2). */
static void read_pixels(const struct fake *shape, const cl_image_desc *desc, const uint8_t *host)
{
    size_t width = shape->pixel * shape->width;
    size_t row = desc->image_row_pitch ? desc->image_row_pitch : width;
    size_t slice = desc->image_slice_pitch ? desc->image_slice_pitch : row * shape->height;
    for (size_t z = 0; z < shape->depth; z++)
        for (size_t y = 0; y < shape->height; y++)
            fake_read(host + z * slice + y * row, width);
}

static cl_mem create_image(cl_context object, cl_mem_flags flags, const cl_image_format *format,
                           const cl_image_desc *desc, void *host, cl_int *errcode_ret)
{
    struct fake want = {0}, *context = fake_check(object, FAKE_CONTEXT);
    if (!context)
        return fake_fail(errcode_ret, CL_INVALID_CONTEXT);
    if (!format || !desc || !shape(&want, format, desc))
        return fake_fail(errcode_ret, CL_INVALID_IMAGE_DESCRIPTOR);
    size_t width = want.pixel * want.width;
    bool pitched = desc->image_row_pitch || desc->image_slice_pitch;
    if ((!host && pitched) || (desc->image_row_pitch && desc->image_row_pitch < width) ||
        (desc->image_slice_pitch && desc->image_slice_pitch < width * want.height))
        return fake_fail(errcode_ret, CL_INVALID_IMAGE_DESCRIPTOR);
    fake_check(desc->mem_object, FAKE_MEM);
    if (host && flags & CL_MEM_COPY_HOST_PTR)
        read_pixels(&want, desc, host);
    struct fake *image =
        new_mem(context, width * want.height * want.depth, flags, host, errcode_ret);
    if (!image)
        return NULL;
    image->is_image = true;
    image->pixel = want.pixel;
    image->width = want.width;
    image->height = want.height;
    image->depth = want.depth;
    return (cl_mem)(void *)image;
}

static cl_mem create_pipe(cl_context object, cl_mem_flags flags, cl_uint packet, cl_uint packets,
                          const cl_pipe_properties *properties, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    (void)flags;
    if (!context || packet == 0 || packets == 0 || properties || packet > 1024 || packets > 64)
        return fake_fail(errcode_ret, CL_INVALID_PIPE_SIZE);
    return (cl_mem)(void *)new_mem(context, (size_t)packet * packets, 0, NULL, errcode_ret);
}

static cl_int get_mem_info(cl_mem object, cl_mem_info name, size_t size, void *value,
                           size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_MEM);
    if (!known)
        return CL_INVALID_MEM_OBJECT;
    if (name == CL_MEM_HOST_PTR)
        return fake_handle(known->host, size, value, size_ret);
    if (name == CL_MEM_ASSOCIATED_MEMOBJECT)
        return fake_handle(known->origin ? known->parents[0] : NULL, size, value, size_ret);
    if (name == CL_MEM_CONTEXT) {
        struct fake *context = known->parents[0];
        while (context->type != FAKE_CONTEXT)
            context = context->parents[0];
        return fake_handle(context, size, value, size_ret);
    }
    return fake_number(known->size, size, value, size_ret);
}

static cl_int get_image_info(cl_mem object, cl_image_info name, size_t size, void *value,
                             size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_MEM);
    if (!known || !known->is_image)
        return CL_INVALID_MEM_OBJECT;
    if (name == CL_IMAGE_BUFFER)
        return fake_handle(NULL, size, value, size_ret);
    return fake_number(name == CL_IMAGE_ELEMENT_SIZE ? known->pixel : known->width, size, value,
                       size_ret);
}

static cl_int get_image_formats(cl_context object, cl_mem_flags flags, cl_mem_object_type type,
                                cl_uint n, cl_image_format *formats, cl_uint *found)
{
    (void)flags;
    (void)type;
    if (!fake_check(object, FAKE_CONTEXT))
        return CL_INVALID_CONTEXT;
    if (formats)
        fake_write(formats, (n < 3 ? n : 3) * sizeof(*formats));
    if (found)
        *found = 3;
    return CL_SUCCESS;
}

static cl_int set_mem_callback(cl_mem object, cl_mem_destructor_callback notify, void *user)
{
    struct fake *known = fake_check(object, FAKE_MEM);
    if (!known)
        return CL_INVALID_MEM_OBJECT;
    if (!notify || known->gone)
        return CL_INVALID_VALUE;
    known->gone = (void (*)(void *, void *))(void *)notify;
    known->user = user;
    return CL_SUCCESS;
}

static cl_sampler create_sampler(cl_context object, cl_bool normalized,
                                 cl_addressing_mode addressing, cl_filter_mode filter,
                                 cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    (void)normalized;
    (void)addressing;
    (void)filter;
    return context ? fake_made(fake_new(FAKE_SAMPLER, 1, &context), errcode_ret)
                   : fake_fail(errcode_ret, CL_INVALID_CONTEXT);
}

static cl_sampler create_new_sampler(cl_context object, const cl_sampler_properties *properties,
                                     cl_int *errcode_ret)
{
    for (unsigned i = 0; properties && properties[i]; i += 2)
        fake_read(&properties[i + 1], sizeof(*properties));
    return create_sampler(object, 0, 0, 0, errcode_ret);
}

static cl_int get_sampler_info(cl_sampler object, cl_sampler_info name, size_t size, void *value,
                               size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_SAMPLER);
    if (!known)
        return CL_INVALID_SAMPLER;
    if (name == CL_SAMPLER_CONTEXT)
        return fake_handle(known->parents[0], size, value, size_ret);
    return fake_number(1, size, value, size_ret);
}

void fake_fill_memory(struct wh_opencl_functions_table *f)
{
    f->clGetMemObjectInfo = get_mem_info;
    f->clGetImageInfo = get_image_info;
    f->clGetSupportedImageFormats = get_image_formats;
    f->clGetSamplerInfo = get_sampler_info;
    f->clCreateBuffer = create_buffer;
    f->clCreateSubBuffer = create_sub_buffer;
    f->clCreateImage = create_image;
    f->clCreatePipe = create_pipe;
    f->clSetMemObjectDestructorCallback = set_mem_callback;
    f->clCreateSampler = create_sampler;
    f->clCreateSamplerWithProperties = create_new_sampler;
}
