/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callbacks of programs: asynchronous builds, compiles and links, good and bad, and release
 * callbacks. The callbacks only take notes; the main thread prints.
 */
#include "cltest.h"

#include <pthread.h>

static const char good[] =
    "kernel void fill(global int *out, int x) { out[get_global_id(0)] = x; }";
static const char bad[] = "kernel void fill(global int *out) { this does not compile }";

struct note {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned calls;
    cl_program program;
};

static void CL_CALLBACK take_note(cl_program program, void *data)
{
    struct note *n = data;

    pthread_mutex_lock(&n->lock);
    n->calls++;
    n->program = program;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
}

static void note_init(struct note *n)
{
    memset(n, 0, sizeof(*n));
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->changed, NULL);
}

static void note_wait(struct note *n)
{
    pthread_mutex_lock(&n->lock);
    while (n->calls == 0)
        pthread_cond_wait(&n->changed, &n->lock);
    pthread_mutex_unlock(&n->lock);
}

static cl_program from_source(const struct clt *t, const char *source)
{
    cl_int err;
    cl_program program = clCreateProgramWithSource(t->context, 1, &source, NULL, &err);

    CL_OK(err);
    return program;
}

static cl_build_status build_status(const struct clt *t, cl_program program)
{
    cl_build_status status = 99;

    CL_OK(clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_STATUS, sizeof(status),
                                &status, NULL));
    return status;
}

static void run_fill(const struct clt *t, cl_program program)
{
    cl_int got[8];
    cl_int value = 31;
    cl_kernel kernel = clt_kernel(program, "fill");
    cl_mem out = clt_buffer(t, 0, sizeof(got), NULL);

    clt_set_buffers(kernel, 1, &out);
    CL_OK(clSetKernelArg(kernel, 1, sizeof(value), &value));
    clt_run(t, kernel, 8, 0);
    clt_read(t, out, 0, sizeof(got), got);
    printf("runs: %d %d\n", got[0], got[7]);
    CHECK(got[0] == 31 && got[7] == 31);
    CL_OK(clReleaseMemObject(out));
    CL_OK(clReleaseKernel(kernel));
}

static void build_good(const struct clt *t)
{
    struct note n;
    cl_program program = from_source(t, good);

    note_init(&n);
    EXPECT(clBuildProgram(program, 1, &t->device, NULL, take_note, &n), CL_SUCCESS);
    note_wait(&n);
    CHECK(n.program == program);
    printf("build status %d after %u call\n", build_status(t, program), n.calls);
    run_fill(t, program);
    CL_OK(clReleaseProgram(program));
}

/* Whether the call or only the callback tells of the failure is the implementation's choice. */
static void build_bad(const struct clt *t)
{
    struct note n;
    cl_program program = from_source(t, bad);

    note_init(&n);
    SHOW(clBuildProgram(program, 1, &t->device, NULL, take_note, &n));
    note_wait(&n);
    CHECK(n.program == program);
    printf("build status %d after %u call\n", build_status(t, program), n.calls);
    CHECK(build_status(t, program) == CL_BUILD_ERROR);
    CL_OK(clReleaseProgram(program));
}

static void compile_and_link(const struct clt *t)
{
    struct note compiled;
    struct note linked;
    cl_program part = from_source(t, good);
    cl_int err;

    note_init(&compiled);
    note_init(&linked);
    EXPECT(clCompileProgram(part, 1, &t->device, NULL, 0, NULL, NULL, take_note, &compiled),
           CL_SUCCESS);
    note_wait(&compiled);
    CHECK(compiled.program == part);
    printf("compile status %d\n", build_status(t, part));
    cl_program program =
        clLinkProgram(t->context, 1, &t->device, NULL, 1, &part, take_note, &linked, &err);
    CL_OK(err);
    note_wait(&linked);
    CHECK(linked.program == program);
    printf("link status %d\n", build_status(t, program));
    run_fill(t, program);
    CL_OK(clReleaseProgram(program));
    CL_OK(clReleaseProgram(part));
}

static void several_at_once(const struct clt *t)
{
    enum { PROGRAMS = 6 };
    struct note notes[PROGRAMS];
    cl_program programs[PROGRAMS];

    for (size_t i = 0; i < PROGRAMS; i++) {
        note_init(&notes[i]);
        programs[i] = from_source(t, good);
        CL_OK(clBuildProgram(programs[i], 1, &t->device, NULL, take_note, &notes[i]));
    }
    for (size_t i = 0; i < PROGRAMS; i++) {
        note_wait(&notes[i]);
        CHECK(notes[i].calls == 1 && notes[i].program == programs[i]);
        CHECK(build_status(t, programs[i]) == CL_BUILD_SUCCESS);
        CL_OK(clReleaseProgram(programs[i]));
    }
    printf("%d builds at once\n", PROGRAMS);
}

/* Deprecated since, and an error wherever nothing could need it. */
static void release_callback(const struct clt *t)
{
    struct note n;
    cl_program program = from_source(t, good);

    note_init(&n);
    SHOW(clSetProgramReleaseCallback(program, take_note, &n));
    CL_OK(clReleaseProgram(program));
    printf("release callback ran %u times\n", n.calls);
}

int main(void)
{
    struct clt t;

    clt_open(&t);
    build_good(&t);
    build_bad(&t);
    compile_and_link(&t);
    several_at_once(&t);
    if (t.version >= 220)
        release_callback(&t);
    clt_close(&t);
    return clt_done();
}
