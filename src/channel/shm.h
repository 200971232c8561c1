/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel over a shared segment (segment.h). A transport maps the segment, says how each side
 * sleeps and is woken, and gets a channel; everything else is the same for all of them. Used by
 * unix.c and ivshmem.c.
 */
#ifndef WH_CHANNEL_SHM_H
#define WH_CHANNEL_SHM_H

#include "channel/channel.h"
#include "channel/park.h"
#include "channel/segment.h"

#include <pthread.h>

struct wh_gate_client;

struct wh_shm {
    struct wh_channel channel;
    struct wh_segment *segment;
    uint64_t size; /* of the mapping */
    struct wh_ring calls, upcalls;
    uint32_t populated;     /* client: bytes of the call ring that have pages */
    _Atomic uint32_t taken; /* client: upcalls.at, for the listener, who may look at any time */

    struct wh_park park;          /* how this side sleeps */
    struct wh_bell bell;          /* wakes the other side's sleepers on words of the segment */
    struct wh_bell listener_bell; /* worker: wakes the client's listener */
    struct wh_spin quick, slow;

    pthread_mutex_t submit; /* client: orders messages; worker: orders upcalls */
    uint32_t callbacks;     /* worker: sent so far; `submit` held */
    _Atomic uint32_t busy_slots[WH_SLOTS];
    _Atomic uint32_t slot_freed;

    atomic_flag leader;
    atomic_flag losing;
    _Atomic int sleepers; /* worker threads asleep in receive */
    bool sleeps_at_once;  /* worker: whoever leads does not spin for the next message */

    /* Client, on the exitless path: runs the worker's code on what was sent, a message of that call
     * last; true when the worker has to be woken nevertheless. NULL: there is no such path. */
    bool (*step_in)(struct wh_shm *shm, uint16_t call);
    struct wh_gate_client *gate;
    char over[200]; /* the listener's: why the view, and with it the session, is over; or empty */
    /* Transport: waits for news from the other side; frees what it holds. */
    bool (*listen)(struct wh_shm *shm, bool eager);
    void (*release)(struct wh_shm *shm);
    void (*abandon)(struct wh_shm *shm);
    int socket, eventfd;     /* unix: the session's socket; the listener's eventfd */
    void *transport_private; /* ivshmem */
};

/*
 * Makes a channel over `segment`, mapped with `size` bytes. `client` picks the end. The caller
 * fills park, bells, listen and release before the first use. Returns NULL when memory is short.
 */
struct wh_shm *wh_shm_new(struct wh_segment *segment, uint64_t size, bool client);

/* The worker's end, for a segment in a file descriptor (a memfd or a VM's region). Maps it itself.
 */
int wh_shm_open_worker(int fd, uint64_t offset, uint64_t size, struct wh_shm **shm,
                       struct wh_error *error);

#endif
