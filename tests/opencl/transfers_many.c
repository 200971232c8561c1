/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thousand reads that wait for a user event, and meanwhile, in another queue, large reads and
 * maps: these have nothing to wait for, and are carried out.
 */
#include "cltest.h"

#define WAITING 1024
#define SMALL   64
#define LARGE   (5u << 20)

static void read_svm(const struct clt *t, cl_command_queue queue, const unsigned char *want)
{
    unsigned char *got = clt_alloc(LARGE);
    unsigned char *memory = clSVMAlloc(t->context, CL_MEM_READ_WRITE, LARGE, 0);

    if (!CHECK(memory != NULL))
        exit(clt_done());
    CL_OK(clEnqueueSVMMemcpy(queue, CL_TRUE, memory, want, LARGE, 0, NULL, NULL));
    EXPECT(clEnqueueSVMMemcpy(queue, CL_TRUE, got, memory, LARGE, 0, NULL, NULL), CL_SUCCESS);
    clt_same("shared virtual memory", got, want, LARGE);
    memset(got, 0, LARGE);
    EXPECT(clEnqueueSVMMemcpy(queue, CL_FALSE, got, memory, LARGE, 0, NULL, NULL), CL_SUCCESS);
    CL_OK(clFinish(queue));
    clt_same("shared virtual memory, later", got, want, LARGE);
    clSVMFree(t->context, memory);
    free(got);
}

static void read_buffer(const struct clt *t, cl_command_queue queue, unsigned char *want)
{
    unsigned char *got = clt_alloc(LARGE);
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, LARGE, want);

    EXPECT(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, LARGE, got, 0, NULL, NULL), CL_SUCCESS);
    clt_same("a buffer", got, want, LARGE);
    memset(got, 0, LARGE);
    EXPECT(clEnqueueReadBuffer(queue, buffer, CL_FALSE, 0, LARGE, got, 0, NULL, NULL), CL_SUCCESS);
    CL_OK(clFinish(queue));
    clt_same("a buffer, later", got, want, LARGE);
    CL_OK(clReleaseMemObject(buffer));
    free(got);
}

/* The program's memory is told what the device wrote. */
static void map_own_memory(const struct clt *t, cl_command_queue queue, cl_bool blocking)
{
    unsigned char *host = clt_alloc(LARGE);
    unsigned char *want = clt_alloc(LARGE);
    cl_mem buffer = clt_buffer(t, CL_MEM_USE_HOST_PTR, LARGE, host);
    cl_int err;

    memset(want, 7, LARGE);
    CL_OK(clEnqueueFillBuffer(queue, buffer, want, 1, 0, LARGE, 0, NULL, NULL));
    unsigned char *mapped =
        clEnqueueMapBuffer(queue, buffer, blocking, CL_MAP_READ, 0, LARGE, 0, NULL, NULL, &err);
    EXPECT(err, CL_SUCCESS);
    CL_OK(clFinish(queue));
    if (CHECK(mapped == host)) {
        clt_same("the program's memory", host, want, LARGE);
        CL_OK(clEnqueueUnmapMemObject(queue, buffer, mapped, 0, NULL, NULL));
    }
    CL_OK(clFinish(queue));
    CL_OK(clReleaseMemObject(buffer));
    free(want);
    free(host);
}

int main(void)
{
    static unsigned char small[WAITING][SMALL], zeros[SMALL];
    struct clt t;
    cl_int err;

    clt_open(&t);
    clt_need_version(&t, 200);
    cl_command_queue other = clt_queue(&t, 0);
    cl_mem buffer = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, SMALL, zeros);
    cl_event gate = clCreateUserEvent(t.context, &err);
    CL_OK(err);
    memset(small, 1, sizeof(small));
    for (size_t i = 0; i < WAITING; i++)
        CL_OK(clEnqueueReadBuffer(t.queue, buffer, CL_FALSE, 0, SMALL, small[i], 1, &gate, NULL));
    CL_OK(clFlush(t.queue));

    unsigned char *want = clt_alloc(LARGE);
    clt_fill_random(want, LARGE, 1);
    read_buffer(&t, other, want);
    read_svm(&t, other, want);
    map_own_memory(&t, other, CL_TRUE);
    map_own_memory(&t, other, CL_FALSE);
    for (size_t i = 0; i < WAITING; i++)
        if (!CHECK(small[i][0] == 1))
            break;

    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clFinish(t.queue));
    for (size_t i = 0; i < WAITING; i++)
        if (!CHECK(memcmp(small[i], zeros, SMALL) == 0))
            break;
    free(want);
    CL_OK(clReleaseEvent(gate));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseCommandQueue(other));
    clt_close(&t);
    return clt_done();
}
