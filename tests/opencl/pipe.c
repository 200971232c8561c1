/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes: info, a producer and a consumer kernel, and errors; skipped where the device has none.
 */
#include "cltest.h"

#define PACKETS 64

static const char source[] = "kernel void produce(write_only pipe int p)\n"
                             "{\n"
                             "    int value = (int)get_global_id(0) * 3;\n"
                             "    write_pipe(p, &value);\n"
                             "}\n"
                             "kernel void consume(read_only pipe int p, global int *out)\n"
                             "{\n"
                             "    int value = -1;\n"
                             "    read_pipe(p, &value);\n"
                             "    out[get_global_id(0)] = value;\n"
                             "}\n";

static void need_pipes(const struct clt *t)
{
    cl_uint limit = 0;

    clt_need_version(t, 200);
    CL_OK(clGetDeviceInfo(t->device, CL_DEVICE_MAX_PIPE_ARGS, sizeof(limit), &limit, NULL));
    if (limit > 0)
        return;
    cl_int err;
    cl_mem pipe = clCreatePipe(t->context, 0, sizeof(cl_int), PACKETS, NULL, &err);
    printf("without pipes: %s\n", clt_error_name(err));
    CHECK(pipe == NULL);
    clt_skip("the device has no pipes");
}

static int compare_ints(const void *a, const void *b)
{
    return *(const cl_int *)a - *(const cl_int *)b;
}

int main(void)
{
    struct clt t;
    cl_uint packet = 0;
    cl_uint packets = 0;
    cl_int got[PACKETS];
    cl_int err;

    clt_open(&t);
    need_pipes(&t);
    cl_program program = clt_build(&t, source, "-cl-std=CL3.0");
    cl_kernel produce = clt_kernel(program, "produce");
    cl_kernel consume = clt_kernel(program, "consume");
    cl_mem pipe = clCreatePipe(t.context, 0, sizeof(cl_int), PACKETS, NULL, &err);
    CL_OK(err);
    cl_mem out = clt_buffer(&t, 0, sizeof(got), NULL);
    CL_OK(clGetPipeInfo(pipe, CL_PIPE_PACKET_SIZE, sizeof(packet), &packet, NULL));
    CL_OK(clGetPipeInfo(pipe, CL_PIPE_MAX_PACKETS, sizeof(packets), &packets, NULL));
    printf("packets of %u bytes, at most %u\n", packet, packets);
    clt_set_buffers(produce, 1, &pipe);
    const cl_mem both[2] = {pipe, out};
    clt_set_buffers(consume, 2, both);
    clt_run(&t, produce, PACKETS, 0);
    clt_run(&t, consume, PACKETS, 0);
    clt_read(&t, out, 0, sizeof(got), got);
    /* The order of packets is open. */
    qsort(got, PACKETS, sizeof(got[0]), compare_ints);
    for (int i = 0; i < PACKETS; i++)
        CHECK(got[i] == 3 * i);
    EXPECT(clGetPipeInfo(out, CL_PIPE_PACKET_SIZE, sizeof(packet), &packet, NULL),
           CL_INVALID_MEM_OBJECT);
    CL_OK(clReleaseMemObject(pipe));
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(produce));
    CL_OK(clReleaseKernel(consume));
    CL_OK(clReleaseProgram(program));
    clt_close(&t);
    return clt_done();
}
