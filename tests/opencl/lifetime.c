/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects released in unusual orders while others still depend on them: each keeps what it needs
 * alive, and reference counts say so.
 */
#include "cltest.h"

#define WORDS 1024
#define SIZE  (WORDS * sizeof(cl_uint))

static const char source[] = "kernel void add(global uint *data, uint amount)\n"
                             "{\n"
                             "    data[get_global_id(0)] += amount;\n"
                             "}\n";

/* The context goes first, everything else after. */
static void release_the_context_first(void)
{
    struct clt t;
    cl_uint *words = clt_alloc(SIZE);
    cl_uint amount = 5;
    cl_context context = NULL;

    clt_open(&t);
    cl_mem buffer = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, SIZE, words);
    cl_kernel kernel = clt_build_kernel(&t, source, "add");
    CL_OK(clReleaseContext(t.context));
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    clt_run(&t, kernel, WORDS, 0);
    clt_read(&t, buffer, 0, SIZE, words);
    printf("without the context: %u %u\n", words[0], words[WORDS - 1]);
    CHECK(words[0] == 5 && words[WORDS - 1] == 5);
    CL_OK(clGetCommandQueueInfo(t.queue, CL_QUEUE_CONTEXT, sizeof(context), &context, NULL));
    CHECK(context == t.context);
    CL_OK(clReleaseKernel(kernel));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseCommandQueue(t.queue));
    free(words);
}

/* A launch keeps its kernel and its buffers until it has run. */
static void release_what_a_launch_needs(void)
{
    struct clt t;
    cl_uint *words = clt_alloc(SIZE);
    cl_uint amount = 7;
    size_t global = WORDS;
    cl_event gate;
    cl_event copied;
    cl_int err;

    clt_open(&t);
    cl_mem buffer = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, SIZE, words);
    cl_mem result = clt_buffer(&t, 0, SIZE, NULL);
    cl_kernel kernel = clt_build_kernel(&t, source, "add");
    gate = clCreateUserEvent(t.context, &err);
    CL_OK(err);
    clt_set_buffers(kernel, 1, &buffer);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(amount), &amount));
    CL_OK(clEnqueueNDRangeKernel(t.queue, kernel, 1, NULL, &global, NULL, 1, &gate, NULL));
    CL_OK(clEnqueueCopyBuffer(t.queue, buffer, result, 0, 0, SIZE, 0, NULL, &copied));
    CL_OK(clReleaseKernel(kernel));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clSetUserEventStatus(gate, CL_COMPLETE));
    CL_OK(clWaitForEvents(1, &copied));
    clt_read(&t, result, 0, SIZE, words);
    printf("released before it ran: %u %u\n", words[0], words[WORDS - 1]);
    CHECK(words[0] == 7 && words[WORDS - 1] == 7);
    CL_OK(clReleaseEvent(gate));
    CL_OK(clReleaseEvent(copied));
    CL_OK(clReleaseMemObject(result));
    clt_close(&t);
    free(words);
}

/* The same memory, freed and created again: nothing of the old contents' owner may linger. */
static void reuse(void)
{
    struct clt t;

    clt_open(&t);
    for (cl_uint i = 0; i < 200; i++) {
        cl_uint got = 0;
        cl_mem buffer = clt_buffer(&t, CL_MEM_COPY_HOST_PTR, sizeof(i), &i);
        clt_read(&t, buffer, 0, sizeof(got), &got);
        CHECK(got == i);
        CL_OK(clReleaseMemObject(buffer));
    }
    printf("buffers made and released\n");
    clt_close(&t);
}

/* Contexts made and released many times in one process. */
static void open_and_close(void)
{
    for (cl_uint i = 0; i < 20; i++) {
        struct clt t;
        cl_uint got = 0;
        clt_open(&t);
        cl_mem buffer = clt_buffer(&t, 0, SIZE, NULL);
        CL_OK(clEnqueueFillBuffer(t.queue, buffer, &i, 4, 0, SIZE, 0, NULL, NULL));
        clt_read(&t, buffer, SIZE - 4, 4, &got);
        CHECK(got == i);
        CL_OK(clReleaseMemObject(buffer));
        clt_close(&t);
    }
    printf("contexts opened and closed\n");
}

static cl_uint context_references(cl_context context)
{
    cl_uint count = 0;

    CL_OK(clGetContextInfo(context, CL_CONTEXT_REFERENCE_COUNT, sizeof(count), &count, NULL));
    return count;
}

/* How much an object adds to its context's count is the implementation's, that it gives back. */
static void count_references(void)
{
    struct clt t;

    clt_open(&t);
    cl_uint before = context_references(t.context);
    cl_mem buffer = clt_buffer(&t, 0, SIZE, NULL);
    cl_command_queue queue = clt_queue(&t, 0);
    cl_program program = clt_build(&t, source, NULL);
    CL_OK(clReleaseProgram(program));
    CL_OK(clReleaseCommandQueue(queue));
    CL_OK(clReleaseMemObject(buffer));
    cl_uint after = context_references(t.context);
    printf("as many context references as before: %d\n", before == after);
    CHECK(before == after);
    clt_close(&t);
}

int main(void)
{
    release_the_context_first();
    release_what_a_launch_needs();
    reuse();
    open_and_close();
    count_references();
    return clt_done();
}
