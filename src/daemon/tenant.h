/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants: whom a limit is for. A local user is found by the uid that the kernel reports, a VM by
 * the socket its QEMU connected to; nothing that a client says counts. Used by what opens sessions.
 */
#ifndef WH_DAEMON_TENANT_H
#define WH_DAEMON_TENANT_H

#include "daemon/log_limit.h"
#include "daemon/server.h"

struct wh_offer;

struct wh_tenant {
    struct wh_tenant *next;
    struct wh_server *server;
    char name[64]; /* also the name of its folder: no '/' and no leading '.' */
    struct wh_limits limits;
    unsigned nsessions;
    struct wh_log_limit log;     /* lines that it causes */
    struct wh_account *accounts; /* its ledger (ledger.h), NULL before its first session */
    size_t naccounts;
    int ledger;
    uint64_t ledger_offset;  /* in that; not 0: it is in a service VM's memory for views */
    struct wh_offer *offers; /* what its sessions offer to one another (exchange.c) */
    unsigned noffers, ndescriptors;
    struct wh_source sweeper; /* the pidfd of who clears up after it (sweep.h) */
};

/* The tenant that a local user belongs to; one is made for users without any. NULL: out of memory.
 */
struct wh_tenant *wh_tenant_of_user(struct wh_server *server, uid_t uid);

/* The tenant of a VM. NULL: out of memory. */
struct wh_tenant *wh_tenant_of_vm(struct wh_server *server, const char *name,
                                  const struct wh_limits *limits);

/* Whether the tenant may have one more session now. */
int wh_tenant_admit(const struct wh_server *server, const struct wh_tenant *tenant,
                    struct wh_error *error);

/*
 * The size of a new session's segment: what the client wants, or `standard` when it leaves that to
 * the server. -1: it wants more than it may have.
 */
int wh_tenant_segment_size(const struct wh_server *server, const struct wh_tenant *tenant,
                           uint64_t wanted, uint64_t standard, uint64_t *size,
                           struct wh_error *error);

void wh_tenants_free(struct wh_server *server);

#endif
