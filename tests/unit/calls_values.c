/* SPDX-License-Identifier: Apache-2.0 */
/* Calls from end to end: what goes in by value, in memory and as a question, and what comes out.
 * See calls_support.h. */
#include "calls_support.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* ---- scalars and results ---- */

static void test_scalars(void **state)
{
    sm_scalars seen;
    (void)state;
    memset(&seen, 0xff, sizeof(seen));
    assert_int_equal(smValues(INT8_MIN, UINT8_MAX, INT16_MIN, UINT16_MAX, INT32_MIN, UINT32_MAX,
                              INT64_MIN, UINT64_MAX, -1.5f, 1e300, &seen),
                     0);
    assert_int_equal(lib.scalars.i8, INT8_MIN);
    assert_int_equal(lib.scalars.u8, UINT8_MAX);
    assert_int_equal(lib.scalars.i16, INT16_MIN);
    assert_int_equal(lib.scalars.u16, UINT16_MAX);
    assert_int_equal(lib.scalars.i32, INT32_MIN);
    assert_int_equal(lib.scalars.u32, UINT32_MAX);
    assert_true(lib.scalars.i64 == INT64_MIN);
    assert_true(lib.scalars.u64 == UINT64_MAX);
    assert_true(lib.scalars.real == -1.5f);
    assert_true(lib.scalars.wide == 1e300);
    assert_int_equal(seen.i16, INT16_MIN);
    assert_true(seen.wide == 1e300);
    assert_int_equal(smValues(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, NULL), 0);
    assert_int_equal(lib.scalars.i64, 7);
}

static void test_results(void **state)
{
    (void)state;
    assert_true(smTicks(UINT64_MAX - 1) == UINT64_MAX);
    lib.fail = -1234;
    assert_int_equal(smSync(), -1234);
    assert_int_equal(smSync(), 0);
    smNotify(99);
    assert_int_equal(smSync(), 0);
    assert_int_equal(lib.code, 99);
}

/* ---- bytes and texts ---- */

static void test_bytes(void **state)
{
    static uint8_t bytes[1u << 20];
    static const size_t sizes[] = {
        0, 1, 7, 8, 9, 2000, INLINE_MOST - 1, INLINE_MOST, INLINE_MOST + 1, sizeof(bytes)};
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 131 >> 4);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t sum = sum_of(bytes, sizes[i]);
        assert_int_equal(smBytes(sizes[i], bytes), 0);
        assert_false(lib.was_null); /* of no bytes, too */
        assert_int_equal(lib.size, sizes[i]);
        assert_true(lib.sum == sum);
        assert_int_equal(smBytesFirst(bytes, sizes[i]), 0);
        assert_int_equal(lib.size, sizes[i]);
        assert_true(lib.sum == sum);
        assert_int_equal(smPostBytes(sizes[i], bytes), 0);
        assert_int_equal(smSync(), 0);
        assert_true(lib.sum == sum);
        assert_int_equal(lib.size, sizes[i]);
    }
    assert_int_equal(smBytes(12, NULL), 0);
    assert_true(lib.was_null);
    assert_int_equal(lib.size, 12);
    expect_arena_empty();
}

static void test_bytes_that_fit_nowhere(void **state)
{
    unsigned before = lib.calls;
    uint8_t *bytes = calloc(1, PAIR_ARENA + 1);
    (void)state;
    assert_non_null(bytes);
    assert_int_equal(smBytes(PAIR_ARENA + 1, bytes), wh_sample_api.no_memory);
    assert_int_equal(lib.calls, before);
    assert_int_equal(smBytes(PAIR_ARENA, bytes), 0);
    assert_int_equal(lib.size, PAIR_ARENA);
    assert_int_equal(smBytes(SIZE_MAX, bytes), SM_BAD_VALUE);
    expect_arena_empty();
    free(bytes);
}

static void test_texts(void **state)
{
    const char *list[] = {"one", NULL, "", "four"};
    char *text = malloc(100001);
    (void)state;
    assert_non_null(text);
    assert_int_equal(smTexts("hello", 4, list), 0);
    assert_int_equal(lib.size, 5);
    assert_int_equal(lib.strings, 4);
    assert_int_equal(lib.nulls, 1);
    assert_string_equal(lib.text, "onefour");
    assert_int_equal(smTexts("", 0, list), 0);
    assert_false(lib.was_null);
    assert_int_equal(lib.size, 0);
    assert_int_equal(lib.strings, 0);
    assert_int_equal(smTexts(NULL, 4, NULL), 0);
    assert_true(lib.was_null);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    assert_int_equal(smTexts(text, 0, NULL), 0);
    assert_int_equal(lib.size, 100000);
    const char *large[] = {text, "b"}; /* lists travel in the message, which has a limit */
    assert_int_equal(smTexts(NULL, 2, large), wh_sample_api.no_memory);
    expect_arena_empty();
    free(text);
}

/* ---- results in memory ---- */

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = 0xcd;
}

static void test_out(void **state)
{
    static const uint32_t sizes[] = {0, 1, 2, 15, 1900, 2024, 5000, 65536, 1u << 20};
    uint8_t *bytes = malloc((1u << 20) + 8);
    (void)state;
    assert_non_null(bytes);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t written = 77;
        uint32_t size = sizes[i];
        fill(bytes, (size_t)size + 8);
        assert_int_equal(smOut(size, bytes, &written), 0);
        assert_false(lib.was_null);
        assert_int_equal(written, size / 2);
        for (uint32_t k = 0; k < size + 8;
             k++) /* what the library left alone comes as zeros, never as old memory */
            if (bytes[k] != (k < size / 2 ? 0xab : k < size ? 0 : 0xcd))
                fail_msg("byte %u of %u is %02x", k, size, bytes[k]);
        lib.fail = -9; /* a failed call changes nothing */
        fill(bytes, size);
        written = 77;
        assert_int_equal(smOut(size, bytes, &written), -9);
        assert_int_equal(written, 77);
        assert_true(size == 0 || bytes[0] == 0xcd);
    }
    assert_int_equal(smOut(100, NULL, NULL), 0);
    assert_true(lib.was_null);
    assert_int_equal(smOut(PAIR_ARENA + 1, bytes, NULL), wh_sample_api.no_memory);
    expect_arena_empty();
    free(bytes);
}

/* ---- questions ---- */

static void test_info(void **state)
{
    sm_buffer a = buffer();
    sm_device parent = NULL, devices[DEVICES + 1] = {0};
    sm_prop list[5] = {0};
    uint64_t number = 0;
    size_t size = 0;
    (void)state;
    assert_int_equal(smGetInfo(a, SM_COUNT, sizeof(number), &number, &size), 0);
    assert_int_equal(number, 42);
    assert_int_equal(size, 8);
    assert_int_equal(smGetInfo(a, SM_COUNT, 4, &number, NULL), SM_BAD_VALUE);
    assert_int_equal(smGetInfo(a, SM_COUNT, 0, NULL, &size), 0);
    assert_int_equal(size, 8);
    assert_int_equal(smGetInfo(a, SM_COUNT, sizeof(number), &number, NULL), 0);
    assert_int_equal(smGetInfo(a, SM_PARENT, sizeof(parent), &parent, &size), 0);
    assert_ptr_equal(parent, device(0));
    size = 0;
    assert_int_equal(smGetInfo(a, SM_DEVICES, sizeof(devices), devices, &size),
                     0); /* more room than answer */
    assert_int_equal(size, DEVICES * sizeof(void *));
    for (unsigned i = 0; i < DEVICES; i++)
        assert_ptr_equal(devices[i], device(i));
    assert_null(devices[DEVICES]);
    assert_int_equal(smGetInfo(a, SM_PROPERTIES, sizeof(list), list, &size), 0);
    assert_int_equal(list[0], SM_OWNER);
    assert_ptr_equal((void *)list[1], device(1));
    assert_int_equal(list[2], SM_MODE);
    assert_int_equal(list[4], 0);
    assert_int_equal(smRelease(a), 0);
}

/* What never changes is asked for once. */
static void test_fixed_info_is_remembered(void **state)
{
    sm_buffer a = buffer(), b = buffer();
    uint64_t number;
    size_t size;
    (void)state;
    assert_int_equal(smGetInfo(a, SM_SIZE, sizeof(number), &number, NULL), 0);
    unsigned before = lib.infos;
    for (unsigned i = 0; i < 100; i++) {
        number = 0;
        assert_int_equal(smGetInfo(a, SM_SIZE, sizeof(number), &number, &size), 0);
        assert_int_equal(number, 42);
        assert_int_equal(size, 8);
        assert_int_equal(smGetInfo(a, SM_SIZE, 3, &number, NULL), SM_BAD_VALUE);
        assert_int_equal(smGetInfo(a, SM_SIZE, 0, NULL, &size), 0);
    }
    assert_int_equal(lib.infos, before);
    assert_int_equal(smGetInfo(b, SM_SIZE, sizeof(number), &number, NULL),
                     0); /* of another object: asked */
    assert_true(lib.infos > before);
    before = lib.infos;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(smGetInfo(a, SM_COUNT, sizeof(number), &number, NULL), 0);
    assert_int_equal(lib.infos, before + 10);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(b), 0);
    /* An object in the same place is asked anew. */
    sm_buffer c = buffer();
    before = lib.infos;
    assert_int_equal(smGetInfo(c, SM_SIZE, sizeof(number), &number, NULL), 0);
    assert_true(lib.infos > before);
    assert_int_equal(smRelease(c), 0);
}

/* A wait that ended well is not repeated until something was sent; one that failed is. */
static void test_settled_waits(void **state)
{
    sm_buffer a = buffer(), b = buffer();
    (void)state;
    unsigned before = lib.calls;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(smFinish(a), 0);
    assert_int_equal(lib.calls, before + 1);
    assert_int_equal(smFinish(b), 0); /* another object */
    assert_int_equal(smFinish(a), 0); /* which something was sent for */
    assert_int_equal(smFinishAll(), 0);
    assert_int_equal(smFinishAll(), 0);
    assert_int_equal(lib.calls, before + 4);
    smNotify(1);
    assert_int_equal(smFinishAll(), 0);
    assert_int_equal(smFail(-71), 0);
    assert_int_equal(smFinishAll(), -71);
    lib.fail = -5;
    assert_int_equal(smFinishAll(), -5);
    before = lib.calls;
    assert_int_equal(smFinishAll(), 0);
    assert_int_equal(smFinishAll(), 0);
    assert_int_equal(lib.calls, before + 1);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(b), 0);
}

static void *finish_and_ask(void *buffer)
{
    assert_int_equal(smFinish(buffer), 0);
    assert_int_equal(smTicks(1), 2);
    return NULL;
}

/* What another thread sent counts too. */
static void test_settled_by_another_thread(void **state)
{
    sm_buffer a = buffer();
    pthread_t thread;
    (void)state;
    assert_int_equal(smFinish(a), 0);
    assert_int_equal(pthread_create(&thread, NULL, finish_and_ask, a), 0);
    pthread_join(thread, NULL);
    unsigned before = lib.calls;
    assert_int_equal(smFinish(a), 0);
    assert_int_equal(lib.calls, before + 1);
    assert_int_equal(smFinish(a), 0);
    assert_int_equal(lib.calls, before + 1);
    assert_int_equal(smRelease(a), 0);
}

/* Answers that hold addresses of the worker, or that nobody knows the meaning of, do not leave it.
 */
static void test_secret_info(void **state)
{
    static const sm_info names[] = {SM_ADDRESS, 0x999, 0, UINT32_MAX};
    sm_buffer a = buffer();
    (void)state;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint64_t value = 0x77;
        size_t size = 77;
        assert_int_equal(smGetInfo(a, names[i], sizeof(value), &value, &size), SM_BAD_VALUE);
        assert_int_equal(value, 0x77);
        assert_int_equal(size, 77);
    }
    assert_int_equal(smRelease(a), 0);
}

/* ---- answers that are kept ---- */

static void test_answers_are_asked_for_once(void **state)
{
    sm_buffer a = buffer(), b = buffer();
    uint64_t value = 0;
    (void)state;
    lib.limit = 100;
    assert_int_equal(smLimit(7, a, &value), 0);
    assert_int_equal(value, 107);
    unsigned calls = lib.calls;
    lib.limit = 200; /* an answer that changes all the same is not asked for again */
    assert_int_equal(smLimit(7, a, &value), 0);
    assert_int_equal(value, 107);
    assert_int_equal(lib.calls, calls);
    assert_int_equal(smLimit(8, a, &value), 0); /* another question */
    assert_int_equal(value, 208);
    assert_int_equal(smLimit(7, b, &value), 0); /* about another object */
    assert_int_equal(value, 207);
    assert_int_equal(smSetLimit(a, 300), 0);
    assert_int_equal(smLimit(7, a, &value), 0);
    assert_int_equal(value, 307);
    assert_int_equal(smLimit(7, b, &value), 0); /* nobody said that this one changed */
    assert_int_equal(value, 207);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(b), 0);
}

static void *ask_limit(void *buffer)
{
    uint64_t value = 0;
    assert_int_equal(smLimit(1, buffer, &value), 0);
    assert_int_equal(value, 101); /* asked for before it changed */
    return NULL;
}

static void *set_limit(void *buffer)
{
    assert_int_equal(smSetLimit(buffer, 500), 0);
    return NULL;
}

/* An answer on its way while another thread changes what it is about is not kept. */
static void test_overtaken_answers(void **state)
{
    sm_buffer a = buffer();
    const struct wh_call_stats *sets =
        &wh_session_stats(lives->session)->calls[WH_SAMPLE_smSetLimit];
    uint64_t value = 0, sent = sets->waited;
    pthread_t asks, changes;
    (void)state;
    lib.limit = 100;
    lib.hold = true;
    assert_int_equal(pthread_create(&asks, NULL, ask_limit, a), 0);
    sem_wait(&lib.waiting);
    assert_int_equal(pthread_create(&changes, NULL, set_limit, a), 0);
    while (sets->waited == sent)
        sched_yield();
    sem_post(&lib.go_on);
    pthread_join(asks, NULL);
    pthread_join(changes, NULL);
    assert_int_equal(smLimit(1, a, &value), 0);
    assert_int_equal(value, 501);
    assert_int_equal(smRelease(a), 0);
}

static void test_answers_about_no_object(void **state)
{
    uint64_t value = 0;
    uint32_t more = 0;
    (void)state;
    lib.limit = 10;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(smCommon(i, &value, &more), 0);
        assert_int_equal(value, 10 + i);
        assert_int_equal(more, i);
    }
    unsigned calls = lib.calls;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(smCommon(i, &value, &more), 0);
        assert_int_equal(value, 10 + i);
    }
    assert_int_equal(lib.calls, calls);
    /* Places that are not wanted make another question: their answers are not known. */
    assert_int_equal(smCommon(5, NULL, &more), 0);
    assert_int_equal(lib.calls, calls + 1);
    assert_int_equal(more, 5);
}

static void test_failures_are_not_kept(void **state)
{
    uint64_t value = 1;
    (void)state;
    lib.fail = -77;
    assert_int_equal(smCommon(5000, &value, NULL), -77);
    assert_int_equal(smCommon(5000, &value, NULL), 0);
    assert_int_equal(value, lib.limit + 5000);
    assert_int_equal(smLimit(1, (sm_buffer)(void *)&value, &value), SM_BAD_BUFFER);
}

/* ---- the accelerator's memory ---- */

static void test_memory_is_the_sessions(void **state)
{
    uint32_t seen = 0;
    (void)state;
    assert_int_equal(smTouch(MEMORY, MEMORY_SIZE / 2, MEMORY, &seen), 0);
    assert_int_equal(seen, 0x5ee);
    assert_int_equal(smTouch(MEMORY + 8, MEMORY_SIZE / 2 - 4, MEMORY + MEMORY_SIZE - 1, NULL), 0);
    assert_int_equal(smTouch(1, 0, 0, NULL), 0); /* nothing is touched */
    assert_int_equal(lib.unmade, 0);
    unsigned calls = lib.calls, entered = lib.entered, n = 0;
    static const struct {
        uint64_t address, size, any;
    } bad[] = {
        {MEMORY, MEMORY_SIZE / 2 + 1, MEMORY},
        {MEMORY - 1, 1, MEMORY},
        {MEMORY + MEMORY_SIZE, 1, MEMORY},
        {MEMORY, 1, MEMORY + MEMORY_SIZE},
        {0, 1, MEMORY},
        {UINT64_MAX, 1, MEMORY},
        {MEMORY, 1ull << 63, MEMORY},
        {MEMORY, (1ull << 63) + 1, MEMORY},
        {(uintptr_t)&lib, 8, MEMORY},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        seen = 0x77;
        assert_int_equal(smTouch(bad[i].address, bad[i].size, bad[i].any, &seen), SM_BAD_VALUE);
        assert_int_equal(seen, 0x77);
        n++;
    }
    assert_int_equal(lib.calls, calls);         /* the library saw none of them, */
    assert_int_equal(lib.unmade, n);            /* the backend all, */
    assert_int_equal(lib.entered, entered + n); /* in the place of their threads */
}

/* ---- handles that are numbers ---- */

static void test_special_handles(void **state)
{
    (void)state;
    assert_int_equal(smOpenLane(&lib.lane), 0);
    assert_int_equal(smLane(lib.lane), 0);
    void *real = lib.handles[0];
    assert_non_null(real);
    lib.handles[0] = NULL;
    assert_int_equal(smLane((sm_lane)(uintptr_t)1), 0);
    assert_ptr_equal(lib.handles[0], real);
    assert_int_equal(smLane(NULL), 0);
    assert_null(lib.handles[0]);
    assert_int_equal(smLane((sm_lane)(uintptr_t)2), SM_BAD_EVENT); /* the shim knows no such one */
    assert_int_equal(smLane((sm_lane)(uintptr_t)4097), SM_BAD_EVENT);
}

/* ---- the arena by hand ---- */

static void test_arena_parameter(void **state)
{
    sm_buffer a = buffer();
    const struct wh_block *block = wh_arena_allocate(lives->session->arena, 1000, 64);
    uint8_t *bytes = wh_arena_address(lives->session->arena, block);
    (void)state;
    memset(bytes, 0x42, 1000);
    uint64_t sum = sum_of(bytes, 1000);
    assert_int_equal(wh_sample_call_move(a, 1000, block->offset), 0);
    assert_true(lib.sum == sum);
    assert_int_equal(bytes[999], 0x11);
    wh_arena_release(lives->session->arena, block);
    assert_int_equal(smRelease(a), 0);
    expect_arena_empty();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bytes_that_fit_nowhere),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_out),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_fixed_info_is_remembered),
        cmocka_unit_test(test_settled_waits),
        cmocka_unit_test(test_settled_by_another_thread),
        cmocka_unit_test(test_secret_info),
        cmocka_unit_test(test_arena_parameter),
        cmocka_unit_test(test_answers_are_asked_for_once),
        cmocka_unit_test(test_overtaken_answers),
        cmocka_unit_test(test_answers_about_no_object),
        cmocka_unit_test(test_failures_are_not_kept),
        cmocka_unit_test(test_memory_is_the_sessions),
        cmocka_unit_test(test_special_handles),
    };
    return cmocka_run_group_tests(tests, open_library, NULL);
}
