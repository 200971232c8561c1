/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this session offers to others of its tenant, and takes from them, through the daemon. Used
 * by backends, with kinds of their own. All functions return 0 or an errno value: ENOTCONN when
 * there is no daemon to ask, ENOENT when there is no such thing, EDQUOT when there are too many,
 * ETIMEDOUT when the daemon took too long, which may answer the next question again. Thread-safe;
 * they wait for the daemon, which answers at once, but for a view that a host makes.
 */
#ifndef WH_WORKER_EXCHANGE_H
#define WH_WORKER_EXCHANGE_H

#include "wire/exchange.h"

#include <stddef.h>

/* The socket to the daemon; without one, nothing can be exchanged. */
void wh_exchange_use(int socket);

/* Offers a thing: some bytes about it and, if `fd` is not -1, a descriptor, which stays the
 * caller's. */
int wh_exchange_put(uint32_t kind, const void *bytes, size_t size, int fd,
                    uint8_t token[WH_EXCHANGE_TOKEN]);

/* What somebody offered; all of `size` bytes must be there. `*fd` is the caller's, -1: none came
 * along. */
int wh_exchange_get(uint32_t kind, const uint8_t token[WH_EXCHANGE_TOKEN], void *bytes, size_t size,
                    int *fd);

/* Has a view of this process's memory bound to the session's VM. */
int wh_exchange_bind_view(int view, uint32_t *index);

/* In a service VM: adds a range to the view that this session will ask for; asks for it. */
int wh_exchange_add_range(const struct wh_exchange_range *range);
int wh_exchange_make_view(const struct wh_exchange_make *wish, uint64_t key[4], uint32_t *index);

/* There will be none, and the session has put nothing into the memory that it got for it. */
int wh_exchange_give_back(void);

/* Takes an offer of this session's back. */
int wh_exchange_drop(const uint8_t token[WH_EXCHANGE_TOKEN]);

#endif
