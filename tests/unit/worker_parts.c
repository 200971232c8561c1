/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's object table and its scratch memory. */
#include "support.h"

#include "worker/worker.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

static void *real(uintptr_t n)
{
    return (void *)(n * 16);
}

/* ---- the table ---- */

static void test_add_and_find(void **state)
{
    struct wh_table *table = wh_table_new();
    static const uint32_t ids[] = {1, 2, 1023, 1024, 1025, 65536, 1u << 23};
    (void)state;
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct wh_entry *entry = wh_table_add(table, ids[i], 3, real(ids[i]));
        assert_non_null(entry);
        assert_int_equal(entry->references, 1);
        assert_ptr_equal(wh_table_find(table, ids[i], 3), entry);
        assert_ptr_equal(wh_table_find(table, ids[i], 0), entry);
        assert_null(wh_table_find(table, ids[i], 4));
        assert_null(wh_table_add(table, ids[i], 3, real(7))); /* in use */
        assert_null(wh_table_find(table, ids[i] + 2, 0));
    }
    wh_table_free(table);
}

static void test_ids_out_of_range(void **state)
{
    static const uint32_t ids[] = {WH_ID_NONE, (1u << 23) + 1024, 0x7fffffff, WH_ID_WORKER_FIRST,
                                   UINT32_MAX};
    struct wh_table *table = wh_table_new();
    (void)state;
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_null(wh_table_find(table, ids[i], 0));
        assert_null(wh_table_add(table, ids[i], 1, real(1)));
    }
    wh_table_free(table);
}

static void test_discovery(void **state)
{
    struct wh_table *table = wh_table_new();
    bool discovered = true;
    (void)state;
    wh_table_add(table, 9, 3, real(5));
    assert_int_equal(wh_table_id_of(table, 3, real(5), &discovered), 9);
    assert_false(discovered);
    assert_int_equal(wh_table_id_of(table, 3, NULL, &discovered), WH_ID_NONE);
    assert_false(discovered);
    uint32_t id =
        wh_table_id_of(table, 4, real(5), &discovered); /* the same address as another type */
    assert_int_equal(id, WH_ID_WORKER_FIRST);
    assert_true(discovered);
    assert_int_equal(wh_table_id_of(table, 4, real(5), &discovered), id);
    assert_false(discovered);
    assert_ptr_equal(wh_table_find(table, id, 4)->real, real(5));
    assert_true(wh_table_find(table, id, 4)->discovered);
    assert_null(wh_table_find(table, id, 3));
    assert_null(wh_table_find(table, id + 1, 0));
    wh_table_free(table);
}

static void test_discovery_ends(void **state)
{
    struct wh_table *table = wh_table_new();
    bool discovered;
    (void)state;
    for (uintptr_t i = 0; i < 4096; i++)
        assert_int_equal(wh_table_id_of(table, 1, real(i + 1), &discovered),
                         WH_ID_WORKER_FIRST + i);
    assert_int_equal(wh_table_id_of(table, 1, real(5000), &discovered), WH_ID_NONE);
    assert_false(discovered);
    assert_int_equal(wh_table_id_of(table, 1, real(17), &discovered), WH_ID_WORKER_FIRST + 16);
    wh_table_free(table);
}

static void test_remove(void **state)
{
    struct wh_table *table = wh_table_new();
    struct wh_entry *entry = wh_table_add(table, 5, 1, real(1));
    bool discovered;
    (void)state;
    assert_true(wh_table_remove(table, entry)); /* ours to free */
    assert_null(wh_table_find(table, 5, 0));
    struct wh_entry *next = wh_table_add(table, 5, 2, real(1));
    assert_non_null(next);
    assert_ptr_equal(wh_table_find(table, 5, 2), next);
    assert_int_equal(wh_table_id_of(table, 2, real(1), &discovered), 5);
    free(entry);
    wh_table_free(table);
}

static void test_pinned_entries_outlive_their_id(void **state)
{
    struct wh_table *table = wh_table_new();
    struct wh_entry *entry = wh_table_add(table, 5, 1, real(1));
    (void)state;
    wh_table_pin(table, entry);
    wh_table_pin(table, entry);
    assert_false(wh_table_unpin(table, entry)); /* not dying */
    assert_false(wh_table_remove(table, entry));
    assert_null(wh_table_find(table, 5, 0));
    assert_non_null(wh_table_add(table, 5, 1, real(2))); /* the id is free meanwhile */
    assert_true(wh_table_unpin(table, entry));
    free(entry);
    wh_table_free(table);
}

/* Released by the leader while the last pin goes: exactly one of the two frees the entry. */
struct race {
    struct wh_table *table;
    struct wh_entry *entry;
    sem_t go, done;
    bool freed;
};

#define ROUNDS 3000u

static void *unpin_at_the_same_time(void *argument)
{
    struct race *race = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        sem_wait(&race->go);
        race->freed = wh_table_unpin(race->table, race->entry);
        if (race->freed)
            free(race->entry);
        sem_post(&race->done);
    }
    return NULL;
}

static void test_remove_against_unpin(void **state)
{
    struct race race = {.table = wh_table_new()};
    pthread_t thread;
    (void)state;
    sem_init(&race.go, 0, 0);
    sem_init(&race.done, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, unpin_at_the_same_time, &race), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        race.entry = wh_table_add(race.table, 7, 1, real(1));
        wh_table_pin(race.table, race.entry);
        sem_post(&race.go);
        bool ours = wh_table_remove(race.table, race.entry);
        if (ours)
            free(race.entry);
        sem_wait(&race.done);
        assert_true(ours != race.freed);
    }
    pthread_join(thread, NULL);
    wh_table_free(race.table);
}

/* ---- scratch memory ---- */

static void test_pool_memory_is_zero_and_apart(void **state)
{
    struct wh_pool *pool = wh_pool_new(1u << 20);
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        uint8_t *pieces[200];
        for (unsigned i = 0; i < 200; i++) {
            size_t size = i * 13 % 700;
            pieces[i] = wh_pool_take(pool, size);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            for (size_t k = 0; k < size; k++)
                assert_int_equal(pieces[i][k], 0);
            memset(pieces[i], (int)i, size);
        }
        for (unsigned i = 0; i < 200; i++)
            for (size_t k = 0; k < i * 13 % 700; k++)
                assert_int_equal(pieces[i][k], (uint8_t)i);
        wh_pool_reset(pool);
    }
    wh_pool_free(pool);
}

static void test_pool_cap(void **state)
{
    struct wh_pool *pool = wh_pool_new(100000);
    (void)state;
    assert_null(wh_pool_take(pool, 100001));
    assert_null(wh_pool_take(pool, SIZE_MAX));
    assert_null(wh_pool_take(pool, SIZE_MAX - 15));
    assert_non_null(wh_pool_take(pool, 60000));
    assert_null(wh_pool_take(pool, 60000));
    assert_non_null(wh_pool_take(pool, 40000));
    assert_null(wh_pool_take(pool, 1));
    wh_pool_reset(pool);
    assert_non_null(wh_pool_take(pool, 100000));
    wh_pool_free(pool);
}

/* Many small pieces do not get past the cap by their rounding. */
static void test_pool_cap_by_small_pieces(void **state)
{
    struct wh_pool *pool = wh_pool_new(1600);
    unsigned n = 0;
    (void)state;
    while (n < 1000 && wh_pool_take(pool, 1))
        n++;
    assert_int_equal(n, 100);
    wh_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_find),
        cmocka_unit_test(test_ids_out_of_range),
        cmocka_unit_test(test_discovery),
        cmocka_unit_test(test_discovery_ends),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_pinned_entries_outlive_their_id),
        cmocka_unit_test(test_remove_against_unpin),
        cmocka_unit_test(test_pool_memory_is_zero_and_apart),
        cmocka_unit_test(test_pool_cap),
        cmocka_unit_test(test_pool_cap_by_small_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
