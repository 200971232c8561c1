/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under a CUDA program something dies or is not there: the worker, the client, a kernel, the
 * daemon, a daemon of this version. CUDA's own errors say so, and one line on stderr says why. Run
 * by meson; the measured latencies are printed, not judged: a bound of seconds only tells an answer
 * from a hang.
 */
#include "cuda_support.h"

#include "base/util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANG_US 2000000

static unsigned long long now_us(void)
{
    return wh_now_ns() / 1000;
}

static void start_victim(struct process *process, const char *url, const char *role)
{
    const char *wormhole = getenv("WORMHOLE"), *victim = getenv("CUDA_VICTIM");
    assert_non_null(wormhole);
    assert_non_null(victim);
    const char *const argv[] = {wormhole, "run", "--", victim, role, NULL};
    process_start(process, url, argv);
}

/* Takes the next "what: STATUS at TIME" apart. */
static CUresult next_result(struct process *victim, unsigned long long *at, char *what, size_t size)
{
    char line[256];
    unsigned status = 0;
    assert_true(process_line(victim, 0, line, sizeof(line)));
    const char *colon = strrchr(line, ':');
    if (!colon || sscanf(colon, ": %u at %llu", &status, at) != 2)
        fail_msg("'%s' is not a result", line);
    (void)snprintf(what, size, "%.*s", (int)strcspn(line, ":"), line);
    return (CUresult)status;
}

/* The next `n` results are all `wanted`. */
static void expect_results(struct process *victim, unsigned n, CUresult wanted)
{
    unsigned long long at;
    char what[64];
    for (unsigned i = 0; i < n; i++) {
        CUresult result = next_result(victim, &at, what, sizeof(what));
        if (result != wanted)
            fail_msg("%s gives %d instead of %d", what, result, wanted);
    }
}

/* As many calls that waited come back, none later than a hang would. */
static void expect_losses(struct process *victim, unsigned n, unsigned long long killed)
{
    unsigned long long at;
    char what[64];
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(next_result(victim, &at, what, sizeof(what)),
                         CUDA_ERROR_DEVICE_UNAVAILABLE);
        long long after = (long long)(at - killed);
        print_message("    %s: %lld.%03lld ms later\n", what, after / 1000, after % 1000);
        if (after > HANG_US)
            fail_msg("that is a hang");
    }
}

/* Exactly one line on stderr, which holds `why`. */
static void expect_one_line(struct process *victim, const char *why)
{
    char line[512], more[512];
    assert_true(process_line(victim, 1, line, sizeof(line)));
    if (!strstr(line, why))
        fail_msg("stderr says '%s' instead of '%s'", line, why);
    if (process_line(victim, 1, more, sizeof(more)))
        fail_msg("stderr has a second line: %s", more);
}

/* Calls made after the loss fail at once; the program ends as it likes. */
static void expect_quiet_failure(struct process *victim, const char *why)
{
    expect_results(victim, 4, CUDA_ERROR_DEVICE_UNAVAILABLE);
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
    start_victim(&victim, daemon.url, role);
    process_expect(&victim, 0, "blocked", NULL, 0);
    unsigned long long killed = now_us();
    assert_int_equal(kill(daemon_only_worker(&daemon), SIGKILL), 0);
    expect_losses(&victim, blocked, killed);
    expect_quiet_failure(&victim, "the worker was killed by signal 9");
    process_expect(&daemon.process, 1, "the worker was killed by signal 9", NULL, 0);
    process_end(&victim);
    daemon_stop(&daemon);
}

static void worker_killed_while_calls_wait(void **state)
{
    (void)state;
    kill_worker_under("blocked", 3);
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
    start_victim(&victim, daemon.url, "idle");
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
static void other_sessions_live_on(void **state)
{
    struct daemon daemon;
    struct process other, victim;
    pid_t both[2];
    (void)state;
    daemon_start(&daemon, NULL);
    start_victim(&other, daemon.url, "obedient");
    process_expect(&other, 0, "computed: 0 ", NULL, 0);
    pid_t first = daemon_only_worker(&daemon);
    start_victim(&victim, daemon.url, "computing");
    process_expect(&victim, 0, "blocked", NULL, 0);
    assert_int_equal(daemon_workers(&daemon, both, 2), 2);
    unsigned long long killed = now_us();
    assert_int_equal(kill(both[0] == first ? both[1] : both[0], SIGKILL), 0);
    expect_losses(&victim, 1, killed);
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
    start_victim(&victim, daemon.url, role);
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

/* ---- a kernel ---- */

/* A fault on the device stays with its process, whatever that calls; the process ends well, and
 * another one does not notice. */
static void kernel_writes_nowhere(void **state)
{
    struct daemon daemon;
    struct process other, victim;
    (void)state;
    daemon_start(&daemon, NULL);
    start_victim(&other, daemon.url, "obedient");
    process_expect(&other, 0, "computed: 0 ", NULL, 0);
    start_victim(&victim, daemon.url, "faulty");
    expect_results(&victim, 6, CUDA_ERROR_ILLEGAL_ADDRESS);
    process_expect(&victim, 0, "end", NULL, 0);
    process_tell(&other, "again");
    process_expect(&other, 0, "computed: 0 ", NULL, 0);
    process_tell(&victim, "go on");
    expect_results(&victim, 1, CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(process_wait(&victim), 0);
    process_tell(&other, "again");
    process_expect(&other, 0, "computed: 0 ", NULL, 0);
    process_end(&victim);
    process_end(&other);
    daemon_stop(&daemon);
}

/* ---- no session ---- */

/* A program that cannot have a session sees no device, and why, once. */
static void expect_no_device(const char *url, const char *why)
{
    struct process client;
    start_victim(&client, url, "init");
    expect_results(&client, 2, CUDA_ERROR_NO_DEVICE);
    expect_results(&client, 1, CUDA_ERROR_NOT_INITIALIZED);
    assert_int_equal(process_wait(&client), 0);
    expect_one_line(&client, why);
    process_end(&client);
}

static void no_daemon(void **state)
{
    (void)state;
    expect_no_device("unix:/nonexistent/wormhole.sock",
                     "no Wormhole daemon answers at unix:/nonexistent/wormhole.sock (No such file "
                     "or directory)");
}

static void daemon_killed_and_started_again(void **state)
{
    struct daemon daemon;
    struct process old, young;
    (void)state;
    daemon_start(&daemon, NULL);
    start_victim(&old, daemon.url, "obedient");
    process_expect(&old, 0, "computed: 0 ", NULL, 0);
    int worker = watch_process(daemon_only_worker(&daemon));
    assert_int_equal(kill(daemon.process.pid, SIGKILL), 0);
    assert_true(wait_readable(daemon.process.pidfd, PATIENCE_MS));
    process_tell(&old, "again");
    process_expect(&old, 0, "computed: 0 ", NULL, 0);
    expect_no_device(daemon.url, "no Wormhole daemon answers at unix:");
    daemon_restart(&daemon);
    start_victim(&young, daemon.url, "obedient");
    process_expect(&young, 0, "computed: 0 ", NULL, 0);
    process_end(&old);
    await_end_of(worker);
    process_end(&young);
    daemon_stop(&daemon);
}

/* Whoever differs is told what the two are. */
static void expect_refusal(const struct daemon *daemon, const struct wh_hello *hello,
                           const char *theirs, const char *ours)
{
    struct wh_welcome answer;
    assert_true(raw_ask(daemon, hello, sizeof(*hello), &answer));
    assert_int_equal(answer.refused, EPROTONOSUPPORT);
    if (!strstr(answer.text, theirs) || !strstr(answer.text, ours))
        fail_msg("'%s' does not say '%s' and '%s'", answer.text, theirs, ours);
}

static void other_versions(void **state)
{
    struct daemon daemon;
    struct wh_hello hello = cuda_hello();
    char hash[20];
    (void)state;
    daemon_start(&daemon, NULL);
    (void)snprintf(hello.version, sizeof(hello.version), "9.8.7");
    expect_refusal(&daemon, &hello, "9.8.7", WH_VERSION);
    hello = cuda_hello();
    hello.api_hash = 0x123456789abcdef0;
    (void)snprintf(hash, sizeof(hash), "%llx", (unsigned long long)wh_cuda_api.hash);
    expect_refusal(&daemon, &hello, "123456789abcdef0", hash);
    /* The other API's description is another one. */
    hello.api_hash = wh_opencl_api.hash;
    (void)snprintf(hash, sizeof(hash), "%llx", (unsigned long long)wh_opencl_api.hash);
    expect_refusal(&daemon, &hello, hash, "cuda");
    daemon_stop(&daemon);
}

static int choose_device(void **state)
{
    (void)state;
    cuda_choose_softgpu();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_killed_while_calls_wait),
        cmocka_unit_test(worker_killed_while_it_computes),
        cmocka_unit_test(worker_killed_while_idle),
        cmocka_unit_test(other_sessions_live_on),
        cmocka_unit_test(client_killed_in_a_call),
        cmocka_unit_test(client_killed_while_its_kernel_runs),
        cmocka_unit_test(client_killed_while_it_sends),
        cmocka_unit_test(kernel_writes_nowhere),
        cmocka_unit_test(no_daemon),
        cmocka_unit_test(daemon_killed_and_started_again),
        cmocka_unit_test(other_versions),
    };
    return cmocka_run_group_tests(tests, choose_device, NULL);
}
