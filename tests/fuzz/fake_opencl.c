/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's objects: how they live, how they are checked. See fake_opencl.h. */
#include "fake_opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_OBJECTS 4096u

static struct fake *live;
static unsigned count;

static void stop(const char *why, const void *handle)
{
    (void)fprintf(stderr, "fake OpenCL: %s: %p\n", why, handle);
    abort();
}

struct fake *fake_check(const void *handle, enum fake_type type)
{
    if (!handle)
        return NULL;
    for (struct fake *object = live; object; object = object->next)
        if (object == handle) {
            if (object->type != type)
                stop("a handle of another type was passed", handle);
            return object;
        }
    stop("a handle was passed that does not exist", handle);
    return NULL;
}

struct fake *fake_new(enum fake_type type, unsigned nparents, struct fake *const *parents)
{
    struct fake *object = count < MOST_OBJECTS ? calloc(1, sizeof(*object)) : NULL;
    if (!object)
        return NULL;
    object->type = type;
    object->references = 1;
    object->next = live;
    live = object;
    count++;
    for (unsigned i = 0; i < nparents; i++)
        if (parents[i]) {
            object->parents[i] = parents[i];
            fake_retain(parents[i]);
        }
    return object;
}

void fake_retain(struct fake *object)
{
    object->references++;
}

static void destroy(struct fake *object)
{
    struct fake **link = &live;
    while (*link != object)
        link = &(*link)->next;
    *link = object->next;
    count--;
    if (object->gone)
        object->gone(object, object->user);
    for (unsigned i = 0; i < FAKE_PARENTS; i++)
        if (object->parents[i])
            fake_release(object->parents[i]);
    if (object->owns_bytes)
        free(object->bytes);
    free(object);
}

void fake_release(struct fake *object)
{
    if (object->references == 0)
        stop("an object was released too often", object);
    if (--object->references == 0)
        destroy(object);
}

unsigned fake_opencl_count(void)
{
    return count;
}

/* Children go before what they need: whoever nobody needs is destroyed until nothing is left. */
void fake_opencl_reset(void)
{
    fake_run_commands(UINT32_MAX);
    fake_forget_commands();
    fake_forget_svm();
    while (live) {
        struct fake *child = live; /* the youngest is nobody's parent */
        child->references = 0;
        destroy(child);
    }
}

void fake_read(const void *bytes, size_t size)
{
    static volatile uint8_t sink;
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        sink = at[i];
    (void)sink;
}

void fake_write(void *bytes, size_t size)
{
    if (size)
        memset(bytes, 0x5a, size);
}

cl_int fake_answer(const void *answer, size_t have, size_t size, void *value, size_t *size_ret)
{
    if (value && size < have)
        return CL_INVALID_VALUE;
    if (value && have)
        memcpy(value, answer, have);
    if (size_ret)
        *size_ret = have;
    return CL_SUCCESS;
}

void *fake_fail(cl_int *errcode_ret, cl_int code)
{
    if (errcode_ret)
        *errcode_ret = code;
    return NULL;
}

void fake_opencl_fill(struct wh_opencl_functions_table *f)
{
    memset(f, 0, sizeof(*f));
    fake_fill_objects(f);
    fake_fill_memory(f);
    fake_fill_programs(f);
    fake_fill_commands(f);
    fake_fill_svm(f);
}
