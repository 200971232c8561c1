/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's end of the exchange, with a daemon that is late: its answer comes after the worker
 * has given up, and must not be taken for that to the next question.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "clock.h"
#include "worker/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int daemon_end, worker_end;

static int open_pair(void **state)
{
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    daemon_end = pair[0];
    worker_end = pair[1];
    wh_exchange_use(worker_end);
    return 0;
}

static int close_pair(void **state)
{
    (void)state;
    clock_step_ns = 0;
    wh_exchange_use(0);
    close(daemon_end);
    close(worker_end);
    return 0;
}

/* A question that nobody answers in time; the clock does the waiting. */
static void ask_in_vain(uint32_t what)
{
    struct wh_exchange_letter letter;
    uint8_t token[WH_EXCHANGE_TOKEN] = {0};
    uint64_t key[4];
    uint32_t index;
    int fd;
    clock_step_ns = 10000000000;
    if (what == WH_EXCHANGE_MAKE)
        assert_int_equal(wh_exchange_make_view(&(struct wh_exchange_make){0}, key, &index),
                         ETIMEDOUT);
    else
        assert_int_equal(wh_exchange_get(1, token, &key, 0, &fd), ETIMEDOUT);
    clock_step_ns = 0;
    while (recv(daemon_end, &letter, sizeof(letter), MSG_DONTWAIT) == sizeof(letter))
        ;
    assert_int_equal(letter.what, what); /* the last */
}

static void answer(uint32_t what, uint32_t number, int give)
{
    const struct wh_exchange_letter letter = {
        .what = what, .number = number, .token = {(uint8_t)number}};
    assert_int_equal(wh_send_fds(daemon_end, &letter, sizeof(letter), &give, give >= 0),
                     sizeof(letter));
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 64; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void late(void **state)
{
    uint8_t token[WH_EXCHANGE_TOKEN];
    (void)state;
    ask_in_vain(WH_EXCHANGE_MAKE);
    ask_in_vain(WH_EXCHANGE_GET);
    unsigned before = descriptors();
    answer(WH_EXCHANGE_MAKE, 1, -1);
    answer(WH_EXCHANGE_GET, 2, daemon_end); /* with a descriptor that nobody wants any more */
    answer(WH_EXCHANGE_PUT, 3, -1);
    assert_int_equal(wh_exchange_put(1, "x", 1, -1, token), 0);
    assert_int_equal(token[0], 3);
    assert_int_equal(descriptors(), before);
    /* The same question twice is two. */
    ask_in_vain(WH_EXCHANGE_GET);
    answer(WH_EXCHANGE_GET, 4, -1);
    answer(WH_EXCHANGE_GET, 5, daemon_end);
    int fd, nothing;
    assert_int_equal(wh_exchange_get(1, token, &nothing, 0, &fd), 0);
    assert_int_equal(descriptors(), before + 1); /* that of the second */
    close(fd);
}

static void in_order(void **state)
{
    uint8_t token[WH_EXCHANGE_TOKEN] = {0};
    (void)state;
    ask_in_vain(WH_EXCHANGE_GET);
    answer(WH_EXCHANGE_DROP, 1, -1); /* to what was asked first, whatever it says */
    answer(WH_EXCHANGE_DROP, 2, -1);
    assert_int_equal(wh_exchange_drop(token), 0);
    answer(WH_EXCHANGE_DROP, 2, -1); /* nothing is owed any more */
    answer(WH_EXCHANGE_DROP, 3, -1);
    assert_int_equal(wh_exchange_drop(token), ENOTCONN);
    answer(WH_EXCHANGE_DROP, 4, -1);
    assert_int_equal(wh_exchange_drop(token), ENOTCONN); /* and nobody is asked again */
}

static void silence(void **state)
{
    uint8_t token[WH_EXCHANGE_TOKEN] = {0};
    unsigned n = 0;
    int code;
    (void)state;
    clock_step_ns = 10000000000;
    while ((code = wh_exchange_drop(token)) == ETIMEDOUT)
        n++;
    assert_int_equal(code, ENOTCONN);
    assert_in_range(n, 2, 64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(late), TEST(in_order), TEST(silence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
