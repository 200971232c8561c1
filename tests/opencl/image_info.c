/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: supported formats, creation of every type, image and memory-object info, creation from
 * host memory with pitches, from buffers, and errors.
 */
#include "cltest.h"

static const cl_image_format rgba8 = {CL_RGBA, CL_UNORM_INT8};

static int compare_formats(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(cl_image_format));
}

/* The order of the list is nobody's promise. */
static void show_formats(const struct clt *t, cl_mem_object_type type, cl_mem_flags flags)
{
    cl_image_format formats[512];
    cl_uint count = 0;
    cl_uint again = 0;

    CL_OK(clGetSupportedImageFormats(t->context, flags, type, 0, NULL, &count));
    if (!CHECK(count <= CLT_COUNT(formats)))
        return;
    CL_OK(clGetSupportedImageFormats(t->context, flags, type, CLT_COUNT(formats), formats, &again));
    CHECK(again == count);
    qsort(formats, count, sizeof(formats[0]), compare_formats);
    printf("type %#x flags %#llx: %u formats\n", type, (unsigned long long)flags, count);
    if (type != CL_MEM_OBJECT_IMAGE2D)
        return;
    for (cl_uint i = 0; i < count; i++)
        printf(" %#x/%#x", formats[i].image_channel_order, formats[i].image_channel_data_type);
    printf("\n");
}

static void show_all_formats(const struct clt *t)
{
    static const cl_mem_object_type types[] = {
        CL_MEM_OBJECT_IMAGE1D,       CL_MEM_OBJECT_IMAGE2D,       CL_MEM_OBJECT_IMAGE3D,
        CL_MEM_OBJECT_IMAGE1D_ARRAY, CL_MEM_OBJECT_IMAGE2D_ARRAY, CL_MEM_OBJECT_IMAGE1D_BUFFER,
    };
    static const cl_mem_flags flags[] = {CL_MEM_READ_ONLY, CL_MEM_WRITE_ONLY, CL_MEM_READ_WRITE};

    for (size_t i = 0; i < CLT_COUNT(types); i++) {
        for (size_t j = 0; j < CLT_COUNT(flags); j++)
            show_formats(t, types[i], flags[j]);
    }
}

static size_t image_size_info(cl_mem image, cl_image_info what)
{
    size_t value = 99;

    CL_OK(clGetImageInfo(image, what, sizeof(value), &value, NULL));
    return value;
}

static void show_image(const char *what, cl_mem image)
{
    cl_image_format format = {0, 0};
    cl_mem_object_type type = 0;
    cl_uint levels = 99;
    cl_uint samples = 99;
    size_t size = 0;

    CL_OK(clGetImageInfo(image, CL_IMAGE_FORMAT, sizeof(format), &format, NULL));
    CL_OK(clGetMemObjectInfo(image, CL_MEM_TYPE, sizeof(type), &type, NULL));
    CL_OK(clGetMemObjectInfo(image, CL_MEM_SIZE, sizeof(size), &size, NULL));
    CL_OK(clGetImageInfo(image, CL_IMAGE_NUM_MIP_LEVELS, sizeof(levels), &levels, NULL));
    CL_OK(clGetImageInfo(image, CL_IMAGE_NUM_SAMPLES, sizeof(samples), &samples, NULL));
    printf("%s: type %#x format %#x/%#x element %zu, %zu x %zu x %zu, array %zu, row %zu slice "
           "%zu, size %zu, levels %u samples %u\n",
           what, type, format.image_channel_order, format.image_channel_data_type,
           image_size_info(image, CL_IMAGE_ELEMENT_SIZE), image_size_info(image, CL_IMAGE_WIDTH),
           image_size_info(image, CL_IMAGE_HEIGHT), image_size_info(image, CL_IMAGE_DEPTH),
           image_size_info(image, CL_IMAGE_ARRAY_SIZE), image_size_info(image, CL_IMAGE_ROW_PITCH),
           image_size_info(image, CL_IMAGE_SLICE_PITCH), size, levels, samples);
}

static cl_image_desc describe(cl_mem_object_type type, size_t width, size_t height, size_t depth,
                              size_t array)
{
    cl_image_desc desc;

    memset(&desc, 0, sizeof(desc));
    desc.image_type = type;
    desc.image_width = width;
    desc.image_height = height;
    desc.image_depth = depth;
    desc.image_array_size = array;
    return desc;
}

static cl_mem create(const struct clt *t, const cl_image_format *format, const cl_image_desc *desc,
                     cl_mem_flags flags, void *host)
{
    cl_int err;
    cl_mem image = clCreateImage(t->context, flags, format, desc, host, &err);

    CL_OK(err);
    return image;
}

static void create_each_type(const struct clt *t)
{
    static const cl_image_format formats[] = {
        {CL_RGBA, CL_UNORM_INT8},
        {CL_RGBA, CL_FLOAT},
        {CL_RGBA, CL_SIGNED_INT32},
        {CL_RGBA, CL_UNSIGNED_INT16},
    };
    const struct {
        const char *name;
        cl_image_desc desc;
    } kinds[] = {
        {"1D", describe(CL_MEM_OBJECT_IMAGE1D, 100, 0, 0, 0)},
        {"2D", describe(CL_MEM_OBJECT_IMAGE2D, 33, 17, 0, 0)},
        {"3D", describe(CL_MEM_OBJECT_IMAGE3D, 9, 8, 7, 0)},
        {"1D array", describe(CL_MEM_OBJECT_IMAGE1D_ARRAY, 50, 0, 0, 4)},
        {"2D array", describe(CL_MEM_OBJECT_IMAGE2D_ARRAY, 20, 10, 0, 3)},
    };

    for (size_t i = 0; i < CLT_COUNT(kinds); i++) {
        for (size_t j = 0; j < CLT_COUNT(formats); j++) {
            cl_mem image = create(t, &formats[j], &kinds[i].desc, CL_MEM_READ_WRITE, NULL);
            show_image(kinds[i].name, image);
            CL_OK(clReleaseMemObject(image));
        }
    }
}

static void create_from_host_memory(const struct clt *t)
{
    enum { WIDTH = 10, HEIGHT = 6, PITCH = 64 };
    unsigned char host[PITCH * HEIGHT];
    unsigned char got[WIDTH * 4 * HEIGHT];
    unsigned char want[WIDTH * 4 * HEIGHT];
    cl_image_desc desc = describe(CL_MEM_OBJECT_IMAGE2D, WIDTH, HEIGHT, 0, 0);
    const size_t origin[3] = {0, 0, 0};
    const size_t region[3] = {WIDTH, HEIGHT, 1};
    const cl_mem_flags flags[] = {CL_MEM_COPY_HOST_PTR, CL_MEM_USE_HOST_PTR};

    clt_fill_random(host, sizeof(host), 1);
    for (size_t y = 0; y < HEIGHT; y++)
        memcpy(want + y * WIDTH * 4, host + y * PITCH, WIDTH * 4);
    desc.image_row_pitch = PITCH;
    for (size_t i = 0; i < CLT_COUNT(flags); i++) {
        cl_mem image = create(t, &rgba8, &desc, flags[i], host);
        show_image("from host memory", image);
        CL_OK(
            clEnqueueReadImage(t->queue, image, CL_TRUE, origin, region, 0, 0, got, 0, NULL, NULL));
        clt_same("from host memory", got, want, sizeof(want));
        clt_show_hash("from host memory", got, sizeof(got));
        CL_OK(clReleaseMemObject(image));
    }
    desc.image_row_pitch = 0;
    cl_mem image = create(t, &rgba8, &desc, CL_MEM_COPY_HOST_PTR, host);
    CL_OK(clEnqueueReadImage(t->queue, image, CL_TRUE, origin, region, 0, 0, got, 0, NULL, NULL));
    clt_same("with the default pitch", got, host, sizeof(got));
    CL_OK(clReleaseMemObject(image));
}

static void create_from_a_buffer(const struct clt *t)
{
    unsigned char host[256];
    unsigned char got[256];
    const size_t origin[3] = {0, 0, 0};
    const size_t region[3] = {64, 1, 1};
    cl_image_desc desc = describe(CL_MEM_OBJECT_IMAGE1D_BUFFER, 64, 0, 0, 0);

    clt_fill_random(host, sizeof(host), 2);
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(host), host);
    desc.buffer = buffer;
    cl_mem image = create(t, &rgba8, &desc, 0, NULL);
    cl_mem associated = NULL;
    show_image("1D from a buffer", image);
    CL_OK(clGetMemObjectInfo(image, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(associated), &associated,
                             NULL));
    CHECK(associated == buffer);
    CL_OK(clGetImageInfo(image, CL_IMAGE_BUFFER, sizeof(associated), &associated, NULL));
    CHECK(associated == buffer);
    CL_OK(clEnqueueReadImage(t->queue, image, CL_TRUE, origin, region, 0, 0, got, 0, NULL, NULL));
    clt_same("image sees the buffer", got, host, sizeof(got));
    host[5] ^= 0xff;
    clt_write(t, buffer, 5, 1, host + 5);
    CL_OK(clEnqueueReadImage(t->queue, image, CL_TRUE, origin, region, 0, 0, got, 0, NULL, NULL));
    clt_same("image sees the change", got, host, sizeof(got));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clEnqueueReadImage(t->queue, image, CL_TRUE, origin, region, 0, 0, got, 0, NULL, NULL));
    clt_same("image outlives the name", got, host, sizeof(got));
    CL_OK(clReleaseMemObject(image));
}

static void refuse_bad_arguments(const struct clt *t)
{
    const cl_image_format nonsense = {0x1234, 0x5678};
    const cl_image_format mismatch = {CL_RGB, CL_FLOAT};
    cl_image_desc good = describe(CL_MEM_OBJECT_IMAGE2D, 8, 8, 0, 0);
    cl_image_desc flat = describe(CL_MEM_OBJECT_IMAGE2D, 0, 8, 0, 0);
    cl_image_desc huge = describe(CL_MEM_OBJECT_IMAGE2D, (size_t)1 << 40, 8, 0, 0);
    cl_image_desc wrong = describe(CL_MEM_OBJECT_BUFFER, 8, 8, 0, 0);
    cl_context context = t->context;
    unsigned char host[256] = {0};
    cl_uint count = 0;
    cl_int err;

    EXPECT_NO_OBJECT(clCreateImage(NULL, 0, &rgba8, &good, NULL, &err), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateImage(context, 0, NULL, &good, NULL, &err),
                     CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
    EXPECT_NO_OBJECT(clCreateImage(context, 0, &rgba8, NULL, NULL, &err),
                     CL_INVALID_IMAGE_DESCRIPTOR);
    EXPECT_NO_OBJECT(clCreateImage(context, 0, &nonsense, &good, NULL, &err),
                     CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
    EXPECT_NO_OBJECT(clCreateImage(context, 0, &mismatch, &good, NULL, &err),
                     CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
    EXPECT_NO_OBJECT(clCreateImage(context, 0, &rgba8, &flat, NULL, &err), CL_INVALID_IMAGE_SIZE);
    EXPECT_NO_OBJECT(clCreateImage(context, 0, &rgba8, &huge, NULL, &err), CL_INVALID_IMAGE_SIZE);
    EXPECT_NO_OBJECT(clCreateImage(context, 0, &rgba8, &wrong, NULL, &err),
                     CL_INVALID_IMAGE_DESCRIPTOR);
    EXPECT_NO_OBJECT(clCreateImage(context, 0, &rgba8, &good, host, &err), CL_INVALID_HOST_PTR);
    EXPECT_NO_OBJECT(clCreateImage(context, CL_MEM_USE_HOST_PTR, &rgba8, &good, NULL, &err),
                     CL_INVALID_HOST_PTR);
    EXPECT(clGetSupportedImageFormats(NULL, 0, CL_MEM_OBJECT_IMAGE2D, 0, NULL, &count),
           CL_INVALID_CONTEXT);
    EXPECT(clGetSupportedImageFormats(context, CL_MEM_READ_ONLY, CL_MEM_OBJECT_BUFFER, 0, NULL,
                                      &count),
           CL_INVALID_VALUE);
    size_t size = 0;
    cl_image_desc small = describe(CL_MEM_OBJECT_IMAGE2D, 8, 8, 0, 0);
    cl_mem image = create(t, &rgba8, &small, 0, NULL);
    EXPECT(clGetImageInfo(image, CL_IMAGE_WIDTH, 1, host, NULL), CL_INVALID_VALUE);
    EXPECT(clGetImageInfo(image, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    CL_OK(clReleaseMemObject(image));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    clt_need_images(&t);
    show_all_formats(&t);
    create_each_type(&t);
    /* Some older implementations do not honour the pitch of host memory. */
    if (t.version >= 200)
        create_from_host_memory(&t);
    create_from_a_buffer(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
