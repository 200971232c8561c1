/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps that do not block: with events, behind user events, many in flight, and unmaps as
 * dependencies of kernels in an out-of-order queue.
 */
#include "cltest.h"

#define WORDS 1024
#define SIZE  (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

static cl_int status_of(cl_event event)
{
    cl_int status = 99;

    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL));
    return status;
}

static cl_command_type type_of(cl_event event)
{
    cl_command_type type = 0;

    CL_OK(clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
    return type;
}

/* The pointer comes at once; the contents are there when the event is complete. */
static void map_behind_a_gate(const struct clt *t, cl_kernel kernel)
{
    cl_uint *host = clt_alloc(SIZE);
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, host);
    cl_uint amount = 5;
    size_t global = WORDS;
    cl_int err;
    cl_event gate = clCreateUserEvent(t->context, &err);
    cl_event mapped = NULL;
    cl_event unmapped = NULL;

    CL_OK(err);
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &global, NULL, 1, &gate, NULL));
    cl_uint *words = clEnqueueMapBuffer(t->queue, buffer, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                        SIZE, 0, NULL, &mapped, &err);
    CL_OK(err);
    CHECK(words != NULL);
    CHECK(status_of(mapped) > CL_COMPLETE);
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clWaitForEvents(1, &mapped));
    printf("%s is %s\n", clt_command_name(type_of(mapped)), clt_status_name(status_of(mapped)));
    for (size_t i = 0; i < WORDS; i++) {
        if (!CHECK(words[i] == 5))
            break;
        words[i] = (cl_uint)(10 * i);
    }
    CL_OK(clEnqueueUnmapMemObject(t->queue, buffer, words, 0, NULL, &unmapped));
    CL_OK(clWaitForEvents(1, &unmapped));
    printf("%s is %s\n", clt_command_name(type_of(unmapped)), clt_status_name(status_of(unmapped)));
    clt_run(t, kernel, WORDS, 0);
    clt_read(t, buffer, 0, SIZE, host);
    for (size_t i = 0; i < WORDS; i++) {
        if (!CHECK(host[i] == 10 * i + 5))
            break;
    }
    clt_show_hash("after the unmap", host, SIZE);
    CL_OK(clReleaseEvent(gate));
    CL_OK(clReleaseEvent(mapped));
    CL_OK(clReleaseEvent(unmapped));
    CL_OK(clReleaseMemObject(buffer));
    free(host);
}

static void many_in_flight(const struct clt *t)
{
    enum { MAPS = 64 };
    unsigned char *host = clt_alloc(MAPS * SIZE);
    cl_mem buffers[MAPS];
    unsigned char *maps[MAPS];
    cl_event events[MAPS];
    cl_int err;

    clt_fill_random(host, MAPS * SIZE, 1);
    for (size_t i = 0; i < MAPS; i++) {
        buffers[i] = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, host + i * SIZE);
        maps[i] = clEnqueueMapBuffer(t->queue, buffers[i], CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                     SIZE, 0, NULL, &events[i], &err);
        CL_OK(err);
    }
    CL_OK(clWaitForEvents(MAPS, events));
    for (size_t i = 0; i < MAPS; i++) {
        clt_same("one of many", maps[i], host + i * SIZE, SIZE);
        memset(maps[i], (int)i, SIZE);
        CL_OK(clEnqueueUnmapMemObject(t->queue, buffers[i], maps[i], 0, NULL, NULL));
        CL_OK(clReleaseEvent(events[i]));
    }
    for (size_t i = 0; i < MAPS; i++) {
        unsigned char got[SIZE];
        clt_read(t, buffers[i], 0, SIZE, got);
        memset(host, (int)i, SIZE);
        clt_same("written through a map", got, host, SIZE);
        CL_OK(clReleaseMemObject(buffers[i]));
    }
    printf("%d maps in flight\n", MAPS);
    free(host);
}

/* A chain held together by events alone. */
static void chain_out_of_order(const struct clt *t, cl_kernel kernel)
{
    enum { ROUNDS = 20 };
    cl_command_queue queue = clt_queue(t, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    cl_uint *zeros = clt_alloc(SIZE);
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, zeros);
    cl_uint amount = 3;
    size_t global = WORDS;
    cl_event last = NULL;
    cl_int err;

    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    for (cl_uint round = 0; round < ROUNDS; round++) {
        cl_event ran = NULL;
        cl_event mapped = NULL;
        CL_OK(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, NULL, last == NULL ? 0 : 1,
                                     last == NULL ? NULL : &last, &ran));
        cl_uint *words = clEnqueueMapBuffer(queue, buffer, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                            SIZE, 1, &ran, &mapped, &err);
        CL_OK(err);
        CL_OK(clWaitForEvents(1, &mapped));
        CHECK(words[round] == 4 * round + 3);
        for (size_t i = 0; i < WORDS; i++)
            words[i] += 1;
        if (last != NULL)
            CL_OK(clReleaseEvent(last));
        CL_OK(clEnqueueUnmapMemObject(queue, buffer, words, 0, NULL, &last));
        CL_OK(clReleaseEvent(ran));
        CL_OK(clReleaseEvent(mapped));
    }
    CL_OK(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, SIZE, zeros, 1, &last, NULL));
    printf("after %d rounds: %u %u\n", ROUNDS, zeros[0], zeros[WORDS - 1]);
    CHECK(zeros[0] == 4 * ROUNDS && zeros[WORDS - 1] == 4 * ROUNDS);
    CL_OK(clReleaseEvent(last));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseCommandQueue(queue));
    free(zeros);
}

/* A blocking call later in an in-order queue implies the map before it. */
static void implied_by_a_later_command(const struct clt *t, cl_kernel kernel)
{
    cl_uint *host = clt_alloc(SIZE);
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, SIZE, host);
    cl_mem other = clt_buffer(t, 0, SIZE, NULL);
    cl_uint amount = 9;
    cl_int err;

    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    clt_run(t, kernel, WORDS, 0);
    const cl_uint *words =
        clEnqueueMapBuffer(t->queue, buffer, CL_FALSE, CL_MAP_READ, 0, SIZE, 0, NULL, NULL, &err);
    CL_OK(err);
    clt_write(t, other, 0, SIZE, host);
    printf("mapped word %u\n", words[WORDS / 2]);
    CHECK(words[0] == 9 && words[WORDS - 1] == 9);
    CL_OK(clEnqueueUnmapMemObject(t->queue, buffer, (void *)(uintptr_t)words, 0, NULL, NULL));
    CL_OK(clFinish(t->queue));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseMemObject(other));
    free(host);
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_kernel kernel = clt_build_kernel(&t, source, "add");
    map_behind_a_gate(&t, kernel);
    many_in_flight(&t);
    chain_out_of_order(&t, kernel);
    implied_by_a_later_command(&t, kernel);
    CL_OK(clReleaseKernel(kernel));
    clt_close(&t);
    return clt_done();
}
