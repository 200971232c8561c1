/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions through an ivshmem device's memory: the region's header and mailboxes, as the guest's
 * client, the daemon beside the VM, and a service VM's agent see them. Layout in
 * docs/wire-format.md.
 */
#ifndef WH_CHANNEL_IVSHMEM_H
#define WH_CHANNEL_IVSHMEM_H

#include "channel/shm.h"

#define WH_REGION_MAGIC     0x314d454d4847524full /* changes with the layout */
#define WH_REGION_MAILBOXES 64u
#define WH_REGION_START     (1ull << 20) /* sessions' segments lie behind the header */
#define WH_REGION_LEAST     (WH_REGION_START + WH_SEGMENT_LEAST)
#define WH_REGION_BEAT_MS   100u

/* A mailbox's state. The client moves FREE -> CLAIMED -> ASKED, the server OPEN or REFUSED, the
 * client CLOSING; the server makes it FREE again. */
enum wh_mailbox_state {
    WH_MAILBOX_FREE,
    WH_MAILBOX_CLAIMED,
    WH_MAILBOX_ASKED,
    WH_MAILBOX_OPEN,
    WH_MAILBOX_REFUSED,
    WH_MAILBOX_CLOSING
};

struct wh_mailbox {
    _Alignas(64) _Atomic uint32_t state; /* enum wh_mailbox_state */
    /* Thread id of a thread of the client, registered as a robust futex: the guest's kernel marks
     * it with FUTEX_OWNER_DIED when that thread ends, however it ends. */
    _Atomic uint32_t owner;
    uint32_t peer;    /* whose doorbell wakes the worker */
    uint32_t refused; /* errno value */
    uint64_t offset;  /* of the session's segment in the region */
    uint64_t size;
    struct wh_hello hello;
    char text[192]; /* why it was refused */
};

struct wh_region {
    _Atomic uint64_t magic; /* written last, when a server serves the region */
    uint32_t protocol;
    uint32_t server_peer; /* whose doorbell wakes the server */
    uint64_t size;
    _Atomic uint32_t beat; /* the server counts here while sessions exist */
    char version[32];
    struct wh_mailbox mailboxes[WH_REGION_MAILBOXES];
};

_Static_assert(sizeof(struct wh_region) <= WH_REGION_START, "segments start behind the header");

/* Guest: opens a session through the first ivshmem device that has a server, or the PCI address in
 * `rest`. */
int wh_ivshmem_connect(const char *rest, const struct wh_hello *hello, struct wh_channel **channel,
                       struct wh_error *error);

/*
 * Guest: takes a free mailbox for the client that `hello` describes. When all are taken, those of
 * before the VM's reset are given back first, which takes the server behind `server` a moment. NULL
 * with a reason when there is none.
 */
struct wh_mailbox *wh_ivshmem_claim(struct wh_region *region, const struct wh_hello *hello,
                                    const struct wh_bell *server, struct wh_error *error);

/* A device's memory and registers, mapped through sysfs. */
struct wh_ivshmem_device {
    char address[32]; /* PCI address */
    int memory_fd;
    uint8_t *memory;
    uint64_t size;
    volatile uint32_t *registers; /* NULL when the device has none or they may not be mapped */
};

/* Finds and maps a device; `address` may be empty. The caller unmaps with wh_ivshmem_unmap. */
int wh_ivshmem_map(const char *address, struct wh_ivshmem_device *device, struct wh_error *error);
void wh_ivshmem_unmap(struct wh_ivshmem_device *device);

#endif
