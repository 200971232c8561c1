/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A histogram of bytes with local atomics, merged by global ones, and a counting sort which hands
 * out places by atomics and must come out the same whatever the order.
 */
#include "cltest.h"

#define COUNT 100000
#define BINS  256

static const char source[] =
    "kernel void histogram(global const uchar *in, uint count, global uint *bins,\n"
    "                      local uint *mine)\n"
    "{\n"
    "    for (uint b = get_local_id(0); b < 256; b += get_local_size(0))\n"
    "        mine[b] = 0;\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    for (uint i = get_global_id(0); i < count; i += get_global_size(0))\n"
    "        atomic_inc(&mine[in[i]]);\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    for (uint b = get_local_id(0); b < 256; b += get_local_size(0))\n"
    "        atomic_add(&bins[b], mine[b]);\n"
    "}\n"
    "kernel void sort(global const uchar *in, uint count, global uint *next, global uchar *out)\n"
    "{\n"
    "    for (uint i = get_global_id(0); i < count; i += get_global_size(0))\n"
    "        out[atomic_inc(&next[in[i]])] = in[i];\n"
    "}\n";

static unsigned char values[COUNT];
static unsigned char sorted[COUNT];

static void count_bins(const struct clt *t, cl_program program, cl_mem in, cl_uint *bins)
{
    cl_kernel kernel = clt_kernel(program, "histogram");
    cl_mem out = clt_buffer(t, CL_MEM_COPY_HOST_PTR, BINS * sizeof(cl_uint), bins);
    cl_uint count = COUNT;
    cl_uint want[BINS] = {0};

    CL_OK(clSetKernelArg(kernel, 0, sizeof(in), &in));
    CL_OK(clSetKernelArg(kernel, 1, sizeof(count), &count));
    CL_OK(clSetKernelArg(kernel, 2, sizeof(out), &out));
    CL_OK(clSetKernelArg(kernel, 3, BINS * sizeof(cl_uint), NULL));
    clt_run(t, kernel, 512, 64);
    clt_read(t, out, 0, sizeof(want), bins);
    for (size_t i = 0; i < COUNT; i++)
        want[values[i]]++;
    clt_same("histogram", bins, want, sizeof(want));
    clt_show_hash("histogram", bins, sizeof(want));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

static int compare_bytes(const void *a, const void *b)
{
    return *(const unsigned char *)a - *(const unsigned char *)b;
}

static void sort(const struct clt *t, cl_program program, cl_mem in, const cl_uint *bins)
{
    cl_kernel kernel = clt_kernel(program, "sort");
    cl_uint next[BINS];
    cl_uint sum = 0;
    cl_uint count = COUNT;

    for (size_t b = 0; b < BINS; b++) {
        next[b] = sum;
        sum += bins[b];
    }
    cl_mem places = clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(next), next);
    cl_mem out = clt_buffer(t, 0, COUNT, NULL);
    CL_OK(clSetKernelArg(kernel, 0, sizeof(in), &in));
    CL_OK(clSetKernelArg(kernel, 1, sizeof(count), &count));
    CL_OK(clSetKernelArg(kernel, 2, sizeof(places), &places));
    CL_OK(clSetKernelArg(kernel, 3, sizeof(out), &out));
    clt_run(t, kernel, 512, 64);
    clt_read(t, out, 0, COUNT, sorted);
    qsort(values, COUNT, 1, compare_bytes);
    clt_same("sorted", sorted, values, COUNT);
    clt_show_hash("sorted", sorted, COUNT);
    CL_OK(clReleaseMemObject(places));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;
    cl_uint bins[BINS] = {0};

    clt_open(&t);
    clt_fill_random(values, COUNT, 5);
    for (size_t i = 0; i < COUNT; i += 3)
        values[i] = (unsigned char)(values[i] & 15);
    cl_program program = clt_build(&t, source, NULL);
    cl_mem in = clt_buffer(&t, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, COUNT, values);
    count_bins(&t, program, in, bins);
    sort(&t, program, in, bins);
    CL_OK(clReleaseMemObject(in));
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
