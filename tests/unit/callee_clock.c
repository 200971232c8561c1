/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view's clock (worker/clock.h): events with a time that are recorded in the view, called
 * directly (callee_session.h) with a counter that is ahead of this process's by any offset; and
 * what follows from exchanges, of counters that are made up. The software device is the first
 * argument.
 */
#include "callee_session.h"

#include "backend/softgpu/event.h"
#include "base/tsc.h"
#include "worker/table.h"

#include <stdlib.h>
#include <string.h>

#define OTHER  4u /* another event */
#define SHARED (CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING)
#define ROUNDS 100
#define TURNS  400

static uint64_t time_of(uint32_t event)
{
    const struct wh_entry *entry = wh_table_find(test->worker.table, event, 0);
    return ((const struct soft_event *)entry->real)->time;
}

/* True: in the view. */
static bool record(uint32_t event)
{
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    POST(WH_CUDA_cuEventRecord, event, STREAM);
    bool in_view = test->gate.carried_out != before;
    wait_for_sleep();
    return in_view;
}

/* A call that is left, whatever the clock says, and one that enters after it. */
static void exchange(void)
{
    static uint64_t id = 1000;
    wait_for_sleep();
    expect_success(ASK(WH_CUDA_cuEventCreate, 1, id++, SHARED));
    wait_for_sleep();
    expect_success(ASK(WH_CUDA_cuStreamQuery, STREAM));
    wait_for_sleep();
}

static void record_until_in_view(void)
{
    while (!record(EVENT))
        ;
}

/* How far its time may be off: the offset is one of those between the bounds. */
static uint64_t error_now(void)
{
    const struct wh_clock *clock = &test->gate.clock;
    uint64_t width = clock->upper - clock->lower, age = wh_tsc_read() - clock->pair.tsc;
    double ns = 1e6 / (double)clock->ticks_per_ms;
    return (uint64_t)(ns * ((double)width + (double)(age >> (WH_CLOCK_RATE_BITS - 1)))) + 1;
}

static void lies_between(uint64_t offset)
{
    assert_int_equal(open_session(NULL), 0);
    test->may_read_tsc = 1;
    test->tsc_offset = offset;
    record_until_in_view();
    for (unsigned i = 0; i < ROUNDS;) {
        uint64_t error = error_now(), before = wh_now_ns();
        if (!record(EVENT))
            continue;
        uint64_t after = wh_now_ns(), time = time_of(EVENT);
        error += error_now();
        if (time + error < before || time > after + error)
            fail_msg("%llu is not in %llu to %llu, by %llu", (unsigned long long)time,
                     (unsigned long long)before, (unsigned long long)after,
                     (unsigned long long)error);
        i++;
    }
    assert_int_equal(close_session(NULL), 0);
}

static void between_two_times(void **state)
{
    (void)state;
    lies_between(0);
    lies_between(1ull << 40);
    lies_between((uint64_t) - (1ll << 40));
    lies_between(1ull << 63);
}

static void elapsed_is_not_negative(uint32_t first, uint32_t second)
{
    struct answer answer = ASK(WH_CUDA_cuEventElapsedTime_v2, 4, first, second);
    float ms;
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    memcpy(&ms, answer.bytes + 16, sizeof(ms));
    assert_true(ms >= 0);
}

/* Worker and view in turns, as chance has it. */
static void in_order(void **state)
{
    unsigned in_view = 0, in_worker = 0;
    (void)state;
    test->may_read_tsc = 1;
    expect_success(ASK(WH_CUDA_cuEventCreate, 1, OTHER, 0));
    record_until_in_view();
    srandom(1);
    for (unsigned i = 0; i < TURNS || !in_view || !in_worker; i++) {
        uint64_t last = time_of(i % 2 ? OTHER : EVENT);
        test->pair.client->step_in = random() % 2 ? step_in : NULL;
        if (record(i % 2 ? EVENT : OTHER))
            in_view++;
        else
            in_worker++;
        assert_true(time_of(i % 2 ? EVENT : OTHER) >= last);
        if (i)
            elapsed_is_not_negative(i % 2 ? OTHER : EVENT, i % 2 ? EVENT : OTHER);
    }
    test->pair.client->step_in = step_in;
    assert_int_equal(test->account.calls, test->sent);
}

/* Whichever clock is behind. */
static void never_backwards(void **state)
{
    struct soft_driver *driver = (struct soft_driver *)(uintptr_t)test->gate.backend[1];
    (void)state;
    test->may_read_tsc = 1;
    record_until_in_view();
    wait_for_sleep();
    uint64_t last = driver->event_time += 3600000000000;
    record_until_in_view();
    assert_int_equal(time_of(EVENT), last);
    test->pair.client->step_in = NULL;
    expect_success(ASK(WH_CUDA_cuEventCreate, 1, OTHER, 0));
    assert_false(record(OTHER));
    assert_int_equal(time_of(OTHER), last);
    test->pair.client->step_in = step_in;
    elapsed_is_not_negative(EVENT, OTHER);
}

/* A client that may not read the counter does not have it read. */
static void not_allowed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_false(record(EVENT));
    assert_int_equal(test->tsc_reads, 0);
    test->may_read_tsc = 1;
    record_until_in_view();
    test->may_read_tsc = 0;
    uint64_t reads = test->tsc_reads;
    assert_false(record(EVENT));
    assert_int_equal(test->tsc_reads, reads);
}

/* Nor does a worker that may not. */
static void no_counter(void **state)
{
    (void)state;
    test->may_read_tsc = 1;
    wait_for_sleep();
    test->gate.clock = (struct wh_clock){0};
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_false(record(EVENT));
}

/* By so much that no time can be told. */
static void jumps_far(uint64_t by)
{
    uint64_t last = time_of(EVENT);
    wait_for_sleep();
    test->tsc_offset += by;
    assert_false(record(EVENT));
    assert_true(time_of(EVENT) >= last);
    last = time_of(EVENT);
    record_until_in_view();
    assert_true(time_of(EVENT) >= last);
}

/* By less than is seen at once: the next exchange tells. */
static void jumps(uint64_t by)
{
    const struct wh_clock *clock = &test->gate.clock;
    uint64_t since = clock->since, last = time_of(EVENT);
    wait_for_sleep();
    test->tsc_offset += by;
    exchange();
    assert_true(!clock->known || clock->since != since);
    record_until_in_view();
    assert_true(time_of(EVENT) >= last);
}

static void offset_that_jumps(void **state)
{
    (void)state;
    test->may_read_tsc = 1;
    record_until_in_view();
    uint64_t second = 1000 * test->gate.clock.ticks_per_ms;
    jumps_far(1ull << 60);
    jumps_far((uint64_t) - (1ll << 50));
    jumps_far(100 * second);
    jumps((uint64_t) - (int64_t)second);
    jumps(second);
    jumps(second / 100);
    jumps((uint64_t) - (int64_t)(second / 100));
    assert_int_equal(test->account.calls, test->sent);
}

/* ---- exchanges that are made up: a thousand ticks are a microsecond ---- */

#define MS   1000000u
#define BASE 5000000000u

static struct wh_clock made_up(void)
{
    return (struct wh_clock){
        .runs = true,
        .pair = {.tsc = BASE, .ns = 7000000000},
        .rate = 1ull << 32,
        .ticks_per_ms = MS,
    };
}

/* The guest, which is `offset` ahead, leaves a message at the host's time `at`, which is taken
 * `there` later and done at once; he learns of it `back` after that. */
static void exchange_at(struct wh_clock *clock, uint64_t at, uint64_t there, uint64_t back,
                        uint64_t offset)
{
    wh_clock_leave(clock, at + offset);
    clock->least = clock->left - (at + there);
    clock->taken = true;
    clock->sent = at + there;
    assert_true(wh_clock_has_news(clock));
    wh_clock_enter(clock, at + there + back + offset);
    assert_false(wh_clock_has_news(clock));
}

static void bounds(void **state)
{
    static const uint64_t offsets[] = {0, 1, 12345678, 1ull << 63, UINT64_MAX - 10};
    (void)state;
    for (unsigned i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
        uint64_t o = offsets[i];
        struct wh_clock clock = made_up();
        exchange_at(&clock, BASE, 900000, 100000, o); /* a millisecond is too much */
        assert_false(clock.known);
        exchange_at(&clock, BASE, 300000, 100000, o);
        assert_true(clock.known);
        assert_int_equal(clock.offset, o - 100000);
        assert_int_equal(wh_clock_time(&clock, BASE + MS + o), 0); /* too early to tell */
        exchange_at(&clock, BASE + 19 * MS, 200000, 100000, o);
        assert_int_equal(wh_clock_time(&clock, BASE + 20 * MS + o), 0);
        assert_int_equal(clock.offset, o - 100000); /* it may still be that */
        exchange_at(&clock, BASE + 30 * MS, 50000, 900000, o);
        exchange_at(&clock, BASE + 40 * MS, 50000, 100000, o);
        assert_int_equal(clock.lower, o - 50000);
        assert_int_equal(clock.upper, o + 100000);
        assert_int_equal(clock.offset, o + 25000); /* it cannot be that any more */
        uint64_t span = clock.contact - clock.since, guest = clock.contact + clock.offset;
        assert_int_equal(wh_clock_time(&clock, guest), 7000000000 + 40 * MS + 50000);
        assert_int_equal(wh_clock_time(&clock, guest + span), 7000000000 + 80 * MS - 200000);
        assert_int_equal(wh_clock_time(&clock, guest + span + 1), 0);
        assert_int_equal(wh_clock_time(&clock, guest - 2 * MS), 0);
        assert_int_equal(wh_clock_time(&clock, guest + (1ull << 63)), 0);
        exchange_at(&clock, BASE + 50 * MS, 100000000, 100000000, o); /* says nothing against it */
        assert_int_not_equal(wh_clock_time(&clock, guest), 0);
        exchange_at(&clock, BASE + 60 * MS, 100000, 100000, o + 300000); /* but this does */
        assert_int_equal(clock.since, clock.contact);
        assert_int_equal(wh_clock_time(&clock, guest), 0);
        exchange_at(&clock, BASE + 70 * MS, 50000, (uint64_t)-60000, o + 300000); /* and this */
        assert_false(clock.known);
    }
}

/* A guest whose counter runs a thousandth faster than the host's: the bounds tell before the times
 * are far off. */
static void scaled(void **state)
{
    struct wh_clock clock = made_up();
    uint64_t host = BASE, n = 0;
    (void)state;
    for (unsigned i = 0; i < 5000; i++, host += MS) {
        uint64_t offset = (host - BASE) / 1000;
        exchange_at(&clock, host, 100000, 100000, offset);
        for (uint64_t later = 0; later < 9000ull * MS; later += 7 * MS) {
            uint64_t now = host + 200000 + later,
                     time = wh_clock_time(&clock, now + (now - BASE) / 1000);
            if (!time)
                break;
            int64_t apart = (int64_t)(time - (7000000000 + now - BASE));
            assert_true(apart > -2 * (int64_t)MS && apart < 2 * (int64_t)MS);
            n++;
        }
    }
    assert_true(n > 0);
}

static uint64_t any(void)
{
    uint64_t bits = (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
    return bits >> random() % 64;
}

/* Whatever it says: no trap, and no time that is far from the worker's. */
static void any_counter(void **state)
{
    unsigned n = 0;
    (void)state;
    srandom(2);
    for (unsigned i = 0; i < 20000; i++) {
        struct wh_clock clock = made_up();
        uint64_t host = BASE, offset = any();
        for (unsigned k = 0; k < 4; k++, host += 20 * MS + any() % (100 * MS)) {
            exchange_at(&clock, host, any() % MS, any() % MS, random() % 8 ? offset : any());
            uint64_t guest = random() % 2 ? any() : host + offset + any() % (200 * MS),
                     time = wh_clock_time(&clock, guest);
            assert_true(!time || (time > 6000000000 && time < 17000000000));
            n += time != 0;
        }
    }
    assert_true(n > 1000);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_two_times),
        cmocka_unit_test_setup_teardown(in_order, open_session, close_session),
        cmocka_unit_test_setup_teardown(never_backwards, open_session, close_session),
        cmocka_unit_test_setup_teardown(not_allowed, open_session, close_session),
        cmocka_unit_test_setup_teardown(no_counter, open_session, close_session),
        cmocka_unit_test_setup_teardown(offset_that_jumps, open_session, close_session),
        cmocka_unit_test(bounds),
        cmocka_unit_test(scaled),
        cmocka_unit_test(any_counter),
    };
    if (argc < 2)
        return 2;
    if (!wh_tsc_is_allowed())
        return 77;
    callee_prepare(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
