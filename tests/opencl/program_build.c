/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs from source: several strings with and without lengths, options, build status and log,
 * program info, rebuilding, build failures, and errors.
 *
 * Logs differ between implementations and may name temporary files, so of a log only what every
 * implementation must say is printed.
 */
#include "cltest.h"

#include <ctype.h>

static const char good_source[] = "kernel void one(global int *out) { out[0] = VALUE; }\n"
                                  "kernel void two(global int *out, int x) { out[0] = x * 2; }\n";

static cl_program from_source(const struct clt *t, const char *source)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(t->context, 1, &source, NULL, &err);

    CL_OK(err);
    return program;
}

static int run_one(const struct clt *t, cl_program program, const char *name)
{
    cl_kernel kernel = clt_kernel(program, name);
    cl_mem out = clt_buffer(t, 0, sizeof(cl_int), NULL);
    cl_int got = -1;

    clt_set_buffers(kernel, 1, &out);
    clt_run(t, kernel, 1, 1);
    clt_read(t, out, 0, sizeof(got), &got);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
    return got;
}

/* The strings together are the source; tokens may be cut anywhere. */
static void join_strings(const struct clt *t)
{
    const char *strings[] = {"kernel vo", "id joined(global int *out)XXXX", " { out[0", "] = 42; }",
                             "garbage beyond the length"};
    const size_t lengths[] = {0, 27, 0, 10, 0};
    const size_t all_lengths[] = {9, 26, 8, 10};
    cl_int err;

    /* A length of zero means "up to the terminating NUL"; the last string is left out. */
    const char *some[] = {"kernel vo", "id joined(global int *out) XXXX", " { out[0", "] = 42; }"};
    cl_program program = clCreateProgramWithSource(t->context, 4, some, lengths, &err);
    CL_OK(err);
    CL_OK(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
    int got = run_one(t, program, "joined");
    printf("joined strings: %d\n", got);
    CHECK(got == 42);
    CL_OK(clReleaseProgram(program));

    program = clCreateProgramWithSource(t->context, 4, strings, all_lengths, &err);
    CL_OK(err);
    size_t size = 0;
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_SOURCE, 0, NULL, &size));
    char *text = clt_alloc(size);
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_SOURCE, size, text, NULL));
    printf("source (%zu bytes): %s\n", size, text);
    free(text);
    CL_OK(clReleaseProgram(program));
}

/* The strings are the program's again as soon as the call returns. */
static void forget_the_source(const struct clt *t)
{
    char *text = clt_alloc(sizeof(good_source));
    const char *strings[] = {text};
    cl_int err;

    memcpy(text, good_source, sizeof(good_source));
    cl_program program = clCreateProgramWithSource(t->context, 1, strings, NULL, &err);
    CL_OK(err);
    memset(text, '#', sizeof(good_source) - 1);
    free(text);
    CL_OK(clBuildProgram(program, 1, &t->device, "-DVALUE=7", NULL, NULL));
    printf("source forgotten: %d\n", run_one(t, program, "one"));
    CL_OK(clReleaseProgram(program));
}

static void show_build(const struct clt *t, cl_program program)
{
    cl_build_status status = 99;
    cl_program_binary_type type = 99;
    char options[256] = "";
    size_t size = 0;

    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_STATUS, sizeof(status),
                                &status, NULL));
    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_OPTIONS, sizeof(options),
                                options, &size));
    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BINARY_TYPE, sizeof(type), &type,
                                NULL));
    printf("build status %d, options '%s' (%zu bytes), binary type %#x\n", status, options, size,
           type);
}

static void build_with_options(const struct clt *t)
{
    static const char *const options[] = {
        "-DVALUE=10",
        "-D VALUE=20 -cl-fast-relaxed-math",
        "  -DVALUE=(15+15)   -w ",
        "-DVALUE=40 -cl-std=CL1.2 -cl-mad-enable",
        "-DVALUE=50 -cl-opt-disable",
    };

    for (size_t i = 0; i < CLT_COUNT(options); i++) {
        cl_program program = from_source(t, good_source);
        CL_OK(clBuildProgram(program, 1, &t->device, options[i], NULL, NULL));
        show_build(t, program);
        int got = run_one(t, program, "one");
        printf("  value %d\n", got);
        CHECK(got == (int)(10 * (i + 1)));
        CL_OK(clReleaseProgram(program));
    }
}

static void rebuild(const struct clt *t)
{
    cl_program program = from_source(t, good_source);

    show_build(t, program);
    CL_OK(clBuildProgram(program, 1, &t->device, "-DVALUE=1", NULL, NULL));
    printf("first build: %d\n", run_one(t, program, "one"));
    CL_OK(clBuildProgram(program, 1, &t->device, "-DVALUE=2", NULL, NULL));
    printf("second build: %d\n", run_one(t, program, "one"));
    show_build(t, program);
    CL_OK(clReleaseProgram(program));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names' order is the implementation's; sorted it is everyone's. */
static void show_kernel_names(cl_program program)
{
    char names[256] = "";
    char *sorted[8];
    size_t count = 0;
    size_t kernels = 0;

    CL_OK(clGetProgramInfo(program, CL_PROGRAM_NUM_KERNELS, sizeof(kernels), &kernels, NULL));
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_KERNEL_NAMES, sizeof(names), names, NULL));
    char *rest = names;
    char *name;
    while ((name = strtok_r(rest, ";", &rest)) != NULL && count < CLT_COUNT(sorted))
        sorted[count++] = name;
    qsort(sorted, count, sizeof(sorted[0]), compare_names);
    printf("%zu kernels:", kernels);
    for (size_t i = 0; i < count; i++)
        printf(" %s", sorted[i]);
    printf("\n");
}

static void show_program(const struct clt *t)
{
    cl_program program = from_source(t, good_source);
    cl_uint count = 0;
    cl_context context = NULL;
    cl_device_id device = NULL;
    char text[256] = "";
    char small[4];
    size_t size = 0;

    CL_OK(clGetProgramInfo(program, CL_PROGRAM_REFERENCE_COUNT, sizeof(count), &count, NULL));
    printf("references %u\n", count);
    CL_OK(clRetainProgram(program));
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_REFERENCE_COUNT, sizeof(count), &count, NULL));
    printf("references %u\n", count);
    CL_OK(clReleaseProgram(program));
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_CONTEXT, sizeof(context), &context, NULL));
    CHECK(context == t->context);
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof(count), &count, NULL));
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof(device), &device, &size));
    CHECK(device == t->device);
    printf("devices %u (%zu bytes)\n", count, size);
    CL_OK(clGetProgramInfo(program, CL_PROGRAM_SOURCE, sizeof(text), text, &size));
    printf("source: %zu bytes, hash %016llx\n", size, (unsigned long long)clt_hash(text, size));
    EXPECT(clGetProgramInfo(program, CL_PROGRAM_SOURCE, sizeof(small), small, NULL),
           CL_INVALID_VALUE);
    EXPECT(clGetProgramInfo(program, CL_PROGRAM_NUM_KERNELS, 0, NULL, &size),
           CL_INVALID_PROGRAM_EXECUTABLE);
    EXPECT(clGetProgramInfo(program, CL_DEVICE_NAME, 0, NULL, &size), CL_INVALID_VALUE);
    CL_OK(clBuildProgram(program, 1, &t->device, "-DVALUE=1", NULL, NULL));
    show_kernel_names(program);
    CL_OK(clReleaseProgram(program));
}

static bool contains(const char *text, const char *word)
{
    size_t length = strlen(word);

    for (; *text != '\0'; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == word[i])
            i++;
        if (i == length)
            return true;
    }
    return false;
}

static void fail_to_build(const struct clt *t)
{
    static const char bad[] = "kernel void bad(global int *out) { out[0] = undeclared_thing; }\n";
    cl_program program = from_source(t, bad);
    cl_build_status status = 99;
    size_t size = 0;
    cl_int err;

    EXPECT(clBuildProgram(program, 1, &t->device, "", NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_STATUS, sizeof(status),
                                &status, NULL));
    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size));
    char *log = clt_alloc(size);
    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_LOG, size, log, NULL));
    printf("build status %d, log names the culprit: %d, the word error: %d, ends in NUL: %d\n",
           status, contains(log, "undeclared_thing"), contains(log, "error"),
           log[size - 1] == '\0');
    CHECK(status == CL_BUILD_ERROR && contains(log, "undeclared_thing"));
    if (size > 1)
        EXPECT(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_LOG, 1, log, NULL),
               CL_INVALID_VALUE);
    free(log);
    EXPECT_NO_OBJECT(clCreateKernel(program, "bad", &err), CL_INVALID_PROGRAM_EXECUTABLE);
    CL_OK(clReleaseProgram(program));
}

static void refuse_bad_arguments(const struct clt *t)
{
    const char *strings[] = {"kernel void f(void) {}", NULL};
    cl_program program = from_source(t, good_source);
    size_t size = 0;
    cl_int err;

    EXPECT_NO_OBJECT(clCreateProgramWithSource(NULL, 1, strings, NULL, &err), CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateProgramWithSource(t->context, 0, strings, NULL, &err),
                     CL_INVALID_VALUE);
    /* No NULL for the strings themselves: some implementations crash here. */
    EXPECT_NO_OBJECT(clCreateProgramWithSource(t->context, 2, strings, NULL, &err),
                     CL_INVALID_VALUE);
    EXPECT(clBuildProgram(NULL, 0, NULL, NULL, NULL, NULL), CL_INVALID_PROGRAM);
    EXPECT(clBuildProgram(program, 1, NULL, NULL, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clBuildProgram(program, 0, &t->device, NULL, NULL, NULL), CL_INVALID_VALUE);
    EXPECT(clBuildProgram(program, 0, NULL, NULL, NULL, program), CL_INVALID_VALUE);
    /* No list with a NULL device: some implementations crash here. */
    EXPECT(clBuildProgram(program, 0, NULL, "-no-such-option", NULL, NULL),
           CL_INVALID_BUILD_OPTIONS);
    EXPECT(clGetProgramBuildInfo(program, t->device, CL_DEVICE_NAME, 0, NULL, &size),
           CL_INVALID_VALUE);
    EXPECT(clGetProgramBuildInfo(program, NULL, CL_PROGRAM_BUILD_STATUS, 0, NULL, &size),
           CL_INVALID_DEVICE);
    CL_OK(clBuildProgram(program, 1, &t->device, "-DVALUE=1", NULL, NULL));
    EXPECT_NO_OBJECT(clCreateKernel(program, "no_such_kernel", &err), CL_INVALID_KERNEL_NAME);
    EXPECT_NO_OBJECT(clCreateKernel(program, NULL, &err), CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateKernel(NULL, "one", &err), CL_INVALID_PROGRAM);
    cl_kernel kernel = clt_kernel(program, "one");
    EXPECT(clBuildProgram(program, 0, NULL, "-DVALUE=2", NULL, NULL), CL_INVALID_OPERATION);
    CL_OK(clReleaseKernel(kernel));
    CL_OK(clReleaseProgram(program));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    join_strings(&t);
    forget_the_source(&t);
    build_with_options(&t);
    rebuild(&t);
    show_program(&t);
    fail_to_build(&t);
    if (clt_validates(&t))
        refuse_bad_arguments(&t);
    CL_OK(clUnloadPlatformCompiler(t.platform));
    clt_close(&t);
    return clt_done();
}
