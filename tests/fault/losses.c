/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left after something died must say so, clean up, and go on: the same for all APIs. The
 * measured latencies are printed, not judged: a bound of seconds only tells an answer from a hang.
 */
#include "losses.h"

#include "base/util.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define HANG_US 10000000 /* a busy machine takes seconds; a hang lasts for ever */

unsigned long long now_us(void)
{
    return wh_now_ns() / 1000;
}

/* Takes the next "what: STATUS at TIME" apart. */
static int next_result(struct process *victim, unsigned long long *at, char *what, size_t size)
{
    char line[256];
    int status = 0;
    assert_true(process_line(victim, 0, line, sizeof(line)));
    const char *colon = strrchr(line, ':');
    if (!colon || sscanf(colon, ": %d at %llu", &status, at) != 2)
        fail_msg("'%s' is not a result", line);
    (void)snprintf(what, size, "%.*s", (int)strcspn(line, ":"), line);
    return status;
}

void expect_results(struct process *victim, unsigned n, int wanted)
{
    unsigned long long at;
    char what[64];
    for (unsigned i = 0; i < n; i++) {
        int result = next_result(victim, &at, what, sizeof(what));
        if (result != wanted)
            fail_msg("%s gives %d instead of %d", what, result, wanted);
    }
}

void expect_losses(struct process *victim, unsigned n, unsigned long long killed)
{
    unsigned long long at;
    char what[64];
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(next_result(victim, &at, what, sizeof(what)), victim_api.lost);
        long long after = (long long)(at - killed);
        print_message("    %s: %lld.%03lld ms later\n", what, after / 1000, after % 1000);
        if (after > HANG_US)
            fail_msg("that is a hang");
    }
}

void expect_one_line(struct process *victim, const char *why)
{
    char line[512], more[512];
    assert_true(process_line(victim, 1, line, sizeof(line)));
    if (!strstr(line, why))
        fail_msg("stderr says '%s' instead of '%s'", line, why);
    if (process_line(victim, 1, more, sizeof(more)))
        fail_msg("stderr has a second line: %s", more);
}

void expect_quiet_failure(struct process *victim, const char *why)
{
    expect_results(victim, victim_api.after, victim_api.lost);
    process_expect(victim, 0, "end", NULL, 0);
    assert_int_equal(process_wait(victim), 0);
    expect_one_line(victim, why);
}

/* ---- the worker ---- */

static void kill_worker_under(const char *role, unsigned blocked)
{
    struct daemon daemon;
    struct process victim;
    daemon_start(&daemon, NULL);
    victim_api.start(&victim, daemon.url, role);
    process_expect(&victim, 0, "blocked", NULL, 0);
    pid_t worker = daemon_only_worker(&daemon);
    unsigned long long killed = now_us();
    assert_int_equal(kill(worker, SIGKILL), 0);
    expect_losses(&victim, blocked, killed);
    expect_quiet_failure(&victim, "the worker was killed by signal 9");
    process_expect(&daemon.process, 1, "the worker was killed by signal 9", NULL, 0);
    process_end(&victim);
    daemon_stop(&daemon);
}

void worker_killed_while_calls_wait(void **state)
{
    (void)state;
    kill_worker_under("blocked", victim_api.blocked);
}

void worker_killed_while_it_computes(void **state)
{
    (void)state;
    kill_worker_under("computing", 1);
}

void worker_killed_while_idle(void **state)
{
    struct daemon daemon;
    struct process victim;
    (void)state;
    daemon_start(&daemon, NULL);
    victim_api.start(&victim, daemon.url, "idle");
    process_expect(&victim, 0, "idle", NULL, 0);
    int gone = watch_process(daemon_only_worker(&daemon));
    assert_int_equal(kill(daemon_only_worker(&daemon), SIGKILL), 0);
    await_end_of(gone);
    process_expect(&daemon.process, 1, "the worker was killed by signal 9", NULL, 0);
    process_tell(&victim, "go on");
    expect_quiet_failure(&victim, "the worker was killed by signal 9");
    process_end(&victim);
    daemon_stop(&daemon);
}

/* One session's worker ends one session. */
void other_sessions_live_on(void **state)
{
    struct daemon daemon;
    struct process other, victim;
    pid_t both[2];
    (void)state;
    daemon_start(&daemon, NULL);
    victim_api.start(&other, daemon.url, "obedient");
    process_expect(&other, 0, "computed: 0 ", NULL, 0);
    pid_t first = daemon_only_worker(&daemon);
    victim_api.start(&victim, daemon.url, "blocked");
    process_expect(&victim, 0, "blocked", NULL, 0);
    assert_int_equal(daemon_workers(&daemon, both, 2), 2);
    unsigned long long killed = now_us();
    assert_int_equal(kill(both[0] == first ? both[1] : both[0], SIGKILL), 0);
    expect_losses(&victim, victim_api.blocked, killed);
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
    victim_api.start(&victim, daemon.url, role);
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

void client_killed_in_a_call(void **state)
{
    (void)state;
    kill_client_in("blocked", "blocked");
}

void client_killed_while_its_kernel_runs(void **state)
{
    (void)state;
    kill_client_in("computing", "blocked");
}

void client_killed_while_it_sends(void **state)
{
    (void)state;
    kill_client_in("busy", "busy");
}

/* ---- the daemon ---- */

void daemon_killed_and_started_again(void **state)
{
    struct daemon daemon;
    struct process old, young;
    (void)state;
    daemon_start(&daemon, NULL);
    victim_api.start(&old, daemon.url, "obedient");
    process_expect(&old, 0, "computed: 0 ", NULL, 0);
    int worker = watch_process(daemon_only_worker(&daemon));
    assert_int_equal(kill(daemon.process.pid, SIGKILL), 0);
    assert_true(wait_readable(daemon.process.pidfd, PATIENCE_MS));

    process_tell(&old, "again");
    process_expect(&old, 0, "computed: 0 ", NULL, 0);
    victim_api.expect_no_session(daemon.url, "no Wormhole daemon answers at unix:");

    daemon_restart(&daemon);
    victim_api.start(&young, daemon.url, "obedient");
    process_expect(&young, 0, "computed: 0 ", NULL, 0);
    process_tell(&old, "again");
    process_expect(&old, 0, "computed: 0 ", NULL, 0);

    process_end(&old);
    await_end_of(worker); /* nobody but itself is left to end it */
    process_end(&young);
    daemon_stop(&daemon);
}
