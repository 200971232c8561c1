/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenCL in memory for fuzzing the worker. It makes handles and believes only in those: a handle
 * that it never made or that is gone, and memory that does not exist, stop the program. It reads
 * and writes every byte it is told to, so that a sanitizer sees each one that should not be
 * touched. Commands complete late, to catch what was freed early. One thread only; nothing here
 * computes.
 */
#ifndef WH_TESTS_FUZZ_FAKE_OPENCL_H
#define WH_TESTS_FUZZ_FAKE_OPENCL_H

#include "opencl_thunks.h"

#include <stdbool.h>

enum fake_type {
    FAKE_PLATFORM = 1,
    FAKE_DEVICE,
    FAKE_CONTEXT,
    FAKE_QUEUE,
    FAKE_MEM,
    FAKE_SAMPLER,
    FAKE_PROGRAM,
    FAKE_KERNEL,
    FAKE_EVENT,
    FAKE_COMMANDS,
};

#define FAKE_PARENTS 4
#define FAKE_ARGS    5 /* of every kernel: buffer, int, sampler, long, local memory */

/* Any object; the members that its type needs are used. */
struct fake {
    enum fake_type type;
    unsigned references; /* the caller's, and one for each object that needs this one */
    struct fake *next;   /* all that live */
    struct fake *parents[FAKE_PARENTS];
    size_t size;    /* of a buffer or image, in bytes; of a program's binary */
    uint8_t *bytes; /* its storage */
    bool owns_bytes, is_cpu, is_image, has_source, is_finished;
    void *host;    /* what the caller gave as storage */
    size_t origin; /* of a sub-buffer */
    size_t pixel, width, height, depth;
    cl_int status; /* of an event */
    unsigned mapped;
    void (*gone)(void *object, void *user); /* destructor callback */
    void *user;
};

/* Fills the table: every function that the worker may call. */
void fake_opencl_fill(struct wh_opencl_functions_table *f);

/* Completes what was enqueued and frees all objects, whoever holds them. */
void fake_opencl_reset(void);

/* Objects that live. */
unsigned fake_opencl_count(void);

/* ---- between the files of the fake ---- */

/* NULL for NULL; stops the program when `handle` is no live object of the type. */
struct fake *fake_check(const void *handle, enum fake_type type);

/* A new object with one reference, which keeps its parents (NULLs are skipped). */
struct fake *fake_new(enum fake_type type, unsigned nparents, struct fake *const *parents);
void fake_retain(struct fake *object);
void fake_release(struct fake *object);

/* Reads or writes each byte. */
void fake_read(const void *bytes, size_t size);
void fake_write(void *bytes, size_t size);

/* An answer by the rules of all clGet...Info. */
cl_int fake_answer(const void *answer, size_t have, size_t size, void *value, size_t *size_ret);

cl_int fake_text(const char *answer, size_t size, void *value, size_t *size_ret);
cl_int fake_number(uint64_t answer, size_t size, void *value, size_t *size_ret);
cl_int fake_handle(const void *answer, size_t size, void *value, size_t *size_ret);

/* Sets *errcode_ret if given and returns NULL. */
void *fake_fail(cl_int *errcode_ret, cl_int code);

/* Sets *errcode_ret if given and returns the object, or says that memory is out for NULL. */
void *fake_made(struct fake *object, cl_int *errcode_ret);

void fake_fill_objects(struct wh_opencl_functions_table *f);
void fake_fill_memory(struct wh_opencl_functions_table *f);
void fake_fill_programs(struct wh_opencl_functions_table *f);
void fake_fill_commands(struct wh_opencl_functions_table *f);
void fake_fill_svm(struct wh_opencl_functions_table *f);

/* Carries out the commands that wait, the oldest `most` of them. */
void fake_run_commands(unsigned most);
void fake_forget_commands(void);
void fake_forget_svm(void);

/* Checks a queue and its wait list: CL_SUCCESS or the API's error. */
cl_int fake_check_command(const void *queue, cl_uint num_events, const cl_event *events);

/*
 * A command that reads or writes the caller's memory when it is carried out. Makes its event when
 * one is wanted. `done` (may be NULL) runs then.
 */
cl_int fake_enqueue(const void *queue, void *memory, size_t size, bool writes, cl_event *event,
                    void (*done)(void *user), void *user);

#endif
