/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wormholed under test, for the programs on the emulated host: its start, what it logs, and what
 * it says of its sessions. Everything is waited for: readiness is the daemon's own notification,
 * and sessions' ends are lines of its log, written after it let go of the session's view.
 */
#ifndef WH_TEST_DAEMON_H
#define WH_TEST_DAEMON_H

#include "../../kmod/uapi/wormhole.h"

#include <stdbool.h>
#include <sys/types.h>

struct daemon;

/* The sessions of one tenant that there are, together. */
struct figures {
    unsigned sessions, views;
    pid_t worker;                               /* of one of them */
    unsigned long long calls;                   /* messages that were carried out, wherever */
    unsigned long long entered;                 /* the view, */
    unsigned long long suspended;               /* and were interrupted there */
    unsigned long long spoiled;                 /* strays, violations, overruns, sessions lost */
    unsigned long long exits[WORMHOLE_REASONS]; /* in views */
};

/* Starts it with a configuration of these VMs, whose sockets are /wormhole/NAME; returns when it is
 * ready. The names end with NULL. */
struct daemon *daemon_start(const char *name, const char *const *vms);

pid_t daemon_pid(const struct daemon *daemon);

/* Returns when no more than `count` of its sessions are left. */
void daemon_await_left(struct daemon *daemon, unsigned count);

/* Whether a line with this text was logged. */
bool daemon_said(struct daemon *daemon, const char *text);

/* As `wormhole top` gets them; `vm` NULL: of all. */
struct figures daemon_figures(struct daemon *daemon, const char *vm);

/* Returns when the sessions of `vm` have carried out `count` calls more. */
void daemon_await_calls(struct daemon *daemon, const char *vm, unsigned long long count);

/* Ends it, and waits for that. */
void daemon_stop(struct daemon *daemon, int signal);

#endif
