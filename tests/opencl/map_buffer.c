/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking maps of buffers: read, write, invalidate, several at once, sub-buffers, host pointers,
 * map counts, and errors.
 */
#include "cltest.h"

#include <sched.h>

#define WORDS 5000
#define SIZE  (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

static void *map(const struct clt *t, cl_mem buffer, cl_map_flags flags, size_t offset, size_t size)
{
    cl_int err;
    void *p =
        clEnqueueMapBuffer(t->queue, buffer, CL_TRUE, flags, offset, size, 0, NULL, NULL, &err);

    CL_OK(err);
    CHECK(p != NULL);
    return p;
}

static void unmap(const struct clt *t, cl_mem buffer, void *p)
{
    CL_OK(clEnqueueUnmapMemObject(t->queue, buffer, p, 0, NULL, NULL));
}

static cl_uint map_count(cl_mem buffer)
{
    cl_uint count = 99;

    CL_OK(clGetMemObjectInfo(buffer, CL_MEM_MAP_COUNT, sizeof(count), &count, NULL));
    return count;
}

/* Some implementations count an unmap only a moment after it is complete. */
static void wait_for_map_count(cl_mem buffer, cl_uint want)
{
    while (map_count(buffer) != want)
        sched_yield();
    printf("maps left: %u\n", want);
}

static void add(const struct clt *t, cl_kernel kernel, cl_mem buffer, cl_uint amount)
{
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    clt_run(t, kernel, WORDS, 0);
}

static void expect_words(const cl_uint *words, cl_uint base, const char *what)
{
    unsigned wrong = 0;

    for (cl_uint i = 0; i < WORDS; i++)
        wrong += words[i] != base + i;
    printf("%s: first %u, %u wrong\n", what, words[0], wrong);
    CHECK(wrong == 0);
}

/* The same exchange for each way of making a buffer. */
static void exchange(const struct clt *t, cl_kernel kernel, cl_mem buffer, const char *what)
{
    cl_uint *words = map(t, buffer, CL_MAP_WRITE, 0, SIZE);

    printf("%s\n", what);
    for (cl_uint i = 0; i < WORDS; i++)
        words[i] = 100 + i;
    unmap(t, buffer, words);
    add(t, kernel, buffer, 11);
    words = map(t, buffer, CL_MAP_READ, 0, SIZE);
    expect_words(words, 111, "read map after a kernel");
    unmap(t, buffer, words);
    words = map(t, buffer, CL_MAP_READ | CL_MAP_WRITE, 0, SIZE);
    expect_words(words, 111, "read-write map");
    for (cl_uint i = 0; i < WORDS; i++)
        words[i] += 7;
    unmap(t, buffer, words);
    add(t, kernel, buffer, 2);
    words = map(t, buffer, CL_MAP_WRITE_INVALIDATE_REGION, 0, SIZE);
    for (cl_uint i = 0; i < WORDS; i++)
        words[i] = 5000 + i;
    unmap(t, buffer, words);
    add(t, kernel, buffer, 1);
    words = map(t, buffer, CL_MAP_READ, 0, SIZE);
    expect_words(words, 5001, "after an invalidating map");
    unmap(t, buffer, words);
    CL_OK(clFinish(t->queue));
    wait_for_map_count(buffer, 0);
}

static void exchange_all(const struct clt *t, cl_kernel kernel)
{
    static const struct {
        const char *name;
        cl_mem_flags flags;
        bool host;
    } kinds[] = {
        {"plain", CL_MEM_READ_WRITE, false},
        {"alloc host", CL_MEM_ALLOC_HOST_PTR, false},
        {"use host", CL_MEM_USE_HOST_PTR, true},
        {"copy host", CL_MEM_COPY_HOST_PTR, true},
        {"alloc and copy host", CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR, true},
    };
    void *host = clt_alloc(SIZE);

    for (size_t i = 0; i < CLT_COUNT(kinds); i++) {
        cl_mem buffer = clt_buffer(t, kinds[i].flags, SIZE, kinds[i].host ? host : NULL);
        exchange(t, kernel, buffer, kinds[i].name);
        CL_OK(clReleaseMemObject(buffer));
    }
    free(host);
}

/* Only the mapped part is the program's; the rest keeps what the device has. */
static void map_parts(const struct clt *t)
{
    unsigned char *want = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);

    clt_fill_random(want, SIZE, 1);
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, want);
    static const size_t offsets[] = {0, 1, 77, 4095, 4096, 8191, SIZE - 3};
    static const size_t sizes[] = {1, 3, 2, 4098, 4096, 5000, 3};
    for (size_t i = 0; i < CLT_COUNT(offsets); i++) {
        unsigned char *p = map(t, buffer, CL_MAP_READ | CL_MAP_WRITE, offsets[i], sizes[i]);
        clt_same("mapped part", p, want + offsets[i], sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++)
            p[j] = (unsigned char)(p[j] ^ 0x3c);
        memcpy(want + offsets[i], p, sizes[i]);
        unmap(t, buffer, p);
        clt_read(t, buffer, 0, SIZE, got);
        clt_same("buffer after a partial map", got, want, SIZE);
    }
    clt_show_hash("after partial maps", got, SIZE);
    CL_OK(clReleaseMemObject(buffer));
    free(want);
    free(got);
}

static void map_several_at_once(const struct clt *t)
{
    unsigned char *want = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);

    clt_fill_random(want, SIZE, 2);
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, want);
    unsigned char *a = map(t, buffer, CL_MAP_WRITE, 0, 1000);
    unsigned char *b = map(t, buffer, CL_MAP_WRITE, 1000, 1000);
    unsigned char *c = map(t, buffer, CL_MAP_READ, 10000, 100);
    unsigned char *d = map(t, buffer, CL_MAP_READ, 10000, 100);
    cl_uint at_once = map_count(buffer);
    printf("maps at once: %u\n", at_once);
    clt_same("first reader", c, want + 10000, 100);
    clt_same("second reader", d, want + 10000, 100);
    memset(a, 0xa1, 1000);
    memset(b, 0xb2, 1000);
    memset(want, 0xa1, 1000);
    memset(want + 1000, 0xb2, 1000);
    unmap(t, buffer, b);
    unmap(t, buffer, d);
    CL_OK(clFinish(t->queue));
    /* And some do not count at all. */
    if (at_once == 4)
        wait_for_map_count(buffer, 2);
    unmap(t, buffer, a);
    unmap(t, buffer, c);
    CL_OK(clFinish(t->queue));
    wait_for_map_count(buffer, 0);
    clt_read(t, buffer, 0, SIZE, got);
    clt_same("after several maps", got, want, SIZE);
    CL_OK(clReleaseMemObject(buffer));
    free(want);
    free(got);
}

/* With CL_MEM_USE_HOST_PTR a map is at the program's own address, whatever its alignment. */
static void keep_host_pointer(const struct clt *t, cl_kernel kernel)
{
    static const size_t shifts[] = {0, 16, 128, 4};
    unsigned char *memory = clt_alloc(SIZE + 512);

    for (size_t i = 0; i < CLT_COUNT(shifts); i++) {
        memset(memory, 0xcc, SIZE + 512);
        unsigned char *host = memory + 128 + shifts[i];
        cl_uint *words = (cl_uint *)(void *)host;
        for (cl_uint j = 0; j < WORDS; j++)
            words[j] = j;
        cl_mem buffer = clt_buffer(t, CL_MEM_USE_HOST_PTR, SIZE, host);
        add(t, kernel, buffer, 40);
        unsigned char *p = map(t, buffer, CL_MAP_READ, 0, SIZE);
        CHECK(p == host);
        expect_words(words, 40, "at the host pointer");
        unmap(t, buffer, p);
        p = map(t, buffer, CL_MAP_WRITE, 400, 40);
        CHECK(p == host + 400);
        for (size_t j = 0; j < 10; j++)
            words[100 + j] += 1;
        unmap(t, buffer, p);
        add(t, kernel, buffer, 0);
        cl_uint back[20];
        clt_read(t, buffer, 380, sizeof(back), back);
        printf("around the written part: %u %u %u %u\n", back[4], back[5], back[14], back[15]);
        CHECK(back[4] == 139 && back[5] == 141 && back[14] == 150 && back[15] == 150);
        CHECK(host[-1] == 0xcc && host[SIZE] == 0xcc);
        CL_OK(clReleaseMemObject(buffer));
    }
    free(memory);
}

static void map_sub_buffer(const struct clt *t)
{
    cl_uint align = 0;
    unsigned char *want = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);
    cl_int err;

    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(align), &align, NULL));
    clt_fill_random(want, SIZE, 3);
    cl_mem parent = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, want);
    cl_buffer_region region = {align / 8 * 3, 1000};
    cl_mem sub = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    CL_OK(err);
    unsigned char *p = map(t, sub, CL_MAP_READ | CL_MAP_WRITE, 10, 900);
    clt_same("mapped sub-buffer", p, want + region.origin + 10, 900);
    memset(p, 0x77, 900);
    memset(want + region.origin + 10, 0x77, 900);
    printf("maps of the sub-buffer: %u\n", map_count(sub));
    unmap(t, sub, p);
    clt_read(t, parent, 0, SIZE, got);
    clt_same("parent after the map", got, want, SIZE);
    clt_show_hash("parent after the map", got, SIZE);
    CL_OK(clReleaseMemObject(sub));
    CL_OK(clReleaseMemObject(parent));
    free(want);
    free(got);
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_mem hidden = clt_buffer(t, CL_MEM_HOST_NO_ACCESS, SIZE, NULL);
    cl_command_queue queue = t->queue;
    unsigned char other[16];
    cl_int err;

    EXPECT_NO_OBJECT(
        clEnqueueMapBuffer(queue, buffer, CL_TRUE, CL_MAP_READ, 0, SIZE + 1, 0, NULL, NULL, &err),
        CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(
        clEnqueueMapBuffer(queue, buffer, CL_TRUE, CL_MAP_READ, SIZE, 1, 0, NULL, NULL, &err),
        CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(
        clEnqueueMapBuffer(NULL, buffer, CL_TRUE, CL_MAP_READ, 0, 1, 0, NULL, NULL, &err),
        CL_INVALID_COMMAND_QUEUE);
    EXPECT_NO_OBJECT(
        clEnqueueMapBuffer(queue, NULL, CL_TRUE, CL_MAP_READ, 0, 1, 0, NULL, NULL, &err),
        CL_INVALID_MEM_OBJECT);
    EXPECT_NO_OBJECT(
        clEnqueueMapBuffer(queue, hidden, CL_TRUE, CL_MAP_READ, 0, 1, 0, NULL, NULL, &err),
        CL_INVALID_OPERATION);
    EXPECT_NO_OBJECT(
        clEnqueueMapBuffer(queue, buffer, CL_TRUE, CL_MAP_READ, 0, 1, 1, NULL, NULL, &err),
        CL_INVALID_EVENT_WAIT_LIST);
    EXPECT(clEnqueueUnmapMemObject(queue, buffer, other, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueUnmapMemObject(queue, NULL, other, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseMemObject(hidden));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_kernel kernel = clt_build_kernel(&t, source, "add");
    exchange_all(&t, kernel);
    map_parts(&t);
    map_several_at_once(&t);
    keep_host_pointer(&t, kernel);
    map_sub_buffer(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
    return clt_done();
}
