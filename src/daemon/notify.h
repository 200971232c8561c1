/* SPDX-License-Identifier: Apache-2.0 */
/* Telling whoever started the daemon that clients can connect. Used by server.c. */
#ifndef WH_DAEMON_NOTIFY_H
#define WH_DAEMON_NOTIFY_H

/*
 * Writes one byte to `fd` and closes it, unless it is -1; tells the service manager if there is one
 * (sd_notify(3): a datagram to the socket in NOTIFY_SOCKET).
 */
void wh_notify_ready(int fd);

#endif
