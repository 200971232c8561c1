/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fork after the parent has used OpenCL: one child leaves at once, one executes this program anew
 * and uses the device there, one asks after the platforms that the parent was given. The parent's
 * objects work before, between and after.
 */
#include "cltest.h"

#include <sys/wait.h>
#include <unistd.h>

#define WORDS 256

struct state {
    struct clt t;
    cl_mem buffer;
    cl_uint value;
};

static void step(struct state *s, const char *what)
{
    cl_uint got[WORDS];

    s->value = s->value * 3 + 1;
    CL_OK(clEnqueueFillBuffer(s->t.queue, s->buffer, &s->value, 4, 0, sizeof(got), 0, NULL, NULL));
    clt_read(&s->t, s->buffer, 0, sizeof(got), got);
    printf("%s: %u %u\n", what, got[0], got[WORDS - 1]);
    CHECK(got[0] == s->value && got[WORDS - 1] == s->value);
}

static void wait_for(pid_t child, const char *what)
{
    int status = -1;

    CHECK(waitpid(child, &status, 0) == child);
    printf("%s: status %d\n", what, status);
    CHECK(status == 0);
}

static int run_as_the_child(void)
{
    struct state s = {.value = 100};

    clt_open(&s.t);
    s.buffer = clt_buffer(&s.t, 0, WORDS * sizeof(cl_uint), NULL);
    step(&s, "executed child");
    CL_OK(clReleaseMemObject(s.buffer));
    clt_close(&s.t);
    return clt_done();
}

/* With the parent's handles of platforms, and none of its other objects. Only what a library can
 * say natively after a fork, too. */
static int go_on_as_the_child(cl_platform_id platform)
{
    char name[2][256] = {{0}};
    cl_platform_id listed[16];
    cl_device_id device;
    cl_uint n = 0;
    size_t size = 0;
    cl_int status = -1;

    CL_OK(clGetPlatformInfo(platform, CL_PLATFORM_VENDOR, sizeof(name[0]), name[0], NULL));
    CL_OK(clGetPlatformIDs(16, listed, &n));
    CL_OK(clGetPlatformInfo(listed[0], CL_PLATFORM_VENDOR, sizeof(name[1]), name[1], &size));
    CHECK(size > 1 && strcmp(name[0], name[1]) == 0);
    CL_OK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
    const cl_context_properties of_it[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)platform, 0};
    cl_context context = clCreateContext(of_it, 1, &device, NULL, NULL, &status);
    CHECK(context && status == CL_SUCCESS);
    CL_OK(clReleaseContext(context));
    status = clt_done();
    fflush(stdout);
    return status;
}

int main(int argc, char **argv)
{
    struct state s = {.value = 1};

    if (argc == 2 && strcmp(argv[1], "child") == 0)
        return run_as_the_child();
    clt_open(&s.t);
    s.buffer = clt_buffer(&s.t, 0, WORDS * sizeof(cl_uint), NULL);
    step(&s, "before the fork");

    pid_t child = fork();
    if (child == 0)
        _exit(0);
    step(&s, "with a child");
    wait_for(child, "child that left");
    step(&s, "after the child");

    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", argv[0], "child", (char *)NULL);
        _exit(EXIT_FAILURE);
    }
    wait_for(child, "child that executed");
    step(&s, "after that one");

    fflush(stdout);
    child = fork();
    if (child == 0)
        _exit(go_on_as_the_child(s.t.platform));
    wait_for(child, "child that went on");
    step(&s, "after the last");
    CL_OK(clReleaseMemObject(s.buffer));
    clt_close(&s.t);
    return clt_done();
}
