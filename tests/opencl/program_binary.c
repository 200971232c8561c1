/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Program binaries: out of one program, into another, in a fresh context; binary status, sizes, the
 * binaries of programs not yet built, and errors.
 */
#include "cltest.h"

static const char source[] = "kernel void twice(global int *data)\n"
                             "{\n"
                             "    size_t i = get_global_id(0);\n"
                             "    data[i] = data[i] * 2 + AMOUNT;\n"
                             "}\n";

static void run_twice(const struct clt *t, cl_program program, const char *what)
{
    cl_int data[32];
    cl_kernel kernel = clt_kernel(program, "twice");

    for (int i = 0; i < 32; i++)
        data[i] = i;
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(data), data);
    clt_set_buffers(kernel, 1, &buffer);
    clt_run(t, kernel, 32, 0);
    clt_read(t, buffer, 0, sizeof(data), data);
    for (int i = 0; i < 32; i++)
        CHECK(data[i] == 2 * i + 5);
    printf("%s: %d %d\n", what, data[0], data[31]);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseKernel(kernel));
}

static unsigned char *take_binary(cl_program program, size_t *size)
{
    unsigned char *binary;
    size_t answer = 0;

    CL_OK(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(*size), size, &answer));
    printf("binary sizes take %zu bytes, there is a binary: %d\n", answer, *size > 0);
    CHECK(*size > 0);
    binary = clt_alloc(*size);
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(binary), &binary, &answer));
    printf("binaries take %zu bytes\n", answer);
    return binary;
}

static cl_program from_binary(const struct clt *t, const unsigned char *binary, size_t size)
{
    cl_int status = 99;
    cl_int err;
    cl_program program =
        clCreateProgramWithBinary(t->context, 1, &t->device, &size, &binary, &status, &err);

    CL_OK(err);
    printf("binary status %s\n", clt_error_name(status));
    return program;
}

static void show_type(const struct clt *t, cl_program program)
{
    cl_program_binary_type type = 99;

    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BINARY_TYPE, sizeof(type), &type,
                                NULL));
    printf("binary type %#x\n", type);
}

/* The same binary, again and in a context of its own, as a program cache on disk would use it. */
static void round_trip(struct clt *t)
{
    cl_program program = clt_build(t, source, "-DAMOUNT=5");
    size_t size = 0;
    size_t again = 0;

    run_twice(t, program, "from source");
    unsigned char *binary = take_binary(program, &size);
    CL_OK(clReleaseProgram(program));
    clt_close(t);
    clt_open(t);
    program = from_binary(t, binary, size);
    show_type(t, program);
    CL_OK(clBuildProgram(program, 1, &t->device, NULL, NULL, NULL));
    show_type(t, program);
    run_twice(t, program, "from a binary");
    unsigned char *second = take_binary(program, &again);
    CHECK(again > 0);
    memset(binary, 0, size);
    free(binary);
    run_twice(t, program, "after the binary is gone");
    CL_OK(clReleaseProgram(program));
    program = from_binary(t, second, again);
    CL_OK(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    run_twice(t, program, "from a binary of a binary");
    CL_OK(clReleaseProgram(program));
    free(second);
}

static void ask_without_room(const struct clt *t)
{
    cl_program program = clt_build(t, source, "-DAMOUNT=5");
    unsigned char small;
    size_t size = 0;

    /* No NULL among the destinations: some implementations crash here. */
    EXPECT(clGetProgramInfo(program, CL_PROGRAM_BINARIES, 0, NULL, &size), CL_SUCCESS);
    printf("binaries take %zu bytes\n", size);
    EXPECT(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, 1, &small, NULL), CL_INVALID_VALUE);
    CL_OK(clReleaseProgram(program));
}

static void refuse_bad_binaries(const struct clt *t)
{
    const unsigned char junk[64] = "this is no program of any device";
    const unsigned char *binary = junk;
    const unsigned char *none = NULL;
    size_t size = sizeof(junk);
    size_t zero = 0;
    cl_device_id device = t->device;
    cl_device_id no_device = NULL;
    cl_context context = t->context;
    cl_int status = 99;
    cl_int err;

    EXPECT_NO_OBJECT(clCreateProgramWithBinary(NULL, 1, &device, &size, &binary, &status, &err),
                     CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateProgramWithBinary(context, 0, &device, &size, &binary, &status, &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateProgramWithBinary(context, 1, NULL, &size, &binary, &status, &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateProgramWithBinary(context, 1, &device, NULL, &binary, &status, &err),
                     CL_INVALID_VALUE);
    /* No NULL for the binaries themselves: some implementations crash here. */
    EXPECT_NO_OBJECT(clCreateProgramWithBinary(context, 1, &device, &zero, &binary, &status, &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateProgramWithBinary(context, 1, &device, &size, &none, &status, &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(
        clCreateProgramWithBinary(context, 1, &no_device, &size, &binary, &status, &err),
        CL_INVALID_DEVICE);
    status = 99;
    EXPECT_NO_OBJECT(clCreateProgramWithBinary(context, 1, &device, &size, &binary, &status, &err),
                     CL_INVALID_BINARY);
    printf("binary status %s\n", clt_error_name(status));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    round_trip(&t);
    ask_without_room(&t);
    if (clt_validates(&t))
        refuse_bad_binaries(&t);
    clt_close(&t);
    return clt_done();
}
