/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handful of helpers every folder needs: cleanup attributes, rounding, time, whole reads and
 * writes.
 */
#ifndef WH_BASE_UTIL_H
#define WH_BASE_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static inline void wh_free_pointer(void *pointer)
{
    free(*(void **)pointer);
}

static inline void wh_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define WH_CLEANUP_FREE  __attribute__((cleanup(wh_free_pointer)))
#define WH_CLEANUP_CLOSE __attribute__((cleanup(wh_close_fd)))

/* Hands the descriptor to the caller; the variable no longer owns it. */
static inline int wh_steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Rounds up to a power of two `unit`; the caller has made sure that it does not overflow. */
static inline uint64_t wh_round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

/* Monotonic time in nanoseconds. */
static inline uint64_t wh_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One turn of a loop that waits for memory to change: leaves the core to its other thread. */
static inline void wh_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/*
 * Writes all bytes to a descriptor, restarting after signals. Returns 0, or -1 with errno set.
 */
int wh_write_all(int fd, const void *bytes, size_t size);

struct sigaction;

/*
 * Lets this process wait for its children: who started it may have had SIGCHLD ignored, which exec
 * keeps, and such a process is not told how they end. `inherited` (may be NULL) gets what was set
 * before, for a program that is to start as if it had been started directly.
 */
void wh_claim_children(struct sigaction *inherited);

/* Parses "64M", "2G", "4096" into bytes. Returns 0, or -1 when the text is not a size. */
int wh_parse_size(const char *text, uint64_t *size);

/*
 * Sends or receives one packet with up to `nfds` descriptors over a Unix socket. Both return the
 * bytes moved or -1 with errno; received descriptors are close-on-exec, unused places of `fds` are
 * -1, surplus ones are closed. A packet that has more bytes than there is room for is EMSGSIZE.
 */
ssize_t wh_send_fds(int socket, const void *bytes, size_t size, const int *fds, unsigned nfds);
ssize_t wh_receive_fds(int socket, void *bytes, size_t size, int *fds, unsigned nfds);

#endif
