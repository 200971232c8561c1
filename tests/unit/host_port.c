/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service VM's line to its host: what is said gets there whole and in order, however slowly the
 * line takes it, or not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/host_port.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct wh_loop loop;
static struct wh_host_port port;
static int host;
static char heard[1024], lost[128];

static void on_line(struct wh_host_port *from, const char *line)
{
    size_t used = strlen(heard);
    assert_ptr_equal(from, &port);
    (void)snprintf(heard + used, sizeof(heard) - used, "%.40s|", line);
}

static void on_hang_up(struct wh_host_port *from, const char *why)
{
    assert_int_equal(from->source.fd, -1);
    (void)snprintf(lost, sizeof(lost), "%s", why);
}

static int open_port(void **state)
{
    struct wh_error error;
    int pair[2];
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    *heard = *lost = 0;
    port = (struct wh_host_port){.on_line = on_line, .on_hang_up = on_hang_up};
    assert_int_equal(wh_loop_init(&loop, &error), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    host = pair[0];
    assert_int_equal(wh_host_port_start(&port, &loop, pair[1], &error), 0);
    return 0;
}

static int close_port(void **state)
{
    (void)state;
    wh_host_port_close(&port);
    wh_host_port_close(&port);
    wh_loop_free(&loop);
    close(host);
    return 0;
}

/* As many numbered lines as are taken. */
static unsigned say_lines(void)
{
    char line[64];
    unsigned n = 0;
    int length;
    do
        length = snprintf(line, sizeof(line), "line %u of many\n", n++);
    while (wh_host_port_say(&port, line, (size_t)length) == 0);
    return n - 1;
}

static void whole_lines(void **state)
{
    static char text[1 << 20];
    char want[64];
    size_t size = 0;
    (void)state;
    unsigned n = say_lines();
    assert_true(n > WH_HOST_PORT_MOST / 32); /* the line was full, and then the room before it */
    assert_int_equal(wh_host_port_say(&port, "x\n", 2), 0); /* that fits yet */
    while (port.nwaiting > 0 || recv(host, text, 1, MSG_PEEK) == 1) {
        ssize_t got = recv(host, text + size, sizeof(text) - 1 - size, 0);
        size += got > 0 ? (size_t)got : 0;
        wh_host_port_wait(&port, 0);
    }
    text[size] = 0;
    char *rest = text;
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(want, sizeof(want), "line %u of many", i);
        assert_string_equal(strsep(&rest, "\n"), want);
    }
    assert_string_equal(strsep(&rest, "\n"), "x");
    assert_string_equal(rest, "");
}

static void reading(void **state)
{
    static char line[2 * WH_HOST_PORT_LINE];
    (void)state;
    assert_int_equal(write(host, "one\ntw", 6), 6);
    wh_host_port_wait(&port, 1000);
    assert_int_equal(write(host, "o\n\n", 3), 3);
    wh_host_port_wait(&port, 1000);
    assert_string_equal(heard, "one|two||");
    memset(line, 'a', sizeof(line));
    assert_int_equal(write(host, line, sizeof(line)), sizeof(line)); /* too long to be read */
    assert_int_equal(write(host, "\nthree\n", 7), 7);
    while (!strstr(heard, "three"))
        wh_host_port_wait(&port, 1000);
    assert_string_equal(heard, "one|two||three|");
}

static void hanging_up(void **state)
{
    (void)state;
    (void)say_lines();
    close(host);
    wh_host_port_wait(&port, 1000);
    assert_true(*lost);
    assert_int_equal(wh_host_port_say(&port, "x\n", 2), EIO);
    wh_host_port_wait(&port, 1000);
    host = -1;
}

static void devices(void **state)
{
    struct wh_error error = {0};
    (void)state;
    assert_int_equal(wh_host_port_open("/dev/no/such", &error), -1);
    assert_non_null(strstr(error.text, "/dev/no/such cannot be opened"));
    int fd = wh_host_port_open("/dev/null", &error); /* no terminal */
    assert_true(fd >= 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_port, close_port)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(whole_lines), TEST(reading), TEST(hanging_up),
                                       TEST(devices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
