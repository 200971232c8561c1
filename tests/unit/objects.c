/* SPDX-License-Identifier: Apache-2.0 */
/* The client's objects: ids, checks of whatever a program may pass as a handle, parents, objects
 * found by the worker. */
#include "support.h"

#include "client/session.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_A 1u
#define TYPE_B 2u

/* An API whose objects are not counted: the end of one says nothing to a worker. */
static const struct wh_object_desc types[] = {{0}, {"a", -1, -1, -1}, {"b", -2, -1, -1}};
static const struct wh_api api = {.name = "objects", .objects = types, .nobjects = 3};
static const struct wh_shim shim = {.api = &api};
static struct wh_session session;

static int setup(void **state)
{
    (void)state;
    session = (struct wh_session){.shim = &shim};
    session.objects = wh_objects_new(&session, &types);
    return session.objects ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    wh_objects_free(session.objects);
    return 0;
}

static struct wh_object *new_object(uint16_t type, struct wh_object *parent)
{
    struct wh_object *object = wh_object_new(session.objects, type, parent);
    assert_non_null(object);
    return object;
}

static void test_new_object(void **state)
{
    struct wh_object *a = new_object(TYPE_A, NULL);
    (void)state;
    assert_ptr_equal(a->dispatch, &types);
    assert_ptr_equal(a->session, &session);
    assert_int_equal(a->type, TYPE_A);
    assert_int_equal(atomic_load(&a->references), 1);
    assert_false(a->discovered);
    assert_int_not_equal(a->id, WH_ID_NONE);
    assert_true(a->id < WH_ID_WORKER_FIRST);
    assert_ptr_equal(wh_object_check(session.objects, a, TYPE_A), a);
    assert_ptr_equal(wh_object_check(session.objects, a, 0), a);
    assert_null(wh_object_check(session.objects, a, TYPE_B));
    assert_ptr_equal(wh_object_by_id(session.objects, TYPE_A, a->id), a);
    assert_null(wh_object_by_id(session.objects, TYPE_B, a->id));
}

#define MANY 5000u

static void test_ids_are_unique(void **state)
{
    static struct wh_object *objects[MANY];
    uint8_t *seen = calloc(1, 16 * MANY);
    (void)state;
    assert_non_null(seen);
    for (unsigned i = 0; i < MANY; i++) {
        objects[i] = new_object(i % 2 ? TYPE_A : TYPE_B, NULL);
        assert_true(objects[i]->id < 16 * MANY);
        assert_int_equal(seen[objects[i]->id]++, 0);
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(wh_object_by_id(session.objects, i % 2 ? TYPE_A : TYPE_B, objects[i]->id),
                         objects[i]);
    free(seen);
}

static void test_released_objects_are_gone(void **state)
{
    struct wh_object *a = new_object(TYPE_A, NULL);
    uint32_t id = a->id;
    (void)state;
    wh_object_unpin(a);
    assert_null(wh_object_check(session.objects, a, TYPE_A));
    assert_null(wh_object_check(session.objects, a, 0));
    assert_null(wh_object_by_id(session.objects, TYPE_A, id));
    struct wh_object *b = new_object(TYPE_B, NULL); /* in the same place, with the same id */
    assert_ptr_equal(b, a);
    assert_int_equal(b->id, id);
    assert_null(wh_object_check(session.objects, a, TYPE_A));
    assert_int_equal(atomic_load(&b->references), 1);
}

/* Nothing but a live object's own address passes; nothing outside of the slabs is touched (a
 * sanitizer looks on). */
static void test_garbage_is_refused(void **state)
{
    struct wh_object *a = new_object(TYPE_A, NULL), *gone = new_object(TYPE_A, NULL);
    uint64_t stack = 0;
    void *heap = aligned_alloc(128, 128);
    (void)state;
    wh_object_unpin(gone);
    memcpy(heap, a, sizeof(*a)); /* looks like an object in every byte */
    const void *garbage[] = {
        NULL,
        (void *)1,
        (void *)127,
        (void *)128,
        (void *)UINTPTR_MAX,
        &stack,
        heap,
        gone,
        (char *)a + 1,
        (char *)a + 8,
        (char *)a + 64,
        (char *)a + 128 * 3,
        (void *)0x7fffffff0000,
        (void *)0xdeadbeefdeadbe80,
        &types,
    };
    for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
        assert_null(wh_object_check(session.objects, garbage[i], 0));
    for (unsigned bit = 0; bit < 64; bit++) /* one bit off */
        assert_null(wh_object_check(session.objects, (void *)((uintptr_t)a ^ 1ull << bit), TYPE_A));
    free(heap);
}

static void test_absurd_ids(void **state)
{
    static const uint64_t ids[] = {0,          2,          512,       513, 1u << 23, (1u << 23) + 1,
                                   0x7fffffff, 1ull << 32, UINT64_MAX};
    struct wh_object *a = new_object(TYPE_A, NULL);
    (void)state;
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        assert_true(ids[i] == a->id || !wh_object_by_id(session.objects, TYPE_A, ids[i]));
    assert_null(wh_object_by_id(session.objects, TYPE_A, a->id | 1ull << 32));
}

static void test_discovered(void **state)
{
    struct wh_object *a = wh_object_discovered(session.objects, TYPE_A, WH_ID_WORKER_FIRST);
    (void)state;
    assert_non_null(a);
    assert_true(a->discovered);
    assert_int_equal(a->id, WH_ID_WORKER_FIRST);
    assert_ptr_equal(wh_object_discovered(session.objects, TYPE_A, WH_ID_WORKER_FIRST), a);
    assert_ptr_equal(wh_object_by_id(session.objects, TYPE_A, WH_ID_WORKER_FIRST), a);
    assert_ptr_equal(wh_object_check(session.objects, a, TYPE_A), a);
    assert_null(wh_object_discovered(session.objects, TYPE_B,
                                     WH_ID_WORKER_FIRST)); /* it has a type already */
    assert_null(wh_object_discovered(session.objects, TYPE_A, WH_ID_WORKER_FIRST - 1));
    assert_null(wh_object_discovered(session.objects, TYPE_A, 1));
    assert_null(wh_object_discovered(session.objects, TYPE_A, WH_ID_WORKER_FIRST + 4096));
    assert_null(wh_object_discovered(session.objects, TYPE_A, UINT32_MAX));
    struct wh_object *last =
        wh_object_discovered(session.objects, TYPE_B, WH_ID_WORKER_FIRST + 4095);
    assert_non_null(last);
    assert_ptr_not_equal(last, a);
    wh_object_unpin(a); /* lives as long as the session */
    assert_ptr_equal(wh_object_check(session.objects, a, TYPE_A), a);
}

static void test_parents_are_pinned(void **state)
{
    struct wh_object *top = new_object(TYPE_A, NULL), *middle = new_object(TYPE_A, top);
    struct wh_object *leaves[3];
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        leaves[i] = new_object(TYPE_B, middle);
    wh_object_unpin(top);
    wh_object_unpin(middle);
    wh_object_unpin(leaves[0]);
    wh_object_unpin(leaves[2]);
    assert_null(wh_object_check(session.objects, leaves[0], 0));
    assert_non_null(wh_object_check(session.objects, top, TYPE_A));
    assert_non_null(wh_object_check(session.objects, middle, TYPE_A));
    wh_object_unpin(leaves[1]);
    assert_null(wh_object_check(session.objects, middle, 0));
    assert_null(wh_object_check(session.objects, top, 0));
}

static void test_cancelled_child(void **state)
{
    struct wh_object *top = new_object(TYPE_A, NULL), *child = new_object(TYPE_B, top);
    (void)state;
    wh_object_unpin(top);
    assert_non_null(wh_object_check(session.objects, top, 0));
    wh_object_cancel(child);
    assert_null(wh_object_check(session.objects, child, 0));
    assert_null(wh_object_check(session.objects, top, 0));
}

static void *churn(void *argument)
{
    struct wh_object *held[32] = {0};
    uint16_t type = (uint16_t)(uintptr_t)argument;
    for (unsigned i = 0; i < 20000; i++) {
        struct wh_object **place = &held[i * 7 % 32];
        if (*place) {
            if (!wh_object_check(session.objects, *place, type) ||
                (*place)->word != (uintptr_t)place)
                return (void *)1;
            wh_object_unpin(*place);
        }
        *place = wh_object_new(session.objects, type, NULL);
        if (!*place || !wh_object_discovered(session.objects, TYPE_A, WH_ID_WORKER_FIRST + i % 100))
            return (void *)1;
        (*place)->word = (uintptr_t)place;
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(1 + i % 2)), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

#define OBJECTS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OBJECTS_TEST(test_new_object),
        OBJECTS_TEST(test_ids_are_unique),
        OBJECTS_TEST(test_released_objects_are_gone),
        OBJECTS_TEST(test_garbage_is_refused),
        OBJECTS_TEST(test_absurd_ids),
        OBJECTS_TEST(test_discovered),
        OBJECTS_TEST(test_parents_are_pinned),
        OBJECTS_TEST(test_cancelled_child),
        OBJECTS_TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
