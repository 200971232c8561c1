/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fork after the parent has used OpenCL: one child leaves at once, one executes this program anew
 * and uses the device there. The parent's objects work before, between and after.
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
    CL_OK(clReleaseMemObject(s.buffer));
    clt_close(&s.t);
    return clt_done();
}
