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

#include "base/log.h"
#include "clock.h"
#include "daemon/exchange.h"
#include "daemon/lender.h"
#include "daemon/region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define REGION   0x80000000u /* guest-physical */
#define MEMORY   0x90000000u
#define SEGMENTS 0x100000u
#define SIZE     (16u << 20)

static struct wh_server server;
static struct wh_tenant tenant;
static int host, port; /* the line's two ends */
static int logs[2];
static struct wh_exchange_letter answered;
static int status;
static unsigned finished, released;
static char relayed[256]; /* what the region was told of rings */

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

void wh_region_release(struct wh_region_server *region)
{
    (void)region;
    released++;
}

static void relay(const char *format, unsigned number)
{
    size_t used = strlen(relayed);
    (void)snprintf(relayed + used, sizeof(relayed) - used, format, number);
}

void wh_region_relay(struct wh_region_server *region, bool relays)
{
    (void)region;
    relay("relays %x|", relays);
}

void wh_region_ring(struct wh_region_server *region, uint32_t peer)
{
    (void)region;
    relay("%x|", peer);
}

/* Whether the port is a serial line. */
static bool is_terminal;

int isatty(int fd)
{
    (void)fd;
    return is_terminal;
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
    server = (struct wh_server){.region = (struct wh_region_server *)&server};
    tenant = (struct wh_tenant){0};
    assert_int_equal(ftruncate(memory, 2 * WH_EXCHANGE_FIXED), 0);
    fixed.memory = mmap(NULL, fixed.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    finished = released = 0;
    *relayed = 0;
    clock_step_ns = 0;
    assert_int_equal(pipe2(logs, O_CLOEXEC | O_NONBLOCK), 0);
    wh_log_to(logs[1]);
    assert_int_equal(wh_loop_init(&server.loop, &error), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    host = pair[0];
    port = pair[1];
    assert_int_equal(wh_lender_start(&server, pair[1], &fixed, REGION, &error), 0);
    return 0;
}

static int open_terminal(void **state)
{
    is_terminal = true;
    return open_lender(state);
}

static int close_lender(void **state)
{
    (void)state;
    is_terminal = false;
    wh_lender_close(&server);
    wh_lender_close(&server);
    wh_loop_free(&server.loop);
    wh_log_to(STDERR_FILENO);
    close(logs[0]);
    close(logs[1]);
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

static const char *logged(void)
{
    static char text[4096];
    ssize_t size = read(logs[0], text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = 0;
    return text;
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;
    for (; (text = strstr(text, word)); text++)
        n++;
    return n;
}

static bool (*is_done)(void);

static void look(struct wh_timer *timer)
{
    if (is_done())
        wh_loop_stop(&server.loop);
    else
        wh_loop_set_timer(&server.loop, timer, 1, look);
}

/* The daemon runs until then, and to the end of what it does at the moment. */
static void run_until(bool (*done)(void))
{
    struct wh_timer timer = {0};
    is_done = done;
    wh_loop_set_timer(&server.loop, &timer, 0, look);
    server.loop.stopped = false;
    wh_loop_run(&server.loop);
}

/* Of the host's, nothing is on its way. */
static bool all_is_read(void)
{
    int left;
    assert_int_equal(ioctl(host, SIOCOUTQ, &left), 0);
    return left == 0;
}

static bool has_hung_up(void)
{
    char rest[256];
    ssize_t size;
    while ((size = recv(host, rest, sizeof(rest), MSG_DONTWAIT)) > 0)
        ;
    return size == 0;
}

static bool has_more(void)
{
    char byte;
    return recv(host, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static bool at_once(void)
{
    return true;
}

/* The daemon reads what the host says. */
static void say(const char *text)
{
    assert_int_equal(write(host, text, strlen(text)), strlen(text));
    run_until(all_is_read);
}

/* What has a deadline in these seconds happens. */
static void pass(unsigned seconds)
{
    for (; seconds > 0; seconds--) {
        clock_ahead_ns += 1000000000;
        run_until(at_once);
    }
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
    uint64_t offset;
    /* No number goes on with what ends the half line that may stand there. */
    assert_string_equal(written(), "?\nagent 1\nbells 1\n");
    assert_int_equal(begin(&session, SEGMENTS).gate, -1);
    assert_int_equal(make(&session), EINVAL);
    assert_int_equal(wh_lender_reserve(&server, 4096, &offset), -1);
    assert_false(wh_lender_release(&session));
    pass(60); /* one may come */
    unsigned hellos = count(written(), "agent 1\n");
    assert_in_range(hellos, 1, 6);
    assert_int_equal(released, 0);
    say("host 1\n");
    assert_int_equal(released, 1);
    assert_true(begin(&session, SEGMENTS).is_fixed);
    pass(60);
    assert_string_equal(written(), "");
    say("host 1\n");
    assert_int_equal(released, 1);
}

/* Before anybody is served. */
static void start(void **state)
{
    (void)state;
    (void)written();
    clock_step_ns = 2000000000;
    assert_false(wh_lender_await(&server));
    clock_step_ns = 0;
    assert_non_null(strstr(written(), "agent 1\n"));
    assert_non_null(strstr(logged(), "does not answer"));
    assert_int_equal(write(host, "host 1\n", 7), 7);
    assert_true(wh_lender_await(&server));
    assert_int_equal(released, 1);
    shutdown(host, SHUT_WR);
    run_until(has_hung_up);
    assert_true(wh_lender_await(&server)); /* nobody can be in a view */
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
    assert_non_null(strstr(logged(), "makes no view: you have too many"));
    (void)written();
    assert_int_equal(make(&second), EINVAL); /* everybody's port hears it once */
    assert_int_equal(add(&second, (struct wh_exchange_range){0, 4096, 0x5000, 1, 0}), EINVAL);
    assert_string_equal(written(), "");
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
    say("host 1\n");
    assert_int_equal(wh_lender_reserve(&server, 3 * WH_EXCHANGE_FIXED, &offset), -1);
    int fd = wh_lender_reserve(&server, 5000, &offset);
    assert_true(fd >= 0);
    assert_int_equal(offset, 2 * WH_EXCHANGE_FIXED - 8192);
    close(fd);
    assert_true(begin(&session, SEGMENTS).is_fixed);
    assert_false(begin(&other, SEGMENTS).is_fixed);
    assert_int_equal(wh_lender_reserve(&server, WH_EXCHANGE_FIXED, &offset), -1);
    struct wh_lender *lender = server.lender;
    server.lender = NULL;
    assert_int_equal(wh_lender_reserve(&server, 1, &offset), -1);
    server.lender = lender;
}

/* A session with a view, and in which state it is. */
static void show(struct wh_served *session, unsigned number)
{
    char line[64];
    assert_true(begin(session, SEGMENTS).is_fixed);
    assert_int_equal(make(session), EINPROGRESS);
    (void)snprintf(line, sizeof(line), "made %x 1 2 3 4 5\n", number);
    status = -1;
    say(line);
    assert_int_equal(status, 0);
    (void)written();
}

/* Nothing goes to anybody before the host has said so, however long that takes; it is told again.
 */
static void silence(void **state)
{
    struct wh_served first, second;
    (void)state;
    say("host 1\n");
    show(&first, 1);
    assert_true(wh_lender_release(&first));
    (void)logged();
    pass(60);
    assert_int_equal(finished, 0);
    assert_in_range(count(written(), "end 1\n"), 10, 21);
    const char *lines = logged();
    assert_int_equal(count(lines, "does not say that its view has ended"), 1);
    assert_int_equal(count(lines, "new sessions have no views"), 1);
    /* There is a piece, but nobody who would make a view: no session waits for that. */
    assert_false(begin(&second, SEGMENTS).is_fixed);
    say("ended 2\n");
    assert_int_equal(count(logged(), "answers again"), 1);
    assert_int_equal(begin(&second, SEGMENTS).fixed, WH_EXCHANGE_FIXED);
    say("ended 1\n");
    assert_int_equal(finished, 1);
    (void)written();
    pass(60);
    assert_string_equal(written(), "");
    assert_string_equal(logged(), "");
}

/* A worker that waits in vain hears of it, and lives where it is; what is made too late ends. */
static void late(void **state)
{
    struct wh_served first, second;
    (void)state;
    say("host 1\n");
    (void)begin(&first, SEGMENTS);
    assert_int_equal(make(&first), EINPROGRESS);
    (void)written();
    status = 0;
    pass(3);
    assert_int_equal(status, 0);
    pass(2);
    assert_int_equal(status, ETIMEDOUT);
    assert_string_equal(written(), "end 1\n");
    say("made 1 1 2 3 4 5\n");
    assert_int_equal(status, ETIMEDOUT);
    say("ended 1\n");
    assert_int_equal(finished, 0);
    assert_int_equal(make(&first), EINVAL);
    assert_int_equal(begin(&second, SEGMENTS).fixed, WH_EXCHANGE_FIXED);
    pass(60);
    assert_string_equal(written(), "");
    assert_false(wh_lender_release(&first));
    assert_true(begin(&first, SEGMENTS).is_fixed);
    /* The worker may end before the host has answered, too. */
    assert_int_equal(make(&second), EINPROGRESS);
    pass(5);
    assert_true(wh_lender_release(&second));
    say("ended 2\n");
    assert_int_equal(finished, 1);
}

/* The line takes nothing for a while: what is said meanwhile gets there whole, and once. */
static void slow_line(void **state)
{
    static const char junk[1024];
    struct wh_served first, second;
    const char *text;
    (void)state;
    say("host 1\n");
    show(&first, 1);
    while (write(port, junk, sizeof(junk)) > 0 || write(port, junk, 1) > 0)
        ;
    assert_true(wh_lender_release(&first));
    pass(4);
    (void)begin(&second, SEGMENTS);
    assert_int_equal(make(&second), EINPROGRESS);
    do {
        text = written();
    } while (!*text && has_more());
    run_until(has_more);
    text = written();
    assert_memory_equal(text, "end 1\nview 2 1000 2000 3 4 3e8\nmake 2\n", 38);
    say("ended 1\nmade 2 1 2 3 4 5\n");
    assert_int_equal(finished, 1);
    assert_int_equal(status, 0);
}

/* The host's own half lines. */
static void glued(void **state)
{
    struct wh_served first, second;
    (void)state;
    say("host 1\n");
    show(&first, 1);
    (void)begin(&second, SEGMENTS);
    assert_int_equal(make(&second), EINPROGRESS);
    status = -1;
    assert_true(wh_lender_release(&first));
    say("made 2 1 2 3 4 5ended 1\n");
    say("made 2 1 2 3 4 5made 2 1 2 3 4 5\n");
    say("refused 2ended 1\n");
    say("ended 1ended 1\nended 1?\n");
    assert_int_equal(status, -1);
    assert_int_equal(finished, 0);
    say("made 2 1 2 3 4 5\nended 1\n");
    assert_int_equal(status, 0);
    assert_int_equal(finished, 1);
}

static void hang_up(void **state)
{
    struct wh_served first, second;
    (void)state;
    say("host 1\n");
    show(&first, 1);
    say("nonsense\nmade ");
    (void)begin(&second, SEGMENTS);
    assert_int_equal(make(&second), EINPROGRESS);
    assert_true(wh_lender_release(&first));
    (void)written();
    shutdown(host, SHUT_WR);
    run_until(has_hung_up);
    assert_int_equal(finished, 1); /* with the host went the view */
    assert_int_equal(status, EIO);
    assert_int_equal(make(&second), EINVAL);
    assert_false(wh_lender_release(&second));
    assert_false(begin(&second, SEGMENTS).is_fixed);
    assert_int_equal(released, 2);
    pass(60);
}

/* By somebody in this VM: the host still shows what it showed. */
static void hang_up_of_a_terminal(void **state)
{
    struct wh_served first, second;
    (void)state;
    say("host 1\n");
    show(&first, 1);
    (void)begin(&second, SEGMENTS);
    assert_int_equal(make(&second), EINPROGRESS);
    assert_true(wh_lender_release(&first));
    const unsigned before = released;
    shutdown(host, SHUT_WR);
    run_until(has_hung_up);
    assert_int_equal(status, EIO);
    assert_true(wh_lender_release(&second));
    pass(60);
    assert_int_equal(finished, 0);
    assert_int_equal(released, before);
    assert_false(begin(&second, SEGMENTS).is_fixed);
}

static void rings(void **state)
{
    (void)state;
    say("host 1\nring 5\n"); /* nobody said that there would be rings */
    say("bells 0\nring 5\nbells 2\nbells\nbells x\nbells 1bells 1\nbells 100000001\n");
    assert_string_equal(relayed, "");
    assert_false(wh_lender_hears_rings(&server));
    say("bells 1\nbells 1\n");
    assert_true(wh_lender_hears_rings(&server));
    say("ring 0\nring 41\nring ffffffff\n");
    assert_string_equal(relayed, "relays 1|0|41|ffffffff|");
    say("ring\nring \nring -1\nring 0x5\nring 5 \nring 5ring 6\nring 100000000\nring g\n"
        "ring 5 6\nrings 5\nRING 5\n ring 5\n");
    assert_string_equal(relayed, "relays 1|0|41|ffffffff|");
    server.region = NULL; /* it is not served yet, or not any more */
    say("ring 5\nbells 0\nring 5\nbells 1\n");
    server.region = (struct wh_region_server *)&server;
    assert_string_equal(relayed, "relays 1|0|41|ffffffff|");
    shutdown(host, SHUT_WR);
    run_until(has_hung_up);
    assert_string_equal(relayed, "relays 1|0|41|ffffffff|relays 0|");
    assert_false(wh_lender_hears_rings(&server));
}

/* Who rings has not answered anything. */
static void rings_and_silence(void **state)
{
    struct wh_served first, second;
    (void)state;
    say("host 1\nbells 1\n");
    show(&first, 1);
    assert_true(wh_lender_release(&first));
    for (unsigned i = 0; i < 10; i++) {
        say("ring 5\n");
        pass(1);
    }
    assert_int_equal(finished, 0);
    assert_false(begin(&second, SEGMENTS).is_fixed);
}

/* Who will have no view leaves the memory to others. */
static void give_back(void **state)
{
    struct wh_served first, second, third;
    (void)state;
    say("host 1\n");
    (void)begin(&first, SEGMENTS);
    (void)begin(&second, SEGMENTS);
    (void)logged();
    assert_false(begin(&third, SEGMENTS).is_fixed);
    const char *lines = logged();
    assert_non_null(strstr(lines, "48 MiB, is enough for 2 sessions"));
    assert_non_null(strstr(lines, "a larger device"));
    assert_int_equal(wh_lender_give_back(&third), EINVAL);
    assert_false(begin(&third, SEGMENTS).is_fixed);
    assert_string_equal(logged(), ""); /* that was said */
    assert_int_equal(wh_lender_give_back(&second), 0);
    assert_int_equal(wh_lender_give_back(&second), EINVAL);
    assert_int_equal(begin(&third, SEGMENTS).fixed, WH_EXCHANGE_FIXED);
    assert_false(wh_lender_release(&second));
    assert_int_equal(add(&first, (struct wh_exchange_range){0, 4096, 0x5000, 1, 0}), 0);
    assert_int_equal(wh_lender_give_back(&first), EINVAL); /* it lives there */
    assert_int_equal(make(&third), EINPROGRESS);
    assert_int_equal(wh_lender_give_back(&third), EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lender, close_lender)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_host),
        TEST(start),
        TEST(ranges),
        TEST(life),
        TEST(reserve),
        TEST(silence),
        TEST(late),
        TEST(slow_line),
        TEST(glued),
        TEST(hang_up),
        TEST(give_back),
        TEST(rings),
        TEST(rings_and_silence),
        cmocka_unit_test_setup_teardown(hang_up_of_a_terminal, open_terminal, close_lender)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
