/* SPDX-License-Identifier: Apache-2.0 */
/* Copies with helper threads: every byte once, whoever copies it, from several threads and in a
 * child. */
#include "client/bulk.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 60

/* Copies of all sizes around those that matter; true: the bytes are the same, and only they. */
static bool copies_arrive(uint32_t seed)
{
    enum { MOST = 5 << 20 };
    uint8_t *from = malloc(MOST), *to = malloc(MOST + 1);
    bool good = from && to;
    for (size_t i = 0; good && i < MOST; i++)
        from[i] = (uint8_t)((i * 2654435761u + seed) >> 13);
    for (int round = 0; good && round < ROUNDS; round++) {
        seed = seed * 1103515245u + 12345u;
        size_t size = WH_BULK_LEAST - 3 + seed % (MOST - WH_BULK_LEAST);
        memset(to, 0, size);
        to[size] = 0x5a;
        wh_bulk_copy(to, from, size);
        good = memcmp(to, from, size) == 0 && to[size] == 0x5a;
        from[seed % size]++;
    }
    free(from);
    free(to);
    return good;
}

static void test_alone(void **state)
{
    uint8_t few[3] = {1, 2, 3}, got[3] = {0};
    (void)state;
    wh_bulk_copy(got, few, 3);
    assert_memory_equal(got, few, 3);
    wh_bulk_copy(got, few, 0);
    assert_true(copies_arrive(1));
}

static void *copy_in_thread(void *seed)
{
    return (void *)(uintptr_t)copies_arrive((uint32_t)(uintptr_t)seed);
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, copy_in_thread, (void *)(i + 5)), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *good;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_non_null(good);
    }
}

static void test_child(void **state)
{
    int status;
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it allows no new threads behind a fork */
#endif
    pid_t pid = fork();
    if (pid == 0)
        _exit(copies_arrive(99) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(copies_arrive(3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_child),
    };
    setenv("WORMHOLE_COPY_THREADS", "3", 1); /* however many cores there are */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
