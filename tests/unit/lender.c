/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In a service VM, between workers and the host: which ranges a worker may have shown, what is
 * written to the port for them, what the host's answers do, and when a session's memory goes to the
 * next. Both ends are played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/exchange.h"
#include "daemon/lender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define REGION   0x80000000u /* guest-physical */
#define MEMORY   0x90000000u
#define SEGMENTS 0x100000u
#define SIZE     (16u << 20)

static struct wh_server server;
static struct wh_tenant tenant;
static int host;
static struct wh_exchange_letter answered;
static int status;
static unsigned finished;

void wh_exchange_answer(struct wh_served *session, struct wh_exchange_letter *letter, int code)
{
    (void)session;
    answered = *letter;
    status = code;
}

void wh_session_finish(struct wh_served *session)
{
    (void)session;
    finished++;
}

static int open_lender(void **state)
{
    struct wh_error error;
    int pair[2];
    int memory = memfd_create("views", MFD_CLOEXEC);
    struct wh_fixed fixed = {
        .device.memory_fd = memory, .fd = memory, .size = 2 * WH_EXCHANGE_FIXED};
    (void)state;
    fixed.physical = MEMORY;
    server = (struct wh_server){0};
    tenant = (struct wh_tenant){0};
    assert_int_equal(ftruncate(memory, 2 * WH_EXCHANGE_FIXED), 0);
    fixed.memory = mmap(NULL, fixed.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    finished = 0;
    assert_int_equal(wh_loop_init(&server.loop, &error), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    host = pair[0];
    assert_int_equal(wh_lender_start(&server, pair[1], &fixed, REGION, &error), 0);
    return 0;
}

static int close_lender(void **state)
{
    (void)state;
    wh_lender_close(&server);
    wh_lender_close(&server);
    wh_loop_free(&server.loop);
    close(host);
    return 0;
}

static const char *written(void)
{
    static char text[4096];
    ssize_t size = recv(host, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[size > 0 ? size : 0] = 0;
    return text;
}

static void stop(struct wh_timer *timer)
{
    (void)timer;
    wh_loop_stop(&server.loop);
}

/* The daemon reads what the host says. */
static void say(const char *text)
{
    struct wh_timer timer = {0};
    if (*text)
        assert_int_equal(write(host, text, strlen(text)), strlen(text));
    wh_loop_set_timer(&server.loop, &timer, 20, stop);
    server.loop.stopped = false;
    wh_loop_run(&server.loop);
}

static struct wh_session_request begin(struct wh_served *session, uint64_t offset)
{
    struct wh_session_request request = {.gate = -1, .offset = offset};
    *session = (struct wh_served){.server = &server, .tenant = &tenant, .shared = SIZE};
    wh_lender_assign(session, &request);
    return request;
}

static int add(struct wh_served *session, struct wh_exchange_range range)
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_RANGE, .size = sizeof(range)};
    memcpy(letter.bytes, &range, sizeof(range));
    return wh_lender_add_range(session, &letter);
}

static int make(struct wh_served *session)
{
    struct wh_exchange_make wish = {
        .gate = 0x1000, .handler = 0x2000, .lanes = 3, .stack_pages = 4};
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_MAKE, .size = sizeof(wish)};
    memcpy(letter.bytes, &wish, sizeof(wish));
    return wh_lender_make(session, &letter);
}

static void no_host(void **state)
{
    struct wh_served session;
    (void)state;
    assert_string_equal(written(), "agent 1\n");
    assert_int_equal(begin(&session, SEGMENTS).gate, -1);
    assert_int_equal(make(&session), EINVAL);
    assert_false(wh_lender_release(&session));
    say("host 1\n");
    assert_true(begin(&session, SEGMENTS).is_fixed);
}

static void ranges(void **state)
{
    struct wh_served session;
    const struct {
        struct wh_exchange_range range;
        int code;
    } table[] = {
        {{0, 4096, 0x5000, 1, 0}, 0},
        {{4096, WH_EXCHANGE_FIXED - 4096, 0x6000, 1, 0}, 0},
        {{4096, WH_EXCHANGE_FIXED, 0x6000, 1, 0}, EINVAL},
        {{WH_EXCHANGE_FIXED, 4096, 0x6000, 1, 0}, EINVAL},
        {{-4096ull, 8192, 0x6000, 1, 0}, EINVAL},
        {{0, -4096ull, 0x6000, 1, 0}, EINVAL},
        {{0, 0, 0x6000, 1, 0}, EINVAL},
        {{1, 4096, 0x6000, 1, 0}, EINVAL},
        {{0, 1, 0x6000, 1, 0}, EINVAL},
        {{SIZE - 4096, 4096, 0x7000, 1, 1}, 0},
        {{SIZE, 4096, 0x7000, 1, 1}, EINVAL},
        {{SIZE - 4096, 8192, 0x7000, 1, 1}, EINVAL},
        {{0, 8192, 0x8000, 1, WH_EXCHANGE_LEDGER}, 0},
        {{4096, 8192, 0x8000, 1, WH_EXCHANGE_LEDGER}, EINVAL},
        {{0, 4096, 0x8000, 1, 3}, EINVAL},
    };
    (void)state;
    say("host 1\n");
    (void)written();
    struct wh_session_request request = begin(&session, SEGMENTS);
    assert_int_equal(request.fixed, 0);
    assert_int_equal(add(&session, table[10].range), EINVAL); /* there is no ledger yet */
    tenant.naccounts = 8192 / sizeof(struct wh_account);
    tenant.ledger_offset = 0xa000;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        assert_int_equal(add(&session, table[i].range), table[i].code);
    for (int i = 4; i < 16; i++)
        assert_int_equal(add(&session, table[0].range), 0);
    assert_int_equal(add(&session, table[0].range), ENOSPC);
    struct wh_exchange_letter empty = {.size = 1};
    assert_int_equal(wh_lender_add_range(&session, &empty), EINVAL);
    assert_int_equal(wh_lender_make(&session, &empty), EINVAL);
    assert_int_equal(make(&session), EINPROGRESS);
    assert_int_equal(make(&session), EINVAL); /* twice */
    assert_int_equal(add(&session, table[0].range), EINVAL);
    const char *text = written(), *start = "view 1 1000 2000 3 4 3e8\nrange 90000000 1000 5000 1\n"
                                           "range 90001000 17ff000 6000 1\n"
                                           "range 810ff000 1000 7000 1\n"
                                           "range 9000a000 2000 8000 1\n";
    assert_memory_equal(text, start, strlen(start));
    assert_string_equal(text + strlen(text) - 7, "make 1\n");
}

static void life(void **state)
{
    struct wh_served first, second, third;
    (void)state;
    say("host 1\n");
    (void)begin(&first, SEGMENTS);
    assert_int_equal(begin(&second, SEGMENTS).fixed, WH_EXCHANGE_FIXED);
    assert_false(begin(&third, SEGMENTS).is_fixed);
    assert_int_equal(make(&first), EINPROGRESS);
    assert_int_equal(make(&second), EINPROGRESS);
    say("made 7 1 2 3 4 5\nmade 1 x\nmade\nrefused 2 you have too many\n");
    assert_int_equal(status, EPERM);
    say("made 1 1ff 2 3 4 fffffffffffffff5\n");
    assert_int_equal(status, 0);
    assert_int_equal(answered.kind, 0x1ff);
    assert_memory_equal(answered.bytes, ((uint64_t[]){2, 3, 4, -11ull}), 32);
    assert_false(wh_lender_release(&second)); /* it has no view */
    (void)begin(&second, SEGMENTS);
    (void)written();
    assert_true(wh_lender_release(&first));
    assert_string_equal(written(), "end 1\n");
    assert_false(begin(&third, SEGMENTS).is_fixed); /* not before the view has ended */
    say("ended 2\nended 0\nmade 1 1 1 1 1 1\n");
    assert_int_equal(finished, 0);
    say("ended 1\n");
    assert_int_equal(finished, 1);
    assert_true(begin(&third, SEGMENTS).is_fixed);
    wh_lender_forget(&second);
    assert_int_equal(begin(&first, SEGMENTS).fixed, WH_EXCHANGE_FIXED);
}

/* Ledgers are taken from the end, while no session is in the way. */
static void reserve(void **state)
{
    struct wh_served session, other;
    uint64_t offset = 0;
    (void)state;
    assert_int_equal(wh_lender_reserve(&server, 3 * WH_EXCHANGE_FIXED, &offset), -1);
    int fd = wh_lender_reserve(&server, 5000, &offset);
    assert_true(fd >= 0);
    assert_int_equal(offset, 2 * WH_EXCHANGE_FIXED - 8192);
    close(fd);
    say("host 1\n");
    assert_true(begin(&session, SEGMENTS).is_fixed);
    assert_false(begin(&other, SEGMENTS).is_fixed);
    assert_int_equal(wh_lender_reserve(&server, WH_EXCHANGE_FIXED, &offset), -1);
    struct wh_lender *lender = server.lender;
    server.lender = NULL;
    assert_int_equal(wh_lender_reserve(&server, 1, &offset), -1);
    server.lender = lender;
}

/* A host that does not answer keeps no session, but what it may still show stays unused. */
static void silence(void **state)
{
    struct wh_served first, second;
    struct wh_timer timer = {0};
    (void)state;
    say("host 1\n");
    (void)begin(&first, SEGMENTS);
    assert_int_equal(make(&first), EINPROGRESS);
    assert_true(wh_lender_release(&first));
    wh_loop_set_timer(&server.loop, &timer, 6000, stop);
    server.loop.stopped = false;
    wh_loop_run(&server.loop);
    assert_int_equal(finished, 1);
    assert_int_equal(begin(&first, SEGMENTS).fixed, WH_EXCHANGE_FIXED);
    assert_false(begin(&second, SEGMENTS).is_fixed);
}

static void hang_up(void **state)
{
    struct wh_served session;
    (void)state;
    say("host 1\n");
    say("nonsense\nmade ");
    (void)begin(&session, SEGMENTS);
    shutdown(host, SHUT_WR);
    say("");
    assert_int_equal(make(&session), EIO);
    assert_false(begin(&session, SEGMENTS).is_fixed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lender, close_lender)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(no_host), TEST(ranges),  TEST(life),
                                       TEST(reserve), TEST(silence), TEST(hang_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
