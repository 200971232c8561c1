/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions over a Unix socket; see unix.h. */
#include "channel/unix.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define REASON_WAIT_US 50000u

/*
 * Where a client maps its segment if it can: it is large, and where the system puts mappings by
 * itself the worker's library may choose an address for shared virtual memory, which must then be
 * free here too; and what the worker has there is in the way of the arena, which it maps at the
 * client's address.
 */
#ifdef __SANITIZE_THREAD__ /* lets programs have few of the addresses */
#define AWAY_FROM_LIBRARIES ((void *)0x1000000000)
#else
#define AWAY_FROM_LIBRARIES ((void *)0x200000000000)
#endif

static int connect_socket(const char *path, struct wh_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return wh_error_set(error, ENAMETOOLONG, "the socket path %s is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return wh_error_set(error, errno, "cannot make a socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int code = errno;
    close(fd);
    return wh_error_set(
        error, code,
        "no Wormhole daemon answers at unix:%s (%s); start wormholed, or use `wormhole run`", path,
        strerror(code));
}

static int check_welcome(const struct wh_welcome *welcome, ssize_t size, const int *fds,
                         struct wh_error *error)
{
    if (size == 0)
        return wh_error_set(error, ECONNRESET,
                            "the server closed the connection during the handshake");
    if (size != sizeof(*welcome) ||
        memcmp(welcome->magic, WH_WELCOME_MAGIC, sizeof(welcome->magic)) != 0)
        return wh_error_set(error, EPROTO, "the server's answer is not Wormhole's");
    if (welcome->refused)
        return wh_error_set(error, (int)welcome->refused, "%.*s", (int)sizeof(welcome->text),
                            welcome->text);
    if (welcome->protocol != WH_PROTOCOL || fds[0] < 0 || fds[1] < 0)
        return wh_error_set(error, EPROTO, "the server's answer is incomplete");
    struct stat status;
    if (fstat(fds[0], &status) < 0 || (uint64_t)status.st_size < welcome->segment ||
        welcome->segment < WH_SEGMENT_LEAST)
        return wh_error_set(error, EPROTO, "the server's segment is smaller than it says");
    return 0;
}

/* A killed worker cannot say why: the daemon does, a moment after the socket closed. */
static void wait_for_reason(struct wh_shm *shm)
{
    struct wh_park park = {.kind = WH_PARK_FUTEX, .longest_us = REASON_WAIT_US};
    unsigned naps = 0;
    wh_park_while(&park, &shm->segment->state, WH_SEGMENT_OPEN, &naps);
}

static bool unix_listen(struct wh_shm *shm, bool eager)
{
    (void)eager;
    struct pollfd ready[2] = {{.fd = shm->socket, .events = POLLIN},
                              {.fd = shm->eventfd, .events = POLLIN}};
    if (poll(ready, 2, -1) < 0)
        return errno == EINTR;
    if (ready[1].revents) {
        uint64_t count;
        ssize_t ignored = read(shm->eventfd, &count, sizeof(count));
        (void)ignored;
    }
    if (ready[0].revents == 0)
        return true;
    wait_for_reason(shm);
    return false;
}

static void unix_abandon(struct wh_shm *shm)
{
    close(shm->channel.arena_fd);
    close(shm->eventfd);
    close(shm->socket);
}

static void unix_release(struct wh_shm *shm)
{
    munmap(shm->segment, shm->size);
    unix_abandon(shm);
}

static int map_segment(int *fds, uint64_t size, int socket, struct wh_channel **channel,
                       struct wh_error *error)
{
    void *memory = mmap(AWAY_FROM_LIBRARIES, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_NORESERVE, fds[0], 0);
    if (memory == MAP_FAILED)
        return wh_error_set(error, errno, "cannot map %llu bytes of shared memory: %s",
                            (unsigned long long)size, strerror(errno));
    struct wh_shm *shm = wh_shm_new(memory, size, true);
    if (!shm) {
        munmap(memory, size);
        return wh_error_set(error, ENOMEM, "out of memory");
    }
    shm->socket = socket;
    shm->channel.arena_fd = wh_steal_fd(&fds[0]);
    shm->channel.arena_offset = WH_ARENA_START;
    shm->channel.returns_pages = true;
    shm->channel.same_machine = true;
    shm->eventfd = wh_steal_fd(&fds[1]);
    shm->park.kind = WH_PARK_FUTEX;
    shm->bell.kind = WH_BELL_FUTEX;
    shm->listen = unix_listen;
    shm->release = unix_release;
    shm->abandon = unix_abandon;
    *channel = &shm->channel;
    return 0;
}

int wh_unix_connect(const char *rest, const struct wh_hello *hello, struct wh_channel **channel,
                    struct wh_error *error)
{
    WH_CLEANUP_CLOSE int socket = connect_socket(*rest ? rest : WH_DEFAULT_SOCKET, error);
    if (socket < 0)
        return -1;
    if (wh_send_fds(socket, hello, sizeof(*hello), NULL, 0) < 0)
        return wh_error_set(error, errno, "cannot talk to the daemon: %s", strerror(errno));
    struct wh_welcome welcome;
    int fds[2];
    ssize_t size = wh_receive_fds(socket, &welcome, sizeof(welcome), fds, 2);
    WH_CLEANUP_CLOSE int segment = fds[0];
    WH_CLEANUP_CLOSE int bell = fds[1];
    if (size < 0)
        return wh_error_set(error, errno, "the daemon did not answer: %s", strerror(errno));
    if (check_welcome(&welcome, size, fds, error) < 0)
        return -1;
    int owned[2] = {segment, bell};
    if (map_segment(owned, welcome.segment, socket, channel, error) < 0)
        return -1;
    segment = bell = socket = -1;
    return 0;
}

static void fill_welcome(struct wh_welcome *welcome)
{
    *welcome = (struct wh_welcome){
        .magic = WH_WELCOME_MAGIC, .protocol = WH_PROTOCOL, .version = WH_VERSION};
}

int wh_unix_welcome(struct wh_shm *shm, int socket, uint32_t session, struct wh_error *error)
{
    struct wh_welcome welcome;
    fill_welcome(&welcome);
    welcome.segment = shm->size;
    welcome.session = session;
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0)
        return wh_error_set(error, errno, "cannot make an eventfd: %s", strerror(errno));
    shm->socket = socket;
    shm->eventfd = bell;
    shm->park.kind = WH_PARK_FUTEX;
    shm->bell.kind = WH_BELL_FUTEX;
    shm->listener_bell = (struct wh_bell){.kind = WH_BELL_EVENTFD, .fd = bell};
    int fds[2] = {shm->channel.arena_fd, bell};
    if (wh_send_fds(socket, &welcome, sizeof(welcome), fds, 2) < 0)
        return wh_error_set(error, errno, "the client is gone: %s", strerror(errno));
    return 0;
}

void wh_unix_refuse(int socket, const struct wh_error *why)
{
    struct wh_welcome welcome;
    fill_welcome(&welcome);
    welcome.refused = why->code ? (uint32_t)why->code : EIO;
    (void)snprintf(welcome.text, sizeof(welcome.text), "%.*s", (int)sizeof(welcome.text) - 1,
                   why->text);
    ssize_t ignored = send(socket, &welcome, sizeof(welcome), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)ignored;
}
