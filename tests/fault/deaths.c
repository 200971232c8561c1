/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something dies: the worker, the client, the daemon. What is left must say so, clean up, and go
 * on. Run by meson; the measured latencies are printed, not judged: a bound of seconds only tells
 * an answer from a hang.
 */
#include "losses.h"

#include "base/util.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_AVAILABLE (-2)
#define NO_PLATFORM   (-1001)

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
    expect_quiet_failure(&victim, "crashed (signal 11)");
    process_end(&victim);
    daemon_stop(&daemon);
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

static void expect_no_platforms(const char *url, const char *why)
{
    struct process client;
    victim_start(&client, url, "platforms");
    expect_results(&client, 2, NO_PLATFORM);
    assert_int_equal(process_wait(&client), 0);
    expect_one_line(&client, why);
    process_end(&client);
}

/* A worker that does not see its client's end, as one whose library hangs, does not stay. */
static void client_killed_over_a_stuck_worker(void **state)
{
    struct daemon daemon;
    struct process victim;
    (void)state;
    daemon_start(&daemon, NULL);
    victim_start(&victim, daemon.url, "idle");
    process_expect(&victim, 0, "idle", NULL, 0);
    int worker = watch_process(daemon_only_worker(&daemon));
    assert_int_equal(kill(daemon_only_worker(&daemon), SIGSTOP), 0);
    assert_int_equal(kill(victim.pid, SIGKILL), 0);
    await_end_of(worker);
    process_end(&victim);
    daemon_stop(&daemon);
}

/* The only session's worker and client, under `wormhole run` with a private daemon. */
static void find_private(pid_t run, pid_t *worker, pid_t *client)
{
    static struct daemon parent;
    pid_t children[2];
    parent.process.pid = run;
    assert_int_equal(daemon_workers(&parent, children, 2), 2);
    for (unsigned i = 0; i < 2; i++) {
        parent.process.pid = children[i];
        if (daemon_workers(&parent, worker, 1) != 1)
            *client = children[i];
    }
}

/* Holds all threads of a process, which a signal to its group, as an orphan gets, would not resume.
 * False: that is not allowed here. */
static bool hold(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    bool held = threads;
    for (struct dirent *entry; threads && (entry = readdir(threads));)
        if (*entry->d_name != '.')
            held = ptrace(PTRACE_SEIZE, atoi(entry->d_name), NULL, NULL) == 0 &&
                   ptrace(PTRACE_INTERRUPT, atoi(entry->d_name), NULL, NULL) == 0 && held;
    if (threads)
        (void)closedir(threads);
    return held;
}

/* Waits until somebody has killed the held process: its threads end when we have heard of it. */
static void await_end_of_held(void)
{
    (void)alarm(PATIENCE_MS / 1000);
    while (waitpid(-1, NULL, __WALL) > 0)
        ;
    (void)alarm(0);
}

/* Nor does it after a daemon that ends with its client. */
static void private_daemon_over_a_stuck_worker(void **state)
{
    struct process victim;
    pid_t worker = 0, client = 0;
    (void)state;
    victim_start(&victim, NULL, "idle");
    process_expect(&victim, 0, "idle", NULL, 0);
    find_private(victim.pid, &worker, &client);
    assert_true(worker > 0 && client > 0);
    bool held = hold(worker);
    assert_int_equal(kill(client, SIGKILL), 0);
    assert_int_equal(process_wait(&victim), 128 + SIGKILL);
    await_end_of_held();
    process_end(&victim);
    if (!held)
        skip();
}

/* Whoever started the daemon may ignore its children's ends, which is inherited. */
static void daemon_started_deaf_to_its_children(void **state)
{
    struct daemon daemon;
    char reason[200];
    (void)state;
    daemon_prepare(&daemon, NULL);
    assert_ptr_not_equal(signal(SIGCHLD, SIG_IGN), SIG_ERR);
    daemon_run(&daemon);
    assert_ptr_not_equal(signal(SIGCHLD, SIG_DFL), SIG_ERR);
    struct wh_shm *shm = raw_connect(daemon.url);
    assert_int_equal(raw_platforms(shm, NULL), 0);
    assert_int_equal(kill(daemon_only_worker(&daemon), SIGKILL), 0);
    raw_await_end(shm, reason, sizeof(reason));
    assert_non_null(strstr(reason, "killed by signal 9"));
    raw_close(shm);
    daemon_stop(&daemon);
}

const struct victim_api victim_api = {
    .start = victim_start,
    .expect_no_session = expect_no_platforms,
    .lost = NOT_AVAILABLE,
    .blocked = 4,
    .after = 3,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_LOSSES,
        cmocka_unit_test(worker_crashes),
        cmocka_unit_test(client_killed_in_mid_message),
        cmocka_unit_test(client_killed_over_a_stuck_worker),
        cmocka_unit_test(private_daemon_over_a_stuck_worker),
        cmocka_unit_test(daemon_started_deaf_to_its_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
