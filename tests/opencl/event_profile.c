/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiling: the four (five) times of commands of each kind exist and do not run backwards; sizes
 * and errors. No time is printed.
 */
#include "cltest.h"

#define WORDS 1024
#define SIZE  (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

static cl_ulong get_time(cl_event event, cl_profiling_info what)
{
    cl_ulong time = 0;
    size_t size = 0;

    CL_OK(clGetEventProfilingInfo(event, what, sizeof(time), &time, &size));
    CHECK(size == sizeof(time));
    return time;
}

static cl_ulong check_event(const struct clt *t, const char *what, cl_event event)
{
    cl_ulong queued;
    cl_ulong submitted;
    cl_ulong started;
    cl_ulong ended;

    CL_OK(clWaitForEvents(1, &event));
    queued = get_time(event, CL_PROFILING_COMMAND_QUEUED);
    submitted = get_time(event, CL_PROFILING_COMMAND_SUBMIT);
    started = get_time(event, CL_PROFILING_COMMAND_START);
    ended = get_time(event, CL_PROFILING_COMMAND_END);
    printf("%s: in order %d\n", what,
           queued <= submitted && submitted <= started && started <= ended);
    CHECK(queued <= submitted && submitted <= started && started <= ended);
    if (t->version >= 200)
        CHECK(get_time(event, CL_PROFILING_COMMAND_COMPLETE) >= ended);
    CL_OK(clReleaseEvent(event));
    return ended;
}

static void each_command(const struct clt *t)
{
    static cl_uint host[WORDS];
    cl_kernel kernel = clt_build_kernel(t, source, "add");
    cl_mem a = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, host);
    cl_mem b = clt_buffer(t, 0, SIZE, NULL);
    cl_uint one = 1;
    size_t global = WORDS;
    cl_event event;
    cl_int err;

    CL_OK(clEnqueueWriteBuffer(t->queue, a, CL_TRUE, 0, SIZE, host, 0, NULL, &event));
    cl_ulong first = check_event(t, "write", event);
    CL_OK(clEnqueueReadBuffer(t->queue, a, CL_FALSE, 0, SIZE, host, 0, NULL, &event));
    check_event(t, "read", event);
    CL_OK(clEnqueueCopyBuffer(t->queue, a, b, 0, 0, SIZE, 0, NULL, &event));
    check_event(t, "copy", event);
    CL_OK(clEnqueueFillBuffer(t->queue, a, &one, 4, 0, SIZE, 0, NULL, &event));
    check_event(t, "fill", event);
    clt_set_buffers(kernel, 1, &a);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(one), &one));
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &global, NULL, 0, NULL, &event));
    check_event(t, "kernel", event);
    void *p = clEnqueueMapBuffer(t->queue, a, CL_TRUE, CL_MAP_READ, 0, SIZE, 0, NULL, &event, &err);
    CL_OK(err);
    check_event(t, "map", event);
    CL_OK(clEnqueueUnmapMemObject(t->queue, a, p, 0, NULL, &event));
    cl_ulong last = check_event(t, "unmap", event);
    CHECK(first <= last);
    CL_OK(clReleaseMemObject(a));
    CL_OK(clReleaseMemObject(b));
    CL_OK(clReleaseKernel(kernel));
}

static void refuse_bad_questions(const struct clt *t)
{
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_event event;
    cl_event user;
    cl_uint small = 0;
    cl_ulong time = 0;
    size_t size = 0;
    cl_int err;

    CL_OK(clEnqueueFillBuffer(t->queue, buffer, &small, 4, 0, SIZE, 0, NULL, &event));
    CL_OK(clWaitForEvents(1, &event));
    EXPECT(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, 4, &small, NULL),
           CL_INVALID_VALUE);
    EXPECT(clGetEventProfilingInfo(event, CL_DEVICE_NAME, 8, &time, NULL), CL_INVALID_VALUE);
    EXPECT(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, 0, NULL, &size), CL_SUCCESS);
    printf("a time takes %zu bytes\n", size);
    EXPECT(clGetEventProfilingInfo(NULL, CL_PROFILING_COMMAND_END, 8, &time, NULL),
           CL_INVALID_EVENT);
    user = clCreateUserEvent(t->context, &err);
    CL_OK(err);
    EXPECT(clGetEventProfilingInfo(user, CL_PROFILING_COMMAND_END, 8, &time, NULL),
           CL_PROFILING_INFO_NOT_AVAILABLE);
    CL_OK(clSetUserEventStatus(user, CL_COMPLETE));
    CL_OK(clReleaseEvent(user));
    CL_OK(clReleaseEvent(event));
    CL_OK(clReleaseMemObject(buffer));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    CL_OK(clReleaseCommandQueue(t.queue));
    t.queue = clt_queue(&t, CL_QUEUE_PROFILING_ENABLE);
    each_command(&t);
    if (clt_validates(&t))
        refuse_bad_questions(&t);
    clt_close(&t);
    return clt_done();
}
