/* SPDX-License-Identifier: Apache-2.0 */
/* Workers' lives, from start to the last word to their clients; see session.h. */
#include "daemon/session.h"

#include "base/log.h"
#include "base/util.h"
#include "channel/park.h"
#include "daemon/exchange.h"
#include "daemon/gate.h"
#include "daemon/ledger.h"
#include "daemon/lender.h"
#include "daemon/spawn.h"
#include "daemon/sweep.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define PAGE     4096u
#define LEAVE_MS 1000u /* for a worker to end by itself */

static void clean(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (; *text; text++)
        if (!isgraph((unsigned char)*text))
            *text = '?';
}

void wh_session_clean_hello(struct wh_hello *hello)
{
    clean(hello->api, sizeof(hello->api));
    clean(hello->version, sizeof(hello->version));
    clean(hello->boot, sizeof(hello->boot));
}

static void unlink_session(struct wh_served *session)
{
    *session->link = session->next;
    if (session->next)
        session->next->link = session->link;
    wh_ledger_clear(session);
    session->server->nsessions--;
    session->tenant->nsessions--;
}

static void stop_watching(struct wh_served *session, struct wh_source *source)
{
    int pidfd = source->fd;
    wh_loop_remove(&session->server->loop, source);
    wh_close_fd(&pidfd);
}

/* Nobody waits for the worker's end any more. */
static void forget_processes(struct wh_served *session)
{
    stop_watching(session, &session->exit);
    stop_watching(session, &session->peer);
    wh_loop_clear_timer(&session->leave);
}

static void free_session(struct wh_served *session)
{
    wh_gate_release(session);
    wh_lender_forget(session);
    wh_exchange_close(session);
    forget_processes(session);
    if (session->head)
        munmap(session->head, PAGE);
    free(session);
}

/* Tells the client why, unless the worker did. The page is the client's too: nothing in it is
 * believed. */
static void tell_reason(struct wh_served *session, const char *reason)
{
    struct wh_segment *head = session->head;
    struct wh_bell bell = {.kind = WH_BELL_FUTEX};
    if (atomic_load_explicit(&head->state, memory_order_acquire) != WH_SEGMENT_ENDED)
        (void)snprintf(head->reason, sizeof(head->reason), "%s", reason);
    /* Release pairs with the listener's acquire: the reason is complete. */
    atomic_store_explicit(&head->state, WH_SEGMENT_ENDED, memory_order_release);
    wh_bell_ring(&bell, &head->state, INT_MAX);
}

/* Says how the worker ended; true when somebody has to know. */
static bool describe_end(const siginfo_t *info, char *text, size_t size)
{
    if (info->si_code == CLD_EXITED) {
        (void)snprintf(text, size, "the worker ended with status %d", info->si_status);
        return false; /* a failing worker said why itself */
    }
    (void)snprintf(text, size, "the worker was killed by signal %d (%s)%s", info->si_status,
                   strsignal(info->si_status),
                   info->si_status == SIGKILL ? "; is the server out of memory?" : "");
    return true;
}

void wh_session_finish(struct wh_served *session)
{
    unlink_session(session);
    if (session->tenant->nsessions == 0)
        wh_sweep_start(session->tenant);
    if (session->ended)
        session->ended(session->owner);
    wh_server_session_ended(session->server);
    free_session(session);
}

static void on_exit_of_worker(struct wh_source *source, uint32_t events)
{
    struct wh_served *session = WH_CONTAINER(source, struct wh_served, exit);
    siginfo_t info = {0};
    char reason[200];
    (void)events;
    if (waitid(P_PIDFD, (id_t)source->fd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0)
        return;
    /* What it started goes with it; before it is reaped, so that the number is still its own. */
    kill(-session->pid, SIGKILL);
    (void)waitid(P_PIDFD, (id_t)source->fd, &info, WEXITED | WNOHANG);
    wh_gate_release(session); /* before others get the segment */
    bool loud = describe_end(&info, reason, sizeof(reason));
    tell_reason(session, reason);
    if (loud)
        wh_log_limited(&session->tenant->log, "session %u of %s ends: %s", session->number,
                       session->tenant->name, reason);
    else
        wh_debug("session %u of %s ends: %s", session->number, session->tenant->name, reason);
    forget_processes(session);
    if (!wh_lender_release(session))
        wh_session_finish(session);
}

static int map_head(struct wh_served *session, const struct wh_session_request *request,
                    struct wh_error *error)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, request->memory,
                      (off_t)request->offset);
    if (page == MAP_FAILED)
        return wh_error_set(error, errno, "the server cannot map a session's memory: %s",
                            strerror(errno));
    session->head = page;
    return 0;
}

/* A worker without a pidfd could not be waited for: it is ended at once. */
static int watch_worker(struct wh_served *session, struct wh_error *error)
{
    int pidfd = pidfd_open(session->pid, 0);
    if (pidfd < 0)
        wh_error_set(error, errno, "the server cannot watch a worker: %s", strerror(errno));
    else if (wh_loop_add(&session->server->loop, &session->exit, pidfd, on_exit_of_worker, error) ==
             0)
        return 0;
    wh_close_fd(&pidfd);
    kill(session->pid, SIGKILL);
    (void)waitpid(session->pid, NULL, 0);
    return -1;
}

static void on_time_to_leave(struct wh_timer *timer)
{
    wh_session_kill(WH_CONTAINER(timer, struct wh_served, leave));
}

/* The worker sees that, too, unless what it runs keeps it from that. */
static void on_end_of_client(struct wh_source *source, uint32_t events)
{
    struct wh_served *session = WH_CONTAINER(source, struct wh_served, peer);
    (void)events;
    stop_watching(session, source);
    wh_loop_set_timer(&session->server->loop, &session->leave, LEAVE_MS, on_time_to_leave);
}

/* Where the client cannot be watched, its worker still does it. */
static void watch_client(struct wh_served *session, pid_t pid)
{
    struct wh_error error = {0};
    int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (pidfd >= 0 &&
        wh_loop_add(&session->server->loop, &session->peer, pidfd, on_end_of_client, &error) < 0)
        close(pidfd);
    else if (pidfd < 0 && pid > 0 && errno == ESRCH)
        wh_loop_set_timer(&session->server->loop, &session->leave, LEAVE_MS, on_time_to_leave);
}

static void enter(struct wh_server *server, struct wh_served *session)
{
    session->next = server->sessions;
    session->link = &server->sessions;
    if (session->next)
        session->next->link = &session->next;
    server->sessions = session;
    server->nsessions++;
    session->tenant->nsessions++;
}

struct wh_served *wh_session_start(struct wh_server *server,
                                   const struct wh_session_request *request, struct wh_error *error)
{
    struct wh_served *session = calloc(1, sizeof(*session));
    if (!session) {
        wh_error_set(error, ENOMEM, "the server is out of memory");
        return NULL;
    }
    *session = (struct wh_served){.server = server,
                                  .tenant = request->tenant,
                                  .number = ++server->last_session,
                                  .ended = request->ended,
                                  .owner = request->owner,
                                  .client = request->hello->pid,
                                  .shared = request->size,
                                  .since = wh_now_ns(),
                                  .exit.fd = -1,
                                  .peer.fd = -1,
                                  .exchange.fd = -1,
                                  .gate_vm = request->gate_vm,
                                  .view = -1};
    memcpy(session->api, request->hello->api, sizeof(session->api)); /* it ends with a zero byte */
    WH_CLEANUP_CLOSE int exchange = -1;
    struct wh_session_request complete = *request;
    wh_ledger_assign(session, &complete);
    wh_lender_assign(session, &complete);
    if (map_head(session, request, error) == 0 &&
        wh_exchange_open(session, &exchange, error) == 0) {
        complete.exchange = exchange;
        wh_sweep_stop(session->tenant);
        session->pid = wh_spawn_worker(server->config, &complete, session->number, error);
        if (session->pid > 0 && watch_worker(session, error) == 0) {
            enter(server, session);
            watch_client(session, request->peer);
            wh_ledger_enter(session);
            wh_debug("session %u: %s for %s (pid %u), worker %d, %llu MiB", session->number,
                     request->hello->api, request->tenant->name, request->hello->pid, session->pid,
                     (unsigned long long)(request->size >> 20));
            return session;
        }
    }
    free_session(session);
    return NULL;
}

void wh_session_kill(struct wh_served *session)
{
    if (session->exit.fd >= 0) /* else it is gone, and only its view is not */
        (void)pidfd_send_signal(session->exit.fd, SIGKILL, NULL, 0);
}

void wh_session_forget(struct wh_served *session)
{
    if (session->leave.link)
        wh_session_kill(session);
    unlink_session(session);
    if (session->ended)
        session->ended(session->owner);
    free_session(session);
}
