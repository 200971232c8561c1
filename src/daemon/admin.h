/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin socket: whoever may connect is told of all sessions, in lines of text that wormholed(8)
 * describes, and is let go. Used by server.c; `wormhole top` is at the other end.
 */
#ifndef WH_DAEMON_ADMIN_H
#define WH_DAEMON_ADMIN_H

#include "daemon/server.h"

#define WH_DEFAULT_ADMIN "/run/wormhole/admin.sock"

/* Listens at `path`, for this user only. -1 with a reason. */
int wh_admin_open(struct wh_server *server, const char *path, struct wh_error *error);

/* Closes and removes the socket, if there is one. */
void wh_admin_close(struct wh_server *server);

#endif
