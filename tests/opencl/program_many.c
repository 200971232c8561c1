/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many programs and kernels alive at once, each with its own code, run in turns and against each
 * other's order of creation.
 */
#include "cltest.h"

#define PROGRAMS 8

static cl_int expected(cl_int n, cl_int x)
{
    return n % 2 == 0 ? x * (n + 1) : x + 100 * n;
}

int main(void)
{
    struct clt t;
    cl_program programs[PROGRAMS];
    cl_kernel kernels[PROGRAMS];
    cl_int x = 3;

    clt_open(&t);
    cl_mem out = clt_buffer(&t, 0, PROGRAMS * sizeof(cl_int), NULL);
    for (cl_int n = 0; n < PROGRAMS; n++) {
        char source[256];
        char name[32];
        snprintf(name, sizeof(name), "kernel_%d", n);
        snprintf(source, sizeof(source),
                 "kernel void %s(global int *out, int x) { out[%d] = %s%d; }", name, n,
                 n % 2 == 0 ? "x * " : "x + 100 * ", n % 2 == 0 ? n + 1 : n);
        programs[n] = clt_build(&t, source, NULL);
        kernels[n] = clt_kernel(programs[n], name);
        clt_set_buffers(kernels[n], 1, &out);
    }
    for (int round = 0; round < 5; round++, x += 7) {
        cl_int got[PROGRAMS];
        for (cl_int n = PROGRAMS; n-- > 0;) {
            CL_OK(clSetKernelArg(kernels[n], 1, sizeof(x), &x));
            clt_run(&t, kernels[n], 1, 1);
        }
        clt_read(&t, out, 0, sizeof(got), got);
        printf("round %d:", round);
        for (cl_int n = 0; n < PROGRAMS; n++) {
            printf(" %d", got[n]);
            CHECK(got[n] == expected(n, x));
        }
        printf("\n");
    }
    for (cl_int n = 0; n < PROGRAMS; n += 2) {
        CL_OK(clReleaseProgram(programs[n]));
        CL_OK(clReleaseKernel(kernels[n]));
    }
    for (cl_int n = 1; n < PROGRAMS; n += 2) {
        CL_OK(clReleaseKernel(kernels[n]));
        CL_OK(clReleaseProgram(programs[n]));
    }
    CL_OK(clReleaseMemObject(out));
    clt_close(&t);
    return clt_done();
}
