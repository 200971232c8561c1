/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML's worker dies, there is no device, another tenant is there: the library's own errors, and
 * nothing of anybody else. Run by meson, on the software device.
 */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STRANGER "2" /* a user that every system has (bin), and who owns nothing here */
#define SETPRIV  "/usr/bin/setpriv"

static void start_victim(struct process *process, const char *url)
{
    const char *const argv[] = {getenv("WORMHOLE"), "run", "--", getenv("NVML_VICTIM"), NULL};
    process_start(process, url, argv);
}

/* Has the victim do one thing and expects what it says. */
static void expect(struct process *victim, const char *what, const char *wanted)
{
    char line[256], whole[300];
    process_tell(victim, what);
    if (!process_line(victim, 0, line, sizeof(line)))
        fail_msg("%s: the program ended", what);
    (void)snprintf(whole, sizeof(whole), "%s: %s", what, wanted);
    assert_string_equal(line, whole);
}

static void lost_worker(void **state)
{
    struct daemon daemon;
    struct process victim;
    (void)state;
    daemon_start(&daemon, NULL);
    start_victim(&victim, daemon.url);
    expect(&victim, "init", "Success");
    expect(&victim, "view", "0 KiB, 0 processes");
    int gone = watch_process(daemon_only_worker(&daemon));
    kill(daemon_only_worker(&daemon), SIGKILL);
    await_end_of(gone);
    expect(&victim, "view", "GPU is lost");
    expect(&victim, "view", "GPU is lost");
    expect(&victim, "init", "GPU is lost");
    expect(&victim, "end", "Success");
    expect(&victim, "view", "Uninitialized");
    process_end(&victim);
    daemon_stop(&daemon);
}

static void lost_while_waiting(void **state)
{
    struct daemon daemon;
    struct process victim;
    char line[256];
    (void)state;
    daemon_start(&daemon, NULL);
    start_victim(&victim, daemon.url);
    expect(&victim, "init", "Success");
    process_tell(&victim, "wait");
    kill(daemon_only_worker(&daemon), SIGKILL);
    assert_true(process_line(&victim, 0, line, sizeof(line)));
    assert_string_equal(line, "wait: GPU is lost");
    process_end(&victim);
    daemon_stop(&daemon);
}

static void no_device(void **state)
{
    struct daemon daemon;
    struct process victim;
    (void)state;
    setenv("WORMHOLE_SOFTGPU_DEVICES", "0", 1);
    daemon_start(&daemon, NULL);
    unsetenv("WORMHOLE_SOFTGPU_DEVICES");
    start_victim(&victim, daemon.url);
    expect(&victim, "init", "Driver Not Loaded");
    process_expect(&victim, 1, "NVML", NULL, 0);
    expect(&victim, "view", "Uninitialized");
    process_end(&victim);
    daemon_stop(&daemon);
}

/* A session that is over counts no more, however it ended. */
static void ends_of_others(void **state)
{
    struct daemon daemon;
    struct process watcher, other;
    char line[256];
    (void)state;
    daemon_start(&daemon, NULL);
    start_victim(&watcher, daemon.url);
    start_victim(&other, daemon.url);
    expect(&watcher, "init", "Success");
    expect(&other, "take", "0");
    expect(&watcher, "view", "1024 KiB, 1 processes");
    expect(&watcher, "take", "0");
    expect(&watcher, "view", "2048 KiB, 2 processes");
    kill(other.pid, SIGKILL);
    /* The server takes note of it a moment after it happened, maybe between two questions. */
    const time_t until = time(NULL) + PATIENCE_MS / 1000;
    do {
        process_tell(&watcher, "view");
        assert_true(process_line(&watcher, 0, line, sizeof(line)));
    } while (strcmp(line, "view: 1024 KiB, 1 processes") != 0 && time(NULL) < until);
    assert_string_equal(line, "view: 1024 KiB, 1 processes");
    process_end(&other);
    process_end(&watcher);
    daemon_stop(&daemon);
}

/* Whether the stranger can run what these tests run. */
static bool stranger_can(const char *path)
{
    const char *const argv[] = {
        SETPRIV, "--reuid=" STRANGER, "--clear-groups", "/usr/bin/test", "-x", path, NULL};
    struct process process;
    if (geteuid() != 0 || access(SETPRIV, X_OK) < 0)
        return false;
    process_start(&process, NULL, argv);
    int status = process_wait(&process);
    process_end(&process);
    return status == 0;
}

static void two_tenants(void **state)
{
    struct daemon daemon;
    struct process own, others;
    const char *wormhole = getenv("WORMHOLE"), *victim = getenv("NVML_VICTIM");
    const char *const argv[] = {
        SETPRIV, "--reuid=" STRANGER, "--clear-groups", wormhole, "run", "--", victim, NULL};
    (void)state;
    if (!stranger_can(victim) || !stranger_can(wormhole))
        skip();
    daemon_prepare(&daemon, NULL);
    assert_int_equal(chmod(daemon.folder, 0711), 0);
    daemon_run(&daemon);
    start_victim(&own, daemon.url);
    process_start(&others, daemon.url, argv);
    expect(&others, "take", "0");
    expect(&own, "init", "Success");
    expect(&others, "init", "Success");
    expect(&own, "view", "0 KiB, 0 processes");
    expect(&others, "view", "1024 KiB, 1 processes");
    expect(&own, "take", "0");
    expect(&own, "take", "0");
    expect(&own, "view", "2048 KiB, 1 processes");
    expect(&others, "view", "1024 KiB, 1 processes");
    process_end(&own);
    process_end(&others);
    daemon_stop(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_worker), cmocka_unit_test(lost_while_waiting),
        cmocka_unit_test(no_device),   cmocka_unit_test(ends_of_others),
        cmocka_unit_test(two_tenants),
    };
    setenv("WORMHOLE_CUDA_LIBRARY", "softgpu", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
