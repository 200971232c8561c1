/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear transfers: read, write, copy and fill, blocking and not, at unaligned offsets and odd
 * sizes, against a model in host memory; and their errors.
 */
#include "cltest.h"

#define SIZE 100003

static unsigned char model[SIZE];
static unsigned char scratch[SIZE];

static void compare_all(const struct clt *t, cl_mem buffer, const char *what)
{
    memset(scratch, 0, SIZE);
    clt_read(t, buffer, 0, SIZE, scratch);
    clt_same(what, scratch, model, SIZE);
    clt_show_hash(what, scratch, SIZE);
}

static void write_and_read_blocking(const struct clt *t, cl_mem buffer)
{
    static const size_t offsets[] = {0, 1, 3, 127, 4095, 4096, 4097, 65535, SIZE - 1};
    static const size_t sizes[] = {1, 2, 7, 64, 1000, 4096, 33333};
    static unsigned char data[33333];

    for (size_t i = 0; i < CLT_COUNT(offsets); i++) {
        for (size_t j = 0; j < CLT_COUNT(sizes); j++) {
            if (offsets[i] + sizes[j] > SIZE)
                continue;
            clt_fill_random(data, sizes[j], i * 100 + j);
            clt_write(t, buffer, offsets[i], sizes[j], data);
            memcpy(model + offsets[i], data, sizes[j]);
            /* The call has returned, so the source is the program's again. */
            memset(data, 0xaa, sizes[j]);
            clt_read(t, buffer, offsets[i], sizes[j], data);
            clt_same("read back", data, model + offsets[i], sizes[j]);
        }
    }
    compare_all(t, buffer, "after blocking writes");
}

static void write_and_read_without_blocking(const struct clt *t, cl_mem buffer)
{
    enum { PIECES = 50, PIECE = 1999 };
    static unsigned char data[PIECES][PIECE];
    static unsigned char back[PIECES][PIECE];

    for (size_t i = 0; i < PIECES; i++) {
        clt_fill_random(data[i], PIECE, 1000 + i);
        CL_OK(clEnqueueWriteBuffer(t->queue, buffer, CL_FALSE, i * PIECE, PIECE, data[i], 0, NULL,
                                   NULL));
        memcpy(model + i * PIECE, data[i], PIECE);
    }
    for (size_t i = 0; i < PIECES; i++)
        CL_OK(clEnqueueReadBuffer(t->queue, buffer, CL_FALSE, i * PIECE, PIECE, back[i], 0, NULL,
                                  NULL));
    CL_OK(clFinish(t->queue));
    clt_same("read without blocking", back, data, sizeof(data));
    compare_all(t, buffer, "after non-blocking writes");
}

static void copy_ranges(const struct clt *t, cl_mem buffer)
{
    cl_mem other = clt_buffer(t, 0, SIZE, NULL);

    CL_OK(clEnqueueCopyBuffer(t->queue, buffer, other, 0, 0, SIZE, 0, NULL, NULL));
    clt_read(t, other, 0, SIZE, scratch);
    clt_same("copy of everything", scratch, model, SIZE);
    CL_OK(clEnqueueCopyBuffer(t->queue, other, buffer, 17, 40001, 12345, 0, NULL, NULL));
    memcpy(model + 40001, scratch + 17, 12345);
    CL_OK(clEnqueueCopyBuffer(t->queue, buffer, buffer, 100, 200, 100, 0, NULL, NULL));
    memcpy(model + 200, model + 100, 100);
    CL_OK(clEnqueueCopyBuffer(t->queue, buffer, buffer, SIZE - 1, 0, 1, 0, NULL, NULL));
    model[0] = model[SIZE - 1];
    compare_all(t, buffer, "after copies");
    EXPECT(clEnqueueCopyBuffer(t->queue, buffer, buffer, 0, 50, 100, 0, NULL, NULL),
           CL_MEM_COPY_OVERLAP);
    EXPECT(clEnqueueCopyBuffer(t->queue, buffer, other, SIZE - 10, 0, 11, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueCopyBuffer(t->queue, buffer, other, 0, SIZE - 10, 11, 0, NULL, NULL),
           CL_INVALID_VALUE);
    SHOW(clEnqueueCopyBuffer(t->queue, buffer, other, 0, 0, 0, 0, NULL, NULL));
    CL_OK(clReleaseMemObject(other));
}

static void fill_patterns(const struct clt *t, cl_mem buffer)
{
    unsigned char pattern[128];

    clt_fill_random(pattern, sizeof(pattern), 77);
    for (size_t size = 1; size <= sizeof(pattern); size *= 2) {
        size_t offset = size * 5;
        size_t count = 11;
        CL_OK(clEnqueueFillBuffer(t->queue, buffer, pattern, size, offset, size * count, 0, NULL,
                                  NULL));
        for (size_t i = 0; i < count; i++)
            memcpy(model + offset + i * size, pattern, size);
        char what[64];
        snprintf(what, sizeof(what), "after a fill of %zu-byte patterns", size);
        compare_all(t, buffer, what);
    }
    /* The pattern is copied by the call: it may live on a stack that is gone. */
    cl_event gate = NULL;
    cl_int err;
    cl_uint word = 0x01020304;
    gate = clCreateUserEvent(t->context, &err);
    CL_OK(err);
    CL_OK(clEnqueueFillBuffer(t->queue, buffer, &word, 4, 8, 16, 1, &gate, NULL));
    word = 0;
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    word = 0x01020304;
    for (size_t i = 0; i < 4; i++)
        memcpy(model + 8 + 4 * i, &word, 4);
    compare_all(t, buffer, "after a delayed fill");
    CL_OK(clReleaseEvent(gate));
}

static void refuse_bad_patterns(const struct clt *t, cl_mem buffer)
{
    unsigned char pattern[8] = {0};

    EXPECT(clEnqueueFillBuffer(t->queue, buffer, pattern, 3, 0, 12, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueFillBuffer(t->queue, buffer, pattern, 0, 0, 12, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueFillBuffer(t->queue, buffer, NULL, 4, 0, 12, 0, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clEnqueueFillBuffer(t->queue, buffer, pattern, 4, 2, 12, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueFillBuffer(t->queue, buffer, pattern, 4, 0, 13, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueFillBuffer(t->queue, buffer, pattern, 4, 100000, 4, 0, NULL, NULL),
           CL_INVALID_VALUE);
}

static void refuse_bad_ranges(const struct clt *t, cl_mem buffer)
{
    cl_command_queue queue = t->queue;
    unsigned char *p = scratch;

    EXPECT(clEnqueueReadBuffer(queue, buffer, CL_TRUE, SIZE, 1, p, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, SIZE + 1, p, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadBuffer(queue, buffer, CL_TRUE, SIZE_MAX, 2, p, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, 1, NULL, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, SIZE - 1, 2, p, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueWriteBuffer(queue, buffer, CL_FALSE, 1, SIZE, p, 0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 0, 1, NULL, 0, NULL, NULL),
           CL_INVALID_VALUE);
    SHOW(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, 0, p, 0, NULL, NULL));
    SHOW(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 0, 0, p, 0, NULL, NULL));
    EXPECT(clEnqueueReadBuffer(NULL, buffer, CL_TRUE, 0, 1, p, 0, NULL, NULL),
           CL_INVALID_COMMAND_QUEUE);
    EXPECT(clEnqueueReadBuffer(queue, NULL, CL_TRUE, 0, 1, p, 0, NULL, NULL),
           CL_INVALID_MEM_OBJECT);
    EXPECT(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, 1, p, 1, NULL, NULL),
           CL_INVALID_EVENT_WAIT_LIST);
    compare_all(t, buffer, "after refused calls");
}

/* Neighbours of the destination stay untouched. */
static void write_only_what_was_asked(const struct clt *t, cl_mem buffer)
{
    unsigned wrong = 0;

    memset(scratch, 0x5a, SIZE);
    clt_read(t, buffer, 1001, 777, scratch + 333);
    for (size_t i = 0; i < SIZE; i++)
        wrong += scratch[i] != (i < 333 || i >= 333 + 777 ? 0x5a : model[1001 + i - 333]);
    printf("%u bytes in and around the destination are wrong\n", wrong);
    CHECK(wrong == 0);
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    clt_fill_random(model, SIZE, 9);
    cl_mem buffer = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, SIZE, model);
    write_and_read_blocking(&t, buffer);
    write_and_read_without_blocking(&t, buffer);
    copy_ranges(&t, buffer);
    fill_patterns(&t, buffer);
    if (clt_validates(&t)) {
        refuse_bad_patterns(&t, buffer);
        refuse_bad_ranges(&t, buffer);
    }
    write_only_what_was_asked(&t, buffer);
    CL_OK(clReleaseMemObject(buffer));
    clt_close(&t);
    return clt_done();
}
