/* SPDX-License-Identifier: Apache-2.0 */
/* The map of a session's device memory: what decides whether an address may reach the driver. */
#include "backend/cuda/ranges.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool add(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size, void *owner)
{
    struct wh_cuda_range range = {.start = start, .size = size, .owner = owner, .kind = 7};
    return wh_cuda_ranges_add(ranges, &range);
}

static bool inside(struct wh_cuda_ranges *ranges, uint64_t address, uint64_t size)
{
    struct wh_cuda_range range;
    return wh_cuda_ranges_find(ranges, address, size, &range);
}

static void test_edges(void **state)
{
    struct wh_cuda_ranges *ranges = wh_cuda_ranges_new();
    struct wh_cuda_range found;
    (void)state;
    assert_non_null(ranges);
    assert_false(inside(ranges, 0, 0));
    assert_true(add(ranges, 1000, 100, NULL));
    assert_true(wh_cuda_ranges_find(ranges, 1099, 1, &found));
    assert_int_equal(found.start, 1000);
    assert_int_equal(found.kind, 7);
    assert_true(inside(ranges, 1000, 100));
    assert_true(inside(ranges, 1099, 0));
    assert_false(inside(ranges, 1100, 0)); /* just behind is not inside, even for no bytes */
    assert_false(inside(ranges, 999, 1));
    assert_false(inside(ranges, 999, 2));
    assert_false(inside(ranges, 1000, 101));
    assert_false(inside(ranges, 1050, UINT64_MAX));
    assert_false(inside(ranges, UINT64_MAX, 1));
    wh_cuda_ranges_free(ranges);
}

static void test_ranges_are_disjoint(void **state)
{
    struct wh_cuda_ranges *ranges = wh_cuda_ranges_new();
    (void)state;
    assert_true(add(ranges, 1000, 100, NULL));
    assert_false(add(ranges, 1000, 100, NULL));
    assert_false(add(ranges, 1099, 1, NULL));
    assert_false(add(ranges, 900, 101, NULL));
    assert_false(add(ranges, 900, 1000, NULL));
    assert_false(add(ranges, 5, 0, NULL));
    assert_false(add(ranges, UINT64_MAX - 4, 5, NULL) && add(ranges, UINT64_MAX - 4, 6, NULL));
    assert_true(add(ranges, 900, 100, NULL));
    assert_true(add(ranges, 1100, 1, NULL));
    /* Neighbours are not one allocation. */
    assert_false(inside(ranges, 999, 2));
    wh_cuda_ranges_free(ranges);
}

static bool add_chunk(struct wh_cuda_ranges *ranges, uint64_t start, uint64_t size)
{
    const struct wh_cuda_range range = {
        .start = start, .size = size, .chunk = true, .closed = true};
    return wh_cuda_ranges_add(ranges, &range);
}

/* What is mapped side by side is one piece of memory, as far as it is open. */
static void test_chunks(void **state)
{
    struct wh_cuda_ranges *ranges = wh_cuda_ranges_new();
    struct wh_cuda_range found;
    (void)state;
    assert_true(add_chunk(ranges, 1000, 100));
    assert_true(add_chunk(ranges, 1100, 50));
    assert_true(add_chunk(ranges, 1150, 50));
    assert_true(add(ranges, 1200, 100, NULL));
    assert_true(add_chunk(ranges, 1400, 100));
    assert_false(inside(ranges, 1000, 1));
    assert_true(wh_cuda_ranges_find_chunk(ranges, 1099, &found));
    assert_int_equal(found.start, 1000);
    assert_false(wh_cuda_ranges_find_chunk(ranges, 1200, &found));
    assert_true(wh_cuda_ranges_are_chunks(ranges, 1000, 100));
    assert_true(wh_cuda_ranges_are_chunks(ranges, 1000, 150));
    assert_true(wh_cuda_ranges_are_chunks(ranges, 1100, 100));
    assert_false(wh_cuda_ranges_are_chunks(ranges, 1000, 101));
    assert_false(wh_cuda_ranges_are_chunks(ranges, 1001, 99));
    assert_false(wh_cuda_ranges_are_chunks(ranges, 1000, 300));
    assert_false(wh_cuda_ranges_are_chunks(ranges, 1000, 0));
    assert_false(wh_cuda_ranges_are_chunks(ranges, 1000, UINT64_MAX));
    assert_false(wh_cuda_ranges_are_chunks(ranges, 1200, 100));
    wh_cuda_ranges_open(ranges, 1000, 150, true);
    assert_true(wh_cuda_ranges_find(ranges, 1050, 100, &found));
    assert_int_equal(found.start, 1000);
    assert_false(inside(ranges, 1050, 101)); /* the third is closed */
    wh_cuda_ranges_open(ranges, 1150, 50, true);
    assert_true(inside(ranges, 1000, 200));
    assert_false(inside(ranges, 1000, 201)); /* what follows is an allocation of its own */
    assert_false(inside(ranges, 1050, UINT64_MAX));
    assert_false(inside(ranges, 1050, UINT64_MAX - 50));
    wh_cuda_ranges_open(ranges, 1100, 50, false);
    assert_false(inside(ranges, 1000, 200));
    assert_true(inside(ranges, 1150, 50));
    assert_true(wh_cuda_ranges_touch(ranges, 1300, 101));
    assert_false(wh_cuda_ranges_touch(ranges, 1300, 100));
    assert_true(wh_cuda_ranges_touch(ranges, 1499, 1));
    assert_false(wh_cuda_ranges_touch(ranges, 1500, 1));
    assert_true(wh_cuda_ranges_take_chunk(ranges, 1000, 150, &found));
    assert_int_equal(found.start, 1000);
    assert_true(wh_cuda_ranges_take_chunk(ranges, 1000, 150, &found));
    assert_int_equal(found.start, 1100);
    assert_false(wh_cuda_ranges_take_chunk(ranges, 1000, 150, &found));
    assert_false(wh_cuda_ranges_take_chunk(ranges, 1200, 100, &found));
    wh_cuda_ranges_free(ranges);
}

static void test_take(void **state)
{
    struct wh_cuda_ranges *ranges = wh_cuda_ranges_new();
    struct wh_cuda_range taken;
    int one, two;
    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        assert_true(add(ranges, (i * 7919 % 1000 + 1) * 64, 64, i % 2 ? &one : &two));
    assert_false(wh_cuda_ranges_take(ranges, 65, NULL)); /* not where one starts */
    assert_true(wh_cuda_ranges_take(ranges, 64, &taken));
    assert_int_equal(taken.start, 64);
    assert_false(inside(ranges, 64, 1));
    assert_true(inside(ranges, 128, 64));
    unsigned n = 0;
    while (wh_cuda_ranges_take_owned(ranges, &one, &taken)) {
        assert_ptr_equal(taken.owner, &one);
        n++;
    }
    assert_in_range(n, 499, 500);
    while (wh_cuda_ranges_take_owned(ranges, &two, NULL))
        n++;
    assert_int_equal(n, 999);
    for (uint64_t i = 0; i <= 1001; i++)
        assert_false(inside(ranges, i * 64, 1));
    wh_cuda_ranges_free(ranges);
}

/* A module's variable goes with the module, or with the context that it lies in. */
static void test_within(void **state)
{
    struct wh_cuda_ranges *ranges = wh_cuda_ranges_new();
    struct wh_cuda_range taken;
    int module, first, second;
    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        const struct wh_cuda_range range = {.start = 64 * i,
                                            .size = 64,
                                            .owner = i < 3 ? &module : NULL,
                                            .within = i < 2 ? &first : &second};
        assert_true(wh_cuda_ranges_add(ranges, &range));
    }
    assert_true(wh_cuda_ranges_take_owned(ranges, &first, &taken));
    assert_ptr_equal(taken.within, &first);
    assert_true(wh_cuda_ranges_take_owned(ranges, &first, NULL));
    assert_false(wh_cuda_ranges_take_owned(ranges, &first, NULL));
    assert_true(wh_cuda_ranges_take_owned(ranges, &module, &taken));
    assert_int_equal(taken.start, 128);
    assert_false(wh_cuda_ranges_take_owned(ranges, &module, NULL));
    assert_true(inside(ranges, 192, 64));
    wh_cuda_ranges_free(ranges);
}

/* ---- ranges that give way ---- */

static void test_passing(void **state)
{
    struct wh_cuda_ranges *ranges = wh_cuda_ranges_new();
    struct wh_cuda_range range = {.start = 1000, .size = 100, .kind = 7}, found;
    (void)state;
    assert_true(wh_cuda_ranges_add_over(ranges, &range));
    range.start = 1050;
    assert_true(wh_cuda_ranges_add_over(ranges, &range));
    assert_true(wh_cuda_ranges_find(ranges, 1000, 150, &found));
    assert_int_equal(found.kind, 7);
    assert_false(inside(ranges, 1000, 151));
    /* Others stay as they are. */
    assert_true(add(ranges, 2000, 100, NULL));
    range.start = 2050;
    assert_false(wh_cuda_ranges_add_over(ranges, &range));
    /* What is allocated anew takes the place of all that it meets. */
    range.start = 1200;
    assert_true(wh_cuda_ranges_add_over(ranges, &range));
    assert_true(add(ranges, 1149, 52, NULL));
    assert_false(inside(ranges, 1000, 1));
    assert_false(inside(ranges, 1299, 1));
    assert_true(inside(ranges, 1149, 52));
    range.start = UINT64_MAX;
    assert_false(wh_cuda_ranges_add_over(ranges, &range));
    wh_cuda_ranges_free(ranges);
}

static void test_again(void **state)
{
    struct wh_cuda_ranges *ranges = wh_cuda_ranges_new();
    struct wh_cuda_range range = {.start = 1000, .size = 100, .kind = 2}, taken;
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_true(wh_cuda_ranges_add_again(ranges, &range));
    range.size = 99;
    assert_false(wh_cuda_ranges_add_again(ranges, &range));
    range.size = 100;
    range.kind = 3;
    assert_false(wh_cuda_ranges_add_again(ranges, &range));
    assert_false(wh_cuda_ranges_take_one(ranges, 1000, 3, &taken));
    assert_false(wh_cuda_ranges_take_one(ranges, 1001, 2, &taken));
    for (unsigned i = 0; i < 3; i++) {
        assert_true(inside(ranges, 1000, 100));
        assert_true(wh_cuda_ranges_take_one(ranges, 1000, 2, &taken));
    }
    assert_false(inside(ranges, 1000, 1));
    assert_false(wh_cuda_ranges_take_one(ranges, 1000, 2, &taken));
    /* As it was taken, it is added once. */
    assert_true(wh_cuda_ranges_add_again(ranges, &taken));
    assert_true(wh_cuda_ranges_take_one(ranges, 1000, 2, &taken));
    assert_false(inside(ranges, 1000, 1));
    wh_cuda_ranges_free(ranges);
}

/* ---- threads ---- */

struct job {
    struct wh_cuda_ranges *ranges;
    uint64_t base;
};

static void *come_and_go(void *argument)
{
    const struct job *job = argument;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t start = job->base + i % 16 * 4096;
        assert_true(add(job->ranges, start, 4096, NULL));
        assert_true(inside(job->ranges, start + 4095, 1));
        assert_true(wh_cuda_ranges_take(job->ranges, start, NULL));
        assert_false(inside(job->ranges, start, 1));
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct wh_cuda_ranges *ranges = wh_cuda_ranges_new();
    struct job jobs[4];
    pthread_t threads[4];
    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        jobs[i] = (struct job){.ranges = ranges, .base = (i + 1) << 32};
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    wh_cuda_ranges_free(ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),  cmocka_unit_test(test_ranges_are_disjoint),
        cmocka_unit_test(test_chunks), cmocka_unit_test(test_take),
        cmocka_unit_test(test_within), cmocka_unit_test(test_passing),
        cmocka_unit_test(test_again),  cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
