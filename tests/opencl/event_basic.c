/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: info of every command's event, wait lists, markers, barriers, reads that must be there
 * when their event is, lifetime, and errors.
 */
#include "cltest.h"

#define WORDS 4096
#define SIZE  (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

static void show_event(const struct clt *t, cl_event event)
{
    cl_command_queue queue = NULL;
    cl_context context = NULL;
    cl_command_type type = 0;
    cl_int status = 99;
    cl_uint references = 0;

    CL_OK(clWaitForEvents(1, &event));
    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_QUEUE, sizeof(queue), &queue, NULL));
    CL_OK(clGetEventInfo(event, CL_EVENT_CONTEXT, sizeof(context), &context, NULL));
    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL));
    CL_OK(clGetEventInfo(event, CL_EVENT_REFERENCE_COUNT, sizeof(references), &references, NULL));
    CHECK(queue == t->queue);
    CHECK(context == t->context);
    /* How many references the implementation itself holds is its own affair. */
    CHECK(references >= 1);
    printf("%s %s\n", clt_command_name(type), clt_status_name(status));
    CL_OK(clReleaseEvent(event));
}

static void each_command_has_an_event(const struct clt *t, cl_kernel kernel)
{
    static cl_uint host[WORDS];
    const size_t origin[3] = {0, 0, 0};
    const size_t region[3] = {64, 4, 1};
    cl_command_queue queue = t->queue;
    cl_mem a = clt_buffer(t, 0, SIZE, NULL);
    cl_mem b = clt_buffer(t, 0, SIZE, NULL);
    cl_uint one = 1;
    size_t global = WORDS;
    cl_event event;
    cl_int err;

    CL_OK(clEnqueueWriteBuffer(queue, a, CL_FALSE, 0, SIZE, host, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueReadBuffer(queue, a, CL_TRUE, 0, SIZE, host, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueCopyBuffer(queue, a, b, 0, 0, SIZE, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueFillBuffer(queue, b, &one, 4, 0, SIZE, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueWriteBufferRect(queue, a, CL_TRUE, origin, origin, region, 0, 0, 0, 0, host, 0,
                                   NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueReadBufferRect(queue, a, CL_FALSE, origin, origin, region, 0, 0, 0, 0, host, 0,
                                  NULL, &event));
    show_event(t, event);
    CL_OK(
        clEnqueueCopyBufferRect(queue, a, b, origin, origin, region, 0, 0, 0, 0, 0, NULL, &event));
    show_event(t, event);
    clt_set_buffers(kernel, 1, &a);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(one), &one));
    CL_OK(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, NULL, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueTask(queue, kernel, 0, NULL, &event));
    show_event(t, event);
    void *p = clEnqueueMapBuffer(queue, a, CL_TRUE, CL_MAP_READ, 0, SIZE, 0, NULL, &event, &err);
    CL_OK(err);
    show_event(t, event);
    CL_OK(clEnqueueUnmapMemObject(queue, a, p, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueMigrateMemObjects(queue, 1, &a, 0, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueMarkerWithWaitList(queue, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueBarrierWithWaitList(queue, 0, NULL, &event));
    show_event(t, event);
    CL_OK(clEnqueueMarker(queue, &event));
    show_event(t, event);
    CL_OK(clEnqueueBarrier(queue));
    CL_OK(clReleaseMemObject(a));
    CL_OK(clReleaseMemObject(b));
}

/*
 * Whatever tells the program that a read is complete, the data must be there by then: the wait, the
 * status, the finish, a wait for a later command.
 */
static void data_is_there_with_the_event(const struct clt *t, cl_kernel kernel)
{
    static cl_uint got[4][WORDS];
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_uint zero = 0;
    cl_uint one = 1;
    cl_event events[2];

    CL_OK(clEnqueueFillBuffer(t->queue, buffer, &zero, 4, 0, SIZE, 0, NULL, NULL));
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(one), &one));
    for (cl_uint round = 1; round <= 100; round++) {
        cl_uint *to = got[round % 4];
        clt_run(t, kernel, WORDS, 0);
        CL_OK(clEnqueueReadBuffer(t->queue, buffer, CL_FALSE, 0, SIZE, to, 0, NULL, &events[0]));
        CL_OK(clEnqueueMarkerWithWaitList(t->queue, 0, NULL, &events[1]));
        cl_int status = CL_QUEUED;
        switch (round % 4) {
        case 0:
            CL_OK(clWaitForEvents(1, &events[0]));
            break;
        case 1:
            CL_OK(clFlush(t->queue));
            while (status != CL_COMPLETE)
                CL_OK(clGetEventInfo(events[0], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
                                     &status, NULL));
            break;
        case 2:
            CL_OK(clFinish(t->queue));
            break;
        default:
            CL_OK(clWaitForEvents(1, &events[1]));
            break;
        }
        CHECK(to[0] == round && to[WORDS / 2] == round && to[WORDS - 1] == round);
        CL_OK(clReleaseEvent(events[0]));
        CL_OK(clReleaseEvent(events[1]));
    }
    CL_OK(clFinish(t->queue));
    printf("last rounds: %u %u %u %u\n", got[1][0], got[2][0], got[3][0], got[0][0]);
    CL_OK(clReleaseMemObject(buffer));
}

/* Two in-order queues which take turns on one buffer. */
static void depend_across_queues(const struct clt *t, cl_kernel kernel)
{
    cl_command_queue queues[2] = {t->queue, clt_queue(t, 0)};
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_uint *got = clt_alloc(SIZE);
    cl_uint zero = 0;
    cl_uint one = 1;
    size_t global = WORDS;
    cl_event last;

    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(one), &one));
    CL_OK(clEnqueueFillBuffer(queues[0], buffer, &zero, 4, 0, SIZE, 0, NULL, &last));
    for (unsigned i = 1; i <= 200; i++) {
        cl_event next;
        CL_OK(
            clEnqueueNDRangeKernel(queues[i % 2], kernel, 1, NULL, &global, NULL, 1, &last, &next));
        CL_OK(clFlush(queues[i % 2]));
        CL_OK(clReleaseEvent(last));
        last = next;
    }
    CL_OK(clEnqueueReadBuffer(queues[1], buffer, CL_TRUE, 0, SIZE, got, 1, &last, NULL));
    printf("across queues: %u %u\n", got[0], got[WORDS - 1]);
    CHECK(got[0] == 200 && got[WORDS - 1] == 200);
    CL_OK(clReleaseEvent(last));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseCommandQueue(queues[1]));
    free(got);
}

/* An event may outlive its command, its queue, and the program's interest in both. */
static void outlive_the_queue(const struct clt *t)
{
    cl_command_queue queue = clt_queue(t, 0);
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_uint zero = 0;
    cl_event event;
    cl_int status = 99;

    CL_OK(clEnqueueFillBuffer(queue, buffer, &zero, 4, 0, SIZE, 0, NULL, &event));
    CL_OK(clRetainEvent(event));
    CL_OK(clFinish(queue));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseCommandQueue(queue));
    CL_OK(clReleaseEvent(event));
    CL_OK(clWaitForEvents(1, &event));
    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL));
    printf("event of a released queue: %s\n", clt_status_name(status));
    CL_OK(clReleaseEvent(event));
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_command_queue queue = t->queue;
    cl_event event;
    cl_event none = NULL;
    cl_int status = 0;
    char small;
    size_t size = 0;

    EXPECT(clWaitForEvents(0, NULL), CL_INVALID_VALUE);
    EXPECT(clWaitForEvents(1, NULL), CL_INVALID_VALUE);
    EXPECT(clWaitForEvents(1, &none), CL_INVALID_EVENT);
    EXPECT(clEnqueueMarkerWithWaitList(queue, 1, NULL, NULL), CL_INVALID_EVENT_WAIT_LIST);
    EXPECT(clEnqueueMarkerWithWaitList(queue, 1, &none, NULL), CL_INVALID_EVENT_WAIT_LIST);
    EXPECT(clEnqueueBarrierWithWaitList(queue, 1, NULL, NULL), CL_INVALID_EVENT_WAIT_LIST);
    CL_OK(clEnqueueMarkerWithWaitList(queue, 0, NULL, &event));
    EXPECT(clEnqueueMarkerWithWaitList(queue, 0, &event, NULL), CL_INVALID_EVENT_WAIT_LIST);
    EXPECT(clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, 1, &small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetEventInfo(event, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    EXPECT(clGetEventInfo(event, CL_EVENT_CONTEXT, 0, NULL, &size), CL_SUCCESS);
    printf("context takes %zu bytes\n", size);
    EXPECT(clSetUserEventStatus(event, CL_COMPLETE), CL_INVALID_EVENT);
    EXPECT(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(status), &status, NULL),
           CL_PROFILING_INFO_NOT_AVAILABLE);
    EXPECT(clSetEventCallback(event, CL_COMPLETE, NULL, NULL), CL_INVALID_VALUE);
    CL_OK(clFinish(queue));
    CL_OK(clReleaseEvent(event));
}

/* Commands may not mix contexts. */
static void refuse_another_context(const struct clt *t)
{
    cl_int err;
    cl_context context = clCreateContext(NULL, 1, &t->device, NULL, NULL, &err);

    CL_OK(err);
    cl_event stranger = clCreateUserEvent(context, &err);
    CL_OK(err);
    EXPECT(clEnqueueMarkerWithWaitList(t->queue, 1, &stranger, NULL), CL_INVALID_CONTEXT);
    CL_OK(clSetUserEventStatus(stranger, CL_COMPLETE));
    CL_OK(clReleaseEvent(stranger));
    CL_OK(clReleaseContext(context));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_kernel kernel = clt_build_kernel(&t, source, "add");
    each_command_has_an_event(&t, kernel);
    data_is_there_with_the_event(&t, kernel);
    depend_across_queues(&t, kernel);
    outlive_the_queue(&t);
    if (clt_validates(&t)) {
        refuse_bad_arguments(&t);
        refuse_another_context(&t);
    }
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
    return clt_done();
}
