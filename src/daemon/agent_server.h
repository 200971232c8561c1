/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service VM's port in the daemon's loop: what its agent (agent.h) offers is bound to the one VM
 * whose region the service VM serves. Used by ivshmem_server.c.
 */
#ifndef WH_DAEMON_AGENT_SERVER_H
#define WH_DAEMON_AGENT_SERVER_H

#include "daemon/gate.h"
#include "daemon/server.h"

struct wh_agent_server;
struct wh_agent_view;

/*
 * Takes the socket over that the service VM's QEMU connected. `client` is where the client's VM is
 * found, or NULL while there is none; `bells` are the region's doorbells by peer number, -1 while
 * there is none. Its own address is put into `home`, and taken out of there again when QEMU has
 * hung up.
 */
int wh_agent_serve(struct wh_server *server, int socket, const struct wh_config_vm *config,
                   struct wh_gate_vm *const *client, const int *bells,
                   struct wh_agent_server **home, struct wh_error *error);

/* The views of the service VM's memory that there are; NULL is fine. */
const struct wh_agent_view *wh_agent_server_views(const struct wh_agent_server *agent);

/* The doorbells are about to be closed. NULL is fine. */
void wh_agent_server_forget_bells(struct wh_agent_server *agent);

/* The client's VM is gone. NULL is fine. */
void wh_agent_server_end_views(struct wh_agent_server *agent);

/* The same, and hangs up. NULL is fine. */
void wh_agent_server_close(struct wh_agent_server *agent);

#endif
