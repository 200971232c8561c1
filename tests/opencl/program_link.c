/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Separate compilation: headers under their include names, linking of several programs, libraries,
 * and the errors of both steps.
 */
#include "cltest.h"

static const char header_a[] = "int scale(int x);\n#define SCALE 3\n";
static const char header_b[] = "#define OFFSET 100\n";
static const char library_source[] = "#include \"scale.h\"\n"
                                     "int scale(int x) { return x * SCALE; }\n";
static const char main_source[] = "#include \"scale.h\"\n"
                                  "#include \"more/offset.h\"\n"
                                  "kernel void run(global int *data)\n"
                                  "{\n"
                                  "    size_t i = get_global_id(0);\n"
                                  "    data[i] = scale(data[i]) + OFFSET;\n"
                                  "}\n";

static cl_program from_source(const struct clt *t, const char *source)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(t->context, 1, &source, NULL, &err);

    CL_OK(err);
    return program;
}

static cl_uint binary_type(const struct clt *t, cl_program program)
{
    cl_program_binary_type type = 99;

    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BINARY_TYPE, sizeof(type), &type,
                                NULL));
    return type;
}

static void run_linked(const struct clt *t, cl_program program)
{
    cl_int data[16];
    cl_kernel kernel = clt_kernel(program, "run");

    for (int i = 0; i < 16; i++)
        data[i] = i;
    cl_mem buffer = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(data), data);
    clt_set_buffers(kernel, 1, &buffer);
    clt_run(t, kernel, 16, 0);
    clt_read(t, buffer, 0, sizeof(data), data);
    for (int i = 0; i < 16; i++)
        CHECK(data[i] == 3 * i + 100);
    printf("linked program: %d %d\n", data[0], data[15]);
    CL_OK(clReleaseMemObject(buffer));
    CL_OK(clReleaseKernel(kernel));
}

static void compile_and_link(const struct clt *t)
{
    cl_program headers[] = {from_source(t, header_a), from_source(t, header_b)};
    const char *names[] = {"scale.h", "more/offset.h"};
    cl_program parts[] = {from_source(t, main_source), from_source(t, library_source)};
    cl_int err;

    CL_OK(clCompileProgram(parts[0], 1, &t->device, NULL, 2, headers, names, NULL, NULL));
    CL_OK(clCompileProgram(parts[1], 1, &t->device, "-DUNUSED", 1, headers, names, NULL, NULL));
    printf("compiled: binary types %#x %#x\n", binary_type(t, parts[0]), binary_type(t, parts[1]));
    cl_program linked = clLinkProgram(t->context, 1, &t->device, NULL, 2, parts, NULL, NULL, &err);
    CL_OK(err);
    printf("linked: binary type %#x\n", binary_type(t, linked));
    run_linked(t, linked);

    /* The parts are no longer needed once they are linked. */
    for (size_t i = 0; i < 2; i++) {
        CL_OK(clReleaseProgram(headers[i]));
        CL_OK(clReleaseProgram(parts[i]));
    }
    run_linked(t, linked);
    size_t kernels = 0;
    CL_OK(clGetProgramInfo(linked, CL_PROGRAM_NUM_KERNELS, sizeof(kernels), &kernels, NULL));
    printf("kernels: %zu\n", kernels);
    CL_OK(clReleaseProgram(linked));
}

static void link_through_a_library(const struct clt *t)
{
    cl_program headers[] = {from_source(t, header_a), from_source(t, header_b)};
    const char *names[] = {"scale.h", "more/offset.h"};
    cl_program parts[] = {from_source(t, main_source), from_source(t, library_source)};
    cl_int err;

    CL_OK(clCompileProgram(parts[0], 0, NULL, NULL, 2, headers, names, NULL, NULL));
    CL_OK(clCompileProgram(parts[1], 0, NULL, NULL, 2, headers, names, NULL, NULL));
    cl_program library =
        clLinkProgram(t->context, 0, NULL, "-create-library", 1, &parts[1], NULL, NULL, &err);
    CL_OK(err);
    printf("library: binary type %#x\n", binary_type(t, library));
    cl_program both[] = {parts[0], library};
    cl_program linked = clLinkProgram(t->context, 0, NULL, NULL, 2, both, NULL, NULL, &err);
    CL_OK(err);
    run_linked(t, linked);
    CL_OK(clReleaseProgram(linked));
    CL_OK(clReleaseProgram(library));
    for (size_t i = 0; i < 2; i++) {
        CL_OK(clReleaseProgram(headers[i]));
        CL_OK(clReleaseProgram(parts[i]));
    }
}

static void fail_to_compile(const struct clt *t)
{
    cl_program headers[] = {from_source(t, header_b)};
    const char *names[] = {"more/offset.h"};
    cl_program program = from_source(t, main_source);
    cl_build_status status = 99;

    EXPECT(clCompileProgram(program, 1, &t->device, NULL, 1, headers, names, NULL, NULL),
           CL_COMPILE_PROGRAM_FAILURE);
    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_STATUS, sizeof(status),
                                &status, NULL));
    printf("build status %d\n", status);
    CL_OK(clReleaseProgram(program));
    CL_OK(clReleaseProgram(headers[0]));
}

static void refuse_bad_arguments(const struct clt *t)
{
    cl_program program = from_source(t, header_b);
    cl_int err;

    EXPECT(clCompileProgram(NULL, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL), CL_INVALID_PROGRAM);
    EXPECT(clCompileProgram(program, 1, NULL, NULL, 0, NULL, NULL, NULL, NULL), CL_INVALID_VALUE);
    /* No headers without names or names without headers: some implementations crash here. */
    EXPECT_NO_OBJECT(clLinkProgram(NULL, 0, NULL, NULL, 1, &program, NULL, NULL, &err),
                     CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clLinkProgram(t->context, 0, NULL, NULL, 0, NULL, NULL, NULL, &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clLinkProgram(t->context, 0, NULL, NULL, 1, NULL, NULL, NULL, &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clLinkProgram(t->context, 0, NULL, NULL, 1, &program, NULL, NULL, &err),
                     CL_INVALID_OPERATION);
    CL_OK(clReleaseProgram(program));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    compile_and_link(&t);
    link_through_a_library(&t);
    fail_to_compile(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    clt_close(&t);
    return clt_done();
}
