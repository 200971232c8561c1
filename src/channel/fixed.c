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

/* The kernel's list has a line for each BAR: start, end, flags. */
uint64_t wh_fixed_address(const char *device, int bar)
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
    *fixed = (struct wh_fixed){.fd = -1};
    if (wh_ivshmem_map(address, &fixed->device, error) < 0)
        return -1;
    fixed->fd = fixed->device.memory_fd;
    fixed->memory = fixed->device.memory;
    fixed->size = fixed->device.size;
    fixed->physical = wh_fixed_address(fixed->device.address, 2);
    if (fixed->physical)
        return 0;
    wh_fixed_close(fixed);
    return wh_error_set(
        error, EACCES, "the kernel tells nobody but root where the memory of an ivshmem device is");
}

int wh_fixed_use(int fd, uint64_t offset, uint64_t size, struct wh_fixed *fixed,
                 struct wh_error *error)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (memory == MAP_FAILED)
        return wh_error_set(error, errno, "memory that does not move cannot be mapped: %s",
                            strerror(errno));
    *fixed = (struct wh_fixed){
        .device.memory_fd = -1, .fd = fd, .memory = memory, .offset = offset, .size = size};
    return 0;
}

void wh_fixed_close(struct wh_fixed *fixed)
{
    if (fixed->device.memory)
        wh_ivshmem_unmap(&fixed->device);
    else if (fixed->memory)
        munmap(fixed->memory, fixed->size);
    *fixed = (struct wh_fixed){.device.memory_fd = -1, .fd = -1};
}

int wh_fixed_move(struct wh_fixed *fixed, void *start, size_t size, uint64_t *physical,
                  struct wh_error *error)
{
    if (size > fixed->size - fixed->used)
        return wh_error_set(error, ENOSPC, "%zu bytes of memory that does not move are too few",
                            (size_t)fixed->size);
    memcpy(fixed->memory + fixed->used, start, size);
    if (mmap(start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fixed->fd,
             (off_t)(fixed->offset + fixed->used)) == MAP_FAILED)
        return wh_error_set(error, errno, "memory that does not move cannot be mapped: %s",
                            strerror(errno));
    *physical = fixed->physical + fixed->used;
    fixed->used += wh_round_up(size, 4096);
    return 0;
}
