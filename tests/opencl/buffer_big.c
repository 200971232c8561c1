/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transfer of 64 MiB and an odd rest in each direction, blocking and not, a partial one in the
 * middle, a copy on the device, and a map: sizes which no staging area holds at once.
 */
#include "cltest.h"

#define SIZE (((size_t)64 << 20) + 12345)

/* Fast and order-sensitive; the helper's byte-wise hash is too slow for this much. */
static uint64_t checksum(const unsigned char *data)
{
    uint64_t sum = 1;
    size_t i = 0;

    for (; i + 8 <= SIZE; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    }
    for (; i < SIZE; i++)
        sum = (sum ^ data[i]) * 0x100000001b3u;
    return sum;
}

static void show(const char *what, const unsigned char *data)
{
    printf("%s: %016llx\n", what, (unsigned long long)checksum(data));
}

int main(void)
{
    struct clt t;
    cl_ulong largest = 0;
    cl_event done;
    cl_int err;

    clt_open(&t);
    CL_OK(clGetDeviceInfo(t.device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(largest), &largest, NULL));
    if (largest < 2 * SIZE)
        clt_skip("the device allows no buffers this large");
    unsigned char *model = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);
    clt_fill_random(model, SIZE, 1);
    show("model", model);

    cl_mem a = clt_buffer(&t, CL_MEM_READ_WRITE, SIZE, NULL);
    cl_mem b = clt_buffer(&t, CL_MEM_READ_WRITE, SIZE, NULL);
    clt_write(&t, a, 0, SIZE, model);
    clt_read(&t, a, 0, SIZE, got);
    clt_same("blocking", got, model, SIZE);

    size_t part = SIZE / 3 + 1;
    clt_fill_random(model + 1234567, part, 2);
    CL_OK(
        clEnqueueWriteBuffer(t.queue, a, CL_FALSE, 1234567, part, model + 1234567, 0, NULL, NULL));
    CL_OK(clEnqueueCopyBuffer(t.queue, a, b, 0, 0, SIZE, 0, NULL, NULL));
    memset(got, 0, SIZE);
    CL_OK(clEnqueueReadBuffer(t.queue, b, CL_FALSE, 0, SIZE, got, 0, NULL, &done));
    CL_OK(clWaitForEvents(1, &done));
    CL_OK(clReleaseEvent(done));
    clt_same("not blocking", got, model, SIZE);
    show("not blocking", got);

    const unsigned char *map =
        clEnqueueMapBuffer(t.queue, b, CL_TRUE, CL_MAP_READ, 0, SIZE, 0, NULL, NULL, &err);
    CL_OK(err);
    clt_same("mapped", map, model, SIZE);
    CL_OK(clEnqueueUnmapMemObject(t.queue, b, (void *)(uintptr_t)map, 0, NULL, NULL));

    cl_mem c = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, SIZE, model);
    memset(got, 0, SIZE);
    clt_read(&t, c, 0, SIZE, got);
    clt_same("copied at creation", got, model, SIZE);
    CL_OK(clReleaseMemObject(a));
    CL_OK(clReleaseMemObject(b));
    CL_OK(clReleaseMemObject(c));
    free(model);
    free(got);
    clt_close(&t);
    return clt_done();
}
