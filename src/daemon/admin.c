/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See admin.h. The text goes into a file in memory whose descriptor is sent: that never waits, so a
 * connection needs no state and cannot hold the daemon up.
 */
#include "daemon/admin.h"

#include "../../kmod/uapi/wormhole.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/agent.h"
#include "daemon/gate.h"
#include "daemon/ivshmem_server.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "wire/hello.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

struct wh_admin {
    struct wh_server *server;
    struct wh_source source;
    uint64_t since;
    int spare; /* see wh_listener_turn_away */
    char path[108];
};

/* Figures of the worker's own: shown, not believed. */
static void print_session(FILE *file, const struct wh_served *session, uint64_t now)
{
    const struct wh_account *account = session->account;
    unsigned long long calls = 0, memory = 0;
    if (account) {
        calls = atomic_load_explicit(&account->calls, memory_order_relaxed);
        memory = atomic_load_explicit(&account->allocated, memory_order_relaxed);
    }
    (void)fprintf(file,
                  "session %u tenant %s api %s client %u worker %d age %llu calls %llu memory %llu "
                  "shared %llu\n",
                  session->number, session->tenant->name, session->api, session->client,
                  session->pid, (unsigned long long)(now - session->since) / 1000000, calls, memory,
                  (unsigned long long)session->shared);
}

/* The module's figures: what happened in a view. */
static void print_stats(FILE *file, const char *whose, int view)
{
    struct wormhole_view_stats stats;
    if (wh_gate_view_stats(view, &stats) < 0)
        return;
    (void)fprintf(file,
                  "%s entered %llu calls %llu suspended %llu retried %llu forwarded %llu "
                  "strays %llu violations %llu overruns %llu lost %llu exits",
                  whose, stats.started, stats.calls, stats.suspensions, stats.retries,
                  stats.forwards, stats.strays, stats.violations, stats.overruns, stats.lost);
    for (unsigned i = 0; i < WORMHOLE_REASONS; i++)
        if (stats.exits[i])
            (void)fprintf(file, " %u:%llu", i, stats.exits[i]);
    (void)fprintf(file, "\n");
}

static void print_view(FILE *file, const struct wh_served *session)
{
    char whose[32];
    (void)snprintf(whose, sizeof(whose), "view %u", session->number);
    print_stats(file, whose, session->view);
}

/* A view of a service VM's memory: its session is the daemon's there. */
static void print_lent(void *file, const char *vm, const struct wh_agent_view *view)
{
    char whose[128];
    (void)snprintf(whose, sizeof(whose), "lent %llu vm %s", (unsigned long long)view->number, vm);
    print_stats(file, whose, view->fd);
}

/* Everything as text in a file that is read from its start; -1: no memory. */
static int write_report(const struct wh_admin *admin)
{
    WH_CLEANUP_CLOSE int fd = memfd_create("wormhole-report", MFD_CLOEXEC);
    WH_CLEANUP_CLOSE int copy = fd < 0 ? -1 : dup(fd);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "w");
    uint64_t now = wh_now_ns();
    if (!file)
        return -1;
    copy = -1; /* the stream's */
    (void)fprintf(file, "wormholed %s age %llu\n", WH_VERSION,
                  (unsigned long long)(now - admin->since) / 1000000);
    for (const struct wh_served *s = admin->server->sessions; s; s = s->next)
        print_session(file, s, now);
    for (const struct wh_served *s = admin->server->sessions; s; s = s->next)
        print_view(file, s);
    wh_ivshmem_servers_views(admin->server, print_lent, file);
    bool whole = !ferror(file);
    if (fclose(file) != 0 || !whole || lseek(fd, 0, SEEK_SET) < 0)
        return -1;
    return wh_steal_fd(&fd);
}

static void on_connect(struct wh_source *source, uint32_t events)
{
    struct wh_admin *admin = WH_CONTAINER(source, struct wh_admin, source);
    (void)events;
    WH_CLEANUP_CLOSE int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        wh_listener_turn_away(source->fd, &admin->spare);
    WH_CLEANUP_CLOSE int report = fd < 0 ? -1 : write_report(admin);
    if (report >= 0)
        (void)wh_send_fds(fd, "", 1, &report, 1);
}

int wh_admin_open(struct wh_server *server, const char *path, struct wh_error *error)
{
    WH_CLEANUP_CLOSE int fd = wh_listener_make_socket(path, SOCK_SEQPACKET, 0600, error);
    if (fd < 0)
        return -1;
    struct wh_admin *admin = calloc(1, sizeof(*admin));
    if (!admin)
        return wh_error_set(error, ENOMEM, "out of memory");
    admin->server = server;
    admin->since = wh_now_ns();
    admin->spare = wh_listener_spare();
    (void)snprintf(admin->path, sizeof(admin->path), "%s", path);
    if (wh_loop_add(&server->loop, &admin->source, fd, on_connect, error) < 0) {
        wh_close_fd(&admin->spare);
        free(admin);
        return -1;
    }
    fd = -1;
    server->admin = admin;
    return 0;
}

void wh_admin_close(struct wh_server *server)
{
    struct wh_admin *admin = server->admin;
    if (!admin)
        return;
    int fd = admin->source.fd;
    server->admin = NULL;
    (void)unlink(admin->path);
    wh_loop_remove(&server->loop, &admin->source);
    wh_close_fd(&fd);
    wh_close_fd(&admin->spare);
    free(admin);
}
