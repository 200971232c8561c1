/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image transfers of every type: read, write, copy, fill, to and from buffers, with pitches, parts
 * and non-blocking, against a model in host memory; maps; and errors.
 */
#include "cltest.h"

#define ELEMENT 4
#define BYTES   65536

/* The model is tight: rows of width elements, slices of height rows. */
struct shape {
    const char *name;
    cl_mem_object_type type;
    size_t width, height, depth;
    size_t array;
    /* A region within, as the API counts it: array layers are the last used coordinate. */
    size_t origin[3];
    size_t region[3];
};

static const struct shape shapes[] = {
    {"1D", CL_MEM_OBJECT_IMAGE1D, 200, 1, 1, 0, {13, 0, 0}, {101, 1, 1}},
    {"2D", CL_MEM_OBJECT_IMAGE2D, 37, 29, 1, 0, {5, 7, 0}, {19, 11, 1}},
    {"3D", CL_MEM_OBJECT_IMAGE3D, 12, 11, 10, 0, {1, 2, 3}, {9, 8, 5}},
    {"1D array", CL_MEM_OBJECT_IMAGE1D_ARRAY, 64, 7, 1, 7, {3, 2, 0}, {50, 4, 1}},
    {"2D array", CL_MEM_OBJECT_IMAGE2D_ARRAY, 16, 15, 6, 6, {2, 4, 1}, {13, 9, 4}},
};

static unsigned char model[BYTES];
static unsigned char scratch[BYTES];

static size_t total_bytes(const struct shape *s)
{
    return s->width * s->height * s->depth * ELEMENT;
}

static cl_mem create_image(const struct clt *t, const struct shape *s)
{
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    cl_image_desc desc;
    cl_int err;

    memset(&desc, 0, sizeof(desc));
    desc.image_type = s->type;
    desc.image_width = s->width;
    desc.image_height = s->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? 0 : s->height;
    desc.image_depth = s->type == CL_MEM_OBJECT_IMAGE3D ? s->depth : 0;
    desc.image_array_size = s->array;
    cl_mem image = clCreateImage(t->context, CL_MEM_READ_WRITE, &format, &desc, NULL, &err);
    CL_OK(err);
    return image;
}

/* Rows of a region, to or from a packed or pitched copy. */
static void model_region(const struct shape *s, unsigned char *other, size_t row, size_t slice,
                         bool to_model)
{
    size_t length = s->region[0] * ELEMENT;

    row = row == 0 ? length : row;
    slice = slice == 0 ? row * s->region[1] : slice;
    for (size_t z = 0; z < s->region[2]; z++) {
        for (size_t y = 0; y < s->region[1]; y++) {
            size_t at = ((s->origin[2] + z) * s->height + s->origin[1] + y) * s->width;
            unsigned char *in = model + (at + s->origin[0]) * ELEMENT;
            unsigned char *out = other + z * slice + y * row;
            memcpy(to_model ? in : out, to_model ? out : in, length);
        }
    }
}

static void compare_all(const struct clt *t, cl_mem image, const struct shape *s, const char *what)
{
    static unsigned char got[BYTES];
    const size_t origin[3] = {0, 0, 0};
    const size_t region[3] = {s->width, s->height, s->depth};

    memset(got, 0, sizeof(got));
    CL_OK(clEnqueueReadImage(t->queue, image, CL_TRUE, origin, region, 0, 0, got, 0, NULL, NULL));
    clt_same(what, got, model, total_bytes(s));
    clt_show_hash(what, got, total_bytes(s));
}

static void write_all(const struct clt *t, cl_mem image, const struct shape *s)
{
    const size_t origin[3] = {0, 0, 0};
    const size_t region[3] = {s->width, s->height, s->depth};

    clt_fill_random(model, total_bytes(s), s->width);
    CL_OK(
        clEnqueueWriteImage(t->queue, image, CL_TRUE, origin, region, 0, 0, model, 0, NULL, NULL));
    compare_all(t, image, s, "whole");
}

/* A slice pitch is for types which have slices. */
static size_t slice_pitch(const struct shape *s, size_t row)
{
    return s->region[2] > 1 ? row * (s->region[1] + 2) : 0;
}

static void transfer_part(const struct clt *t, cl_mem image, const struct shape *s, cl_bool block)
{
    static unsigned char want[BYTES];
    size_t row = s->region[1] > 1 ? (s->region[0] + 3) * ELEMENT : 0;
    size_t slice = slice_pitch(s, row);

    clt_fill_random(scratch, BYTES, 11 + block);
    CL_OK(clEnqueueWriteImage(t->queue, image, block, s->origin, s->region, row, slice, scratch, 0,
                              NULL, NULL));
    CL_OK(clFinish(t->queue));
    model_region(s, scratch, row, slice, true);
    compare_all(t, image, s, "part written");

    memset(scratch, 0x66, BYTES);
    memset(want, 0x66, BYTES);
    model_region(s, want, row, slice, false);
    CL_OK(clEnqueueReadImage(t->queue, image, block, s->origin, s->region, row, slice, scratch, 0,
                             NULL, NULL));
    CL_OK(clFinish(t->queue));
    clt_same("part read", scratch, want, BYTES);
}

static void copy_through_a_buffer(const struct clt *t, cl_mem image, const struct shape *s)
{
    size_t bytes = s->region[0] * s->region[1] * s->region[2] * ELEMENT;
    cl_mem buffer = clt_buffer(t, 0, BYTES, NULL);
    static unsigned char want[BYTES];

    CL_OK(clEnqueueCopyImageToBuffer(t->queue, image, buffer, s->origin, s->region, 64, 0, NULL,
                                     NULL));
    clt_read(t, buffer, 64, bytes, scratch);
    model_region(s, want, 0, 0, false);
    clt_same("image to buffer", scratch, want, bytes);
    clt_fill_random(scratch, bytes, 12);
    clt_write(t, buffer, 128, bytes, scratch);
    CL_OK(clEnqueueCopyBufferToImage(t->queue, buffer, image, 128, s->origin, s->region, 0, NULL,
                                     NULL));
    model_region(s, scratch, 0, 0, true);
    compare_all(t, image, s, "buffer to image");
    CL_OK(clReleaseMemObject(buffer));
}

static void copy_and_fill(const struct clt *t, cl_mem image, const struct shape *s)
{
    cl_mem other = create_image(t, s);
    const size_t zero[3] = {0, 0, 0};
    const size_t whole[3] = {s->width, s->height, s->depth};
    const cl_uint color[4] = {1, 22, 133, 244};
    size_t pixels = s->region[0] * s->region[1] * s->region[2];

    CL_OK(clEnqueueCopyImage(t->queue, image, other, zero, zero, whole, 0, NULL, NULL));
    compare_all(t, other, s, "copy");
    CL_OK(clEnqueueFillImage(t->queue, other, color, s->origin, s->region, 0, NULL, NULL));
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < ELEMENT; c++)
            scratch[i * ELEMENT + c] = (unsigned char)color[c];
    }
    model_region(s, scratch, 0, 0, true);
    compare_all(t, other, s, "fill");
    CL_OK(
        clEnqueueCopyImage(t->queue, other, image, s->origin, s->origin, s->region, 0, NULL, NULL));
    compare_all(t, image, s, "copy of a part");
    CL_OK(clReleaseMemObject(other));
}

/* Pitches are the implementation's; the contents at them are not. */
static void map_part(const struct clt *t, cl_mem image, const struct shape *s)
{
    size_t row = 0;
    size_t slice = 0;
    cl_int err;
    static unsigned char want[BYTES];
    size_t length = s->region[0] * ELEMENT;
    bool layers = s->type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
    unsigned char *p = clEnqueueMapImage(t->queue, image, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                         s->origin, s->region, &row, &slice, 0, NULL, NULL, &err);

    CL_OK(err);
    printf("mapped with row %zu slice %zu\n", row, slice);
    model_region(s, want, 0, 0, false);
    for (size_t z = 0; z < s->region[2]; z++) {
        for (size_t y = 0; y < s->region[1]; y++) {
            unsigned char *at = p + z * slice + y * (layers ? slice : row);
            clt_same("mapped row", at, want + (z * s->region[1] + y) * length, length);
            memset(at, (int)(y + 16 * z), length);
            memset(want + (z * s->region[1] + y) * length, (int)(y + 16 * z), length);
        }
    }
    CL_OK(clEnqueueUnmapMemObject(t->queue, image, p, 0, NULL, NULL));
    model_region(s, want, 0, 0, true);
    compare_all(t, image, s, "after the map");
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_mem image = create_image(t, &shapes[1]);
    cl_mem buffer = clt_buffer(t, 0, 64, NULL);
    cl_command_queue queue = t->queue;
    const size_t zero[3] = {0, 0, 0};
    const size_t region[3] = {37, 29, 1};
    const size_t wide[3] = {38, 29, 1};
    const size_t deep[3] = {37, 29, 2};
    const size_t outside[3] = {37, 0, 0};
    const size_t one[3] = {1, 1, 1};
    unsigned char *p = scratch;

    EXPECT(clEnqueueReadImage(NULL, image, CL_TRUE, zero, region, 0, 0, p, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueReadImage(queue, NULL, CL_TRUE, zero, region, 0, 0, p, 0, NULL, NULL),
           CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueReadImage(queue, image, CL_TRUE, zero, wide, 0, 0, p, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadImage(queue, image, CL_TRUE, zero, deep, 0, 0, p, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadImage(queue, image, CL_TRUE, outside, one, 0, 0, p, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadImage(queue, image, CL_TRUE, zero, region, 0, 0, NULL, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueCopyImageToBuffer(queue, image, buffer, zero, region, 0, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueCopyBufferToImage(queue, buffer, image, 0, zero, region, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueFillImage(queue, image, NULL, zero, region, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueCopyImage(queue, image, image, zero, zero, one, 0, NULL, NULL),
           CL_MEM_COPY_OVERLAP);
    CL_OK(clFinish(queue));
    CL_OK(clReleaseMemObject(image));
    CL_OK(clReleaseMemObject(buffer));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    clt_need_images(&t);
    for (size_t i = 0; i < CLT_COUNT(shapes); i++) {
        const struct shape *s = &shapes[i];
        cl_mem image = create_image(&t, s);
        printf("%s\n", s->name);
        write_all(&t, image, s);
        transfer_part(&t, image, s, CL_TRUE);
        transfer_part(&t, image, s, CL_FALSE);
        copy_through_a_buffer(&t, image, s);
        copy_and_fill(&t, image, s);
        map_part(&t, image, s);
        CL_OK(clReleaseMemObject(image));
    }
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
