/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon as a whole: starts what is configured, runs the loop, stops in order; see server.h. */
#include "daemon/server.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/admin.h"
#include "daemon/ivshmem_server.h"
#include "daemon/lender.h"
#include "daemon/listener.h"
#include "daemon/notify.h"
#include "daemon/region.h"
#include "daemon/session.h"
#include "daemon/spawn.h"
#include "daemon/tenant.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#define LINGER_MS 500u

static void on_linger_end(struct wh_timer *timer)
{
    struct wh_server *server = WH_CONTAINER(timer, struct wh_server, linger);
    wh_loop_stop(&server->loop);
}

/* No new sessions; those of VMs end, because their memory hangs on this process. */
static void close_doors(struct wh_server *server)
{
    wh_listeners_close(server);
    wh_admin_close(server);
    wh_ivshmem_servers_close(server);
    if (server->region)
        wh_region_end(server->region, "the server was stopped");
    server->region = NULL;
    wh_ivshmem_unmap(&server->device);
}

/* For workers of VMs to end, and for a private daemon's, which end with their clients, so that
 * nothing is left behind. */
static bool lingers(const struct wh_server *server)
{
    return server->nending > 0 || (server->config->private && server->sessions);
}

static void on_signal(struct wh_source *source, uint32_t events)
{
    struct wh_server *server = WH_CONTAINER(source, struct wh_server, signals);
    struct signalfd_siginfo info;
    (void)events;
    if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    close_doors(server);
    if (lingers(server))
        wh_loop_set_timer(&server->loop, &server->linger, LINGER_MS, on_linger_end);
    else
        wh_loop_stop(&server->loop);
}

void wh_server_session_ended(struct wh_server *server)
{
    if (server->linger.link && !lingers(server))
        wh_loop_stop(&server->loop);
}

/* SIGTERM and SIGINT come as events; SIGPIPE never kills; workers are waited for. Their own signals
 * are reset when they start. */
static int watch_signals(struct wh_server *server, struct wh_error *error)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    wh_claim_children(NULL);
    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return wh_error_set(error, errno, "cannot receive signals: %s", strerror(errno));
    return wh_loop_add(&server->loop, &server->signals, fd, on_signal, error);
}

/* Each session takes a few descriptors here. */
static void raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static uint64_t physical_memory(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* In a service VM. Views of its memory, and of the region, may be there from before. */
static int serve_device(struct wh_server *server, struct wh_error *error)
{
    const struct wh_config *config = server->config;
    if (wh_region_map_device(server, config->region_url, error) < 0 ||
        (config->agent && wh_lender_open(server, config->agent, error) < 0))
        return -1;
    bool hold = server->lender && !wh_lender_await(server);
    return wh_region_serve_device(server, hold, wh_lender_hears_rings(server), error);
}

static int start(struct wh_server *server, struct wh_error *error)
{
    const struct wh_config *config = server->config;
    if (wh_spawn_check(config, error) < 0 || watch_signals(server, error) < 0)
        return -1;
    if (config->admin && wh_admin_open(server, config->admin, error) < 0)
        return -1;
    for (size_t i = 0; i < config->nlisten; i++) {
        if (wh_listener_open(server, config->listen[i], error) < 0)
            return -1;
        if (!config->private)
            wh_log("listening at unix:%s", config->listen[i]);
    }
    for (size_t i = 0; i < config->nvms; i++) {
        if (wh_ivshmem_server_open(server, &config->vms[i], error) < 0)
            return -1;
        if (!config->private)
            wh_log("serving the VM %s at %s", config->vms[i].name, config->vms[i].socket);
    }
    return config->region_url ? serve_device(server, error) : 0;
}

static void stop(struct wh_server *server)
{
    int fd = server->signals.fd;
    close_doors(server);
    while (server->sessions)
        wh_session_forget(server->sessions);
    wh_lender_close(server);
    wh_tenants_free(server);
    wh_loop_remove(&server->loop, &server->signals);
    wh_close_fd(&fd);
    wh_loop_free(&server->loop);
}

int wh_server_run(const struct wh_config *config, int ready_fd, struct wh_error *error)
{
    struct wh_server server = {.config = config,
                               .signals.fd = -1,
                               .device.memory_fd = -1,
                               .machine_memory = physical_memory()};
    raise_limits();
    int result = wh_loop_init(&server.loop, error);
    if (result == 0) {
        result = start(&server, error);
        if (result == 0) {
            wh_notify_ready(ready_fd);
            wh_loop_run(&server.loop);
        }
        stop(&server);
    }
    return result;
}
