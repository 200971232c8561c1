/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels on images: reads and writes of 2D, 3D and array images, formats with conversion, samplers
 * as arguments and in the source, image queries, and an image over host memory.
 */
#include "cltest.h"

#define WIDTH  16
#define HEIGHT 12
#define DEPTH  4

static const char source[] =
    "constant sampler_t nearest =\n"
    "    CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP_TO_EDGE | CLK_FILTER_NEAREST;\n"
    "kernel void invert(read_only image2d_t in, write_only image2d_t out)\n"
    "{\n"
    "    int2 at = (int2)(get_global_id(0), get_global_id(1));\n"
    "    write_imageui(out, at, 255 - read_imageui(in, nearest, at));\n"
    "}\n"
    "kernel void transpose(read_only image2d_t in, global uint *out)\n"
    "{\n"
    "    int x = get_global_id(0);\n"
    "    int y = get_global_id(1);\n"
    "    uint4 p = read_imageui(in, nearest, (int2)(x, y));\n"
    "    out[x * get_image_height(in) + y] = p.x | p.y << 8 | p.z << 16 | p.w << 24;\n"
    "}\n"
    "kernel void sample(read_only image2d_t in, sampler_t how, global float4 *out)\n"
    "{\n"
    "    int x = get_global_id(0);\n"
    "    out[x] = read_imagef(in, how, (float2)((float)x * 1.25f - 3.0f, 2.5f));\n"
    "}\n"
    "kernel void volume(read_only image3d_t in, global int *out)\n"
    "{\n"
    "    int4 at = (int4)(get_global_id(0), get_global_id(1), get_global_id(2), 0);\n"
    "    int4 p = read_imagei(in, nearest, at);\n"
    "    size_t i = at.x + get_global_size(0) * (at.y + get_global_size(1) * at.z);\n"
    "    out[i] = p.x + p.y + p.z + p.w;\n"
    "}\n"
    "kernel void layers(read_only image2d_array_t in, global float *out)\n"
    "{\n"
    "    int4 at = (int4)(get_global_id(0), get_global_id(1), get_global_id(2), 0);\n"
    "    size_t i = at.x + get_global_size(0) * (at.y + get_global_size(1) * at.z);\n"
    "    out[i] = read_imagef(in, nearest, at).x;\n"
    "}\n"
    "kernel void facts(read_only image2d_t a, read_only image3d_t b, read_only image2d_array_t c,\n"
    "                  global int *out)\n"
    "{\n"
    "    out[0] = get_image_width(a); out[1] = get_image_height(a);\n"
    "    out[2] = get_image_channel_data_type(a) - CLK_UNSIGNED_INT8;\n"
    "    out[3] = get_image_channel_order(a) - CLK_RGBA;\n"
    "    out[4] = get_image_width(b); out[5] = get_image_height(b); out[6] = get_image_depth(b);\n"
    "    out[7] = get_image_width(c); out[8] = (int)get_image_array_size(c);\n"
    "}\n";

static const cl_image_format rgba_u8 = {CL_RGBA, CL_UNSIGNED_INT8};
static const cl_image_format rgba_i32 = {CL_RGBA, CL_SIGNED_INT32};
static const cl_image_format rgba_float = {CL_RGBA, CL_FLOAT};
static const cl_image_format rgba_unorm = {CL_RGBA, CL_UNORM_INT8};

static cl_mem create(const struct clt *t, const cl_image_format *format, cl_mem_object_type type,
                     size_t layers, cl_mem_flags flags, void *host)
{
    cl_image_desc desc;
    cl_int err;

    memset(&desc, 0, sizeof(desc));
    desc.image_type = type;
    desc.image_width = WIDTH;
    desc.image_height = HEIGHT;
    desc.image_depth = type == CL_MEM_OBJECT_IMAGE3D ? layers : 0;
    desc.image_array_size = type == CL_MEM_OBJECT_IMAGE2D_ARRAY ? layers : 0;
    cl_mem image = clCreateImage(t->context, flags, format, &desc, host, &err);
    CL_OK(err);
    return image;
}

static void launch(const struct clt *t, cl_kernel kernel, cl_uint dimensions)
{
    const size_t global[3] = {WIDTH, HEIGHT, DEPTH};
    const size_t local[3] = {4, 4, 1};

    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, dimensions, NULL, global, local, 0, NULL, NULL));
}

static void invert(const struct clt *t, cl_program program)
{
    enum { BYTES = WIDTH * HEIGHT * 4 };
    static unsigned char host[BYTES];
    static unsigned char got[BYTES];
    const size_t origin[3] = {0, 0, 0};
    const size_t region[3] = {WIDTH, HEIGHT, 1};
    const cl_mem_flags flags[] = {CL_MEM_COPY_HOST_PTR, CL_MEM_USE_HOST_PTR};
    cl_kernel kernel = clt_kernel(program, "invert");

    clt_fill_random(host, BYTES, 1);
    for (size_t n = 0; n < CLT_COUNT(flags); n++) {
        cl_mem images[2];
        images[0] =
            create(t, &rgba_u8, CL_MEM_OBJECT_IMAGE2D, 0, CL_MEM_READ_ONLY | flags[n], host);
        images[1] = create(t, &rgba_u8, CL_MEM_OBJECT_IMAGE2D, 0, CL_MEM_WRITE_ONLY, NULL);
        clt_set_buffers(kernel, 2, images);
        launch(t, kernel, 2);
        CL_OK(clEnqueueReadImage(t->queue, images[1], CL_TRUE, origin, region, 0, 0, got, 0, NULL,
                                 NULL));
        unsigned wrong = 0;
        for (size_t i = 0; i < BYTES; i++)
            wrong += got[i] != 255 - host[i];
        clt_show_hash("inverted", got, BYTES);
        CHECK(wrong == 0);
        CL_OK(clReleaseMemObject(images[0]));
        CL_OK(clReleaseMemObject(images[1]));
    }
    CL_OK(clReleaseKernel(kernel));
}

static void transpose(const struct clt *t, cl_program program)
{
    enum { PIXELS = WIDTH * HEIGHT };
    cl_uint host[PIXELS];
    cl_uint got[PIXELS];
    unsigned wrong = 0;
    cl_mem memory[2];
    cl_kernel kernel = clt_kernel(program, "transpose");

    clt_fill_random(host, sizeof(host), 2);
    memory[0] = create(t, &rgba_u8, CL_MEM_OBJECT_IMAGE2D, 0,
                       CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, host);
    memory[1] = clt_buffer(t, 0, sizeof(got), NULL);
    clt_set_buffers(kernel, 2, memory);
    launch(t, kernel, 2);
    clt_read(t, memory[1], 0, sizeof(got), got);
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t x = 0; x < WIDTH; x++)
            wrong += got[x * HEIGHT + y] != host[y * WIDTH + x];
    }
    clt_show_hash("transposed", got, sizeof(got));
    CHECK(wrong == 0);
    CL_OK(clReleaseMemObject(memory[0]));
    CL_OK(clReleaseMemObject(memory[1]));
    CL_OK(clReleaseKernel(kernel));
}

/* Samplers as arguments; the sampler may be released once it is set. */
static void sample(const struct clt *t, cl_program program)
{
    static const struct {
        const char *name;
        cl_addressing_mode addressing;
        cl_filter_mode filter;
    } samplers[] = {
        {"clamp to edge, nearest", CL_ADDRESS_CLAMP_TO_EDGE, CL_FILTER_NEAREST},
        {"clamp, nearest", CL_ADDRESS_CLAMP, CL_FILTER_NEAREST},
    };
    static cl_float host[WIDTH * HEIGHT * 4];
    cl_float got[WIDTH][4];
    cl_kernel kernel = clt_kernel(program, "sample");

    for (size_t i = 0; i < CLT_COUNT(host); i++)
        host[i] = (cl_float)i;
    cl_mem image = create(t, &rgba_float, CL_MEM_OBJECT_IMAGE2D, 0,
                          CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, host);
    cl_mem out = clt_buffer(t, 0, sizeof(got), NULL);
    for (size_t n = 0; n < CLT_COUNT(samplers); n++) {
        cl_int err;
        size_t global = WIDTH;
        size_t local = WIDTH;
        cl_sampler how =
            clCreateSampler(t->context, CL_FALSE, samplers[n].addressing, samplers[n].filter, &err);
        CL_OK(err);
        CL_OK(clSetKernelArg(kernel, 0, sizeof(image), &image));
        CL_OK(clSetKernelArg(kernel, 1, sizeof(how), &how));
        CL_OK(clSetKernelArg(kernel, 2, sizeof(out), &out));
        CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL));
        clt_read(t, out, 0, sizeof(got), got);
        CL_OK(clReleaseSampler(how));
        printf("%s:", samplers[n].name);
        for (size_t x = 0; x < WIDTH; x++)
            printf(" %g", (double)got[x][0]);
        printf("\n");
        cl_float left = n == 0 ? host[2 * WIDTH * 4] : 0.0f;
        CHECK(got[0][0] == left && got[4][0] == host[(2 * WIDTH + 2) * 4]);
    }
    CL_OK(clReleaseMemObject(image));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

static void volume(const struct clt *t, cl_program program)
{
    enum { PIXELS = WIDTH * HEIGHT * DEPTH };
    static cl_int host[PIXELS][4];
    static cl_int got[PIXELS];
    unsigned wrong = 0;
    cl_mem memory[2];
    cl_kernel kernel = clt_kernel(program, "volume");

    for (int i = 0; i < PIXELS; i++) {
        for (int c = 0; c < 4; c++)
            host[i][c] = (i + c) * (c % 2 == 0 ? 1 : -3);
    }
    memory[0] = create(t, &rgba_i32, CL_MEM_OBJECT_IMAGE3D, DEPTH,
                       CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, host);
    memory[1] = clt_buffer(t, 0, sizeof(got), NULL);
    clt_set_buffers(kernel, 2, memory);
    launch(t, kernel, 3);
    clt_read(t, memory[1], 0, sizeof(got), got);
    for (size_t i = 0; i < PIXELS; i++)
        wrong += got[i] != host[i][0] + host[i][1] + host[i][2] + host[i][3];
    clt_show_hash("volume", got, sizeof(got));
    CHECK(wrong == 0);
    CL_OK(clReleaseMemObject(memory[0]));
    CL_OK(clReleaseMemObject(memory[1]));
    CL_OK(clReleaseKernel(kernel));
}

static void layers(const struct clt *t, cl_program program)
{
    enum { PIXELS = WIDTH * HEIGHT * DEPTH };
    static unsigned char host[PIXELS][4];
    static cl_float got[PIXELS];
    unsigned wrong = 0;
    cl_mem memory[2];
    cl_kernel kernel = clt_kernel(program, "layers");

    clt_fill_random(host, sizeof(host), 4);
    memory[0] = create(t, &rgba_unorm, CL_MEM_OBJECT_IMAGE2D_ARRAY, DEPTH,
                       CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, host);
    memory[1] = clt_buffer(t, 0, sizeof(got), NULL);
    clt_set_buffers(kernel, 2, memory);
    launch(t, kernel, 3);
    clt_read(t, memory[1], 0, sizeof(got), got);
    for (size_t i = 0; i < PIXELS; i++) {
        cl_float error = got[i] * 255.0f - (cl_float)host[i][0];
        wrong += error > 0.01f || error < -0.01f;
    }
    clt_show_hash("layers", got, sizeof(got));
    CHECK(wrong == 0);
    CL_OK(clReleaseMemObject(memory[0]));
    CL_OK(clReleaseMemObject(memory[1]));
    CL_OK(clReleaseKernel(kernel));
}

static void facts(const struct clt *t, cl_program program)
{
    const cl_int want[9] = {WIDTH, HEIGHT, 0, 0, WIDTH, HEIGHT, DEPTH, WIDTH, 3};
    cl_int got[9];
    cl_mem memory[4];
    cl_kernel kernel = clt_kernel(program, "facts");

    memory[0] = create(t, &rgba_u8, CL_MEM_OBJECT_IMAGE2D, 0, 0, NULL);
    memory[1] = create(t, &rgba_i32, CL_MEM_OBJECT_IMAGE3D, DEPTH, 0, NULL);
    memory[2] = create(t, &rgba_unorm, CL_MEM_OBJECT_IMAGE2D_ARRAY, 3, 0, NULL);
    memory[3] = clt_buffer(t, 0, sizeof(got), NULL);
    clt_set_buffers(kernel, 4, memory);
    clt_run(t, kernel, 1, 1);
    clt_read(t, memory[3], 0, sizeof(got), got);
    clt_same("facts", got, want, sizeof(want));
    for (size_t i = 0; i < 9; i++)
        printf("%d ", got[i]);
    printf("\n");
    for (size_t i = 0; i < 4; i++)
        CL_OK(clReleaseMemObject(memory[i]));
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    clt_need_images(&t);
    cl_program program = clt_build(&t, source, NULL);
    invert(&t, program);
    transpose(&t, program);
    sample(&t, program);
    volume(&t, program);
    layers(&t, program);
    facts(&t, program);
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
