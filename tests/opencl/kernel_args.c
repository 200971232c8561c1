/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel arguments of every kind: scalars of each width, vectors, structures by value, local and
 * constant memory, NULL buffers, and values that must be taken when they are set.
 */
#include "cltest.h"

static const char source[] =
    "typedef struct { char a; int b; short c; long d; float e[3]; char tail; } packet;\n"
    "kernel void scalars(global long *out, char c, uchar uc, short s, ushort us, int i, uint ui,\n"
    "                    long l, ulong ul, float f)\n"
    "{\n"
    "    out[0] = c; out[1] = uc; out[2] = s; out[3] = us; out[4] = i; out[5] = ui;\n"
    "    out[6] = l; out[7] = (long)ul; out[8] = (long)(f * 1000.0f);\n"
    "}\n"
    "kernel void vectors(global int *out, char4 c, int2 i2, int3 i3, float4 f, uchar16 u, long8 l)\n"
    "{\n"
    "    out[0] = c.x + c.y * 2 + c.z * 3 + c.w * 4;\n"
    "    out[1] = i2.x; out[2] = i2.y; out[3] = i3.x; out[4] = i3.y; out[5] = i3.z;\n"
    "    out[6] = (int)f.x; out[7] = (int)f.w; out[8] = u.s0; out[9] = u.sf;\n"
    "    out[10] = (int)l.s0; out[11] = (int)l.s7;\n"
    "}\n"
    "kernel void structure(global int *out, packet p, int after)\n"
    "{\n"
    "    out[0] = p.a; out[1] = p.b; out[2] = p.c; out[3] = (int)(p.d >> 32); out[4] = (int)p.d;\n"
    "    out[5] = (int)p.e[0]; out[6] = (int)p.e[2]; out[7] = p.tail; out[8] = after;\n"
    "}\n"
    "kernel void locals(global int *out, local int *a, int n, local int *b)\n"
    "{\n"
    "    size_t i = get_local_id(0);\n"
    "    a[i] = (int)i * n;\n"
    "    b[i] = (int)get_group_id(0);\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    size_t other = get_local_size(0) - 1 - i;\n"
    "    out[get_global_id(0)] = a[other] + 1000 * b[other];\n"
    "}\n"
    "kernel void constants(global int *out, constant int *table, int n)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    out[i] = table[i % n];\n"
    "}\n"
    "kernel void optional(global int *out, global int *extra)\n"
    "{\n"
    "    out[0] = extra == 0 ? -1 : extra[0];\n"
    "}\n"
    "kernel void add(global int *out, int x) { out[get_global_id(0)] += x; }\n"
    "kernel void none(void) {}\n";

struct packet {
    cl_char a;
    cl_int b;
    cl_short c;
    cl_long d;
    cl_float e[3];
    cl_char tail;
};

static void show_ints(const char *what, const cl_int *values, size_t count)
{
    printf("%s:", what);
    for (size_t i = 0; i < count; i++)
        printf(" %d", values[i]);
    printf("\n");
}

#define SET(kernel, index, value) CL_OK(clSetKernelArg((kernel), (index), sizeof(value), &(value)))

static void pass_scalars(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "scalars");
    cl_mem out = clt_buffer(t, 0, 9 * sizeof(cl_long), NULL);
    cl_char c = -100;
    cl_uchar uc = 200;
    cl_short s = -30000;
    cl_ushort us = 60000;
    cl_int i = -2000000000;
    cl_uint ui = 4000000000u;
    cl_long l = -5000000000000000000;
    cl_ulong ul = 10000000000000000000u;
    cl_float f = -2.5f;
    cl_long got[9];

    SET(kernel, 0, out);
    SET(kernel, 1, c);
    SET(kernel, 2, uc);
    SET(kernel, 3, s);
    SET(kernel, 4, us);
    SET(kernel, 5, i);
    SET(kernel, 6, ui);
    SET(kernel, 7, l);
    SET(kernel, 8, ul);
    SET(kernel, 9, f);
    clt_run(t, kernel, 1, 1);
    clt_read(t, out, 0, sizeof(got), got);
    const cl_long want[9] = {c, uc, s, us, i, ui, l, (cl_long)ul, -2500};
    clt_same("scalars", got, want, sizeof(want));
    printf("scalars:");
    for (size_t n = 0; n < 9; n++)
        printf(" %lld", (long long)got[n]);
    printf("\n");
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

static void pass_vectors(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "vectors");
    cl_mem out = clt_buffer(t, 0, 12 * sizeof(cl_int), NULL);
    cl_char4 c = {{1, 2, 3, 4}};
    cl_int2 i2 = {{-1, -2}};
    cl_int3 i3 = {{10, 20, 30, 0}};
    cl_float4 f = {{5.0f, 6.0f, 7.0f, 8.0f}};
    cl_uchar16 u = {{250, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}};
    cl_long8 l = {{-9, 1, 2, 3, 4, 5, 6, 77}};
    const cl_int want[12] = {30, -1, -2, 10, 20, 30, 5, 8, 250, 255, -9, 77};
    cl_int got[12];

    SET(kernel, 0, out);
    SET(kernel, 1, c);
    SET(kernel, 2, i2);
    SET(kernel, 3, i3);
    SET(kernel, 4, f);
    SET(kernel, 5, u);
    SET(kernel, 6, l);
    clt_run(t, kernel, 1, 1);
    clt_read(t, out, 0, sizeof(got), got);
    clt_same("vectors", got, want, sizeof(want));
    show_ints("vectors", got, 12);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

static void pass_a_structure(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "structure");
    cl_mem out = clt_buffer(t, 0, 9 * sizeof(cl_int), NULL);
    struct packet p = {-1, 222, -333, 0x4440000000555, {6.0f, 7.0f, 8.0f}, 99};
    cl_int after = 1234;
    const cl_int want[9] = {-1, 222, -333, 0x44400, 0x555, 6, 8, 99, 1234};
    cl_int got[9];

    SET(kernel, 0, out);
    SET(kernel, 1, p);
    SET(kernel, 2, after);
    clt_run(t, kernel, 1, 1);
    clt_read(t, out, 0, sizeof(got), got);
    clt_same("structure", got, want, sizeof(want));
    show_ints("structure", got, 9);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

static void pass_local_memory(const struct clt *t, cl_program program)
{
    enum { ITEMS = 64, GROUP = 16 };
    cl_kernel kernel = clt_kernel(program, "locals");
    cl_mem out = clt_buffer(t, 0, ITEMS * sizeof(cl_int), NULL);
    cl_int n = 3;
    cl_int got[ITEMS];

    SET(kernel, 0, out);
    CL_OK(clSetKernelArg(kernel, 1, GROUP * sizeof(cl_int), NULL));
    SET(kernel, 2, n);
    CL_OK(clSetKernelArg(kernel, 3, GROUP * sizeof(cl_int), NULL));
    clt_run(t, kernel, ITEMS, GROUP);
    clt_read(t, out, 0, sizeof(got), got);
    for (int i = 0; i < ITEMS; i++)
        CHECK(got[i] == (GROUP - 1 - i % GROUP) * 3 + i / GROUP * 1000);
    show_ints("local memory", got, 20);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

static void pass_constants(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "constants");
    cl_int table[5] = {11, 22, 33, 44, 55};
    cl_mem in = clt_buffer(t, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof(table), table);
    cl_mem out = clt_buffer(t, CL_MEM_WRITE_ONLY, 12 * sizeof(cl_int), NULL);
    cl_int n = 5;
    cl_int got[12];

    SET(kernel, 0, out);
    SET(kernel, 1, in);
    SET(kernel, 2, n);
    clt_run(t, kernel, 12, 0);
    clt_read(t, out, 0, sizeof(got), got);
    for (int i = 0; i < 12; i++)
        CHECK(got[i] == table[i % 5]);
    show_ints("constants", got, 12);
    CL_OK(clReleaseMemObject(in));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

/* A NULL buffer is a pointer to NULL, or NULL for the pointer itself. */
static void pass_null(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "optional");
    cl_int value = 17;
    cl_mem some = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(value), &value);
    cl_mem out = clt_buffer(t, 0, sizeof(cl_int), NULL);
    cl_mem none = NULL;
    cl_int got[3] = {0, 0, 0};

    SET(kernel, 0, out);
    SET(kernel, 1, none);
    clt_run(t, kernel, 1, 1);
    clt_read(t, out, 0, 4, &got[0]);
    SET(kernel, 1, some);
    clt_run(t, kernel, 1, 1);
    clt_read(t, out, 0, 4, &got[1]);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(cl_mem), NULL));
    clt_run(t, kernel, 1, 1);
    clt_read(t, out, 0, 4, &got[2]);
    show_ints("optional buffer", got, 3);
    CHECK(got[0] == -1 && got[1] == 17 && got[2] == -1);
    CL_OK(clReleaseMemObject(some));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

/* Values are taken by the call that sets them; each launch keeps those it was made with. */
static void keep_values_per_launch(const struct clt *t, cl_program program)
{
    enum { ITEMS = 32, BUFFERS = 4 };
    cl_kernel kernel = clt_kernel(program, "add");
    cl_mem buffers[BUFFERS];
    cl_int zero = 0;
    cl_int got[ITEMS];

    for (size_t i = 0; i < BUFFERS; i++) {
        buffers[i] = clt_buffer(t, 0, sizeof(got), NULL);
        CL_OK(clEnqueueFillBuffer(t->queue, buffers[i], &zero, 4, 0, sizeof(got), 0, NULL, NULL));
    }
    for (int round = 1; round <= 40; round++) {
        cl_int *value = clt_alloc(sizeof(*value));
        *value = round;
        SET(kernel, 0, buffers[round % BUFFERS]);
        CL_OK(clSetKernelArg(kernel, 1, sizeof(*value), value));
        *value = -1;
        free(value);
        clt_run(t, kernel, ITEMS, 0);
    }
    /* Only the buffer changes here; the last value stays. */
    SET(kernel, 0, buffers[0]);
    clt_run(t, kernel, ITEMS, 0);
    for (size_t i = 0; i < BUFFERS; i++) {
        cl_int want = i == 0 ? 40 : 0;
        for (int round = 1; round <= 40; round++)
            want += round % BUFFERS == (int)i ? round : 0;
        clt_read(t, buffers[i], 0, sizeof(got), got);
        printf("buffer %zu: %d\n", i, got[0]);
        CHECK(got[0] == want && got[ITEMS - 1] == want);
        CL_OK(clReleaseMemObject(buffers[i]));
    }
    CL_OK(clReleaseKernel(kernel));
}

static void pass_nothing(const struct clt *t, cl_program program)
{
    cl_kernel kernel = clt_kernel(program, "none");

    clt_run(t, kernel, 1, 0);
    CL_OK(clFinish(t->queue));
    CL_OK(clReleaseKernel(kernel));
}

static void refuse_bad_arguments(const struct clt *t, cl_program program)
{
    cl_kernel scalars = clt_kernel(program, "scalars");
    cl_kernel locals = clt_kernel(program, "locals");
    cl_mem out = clt_buffer(t, 0, 72, NULL);
    cl_long value = 0;
    size_t global = 1;

    EXPECT(clSetKernelArg(NULL, 0, 8, &out), CL_INVALID_KERNEL);
    EXPECT(clSetKernelArg(scalars, 10, 4, &value), CL_INVALID_ARG_INDEX);
    EXPECT(clSetKernelArg(scalars, 0xffffffff, 4, &value), CL_INVALID_ARG_INDEX);
    EXPECT(clSetKernelArg(scalars, 0, 4, &out), CL_INVALID_ARG_SIZE);
    EXPECT(clSetKernelArg(scalars, 1, 4, &value), CL_INVALID_ARG_SIZE);
    EXPECT(clSetKernelArg(scalars, 5, 8, &value), CL_INVALID_ARG_SIZE);
    EXPECT(clSetKernelArg(scalars, 7, 4, &value), CL_INVALID_ARG_SIZE);
    EXPECT(clSetKernelArg(scalars, 5, 0, &value), CL_INVALID_ARG_SIZE);
    EXPECT(clSetKernelArg(scalars, 5, 4, NULL), CL_INVALID_ARG_VALUE);
    EXPECT(clSetKernelArg(locals, 1, 0, NULL), CL_INVALID_ARG_SIZE);
    EXPECT(clSetKernelArg(locals, 1, 16, &value), CL_INVALID_ARG_VALUE);
    EXPECT(clEnqueueNDRangeKernel(t->queue, scalars, 1, NULL, &global, NULL, 0, NULL, NULL),
           CL_INVALID_KERNEL_ARGS);
    SET(scalars, 0, out);
    EXPECT(clEnqueueNDRangeKernel(t->queue, scalars, 1, NULL, &global, NULL, 0, NULL, NULL),
           CL_INVALID_KERNEL_ARGS);
    EXPECT(clEnqueueTask(t->queue, scalars, 0, NULL, NULL), CL_INVALID_KERNEL_ARGS);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(scalars));
    CL_OK(clReleaseKernel(locals));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_program program = clt_build(&t, source, NULL);
    pass_scalars(&t, program);
    pass_vectors(&t, program);
    pass_a_structure(&t, program);
    pass_local_memory(&t, program);
    pass_constants(&t, program);
    pass_null(&t, program);
    keep_values_per_launch(&t, program);
    pass_nothing(&t, program);
    if (clt_validates(&t))
        refuse_bad_arguments(&t, program);
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
