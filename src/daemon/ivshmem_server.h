/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ivshmem server that QEMU connects to: makes the region and the doorbells of a VM and hands
 * them over, by the protocol of QEMU's "Device Specification for Inter-VM shared memory device",
 * version 0. One socket is one VM, and its hang-up is the VM's end. Used by server.c.
 */
#ifndef WH_DAEMON_IVSHMEM_SERVER_H
#define WH_DAEMON_IVSHMEM_SERVER_H

#include "daemon/server.h"

struct wh_agent_view;

/* Listens for a VM's QEMU, and for its service VM's if it has one. The configuration must outlive
 * the server. */
int wh_ivshmem_server_open(struct wh_server *server, const struct wh_config_vm *vm,
                           struct wh_error *error);

/* Calls `show` for each view of a service VM's memory that there is, with the name of the VM whose
 * calls run there. */
void wh_ivshmem_servers_views(const struct wh_server *server,
                              void (*show)(void *context, const char *vm,
                                           const struct wh_agent_view *view),
                              void *context);

/* Ends all VMs' sessions and closes their sockets. */
void wh_ivshmem_servers_close(struct wh_server *server);

#endif
