/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image functions of OpenCL 1.0 and 1.1: clCreateImage2D and clCreateImage3D, and the sampler
 * and barrier calls of their time.
 */
#include "cltest.h"

static const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};

static void image_2d(const struct clt *t)
{
    unsigned char host[20 * 10 * 4];
    unsigned char got[20 * 10 * 4];
    const size_t origin[3] = {0, 0, 0};
    const size_t region[3] = {20, 10, 1};
    cl_int err;
    cl_event event;

    clt_fill_random(host, sizeof(host), 1);
    cl_mem image = clCreateImage2D(t->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, &format, 20,
                                   10, 0, host, &err);
    CL_OK(err);
    CL_OK(
        clEnqueueReadImage(t->queue, image, CL_FALSE, origin, region, 0, 0, got, 0, NULL, &event));
    /* No clEnqueueWaitForEvents: some implementations crash there. */
    CL_OK(clWaitForEvents(1, &event));
    CL_OK(clEnqueueBarrier(t->queue));
    CL_OK(clFinish(t->queue));
    clt_same("2D", got, host, sizeof(got));
    clt_show_hash("2D", got, sizeof(got));
    CL_OK(clReleaseEvent(event));
    CL_OK(clReleaseMemObject(image));
    if (!clt_validates(t))
        return;
    EXPECT_NO_OBJECT(clCreateImage2D(t->context, 0, &format, 0, 10, 0, NULL, &err),
                     CL_INVALID_IMAGE_SIZE);
    EXPECT_NO_OBJECT(clCreateImage2D(t->context, 0, NULL, 20, 10, 0, NULL, &err),
                     CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
    EXPECT_NO_OBJECT(clCreateImage2D(NULL, 0, &format, 20, 10, 0, NULL, &err), CL_INVALID_CONTEXT);
}

static void image_3d(const struct clt *t)
{
    unsigned char host[6 * 5 * 4 * 4];
    unsigned char got[6 * 5 * 4 * 4];
    const size_t origin[3] = {0, 0, 0};
    const size_t region[3] = {6, 5, 4};
    size_t depth = 0;
    cl_int err;

    clt_fill_random(host, sizeof(host), 2);
    cl_mem image = clCreateImage3D(t->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, &format, 6,
                                   5, 4, 0, 0, host, &err);
    CL_OK(err);
    CL_OK(clGetImageInfo(image, CL_IMAGE_DEPTH, sizeof(depth), &depth, NULL));
    CL_OK(clEnqueueReadImage(t->queue, image, CL_TRUE, origin, region, 0, 0, got, 0, NULL, NULL));
    clt_same("3D", got, host, sizeof(got));
    clt_show_hash("3D", got, sizeof(got));
    printf("depth %zu\n", depth);
    CL_OK(clReleaseMemObject(image));
    if (!clt_validates(t))
        return;
    EXPECT_NO_OBJECT(clCreateImage3D(t->context, 0, &format, 6, 5, 0, 0, 0, NULL, &err),
                     CL_INVALID_IMAGE_SIZE);
    EXPECT_NO_OBJECT(clCreateImage3D(NULL, 0, &format, 6, 5, 4, 0, 0, NULL, &err),
                     CL_INVALID_CONTEXT);
}

static void show_sampler(cl_sampler sampler)
{
    cl_bool normalized = 99;
    cl_addressing_mode addressing = 0;
    cl_filter_mode filter = 0;
    cl_uint references = 0;
    cl_context context = NULL;

    CL_OK(clGetSamplerInfo(sampler, CL_SAMPLER_NORMALIZED_COORDS, sizeof(normalized), &normalized,
                           NULL));
    CL_OK(clGetSamplerInfo(sampler, CL_SAMPLER_ADDRESSING_MODE, sizeof(addressing), &addressing,
                           NULL));
    CL_OK(clGetSamplerInfo(sampler, CL_SAMPLER_FILTER_MODE, sizeof(filter), &filter, NULL));
    CL_OK(clGetSamplerInfo(sampler, CL_SAMPLER_REFERENCE_COUNT, sizeof(references), &references,
                           NULL));
    CL_OK(clGetSamplerInfo(sampler, CL_SAMPLER_CONTEXT, sizeof(context), &context, NULL));
    printf("sampler: normalized %u addressing %#x filter %#x references %u\n", normalized,
           addressing, filter, references);
}

static void samplers(const struct clt *t)
{
    static const cl_addressing_mode modes[] = {CL_ADDRESS_NONE, CL_ADDRESS_CLAMP_TO_EDGE,
                                               CL_ADDRESS_CLAMP, CL_ADDRESS_REPEAT,
                                               CL_ADDRESS_MIRRORED_REPEAT};
    cl_int err;

    for (size_t i = 0; i < CLT_COUNT(modes); i++) {
        for (cl_filter_mode filter = CL_FILTER_NEAREST; filter <= CL_FILTER_LINEAR; filter++) {
            cl_sampler sampler = clCreateSampler(t->context, CL_TRUE, modes[i], filter, &err);
            CL_OK(err);
            show_sampler(sampler);
            CL_OK(clRetainSampler(sampler));
            CL_OK(clReleaseSampler(sampler));
            CL_OK(clReleaseSampler(sampler));
        }
    }
    if (t->version >= 200) {
        const cl_sampler_properties properties[] = {CL_SAMPLER_NORMALIZED_COORDS, CL_FALSE,
                                                    CL_SAMPLER_FILTER_MODE, CL_FILTER_LINEAR, 0};
        cl_sampler sampler = clCreateSamplerWithProperties(t->context, properties, &err);
        CL_OK(err);
        show_sampler(sampler);
        CL_OK(clReleaseSampler(sampler));
        /* The defaults; some implementations do not take NULL for them. */
        sampler = clCreateSamplerWithProperties(t->context, NULL, &err);
        printf("without properties: %s\n", clt_error_name(err));
        if (sampler != NULL)
            CL_OK(clReleaseSampler(sampler));
    }
    if (!clt_validates(t))
        return;
    EXPECT_NO_OBJECT(clCreateSampler(NULL, CL_TRUE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &err),
                     CL_INVALID_CONTEXT);
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    clt_need_images(&t);
    image_2d(&t);
    image_3d(&t);
    samplers(&t);
    CL_OK(clUnloadCompiler());
    clt_close(&t);
    return clt_done();
}
