/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions over a Unix socket on one host: the socket carries the handshake and two descriptors,
 * then stays open as each side's sign of life. Client side in unix.c; the worker's side here too,
 * because both must agree.
 */
#ifndef WH_CHANNEL_UNIX_H
#define WH_CHANNEL_UNIX_H

#include "channel/shm.h"

/*
 * Worker: answers the client's hello on `socket` with a welcome and the descriptors of the segment
 * and of the listener's eventfd, which is left in shm->listener_bell. Sleeping and waking are by
 * futex.
 */
int wh_unix_welcome(struct wh_shm *shm, int socket, uint32_t session, struct wh_error *error);

/* Server: refuses a session with the reason in `why`. Never blocks. */
void wh_unix_refuse(int socket, const struct wh_error *why);

/* Path of the socket that a URL's rest names: "/run/x.sock", or the default when empty. */
#define WH_DEFAULT_SOCKET "/run/wormhole/wormhole.sock"

int wh_unix_connect(const char *rest, const struct wh_hello *hello, struct wh_channel **channel,
                    struct wh_error *error);

#endif
