/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers right after a wait for their queue, when nothing is under way in it, beside those that
 * something is before: what is read and written is the same, in the same order.
 */
#include "cltest.h"

#define WORDS 75000
#define SIZE  (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

static cl_uint host[WORDS], got[WORDS];

static void fill(cl_uint first)
{
    for (cl_uint i = 0; i < WORDS; i++)
        host[i] = first + i;
    memset(got, 0xee, sizeof(got));
}

static void add(const struct clt *t, cl_kernel kernel, cl_mem buffer, cl_uint amount)
{
    size_t global = WORDS;
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &global, NULL, 0, NULL, NULL));
}

/* Of each size there is a way of its own. */
static void read_and_write(const struct clt *t, cl_kernel kernel, cl_mem buffer)
{
    static const cl_uint sizes[] = {1, 4, 1024, 1028, 4096, 4100, 200000, SIZE};
    for (unsigned still = 0; still < 2; still++)
        for (unsigned blocking = 0; blocking < 2; blocking++)
            for (unsigned i = 0; i < CLT_COUNT(sizes); i++) {
                fill(1000 * i);
                CL_OK(
                    clEnqueueWriteBuffer(t->queue, buffer, CL_TRUE, 0, SIZE, host, 0, NULL, NULL));
                add(t, kernel, buffer, 7);
                if (still)
                    CL_OK(clFinish(t->queue));
                memset(host, 0xcc, sizeof(host));
                CL_OK(clEnqueueWriteBuffer(t->queue, buffer, blocking, SIZE - sizes[i], sizes[i],
                                           host, 0, NULL, NULL));
                if (still)
                    CL_OK(clFinish(t->queue));
                CL_OK(clEnqueueReadBuffer(t->queue, buffer, blocking, SIZE - sizes[i], sizes[i],
                                          got, 0, NULL, NULL));
                CL_OK(clFinish(t->queue));
                printf("%u bytes, still %u, blocking %u: hash %016jx\n", sizes[i], still, blocking,
                       (uintmax_t)clt_hash(got, sizeof(got)));
                add(t, kernel, buffer, 1);
                CL_OK(clEnqueueReadBuffer(t->queue, buffer, CL_TRUE, 0, SIZE, got, 0, NULL, NULL));
                printf("then hash %016jx\n", (uintmax_t)clt_hash(got, sizeof(got)));
            }
}

/* What waits for a gate comes first, in an in-order queue that was still before. */
static void behind_a_gate(const struct clt *t, cl_mem buffer, cl_mem other)
{
    cl_int err;
    cl_event gate = clCreateUserEvent(t->context, &err);
    CL_OK(err);
    fill(5);
    CL_OK(clEnqueueWriteBuffer(t->queue, buffer, CL_TRUE, 0, SIZE, host, 0, NULL, NULL));
    CL_OK(clFinish(t->queue));
    CL_OK(clEnqueueCopyBuffer(t->queue, buffer, other, 0, 0, SIZE, 1, &gate, NULL));
    fill(900);
    CL_OK(clEnqueueWriteBuffer(t->queue, buffer, CL_FALSE, 0, SIZE, host, 0, NULL, NULL));
    CL_OK(clEnqueueReadBuffer(t->queue, other, CL_FALSE, 0, SIZE, got, 0, NULL, NULL));
    CL_OK(clFlush(t->queue));
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clFinish(t->queue));
    printf("copied before it was written: %u\n", got[0]);
    CL_OK(clEnqueueReadBuffer(t->queue, buffer, CL_TRUE, 0, SIZE, got, 0, NULL, NULL));
    printf("written: %u\n", got[0]);
    CL_OK(clReleaseEvent(gate));
    /* The same by the wait list of a queue that is still: not before the gate opens. */
    gate = clCreateUserEvent(t->context, &err);
    CL_OK(err);
    CL_OK(clFinish(t->queue));
    fill(31);
    CL_OK(clEnqueueReadBuffer(t->queue, buffer, CL_FALSE, 0, SIZE, got, 1, &gate, NULL));
    CL_OK(clFlush(t->queue));
    printf("behind its list: %08x\n", got[0]);
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clFinish(t->queue));
    printf("then %u\n", got[0]);
    CL_OK(clReleaseEvent(gate));
}

/* An event of a transfer that was made at once is like any other, and what waits for it goes on. */
static void events(const struct clt *t, cl_mem buffer, cl_mem other)
{
    for (unsigned blocking = 0; blocking < 2; blocking++) {
        cl_event written, copied;
        cl_command_type type = 0;
        cl_int status = 99;
        fill(400 + blocking);
        CL_OK(clFinish(t->queue));
        CL_OK(clEnqueueWriteBuffer(t->queue, buffer, blocking, 0, SIZE, host, 0, NULL, &written));
        CL_OK(clEnqueueCopyBuffer(t->queue, buffer, other, 0, 0, SIZE, 1, &written, &copied));
        CL_OK(clWaitForEvents(1, &written));
        CL_OK(clGetEventInfo(written, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
        CL_OK(clGetEventInfo(written, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status,
                             NULL));
        CL_OK(clEnqueueReadBuffer(t->queue, other, CL_TRUE, 0, SIZE, got, 1, &copied, NULL));
        printf("%s %s, copied %u\n", clt_command_name(type), clt_status_name(status), got[0]);
        CL_OK(clReleaseEvent(written));
        CL_OK(clReleaseEvent(copied));
    }
}

/* One that measures has the device's times. */
static void measured(const struct clt *t, cl_mem buffer)
{
    cl_int err;
    cl_command_queue queue =
        clCreateCommandQueue(t->context, t->device, CL_QUEUE_PROFILING_ENABLE, &err);
    CL_OK(err);
    cl_ulong start = 0, end = 0;
    cl_event event;
    CL_OK(clFinish(queue));
    CL_OK(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, SIZE, got, 0, NULL, &event));
    CL_OK(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof(start), &start, NULL));
    CL_OK(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(end), &end, NULL));
    CHECK(start > 0 && end > start);
    CL_OK(clReleaseEvent(event));
    CL_OK(clReleaseCommandQueue(queue));
}

/* What a queue that is still would be told by the library is told as before. */
static void refusals(const struct clt *t, cl_mem buffer)
{
    cl_int err;
    cl_context context = clCreateContext(NULL, 1, &t->device, NULL, NULL, &err);
    CL_OK(err);
    cl_mem foreign = clCreateBuffer(context, CL_MEM_READ_WRITE, SIZE, NULL, &err);
    CL_OK(err);
    CL_OK(clFinish(t->queue));
    if (clt_validates(t)) {
        EXPECT(clEnqueueReadBuffer(t->queue, foreign, CL_TRUE, 0, SIZE, got, 0, NULL, NULL),
               CL_INVALID_CONTEXT);
        EXPECT(clEnqueueReadBuffer(t->queue, buffer, CL_TRUE, 1, SIZE, got, 0, NULL, NULL),
               CL_INVALID_VALUE);
        EXPECT(clEnqueueReadBuffer(t->queue, buffer, CL_TRUE, 0, SIZE, got, 1, NULL, NULL),
               CL_INVALID_EVENT_WAIT_LIST);
    }
    CL_OK(clReleaseMemObject(foreign));
    CL_OK(clReleaseContext(context));
}

int main(void)
{
    struct clt t;
    clt_open(&t);
    cl_kernel kernel = clt_build_kernel(&t, source, "add");
    cl_mem buffer = clt_buffer(&t, 0, SIZE, NULL), other = clt_buffer(&t, 0, SIZE, NULL);
    read_and_write(&t, kernel, buffer);
    behind_a_gate(&t, buffer, other);
    events(&t, buffer, other);
    measured(&t, buffer);
    refusals(&t, buffer);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseMemObject(other));
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
    return clt_done();
}
