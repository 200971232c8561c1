/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In a service VM: memory whose guest-physical address is known and never changes, which is what a
 * view of another VM can be made of. The kernel moves an ordinary process's pages as it likes
 * (compaction, NUMA balancing, copy on write) and tells nobody. A device's memory it leaves where
 * it is: here an ivshmem-plain device, whose BAR QEMU backs with memory of its own.
 */
#ifndef WH_CHANNEL_FIXED_H
#define WH_CHANNEL_FIXED_H

#include "channel/ivshmem.h"

struct wh_fixed {
    struct wh_ivshmem_device device; /* where this process has opened one, else empty */
    int fd;
    uint8_t *memory; /* mapped */
    uint64_t offset; /* of its start in the descriptor */
    uint64_t size;
    uint64_t physical; /* guest-physical address of its start; 0: this process does not know */
    uint64_t used;     /* bytes, from the start */
};

/* Where the kernel has a PCI device's BAR, guest-physical; 0: it does not say. */
uint64_t wh_fixed_address(const char *device, int bar);

/* Maps the device at this PCI address, or the first ivshmem device there is. */
int wh_fixed_open(const char *address, struct wh_fixed *fixed, struct wh_error *error);

/* Maps a part of a device that another process has opened. The descriptor stays the caller's. */
int wh_fixed_use(int fd, uint64_t offset, uint64_t size, struct wh_fixed *fixed,
                 struct wh_error *error);

/* What was moved there stays. */
void wh_fixed_close(struct wh_fixed *fixed);

/*
 * Moves whole pages of this process there: afterwards they have the same addresses and the same
 * contents, may be written, and are shared with children. No other thread may write to them
 * meanwhile. Puts where they are into `physical`, from the start if its address is not known.
 */
int wh_fixed_move(struct wh_fixed *fixed, void *start, size_t size, uint64_t *physical,
                  struct wh_error *error);

#endif
