/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something dies under a program, whatever its API: the worker, the client, the daemon. The tests
 * that are the same for all APIs, and what the others are made of. Who includes this defines
 * `victim_api`.
 */
#ifndef WH_TESTS_FAULT_LOSSES_H
#define WH_TESTS_FAULT_LOSSES_H

#include "support.h"

/* An API, and the program of the tests that uses it. */
struct victim_api {
    /* Starts the program in one of its roles, through `wormhole run`. */
    void (*start)(struct process *process, const char *url, const char *role);
    /* A program that cannot have a session hears so, and why, once. */
    void (*expect_no_session)(const char *url, const char *why);
    int lost;         /* what every call gives when the session is lost */
    unsigned blocked; /* calls that wait in the role of that name */
    unsigned after;   /* calls that the program makes after the loss */
};

extern const struct victim_api victim_api;

unsigned long long now_us(void);

/* The next `n` results are all `wanted`. */
void expect_results(struct process *victim, unsigned n, int wanted);

/* As many calls that waited come back as lost, none later than a hang would. */
void expect_losses(struct process *victim, unsigned n, unsigned long long killed);

/* Exactly one line on stderr, which holds `why`. */
void expect_one_line(struct process *victim, const char *why);

/* Calls made after the loss fail at once; the program ends as it likes, and says `why` once. */
void expect_quiet_failure(struct process *victim, const char *why);

void worker_killed_while_calls_wait(void **state);
void worker_killed_while_it_computes(void **state);
void worker_killed_while_idle(void **state);
void other_sessions_live_on(void **state);
void client_killed_in_a_call(void **state);
void client_killed_while_its_kernel_runs(void **state);
void client_killed_while_it_sends(void **state);
void daemon_killed_and_started_again(void **state);

#define TESTS_OF_LOSSES                                                                       \
    cmocka_unit_test(worker_killed_while_calls_wait),                                         \
        cmocka_unit_test(worker_killed_while_it_computes),                                    \
        cmocka_unit_test(worker_killed_while_idle), cmocka_unit_test(other_sessions_live_on), \
        cmocka_unit_test(client_killed_in_a_call),                                            \
        cmocka_unit_test(client_killed_while_its_kernel_runs),                                \
        cmocka_unit_test(client_killed_while_it_sends),                                       \
        cmocka_unit_test(daemon_killed_and_started_again)

#endif
