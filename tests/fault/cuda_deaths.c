/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under a CUDA program something dies or is not there: the worker, the client, a kernel, the
 * daemon, a daemon of this version. CUDA's own errors say so, and one line on stderr says why. Run
 * by meson; the measured latencies are printed, not judged: a bound of seconds only tells an answer
 * from a hang.
 */
#include "cuda_support.h"
#include "losses.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void start_victim(struct process *process, const char *url, const char *role)
{
    const char *wormhole = getenv("WORMHOLE"), *victim = getenv("CUDA_VICTIM");
    assert_non_null(wormhole);
    assert_non_null(victim);
    const char *const argv[] = {wormhole, "run", "--", victim, role, NULL};
    process_start(process, url, argv);
}

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

const struct victim_api victim_api = {
    .start = start_victim,
    .expect_no_session = expect_no_device,
    .lost = CUDA_ERROR_DEVICE_UNAVAILABLE,
    .blocked = 3,
    .after = 4,
};

static void no_daemon(void **state)
{
    (void)state;
    expect_no_device("unix:/nonexistent/wormhole.sock",
                     "no Wormhole daemon answers at unix:/nonexistent/wormhole.sock (No such file "
                     "or directory)");
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
        TESTS_OF_LOSSES,
        cmocka_unit_test(kernel_writes_nowhere),
        cmocka_unit_test(no_daemon),
        cmocka_unit_test(other_versions),
    };
    return cmocka_run_group_tests(tests, choose_device, NULL);
}
