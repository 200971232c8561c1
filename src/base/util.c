/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers; see util.h. */
#include "base/util.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define WH_MAX_FDS 8

int wh_write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

void wh_claim_children(struct sigaction *inherited)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGCHLD, &standard, inherited);
}

int wh_parse_size(const char *text, uint64_t *size)
{
    static const char units[] = "KMGT";
    if (*text < '0' || *text > '9')
        return -1;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno)
        return -1;
    if (*end) {
        const char *unit = strchr(units, *end);
        unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
        if (!unit || end[1] || value > (UINT64_MAX >> shift))
            return -1;
        value <<= shift;
    }
    *size = value;
    return 0;
}

ssize_t wh_send_fds(int socket, const void *bytes, size_t size, const int *fds, unsigned nfds)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * WH_MAX_FDS)];
    } control = {0};
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (nfds > WH_MAX_FDS) {
        errno = EINVAL;
        return -1;
    }
    if (nfds > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * nfds);
    }
    ssize_t n;
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Takes the descriptors out of one control message; surplus ones are closed. */
static unsigned take_fds(const struct cmsghdr *header, int *fds, unsigned nfds, unsigned got)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        if (got < nfds)
            fds[got++] = fd;
        else
            close(fd);
    }
    return got;
}

ssize_t wh_receive_fds(int socket, void *bytes, size_t size, int *fds, unsigned nfds)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * WH_MAX_FDS)];
    } control;
    struct iovec vector = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    for (unsigned i = 0; i < nfds; i++)
        fds[i] = -1;
    ssize_t n;
    do
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return n;
    unsigned got = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h))
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
            got = take_fds(h, fds, nfds, got);
    if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) { /* what was sent did not all arrive */
        for (unsigned i = 0; i < nfds; i++) {
            wh_close_fd(&fds[i]);
            fds[i] = -1;
        }
        errno = message.msg_flags & MSG_CTRUNC ? EMFILE : EMSGSIZE;
        return -1;
    }
    return n;
}
