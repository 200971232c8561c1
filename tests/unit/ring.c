/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of records: that it carries bytes in order wherever its end falls, and that neither
 * side's lies get past the other.
 */
#include "support.h"

#include "channel/ring.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 4096u
#define ROOM 1024u

struct rig {
    struct wh_ring_control control;
    _Alignas(8) uint8_t data[SIZE];
    struct wh_ring producer, consumer;
    _Alignas(8) uint8_t record[ROOM];
};

/* Both sides start at `at`: the counters run freely. */
static struct rig *rig_new(uint32_t at)
{
    struct rig *rig = aligned_alloc(64, sizeof(*rig));
    assert_non_null(rig);
    memset(rig, 0, sizeof(*rig));
    atomic_store(&rig->control.head, at);
    atomic_store(&rig->control.tail, at);
    rig->producer = (struct wh_ring){.control = &rig->control,
                                     .data = rig->data,
                                     .size = SIZE,
                                     .at = at,
                                     .known = at,
                                     .told = at};
    rig->consumer = rig->producer;
    return rig;
}

/* A record of `size` bytes, filled by `seed`; false when the ring is full. */
static bool produce(struct rig *rig, uint32_t size, uint32_t seed)
{
    int lied = 0;
    uint8_t *room = wh_ring_reserve(&rig->producer, size, &lied);
    assert_false(lied);
    if (!room)
        return false;
    uint64_t word = size;
    assert_true(room >= rig->data && room + size <= rig->data + SIZE);
    memset(room, (int)(seed & 0xff), size);
    memcpy(room, &word, sizeof(word));
    wh_ring_publish(&rig->producer);
    return true;
}

/* Takes a record without telling the producer of its room. */
static void take(struct rig *rig, uint32_t size, uint32_t seed)
{
    const char *fault = NULL;
    memset(rig->record, 0xee, ROOM);
    assert_int_equal(wh_ring_take(&rig->consumer, rig->record, ROOM, &fault), size);
    assert_null(fault);
    for (uint32_t i = 8; i < size; i++)
        if (rig->record[i] != (uint8_t)seed)
            fail_msg("byte %u of a record of %u is wrong", i, size);
}

static void consume(struct rig *rig, uint32_t size, uint32_t seed)
{
    take(rig, size, seed);
    assert_true(wh_ring_tell(&rig->consumer, 0));
}

static void expect_empty(struct rig *rig)
{
    const char *fault = NULL;
    assert_false(wh_ring_has_record(&rig->consumer));
    assert_int_equal(wh_ring_take(&rig->consumer, rig->record, ROOM, &fault), 0);
    assert_null(fault);
}

static void expect_fault(struct rig *rig, const char *reason)
{
    const char *fault = NULL;
    assert_int_equal(wh_ring_take(&rig->consumer, rig->record, ROOM, &fault), -1);
    assert_non_null(fault);
    if (!strstr(fault, reason))
        fail_msg("fault '%s' instead of '%s'", fault, reason);
}

static void test_one_record(void **state)
{
    struct rig *rig = rig_new(0);
    (void)state;
    expect_empty(rig);
    assert_true(produce(rig, 64, 7));
    assert_true(wh_ring_has_record(&rig->consumer));
    consume(rig, 64, 7);
    expect_empty(rig);
    free(rig);
}

static void test_record_is_invisible_until_published(void **state)
{
    struct rig *rig = rig_new(0);
    int lied = 0;
    (void)state;
    assert_non_null(wh_ring_reserve(&rig->producer, 64, &lied));
    expect_empty(rig);
    free(rig);
}

/* Every size at every place, across the ring's end and the counters' overflow. */
static void test_wraps_at_every_place(void **state)
{
    (void)state;
    for (uint32_t start = 0; start < SIZE; start += 8) {
        struct rig *rig = rig_new(UINT32_MAX - SIZE + 1 + start);
        for (uint32_t i = 0; i < 12; i++) {
            uint32_t size = 8 + (start + i * 328) % (ROOM - 8) / 8 * 8;
            assert_true(produce(rig, size, i));
            consume(rig, size, i);
        }
        expect_empty(rig);
        free(rig);
    }
}

static void test_filler_takes_the_rest(void **state)
{
    struct rig *rig = rig_new(SIZE - 16);
    (void)state;
    assert_true(produce(rig, 64, 1));
    assert_int_equal(rig->producer.at, SIZE + 64); /* 16 bytes of filler */
    consume(rig, 64, 1);
    assert_int_equal(atomic_load(&rig->control.head), SIZE + 64);
    /* A record that ends exactly at the end needs none. */
    struct rig *exact = rig_new(SIZE - 64);
    assert_true(produce(exact, 64, 2));
    assert_int_equal(exact->producer.at, SIZE);
    consume(exact, 64, 2);
    free(rig);
    free(exact);
}

static void test_full_until_consumed(void **state)
{
    struct rig *rig = rig_new(0);
    (void)state;
    for (uint32_t i = 0; i < SIZE / 256; i++)
        assert_true(produce(rig, 256, i));
    assert_false(produce(rig, 8, 99));
    consume(rig, 256, 0);
    assert_true(produce(rig, 256, 99));
    assert_false(produce(rig, 8, 0));
    for (uint32_t i = 1; i < SIZE / 256; i++)
        consume(rig, 256, i);
    consume(rig, 256, 99);
    expect_empty(rig);
    free(rig);
}

/* A large ring that is empty now and then keeps to its start; one that is not is used whole. */
static void test_large_ring_rewinds(void **state)
{
    enum { LARGE = 4 << 20, STEP = 256 << 10, RECORDS = 3 * LARGE / 1024 };
    struct wh_ring_control *control = aligned_alloc(64, sizeof(*control));
    uint8_t *data = calloc(1, LARGE), record[1024];
    const char *fault = NULL;
    int lied = 0;
    (void)state;
    assert_non_null(control);
    assert_non_null(data);
    memset(control, 0, sizeof(*control));
    struct wh_ring producer = {.control = control, .data = data, .size = LARGE};
    struct wh_ring consumer = producer;
    for (int emptied = 1; emptied >= 0; emptied--) {
        size_t farthest = 0;
        for (unsigned i = 0; i < RECORDS; i++) {
            uint64_t word = sizeof(record);
            uint8_t *room = wh_ring_reserve(&producer, sizeof(record), &lied);
            assert_non_null(room);
            if ((size_t)(room - data) > farthest)
                farthest = (size_t)(room - data);
            memcpy(room, &word, sizeof(word));
            wh_ring_publish(&producer);
            if (!emptied && i == 0) /* from here on the consumer is one record behind */
                continue;
            assert_int_equal(wh_ring_take(&consumer, record, sizeof(record), &fault),
                             sizeof(record));
            wh_ring_tell(&consumer, 0);
        }
        if (emptied)
            assert_true(farthest < 2 * STEP);
        else
            assert_true(farthest > LARGE / 2);
    }
    free(control);
    free(data);
}

/* The filler counts too: a ring with room for the record but not for both is full. */
static void test_full_because_of_filler(void **state)
{
    struct rig *rig = rig_new(0);
    (void)state;
    assert_true(produce(rig, 1024, 1));
    assert_true(produce(rig, 1024, 2));
    assert_true(produce(rig, 1024, 3));
    assert_true(produce(rig, 1016, 4)); /* 8 bytes are left */
    consume(rig, 1024, 1);              /* 1024 more, but not behind those 8 */
    assert_true(produce(rig, 1024, 5)); /* 8 of filler and all of the freed room */
    assert_false(produce(rig, 8, 6));
    consume(rig, 1024, 2);
    consume(rig, 1024, 3);
    consume(rig, 1016, 4);
    consume(rig, 1024, 5);
    struct rig *tight = rig_new(1024); /* used up to 8 bytes before the end, consumed from 1024 */
    assert_true(produce(tight, 1024, 1));
    assert_true(produce(tight, 1024, 2));
    assert_true(produce(tight, 1016, 3));
    assert_true(
        produce(tight, 1016, 4)); /* behind 8 bytes of filler: 1024 to 4088, then 0 to 1016 */
    assert_false(produce(tight, 16, 5));
    assert_true(produce(tight, 8, 6));
    free(rig);
    free(tight);
}

/* Room counts from when it is told of, and small news may be kept for later. */
static void test_room_is_told_of(void **state)
{
    struct rig *rig = rig_new(0);
    (void)state;
    assert_false(wh_ring_tell(&rig->consumer, 0)); /* no news at all */
    for (uint32_t i = 0; i < SIZE / 256; i++)
        assert_true(produce(rig, 256, i));
    take(rig, 256, 0);
    take(rig, 256, 1);
    assert_false(produce(rig, 256, 0));
    assert_false(wh_ring_tell(&rig->consumer, 513));
    assert_int_equal(atomic_load(&rig->control.head), 0);
    assert_false(produce(rig, 256, 0));
    assert_true(wh_ring_tell(&rig->consumer, 512));
    assert_int_equal(atomic_load(&rig->control.head), 512);
    assert_false(wh_ring_tell(&rig->consumer, 0));
    assert_true(produce(rig, 256, 16));
    assert_true(produce(rig, 256, 17));
    assert_false(produce(rig, 8, 0));
    for (uint32_t i = 2; i < 18; i++)
        consume(rig, 256, i);
    expect_empty(rig);
    free(rig);
}

static void test_record_sizes_at_the_limits(void **state)
{
    struct rig *rig = rig_new(0);
    (void)state;
    assert_true(produce(rig, 8, 0));
    consume(rig, 8, 0);
    assert_true(produce(rig, ROOM, 3));
    consume(rig, ROOM, 3);
    assert_true(produce(rig, ROOM + 8, 3));
    expect_fault(rig, "larger than any message may be");
    free(rig);
}

/* ---- a lying producer ---- */

static void forge(struct rig *rig, uint32_t place, uint32_t size, uint32_t kind)
{
    uint64_t word = size | (uint64_t)kind << 32;
    memcpy(rig->data + place % SIZE, &word, sizeof(word));
}

static void test_impossible_tails(void **state)
{
    static const uint32_t tails[] = {1,        7,        12,         SIZE + 8,
                                     SIZE * 2, 1u << 31, UINT32_MAX, UINT32_MAX - 7};
    (void)state;
    for (unsigned i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        struct rig *rig = rig_new(0);
        forge(rig, 0, 8, 0);
        atomic_store(&rig->control.tail, tails[i]);
        expect_fault(rig, "tail is impossible");
        free(rig);
    }
}

static void test_impossible_sizes(void **state)
{
    static const uint32_t sizes[] = {0, 1, 4, 7, 9, 12, 63, UINT32_MAX};
    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rig *rig = rig_new(0);
        forge(rig, 0, sizes[i], 0);
        atomic_store(&rig->control.tail, 64);
        expect_fault(rig, "not a positive multiple of 8");
        free(rig);
    }
}

static void test_longer_than_produced(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind <= 0xffff; kind += 0xffff) { /* a filler may not either */
        struct rig *rig = rig_new(0);
        forge(rig, 0, 72, kind);
        atomic_store(&rig->control.tail, 64);
        expect_fault(rig, "longer than what was produced");
        free(rig);
    }
}

static void test_over_the_end(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind <= 0xffff; kind += 0xffff) {
        struct rig *rig = rig_new(SIZE - 16);
        forge(rig, SIZE - 16, 24, kind);
        atomic_store(&rig->control.tail, SIZE + 64);
        expect_fault(rig, "over the ring's end");
        free(rig);
    }
}

/* A ring of nothing but fillers ends; what the consumer says of its progress is its own counter. */
static void test_fillers_only(void **state)
{
    struct rig *rig = rig_new(0);
    (void)state;
    for (uint32_t at = 0; at < SIZE; at += 8)
        forge(rig, at, 8, 0xffff);
    atomic_store(&rig->control.tail, SIZE);
    atomic_store(&rig->control.head,
                 12345); /* the producer may scribble there: it is never read back */
    const char *fault = NULL;
    assert_int_equal(wh_ring_take(&rig->consumer, rig->record, ROOM, &fault), 0);
    assert_null(fault);
    assert_int_equal(rig->consumer.at, SIZE);
    assert_true(wh_ring_tell(&rig->consumer, 0));
    assert_int_equal(atomic_load(&rig->control.head), SIZE);
    free(rig);
}

/* ---- a lying consumer ---- */

/* The consumer's counter is looked at when the ring seems full; one that cannot be is the
 * consumer's lie. */
static void test_impossible_heads(void **state)
{
    static const uint32_t heads[] = {SIZE + 1, SIZE + 8, 1u << 31, UINT32_MAX, UINT32_MAX - SIZE};
    (void)state;
    for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct rig *rig = rig_new(0);
        int lied = 0;
        for (uint32_t k = 0; k < SIZE / 256; k++)
            assert_true(produce(rig, 256, k));
        atomic_store(&rig->control.head, heads[i]);
        assert_null(wh_ring_reserve(&rig->producer, 64, &lied));
        assert_true(lied);
        free(rig);
    }
}

/* ---- two threads ---- */

#define RECORDS 1000000u

static uint32_t size_of(uint32_t i)
{
    return 8 + (i * 2654435761u >> 20) % 32 * 8;
}

static void *produce_records(void *argument)
{
    struct rig *rig = argument;
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint32_t size = size_of(i);
        uint8_t *room;
        int lied = 0;
        while (!(room = wh_ring_reserve(&rig->producer, size, &lied)))
            if (lied)
                return (void *)1;
            else
                sched_yield();
        memset(room, (int)(i & 0xff), size);
        uint64_t word = size;
        memcpy(room, &word, sizeof(word));
        wh_ring_publish(&rig->producer);
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    struct rig *rig = rig_new(UINT32_MAX - 1024 * 1024 + 1);
    pthread_t thread;
    void *lied;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, produce_records, rig), 0);
    for (uint32_t i = 0; i < RECORDS; i++) {
        const char *fault = NULL;
        int64_t size;
        while ((size = wh_ring_take(&rig->consumer, rig->record, ROOM, &fault)) == 0) {
            wh_ring_tell(&rig->consumer, 0);
            sched_yield();
        }
        wh_ring_tell(&rig->consumer, SIZE / 4);
        if (fault || size != size_of(i) || (size > 8 && rig->record[size - 1] != (uint8_t)i))
            fail_msg("record %u: size %lld, fault '%s'", i, (long long)size,
                     fault ? fault : "none");
    }
    assert_int_equal(pthread_join(thread, &lied), 0);
    assert_null(lied);
    expect_empty(rig);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_record),
        cmocka_unit_test(test_record_is_invisible_until_published),
        cmocka_unit_test(test_wraps_at_every_place),
        cmocka_unit_test(test_filler_takes_the_rest),
        cmocka_unit_test(test_full_until_consumed),
        cmocka_unit_test(test_full_because_of_filler),
        cmocka_unit_test(test_large_ring_rewinds),
        cmocka_unit_test(test_room_is_told_of),
        cmocka_unit_test(test_record_sizes_at_the_limits),
        cmocka_unit_test(test_impossible_tails),
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_longer_than_produced),
        cmocka_unit_test(test_over_the_end),
        cmocka_unit_test(test_fillers_only),
        cmocka_unit_test(test_impossible_heads),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
