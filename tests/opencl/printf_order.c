/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel printf: every conversion, vectors, strings, long lines, many lines, several launches, and
 * the order against what the program itself prints. One work-item prints at a time.
 */
#include "cltest.h"

static const char source[] =
    "kernel void hello(int n) { printf(\"hello from launch %d\\n\", n); }\n"
    "kernel void conversions(void)\n"
    "{\n"
    "    printf(\"%d %i %5d|%-5d|%05d %+d\\n\", 42, -42, 7, 7, 7, 7);\n"
    "    printf(\"%u %x %X %#x %o\\n\", 3000000000u, 0xbeef, 0xbeef, 0xbeef, 8);\n"
    "    printf(\"%ld %lu %lx\\n\", -5000000000l, 18000000000000000000ul, 0x123456789abcl);\n"
    "    printf(\"%c%c%c %%\\n\", 'a', 'b', 'c');\n"
    "    printf(\"%f %.3f %8.2f|%e %g\\n\", 1.5f, 2.25f, 3.125f, 12345.678f, 0.0001f);\n"
    "    printf(\"[%s] [%10s] [%-10s]\\n\", \"text\", \"right\", \"left\");\n"
    "    printf(\"no arguments at all\\n\");\n"
    "}\n"
    "kernel void vectors(global int4 *v)\n"
    "{\n"
    "    printf(\"%v4hld|%v2hlx\\n\", v[0], (uint2)(0xab, 0xcd));\n"
    "    printf(\"%.2v2hlf\\n\", (float2)(1.25f, -2.5f));\n"
    "    printf(\"%v8hhd\\n\", (char8)(1, 2, 3, 4, 5, 6, 7, 8));\n"
    "}\n"
    "kernel void long_lines(void)\n"
    "{\n"
    "    for (int line = 0; line < 3; line++) {\n"
    "        for (int i = 0; i < 300; i++)\n"
    "            printf(\"%d,\", line * 1000 + i);\n"
    "        printf(\"\\n\");\n"
    "    }\n"
    "}\n"
    "kernel void many_lines(int from, int count)\n"
    "{\n"
    "    for (int i = 0; i < count; i++)\n"
    "        printf(\"line %d of many\\n\", from + i);\n"
    "}\n"
    "kernel void chosen(int who)\n"
    "{\n"
    "    if ((int)get_global_id(0) == who)\n"
    "        printf(\"item %d of %d speaks\\n\", who, (int)get_global_size(0));\n"
    "}\n";

static void launch(const struct clt *t, cl_kernel kernel, size_t global)
{
    size_t one = 1;

    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &global, &one, 0, NULL, NULL));
}

/* What the program prints after a finish comes after what kernels printed before it. */
static void alternate(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "hello");

    for (cl_int i = 0; i < 10; i++) {
        printf("before launch %d\n", i);
        CL_OK(clSetKernelArg(kernel, 0, sizeof(i), &i));
        launch(t, kernel, 1);
        CL_OK(clFinish(t->queue));
        printf("after launch %d\n", i);
    }
    CL_OK(clReleaseKernel(kernel));
}

/* The same with a wait for the event, and with a blocking read, instead of a finish. */
static void other_ways_to_wait(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "hello");
    cl_mem buffer = clt_buffer(t, 0, 4, NULL);
    cl_int n = 100;
    cl_uint word = 0;
    size_t one = 1;
    cl_event event;

    CL_OK(clSetKernelArg(kernel, 0, sizeof(n), &n));
    CL_OK(clEnqueueNDRangeKernel(t->queue, kernel, 1, NULL, &one, &one, 0, NULL, &event));
    CL_OK(clWaitForEvents(1, &event));
    printf("after the wait\n");
    n = 101;
    CL_OK(clSetKernelArg(kernel, 0, sizeof(n), &n));
    launch(t, kernel, 1);
    clt_write(t, buffer, 0, 4, &word);
    clt_read(t, buffer, 0, 4, &word);
    printf("after the blocking read\n");
    CL_OK(clReleaseEvent(event));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseKernel(kernel));
}

static void run_simple(const struct clt *t, cl_program program, const char *name)
{
    cl_kernel kernel = clt_kernel(program, name);

    launch(t, kernel, 1);
    CL_OK(clFinish(t->queue));
    printf("end of %s\n", name);
    CL_OK(clReleaseKernel(kernel));
}

static void print_vectors(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "vectors");
    cl_int4 v = {{1, -2, 3, -4}};
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(v), &v);

    clt_set_buffers(kernel, 1, &buffer);
    launch(t, kernel, 1);
    CL_OK(clFinish(t->queue));
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseKernel(kernel));
}

/* Launches follow each other without a wait; their lines come in order and none is lost. */
static void print_many(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "many_lines");
    cl_int count = 50;

    CL_OK(clSetKernelArg(kernel, 1, sizeof(count), &count));
    for (cl_int from = 0; from < 1000; from += count) {
        CL_OK(clSetKernelArg(kernel, 0, sizeof(from), &from));
        launch(t, kernel, 1);
    }
    CL_OK(clFinish(t->queue));
    printf("1000 lines\n");
    CL_OK(clReleaseKernel(kernel));
}

static void print_from_chosen_items(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "chosen");

    for (cl_int who = 15; who >= 0; who -= 3) {
        CL_OK(clSetKernelArg(kernel, 0, sizeof(who), &who));
        launch(t, kernel, 16);
    }
    CL_OK(clFinish(t->queue));
    CL_OK(clReleaseKernel(kernel));
}

/* The last launch's output must come even if the program only finishes and leaves. */
static void print_last(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "hello");
    cl_int n = 999;

    CL_OK(clSetKernelArg(kernel, 0, sizeof(n), &n));
    launch(t, kernel, 1);
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_program program = clt_build(&t, source, NULL);
    alternate(&t, program);
    other_ways_to_wait(&t, program);
    run_simple(&t, program, "conversions");
    print_vectors(&t, program);
    run_simple(&t, program, "long_lines");
    print_many(&t, program);
    print_from_chosen_items(&t, program);
    print_last(&t, program);
    CL_OK(clFinish(t.queue));
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
