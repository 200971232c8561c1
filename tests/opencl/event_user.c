/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User events: gates for commands of every kind, one gate for many commands, many gates for one,
 * failure statuses which end the commands behind them, and errors.
 */
#include "cltest.h"

#define WORDS 512
#define SIZE  (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

static cl_event make_gate(const struct clt *t)
{
    cl_int err;
    cl_event gate = clCreateUserEvent(t->context, &err);

    CL_OK(err);
    return gate;
}

static cl_int status_of(cl_event event)
{
    cl_int status = 99;

    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL));
    return status;
}

static void show_user_event(const struct clt *t)
{
    cl_event gate = make_gate(t);
    cl_command_type type = 0;
    cl_command_queue queue = t->queue;
    cl_uint references = 0;

    CL_OK(clGetEventInfo(gate, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
    CL_OK(clGetEventInfo(gate, CL_EVENT_COMMAND_QUEUE, sizeof(queue), &queue, NULL));
    CL_OK(clGetEventInfo(gate, CL_EVENT_REFERENCE_COUNT, sizeof(references), &references, NULL));
    CHECK(queue == NULL);
    printf("%s %s references %u\n", clt_command_name(type), clt_status_name(status_of(gate)),
           references);
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clWaitForEvents(1, &gate));
    printf("then %s\n", clt_status_name(status_of(gate)));
    EXPECT(clSetUserEventStatus(gate, CL_COMPLETE), CL_INVALID_OPERATION);
    CL_OK(clReleaseEvent(gate));
}

/* The whole pipeline waits behind one gate; nothing of it may have happened before. */
static void hold_a_pipeline(const struct clt *t, cl_kernel kernel)
{
    cl_uint host[WORDS];
    cl_uint got[WORDS];
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_uint amount = 1;
    size_t global = WORDS;
    cl_event gate = make_gate(t);
    cl_event done;

    for (cl_uint i = 0; i < WORDS; i++)
        host[i] = i;
    memset(got, 0xff, sizeof(got));
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    CL_OK(clEnqueueWriteBuffer(t->queue, buffer, CL_FALSE, 0, SIZE, host, 1, &gate, NULL));
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &global, NULL, 0, NULL, NULL));
    /* The argument's value belongs to the launch above, not to the next one. */
    amount = 100;
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &global, NULL, 0, NULL, NULL));
    amount = 7777;
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    CL_OK(clEnqueueReadBuffer(t->queue, buffer, CL_FALSE, 0, SIZE, got, 0, NULL, &done));
    CL_OK(clFlush(t->queue));
    CHECK(status_of(done) > CL_COMPLETE);
    CHECK(got[0] == 0xffffffff);
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clWaitForEvents(1, &done));
    printf("pipeline: %u %u\n", got[0], got[WORDS - 1]);
    CHECK(got[0] == 101 && got[WORDS - 1] == WORDS - 1 + 101);
    CL_OK(clReleaseEvent(gate));
    CL_OK(clReleaseEvent(done));
    CL_OK(clReleaseMemObject(buffer));
}

static void open_many_gates(const struct clt *t)
{
    enum { GATES = 10 };
    cl_event gates[GATES];
    cl_event marker;

    for (size_t i = 0; i < GATES; i++)
        gates[i] = make_gate(t);
    CL_OK(clEnqueueMarkerWithWaitList(t->queue, GATES, gates, &marker));
    for (size_t i = GATES; i-- > 0;) {
        CHECK(status_of(marker) > CL_COMPLETE);
        CL_OK(clSetUserEventStatus(gates[i], CL_COMPLETE));
    }
    CL_OK(clWaitForEvents(1, &marker));
    CL_OK(clWaitForEvents(GATES, gates));
    printf("%d gates opened\n", GATES);
    for (size_t i = 0; i < GATES; i++)
        CL_OK(clReleaseEvent(gates[i]));
    CL_OK(clReleaseEvent(marker));
}

/* The program may release a gate which commands still wait for only after opening it. */
static void release_an_open_gate_early(const struct clt *t)
{
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_event gate = make_gate(t);
    cl_uint seven = 7;
    cl_uint got = 0;

    CL_OK(clEnqueueFillBuffer(t->queue, buffer, &seven, 4, 0, SIZE, 1, &gate, NULL));
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clReleaseEvent(gate));
    clt_read(t, buffer, 0, sizeof(got), &got);
    printf("after an early release: %u\n", got);
    CHECK(got == 7);
    CL_OK(clReleaseMemObject(buffer));
}

/* A negative status ends the commands behind the gate: they never run. */
static void fail_what_waits(const struct clt *t)
{
    cl_command_queue queue = clt_queue(t, 0);
    cl_mem buffer = clt_buffer(t, 0, SIZE, NULL);
    cl_event gate = make_gate(t);
    cl_event filled;
    cl_uint one = 1;
    cl_uint two = 2;
    cl_uint got = 0;

    CL_OK(clEnqueueFillBuffer(t->queue, buffer, &one, 4, 0, SIZE, 0, NULL, NULL));
    CL_OK(clFinish(t->queue));
    CL_OK(clEnqueueFillBuffer(queue, buffer, &two, 4, 0, SIZE, 1, &gate, &filled));
    CL_OK(clFlush(queue));
    CL_OK(clSetUserEventStatus(gate, -7));
    EXPECT(clWaitForEvents(1, &filled), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    EXPECT(clWaitForEvents(1, &gate), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    CHECK(status_of(gate) == -7);
    cl_int status = status_of(filled);
    CHECK(status < 0);
    printf("the command behind it: %d\n", status);
    clt_read(t, buffer, 0, sizeof(got), &got);
    printf("the buffer still has %u\n", got);
    CHECK(got == 1);
    CL_OK(clReleaseEvent(gate));
    CL_OK(clReleaseEvent(filled));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseCommandQueue(queue));
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_event gate = make_gate(t);
    cl_int err;

    EXPECT_NO_OBJECT(clCreateUserEvent(NULL, &err), CL_INVALID_CONTEXT);
    EXPECT(clSetUserEventStatus(NULL, CL_COMPLETE), CL_INVALID_EVENT);
    EXPECT(clSetUserEventStatus(gate, CL_RUNNING), CL_INVALID_VALUE);
    EXPECT(clSetUserEventStatus(gate, CL_QUEUED), CL_INVALID_VALUE);
    printf("still %s\n", clt_status_name(status_of(gate)));
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    EXPECT(clSetUserEventStatus(gate, -1), CL_INVALID_OPERATION);
    CL_OK(clReleaseEvent(gate));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    /* Some older implementations carry out commands inside clFlush, which then waits for gates. */
    clt_need_version(&t, 200);
    cl_kernel kernel = clt_build_kernel(&t, source, "add");
    show_user_event(&t);
    hold_a_pipeline(&t, kernel);
    open_many_gates(&t);
    release_an_open_gate_early(&t);
    fail_what_waits(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
    return clt_done();
}
