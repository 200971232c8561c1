/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets for clients of this machine: accepts, reads the handshake within a deadline, and hands
 * the connection to a worker or says why not. Used by server.c.
 */
#ifndef WH_DAEMON_LISTENER_H
#define WH_DAEMON_LISTENER_H

#include "daemon/server.h"

/*
 * Listens at `path`, whose folder is made if need be. A socket that nobody listens at any more is
 * replaced. -1 with a reason when that cannot be, e.g. because another daemon is there.
 */
int wh_listener_open(struct wh_server *server, const char *path, struct wh_error *error);

/* Closes all listeners and their waiting connections, and removes their sockets. */
void wh_listeners_close(struct wh_server *server);

/* Makes a listening socket at `path`, for VMs too. Returns its descriptor or -1 with a reason. */
int wh_listener_make_socket(const char *path, int type, mode_t mode, struct wh_error *error);

/*
 * A daemon out of descriptors: a connection that cannot be taken would be reported for ever. A
 * descriptor kept for that, from wh_listener_spare, is given up to take it and close it at once.
 */
int wh_listener_spare(void);
void wh_listener_turn_away(int socket, int *spare);

#endif
