/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session as the daemon sees it: a worker process, whose it is, and the page in which its end is
 * told to the client. Used by the listeners of all transports.
 */
#ifndef WH_DAEMON_SESSION_H
#define WH_DAEMON_SESSION_H

#include "channel/segment.h"
#include "daemon/server.h"
#include "daemon/tenant.h"
#include "wire/hello.h"
#include "worker/ledger.h"

/* What a new session's worker gets. Descriptors stay the caller's. */
struct wh_session_request {
    struct wh_tenant *tenant;
    const struct wh_hello *hello; /* a private, checked copy */
    const char *transport;        /* "unix" or "ivshmem" */
    pid_t peer;                   /* the client's process, if its end is the session's; else 0 */
    int life, memory;
    int bell;     /* or -1: the worker naps */
    bool relayed; /* this daemon rings it, when it hears of a ring */
    uint64_t offset, size;
    int ledger; /* or -1; of this, what is the session's: filled in when it starts */
    uint32_t account;
    int exchange; /* the worker's end of the socket to the daemon, likewise */
    int gate;     /* the exitless path's module, or -1; and where the view will be bound */
    struct wh_gate_vm *gate_vm;
    bool is_fixed; /* `gate` is memory that never moves, the session's from `fixed` on (lender.h) */
    uint64_t fixed;
    /* Called when the worker is gone and the reason is told; may be NULL. */
    void (*ended)(void *owner);
    void *owner;
};

struct wh_served {
    struct wh_served *next, **link;
    struct wh_server *server;
    struct wh_tenant *tenant;
    struct wh_segment *head;    /* the segment's first page */
    struct wh_account *account; /* in the tenant's ledger, or NULL */
    struct wh_source exit;      /* the worker's pidfd */
    struct wh_source peer;      /* the client's, or none */
    struct wh_timer leave;      /* for the worker, when the client is gone */
    struct wh_source exchange;  /* the socket to the worker (exchange.c) */
    struct wh_gate_vm *gate_vm; /* where a view of its worker may be bound, or NULL */
    int view;                   /* that is, or -1 */
    uint32_t view_index;
    pid_t pid;
    uint32_t number;
    uint32_t client; /* for people: the process's number, by its own word, */
    char api[16];    /* what it uses, */
    uint64_t shared; /* bytes of its segment, */
    uint64_t since;  /* and when it began, in ns */
    void (*ended)(void *owner);
    void *owner;
};

/* Makes text from a client safe to print and to pass on. */
void wh_session_clean_hello(struct wh_hello *hello);

/* Starts a worker. Returns NULL with a reason when there can be none. Limits were checked by the
 * caller. */
struct wh_served *wh_session_start(struct wh_server *server,
                                   const struct wh_session_request *request,
                                   struct wh_error *error);

/* The worker is gone and its memory in no view: the last of the session. */
void wh_session_finish(struct wh_served *session);

/* Ends a session whose client is gone without its worker noticing: the worker is killed. */
void wh_session_kill(struct wh_served *session);

/* Forgets a session when the daemon stops, without ending its worker, unless its client is gone. */
void wh_session_forget(struct wh_served *session);

#endif
