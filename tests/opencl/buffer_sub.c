/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sub-buffers: aliasing with the parent in both directions, through transfers, kernels and copies;
 * info, flags, lifetime and errors.
 */
#include "cltest.h"

#define PARENT 65536

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

static size_t alignment(const struct clt *t)
{
    cl_uint bits = 0;

    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(bits), &bits, NULL));
    return bits / 8;
}

static cl_mem make_sub(cl_mem parent, cl_mem_flags flags, size_t origin, size_t size)
{
    cl_buffer_region region = {origin, size};
    cl_int err;
    cl_mem sub = clCreateSubBuffer(parent, flags, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);

    CL_OK(err);
    return sub;
}

static void show_sub(const char *what, cl_mem sub, cl_mem parent)
{
    cl_mem_flags flags = 0;
    size_t offset = 0;
    size_t size = 0;
    cl_mem associated = NULL;
    cl_uint references = 0;

    CL_OK(clGetMemObjectInfo(sub, CL_MEM_FLAGS, sizeof(flags), &flags, NULL));
    CL_OK(clGetMemObjectInfo(sub, CL_MEM_OFFSET, sizeof(offset), &offset, NULL));
    CL_OK(clGetMemObjectInfo(sub, CL_MEM_SIZE, sizeof(size), &size, NULL));
    CL_OK(clGetMemObjectInfo(sub, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(associated), &associated,
                             NULL));
    CL_OK(clGetMemObjectInfo(sub, CL_MEM_REFERENCE_COUNT, sizeof(references), &references, NULL));
    CHECK(associated == parent);
    printf("%s: flags %#llx offset %zu size %zu references %u\n", what, (unsigned long long)flags,
           offset, size, references);
}

static void alias_through_transfers(const struct clt *t, size_t align)
{
    unsigned char *want = clt_alloc(PARENT);
    unsigned char *got = clt_alloc(PARENT);
    unsigned char patch[100];

    clt_fill_random(want, PARENT, 3);
    clt_fill_random(patch, sizeof(patch), 4);
    cl_mem parent = clt_buffer(t, CL_MEM_COPY_HOST_PTR, PARENT, want);
    size_t origin = 4 * align;
    cl_mem sub = make_sub(parent, CL_MEM_READ_WRITE, origin, 2000);

    show_sub("sub-buffer", sub, parent);
    clt_read(t, sub, 0, 2000, got);
    clt_same("read through the sub-buffer", got, want + origin, 2000);
    clt_write(t, sub, 33, sizeof(patch), patch);
    memcpy(want + origin + 33, patch, sizeof(patch));
    clt_read(t, parent, 0, PARENT, got);
    clt_same("write through the sub-buffer", got, want, PARENT);
    clt_write(t, parent, origin + 500, sizeof(patch), patch);
    memcpy(want + origin + 500, patch, sizeof(patch));
    clt_read(t, sub, 500, sizeof(patch), got);
    clt_same("write through the parent", got, patch, sizeof(patch));
    clt_read(t, parent, 0, PARENT, got);
    clt_same("whole parent", got, want, PARENT);
    clt_show_hash("whole parent", got, PARENT);
    CL_OK(clReleaseMemObject(sub));
    CL_OK(clReleaseMemObject(parent));
    free(want);
    free(got);
}

static void alias_through_kernels(const struct clt *t, size_t align)
{
    enum { WORDS = 256, PARTS = 8 };
    size_t part = (WORDS * sizeof(cl_uint) + align - 1) / align * align;
    size_t total = part * PARTS;
    unsigned char *host = clt_alloc(total);
    cl_kernel kernel = clt_build_kernel(t, source, "add");
    cl_mem parent = clt_buffer(t, CL_MEM_COPY_HOST_PTR, total, host);
    cl_mem subs[PARTS];

    for (cl_uint i = 0; i < PARTS; i++) {
        cl_uint amount = 1000 * (i + 1);
        subs[i] = make_sub(parent, 0, i * part, WORDS * sizeof(cl_uint));
        clt_set_buffers(kernel, 1, &subs[i]);
        CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
        clt_run(t, kernel, WORDS, 0);
    }
    clt_read(t, parent, 0, total, host);
    for (cl_uint i = 0; i < PARTS; i++) {
        const cl_uint *words = (const cl_uint *)(void *)(host + i * part);
        cl_uint wrong = 0;
        for (size_t j = 0; j < WORDS; j++)
            wrong += words[j] != 1000 * (i + 1);
        printf("part %u: first %u last %u wrong %u\n", i, words[0], words[WORDS - 1], wrong);
        CHECK(wrong == 0);
        CL_OK(clReleaseMemObject(subs[i]));
    }
    CL_OK(clReleaseMemObject(parent));
    CL_OK(clReleaseKernel(kernel));
    free(host);
}

static void copy_between_siblings(const struct clt *t, size_t align)
{
    size_t total = align * 4;
    unsigned char *want = clt_alloc(total);
    unsigned char *got = clt_alloc(total);

    clt_fill_random(want, total, 5);
    cl_mem parent = clt_buffer(t, CL_MEM_COPY_HOST_PTR, total, want);
    cl_mem a = make_sub(parent, 0, 0, align);
    cl_mem b = make_sub(parent, 0, 2 * align, align);
    CL_OK(clEnqueueCopyBuffer(t->queue, a, b, 8, 16, align - 16, 0, NULL, NULL));
    memcpy(want + 2 * align + 16, want + 8, align - 16);
    clt_read(t, parent, 0, total, got);
    clt_same("copy between sub-buffers", got, want, total);
    cl_uint pattern = 0xa1b2c3d4;
    CL_OK(clEnqueueFillBuffer(t->queue, b, &pattern, 4, 4, 8, 0, NULL, NULL));
    memcpy(want + 2 * align + 4, &pattern, 4);
    memcpy(want + 2 * align + 8, &pattern, 4);
    clt_read(t, parent, 0, total, got);
    clt_same("fill of a sub-buffer", got, want, total);
    CL_OK(clReleaseMemObject(a));
    CL_OK(clReleaseMemObject(b));
    CL_OK(clReleaseMemObject(parent));
    free(want);
    free(got);
}

/* The parent lives as long as its sub-buffer, even after the program let go of it. */
static void outlive_the_parent(const struct clt *t, size_t align)
{
    unsigned char *host = clt_alloc(PARENT);
    unsigned char got[64];

    clt_fill_random(host, PARENT, 6);
    cl_mem parent = clt_buffer(t, CL_MEM_COPY_HOST_PTR, PARENT, host);
    cl_mem sub = make_sub(parent, 0, align, 64);
    CL_OK(clReleaseMemObject(parent));
    clt_read(t, sub, 0, sizeof(got), got);
    clt_same("sub-buffer of a released parent", got, host + align, sizeof(got));
    CL_OK(clReleaseMemObject(sub));
    free(host);
}

static void inherit_flags(const struct clt *t)
{
    unsigned char host[256] = {0};
    cl_mem parent = clt_buffer(t, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, sizeof(host), host);
    cl_mem sub = make_sub(parent, 0, 0, 128);
    void *reported = NULL;

    show_sub("inherited flags", sub, parent);
    CL_OK(clGetMemObjectInfo(sub, CL_MEM_HOST_PTR, sizeof(reported), &reported, NULL));
    CHECK(reported == host);
    CL_OK(clReleaseMemObject(sub));
    CL_OK(clReleaseMemObject(parent));
}

static void refuse_bad_arguments(const struct clt *t, size_t align)
{
    cl_mem parent = clt_buffer(t, 0, PARENT, NULL);
    cl_mem reader = clt_buffer(t, CL_MEM_READ_ONLY, PARENT, NULL);
    cl_mem sub = make_sub(parent, 0, 0, 4 * align);
    const cl_buffer_region good = {0, 64};
    const cl_buffer_region empty = {0, 0};
    const cl_buffer_region past_end = {PARENT - align, 2 * align};
    /* Not so far that offset and size wrap: some implementations do not notice that. */
    const cl_buffer_region far_away = {PARENT * 16, align};
    const cl_buffer_create_type region = CL_BUFFER_CREATE_TYPE_REGION;
    cl_int err;

    EXPECT_NO_OBJECT(clCreateSubBuffer(NULL, 0, region, &good, &err), CL_INVALID_MEM_OBJECT);
    EXPECT_NO_OBJECT(clCreateSubBuffer(parent, 0, 0, &good, &err), CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateSubBuffer(parent, 0, region, NULL, &err), CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateSubBuffer(parent, 0, region, &empty, &err), CL_INVALID_BUFFER_SIZE);
    EXPECT_NO_OBJECT(clCreateSubBuffer(parent, 0, region, &past_end, &err), CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateSubBuffer(parent, 0, region, &far_away, &err), CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateSubBuffer(reader, CL_MEM_READ_WRITE, region, &good, &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateSubBuffer(sub, 0, region, &good, &err), CL_INVALID_MEM_OBJECT);
    if (align > 1) {
        const cl_buffer_region crooked = {1, 64};
        EXPECT_NO_OBJECT(clCreateSubBuffer(parent, 0, region, &crooked, &err),
                         CL_MISALIGNED_SUB_BUFFER_OFFSET);
    }
    CL_OK(clReleaseMemObject(sub));
    CL_OK(clReleaseMemObject(reader));
    CL_OK(clReleaseMemObject(parent));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    size_t align = alignment(&t);
    alias_through_transfers(&t, align);
    alias_through_kernels(&t, align);
    copy_between_siblings(&t, align);
    outlive_the_parent(&t, align);
    inherit_flags(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t, align);
    clt_close(&t);
    return clt_done();
}
