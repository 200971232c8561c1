/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What adds up: many sessions one after the other and at the same time leave nothing behind, an
 * idle one costs nothing, and what kernels print comes home once and in order. Run by meson.
 */
#include "support.h"

#include "base/util.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static void a_hundred_sessions(void **state)
{
    unsigned fds, fds_after, own;
    unsigned long memory, memory_after;
    (void)state;
    for (int i = 0; i < 20; i++)
        expect_service(NULL, NULL);
    expect_service(&fds, &memory);
    own = count_fds(getpid());
    for (int i = 0; i < 100; i++)
        expect_service(NULL, NULL);
    expect_service(&fds_after, &memory_after);
    assert_int_equal(daemon_workers(&shared_daemon, NULL, 0), 0);
    assert_int_equal(fds_after, fds);
    assert_int_equal(count_fds(getpid()), own);
    print_message("    the daemon's memory: %lu KiB before, %lu KiB after\n", memory, memory_after);
    assert_true(memory_after < memory + 512);
}

static void sixteen_at_once(void **state)
{
    enum { N = 16 };
    static struct process programs[N];
    (void)state;
    for (int i = 0; i < N; i++)
        victim_start(&programs[i], shared_daemon.url, "obedient");
    for (int i = 0; i < N; i++)
        process_expect(&programs[i], 0, "computed: 0 ", NULL, 0);
    assert_int_equal(daemon_workers(&shared_daemon, NULL, 0), N);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            process_tell(&programs[i], "again");
        for (int i = 0; i < N; i++)
            process_expect(&programs[i], 0, "computed: 0 ", NULL, 0);
    }
    pid_t workers[N];
    int gone[N];
    assert_int_equal(daemon_workers(&shared_daemon, workers, N), N);
    for (int i = 0; i < N; i++)
        gone[i] = watch_process(workers[i]);
    for (int i = 0; i < N; i++)
        process_end(&programs[i]);
    for (int i = 0; i < N; i++)
        await_end_of(gone[i]);
}

/* Counted in the kernel's ticks (10 ms): a session that spins or naps often shows. */
static void idle_costs_nothing(void **state)
{
    enum { SECONDS = 3, MOST_TICKS = 1 };
    struct process program;
    (void)state;
    victim_start(&program, shared_daemon.url, "obedient");
    process_expect(&program, 0, "computed: 0 ", NULL, 0);
    pid_t pids[3] = {program.pid, daemon_only_worker(&shared_daemon), shared_daemon.process.pid};
    const char *const names[3] = {"program", "worker", "daemon"};
    unsigned long before[3];
    /* Whatever follows a computation is over when the next one is. */
    process_tell(&program, "again");
    process_expect(&program, 0, "computed: 0 ", NULL, 0);
    assert_false(wait_readable(program.pidfd, 200));
    for (int i = 0; i < 3; i++)
        before[i] = cpu_ticks(pids[i]);
    assert_false(wait_readable(program.pidfd, SECONDS * 1000));
    for (int i = 0; i < 3; i++) {
        unsigned long ticks = cpu_ticks(pids[i]) - before[i];
        print_message("    %s: %lu ticks in %d s\n", names[i], ticks, SECONDS);
        if (ticks > MOST_TICKS)
            fail_msg("an idle %s uses the processor", names[i]);
    }
    int worker = watch_process(pids[1]);
    process_end(&program);
    await_end_of(worker);
}

/* Each of the two streams of lines is whole, single and in its own order, however they interleave.
 */
static void output_comes_home(void **state)
{
    struct process program;
    char line[256];
    int kernel = 0, own = 0, n;
    (void)state;
    victim_start(&program, shared_daemon.url, "printing");
    while (process_line(&program, 0, line, sizeof(line)) && strcmp(line, "end") != 0) {
        char extra;
        if (sscanf(line, "kernel %d%c", &n, &extra) == 1)
            assert_int_equal(n, kernel++);
        else if (sscanf(line, "program %d%c", &n, &extra) == 1)
            assert_int_equal(n, own++);
        else
            fail_msg("a line came home torn: '%s'", line);
    }
    assert_int_equal(kernel, 500);
    assert_int_equal(own, 500);
    assert_int_equal(process_wait(&program), 0);
    if (process_line(&program, 0, line, sizeof(line)) ||
        process_line(&program, 1, line, sizeof(line)))
        fail_msg("something came after the end: %s", line);
    process_end(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_sessions),
        cmocka_unit_test(sixteen_at_once),
        cmocka_unit_test(idle_costs_nothing),
        cmocka_unit_test(output_comes_home),
    };
    return cmocka_run_group_tests(tests, shared_daemon_start, shared_daemon_stop);
}
