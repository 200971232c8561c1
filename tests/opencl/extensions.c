/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is beyond the core: extension function addresses by known and unknown names, programs from
 * intermediate language and from built-in kernels, and specialization constants.
 */
#include "cltest.h"

static void ask_for_addresses(const struct clt *t)
{
    static const char *const unknown[] = {"clNoSuchFunction", "", "cl", "clCreateBuffer "};
    static const char *const extensions[] = {
        "clIcdGetPlatformIDsKHR",     "clCreateCommandBufferKHR", "clFinalizeCommandBufferKHR",
        "clCreateFromGLBuffer",       "clTerminateContextKHR",    "clCreateProgramWithILKHR",
        "clSetContentSizeBufferPoCL",
    };

    for (size_t i = 0; i < CLT_COUNT(unknown); i++) {
        bool there = clGetExtensionFunctionAddressForPlatform(t->platform, unknown[i]) != NULL;
        printf("'%s': %s\n", unknown[i], there ? "there" : "not there");
        CHECK(!there);
    }
    /* Which of these are there depends on what is remoted; asking twice gives the same answer. */
    for (size_t i = 0; i < CLT_COUNT(extensions); i++) {
        void *once = clGetExtensionFunctionAddressForPlatform(t->platform, extensions[i]);
        void *twice = clGetExtensionFunctionAddressForPlatform(t->platform, extensions[i]);
        CHECK(once == twice);
    }
    CHECK(clGetExtensionFunctionAddressForPlatform(NULL, "clCreateBuffer") == NULL);
    CHECK(clGetExtensionFunctionAddress("clNoSuchFunction") == NULL);
}

static void built_in_kernels(const struct clt *t)
{
    cl_int err;

    EXPECT_NO_OBJECT(
        clCreateProgramWithBuiltInKernels(t->context, 1, &t->device, "no_such_kernel", &err),
        CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateProgramWithBuiltInKernels(NULL, 1, &t->device, "x", &err),
                     CL_INVALID_CONTEXT);
    EXPECT_NO_OBJECT(clCreateProgramWithBuiltInKernels(t->context, 0, NULL, "x", &err),
                     CL_INVALID_VALUE);
    EXPECT_NO_OBJECT(clCreateProgramWithBuiltInKernels(t->context, 1, &t->device, NULL, &err),
                     CL_INVALID_VALUE);
}

/* A header of SPIR-V alone is no module: either way this must fail, and cleanly. */
static void intermediate_language(const struct clt *t)
{
    const cl_uint header[5] = {0x07230203, 0x00010000, 0, 1, 0};
    cl_int err = CL_SUCCESS;
    cl_program program = clCreateProgramWithIL(t->context, header, sizeof(header), &err);

    printf("from a bare header: %s\n", clt_error_name(err));
    if (program != NULL) {
        CHECK(clBuildProgram(program, 1, &t->device, NULL, NULL, NULL) != CL_SUCCESS);
        CL_OK(clReleaseProgram(program));
    }
    /* Programs from source have no intermediate language and no constants to specialize. */
    const char *text = "kernel void f(void) {}";
    program = clCreateProgramWithSource(t->context, 1, &text, NULL, &err);
    CL_OK(err);
    size_t size = 99;
    SHOW(clGetProgramInfo(program, CL_PROGRAM_IL, 0, NULL, &size));
    printf("intermediate language of a source: %zu bytes\n", size);
    CL_OK(clReleaseProgram(program));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    ask_for_addresses(&t);
    if (clt_validates(&t))
        built_in_kernels(&t);
    if (t.version >= 210)
        intermediate_language(&t);
    clt_close(&t);
    return clt_done();
}
