/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what the OpenCL shim does when the worker sends a token: which tokens count, how
 * often, and what is left of one whose call was refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/opencl/shim.h"

static struct wh_object object = {.pins = 1};
static unsigned expected, called;
static cl_int answer; /* of the worker to every call */
static uint64_t asked[4];

/* ---- what the table stands on ---- */

struct wh_session *wh_opencl_session(void)
{
    static char session;
    return (struct wh_session *)(void *)&session;
}

struct wh_object *wh_opencl_object(const void *handle, uint16_t type)
{
    (void)type;
    return handle == &object ? &object : NULL;
}

uint64_t wh_opencl_invoke(uint16_t number, uint64_t *a)
{
    (void)number;
    memcpy(asked, a, 2 * sizeof(*a));
    return (uint64_t)(int64_t)answer;
}

void wh_object_pin(struct wh_object *pinned)
{
    pinned->pins++;
}

void wh_object_unpin(struct wh_object *pinned)
{
    pinned->pins--;
}

void wh_news_expect(struct wh_session *session)
{
    (void)session;
    expected++;
}

void wh_news_unexpect(struct wh_session *session)
{
    (void)session;
    assert_true(expected > 0);
    expected--;
}

struct wh_arena *wh_session_arena(struct wh_session *session)
{
    (void)session;
    return NULL;
}

void wh_arena_release(struct wh_arena *arena, const struct wh_block *block)
{
    (void)arena;
    (void)block;
    called++;
}

void wh_opencl_run_native(void *native)
{
    (void)native;
    called++;
}

/* ---- the tests ---- */

static int start(void **state)
{
    (void)state;
    atomic_store(&object.pins, 1);
    expected = called = 0;
    answer = CL_SUCCESS;
    return 0;
}

static void hear_text(const char *text, const void *data, size_t size, void *user)
{
    (void)data;
    (void)size;
    assert_string_equal(text, "oops");
    assert_ptr_equal(user, &called);
    called++;
}

static void hear_end(cl_context context, void *user)
{
    assert_ptr_equal(context, &object);
    assert_ptr_equal(user, &called);
    called++;
}

/* A context's may come often, until it is told to stop. */
static void context(void **state)
{
    const struct wh_cl_notice notice = {
        .kind = WH_CL_NOTICE_CONTEXT, .function = (void (*)(void))hear_text, .user = &called};
    uint64_t text = 0;
    (void)state;
    memcpy(&text, "oops", 4);
    uint64_t token = wh_opencl_notice_add(&notice, false);
    assert_true(token != 0);
    wh_opencl_callback(NULL, token, &text, 1);
    wh_opencl_callback(NULL, token, &text, 1);
    assert_int_equal(called, 2);
    wh_opencl_notice_cancel(token);
    wh_opencl_callback(NULL, token, &text, 1);
    assert_int_equal(called, 2);
    /* Another one in its place is not it. */
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t other = wh_opencl_notice_add(&notice, false);
        assert_true(other != 0 && other != token);
        wh_opencl_notice_cancel(other);
        wh_opencl_callback(NULL, other, &text, 1);
    }
    assert_int_equal(called, 2);
}

/* Tokens that nobody gave, or gave once. */
static void lies(void **state)
{
    const struct wh_cl_notice notice = {.kind = WH_CL_NOTICE_NATIVE};
    (void)state;
    uint64_t token = wh_opencl_notice_expect(&notice, false);
    const uint64_t wrong[] = {0,          1,          token + 1, token - 1, token + (1ull << 32),
                              UINT64_MAX, UINT32_MAX, 1ull << 32};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        wh_opencl_callback(NULL, wrong[i], NULL, 0);
        wh_opencl_freed(NULL, wrong[i]);
        wh_opencl_notice_cancel(wrong[i]);
    }
    assert_int_equal(called, 0);
    wh_opencl_callback(NULL, token, NULL, 0);
    wh_opencl_callback(NULL, token, NULL, 0);
    assert_int_equal(called, 1);
}

/* Whatever a notice pins is let go, and nothing is expected any more. */
static void refused(void **state)
{
    (void)state;
    for (unsigned kind = WH_CL_NOTICE_CONTEXT; kind <= WH_CL_NOTICE_STORAGE; kind++) {
        const struct wh_cl_notice notice = {.kind = kind, .object = &object};
        uint64_t token = wh_opencl_notice_expect(&notice, true);
        assert_int_equal(object.pins, 2);
        assert_int_equal(expected, 1);
        assert_int_equal(wh_opencl_notice_judge(token, CL_INVALID_VALUE), CL_INVALID_VALUE);
        assert_int_equal(object.pins, 1);
        assert_int_equal(expected, 0);
        wh_opencl_callback(NULL, token, NULL, 0);
    }
    assert_int_equal(called, 0);
}

static void accepted(void **state)
{
    const struct wh_cl_notice notice = {.kind = WH_CL_NOTICE_NATIVE, .object = &object};
    (void)state;
    uint64_t token = wh_opencl_notice_expect(&notice, true);
    assert_int_equal(wh_opencl_notice_judge(token, CL_SUCCESS), CL_SUCCESS);
    assert_int_equal(object.pins, 2);
    assert_int_equal(expected, 1);
    wh_opencl_callback(NULL, token, NULL, 0);
    assert_int_equal(called, 1);
}

static void at_the_end(void **state)
{
    cl_context handle = (cl_context)(void *)&object;
    (void)state;
    answer = CL_OUT_OF_HOST_MEMORY;
    assert_int_equal(clSetContextDestructorCallback(handle, hear_end, &called), answer);
    assert_int_equal(expected, 0);
    assert_ptr_equal((void *)(uintptr_t)asked[0], &object);
    wh_opencl_callback(NULL, asked[1], NULL, 0);
    assert_int_equal(called, 0);
    answer = CL_SUCCESS;
    assert_int_equal(clSetContextDestructorCallback(handle, hear_end, &called), answer);
    assert_int_equal(expected, 1);
    wh_opencl_callback(NULL, asked[1], NULL, 0);
    assert_int_equal(called, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(context, start),    cmocka_unit_test_setup(lies, start),
        cmocka_unit_test_setup(refused, start),    cmocka_unit_test_setup(accepted, start),
        cmocka_unit_test_setup(at_the_end, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
