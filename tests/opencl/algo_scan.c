/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exclusive prefix sums in three launches (groups, group totals, offsets), and a stream compaction
 * built on them, against the host's results.
 */
#include "cltest.h"

#define GROUP 128
#define COUNT (GROUP * GROUP)

static const char source[] =
    "kernel void scan(global const uint *in, global uint *out, global uint *totals,\n"
    "                 local uint *part)\n"
    "{\n"
    "    size_t i = get_local_id(0);\n"
    "    size_t n = get_local_size(0);\n"
    "    uint mine = in[get_global_id(0)];\n"
    "    part[i] = mine;\n"
    "    for (size_t step = 1; step < n; step *= 2) {\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);\n"
    "        uint before = i >= step ? part[i - step] : 0;\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);\n"
    "        part[i] += before;\n"
    "    }\n"
    "    out[get_global_id(0)] = part[i] - mine;\n"
    "    if (i == n - 1)\n"
    "        totals[get_group_id(0)] = part[i];\n"
    "}\n"
    "kernel void add_offsets(global uint *out, global const uint *offsets)\n"
    "{\n"
    "    out[get_global_id(0)] += offsets[get_group_id(0)];\n"
    "}\n"
    "kernel void flag(global const uint *in, global uint *flags)\n"
    "{\n"
    "    flags[get_global_id(0)] = in[get_global_id(0)] % 3 == 0;\n"
    "}\n"
    "kernel void compact(global const uint *in, global const uint *flags,\n"
    "                    global const uint *places, global uint *out)\n"
    "{\n"
    "    size_t i = get_global_id(0);\n"
    "    if (flags[i])\n"
    "        out[places[i]] = in[i];\n"
    "}\n";

struct scanner {
    struct clt t;
    cl_kernel scan, add_offsets;
    cl_mem totals, offsets, rest;
};

static void launch_scan(const struct scanner *s, cl_mem in, cl_mem out, cl_mem totals, size_t count)
{
    const cl_mem buffers[3] = {in, out, totals};

    clt_set_buffers(s->scan, 3, buffers);
    CL_OK(clSetKernelArg(s->scan, 3, GROUP * sizeof(cl_uint), NULL));
    clt_run(&s->t, s->scan, count, GROUP);
}

static void scan(const struct scanner *s, cl_mem in, cl_mem out)
{
    const cl_mem both[2] = {out, s->offsets};

    launch_scan(s, in, out, s->totals, COUNT);
    launch_scan(s, s->totals, s->offsets, s->rest, GROUP);
    clt_set_buffers(s->add_offsets, 2, both);
    clt_run(&s->t, s->add_offsets, COUNT, GROUP);
}

static void scan_and_check(const struct scanner *s, cl_mem in, cl_mem out, const cl_uint *values)
{
    static cl_uint got[COUNT];
    cl_uint sum = 0;
    unsigned wrong = 0;

    scan(s, in, out);
    clt_read(&s->t, out, 0, sizeof(got), got);
    for (size_t i = 0; i < COUNT; i++) {
        wrong += got[i] != sum;
        sum += values[i];
    }
    clt_show_hash("prefix sums", got, sizeof(got));
    CHECK(wrong == 0);
}

static void compact(const struct scanner *s, cl_program program, cl_mem in, const cl_uint *values)
{
    static cl_uint got[COUNT];
    static cl_uint want[COUNT];
    size_t count = 0;
    cl_kernel flag = clt_kernel(program, "flag");
    cl_kernel move = clt_kernel(program, "compact");
    cl_mem flags = clt_buffer(&s->t, 0, sizeof(got), NULL);
    cl_mem places = clt_buffer(&s->t, 0, sizeof(got), NULL);
    cl_mem out = clt_buffer(&s->t, 0, sizeof(got), NULL);
    const cl_mem flag_arguments[2] = {in, flags};
    const cl_mem move_arguments[4] = {in, flags, places, out};

    clt_set_buffers(flag, 2, flag_arguments);
    clt_run(&s->t, flag, COUNT, GROUP);
    scan(s, flags, places);
    clt_set_buffers(move, 4, move_arguments);
    clt_run(&s->t, move, COUNT, GROUP);
    for (size_t i = 0; i < COUNT; i++) {
        if (values[i] % 3 == 0)
            want[count++] = values[i];
    }
    clt_read(&s->t, out, 0, count * sizeof(got[0]), got);
    clt_same("compacted", got, want, count * sizeof(got[0]));
    clt_show_hash("compacted", got, count * sizeof(got[0]));
    CL_OK(clReleaseMemObject(flags));
    CL_OK(clReleaseMemObject(places));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(flag));
    CL_OK(clReleaseKernel(move));
}

int main(void)
{
    static cl_uint values[COUNT];
    struct scanner s;

    clt_open(&s.t);
    clt_fill_random(values, sizeof(values), 3);
    cl_program program = clt_build(&s.t, source, NULL);
    s.scan = clt_kernel(program, "scan");
    s.add_offsets = clt_kernel(program, "add_offsets");
    s.totals = clt_buffer(&s.t, 0, GROUP * sizeof(cl_uint), NULL);
    s.offsets = clt_buffer(&s.t, 0, GROUP * sizeof(cl_uint), NULL);
    s.rest = clt_buffer(&s.t, 0, GROUP * sizeof(cl_uint), NULL);
    cl_mem in = clt_buffer(&s.t, CL_MEM_COPY_HOST_PTR, sizeof(values), values);
    cl_mem out = clt_buffer(&s.t, 0, sizeof(values), NULL);
    scan_and_check(&s, in, out, values);
    compact(&s, program, in, values);
    CL_OK(clReleaseMemObject(in));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseMemObject(s.totals));
    CL_OK(clReleaseMemObject(s.offsets));
    CL_OK(clReleaseMemObject(s.rest));
    CL_OK(clReleaseKernel(s.scan));
    CL_OK(clReleaseKernel(s.add_offsets));
    CL_OK(clReleaseProgram(program));
    clt_close(&s.t);
    return clt_done();
}
