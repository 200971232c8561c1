/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon that belongs to one command: started when no other is there, on a socket that only this
 * user can reach. It ends with its owner, however that ends. Used by `wormhole run` and `wormhole
 * vm`.
 */
#ifndef WH_CLI_PRIVATE_H
#define WH_CLI_PRIVATE_H

#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

struct wh_private {
    pid_t pid;
    char folder[64];
    char socket[96]; /* clients' or, with a region, QEMU's */
};

/*
 * Starts one and returns when clients can connect. With `region` bytes (a power of two) it serves
 * one VM, else local clients.
 */
int wh_private_start(struct wh_private *daemon, uint64_t region, struct wh_error *error);

/* Ends it and removes its folder. */
void wh_private_stop(struct wh_private *daemon);

#endif
