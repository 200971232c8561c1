/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wormholed: takes clients in, decides who may have a session, and gives each one a worker process.
 * It moves none of a session's bytes. The program wormholed runs it, and so does `wormhole run` for
 * a private daemon.
 */
#ifndef WH_DAEMON_SERVER_H
#define WH_DAEMON_SERVER_H

#include "channel/ivshmem.h"
#include "daemon/config.h"
#include "daemon/loop.h"

struct wh_admin;
struct wh_lender;
struct wh_listener;
struct wh_served;
struct wh_tenant;
struct wh_vm_server;
struct wh_region_server;

struct wh_server {
    const struct wh_config *config;
    struct wh_loop loop;
    struct wh_listener *listeners;
    struct wh_admin *admin; /* or NULL */
    struct wh_vm_server *vms;
    struct wh_region_server *region; /* in a service VM, with its device */
    struct wh_ivshmem_device device;
    struct wh_lender *lender; /* there, or NULL: workers' memory is in no view */
    struct wh_tenant *tenants;
    struct wh_served *sessions; /* running workers */
    unsigned nsessions;
    unsigned nending; /* of them, those of regions that are served no more */
    uint32_t last_session;
    uint64_t machine_memory; /* bytes */
    struct wh_source signals;
    struct wh_timer linger;
};

/*
 * Serves until SIGTERM or SIGINT; `ready_fd` (or -1) gets one byte when clients can connect, and is
 * closed. Sessions live on when this returns. -1 with a reason when it could not start.
 */
int wh_server_run(const struct wh_config *config, int ready_fd, struct wh_error *error);

/* A session's worker is gone: called by session.c. */
void wh_server_session_ended(struct wh_server *server);

#endif
