/* SPDX-License-Identifier: Apache-2.0 */
/* See fixed.h. */
#include "channel/fixed.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* The kernel's list of a device's BARs has a line each: start, end, flags. 0: it cannot be read. */
static uint64_t address_of_bar(const char *device, int bar)
{
    char path[96];
    uint64_t start = 0;
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", device);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    for (int line = 0; line <= bar; line++)
        if (fscanf(file, "%" SCNx64 " %*s %*s", &start) != 1)
            start = 0;
    fclose(file);
    return start;
}

int wh_fixed_open(const char *address, struct wh_fixed *fixed, struct wh_error *error)
{
    *fixed = (struct wh_fixed){0};
    if (wh_ivshmem_map(address, &fixed->device, error) < 0)
        return -1;
    fixed->physical = address_of_bar(fixed->device.address, 2);
    if (fixed->physical)
        return 0;
    wh_fixed_close(fixed);
    return wh_error_set(
        error, EACCES,
        "the kernel does not say where the memory of an ivshmem device is to anybody but root");
}

void wh_fixed_close(struct wh_fixed *fixed)
{
    wh_ivshmem_unmap(&fixed->device);
}

int wh_fixed_move(struct wh_fixed *fixed, void *start, size_t size, uint64_t *physical,
                  struct wh_error *error)
{
    if (size > fixed->device.size - fixed->used)
        return wh_error_set(error, ENOSPC,
                            "the ivshmem device %s has no more than %" PRIu64
                            " bytes; give it more (its memory backend's `size`)",
                            fixed->device.address, fixed->device.size);
    memcpy(fixed->device.memory + fixed->used, start, size);
    if (mmap(start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fixed->device.memory_fd,
             (off_t)fixed->used) == MAP_FAILED)
        return wh_error_set(error, errno, "memory of the ivshmem device %s cannot be mapped: %s",
                            fixed->device.address, strerror(errno));
    *physical = fixed->physical + fixed->used;
    fixed->used += wh_round_up(size, 4096);
    return 0;
}
