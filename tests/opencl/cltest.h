/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared helper of the OpenCL programs in this folder: picks a device, builds programs, counts
 * failed checks and prints values in a form that is the same on every run.
 *
 * Every program here is run twice by the test runner, once on the machine's own OpenCL and once
 * remoted, and stdout, stderr and exit status are compared byte for byte. So nothing in this folder
 * may print an address, a time, a path, the platform's name, or anything that depends on how
 * threads interleave.
 */
#ifndef CLTEST_H
#define CLTEST_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#define CL_USE_DEPRECATED_OPENCL_2_1_APIS
#define CL_USE_DEPRECATED_OPENCL_2_2_APIS

#include <CL/cl.h>
#include <CL/cl_ext.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exit status that means "the device lacks the feature". */
#define CLT_SKIPPED 77

#define CLT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What nearly every program needs. version is 100 * major + 10 * minor, as in 120 or 300. */
struct clt {
    cl_platform_id platform;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    unsigned version;
};

/* Picks the first device of the first platform that has one; context and queue stay NULL. */
void clt_open_device(struct clt *t);

/* As above, with a context and an in-order queue. */
void clt_open(struct clt *t);

/* Releases the queue and the context and checks that both releases succeed. */
void clt_close(struct clt *t);

/* Ends the program with CLT_SKIPPED after printing why. */
_Noreturn void clt_skip(const char *why);

/* Skips unless the device's version is at least the given one (200 for OpenCL 2.0). */
void clt_need_version(const struct clt *t, unsigned version);

/* Skips unless the device supports images. */
void clt_need_images(const struct clt *t);

/*
 * Whether the implementation checks its arguments at all. Some trust the program, and would carry
 * out the calls that the sections about errors make; those sections begin with this question.
 */
bool clt_validates(const struct clt *t);

/* Prints the verdict and returns the exit status; the last call of every main. */
int clt_done(void);

/* Builds for t->device; on failure prints the build log and ends the program. */
cl_program clt_build(const struct clt *t, const char *source, const char *options);

/* One kernel of a program; the program's reference is dropped, the kernel keeps it alive. */
cl_kernel clt_build_kernel(const struct clt *t, const char *source, const char *name);

cl_kernel clt_kernel(cl_program program, const char *name);
cl_mem clt_buffer(const struct clt *t, cl_mem_flags flags, size_t size, void *host);
cl_command_queue clt_queue(const struct clt *t, cl_command_queue_properties properties);

/* Sets the arguments from index 0 on to buffers. */
void clt_set_buffers(cl_kernel kernel, unsigned count, const cl_mem *buffers);

/* Launches over one dimension; local 0 leaves the choice to the implementation. */
void clt_run(const struct clt *t, cl_kernel kernel, size_t global, size_t local);

/* Blocking transfers of a whole range on t->queue. */
void clt_read(const struct clt *t, cl_mem buffer, size_t offset, size_t size, void *to);
void clt_write(const struct clt *t, cl_mem buffer, size_t offset, size_t size, const void *from);

/* Names; an unknown code gives "unknown". Valid for the life of the program. */
const char *clt_error_name(cl_int code);
const char *clt_status_name(cl_int status);
const char *clt_command_name(cl_command_type type);

/* FNV-1a, 64 bits. */
uint64_t clt_hash(const void *data, size_t size);
void clt_show_hash(const char *what, const void *data, size_t size);

/* Fills memory from a fixed sequence; equal seeds give equal bytes. */
void clt_fill_random(void *data, size_t size, uint64_t seed);
uint64_t clt_next_random(uint64_t *state);

/* Compares and reports the first difference; false when they differ. */
bool clt_same(const char *what, const void *got, const void *want, size_t size);

void *clt_alloc(size_t size);

/* What the macros below call. */
bool clt_check(bool holds, const char *text, const char *file, int line);
void clt_ok(cl_int err, const char *text, const char *file, int line);
void clt_expect(cl_int got, cl_int want, const char *text);
void clt_show(cl_int got, const char *text);

/* A failed check is reported and counted; the program goes on. */
#define CHECK(condition) clt_check((condition), #condition, __FILE__, __LINE__)

/* A call that must succeed for the rest to make sense; else the program ends. */
#define CL_OK(call) clt_ok((call), #call, __FILE__, __LINE__)

/*
 * Prints the call and the code it gave. It must succeed when want is CL_SUCCESS and must fail
 * otherwise; which error code an implementation picks is printed, not judged.
 */
#define EXPECT(call, want) clt_expect((call), (want), #call)

/* Prints the code only: implementations differ about whether this is an error at all. */
#define SHOW(call) clt_show((call), #call)

/* EXPECT for calls which return an object and leave the code in a local variable err. */
#define EXPECT_NO_OBJECT(call, want)    \
    do {                                \
        err = CL_SUCCESS;               \
        const void *object_ = (call);   \
        clt_expect(err, (want), #call); \
        CHECK(object_ == NULL);         \
    } while (0)

#endif
