/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads which build, query and run different programs at the same time, some of which fail to
 * build; each thread notes, the main thread prints.
 */
#include "cltest.h"

#include <pthread.h>

#define THREADS  2
#define PROGRAMS 3

struct builder {
    pthread_t thread;
    struct clt t;
    int id;
    cl_int results[PROGRAMS];
    cl_int failures;
};

static cl_int build_and_run(struct builder *b, int n)
{
    static const char source[] = "kernel void f(global int *out) { out[0] = A * 10 + B; }";
    char options[64];
    cl_int got = -1;

    snprintf(options, sizeof(options), "-DA=%d -DB=%d", b->id, n);
    cl_program program = clt_build(&b->t, source, options);
    cl_kernel kernel = clt_kernel(program, "f");
    cl_mem out = clt_buffer(&b->t, 0, sizeof(got), NULL);
    clt_set_buffers(kernel, 1, &out);
    clt_run(&b->t, kernel, 1, 1);
    clt_read(&b->t, out, 0, sizeof(got), &got);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
    CL_OK(clReleaseProgram(program));
    return got;
}

static bool fails_to_build(struct builder *b)
{
    const char *text = "kernel void f(global int *out) { out[0] = nothing_of_the_kind; }";
    cl_int err;
    cl_program program = clCreateProgramWithSource(b->t.context, 1, &text, NULL, &err);
    char log[4096] = "";

    CL_OK(err);
    err = clBuildProgram(program, 1, &b->t.device, NULL, NULL, NULL);
    clGetProgramBuildInfo(program, b->t.device, CL_PROGRAM_BUILD_LOG, sizeof(log), log, NULL);
    CL_OK(clReleaseProgram(program));
    return err == CL_BUILD_PROGRAM_FAILURE && strstr(log, "nothing_of_the_kind") != NULL;
}

static void *work(void *argument)
{
    struct builder *b = argument;

    b->t.queue = clt_queue(&b->t, 0);
    for (int n = 0; n < PROGRAMS; n++) {
        b->results[n] = build_and_run(b, n);
        b->failures += fails_to_build(b);
    }
    CL_OK(clReleaseCommandQueue(b->t.queue));
    return NULL;
}

int main(void)
{
    struct clt t;
    struct builder builders[THREADS];

    clt_open(&t);
    /* Some older implementations run one kernel at a time and insist on it. */
    clt_need_version(&t, 200);
    for (int i = 0; i < THREADS; i++) {
        builders[i] = (struct builder){.t = t, .id = i + 1};
        pthread_create(&builders[i].thread, NULL, work, &builders[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(builders[i].thread, NULL);
        printf("thread %d:", i + 1);
        for (int n = 0; n < PROGRAMS; n++) {
            printf(" %d", builders[i].results[n]);
            CHECK(builders[i].results[n] == (i + 1) * 10 + n);
        }
        printf(", %d builds failed as they should\n", builders[i].failures);
        CHECK(builders[i].failures == PROGRAMS);
    }
    clt_close(&t);
    return clt_done();
}
