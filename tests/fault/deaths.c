/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something dies: the worker, the client, the daemon. What is left must say so, clean up, and go
 * on. Run by meson; the measured latencies are printed, not judged: a bound of seconds only tells
 * an answer from a hang.
 */
#include "support.h"

#include "base/util.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define NOT_AVAILABLE (-2)
#define HANG_US       2000000

static unsigned long long now_us(void)
{
    return wh_now_ns() / 1000;
}

/* Takes "what: STATUS at TIME" apart; returns the status. */
static int parse_result(const char *line, const char *what, unsigned long long *at)
{
    int status = 0;
    const char *colon = strrchr(line, ':');
    assert_non_null(colon);
    if (strncmp(line, what, strlen(what)) != 0 || sscanf(colon, ": %d at %llu", &status, at) != 2)
        fail_msg("'%s' is not a line about %s", line, what);
    return status;
}

/* The next `count` results are all 'device not available', and none came later than a hang would.
 */
static void expect_losses(struct process *victim, unsigned count, unsigned long long killed)
{
    char line[256];
    for (unsigned i = 0; i < count; i++) {
        unsigned long long at;
        assert_true(process_line(victim, 0, line, sizeof(line)));
        assert_int_equal(parse_result(line, "", &at), NOT_AVAILABLE);
        long long after = (long long)(at - killed);
        print_message("    %.*s: %lld.%03lld ms later\n", (int)strcspn(line, ":"), line,
                      after / 1000, after % 1000);
        if (after > HANG_US)
            fail_msg("that is a hang");
    }
}

/* Calls made after the loss fail at once; stderr has exactly one line, which holds `why`. */
static void expect_quiet_failure(struct process *victim, unsigned calls, const char *why)
{
    char line[512], more[512];
    for (unsigned i = 0; i < calls; i++) {
        unsigned long long at;
        assert_true(process_line(victim, 0, line, sizeof(line)));
        if (parse_result(line, "", &at) != NOT_AVAILABLE)
            fail_msg("after the loss: %s", line);
    }
    process_expect(victim, 0, "end", NULL, 0);
    assert_int_equal(process_wait(victim), 0);
    assert_true(process_line(victim, 1, line, sizeof(line)));
    if (!strstr(line, why))
        fail_msg("stderr says '%s' instead of '%s'", line, why);
    if (process_line(victim, 1, more, sizeof(more)))
        fail_msg("stderr has a second line: %s", more);
}

/* ---- the worker ---- */

static void kill_worker_under(const char *role, unsigned blocked)
{
    struct daemon daemon;
    struct process victim;
    daemon_start(&daemon, NULL);
    victim_start(&victim, daemon.url, role);
    process_expect(&victim, 0, "blocked", NULL, 0);
    pid_t worker = daemon_only_worker(&daemon);
    unsigned long long killed = now_us();
    assert_int_equal(kill(worker, SIGKILL), 0);
    expect_losses(&victim, blocked, killed);
    expect_quiet_failure(&victim, 3, "the worker was killed by signal 9");
    process_expect(&daemon.process, 1, "the worker was killed by signal 9", NULL, 0);
    process_end(&victim);
    daemon_stop(&daemon);
}

static void worker_killed_while_calls_wait(void **state)
{
    (void)state;
    kill_worker_under("blocked", 4);
}

static void worker_killed_while_it_computes(void **state)
{
    (void)state;
    kill_worker_under("computing", 1);
}

static void worker_killed_while_idle(void **state)
{
    struct daemon daemon;
    struct process victim;
    (void)state;
    daemon_start(&daemon, NULL);
    victim_start(&victim, daemon.url, "idle");
    process_expect(&victim, 0, "idle", NULL, 0);
    int gone = watch_process(daemon_only_worker(&daemon));
    assert_int_equal(kill(daemon_only_worker(&daemon), SIGKILL), 0);
    await_end_of(gone);
    process_expect(&daemon.process, 1, "the worker was killed by signal 9", NULL, 0);
    process_tell(&victim, "go on");
    expect_quiet_failure(&victim, 3, "the worker was killed by signal 9");
    process_end(&victim);
    daemon_stop(&daemon);
}

/* A program whose kernel would have taken it down natively is told that the device is gone, and
 * why. */
static void worker_crashes(void **state)
{
    struct daemon daemon;
    struct process victim;
    (void)state;
    daemon_start(&daemon, NULL);
    victim_start(&victim, daemon.url, "crashing");
    process_expect(&victim, 0, "blocked", NULL, 0);
    expect_losses(&victim, 1, now_us());
    expect_quiet_failure(&victim, 3, "crashed (signal 11)");
    process_end(&victim);
    daemon_stop(&daemon);
}

/* One session's worker ends one session. */
static void other_sessions_live_on(void **state)
{
    struct daemon daemon;
    struct process other, victim;
    pid_t first, both[2];
    (void)state;
    daemon_start(&daemon, NULL);
    victim_start(&other, daemon.url, "obedient");
    process_expect(&other, 0, "computed: 0 ", NULL, 0);
    first = daemon_only_worker(&daemon);
    victim_start(&victim, daemon.url, "blocked");
    process_expect(&victim, 0, "blocked", NULL, 0);
    assert_int_equal(daemon_workers(&daemon, both, 2), 2);
    unsigned long long killed = now_us();
    assert_int_equal(kill(both[0] == first ? both[1] : both[0], SIGKILL), 0);
    expect_losses(&victim, 4, killed);
    process_tell(&other, "again");
    process_expect(&other, 0, "computed: 0 ", NULL, 0);
    process_end(&victim);
    process_end(&other);
    daemon_stop(&daemon);
}

/* ---- the client ---- */

static void kill_client_in(const char *role, const char *ready)
{
    struct daemon daemon;
    struct process victim;
    daemon_start(&daemon, NULL);
    victim_start(&victim, daemon.url, role);
    process_expect(&victim, 0, ready, NULL, 0);
    int worker = watch_process(daemon_only_worker(&daemon));
    unsigned long long killed = now_us();
    assert_int_equal(kill(victim.pid, SIGKILL), 0);
    await_end_of(worker);
    print_message("    the worker was gone %llu us after the client's kill\n", now_us() - killed);
    assert_int_equal(daemon_workers(&daemon, NULL, 0), 0);
    process_end(&victim);
    daemon_stop(&daemon);
}

static void client_killed_in_a_call(void **state)
{
    (void)state;
    kill_client_in("blocked", "blocked");
}

static void client_killed_while_its_kernel_runs(void **state)
{
    (void)state;
    kill_client_in("computing", "blocked");
}

static void client_killed_while_it_sends(void **state)
{
    (void)state;
    kill_client_in("busy", "busy");
}

/* Reserves a record, writes half of it, and hangs until it is killed. */
static _Noreturn void die_in_mid_message(const char *url, int ready)
{
    struct wh_shm *shm = raw_connect(url);
    uint32_t *room = shm->channel.ops->begin(&shm->channel, 4096);
    for (unsigned i = 0; i < 512; i++)
        room[i] = 0xdeadbeef;
    atomic_store(&shm->segment->calls.consumer_sleeps, 0);
    (void)wh_write_all(ready, "x", 1);
    for (;;)
        (void)pause();
}

static void client_killed_in_mid_message(void **state)
{
    struct daemon daemon;
    int ends[2];
    (void)state;
    daemon_start(&daemon, NULL);
    assert_int_equal(pipe(ends), 0);
    pid_t client = fork();
    if (client == 0)
        die_in_mid_message(daemon.url, ends[1]);
    assert_true(wait_readable(ends[0], PATIENCE_MS));
    int worker = watch_process(daemon_only_worker(&daemon));
    assert_int_equal(kill(client, SIGKILL), 0);
    await_end_of(worker);
    close(ends[0]);
    close(ends[1]);
    daemon_stop(&daemon);
}

/* ---- the daemon ---- */

static void expect_refusal(const struct daemon *daemon, const char *why)
{
    struct process client;
    char line[512];
    victim_start(&client, daemon->url, "platforms");
    process_expect(&client, 0, "clGetPlatformIDs: -1001 ", NULL, 0);
    assert_int_equal(process_wait(&client), 0);
    process_expect(&client, 1, why, line, sizeof(line));
    if (process_line(&client, 1, line, sizeof(line)))
        fail_msg("stderr has a second line: %s", line);
    process_end(&client);
}

static void daemon_killed_and_started_again(void **state)
{
    struct daemon daemon;
    struct process old, young;
    (void)state;
    daemon_start(&daemon, NULL);
    victim_start(&old, daemon.url, "obedient");
    process_expect(&old, 0, "computed: 0 ", NULL, 0);
    int worker = watch_process(daemon_only_worker(&daemon));
    assert_int_equal(kill(daemon.process.pid, SIGKILL), 0);
    assert_true(wait_readable(daemon.process.pidfd, PATIENCE_MS));

    process_tell(&old, "again");
    process_expect(&old, 0, "computed: 0 ", NULL, 0);
    expect_refusal(&daemon, "no Wormhole daemon answers at unix:");

    daemon_restart(&daemon);
    victim_start(&young, daemon.url, "obedient");
    process_expect(&young, 0, "computed: 0 ", NULL, 0);
    process_tell(&old, "again");
    process_expect(&old, 0, "computed: 0 ", NULL, 0);

    process_end(&old);
    await_end_of(worker); /* nobody but itself is left to end it */
    process_end(&young);
    daemon_stop(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_killed_while_calls_wait),
        cmocka_unit_test(worker_killed_while_it_computes),
        cmocka_unit_test(worker_killed_while_idle),
        cmocka_unit_test(worker_crashes),
        cmocka_unit_test(other_sessions_live_on),
        cmocka_unit_test(client_killed_in_a_call),
        cmocka_unit_test(client_killed_while_its_kernel_runs),
        cmocka_unit_test(client_killed_while_it_sends),
        cmocka_unit_test(client_killed_in_mid_message),
        cmocka_unit_test(daemon_killed_and_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
