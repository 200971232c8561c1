/* SPDX-License-Identifier: Apache-2.0 */
/* Calls from end to end: handles, new objects, their lifetimes, and threads that share them. See
 * calls_support.h. */
#include "calls_support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- handles ---- */

static void test_handles(void **state)
{
    sm_buffer a = buffer(), b = buffer();
    sm_buffer list[3] = {b, NULL, a};
    sm_event event = NULL;
    (void)state;
    assert_int_equal(smUse(a, b, 3, list, &event), 0);
    assert_non_null(event);
    assert_non_null(lib.handles[0]);
    assert_ptr_not_equal(lib.handles[0], lib.handles[1]);
    assert_ptr_equal(lib.handles[2], lib.handles[1]);
    assert_null(lib.handles[3]);
    assert_ptr_equal(lib.handles[4], lib.handles[0]);
    assert_ptr_not_equal(lib.handles[0], a); /* the worker's own, not ours */
    assert_int_equal(smUse(a, NULL, 3, NULL, NULL), 0);
    assert_null(lib.handles[1]);
    assert_true(lib.was_null);
    assert_int_equal(smUse(a, NULL, 0, list, NULL), 0);
    assert_false(lib.was_null);
    assert_int_equal(smReleaseEvent(event), 0);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(b), 0);
}

static void test_bad_handles_stay_here(void **state)
{
    sm_buffer a = buffer(), gone = buffer();
    sm_device other = device(0);
    sm_event event = NULL;
    sm_status status = 0;
    (void)state;
    assert_int_equal(smRelease(gone), 0);
    sm_buffer list[2] = {a, gone};
    unsigned before = lib.calls;
    assert_int_equal(smUse(gone, NULL, 0, NULL, &event), SM_BAD_BUFFER);
    assert_int_equal(smUse(a, gone, 0, NULL, &event), SM_BAD_VALUE); /* as the parameter says */
    assert_int_equal(smUse(a, NULL, 2, list, &event), SM_BAD_BUFFER);
    assert_int_equal(smUse((sm_buffer)(void *)other, NULL, 0, NULL, &event), SM_BAD_BUFFER);
    assert_int_equal(smUse((sm_buffer)(void *)0x1234, NULL, 0, NULL, &event), SM_BAD_BUFFER);
    assert_int_equal(smUse((sm_buffer)(void *)&status, NULL, 0, NULL, &event), SM_BAD_BUFFER);
    assert_null(smCreate((sm_device)(void *)a, 1, &status));
    assert_int_equal(status, SM_BAD_DEVICE);
    assert_null(smCreate((sm_device)(void *)a, 1, NULL));
    assert_int_equal(smRelease(gone), SM_BAD_BUFFER);
    assert_int_equal(smRetain(gone), SM_BAD_BUFFER);
    assert_int_equal(smRelease(NULL), SM_BAD_BUFFER);
    assert_null(event);
    assert_int_equal(smSync(), 0);
    assert_int_equal(lib.calls, before + 1);
    assert_int_equal(smRelease(a), 0);
}

static void test_structures(void **state)
{
    sm_buffer a = buffer();
    sm_event event;
    (void)state;
    assert_int_equal(smUse(a, NULL, 0, NULL, &event), 0);
    void *real = lib.handles[0];
    sm_region regions[3] = {
        {.kind = 7, .buffer = a, .size = 1ull << 40, .after = event}, {.kind = 8}, {.buffer = a}};
    assert_int_equal(smRegions(3, regions), 0);
    assert_int_equal(lib.regions[0].kind, 7);
    assert_true(lib.regions[0].size == 1ull << 40);
    assert_ptr_equal(lib.regions[0].buffer, real);
    assert_non_null(lib.regions[0].after);
    assert_ptr_not_equal(lib.regions[0].after, event);
    assert_null(lib.regions[1].buffer);
    assert_ptr_equal(lib.regions[2].buffer, real);
    assert_ptr_equal(regions[0].buffer, a); /* the program's are left alone */
    assert_int_equal(smRegions(2, NULL), 0);
    assert_true(lib.was_null);
    assert_int_equal(smRegions(0, regions), 0);
    assert_false(lib.was_null);
    unsigned before = lib.calls;
    regions[1].after = (sm_event)(void *)a;
    assert_int_equal(smRegions(3, regions), SM_BAD_EVENT);
    assert_int_equal(lib.calls, before);
    assert_int_equal(smReleaseEvent(event), 0);
    assert_int_equal(smRelease(a), 0);
}

static void test_properties(void **state)
{
    const sm_prop list[] = {
        SM_MODE, 5, SM_OWNER, (sm_prop)device(1), 0x999, (sm_prop)0x7fff12345678, 0};
    const sm_prop empty[] = {0};
    const sm_prop bad[] = {SM_OWNER, 0x4444, 0};
    (void)state;
    assert_int_equal(smProperties(list), 0);
    assert_int_equal(lib.nprops, 3);
    assert_int_equal(lib.props[0], SM_MODE);
    assert_int_equal(lib.props[1], 5);
    assert_int_equal(lib.props[2], SM_OWNER);
    assert_ptr_equal(lib.props[3], lib.devices[1]);
    assert_int_equal(lib.props[4],
                     WH_PROP_UNKNOWN); /* the library refuses it; its value stays here */
    assert_int_equal(lib.props[5], 0);
    assert_int_equal(smProperties(empty), 0);
    assert_false(lib.was_null);
    assert_int_equal(lib.nprops, 0);
    assert_int_equal(smProperties(NULL), 0);
    assert_true(lib.was_null);
    assert_int_equal(smProperties(bad), SM_BAD_DEVICE);
}

/* ---- new objects ---- */

static void test_discovered_objects(void **state)
{
    sm_device first[5] = {0}, second[DEVICES] = {0};
    uint32_t found = 0;
    (void)state;
    first[3] = first[4] = (sm_device)(void *)0x77;
    assert_int_equal(smDevices(5, first, &found), 0);
    assert_int_equal(found, DEVICES);
    assert_int_equal(smDevices(DEVICES, second, NULL), 0);
    for (unsigned i = 0; i < DEVICES; i++) {
        assert_ptr_equal(first[i], second[i]);
        assert_true(object_of(first[i])->discovered);
        assert_ptr_equal(*(const void **)(void *)first[i],
                         &shim); /* the loader's table comes first */
    }
    assert_ptr_not_equal(first[0], first[1]);
    assert_ptr_equal(first[3], (void *)0x77); /* places that the library did not fill */
    assert_int_equal(smDevices(0, NULL, &found), 0);
}

static void test_new_objects(void **state)
{
    sm_event event = (sm_event)(void *)0x55;
    sm_buffer many[5], a = buffer();
    sm_device owner = device(0);
    sm_status status = 0;
    int before = settled();
    (void)state;
    lib.fail = -11;
    assert_int_equal(smUse(a, NULL, 0, NULL, &event), -11);
    assert_ptr_equal(event, (void *)0x55); /* a failed call leaves its places alone */
    lib.fail = -12;
    assert_null(smCreate(owner, 1, &status));
    assert_int_equal(status, -12);
    lib.partial = 2;
    assert_int_equal(smMany(owner, 5, many), 0);
    for (unsigned i = 0; i < 5; i++)
        assert_true((many[i] != NULL) == (i < 3));
    assert_int_equal(atomic_load(&lib.alive), before + 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(smRelease(many[i]), 0);
    lib.fail = -14;
    assert_int_equal(smMany(owner, 5, many), -14);
    assert_int_equal(smMany(owner, 0, many), 0);
    assert_int_equal(smMany(owner, 3, NULL), 0);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(settled(), before - 1);
}

/* ---- lifetimes ---- */

static void test_counts_of_the_library(void **state)
{
    int before = settled();
    sm_buffer a = buffer();
    (void)state;
    assert_int_equal(smUse(a, NULL, 0, NULL, NULL), 0);
    const struct thing *thing = lib.handles[0];
    assert_int_equal(smRetain(a), 0);
    assert_int_equal(smRetain(a), 0);
    assert_int_equal(smSync(), 0);
    assert_int_equal(thing->references, 3);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smSync(), 0);
    assert_int_equal(thing->references, 1);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(settled(), before);
    assert_null(object_of(a));
}

/* A child keeps its parent, in this process and in the worker. */
static void test_children_keep_parents(void **state)
{
    int before = settled();
    sm_buffer a = buffer(), child = smSplit(a, NULL);
    (void)state;
    assert_non_null(child);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(a), SM_BAD_BUFFER);
    assert_int_equal(settled(), before + 2);
    assert_non_null(object_of(a));
    assert_int_equal(smRelease(child), 0);
    assert_int_equal(settled(), before);
    assert_null(object_of(a));
    assert_null(object_of(child));
}

/* Asked back from its child, retained and released again, as wrappers for C++ do. */
static void test_parent_comes_back(void **state)
{
    int before = settled();
    sm_buffer a = buffer(), child = smSplit(a, NULL);
    (void)state;
    assert_int_equal(smRelease(a), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(smRetain(a), 0);
        assert_int_equal(smRetain(a), 0);
        assert_int_equal(smRelease(a), 0);
        assert_int_equal(smUse(a, child, 0, NULL, NULL), 0);
        assert_int_equal(smRelease(a), 0);
        assert_int_equal(smUse(child, a, 0, NULL, NULL), 0);
    }
    sm_buffer others[20]; /* would take a's id if it were free */
    for (unsigned i = 0; i < 20; i++)
        others[i] = buffer();
    assert_int_equal(smRelease(child), 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(smRelease(others[i]), 0);
    assert_int_equal(settled(), before);
}

static void test_ids_are_used_again(void **state)
{
    sm_buffer kept[64] = {0};
    uint32_t highest = 0;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        sm_buffer *place = &kept[i * 7 % 64];
        if (*place)
            assert_int_equal(smRelease(*place), 0);
        *place = buffer();
        uint32_t id = object_of(*place)->id;
        highest = id > highest ? id : highest;
    }
    assert_true(highest < 1024);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(smRelease(kept[i]), 0);
    assert_int_equal(smSync(), 0);
}

/* ---- threads ---- */

static void *wait_for_events(void *events)
{
    return (void *)(intptr_t)smWait(80, events);
}

/* While one thread waits, others go on, and may release what it waits for: its objects stay until
 * it is back. */
static void test_blocked_call_keeps_its_objects(void **state)
{
    sm_event events[80];
    sm_buffer a = buffer();
    pthread_t thread;
    void *status;
    (void)state;
    for (unsigned i = 0; i < 80; i++)
        assert_int_equal(smUse(a, NULL, 0, NULL, &events[i]), 0);
    int before = settled();
    assert_int_equal(pthread_create(&thread, NULL, wait_for_events, events), 0);
    sem_wait(&lib.waiting);
    for (unsigned i = 0; i < 80; i++)
        assert_int_equal(smReleaseEvent(events[i]), 0);
    for (unsigned i = 0; i < 100; i++) {
        sm_buffer other = buffer(); /* takes ids that the events had */
        assert_int_equal(smRelease(other), 0);
    }
    assert_int_equal(smTicks(5), 6);
    assert_int_equal(atomic_load(&lib.alive), before);
    sem_post(&lib.go_on);
    pthread_join(thread, &status);
    assert_null(status);
    assert_int_equal(smSync(), 0);
    /* The waiting thread of the worker releases them after its reply; the next one to lead may be
     * earlier. */
    while (atomic_load(&lib.alive) != before - 80)
        sched_yield();
    assert_int_equal(smRelease(a), 0);
}

static void *work(void *argument)
{
    sm_device owner = argument;
    for (unsigned i = 0; i < 300; i++) {
        uint8_t bytes[64] = {0};
        uint64_t number = 0;
        uint32_t written = 0;
        sm_event event = NULL;
        sm_buffer a = smCreate(owner, 9, NULL), child = smSplit(a, NULL);
        if (!a || !child || smRelease(a) != 0 || smBytes(sizeof(bytes), bytes) != 0 ||
            smOut(sizeof(bytes), bytes, &written) != 0 || written != 32 ||
            smUse(child, a, 1, &a, &event) != 0 ||
            smGetInfo(child, SM_SIZE, 8, &number, NULL) != 0 || number != 7 ||
            smReleaseEvent(event) != 0 || smRelease(child) != 0 || smSync() != 0)
            return (void *)1;
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    pthread_t threads[8];
    int before = settled();
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, device(i % DEVICES)), 0);
    for (unsigned i = 0; i < 8; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(settled(), before);
    expect_arena_empty();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handles),
        cmocka_unit_test(test_bad_handles_stay_here),
        cmocka_unit_test(test_structures),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_discovered_objects),
        cmocka_unit_test(test_new_objects),
        cmocka_unit_test(test_counts_of_the_library),
        cmocka_unit_test(test_children_keep_parents),
        cmocka_unit_test(test_parent_comes_back),
        cmocka_unit_test(test_ids_are_used_again),
        cmocka_unit_test(test_blocked_call_keeps_its_objects),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, open_library, NULL);
}
