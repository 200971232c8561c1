/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rectangular transfers of buffers in two and three dimensions, with default and explicit pitches,
 * against a model in host memory; and their errors.
 */
#include "cltest.h"

#define SIZE 60000

struct box {
    size_t buffer_origin[3];
    size_t host_origin[3];
    size_t region[3];
    size_t buffer_row, buffer_slice, host_row, host_slice;
};

static const struct box boxes[] = {
    {{0, 0, 0}, {0, 0, 0}, {16, 1, 1}, 0, 0, 0, 0},
    {{0, 0, 0}, {0, 0, 0}, {100, 20, 1}, 0, 0, 0, 0},
    {{3, 5, 0}, {1, 2, 0}, {31, 9, 1}, 200, 0, 97, 0},
    {{7, 1, 2}, {0, 0, 0}, {13, 11, 5}, 64, 64 * 20, 0, 0},
    {{1, 2, 3}, {5, 4, 1}, {20, 8, 6}, 50, 50 * 30, 40, 40 * 25},
    {{0, 0, 0}, {9, 9, 9}, {1, 1, 1}, 10, 100, 11, 121},
    {{128, 3, 1}, {64, 1, 1}, {256, 4, 3}, 1024, 1024 * 8, 512, 512 * 8},
};

static unsigned char model[SIZE];
static unsigned char host[SIZE];
static unsigned char want[SIZE];

static size_t position(const size_t *origin, size_t row, size_t slice, size_t y, size_t z)
{
    return origin[0] + (origin[1] + y) * row + (origin[2] + z) * slice;
}

/* Pitches of 0 mean "tight", as in the API. */
static void move(unsigned char *to, const size_t *to_origin, size_t to_row, size_t to_slice,
                 const unsigned char *from, const size_t *from_origin, size_t from_row,
                 size_t from_slice, const size_t *region)
{
    to_row = to_row == 0 ? region[0] : to_row;
    from_row = from_row == 0 ? region[0] : from_row;
    to_slice = to_slice == 0 ? region[1] * to_row : to_slice;
    from_slice = from_slice == 0 ? region[1] * from_row : from_slice;
    for (size_t z = 0; z < region[2]; z++) {
        for (size_t y = 0; y < region[1]; y++)
            memcpy(to + position(to_origin, to_row, to_slice, y, z),
                   from + position(from_origin, from_row, from_slice, y, z), region[0]);
    }
}

static void compare_all(const struct clt *t, cl_mem buffer, const char *what)
{
    static unsigned char got[SIZE];

    clt_read(t, buffer, 0, SIZE, got);
    clt_same(what, got, model, SIZE);
    clt_show_hash(what, got, SIZE);
}

static void read_box(const struct clt *t, cl_mem buffer, const struct box *b, cl_bool blocking)
{
    memset(host, 0x11, SIZE);
    memset(want, 0x11, SIZE);
    move(want, b->host_origin, b->host_row, b->host_slice, model, b->buffer_origin, b->buffer_row,
         b->buffer_slice, b->region);
    CL_OK(clEnqueueReadBufferRect(t->queue, buffer, blocking, b->buffer_origin, b->host_origin,
                                  b->region, b->buffer_row, b->buffer_slice, b->host_row,
                                  b->host_slice, host, 0, NULL, NULL));
    if (!blocking)
        CL_OK(clFinish(t->queue));
    clt_same("read", host, want, SIZE);
    clt_show_hash("read", host, SIZE);
}

static void write_box(const struct clt *t, cl_mem buffer, const struct box *b, cl_bool blocking,
                      uint64_t seed)
{
    clt_fill_random(host, SIZE, seed);
    move(model, b->buffer_origin, b->buffer_row, b->buffer_slice, host, b->host_origin, b->host_row,
         b->host_slice, b->region);
    CL_OK(clEnqueueWriteBufferRect(t->queue, buffer, blocking, b->buffer_origin, b->host_origin,
                                   b->region, b->buffer_row, b->buffer_slice, b->host_row,
                                   b->host_slice, host, 0, NULL, NULL));
    if (!blocking)
        CL_OK(clFinish(t->queue));
    compare_all(t, buffer, "write");
}

static void copy_box(const struct clt *t, cl_mem buffer, cl_mem other, const struct box *b)
{
    clt_read(t, other, 0, SIZE, host);
    move(model, b->buffer_origin, b->buffer_row, b->buffer_slice, host, b->host_origin, b->host_row,
         b->host_slice, b->region);
    CL_OK(clEnqueueCopyBufferRect(t->queue, other, buffer, b->host_origin, b->buffer_origin,
                                  b->region, b->host_row, b->host_slice, b->buffer_row,
                                  b->buffer_slice, 0, NULL, NULL));
    compare_all(t, buffer, "copy");
}

static void refuse_bad_boxes(const struct clt *t, cl_mem buffer)
{
    cl_command_queue queue = t->queue;
    const size_t zero[3] = {0, 0, 0};
    const size_t region[3] = {10, 10, 1};
    const size_t flat[3] = {10, 0, 1};
    const size_t huge[3] = {10, SIZE, 1};
    const size_t near[3] = {5, 5, 0};

    EXPECT(clEnqueueReadBufferRect(queue, buffer, CL_TRUE, zero, zero, flat, 0, 0, 0, 0, host, 0,
                                   NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadBufferRect(queue, buffer, CL_TRUE, zero, zero, huge, 0, 0, 0, 0, host, 0,
                                   NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadBufferRect(queue, buffer, CL_TRUE, zero, zero, region, 9, 0, 0, 0, host, 0,
                                   NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueReadBufferRect(queue, buffer, CL_TRUE, zero, zero, region, 0, 0, 9, 0, host, 0,
                                   NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueWriteBufferRect(queue, buffer, CL_TRUE, zero, zero, region, 20, 199, 0, 0, host,
                                    0, NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueWriteBufferRect(queue, buffer, CL_TRUE, zero, zero, region, 0, 0, 0, 0, NULL, 0,
                                    NULL, NULL),
           CL_INVALID_VALUE);
    EXPECT(clEnqueueCopyBufferRect(queue, buffer, buffer, zero, near, region, 20, 200, 20, 200, 0,
                                   NULL, NULL),
           CL_MEM_COPY_OVERLAP);
    EXPECT(clEnqueueCopyBufferRect(queue, buffer, buffer, zero, near, region, 20, 200, 40, 400, 0,
                                   NULL, NULL),
           CL_INVALID_VALUE);
    compare_all(t, buffer, "after refused calls");
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    clt_fill_random(model, SIZE, 1);
    clt_fill_random(host, SIZE, 2);
    cl_mem buffer = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, SIZE, model);
    cl_mem other = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, SIZE, host);
    for (size_t i = 0; i < CLT_COUNT(boxes); i++) {
        printf("box %zu\n", i);
        read_box(&t, buffer, &boxes[i], CL_TRUE);
        read_box(&t, buffer, &boxes[i], CL_FALSE);
        write_box(&t, buffer, &boxes[i], CL_TRUE, 100 + i);
        write_box(&t, buffer, &boxes[i], CL_FALSE, 200 + i);
        copy_box(&t, buffer, other, &boxes[i]);
    }
    if (clt_validates(&t))
        refuse_bad_boxes(&t, buffer);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseMemObject(other));
    clt_close(&t);
    return clt_done();
}
