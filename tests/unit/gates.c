/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's end of the module: when it looks for it, what it says about that, that a service VM
 * hears of the end of a view when nobody is in it any more, and that one which asks for views
 * without end leaves the daemon to others. The module is played here, and the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../kmod/uapi/wormhole.h"
#include "base/log.h"
#include "base/util.h"
#include "clock.h"
#include "daemon/agent.h"
#include "daemon/agent_server.h"
#include "daemon/gate.h"
#include "daemon/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The module's descriptors: one end of a pipe each, so that one can see that they are closed. */
enum { LOADED = 1, NAMED = 2 };
static unsigned module; /* what of it works */
static unsigned looked; /* how often it was looked for */
static int things[2];
static uint32_t bound, unbound[4], nunbound;
static unsigned created;  /* views */
static uint64_t takes_ns; /* each of them */
static int logs[2];

static int thing(void)
{
    return fcntl(things[1], F_DUPFD_CLOEXEC, 0);
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...) __attribute__((alias("__wrap_open")));
int __wrap_wh_kvm_take(pid_t qemu, struct wh_error *error);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_open(const char *path, int flags, ...)
{
    (void)flags;
    assert_string_equal(path, "/dev/wormhole");
    looked++;
    errno = ENOENT;
    return module & LOADED ? thing() : -1;
}

int __wrap_wh_kvm_take(pid_t qemu, struct wh_error *error)
{
    (void)qemu;
    return module & NAMED ? thing() : wh_error_set(error, ENOENT, "there is no VM");
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    assert_true(fd >= 0);
    switch (request) {
    case WORMHOLE_VM_OPEN:
        return thing();
    case WORMHOLE_VIEW_CREATE:
        created++;
        clock_ahead_ns += takes_ns;
        return thing();
    case WORMHOLE_BIND:
        ((struct wormhole_bind *)argument)->index = ++bound;
        return 0;
    case WORMHOLE_UNBIND:
        unbound[nunbound++ % 4] = *(uint32_t *)argument;
        return 0;
    default:
        fail_msg("the module was asked something else");
        return -1;
    }
}

static int open_module(void **state)
{
    (void)state;
    module = LOADED | NAMED;
    looked = bound = nunbound = created = 0;
    assert_int_equal(pipe2(things, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(logs, O_CLOEXEC | O_NONBLOCK), 0);
    wh_log_to(logs[1]);
    return 0;
}

/* And nothing of the module's may be left open. */
static int close_module(void **state)
{
    char byte;
    (void)state;
    wh_log_to(STDERR_FILENO);
    close(logs[0]);
    close(logs[1]);
    close(things[1]);
    assert_int_equal(read(things[0], &byte, 1), 0);
    close(things[0]);
    return 0;
}

static const char *logged(void)
{
    static char text[4096];
    ssize_t size = read(logs[0], text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = 0;
    return text;
}

/* A module that is loaded later is found by later sessions; what is known is not said again. */
static void retry(void **state)
{
    struct wh_server none = {0};
    struct wh_gate_vm *vm = wh_gate_vm_new("guest", -1);
    (void)state;
    module = 0;
    assert_int_equal(wh_gate_device(vm), -1);
    assert_non_null(strstr(logged(), "is the module loaded?"));
    assert_int_equal(wh_gate_device(vm), -1);
    assert_string_equal(logged(), "");
    assert_int_equal(looked, 2); /* once a session */
    module = LOADED;
    assert_int_equal(wh_gate_device(vm), -1);
    assert_non_null(strstr(logged(), "there is no VM"));
    module = 0;
    assert_int_equal(wh_gate_device(vm), -1);
    assert_non_null(strstr(logged(), "is the module loaded?"));
    module = LOADED | NAMED;
    int device = wh_gate_device(vm);
    assert_true(device >= 0);
    assert_non_null(strstr(logged(), "calls are exitless"));
    assert_int_equal(wh_gate_device(vm), device);
    assert_string_equal(logged(), "");
    assert_int_equal(looked, 5);
    wh_gate_vm_free(&none, vm);
}

static struct wh_server server;
static int guest; /* a service VM's end of its port */

static void look(struct wh_timer *timer)
{
    char byte;
    if (recv(guest, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
        wh_loop_stop(&server.loop);
    else
        wh_loop_set_timer(&server.loop, timer, 1, look);
}

static const char *ask(const char *text)
{
    static char answer[1024];
    struct wh_timer timer = {0};
    assert_int_equal(write(guest, text, strlen(text)), strlen(text));
    wh_loop_set_timer(&server.loop, &timer, 1, look);
    server.loop.stopped = false;
    wh_loop_run(&server.loop);
    ssize_t size = recv(guest, answer, sizeof(answer) - 1, 0);
    answer[size > 0 ? size : 0] = 0;
    return answer;
}

#define OFFER                                        \
    "view 7 500000000000 fffffc0100000000 10 2 64\n" \
    "range 10000000 1000 fffffc0100000000 2\nmake 7\n"

static struct wh_gate_vm *vm;
static struct wh_agent_server *agent;

static void open_port(void)
{
    static const int no_bells[] = {-1};
    static const struct wh_config_vm config = {.name = "guest", .views = 1 << 20};
    struct wh_error error;
    int pair[2];
    server = (struct wh_server){0};
    assert_int_equal(wh_loop_init(&server.loop, &error), 0);
    vm = wh_gate_vm_new("guest", -1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    guest = pair[0];
    assert_int_equal(wh_agent_serve(&server, pair[1], &config, &vm, no_bells, &agent, &error), 0);
}

static void close_port(void)
{
    wh_agent_server_close(agent);
    assert_null(agent);
    wh_gate_vm_free(&server, vm);
    vm = NULL;
    close(guest);
    wh_loop_free(&server.loop);
}

/* A child that the daemon just forked may hold a view's descriptor: the view ends all the same. */
static void ended(void **state)
{
    (void)state;
    open_port();
    bound = 4;
    assert_memory_equal(ask(OFFER), "made 7 5 ", 9);
    assert_int_equal(wh_agent_server_views(agent)->index, 5);
    assert_int_equal(nunbound, 0);
    assert_string_equal(ask("end 7\n"), "ended 7\n");
    assert_int_equal(nunbound, 1);
    assert_int_equal(unbound[0], 5);
    assert_string_equal(ask("end 7\n"), "ended 7\n"); /* who asks again did not hear it */
    assert_int_equal(nunbound, 1);
    assert_memory_equal(ask(OFFER), "made 7 6 ", 9);
    assert_string_equal(ask("?\nagent 1\n"), "host 1\n");
    assert_int_equal(unbound[1], 6);
    assert_memory_equal(ask(OFFER), "made 7 7 ", 9);
    wh_agent_server_end_views(agent); /* with the client's VM */
    assert_int_equal(nunbound, 3);
    wh_gate_vm_free(&server, vm);
    vm = NULL;
    assert_non_null(strstr(ask(OFFER), "refused 7 "));
    close_port();
}

/* ---- an agent that never has enough ---- */

#define SECOND_NS 1000000000ull

static unsigned turns;

static void on_turn(struct wh_source *source, uint32_t events)
{
    (void)source;
    (void)events;
    if (--turns == 0)
        wh_loop_stop(&server.loop);
}

/* Others have their turn so many times, and between them whoever else has something to do. */
static void take_turns(unsigned count)
{
    struct wh_source other;
    struct wh_error error;
    const int always = eventfd(1, EFD_CLOEXEC);
    turns = count;
    server.loop.stopped = false;
    assert_int_equal(wh_loop_add(&server.loop, &other, always, on_turn, &error), 0);
    wh_loop_run(&server.loop);
    wh_loop_remove(&server.loop, &other);
    close(always);
}

static void say(const char *text, unsigned times)
{
    while (times-- > 0)
        assert_int_equal(write(guest, text, strlen(text)), strlen(text));
}

static int stop_clock(void **state)
{
    clock_stands = true;
    clock_ahead_ns = 0;
    return open_module(state);
}

static int start_clock(void **state)
{
    clock_stands = false;
    takes_ns = 0;
    return close_module(state);
}

/* All is there to be read at once, and done at a fifth of the time. */
static void rests(void **state)
{
    (void)state;
    open_port();
    takes_ns = SECOND_NS;
    say(OFFER "end 7\n", 4);
    take_turns(100);
    assert_int_equal(created, 1);
    assert_int_equal(nunbound, 0);
    clock_ahead_ns += 4 * SECOND_NS;
    take_turns(100);
    assert_int_equal(created, 1);
    clock_ahead_ns += SECOND_NS / 1000;
    take_turns(100);
    assert_int_equal(created, 2);
    assert_int_equal(nunbound, 1);
    takes_ns = 100 * SECOND_NS; /* as if it had been stopped */
    clock_ahead_ns += 5 * SECOND_NS;
    take_turns(100);
    assert_int_equal(created, 3);
    takes_ns = 0;
    clock_ahead_ns += 9 * SECOND_NS;
    take_turns(100);
    assert_int_equal(created, 3);
    clock_ahead_ns += SECOND_NS;
    take_turns(100);
    assert_int_equal(created, 4);
    assert_int_equal(nunbound, 4);
    close_port();
}

/* What is short is done at once, until it is long together. */
static void adds_up(void **state)
{
    (void)state;
    open_port();
    takes_ns = SECOND_NS / 1000 / 4;
    say(OFFER "end 7\n", 6);
    take_turns(100);
    assert_int_equal(created, 4);
    clock_ahead_ns += SECOND_NS / 100;
    take_turns(100);
    assert_int_equal(created, 6);
    close_port();
}

static void closes_at_rest(void **state)
{
    (void)state;
    open_port();
    takes_ns = SECOND_NS;
    say(OFFER "end 7\n", 2);
    take_turns(100);
    assert_non_null(server.loop.timers);
    wh_agent_server_close(agent);
    assert_null(server.loop.timers);
    assert_int_equal(nunbound, 1);
    clock_ahead_ns += 100 * SECOND_NS;
    take_turns(100);
    assert_int_equal(created, 1);
    close_port();
}

/* Its views end at once, and what it had yet to say is for nobody. */
static void hangs_up_at_rest(void **state)
{
    (void)state;
    open_port();
    takes_ns = SECOND_NS;
    say(OFFER "end 7\n", 3);
    take_turns(100);
    assert_int_equal(nunbound, 0);
    close(guest);
    take_turns(100);
    assert_null(agent);
    assert_null(server.loop.timers);
    assert_int_equal(created, 1);
    assert_int_equal(nunbound, 1);
    guest = -1;
    close_port();
}

#define TEST(name)          cmocka_unit_test_setup_teardown(name, open_module, close_module)
#define TEST_BY_CLOCK(name) cmocka_unit_test_setup_teardown(name, stop_clock, start_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(retry),
                                       TEST(ended),
                                       TEST_BY_CLOCK(rests),
                                       TEST_BY_CLOCK(adds_up),
                                       TEST_BY_CLOCK(closes_at_rest),
                                       TEST_BY_CLOCK(hangs_up_at_rest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
