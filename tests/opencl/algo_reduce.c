/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions: sum, minimum and maximum in two launches through local memory, and a sum by atomics,
 * against the host's results.
 */
#include "cltest.h"

#define COUNT 65536
#define GROUP 64

static const char source[] =
    "typedef struct { long sum; int least; int most; } total;\n"
    "void combine(local total *to, local const total *from)\n"
    "{\n"
    "    to->sum += from->sum;\n"
    "    to->least = min(to->least, from->least);\n"
    "    to->most = max(to->most, from->most);\n"
    "}\n"
    "void tree(local total *part, global total *out)\n"
    "{\n"
    "    size_t i = get_local_id(0);\n"
    "    for (size_t step = get_local_size(0) / 2; step > 0; step /= 2) {\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);\n"
    "        if (i < step)\n"
    "            combine(&part[i], &part[i + step]);\n"
    "    }\n"
    "    if (i == 0)\n"
    "        out[get_group_id(0)] = part[0];\n"
    "}\n"
    "kernel void first(global const int *in, global total *out, local total *part)\n"
    "{\n"
    "    int value = in[get_global_id(0)];\n"
    "    part[get_local_id(0)].sum = value;\n"
    "    part[get_local_id(0)].least = value;\n"
    "    part[get_local_id(0)].most = value;\n"
    "    tree(part, out);\n"
    "}\n"
    "kernel void second(global const total *in, global total *out, local total *part, int each)\n"
    "{\n"
    "    total mine = in[get_local_id(0)];\n"
    "    for (int k = 1; k < each; k++) {\n"
    "        total next = in[get_local_id(0) + k * get_local_size(0)];\n"
    "        mine.sum += next.sum;\n"
    "        mine.least = min(mine.least, next.least);\n"
    "        mine.most = max(mine.most, next.most);\n"
    "    }\n"
    "    part[get_local_id(0)] = mine;\n"
    "    tree(part, out);\n"
    "}\n"
    "kernel void by_atomics(global const int *in, global int *out)\n"
    "{\n"
    "    int value = in[get_global_id(0)] & 0xffff;\n"
    "    atomic_add(&out[0], value);\n"
    "    atomic_min(&out[1], value);\n"
    "    atomic_max(&out[2], value);\n"
    "    atomic_xor(&out[3], value);\n"
    "    atomic_inc(&out[4]);\n"
    "}\n";

struct total {
    cl_long sum;
    cl_int least, most;
};

static cl_int values[COUNT];

static void reduce(const struct clt *t, cl_program program, cl_mem in)
{
    cl_int each = COUNT / GROUP / GROUP;
    cl_kernel first = clt_kernel(program, "first");
    cl_kernel second = clt_kernel(program, "second");
    cl_mem parts = clt_buffer(t, 0, COUNT / GROUP * sizeof(struct total), NULL);
    cl_mem out = clt_buffer(t, 0, sizeof(struct total), NULL);
    struct total got;
    struct total want = {0, INT32_MAX, INT32_MIN};
    const cl_mem one[2] = {in, parts};
    const cl_mem two[2] = {parts, out};

    clt_set_buffers(first, 2, one);
    CL_OK(clSetKernelArg(first, 2, GROUP * sizeof(struct total), NULL));
    clt_set_buffers(second, 2, two);
    CL_OK(clSetKernelArg(second, 2, GROUP * sizeof(struct total), NULL));
    CL_OK(clSetKernelArg(second, 3, sizeof(each), &each));
    clt_run(t, first, COUNT, GROUP);
    clt_run(t, second, GROUP, GROUP);
    clt_read(t, out, 0, sizeof(got), &got);
    for (size_t i = 0; i < COUNT; i++) {
        want.sum += values[i];
        want.least = values[i] < want.least ? values[i] : want.least;
        want.most = values[i] > want.most ? values[i] : want.most;
    }
    printf("sum %lld least %d most %d\n", (long long)got.sum, got.least, got.most);
    clt_same("reduction", &got, &want, sizeof(got));
    CL_OK(clReleaseMemObject(parts));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(first));
    CL_OK(clReleaseKernel(second));
}

static void reduce_by_atomics(const struct clt *t, cl_program program, cl_mem in)
{
    cl_kernel kernel = clt_kernel(program, "by_atomics");
    cl_int got[5] = {0, INT32_MAX, 0, 0, 0};
    cl_uint want[5] = {0, INT32_MAX, 0, 0, COUNT};
    const cl_mem both[2] = {in, clt_buffer(t, CL_MEM_COPY_HOST_PTR, sizeof(got), got)};

    clt_set_buffers(kernel, 2, both);
    clt_run(t, kernel, COUNT, 0);
    clt_read(t, both[1], 0, sizeof(got), got);
    for (size_t i = 0; i < COUNT; i++) {
        cl_uint value = (cl_uint)values[i] & 0xffff;
        want[0] += value;
        want[1] = value < want[1] ? value : want[1];
        want[2] = value > want[2] ? value : want[2];
        want[3] ^= value;
    }
    printf("by atomics: %u %d %d %d %d\n", (cl_uint)got[0], got[1], got[2], got[3], got[4]);
    clt_same("by atomics", got, want, sizeof(got));
    CL_OK(clReleaseMemObject(both[1]));
    CL_OK(clReleaseKernel(kernel));
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    clt_fill_random(values, sizeof(values), 7);
    cl_program program = clt_build(&t, source, NULL);
    cl_mem in = clt_buffer(&t, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof(values), values);
    reduce(&t, program, in);
    reduce_by_atomics(&t, program, in);
    CL_OK(clReleaseMemObject(in));
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
