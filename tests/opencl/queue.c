/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command queues: each kind of properties by both ways of creation, info, reference counts, flush
 * and finish, release with work in flight, and errors.
 */
#include "cltest.h"

static void show_queue(const struct clt *t, const char *what, cl_command_queue queue)
{
    cl_context context = NULL;
    cl_device_id device = NULL;
    cl_uint references = 0;
    cl_command_queue_properties properties = 99;

    CL_OK(clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(context), &context, NULL));
    CL_OK(clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(device), &device, NULL));
    CL_OK(clGetCommandQueueInfo(queue, CL_QUEUE_REFERENCE_COUNT, sizeof(references), &references,
                                NULL));
    CL_OK(clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof(properties), &properties, NULL));
    CHECK(context == t->context && device == t->device);
    printf("%s: references %u properties %#llx\n", what, references,
           (unsigned long long)properties);
}

static void create_each_kind(const struct clt *t)
{
    static const cl_command_queue_properties kinds[] = {
        0,
        CL_QUEUE_PROFILING_ENABLE,
        CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE,
        CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE,
    };
    cl_int err;

    for (size_t i = 0; i < CLT_COUNT(kinds); i++) {
        cl_command_queue queue = clt_queue(t, kinds[i]);
        show_queue(t, "plain", queue);
        CL_OK(clReleaseCommandQueue(queue));
        if (t->version < 200)
            continue;
        const cl_queue_properties properties[] = {CL_QUEUE_PROPERTIES, kinds[i], 0};
        queue = clCreateCommandQueueWithProperties(t->context, t->device, properties, &err);
        CL_OK(err);
        show_queue(t, "with properties", queue);
        if (t->version >= 300) {
            cl_queue_properties got[8] = {0};
            size_t size = 0;
            CL_OK(clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES_ARRAY, sizeof(got), got, &size));
            printf("  array of %zu bytes: %llu %llu %llu\n", size, (unsigned long long)got[0],
                   (unsigned long long)got[1], (unsigned long long)got[2]);
        }
        CL_OK(clReleaseCommandQueue(queue));
    }
    if (t->version < 200)
        return;
    cl_command_queue queue = clCreateCommandQueueWithProperties(t->context, t->device, NULL, &err);
    CL_OK(err);
    show_queue(t, "NULL properties", queue);
    CL_OK(clReleaseCommandQueue(queue));
}

static void count_references(const struct clt *t)
{
    cl_command_queue queue = clt_queue(t, 0);

    CL_OK(clRetainCommandQueue(queue));
    show_queue(t, "retained", queue);
    CL_OK(clReleaseCommandQueue(queue));
    show_queue(t, "released once", queue);
    CL_OK(clFlush(queue));
    CL_OK(clFinish(queue));
    CL_OK(clReleaseCommandQueue(queue));
}

/* Work in flight survives the release of its queue. */
static void release_with_work_in_flight(const struct clt *t)
{
    enum { SIZE = 100000 };
    unsigned char *host = clt_alloc(SIZE);
    unsigned char *got = clt_alloc(SIZE);
    cl_command_queue queue = clt_queue(t, 0);
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_event event;

    clt_fill_random(host, SIZE, 1);
    CL_OK(clEnqueueWriteBuffer(queue, buffer, CL_FALSE, 0, SIZE, host, 0, NULL, NULL));
    CL_OK(clEnqueueReadBuffer(queue, buffer, CL_FALSE, 0, SIZE, got, 0, NULL, &event));
    CL_OK(clReleaseCommandQueue(queue));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clWaitForEvents(1, &event));
    clt_same("after the release", got, host, SIZE);
    clt_show_hash("after the release", got, SIZE);
    CL_OK(clReleaseEvent(event));
    free(host);
    free(got);
}

static void many_queues(const struct clt *t)
{
    enum { QUEUES = 50 };
    cl_command_queue queues[QUEUES];
    cl_mem buffer = clt_buffer(t, 0, QUEUES * 4, NULL);
    cl_uint got[QUEUES];

    for (cl_uint i = 0; i < QUEUES; i++) {
        queues[i] = clt_queue(t, i % 2 == 0 ? 0 : CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
        CL_OK(clEnqueueFillBuffer(queues[i], buffer, &i, 4, i * 4, 4, 0, NULL, NULL));
    }
    for (cl_uint i = 0; i < QUEUES; i++) {
        CL_OK(clFinish(queues[i]));
        CL_OK(clReleaseCommandQueue(queues[i]));
    }
    clt_read(t, buffer, 0, sizeof(got), got);
    for (cl_uint i = 0; i < QUEUES; i++)
        CHECK(got[i] == i);
    printf("%d queues\n", QUEUES);
    CL_OK(clReleaseMemObject(buffer));
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_command_queue queue = t->queue;
    char small[2];
    size_t size = 0;
    cl_int err;

    EXPECT_NO_OBJECT(clCreateCommandQueue(NULL, t->device, 0, &err), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateCommandQueue(t->context, NULL, 0, &err), CL_INVALID_DEVICE);
    EXPECT_NO_OBJECT(clCreateCommandQueue(t->context, t->device, 1u << 20, &err), CL_INVALID_VALUE);
    EXPECT(clGetCommandQueueInfo(NULL, CL_QUEUE_CONTEXT, 0, NULL, &size), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, 2, small, NULL), CL_INVALID_VALUE);
    EXPECT(clGetCommandQueueInfo(queue, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    EXPECT(clFlush(NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clFinish(NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clRetainCommandQueue(NULL), CL_INVALID_COMMAND_QUEUE);
    EXPECT(clReleaseCommandQueue(NULL), CL_INVALID_COMMAND_QUEUE);
    /* No clSetCommandQueueProperty: some implementations crash there. */
    if (t->version >= 200) {
        const cl_queue_properties bad[] = {0x7777, 1, 0};
        EXPECT_NO_OBJECT(clCreateCommandQueueWithProperties(t->context, t->device, bad, &err),
                         CL_INVALID_VALUE);
        EXPECT_NO_OBJECT(clCreateCommandQueueWithProperties(NULL, t->device, NULL, &err),
                         CL_INVALID_CONTEXT);
    }
    if (t->version >= 210)
        SHOW(clSetDefaultDeviceCommandQueue(t->context, t->device, queue));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    create_each_kind(&t);
    count_references(&t);
    release_with_work_in_flight(&t);
    many_queues(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
