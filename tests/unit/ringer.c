/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a client VM's doorbells to the lines that its service VM's agent reads: each bell is told
 * of, whoever rings without end keeps nothing else from being done, and a VM that does not read its
 * port gets no more than one look's lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/region.h"
#include "daemon/ringer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static struct wh_loop loop;
static struct wh_agent *agent;
static struct wh_ringer ringer;
static int guest, bells[WH_REGION_BELLS];

static int open_ringer(void **state)
{
    const struct wh_agent_limits limits = {0};
    const struct wh_agent_handlers handlers = {0};
    struct wh_error error;
    int pair[2];
    (void)state;
    assert_int_equal(wh_loop_init(&loop, &error), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    guest = pair[0];
    agent = wh_agent_new(pair[1], &limits, &handlers);
    for (unsigned i = 0; i < WH_REGION_BELLS; i++)
        bells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ringer = WH_RINGER_NONE;
    assert_int_equal(wh_ringer_start(&ringer, &loop, agent, bells, &error), 0);
    assert_true(wh_ringer_listens(&ringer));
    return 0;
}

static int close_ringer(void **state)
{
    (void)state;
    wh_ringer_stop(&ringer);
    wh_ringer_stop(&ringer);
    wh_agent_free(agent);
    for (unsigned i = 0; i < WH_REGION_BELLS; i++)
        close(bells[i]);
    close(guest);
    wh_loop_free(&loop);
    return 0;
}

static void ring(unsigned peer)
{
    const uint64_t one = 1;
    assert_int_equal(write(bells[peer], &one, sizeof(one)), sizeof(one));
}

static void stop(struct wh_timer *timer)
{
    (void)timer;
    wh_loop_stop(&loop);
}

/* The daemon goes on for a while: longer than it rests. */
static void run(uint64_t ms)
{
    struct wh_timer timer = {0};
    wh_loop_set_timer(&loop, &timer, ms, stop);
    loop.stopped = false;
    wh_loop_run(&loop);
}

/* What the guest has to read, and whether it does. */
static const char *lines(int flags)
{
    static char text[4096];
    ssize_t size = recv(guest, text, sizeof(text) - 1, flags | MSG_DONTWAIT);
    text[size > 0 ? size : 0] = 0;
    return text;
}

static void await_lines(void)
{
    while (!*lines(MSG_PEEK))
        run(1);
}

static void each(void **state)
{
    char line[16];
    (void)state;
    for (unsigned i = 0; i < WH_REGION_BELLS; i++) {
        ring(i);
        ring(i);
        await_lines();
        (void)snprintf(line, sizeof(line), "ring %x\n", i);
        assert_string_equal(lines(0), line);
    }
    run(5);
    assert_string_equal(lines(0), "");
    /* All at once, as one. */
    for (unsigned i = 0; i < WH_REGION_BELLS; i++)
        ring(i);
    await_lines();
    const char *text = lines(0);
    for (unsigned i = 0; i < WH_REGION_BELLS; i++) {
        (void)snprintf(line, sizeof(line), "ring %x\n", i);
        assert_non_null(strstr(text, line));
    }
    assert_int_equal(strlen(text), 16 * 7 + 49 * 8);
}

static void unread(void **state)
{
    (void)state;
    ring(3);
    await_lines();
    for (unsigned i = 0; i < 50; i++) {
        ring(3);
        ring(7);
        run(1);
    }
    assert_string_equal(lines(0), "ring 3\n");
    await_lines();
    const char *text = lines(0);
    assert_true(strcmp(text, "ring 3\nring 7\n") == 0 || strcmp(text, "ring 7\nring 3\n") == 0);
    run(5);
    assert_string_equal(lines(0), "");
}

static _Atomic bool enough;

static void *ring_on(void *argument)
{
    (void)argument;
    while (!atomic_load(&enough))
        for (unsigned i = 0; i < WH_REGION_BELLS; i++)
            ring(i);
    return NULL;
}

static unsigned others;

static void on_other(struct wh_source *source, uint32_t events)
{
    (void)source;
    (void)events;
    if (++others == 100)
        wh_loop_stop(&loop);
}

/* And a guest that reads all of it. */
static void without_end(void **state)
{
    struct wh_source other;
    struct wh_error error;
    pthread_t thread;
    unsigned told = 0;
    (void)state;
    const int always = eventfd(1, EFD_CLOEXEC);
    atomic_store(&enough, false);
    assert_int_equal(pthread_create(&thread, NULL, ring_on, NULL), 0);
    while (told < 20) { /* the others' turn comes, and the bells' does */
        others = 0;
        loop.stopped = false;
        assert_int_equal(wh_loop_add(&loop, &other, always, on_other, &error), 0);
        wh_loop_run(&loop);
        wh_loop_remove(&loop, &other);
        run(1);
        told += *lines(0) != 0;
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    close(always);
}

static void nobody(void **state)
{
    const int none[] = {-1};
    struct wh_error error;
    (void)state;
    wh_ringer_stop(&ringer);
    assert_false(wh_ringer_listens(&ringer));
    ring(1);
    run(5);
    assert_string_equal(lines(0), "");
    assert_int_equal(wh_ringer_start(&ringer, &loop, agent, none, &error), 0);
    assert_false(wh_ringer_listens(&ringer));
    /* Again, and in the middle of a rest; what rang before is told. */
    assert_int_equal(wh_ringer_start(&ringer, &loop, agent, bells, &error), 0);
    await_lines();
    assert_string_equal(lines(0), "ring 1\n");
    assert_int_equal(wh_ringer_start(&ringer, &loop, agent, bells, &error), 0);
    ring(2);
    await_lines();
    assert_non_null(strstr(lines(0), "ring 2\n"));
    run(5);
    (void)lines(0);
    ring(2);
    close(guest); /* nobody reads any more */
    guest = -1;
    run(5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ringer, close_ringer)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(each), TEST(unread), TEST(without_end), TEST(nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
