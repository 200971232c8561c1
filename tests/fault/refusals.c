/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that must not come about: no server, another version, nonsense instead of a handshake,
 * too many, too big. Each refusal says why in words that its reader can act on, and the daemon
 * serves the next client as if nothing had been. Run by meson.
 */
#include "support.h"

#include "base/util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void expect_words(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (!strstr(text, *words))
            fail_msg("'%s' does not say '%s'", text, *words);
}

/* ---- the other side is not there ---- */

/* A program under a wrong URL sees no platform and says why, once. */
static void expect_no_platform(const char *url, const char *why)
{
    struct process client;
    char line[512], more[512];
    victim_start(&client, url, "platforms");
    process_expect(&client, 0, "clGetPlatformIDs: -1001 ", NULL, 0);
    process_expect(&client, 0, "clGetPlatformIDs: -1001 ", NULL, 0);
    assert_int_equal(process_wait(&client), 0);
    assert_true(process_line(&client, 1, line, sizeof(line)));
    if (!strstr(line, why))
        fail_msg("stderr says '%s' instead of '%s'", line, why);
    if (process_line(&client, 1, more, sizeof(more)))
        fail_msg("stderr has a second line: %s", more);
    process_end(&client);
}

static void no_daemon(void **state)
{
    (void)state;
    expect_no_platform(
        "unix:/nonexistent/wormhole.sock",
        "no Wormhole daemon answers at unix:/nonexistent/wormhole.sock (No such file "
        "or directory)");
}

static void path_too_long(void **state)
{
    char url[300] = "unix:/";
    (void)state;
    memset(url + strlen(url), 'x', 200);
    expect_no_platform(url, "is too long");
}

static void unknown_transport(void **state)
{
    (void)state;
    expect_no_platform("pigeon:coop", "pigeon:coop is not a server's address");
}

static void no_device_in_this_machine(void **state)
{
    (void)state;
    expect_no_platform("ivshmem:ffff:ff:1f.7", "ffff:ff:1f.7");
}

/* ---- versions ---- */

static void other_version(void **state)
{
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    (void)state;
    memset(hello.version, 0, sizeof(hello.version));
    (void)snprintf(hello.version, sizeof(hello.version), "9.8.7");
    assert_true(raw_ask(&shared_daemon, &hello, sizeof(hello), &answer));
    assert_int_equal(answer.refused, EPROTONOSUPPORT);
    expect_words(answer.text, (const char *const[]){"9.8.7", WH_VERSION, NULL});
    process_expect(&shared_daemon.process, 1, "9.8.7", NULL, 0);
    expect_service(NULL, NULL);
}

static void other_protocol(void **state)
{
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    (void)state;
    hello.protocol = 4711;
    assert_true(raw_ask(&shared_daemon, &hello, sizeof(hello), &answer));
    assert_int_equal(answer.refused, EPROTONOSUPPORT);
    expect_words(answer.text, (const char *const[]){"4711", WH_VERSION, NULL});
    expect_service(NULL, NULL);
}

static void other_description(void **state)
{
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    char hash[20];
    (void)state;
    hello.api_hash = 0x123456789abcdef0;
    (void)snprintf(hash, sizeof(hash), "%llx", (unsigned long long)wh_opencl_api.hash);
    assert_true(raw_ask(&shared_daemon, &hello, sizeof(hello), &answer));
    assert_int_equal(answer.refused, EPROTONOSUPPORT);
    expect_words(answer.text, (const char *const[]){"123456789abcdef0", hash, NULL});
    expect_service(NULL, NULL);
}

static void unknown_api(void **state)
{
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    (void)state;
    memcpy(hello.api, "%n%s\n\x1b[2J\x07;$(x)", 16); /* neither formatted nor believed */
    assert_true(raw_ask(&shared_daemon, &hello, sizeof(hello), &answer));
    assert_int_equal(answer.refused, ENOSYS);
    for (const char *c = answer.text; *c; c++)
        if ((unsigned char)*c < ' ')
            fail_msg("a control character came back");
    expect_service(NULL, NULL);
}

/* ---- nonsense ---- */

static void expect_refusal_of(const void *bytes, size_t size)
{
    struct wh_welcome answer;
    if (raw_ask(&shared_daemon, bytes, size, &answer))
        assert_int_not_equal(answer.refused, 0);
    expect_service(NULL, NULL);
}

static void garbage(void **state)
{
    static uint8_t bytes[4096];
    uint64_t seed = 42;
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
    expect_refusal_of(bytes, sizeof(struct wh_hello));
    expect_refusal_of(bytes, sizeof(bytes));
    expect_refusal_of(bytes, 1);
    expect_refusal_of("GET / HTTP/1.1\r\n\r\n", 18);
}

static void cut_and_long_handshakes(void **state)
{
    struct {
        struct wh_hello hello;
        char more[64];
    } both = {.hello = raw_hello()};
    (void)state;
    expect_refusal_of(&both, sizeof(both.hello) - 1);
    expect_refusal_of(&both, sizeof(both));
}

/* An empty packet is no end of file: it must not keep the daemon busy either. */
static void empty_packet(void **state)
{
    (void)state;
    WH_CLEANUP_CLOSE int fd = raw_socket(&shared_daemon);
    assert_int_equal(send(fd, "", 0, MSG_NOSIGNAL), 0);
    assert_true(wait_readable(fd, PATIENCE_MS));
    expect_service(NULL, NULL);
}

static void connects_and_leaves(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++)
        close(raw_socket(&shared_daemon));
    expect_service(NULL, NULL);
}

/* Descriptors that nobody asked for are not kept. */
static void unwanted_descriptors(void **state)
{
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    int got[2];
    (void)state;
    unsigned before, after;
    expect_service(&before, NULL);
    for (int i = 0; i < 20; i++) {
        WH_CLEANUP_CLOSE int fd = raw_socket(&shared_daemon);
        int fds[] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
        hello.protocol = 4711;
        assert_true(wh_send_fds(fd, &hello, sizeof(hello), fds, 3) > 0);
        assert_true(wait_readable(fd, PATIENCE_MS));
        assert_true(wh_receive_fds(fd, &answer, sizeof(answer), got, 2) > 0);
    }
    expect_service(&after, NULL);
    assert_int_equal(after, before);
}

/* Connections that say nothing are given up after a while; they hold up nobody meanwhile. */
static void silence(void **state)
{
    struct wh_welcome answer;
    int fds[2];
    (void)state;
    WH_CLEANUP_CLOSE int fd = raw_socket(&shared_daemon);
    expect_service(NULL, NULL);
    if (!wait_readable(fd, PATIENCE_MS))
        fail_msg("a silent connection is kept for ever");
    assert_true(wh_receive_fds(fd, &answer, sizeof(answer), fds, 2) >= 0);
    process_expect(&shared_daemon.process, 1, "did not say hello", NULL, 0);
    expect_service(NULL, NULL);
}

/* ---- too much ---- */

static void too_much_memory(void **state)
{
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    const uint64_t sizes[] = {1ull << 50, UINT64_MAX, UINT64_MAX - 4095, 1ull << 63};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        hello.arena = sizes[i];
        assert_true(raw_ask(&shared_daemon, &hello, sizeof(hello), &answer));
        assert_int_equal(answer.refused, EDQUOT);
        expect_words(answer.text, (const char *const[]){"the server allows", NULL});
    }
    expect_service(NULL, NULL);
}

static void limits(void **state)
{
    struct daemon limited;
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    char config[200];
    (void)state;
    (void)snprintf(
        config, sizeof(config),
        "max_sessions = 3\n"
        "tenant \"these\" {\n uid = {%u}\n max_sessions = 2\n session_memory = \"16M\"\n}\n",
        geteuid());
    daemon_start(&limited, config);
    hello.arena = 17u << 20;
    assert_true(raw_ask(&limited, &hello, sizeof(hello), &answer));
    assert_int_equal(answer.refused, EDQUOT);
    expect_words(answer.text, (const char *const[]){"17 MiB", "16 MiB", "these", NULL});

    hello.arena = 16u << 20;
    WH_CLEANUP_CLOSE int first = raw_socket(&limited);
    WH_CLEANUP_CLOSE int second = raw_socket(&limited);
    assert_int_equal(send(first, &hello, sizeof(hello), 0), sizeof(hello));
    assert_int_equal(send(second, &hello, sizeof(hello), 0), sizeof(hello));
    assert_true(wait_readable(first, PATIENCE_MS) && wait_readable(second, PATIENCE_MS));

    assert_true(raw_ask(&limited, &hello, sizeof(hello), &answer));
    assert_int_equal(answer.refused, EDQUOT);
    expect_words(answer.text, (const char *const[]){"these already has the 2 sessions", NULL});
    process_expect(&limited.process, 1, "these already has the 2 sessions", NULL, 0);

    /* One that ends makes room for one. */
    pid_t workers[2];
    assert_int_equal(daemon_workers(&limited, workers, 2), 2);
    struct pollfd gone[2] = {{.fd = watch_process(workers[0]), .events = POLLIN},
                             {.fd = watch_process(workers[1]), .events = POLLIN}};
    close(first);
    first = -1;
    assert_int_equal(poll(gone, 2, PATIENCE_MS), 1);
    close(gone[0].fd);
    close(gone[1].fd);
    assert_true(raw_ask(&limited, &hello, sizeof(hello), &answer));
    assert_int_equal(answer.refused, 0);
    daemon_stop(&limited);
}

static void server_limit(void **state)
{
    struct daemon limited;
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    (void)state;
    daemon_start(&limited, "max_sessions = 1\n");
    WH_CLEANUP_CLOSE int first = raw_socket(&limited);
    assert_int_equal(send(first, &hello, sizeof(hello), 0), sizeof(hello));
    assert_true(wait_readable(first, PATIENCE_MS));
    assert_true(raw_ask(&limited, &hello, sizeof(hello), &answer));
    assert_int_equal(answer.refused, EBUSY);
    expect_words(answer.text, (const char *const[]){"all of its 1 sessions", NULL});
    daemon_stop(&limited);
}

/* The lines about refusals that the log has by now, and how many they say were left out. */
static void count_refusals(struct process *process, unsigned *lines, unsigned *left_out)
{
    char line[1024];
    while (wait_readable(process->err, 0)) {
        assert_true(process_line(process, 1, line, sizeof(line)));
        const char *more = strstr(line, "(and ");
        *left_out += more ? (unsigned)strtoul(more + strlen("(and "), NULL, 10) : 0;
        *lines += strstr(line, "is refused") != NULL;
    }
}

/* Who is refused in a loop does not fill the log, which says how much it leaves out. */
static void many_refusals(void **state)
{
    enum { N = 500 };
    struct daemon daemon;
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    unsigned asked = 0, lines = 0, left_out = 0;
    (void)state;
    daemon_start(&daemon, NULL);
    hello.protocol = 4711;
    /* The next line that is written tells of those that were not: after a second one is. */
    while (asked < N || lines + left_out < asked) {
        assert_true(raw_ask(&daemon, &hello, sizeof(hello), &answer));
        assert_int_equal(answer.refused, EPROTONOSUPPORT);
        count_refusals(&daemon.process, &lines, &left_out);
        asked++;
        if (asked > N)
            assert_false(wait_readable(daemon.process.pidfd, 100));
    }
    if (lines > N / 2)
        fail_msg("%u lines for %u refusals", lines, asked);
    daemon_stop(&daemon);
}

/* ---- the daemon's own start ---- */

/* wormholed with these options must fail and say why. */
static void expect_no_start(const char *option, const char *value, const char *why)
{
    struct process process;
    const char *const argv[] = {getenv("WORMHOLED"), "--config", "/dev/null", option, value, NULL};
    process_start(&process, NULL, argv);
    process_expect(&process, 1, why, NULL, 0);
    assert_int_equal(process_wait(&process), 1);
    process_end(&process);
}

static void daemon_does_not_start(void **state)
{
    char path[300] = "unix:/tmp/";
    (void)state;
    memset(path + strlen(path), 'x', 200);
    expect_no_start("--listen", path, "too long");
    expect_no_start("--listen", "unix:relative", "must start with /");
    expect_no_start("--listen", shared_daemon.url, "another server listens at");
    expect_no_start("--listen", "unix:/dev/null", "is in the way");
    expect_no_start("--vm", "small=/tmp/x,4M", "power of two from 16M");
    expect_no_start("--vm", "odd=/tmp/x,12M", "power of two from 16M");
    expect_service(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_daemon),
        cmocka_unit_test(path_too_long),
        cmocka_unit_test(unknown_transport),
        cmocka_unit_test(no_device_in_this_machine),
        cmocka_unit_test(other_version),
        cmocka_unit_test(other_protocol),
        cmocka_unit_test(other_description),
        cmocka_unit_test(unknown_api),
        cmocka_unit_test(garbage),
        cmocka_unit_test(cut_and_long_handshakes),
        cmocka_unit_test(empty_packet),
        cmocka_unit_test(connects_and_leaves),
        cmocka_unit_test(unwanted_descriptors),
        cmocka_unit_test(silence),
        cmocka_unit_test(too_much_memory),
        cmocka_unit_test(limits),
        cmocka_unit_test(server_limit),
        cmocka_unit_test(many_refusals),
        cmocka_unit_test(daemon_does_not_start),
    };
    return cmocka_run_group_tests(tests, shared_daemon_start, shared_daemon_stop);
}
