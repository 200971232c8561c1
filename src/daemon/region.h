/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serving sessions through the mailboxes of a region of shared memory (channel/ivshmem.h). The
 * host's daemon does it for a VM, and a service VM's daemon for another VM: they differ in how they
 * are woken only. What lies in the region is the guest's to change at any time: it is copied once,
 * then checked, and never read back.
 */
#ifndef WH_DAEMON_REGION_H
#define WH_DAEMON_REGION_H

#include "channel/ivshmem.h"
#include "daemon/gate.h"
#include "daemon/server.h"

/* Peer numbers of doorbells: the server's own, then one per mailbox, then the VMs'. */
#define WH_PEER_SERVER  0u
#define WH_PEER_SESSION 1u
#define WH_PEER_VM      (WH_PEER_SESSION + WH_REGION_MAILBOXES)
#define WH_PEER_SERVICE (WH_PEER_VM + 1)
#define WH_REGION_BELLS (WH_PEER_SESSION + WH_REGION_MAILBOXES)

/* All of it stays the caller's, and must live until wh_region_end. */
struct wh_region_setup {
    const char *name; /* the VM's */
    struct wh_limits limits;
    uint8_t *memory; /* the whole region, mapped */
    int fd;          /* the same, for workers */
    uint64_t size;
    const int *bells; /* WH_REGION_BELLS eventfds by peer number, or NULL: nobody can ring here */
    struct wh_gate_vm *gate; /* the VM on the exitless path, or NULL */
    bool relays;             /* see wh_region_relay, for a start */
    bool hold; /* segments that a view of before this server showed go to nobody before
                * wh_region_release */
};

/* Starts to serve; guests see the region as served when this returns. NULL with a reason on
 * failure. */
struct wh_region_server *wh_region_serve(struct wh_server *server,
                                         const struct wh_region_setup *setup,
                                         struct wh_error *error);

/*
 * Stops serving: every session ends with `reason`. The region's memory and descriptors are not
 * touched after this; the rest goes with the last worker, and those that do not end by themselves
 * are killed.
 */
void wh_region_end(struct wh_region_server *region, const char *reason);

/*
 * Where nobody can ring, somebody may hear of rings and pass them on: whether it is so from here
 * on. Then he says which peer's bell it was. Sessions that are there already nap as before, and
 * all are looked after, more slowly, also when no ring comes through.
 */
void wh_region_relay(struct wh_region_server *region, bool relays);
void wh_region_ring(struct wh_region_server *region, uint32_t peer);

/* What was shown before is not any more. */
void wh_region_release(struct wh_region_server *region);

/* In a service VM: maps the region of this machine's ivshmem device; serves it, as long as the
 * server runs. */
int wh_region_map_device(struct wh_server *server, const char *url, struct wh_error *error);
int wh_region_serve_device(struct wh_server *server, bool hold, bool relays,
                           struct wh_error *error);

/* Ends the sessions that the region's mailboxes tell of, without having served them: one of its two
 * VMs is gone. */
void wh_region_abandon(uint8_t *memory, uint64_t size, const char *reason);

/* The same when the clients' VM is gone: asks the server in the service VM to end them. */
void wh_region_close_all(uint8_t *memory);

#endif
