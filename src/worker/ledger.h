/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant's ledger: a page or so that all workers of one tenant share and no other tenant sees,
 * with an account for each of its sessions. The daemon makes it and says in each account whose it
 * is; the worker writes there what it uses of the devices; a worker that serves NVML reads all of
 * them. Workers of one tenant could falsify each other's figures, and nobody else's.
 */
#ifndef WH_WORKER_LEDGER_H
#define WH_WORKER_LEDGER_H

#include "base/error.h"
#include "base/meter.h"

#include <stdbool.h>
#include <stddef.h>

#define WH_LEDGER_DEVICES 16u /* of more, the rest is not counted */

/* One session's. */
struct wh_account {
    _Atomic uint32_t session; /* its number; 0: nobody's. Release: what follows is written */
    uint32_t client;          /* the client's process, by its own word */
    uint32_t worker;          /* the worker's process */
    uint32_t reserved;
    _Atomic uint64_t calls;     /* messages that the worker took */
    _Atomic uint64_t allocated; /* bytes of device memory that the session holds */
    uint64_t reserved2[4];
    struct wh_meter meters[WH_LEDGER_DEVICES]; /* by the device's number in the worker */
};

struct wh_ledger {
    struct wh_account *accounts;
    size_t count;
    struct wh_account *own; /* the session's; NULL: there is no ledger */
    bool is_fixed;          /* it is in a service VM's memory for views */
};

/* Maps the ledger behind `fd`, from `offset` on and with so many accounts, of which `number` is
 * this session's. */
int wh_ledger_open(struct wh_ledger *ledger, int fd, uint64_t offset, size_t count, uint32_t number,
                   struct wh_error *error);

/* The account of the session whose worker is process `worker`, or NULL. */
const struct wh_account *wh_ledger_find(const struct wh_ledger *ledger, uint32_t worker);

#endif
