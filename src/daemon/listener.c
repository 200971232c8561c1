/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of this machine, from connect to worker; see listener.h. */
#include "daemon/listener.h"

#include "base/log.h"
#include "base/util.h"
#include "channel/channel.h"
#include "channel/unix.h"
#include "daemon/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define HELLO_TIMEOUT_MS 5000u
#define ADMIT_WAIT_MS    300u
#define MOST_WAITING     64u /* connections of one user that did not say hello yet */
#define BACKLOG          128

/* A connection that did not say hello yet. */
struct connection {
    struct connection *next, **link;
    struct wh_listener *listener;
    struct wh_source source;
    struct wh_timer deadline;
    struct wh_hello hello;
    struct ucred peer;
    int fd;
    bool waited; /* for another session's end */
};

struct wh_listener {
    struct wh_listener *next;
    struct wh_server *server;
    struct wh_source source;
    struct connection *connections;
    struct wh_log_limit log; /* lines about connections that it does not take */
    int spare;               /* given up to turn a connection away when descriptors are short */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- the listening socket ---- */

static int make_parents(const char *path, struct wh_error *error)
{
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
    (void)snprintf(folder, sizeof(folder), "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0755) < 0 && errno != EEXIST)
            return wh_error_set(error, errno, "cannot make the folder %s for the socket %s: %s",
                                folder, path, strerror(errno));
        *slash = '/';
    }
    return 0;
}

/* Removes a socket that a daemon left behind. */
static int remove_stale(const struct sockaddr_un *address, int type, struct wh_error *error)
{
    struct stat status;
    const char *path = address->sun_path;
    if (lstat(path, &status) < 0)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return wh_error_set(error, EEXIST, "%s is in the way: it is not a socket", path);
    WH_CLEANUP_CLOSE int probe = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
        errno != ECONNREFUSED)
        return wh_error_set(error, EADDRINUSE,
                            "another server listens at %s already; stop it or choose another path",
                            path);
    if (unlink(path) < 0)
        return wh_error_set(error, errno, "cannot remove the old socket %s: %s", path,
                            strerror(errno));
    return 0;
}

int wh_listener_make_socket(const char *path, int type, mode_t mode, struct wh_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return wh_error_set(error, ENAMETOOLONG, "%s: the path is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (make_parents(path, error) < 0 || remove_stale(&address, type, error) < 0)
        return -1;
    WH_CLEANUP_CLOSE int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return wh_error_set(error, errno, "cannot make a socket: %s", strerror(errno));
    /* Nobody gets in between bind and chmod: the socket does not listen yet. */
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, mode) < 0 ||
        listen(fd, BACKLOG) < 0)
        return wh_error_set(error, errno, "cannot listen at %s: %s", path, strerror(errno));
    return wh_steal_fd(&fd);
}

/* ---- one connection ---- */

static void close_connection(struct connection *connection)
{
    wh_loop_clear_timer(&connection->deadline);
    wh_loop_remove(&connection->listener->server->loop, &connection->source);
    wh_close_fd(&connection->fd);
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    free(connection);
}

static void refuse(struct connection *connection, const struct wh_error *why)
{
    struct wh_tenant *tenant =
        wh_tenant_of_user(connection->listener->server, connection->peer.uid);
    if (tenant)
        wh_log_limited(&tenant->log, "a client (pid %d, user %u) is refused: %s",
                       connection->peer.pid, connection->peer.uid, why->text);
    wh_unix_refuse(connection->fd, why);
    close_connection(connection);
}

/* Memory that neither side can shrink under the other. */
static int make_memory(uint64_t size, struct wh_error *error)
{
    WH_CLEANUP_CLOSE int fd = memfd_create("wormhole-session", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return wh_error_set(error, errno, "the server cannot make %llu MiB of shared memory: %s",
                            (unsigned long long)(size >> 20), strerror(errno));
    return wh_steal_fd(&fd);
}

static int start_session(struct connection *connection, struct wh_tenant *tenant,
                         struct wh_error *error)
{
    struct wh_server *server = connection->listener->server;
    struct wh_session_request request = {.tenant = tenant,
                                         .hello = &connection->hello,
                                         .transport = "unix",
                                         .peer = connection->peer.pid,
                                         .life = connection->fd,
                                         .bell = -1,
                                         .gate = -1};
    if (wh_tenant_segment_size(server, tenant, connection->hello.arena, server->machine_memory,
                               &request.size, error) < 0)
        return -1;
    WH_CLEANUP_CLOSE int memory = make_memory(request.size, error);
    request.memory = memory;
    return memory >= 0 && wh_session_start(server, &request, error) ? 0 : -1;
}

static void serve_connection(struct connection *connection);

static void on_second_try(struct wh_timer *timer)
{
    serve_connection(WH_CONTAINER(timer, struct connection, deadline));
}

/* The handshake is there and well-formed: a session, an answer, or a wait. */
static void serve_connection(struct connection *connection)
{
    struct wh_server *server = connection->listener->server;
    struct wh_tenant *tenant = wh_tenant_of_user(server, connection->peer.uid);
    struct wh_error error = {0};
    if (!tenant) {
        wh_error_set(&error, ENOMEM, "the server is out of memory");
    } else if (wh_tenant_admit(server, tenant, &error) < 0) {
        /* A program that starts right after another one ended finds that one's worker still
         * ending. */
        if (!connection->waited) {
            connection->waited = true;
            wh_loop_set_timer(&server->loop, &connection->deadline, ADMIT_WAIT_MS, on_second_try);
            return;
        }
    } else if (start_session(connection, tenant, &error) == 0) {
        close_connection(connection);
        return;
    }
    refuse(connection, &error);
}

/* Reads the handshake. 0: not there yet. */
static int read_hello(struct connection *connection, struct wh_error *error)
{
    struct wh_hello *hello = &connection->hello;
    ssize_t n = recv(connection->fd, hello, sizeof(*hello), MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return wh_error_set(error, errno, "reading from it failed: %s", strerror(errno));
    if (n != (ssize_t)sizeof(*hello))
        return wh_error_set(error, EPROTO, "its handshake has %zd bytes, Wormhole %s expects %zu",
                            n, WH_VERSION, sizeof(*hello));
    wh_session_clean_hello(hello);
    if (hello->protocol == 0) /* it only asks who is here: any answer has the version */
        return wh_error_set(error, 0, "this is Wormhole %s", WH_VERSION);
    return wh_hello_check(hello, error) < 0 ? -1 : 1;
}

static void on_hello(struct wh_source *source, uint32_t events)
{
    struct connection *connection = WH_CONTAINER(source, struct connection, source);
    struct wh_error error = {0};
    char first;
    (void)events;
    if (recv(connection->fd, &first, 1, MSG_PEEK) == 0) { /* it left without a word */
        close_connection(connection);
        return;
    }
    int got = read_hello(connection, &error);
    if (got > 0) {
        wh_loop_remove(&connection->listener->server->loop, &connection->source);
        serve_connection(connection);
    } else if (got < 0 && error.code) {
        refuse(connection, &error);
    } else if (got < 0) {
        wh_unix_refuse(connection->fd, &error);
        close_connection(connection);
    }
}

static void on_silence(struct wh_timer *timer)
{
    struct wh_error error;
    wh_error_set(&error, ETIMEDOUT, "it did not say hello within %u s", HELLO_TIMEOUT_MS / 1000);
    refuse(WH_CONTAINER(timer, struct connection, deadline), &error);
}

/* ---- accepting ---- */

static unsigned count_waiting(const struct wh_listener *listener, uid_t uid)
{
    unsigned count = 0;
    for (const struct connection *c = listener->connections; c; c = c->next)
        count += c->peer.uid == uid;
    return count;
}

static struct connection *enter_connection(struct wh_listener *listener, int fd,
                                           const struct ucred *peer)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    struct wh_error error;
    if (!connection)
        return NULL;
    *connection = (struct connection){.listener = listener,
                                      .next = listener->connections,
                                      .link = &listener->connections,
                                      .peer = *peer,
                                      .fd = fd};
    if (wh_loop_add(&listener->server->loop, &connection->source, fd, on_hello, &error) < 0) {
        wh_log("%s", error.text);
        free(connection);
        return NULL;
    }
    if (connection->next)
        connection->next->link = &connection->next;
    listener->connections = connection;
    wh_loop_set_timer(&listener->server->loop, &connection->deadline, HELLO_TIMEOUT_MS, on_silence);
    return connection;
}

int wh_listener_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void wh_listener_turn_away(int socket, int *spare)
{
    wh_close_fd(spare);
    *spare = accept4(socket, NULL, NULL, SOCK_CLOEXEC);
    wh_close_fd(spare);
    *spare = wh_listener_spare();
}

static void turn_away(struct wh_listener *listener)
{
    wh_log_limited(
        &listener->log,
        "a client is turned away: the server has no file descriptors left; raise its limit (LimitNOFILE)");
    wh_listener_turn_away(listener->source.fd, &listener->spare);
}

static void on_connect(struct wh_source *source, uint32_t events)
{
    struct wh_listener *listener = WH_CONTAINER(source, struct wh_listener, source);
    struct ucred peer;
    socklen_t size = sizeof(peer);
    (void)events;
    WH_CLEANUP_CLOSE int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            turn_away(listener);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return;
    if (count_waiting(listener, peer.uid) >= MOST_WAITING)
        wh_log_limited(
            &listener->log,
            "a client (pid %d) is turned away: user %u has too many connections that do not say hello",
            peer.pid, peer.uid);
    else if (enter_connection(listener, fd, &peer))
        fd = -1;
}

int wh_listener_open(struct wh_server *server, const char *path, struct wh_error *error)
{
    WH_CLEANUP_CLOSE int fd =
        wh_listener_make_socket(path, SOCK_SEQPACKET, server->config->socket_mode, error);
    if (fd < 0)
        return -1;
    struct wh_listener *listener = calloc(1, sizeof(*listener));
    if (!listener)
        return wh_error_set(error, ENOMEM, "out of memory");
    listener->server = server;
    (void)snprintf(listener->path, sizeof(listener->path), "%s", path);
    if (wh_loop_add(&server->loop, &listener->source, fd, on_connect, error) < 0) {
        free(listener);
        return -1;
    }
    fd = -1;
    listener->spare = wh_listener_spare();
    listener->next = server->listeners;
    server->listeners = listener;
    return 0;
}

void wh_listeners_close(struct wh_server *server)
{
    while (server->listeners) {
        struct wh_listener *listener = server->listeners;
        int fd = listener->source.fd;
        server->listeners = listener->next;
        while (listener->connections)
            close_connection(listener->connections);
        (void)unlink(listener->path);
        wh_loop_remove(&server->loop, &listener->source);
        wh_close_fd(&fd);
        wh_close_fd(&listener->spare);
        free(listener);
    }
}
