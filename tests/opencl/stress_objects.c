/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large numbers of objects: thousands of buffers, events, kernels and queues made and released, in
 * batches and one by one, with uses in between; a leak shows as memory that does not stay put.
 */
#include "cltest.h"

#include <sys/resource.h>

static const char source[] = "kernel void put(global uint *out, uint value) { out[0] = value; }\n";

static void buffers_in_batches(const struct clt *t)
{
    enum { BATCH = 500, BATCHES = 10 };
    cl_mem buffers[BATCH];

    for (cl_uint b = 0; b < BATCHES; b++) {
        for (cl_uint i = 0; i < BATCH; i++) {
            cl_uint word = b * BATCH + i;
            buffers[i] = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(word), &word);
        }
        for (cl_uint i = BATCH; i-- > 0;) {
            if (i % 50 == 0) {
                cl_uint word = 0;
                clt_read(t, buffers[i], 0, sizeof(word), &word);
                CHECK(word == b * BATCH + i);
            }
            CL_OK(clReleaseMemObject(buffers[i]));
        }
    }
    printf("%d buffers\n", BATCH * BATCHES);
}

static void events(const struct clt *t)
{
    enum { BATCH = 200, BATCHES = 20 };
    cl_event list[BATCH];
    cl_mem buffer = clt_buffer(t, 0, 64, NULL);
    cl_uint word = 1;
    cl_int err;

    for (int b = 0; b < BATCHES; b++) {
        for (size_t i = 0; i < BATCH; i++) {
            if (i % 4 == 0) {
                list[i] = clCreateUserEvent(t->context, &err);
                CL_OK(err);
                CL_OK(clSetUserEventStatus(list[i], CL_COMPLETE));
            } else {
                CL_OK(clEnqueueFillBuffer(t->queue, buffer, &word, 4, 0, 64, 0, NULL, &list[i]));
            }
        }
        CL_OK(clWaitForEvents(BATCH, list));
        for (size_t i = 0; i < BATCH; i++)
            CL_OK(clReleaseEvent(list[i]));
    }
    printf("%d events\n", BATCH * BATCHES);
    CL_OK(clReleaseMemObject(buffer));
}

static void kernels(const struct clt *t)
{
    enum { BATCH = 100, BATCHES = 5 };
    cl_program program = clt_build(t, source, NULL);
    cl_kernel list[BATCH];
    cl_mem out = clt_buffer(t, 0, sizeof(cl_uint), NULL);

    for (int b = 0; b < BATCHES; b++) {
        for (cl_uint i = 0; i < BATCH; i++) {
            list[i] = clt_kernel(program, "put");
            clt_set_buffers(list[i], 1, &out);
            CL_OK(clSetKernelArg(list[i], 1, sizeof(i), &i));
        }
        for (cl_uint i = 0; i < BATCH; i++) {
            cl_uint got = 0;
            clt_run(t, list[i], 1, 1);
            clt_read(t, out, 0, sizeof(got), &got);
            CHECK(got == i);
            CL_OK(clReleaseKernel(list[i]));
        }
    }
    printf("%d kernels\n", BATCH * BATCHES);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseProgram(program));
}

static void queues(const struct clt *t)
{
    enum { QUEUES = 200 };
    cl_mem buffer = clt_buffer(t, 0, sizeof(cl_uint), NULL);

    for (cl_uint i = 0; i < QUEUES; i++) {
        struct clt other = *t;
        cl_uint got = 0;
        other.queue = clt_queue(t, 0);
        CL_OK(clEnqueueFillBuffer(other.queue, buffer, &i, 4, 0, 4, 0, NULL, NULL));
        clt_read(&other, buffer, 0, 4, &got);
        CHECK(got == i);
        CL_OK(clReleaseCommandQueue(other.queue));
    }
    printf("%d queues\n", QUEUES);
    CL_OK(clReleaseMemObject(buffer));
}

/* Buffers of some size, so that keeping them would be seen. */
static void large_buffers(const struct clt *t)
{
    enum { ROUNDS = 200, SIZE = 4 << 20 };
    struct rusage usage;

    for (cl_uint i = 0; i < ROUNDS; i++) {
        cl_uint got = 0;
        cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
        CL_OK(clEnqueueFillBuffer(t->queue, buffer, &i, 4, 0, SIZE, 0, NULL, NULL));
        clt_read(t, buffer, SIZE - 4, 4, &got);
        CHECK(got == i);
        CL_OK(clReleaseMemObject(buffer));
    }
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    /* All of them kept would be 800 MiB. */
    CHECK(usage.ru_maxrss < 600 * 1024);
    printf("%d large buffers\n", ROUNDS);
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    buffers_in_batches(&t);
    events(&t);
    kernels(&t);
    queues(&t);
    large_buffers(&t);
    clt_close(&t);
    return clt_done();
}
