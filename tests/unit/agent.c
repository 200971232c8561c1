/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service VM's agent may write to its port, and what is answered: an offer that is wrong is
 * refused with what is wrong about it, before the module or the VM are asked. There is neither
 * here, so one that is right gets to them, and no further. What the module refuses is in
 * tests/exitless.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/agent.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CODE  "range 10000000 1000 fffffc0100000000 2\n"
#define DATA  "range 10001000 2000 fffffc0100100000 1\n"
#define FIRST "view 7 500000000000 fffffc0100000000 10 2 2710\n"

/* Nothing gets here: the port's other end is this process, which runs no VM. */
static int no_device(void *context)
{
    (void)context;
    fail_msg("the module was asked for");
    return -1;
}

static int guest;

static struct wh_agent *open_agent_with(uint64_t pages)
{
    const struct wh_agent_limits limits = {.pages = pages, .budget_ms = 10000};
    const struct wh_agent_handlers handlers = {.device = no_device};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    guest = pair[0];
    struct wh_agent *agent = wh_agent_new(pair[1], &limits, &handlers);
    assert_non_null(agent);
    assert_int_equal(wh_agent_port(agent), pair[1]);
    return agent;
}

static struct wh_agent *open_agent(void)
{
    return open_agent_with(256);
}

/* All lines that there are, one after the other. */
static void read_all(struct wh_agent *agent)
{
    struct pollfd port = {.fd = wh_agent_port(agent), .events = POLLIN};
    while (poll(&port, 1, 0) == 1)
        assert_int_equal(wh_agent_read(agent), 0);
}

/* Writes that and has it read, at most `step` bytes at a time; what is answered. */
static const char *ask(struct wh_agent *agent, const char *text, size_t step)
{
    static char answer[1024];
    for (size_t left = strlen(text); left > 0;) {
        size_t now = left < step ? left : step;
        assert_int_equal(write(guest, text, now), now);
        read_all(agent);
        text += now;
        left -= now;
    }
    assert_int_equal(wh_agent_read(agent), 0); /* with nothing to read, too */
    ssize_t size = recv(guest, answer, sizeof(answer) - 1, MSG_DONTWAIT);
    answer[size > 0 ? size : 0] = 0;
    return answer;
}

static void offers(void **state)
{
    static const struct {
        const char *lines, *answer;
    } table[] = {
        {"agent 1\n", "host 1\n"},
        {"agent 2\n", "host 1 the agent is of another version\n"},
        {"end 5\n", "ended 5\n"},
        {FIRST CODE DATA "make 7\n", "shows no VM"},
        {FIRST CODE "range 10001000 2000 fffffc0100100000 0\nmake 7\n", "shows no VM"},
        {FIRST "make 7\n", "refused 7 there is no range\n"},
        {FIRST CODE "make 8\n", "another number"},
        {"make 0\n", "refused 0 0 lanes"},
        {"view 7 500000000000 fffffc0100000000 0 2 2710\n" CODE "make 7\n",
         "refused 7 0 lanes of 2"},
        {"view 7 500000000000 fffffc0100000000 101 2 2710\n" CODE "make 7\n", "257 lanes"},
        {"view 7 500000000000 fffffc0100000000 100000001 2 1\n" CODE "make 7\n", "lanes of 2"},
        {"view 7 500000000000 fffffc0100000000 1 f 2710\n" CODE "make 7\n", "1 lanes of 15"},
        {"view 7 500000000000 fffffc0100000000 1 2 2711\n" CODE "make 7\n", "1 to 10000 ms"},
        {"view 7 500000000000 fffffc0100000000 1 2 0\n" CODE "make 7\n", "1 to 10000 ms"},
        {"view 7 500000000000 fffffc0100000000 1 2 ffffffffffffffff\n" CODE "make 7\n", "ms"},
        {"view 7 500000000000 fffffc0100000000 10 e 1\n" CODE DATA CODE "make 7\n", "overlaps"},
        {FIRST CODE "range 20000000 fd000 fffffc0200000000 1\nmake 7\n", "more than 256 pages"},
        {FIRST CODE "range 20000000 fffffffffffff000 fffffc0200000000 1\nmake 7\n",
         "more than 256 pages"},
        {FIRST CODE "range 20000001 1000 fffffc0200000000 1\nmake 7\n", "1 is not whole pages"},
        {FIRST CODE "range 20000000 1800 fffffc0200000000 1\nmake 7\n", "1 is not whole pages"},
        {FIRST CODE "range 20000000 1000 fffffc0200000800 1\nmake 7\n", "1 is not whole pages"},
        {FIRST CODE "range 20000000 0 fffffc0200000000 1\nmake 7\n", "1 is empty"},
        {FIRST CODE "range fffffffffffff000 2000 fffffc0200000000 1\nmake 7\n", "wraps"},
        {FIRST CODE "range 20000000 2000 fffffffffffff000 1\nmake 7\n", "wraps"},
        {FIRST CODE "range 20000000 1000 fffffc0200000000 3\nmake 7\n", "neither code nor data"},
        {FIRST CODE "range 20000000 1000 fffffc0200000000 100000001\nmake 7\n", "flags"},
        {FIRST DATA "range 10002000 1000 fffffc0200000000 1\nmake 7\n", "in the VM's memory"},
        {FIRST DATA "range 20002000 1000 fffffc0100101000 1\nmake 7\n", "in the view"},
        {FIRST CODE "rango 20000000 1000 fffffc0200000000 1\nmake 7\n", "not understood"},
        {FIRST CODE "range 20000000 1000 fffffc0200000000\nmake 7\n", "not understood"},
        {FIRST CODE "range 20000000 1000 fffffc0200000000 1 1\nmake 7\n", "not understood"},
        {FIRST CODE "range 0x20000000 1000 fffffc0200000000 1\nmake 7\n", "not understood"},
        {FIRST CODE "range -1 1000 fffffc0200000000 1\nmake 7\n", "not understood"},
        {FIRST CODE "range 00000000020000000 1000 fffffc0200000000 1\nmake 7\n", "not understood"},
        {FIRST CODE "\nmake 7\n", "not understood"},
        {FIRST CODE "rango\nagent 1\n", "host 1\n"},
        {FIRST CODE "rango\n" FIRST CODE "make 7\n", "shows no VM"},
        {"what is this\nrefused 7 something\n\n1 2 3\nmake\nend\nend 1 2\nagent\n", ""},
    };
    (void)state;
    for (size_t step = 1; step < 100; step += 49) {
        struct wh_agent *agent = open_agent();
        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
            const char *answer = ask(agent, table[i].lines, step);
            if (*table[i].answer ? !strstr(answer, table[i].answer) : *answer)
                fail_msg("%s: %s", table[i].lines, answer);
        }
        wh_agent_free(agent);
        close(guest);
    }
}

static void too_much(void **state)
{
    struct wh_agent *agent = open_agent();
    char line[600];
    (void)state;
    memset(line, 'a', sizeof(line));
    for (size_t length = 100; length < 500; length++) {
        line[length] = '\n';
        line[length + 1] = 0;
        assert_string_equal(ask(agent, line, 512), "");
        line[length] = line[length + 1] = 'a';
    }
    (void)ask(agent, FIRST, 512);
    for (unsigned i = 0; i < WH_AGENT_RANGES + 1; i++)
        (void)ask(agent, DATA, 512);
    assert_non_null(strstr(ask(agent, "make 7\n", 512), "too many ranges"));
    wh_agent_free(agent);
    close(guest);
}

/* What keeps the host's daemon from everybody else while the module does it. */
static void long_work(void **state)
{
    static const struct {
        const char *lines, *answer;
    } table[] = {
        {"range 10000000 400000 fffffc0100000000 2\n", "shows no VM"},
        {"range 10000000 401000 fffffc0100000000 2\n", "too much code: more than 1024 pages"},
        {CODE "range 20000000 3ff000 fffffc0200000000 2\n", "shows no VM"},
        {CODE "range 20000000 400000 fffffc0200000000 2\n", "too much code"},
        {"range 10000000 fffffffffffff000 fffffc0100000000 2\n", "more than"},
        {CODE "range 20000000 401000 fffffc0200000000 0\n", "shows no VM"},
        {CODE "range 20000000 3fcf000 fffffc0200000000 1\n", "shows no VM"},
        {CODE "range 20000000 3fd0000 fffffc0200000000 1\n", "view would have more than 16384"},
        {CODE "range 20000000 ffffffff000 fffffc0200000000 1\n", "views would have more than"},
    };
    struct wh_agent *agent = open_agent_with(1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        (void)ask(agent, FIRST, 512);
        (void)ask(agent, table[i].lines, 512);
        const char *answer = ask(agent, "make 7\n", 512);
        if (!strstr(answer, table[i].answer))
            fail_msg("%s: %s", table[i].lines, answer);
    }
    wh_agent_free(agent);
    close(guest);
}

static void one_line(void **state)
{
    static const char lines[] = "end 1\nend 2\nen";
    char answer[64];
    struct wh_agent *agent = open_agent();
    (void)state;
    assert_int_equal(write(guest, lines, strlen(lines)), strlen(lines));
    assert_int_equal(wh_agent_read(agent), 0);
    assert_int_equal(recv(guest, answer, sizeof(answer), MSG_DONTWAIT), 8);
    assert_memory_equal(answer, "ended 1\n", 8);
    assert_string_equal(ask(agent, "d 3\n", 512), "ended 2\nended 3\n");
    wh_agent_free(agent);
    close(guest);
}

/* A guest that does not read for a while loses answers, whole ones, and may ask again. */
static void unread(void **state)
{
    struct wh_agent *agent = open_agent();
    static char text[1 << 20];
    size_t size = 0;
    char *rest = text;
    (void)state;
    for (unsigned i = 0; i < 40000; i++) {
        assert_int_equal(write(guest, "end abcdef\n", 11), 11);
        assert_int_equal(wh_agent_read(agent), 0);
    }
    for (ssize_t got = 1; got > 0; size += (size_t)(got > 0 ? got : 0))
        got = recv(guest, text + size, sizeof(text) - 1 - size, MSG_DONTWAIT);
    assert_in_range(size, 1, 40000 * 13 - 1); /* not all of it */
    text[size] = 0;
    (void)strcat(text, ask(agent, "end 5\n", 512));
    char *line = strsep(&rest, "\n");
    for (; strcmp(line, "ended abcdef") == 0; line = strsep(&rest, "\n"))
        assert_non_null(rest);
    assert_string_equal(line, "ended 5");
    assert_string_equal(rest, "");
    wh_agent_free(agent);
    close(guest);
}

static int listens; /* what it was asked for; -1: nothing */
static bool can_listen;

static bool listen_to_bells(void *context, bool wanted)
{
    (void)context;
    listens = wanted;
    return wanted && can_listen;
}

static void bells(void **state)
{
    static const struct {
        bool can;
        const char *lines, *answer;
        int listens;
    } table[] = {
        {true, "bells 1\n", "bells 1\n", 1},
        {false, "bells 1\n", "bells 0\n", 1},
        {true, "bells 0\n", "bells 0\n", 0},
        {true, "bells 2\n", "bells 0\n", 0},
        {true, "bells ffffffffffffffff\n", "bells 0\n", 0},
        {true, "agent 1\nbells 1\n", "host 1\nbells 1\n", 1},
        {true, "bells 1\nagent 1\n", "bells 1\nhost 1\n", 0}, /* the next may not want it */
        {true, "bells\nbells x\nbells 1 1\nbells -1\nring 1\n", "", -1},
    };
    const struct wh_agent_limits limits = {.pages = 256, .budget_ms = 10000};
    const struct wh_agent_handlers handlers = {.device = no_device, .listen = listen_to_bells};
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    guest = pair[0];
    struct wh_agent *agent = wh_agent_new(pair[1], &limits, &handlers);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        can_listen = table[i].can;
        listens = -1;
        assert_string_equal(ask(agent, table[i].lines, 512), table[i].answer);
        assert_int_equal(listens, table[i].listens);
    }
    /* What it was told waits for the guest to read it, all of it. */
    static const uint32_t peers[] = {0, 0x41, 7};
    char first;
    assert_true(wh_agent_has_read(agent));
    wh_agent_ring(agent, peers, 3);
    assert_false(wh_agent_has_read(agent));
    assert_int_equal(read(guest, &first, 1), 1);
    assert_false(wh_agent_has_read(agent));
    assert_string_equal(ask(agent, "", 1), "ing 0\nring 41\nring 7\n");
    assert_true(wh_agent_has_read(agent));
    wh_agent_free(agent);
    close(guest);
    agent = open_agent();
    assert_string_equal(ask(agent, "bells 1\n", 512), "bells 0\n"); /* there are none */
    wh_agent_free(agent);
    close(guest);
}

static void hang_up(void **state)
{
    struct wh_agent *agent = open_agent();
    (void)state;
    (void)ask(agent, FIRST CODE, 512);
    close(guest);
    assert_int_equal(wh_agent_read(agent), -1);
    wh_agent_free(agent);
    wh_agent_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers),   cmocka_unit_test(too_much), cmocka_unit_test(long_work),
        cmocka_unit_test(one_line), cmocka_unit_test(unread),   cmocka_unit_test(bells),
        cmocka_unit_test(hang_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
