/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is moved under a process's feet: same addresses, same contents, but a device's pages,
 * for which a memfd stands in here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/fixed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static uint8_t variables[2 * PAGE] __attribute__((aligned(PAGE))) = "initialised";

static void move(void **state)
{
    struct wh_fixed fixed;
    struct wh_error error;
    uint64_t at = 77;
    int fd = memfd_create("device", MFD_CLOEXEC);
    (void)state;
    assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
    uint8_t *device = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_int_equal(wh_fixed_use(fd, 4 * PAGE, 3 * PAGE, &fixed, &error), 0);

    variables[PAGE + 5] = 9;
    assert_int_equal(wh_fixed_move(&fixed, variables, sizeof(variables), &at, &error), 0);
    assert_int_equal(at, 0);
    assert_string_equal((char *)variables, "initialised");
    assert_int_equal(variables[PAGE + 5], 9);
    assert_string_equal((char *)device + 4 * PAGE, "initialised");
    device[4 * PAGE] = 'I';
    assert_string_equal((char *)variables, "Initialised");

    uint8_t *more =
        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    more[0] = 3;
    assert_int_equal(wh_fixed_move(&fixed, more, 2 * PAGE, &at, &error), -1);
    assert_int_equal(error.code, ENOSPC);
    assert_int_equal(more[0], 3);
    assert_int_equal(wh_fixed_move(&fixed, more, PAGE, &at, &error), 0);
    assert_int_equal(at, 2 * PAGE);
    wh_fixed_close(&fixed);
    wh_fixed_close(&fixed);

    more[1] = 4; /* what was moved stays, and is shared with children */
    if (fork() == 0) {
        more[2] = 5;
        variables[0] = 'i';
        _exit(0);
    }
    wait(NULL);
    assert_memory_equal(more, ((uint8_t[]){3, 4, 5}), 3);
    assert_memory_equal(device + 6 * PAGE, more, 3);
    assert_string_equal((char *)variables, "initialised");
}

static void refused(void **state)
{
    struct wh_fixed fixed;
    struct wh_error error = {0};
    (void)state;
    assert_int_equal(wh_fixed_use(-1, 0, PAGE, &fixed, &error), -1);
    assert_int_equal(error.code, EBADF);
    assert_int_equal(wh_fixed_address("no such device", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(move), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
