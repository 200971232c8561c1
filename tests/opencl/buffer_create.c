/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffer creation: every flag, info values, reference counts, host pointers and errors.
 */
#include "cltest.h"

#define SIZE 4096

static void show_buffer(const char *what, cl_mem buffer)
{
    cl_mem_object_type type = 0;
    cl_mem_flags flags = 0;
    size_t size = 0;
    cl_uint references = 0;

    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_TYPE, sizeof(type), &type, NULL));
    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_FLAGS, sizeof(flags), &flags, NULL));
    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof(size), &size, NULL));
    CL_OK(
        clGetMemObjectInfo(buffer, CL_MEM_REFERENCE_COUNT, sizeof(references), &references, NULL));
    printf("%s: type %#x flags %#llx size %zu references %u\n", what, type,
           (unsigned long long)flags, size, references);
}

static void create_with_each_flag(const struct clt *t)
{
    static const struct {
        const char *name;
        cl_mem_flags flags;
        bool host;
    } kinds[] = {
        {"default", 0, false},
        {"read write", CL_MEM_READ_WRITE, false},
        {"read only", CL_MEM_READ_ONLY, false},
        {"write only", CL_MEM_WRITE_ONLY, false},
        {"alloc host", CL_MEM_ALLOC_HOST_PTR, false},
        {"copy host", CL_MEM_COPY_HOST_PTR, true},
        {"use host", CL_MEM_USE_HOST_PTR, true},
        {"alloc and copy host", CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR, true},
        {"host read only", CL_MEM_HOST_READ_ONLY, false},
        {"host write only", CL_MEM_HOST_WRITE_ONLY, false},
        {"host no access", CL_MEM_HOST_NO_ACCESS, false},
        {"read only, copy", CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, true},
        {"write only, host read", CL_MEM_WRITE_ONLY | CL_MEM_HOST_READ_ONLY, false},
    };
    unsigned char *host = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);

    clt_fill_random(host, SIZE, 1);
    for (size_t i = 0; i < CLT_COUNT(kinds); i++) {
        cl_mem buffer = clt_buffer(t, kinds[i].flags, SIZE, kinds[i].host ? host : NULL);
        void *reported = &buffer;
        show_buffer(kinds[i].name, buffer);
        CL_OK(clGetMemObjectInfo(buffer, CL_MEM_HOST_PTR, sizeof(reported), &reported, NULL));
        printf("  host pointer is %s\n", reported == NULL   ? "NULL"
                                         : reported == host ? "ours"
                                                            : "another");
        if (kinds[i].host) {
            clt_read(t, buffer, 0, SIZE, got);
            clt_same(kinds[i].name, got, host, SIZE);
        }
        CL_OK(clReleaseMemObject(buffer));
    }
    free(host);
    free(got);
}

/* The initial contents are taken at creation: what the program does to its copy later is its own.
 */
static void copied_pointer_is_free_at_once(const struct clt *t)
{
    unsigned char *host = clt_alloc(SIZE);
    unsigned char *want = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);

    clt_fill_random(host, SIZE, 2);
    memcpy(want, host, SIZE);
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, host);
    memset(host, 0xee, SIZE);
    free(host);
    clt_read(t, buffer, 0, SIZE, got);
    clt_same("copied contents", got, want, SIZE);
    clt_show_hash("copied contents", got, SIZE);
    CL_OK(clReleaseMemObject(buffer));
    free(want);
    free(got);
}

static void count_references(const struct clt *t)
{
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);

    CL_OK(clRetainMemObject(buffer));
    CL_OK(clRetainMemObject(buffer));
    show_buffer("retained twice", buffer);
    CL_OK(clReleaseMemObject(buffer));
    show_buffer("released once", buffer);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseMemObject(buffer));
}

static void query_info(const struct clt *t)
{
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_context context = NULL;
    cl_mem parent = buffer;
    cl_uint maps = 77;
    size_t offset = 77;
    size_t size = 0;
    char small[1];

    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_CONTEXT, sizeof(context), &context, &size));
    CHECK(context == t->context);
    printf("context takes %zu bytes\n", size);
    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(parent), &parent, NULL));
    CHECK(parent == NULL);
    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_MAP_COUNT, sizeof(maps), &maps, NULL));
    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_OFFSET, sizeof(offset), &offset, NULL));
    printf("maps %u offset %zu\n", maps, offset);
    EXPECT(clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof(small), small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetMemObjectInfo(buffer, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    EXPECT(clGetMemObjectInfo(buffer, CL_MEM_SIZE, 0, NULL, &size), CL_SUCCESS);
    printf("size takes %zu bytes\n", size);
    SHOW(clGetMemObjectInfo(buffer, CL_MEM_SIZE, 0, NULL, NULL));
    CL_OK(clReleaseMemObject(buffer));
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_context context = t->context;
    unsigned char host[16] = {0};
    cl_int err;

    EXPECT_NO_OBJECT(clCreateBuffer(NULL, 0, 16, NULL, &err), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateBuffer(context, 0, 0, NULL, &err), CL_INVALID_BUFFER_SIZE);
    EXPECT_NO_OBJECT(clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 16, NULL, &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateBuffer(context, CL_MEM_USE_HOST_PTR, 16, NULL, &err),
                     CL_INVALID_HOST_PTR);
    EXPECT_NO_OBJECT(clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 16, NULL, &err),
                     CL_INVALID_HOST_PTR);
    EXPECT_NO_OBJECT(clCreateBuffer(context, 0, 16, host, &err), CL_INVALID_HOST_PTR);
    EXPECT_NO_OBJECT(
        clCreateBuffer(context, CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR, 16, host, &err),
        CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(
        clCreateBuffer(context, CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR, 16, host, &err),
        CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(
        clCreateBuffer(context, CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS, 16, NULL, &err),
        CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateBuffer(context, 0, SIZE_MAX / 2, NULL, &err), CL_INVALID_BUFFER_SIZE);
    /* The code pointer may be NULL. */
    CHECK(clCreateBuffer(context, 0, 0, NULL, NULL) == NULL);
}

static void refuse_forbidden_host_access(const struct clt *t)
{
    cl_mem no_read = clt_buffer(t, CL_MEM_HOST_WRITE_ONLY, SIZE, NULL);
    cl_mem no_write = clt_buffer(t, CL_MEM_HOST_READ_ONLY, SIZE, NULL);
    unsigned char host[16] = {0};

    EXPECT(clEnqueueReadBuffer(t->queue, no_read, CL_TRUE, 0, 16, host, 0, NULL, NULL),
           CL_INVALID_OPERATION);
    EXPECT(clEnqueueWriteBuffer(t->queue, no_write, CL_TRUE, 0, 16, host, 0, NULL, NULL),
           CL_INVALID_OPERATION);
    EXPECT(clEnqueueReadBuffer(t->queue, no_write, CL_TRUE, 0, 16, host, 0, NULL, NULL),
           CL_SUCCESS);
    EXPECT(clEnqueueWriteBuffer(t->queue, no_read, CL_TRUE, 0, 16, host, 0, NULL, NULL),
           CL_SUCCESS);
    CL_OK(clReleaseMemObject(no_read));
    CL_OK(clReleaseMemObject(no_write));
}

static void create_with_properties(const struct clt *t)
{
    if (t->version < 300)
        return;
    const cl_mem_properties none[] = {0};
    const cl_mem_properties unknown[] = {0x7777, 1, 0};
    cl_int err;
    size_t size = 77;
    cl_mem buffer = clCreateBufferWithProperties(t->context, none, 0, SIZE, NULL, &err);

    CL_OK(err);
    show_buffer("with empty properties", buffer);
    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_PROPERTIES, 0, NULL, &size));
    printf("empty properties take %zu bytes\n", size);
    CL_OK(clReleaseMemObject(buffer));
    buffer = clCreateBufferWithProperties(t->context, NULL, CL_MEM_READ_ONLY, SIZE, NULL, &err);
    CL_OK(err);
    show_buffer("with NULL properties", buffer);
    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_PROPERTIES, 0, NULL, &size));
    printf("NULL properties take %zu bytes\n", size);
    CL_OK(clReleaseMemObject(buffer));
    EXPECT_NO_OBJECT(clCreateBufferWithProperties(t->context, unknown, 0, SIZE, NULL, &err),
                     CL_INVALID_PROPERTY);
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    create_with_each_flag(&t);
    copied_pointer_is_free_at_once(&t);
    count_references(&t);
    query_info(&t);
    if (clt_validates(&t)) {
        refuse_bad_arguments(&t);
        refuse_forbidden_host_access(&t);
    }
    create_with_properties(&t);
    clt_close(&t);
    return clt_done();
}
