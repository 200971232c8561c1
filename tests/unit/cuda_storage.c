/* SPDX-License-Identifier: Apache-2.0 */
/* Context-local storage: what is put there is found, ends with its context in the right order, and
 * look-ups need no lock. */
#include "support.h"

#include "shim/cuda/shim.h"
#include "shim/cuda/storage.h"

#include <stdatomic.h>

/* ---- the part of the shim that storage.c needs ---- */

static struct wh_cuda_context contexts[2];
static CUcontext current;

#define CONTEXT(i) ((CUcontext)(void *)&contexts[i])

CUcontext wh_cuda_current(void)
{
    return current;
}

struct wh_cuda_context *wh_cuda_context(CUcontext context)
{
    for (size_t i = 0; i < 2; i++)
        if (context == CONTEXT(i))
            return &contexts[i];
    return NULL;
}

/* ---- destructors ---- */

static struct {
    CUcontext context;
    void *key, *value;
} ended[16];
static size_t nended;

static void end(CUcontext context, void *key, void *value)
{
    ended[nended].context = context;
    ended[nended].key = key;
    ended[nended++].value = value;
}

static void end_and_use(CUcontext context, void *key, void *value)
{
    void *found;
    /* The value is gone already, and the storage is there to be used. */
    assert_int_equal(wh_cuda_storage_get(&found, context, key), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(wh_cuda_storage_put(context, key, &nended, end), CUDA_SUCCESS);
    end(context, key, value);
}

static int setup(void **state)
{
    (void)state;
    current = CONTEXT(0);
    nended = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        wh_storage_free(contexts[i].storage);
        contexts[i].storage = NULL;
    }
    return 0;
}

static void *get(CUcontext context, int *key)
{
    void *value = NULL;
    return wh_cuda_storage_get(&value, context, key) == CUDA_SUCCESS ? value : NULL;
}

static void test_put_get_delete(void **state)
{
    int a, b, value, other;
    void *found = &other;
    (void)state;
    assert_int_equal(wh_cuda_storage_get(&found, NULL, &a), CUDA_ERROR_INVALID_HANDLE);
    assert_ptr_equal(found, &other);
    assert_int_equal(wh_cuda_storage_delete(NULL, &a), CUDA_ERROR_INVALID_HANDLE);
    assert_int_equal(wh_cuda_storage_put(NULL, &a, &value, end), CUDA_SUCCESS);
    assert_int_equal(wh_cuda_storage_put(CONTEXT(0), &a, &other, end), CUDA_ERROR_INVALID_HANDLE);
    assert_ptr_equal(get(NULL, &a), &value);
    assert_ptr_equal(get(CONTEXT(0), &a), &value);
    assert_null(get(CONTEXT(1), &a));
    assert_null(get(NULL, &b));
    assert_int_equal(wh_cuda_storage_put(NULL, NULL, &other, NULL), CUDA_SUCCESS);
    assert_ptr_equal(get(NULL, NULL), &other);
    assert_int_equal(wh_cuda_storage_delete(NULL, &a), CUDA_SUCCESS);
    assert_int_equal(wh_cuda_storage_delete(NULL, &a), CUDA_ERROR_INVALID_HANDLE);
    assert_null(get(NULL, &a));
    assert_int_equal(nended, 0);
    assert_int_equal(wh_cuda_storage_put(NULL, &a, &other, end), CUDA_SUCCESS);
    assert_ptr_equal(get(NULL, &a), &other);
    assert_int_equal(wh_cuda_storage_get(NULL, NULL, &a), CUDA_ERROR_INVALID_VALUE);
}

static void test_without_context(void **state)
{
    int key;
    void *value;
    (void)state;
    current = NULL;
    assert_int_equal(wh_cuda_storage_put(NULL, &key, &key, end), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(wh_cuda_storage_get(&value, NULL, &key), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(wh_cuda_storage_delete(NULL, &key), CUDA_ERROR_INVALID_CONTEXT);
    assert_int_equal(wh_cuda_storage_get(&value, (CUcontext)(void *)&key, &key),
                     CUDA_ERROR_INVALID_CONTEXT);
    wh_cuda_storage_end(NULL);
}

static void test_end(void **state)
{
    int keys[4], values[4];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(wh_cuda_storage_put(NULL, &keys[i], &values[i], i == 2 ? NULL : end),
                         CUDA_SUCCESS);
    assert_int_equal(wh_cuda_storage_put(CONTEXT(1), &keys[0], &values[0], end), CUDA_SUCCESS);
    /* Deleted and put again: now the newest. */
    assert_int_equal(wh_cuda_storage_delete(NULL, &keys[1]), CUDA_SUCCESS);
    assert_int_equal(wh_cuda_storage_put(NULL, &keys[1], &values[1], end), CUDA_SUCCESS);
    wh_cuda_storage_end(CONTEXT(0));
    assert_int_equal(nended, 3);
    assert_ptr_equal(ended[0].key, &keys[1]);
    assert_ptr_equal(ended[1].key, &keys[3]);
    assert_ptr_equal(ended[2].key, &keys[0]);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(ended[i].context, CONTEXT(0));
        assert_ptr_equal(ended[i].value, &values[(int *)ended[i].key - keys]);
    }
    for (size_t i = 0; i < 4; i++)
        assert_null(get(NULL, &keys[i]));
    assert_ptr_equal(get(CONTEXT(1), &keys[0]), &values[0]);
    wh_cuda_storage_end(CONTEXT(0));
    assert_int_equal(nended, 3);
}

static void test_destructor_uses_storage(void **state)
{
    int key, value;
    (void)state;
    assert_int_equal(wh_cuda_storage_put(NULL, &key, &value, end_and_use), CUDA_SUCCESS);
    wh_cuda_storage_end(CONTEXT(0));
    assert_int_equal(nended, 1);
    assert_ptr_equal(ended[0].value, &value);
    assert_ptr_equal(get(NULL, &key), &nended);
}

/* ---- threads ---- */

#define KEYS   32
#define ROUNDS 2000

static int shared_keys[KEYS];

static void *look(void *done)
{
    size_t wrong = 0;
    while (!atomic_load((_Atomic bool *)done))
        for (size_t i = 0; i < KEYS; i++) {
            void *value = get(CONTEXT(0), &shared_keys[i]);
            wrong += value && value != &shared_keys[i];
        }
    return (void *)wrong;
}

/* Two writers with keys of their own, two readers of all. A reader finds the key's value or none.
 */
static void *change(void *first)
{
    size_t wrong = 0;
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = (size_t)first; i < KEYS; i += 2) {
            int *key = &shared_keys[i];
            CUresult result = round & 1 ? wh_cuda_storage_delete(CONTEXT(0), key)
                                        : wh_cuda_storage_put(CONTEXT(0), key, key, NULL);
            wrong += result != CUDA_SUCCESS;
        }
    return (void *)wrong;
}

static void test_threads(void **state)
{
    pthread_t readers[2], writers[2];
    _Atomic bool done = false;
    void *wrong;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, look, &done), 0);
        assert_int_equal(pthread_create(&writers[i], NULL, change, (void *)i), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(writers[i], &wrong);
        assert_null(wrong);
    }
    atomic_store(&done, true);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(readers[i], &wrong);
        assert_null(wrong);
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_null(get(CONTEXT(0), &shared_keys[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_get_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_context, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destructor_uses_storage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
