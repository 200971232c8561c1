/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kernels compute with: mathematical functions, conversions, vectors and swizzles, program
 * constants, doubles where there are any; results as checksums and a few exact ones.
 */
#include "cltest.h"

#define COUNT 256

static const char source[] =
    "constant int squares[8] = {0, 1, 4, 9, 16, 25, 36, 49};\n"
    "kernel void math(global const float *in, global float *out)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    float x = in[i];\n"
    "    out[4 * i] = sin(x) + cos(x);\n"
    "    out[4 * i + 1] = exp(x * 0.1f) * log(fabs(x) + 1.0f);\n"
    "    out[4 * i + 2] = sqrt(fabs(x)) + pow(fabs(x), 0.3f);\n"
    "    out[4 * i + 3] = fma(x, 2.0f, floor(x)) + clamp(x, -1.0f, 1.0f);\n"
    "}\n"
    "kernel void integers(global const uint *in, global uint *out)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    uint x = in[i];\n"
    "    uint4 v = (uint4)(x, x >> 8, x >> 16, x >> 24);\n"
    "    v = v.wzyx + v.xxyy;\n"
    "    out[8 * i] = mul_hi(x, 0x9e3779b9u);\n"
    "    out[8 * i + 1] = rotate(x, 7u) ^ clz(x);\n"
    "    out[8 * i + 2] = add_sat(x, 0x80000000u);\n"
    "    out[8 * i + 3] = hadd(x, 12345u) + mad24(x & 0xfff, 77u, 5u);\n"
    "    out[8 * i + 4] = v.x ^ v.y;\n"
    "    out[8 * i + 5] = v.z ^ v.w;\n"
    "    out[8 * i + 6] = convert_uchar_sat((int)x) + as_uint(convert_float(x & 0xffff));\n"
    "    out[8 * i + 7] = squares[x & 7] + popcount(x);\n"
    "}\n";

static const char double_source[] = "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
                                    "kernel void series(global double *out)\n"
                                    "{\n"
                                    "    double x = (double)get_global_id(0) + 1.0;\n"
                                    "    double sum = 0.0;\n"
                                    "    for (int k = 1; k <= 20; k++)\n"
                                    "        sum += 1.0 / (x * k * k);\n"
                                    "    out[get_global_id(0)] = sum;\n"
                                    "}\n";

static void run_math(const struct clt *t, cl_program program)
{
    cl_float in[COUNT];
    cl_float got[4 * COUNT];
    unsigned wrong = 0;
    cl_kernel kernel = clt_kernel(program, "math");
    cl_mem buffers[2];

    for (int i = 0; i < COUNT; i++)
        in[i] = (cl_float)(i - COUNT / 2) * 0.125f;
    buffers[0] = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(in), in);
    buffers[1] = clt_buffer(t, 0, sizeof(got), NULL);
    clt_set_buffers(kernel, 2, buffers);
    clt_run(t, kernel, COUNT, 0);
    clt_read(t, buffers[1], 0, sizeof(got), got);
    for (size_t i = 0; i < COUNT; i++) {
        /* sin + cos is never beyond the square root of two. */
        wrong += !(got[4 * i] < 1.4143f && got[4 * i] > -1.4143f);
    }
    CHECK(wrong == 0);
    CHECK(got[4 * (COUNT / 2)] == 1.0f && got[4 * (COUNT / 2) + 3] == 0.0f);
    clt_show_hash("math", got, sizeof(got));
    CL_OK(clReleaseMemObject(buffers[0]));
    CL_OK(clReleaseMemObject(buffers[1]));
    CL_OK(clReleaseKernel(kernel));
}

static void run_integers(const struct clt *t, cl_program program)
{
    cl_uint in[COUNT];
    cl_uint got[8 * COUNT];
    unsigned wrong = 0;
    cl_kernel kernel = clt_kernel(program, "integers");
    cl_mem buffers[2];

    clt_fill_random(in, sizeof(in), 12);
    buffers[0] = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(in), in);
    buffers[1] = clt_buffer(t, 0, sizeof(got), NULL);
    clt_set_buffers(kernel, 2, buffers);
    clt_run(t, kernel, COUNT, 0);
    clt_read(t, buffers[1], 0, sizeof(got), got);
    for (size_t i = 0; i < COUNT; i++) {
        cl_uint x = in[i];
        wrong += got[8 * i] != (cl_uint)((cl_ulong)x * 0x9e3779b9u >> 32);
        wrong += got[8 * i + 2] != (x >= 0x80000000u ? 0xffffffffu : x + 0x80000000u);
        wrong += got[8 * i + 4] != (((x >> 24) + x) ^ ((x >> 16) + x));
    }
    CHECK(wrong == 0);
    clt_show_hash("integers", got, sizeof(got));
    CL_OK(clReleaseMemObject(buffers[0]));
    CL_OK(clReleaseMemObject(buffers[1]));
    CL_OK(clReleaseKernel(kernel));
}

static void run_doubles(const struct clt *t)
{
    cl_device_fp_config config = 0;
    cl_double got[16];

    if (clGetDeviceInfo(t->device, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof(config), &config, NULL) !=
            CL_SUCCESS ||
        config == 0) {
        printf("no doubles\n");
        return;
    }
    cl_kernel kernel = clt_build_kernel(t, double_source, "series");
    cl_mem out = clt_buffer(t, 0, sizeof(got), NULL);
    clt_set_buffers(kernel, 1, &out);
    clt_run(t, kernel, 16, 0);
    clt_read(t, out, 0, sizeof(got), got);
    CHECK(got[0] > 1.5961 && got[0] < 1.5962);
    clt_show_hash("doubles", got, sizeof(got));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    cl_program program = clt_build(&t, source, NULL);
    run_math(&t, program);
    run_integers(&t, program);
    run_doubles(&t);
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
