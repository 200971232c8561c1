/* SPDX-License-Identifier: Apache-2.0 */
/* The small things: sizes in text, lines of the log, errors, descriptors over a socket, lookups in
 * tables. */
#include "support.h"

#include "base/cores.h"
#include "base/error.h"
#include "base/log.h"
#include "base/util.h"
#include "wire/desc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t size;
    } good[] = {
        {"0", 0},
        {"4096", 4096},
        {"1K", 1024},
        {"64M", 64ull << 20},
        {"2G", 2ull << 30},
        {"3T", 3ull << 40},
        {"007", 7},
        {"18446744073709551615", UINT64_MAX},
        {"16777215T", 16777215ull << 40},
    };
    static const char *const bad[] = {"",
                                      "M",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1k",
                                      "1MB",
                                      "1X",
                                      "0x10",
                                      "1.5G",
                                      "1M2",
                                      "1KK",
                                      "16777216T",
                                      "18446744073709551616",
                                      "18014398509481984K"};
    uint64_t size;
    (void)state;
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(wh_parse_size(good[i].text, &size), 0);
        assert_true(size == good[i].size);
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size = 77;
        if (wh_parse_size(bad[i], &size) != -1)
            fail_msg("'%s' is a size of %llu", bad[i], (unsigned long long)size);
        assert_int_equal(size, 77);
    }
}

/* What one call of the log writes, in one piece. */
static size_t logged(char *line, size_t size, void (*say)(const char *format, ...),
                     const char *text)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    wh_log_to(ends[1]);
    say("%s", text);
    wh_log_to(STDERR_FILENO);
    close(ends[1]);
    ssize_t n = read(ends[0], line, size - 1);
    char rest;
    assert_true(n >= 0);
    assert_int_equal(read(ends[0], &rest, 1), 0);
    close(ends[0]);
    line[n] = '\0';
    return (size_t)n;
}

static void test_log_lines(void **state)
{
    static const size_t lengths[] = {0, 1, 400, 499, 500, 501, 502, 503, 600, 5000};
    char line[1024], text[5001];
    (void)state;
    assert_int_equal(logged(line, sizeof(line), wh_log, "all is well"), 22);
    assert_string_equal(line, "wormhole: all is well\n");
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]);
         i++) { /* always one line, and it always ends */
        memset(text, 'x', lengths[i]);
        text[lengths[i]] = '\0';
        size_t n = logged(line, sizeof(line), wh_log, text);
        assert_true(n <= 512);
        assert_int_equal(line[n - 1], '\n');
        assert_ptr_equal(strchr(line, '\n'), line + n - 1);
        assert_int_equal(strlen(line), n);
        assert_memory_equal(line, "wormhole: ", 10);
        if (lengths[i] <= 500)
            assert_int_equal(n, 11 + lengths[i]);
    }
}

static void test_debug_is_asked_for(void **state)
{
    char line[64];
    (void)state;
    unsetenv("WORMHOLE_DEBUG");
    assert_int_equal(logged(line, sizeof(line), wh_debug, "quiet"), 0);
    setenv("WORMHOLE_DEBUG", "1", 1);
    assert_int_equal(logged(line, sizeof(line), wh_debug, "loud"), 15);
    unsetenv("WORMHOLE_DEBUG");
}

static void test_errors(void **state)
{
    struct wh_error error = {0};
    char text[1000];
    (void)state;
    assert_int_equal(wh_error_set(&error, ENOENT, "no %s at %d", "door", 7), -1);
    assert_int_equal(error.code, ENOENT);
    assert_string_equal(error.text, "no door at 7");
    assert_int_equal(wh_error_set(NULL, ENOENT, "nobody listens"), -1);
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    wh_error_set(&error, EIO, "%s", text);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

static void test_rounding(void **state)
{
    (void)state;
    assert_int_equal(wh_round_up(0, 8), 0);
    assert_int_equal(wh_round_up(1, 8), 8);
    assert_int_equal(wh_round_up(8, 8), 8);
    assert_int_equal(wh_round_up(4097, 4096), 8192);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_descriptors_over_a_socket(void **state)
{
    int ends[2], sent[3], got[2];
    char bytes[8];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    for (unsigned i = 0; i < 3; i++)
        sent[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(wh_send_fds(ends[0], "two", 3, sent, 2), 3);
    assert_int_equal(wh_receive_fds(ends[1], bytes, sizeof(bytes), got, 2), 3);
    assert_true(is_open(got[0]) && is_open(got[1]));
    assert_int_equal(fcntl(got[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(got[0]);
    close(got[1]);
    int next = dup(sent[0]); /* the lowest number that is free */
    close(next);
    assert_int_equal(wh_send_fds(ends[0], "more", 4, sent, 3),
                     4); /* than is wanted: closed, not leaked */
    assert_int_equal(wh_receive_fds(ends[1], bytes, sizeof(bytes), got, 1), 4);
    close(got[0]);
    int after = dup(sent[0]);
    assert_int_equal(after, next);
    close(after);
    assert_int_equal(wh_send_fds(ends[0], "longer than that", 16, sent, 1), 16);
    assert_int_equal(wh_receive_fds(ends[1], bytes, sizeof(bytes), got, 1), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(got[0], -1);
    after = dup(sent[0]);
    assert_int_equal(after, next);
    close(after);
    assert_int_equal(wh_send_fds(ends[0], "none", 4, NULL, 0), 4);
    assert_int_equal(wh_receive_fds(ends[1], bytes, sizeof(bytes), got, 2), 4);
    assert_int_equal(got[0], -1);
    assert_int_equal(got[1], -1);
    assert_int_equal(wh_send_fds(ends[0], "x", 1, sent, 9), -1);
    close(ends[0]);
    assert_int_equal(wh_receive_fds(ends[1], bytes, sizeof(bytes), got, 2), 0); /* the end */
    assert_int_equal(wh_send_fds(ends[1], "x", 1, NULL, 0), -1);                /* and no SIGPIPE */
    close(ends[1]);
    for (unsigned i = 0; i < 3; i++)
        close(sent[i]);
}

static void test_names(void **state)
{
    static const struct wh_name_desc list[] = {{.label = "low", .name = -5},
                                               {.label = "one", .name = 1},
                                               {.label = "two", .name = 2},
                                               {.label = "big", .name = 1ll << 40}};
    const struct wh_names names = {.names = list, .nnames = 4}, none = {0};
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_ptr_equal(wh_find_name(&names, list[i].name), &list[i]);
    static const int64_t others[] = {-6, -4, 0, 3, 1ll << 39, INT64_MAX, INT64_MIN};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_null(wh_find_name(&names, others[i]));
    assert_null(wh_find_name(&none, 1));
}

static void test_cores(void **state)
{
    (void)state;
    assert_int_equal(wh_cores_of_quota("max 100000"), INT_MAX);
    assert_int_equal(wh_cores_of_quota(""), INT_MAX);
    assert_int_equal(wh_cores_of_quota("0 100000"), INT_MAX);
    assert_int_equal(wh_cores_of_quota("100000 0"), INT_MAX);
    assert_int_equal(wh_cores_of_quota("9223372036854775807 1"), INT_MAX);
    assert_int_equal(wh_cores_of_quota("50000 100000"), 1);
    assert_int_equal(wh_cores_of_quota("250000 100000"), 2);
    assert_true(wh_cores() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_cores),
        cmocka_unit_test(test_log_lines),
        cmocka_unit_test(test_debug_is_asked_for),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_descriptors_over_a_socket),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
