/* SPDX-License-Identifier: Apache-2.0 */
/* Clearing up after tenants; see sweep.h. The daemon has one thread, so that the child may run
 * plain code. */
#include "daemon/sweep.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/shm.h"
#include "daemon/spawn.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define LEAST_URGENT 19

/* Nobody's connection stays open for as long as this takes. */
static _Noreturn void sweep(const char *home, uid_t uid)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    (void)setpriority(PRIO_PROCESS, 0, LEAST_URGENT);
    wh_shm_clear(home, uid);
    _exit(EXIT_SUCCESS);
}

void wh_sweep_forget(struct wh_tenant *tenant)
{
    int pidfd = tenant->sweeper.fd;
    wh_loop_remove(&tenant->server->loop, &tenant->sweeper);
    wh_close_fd(&pidfd);
}

static void on_end_of_sweeper(struct wh_source *source, uint32_t events)
{
    struct wh_tenant *tenant = WH_CONTAINER(source, struct wh_tenant, sweeper);
    siginfo_t info = {0};
    (void)events;
    if (waitid(P_PIDFD, (id_t)source->fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return;
    wh_sweep_forget(tenant);
    if (info.si_code != CLD_EXITED && tenant->nsessions == 0)
        wh_sweep_start(tenant); /* it was stopped for a session that is gone again */
}

/* One that cannot be watched is waited for. */
static void watch(struct wh_tenant *tenant, pid_t pid)
{
    struct wh_error error = {0};
    int pidfd = pidfd_open(pid, 0);
    if (pidfd >= 0 &&
        wh_loop_add(&tenant->server->loop, &tenant->sweeper, pidfd, on_end_of_sweeper, &error) == 0)
        return;
    wh_close_fd(&pidfd);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

void wh_sweep_start(struct wh_tenant *tenant)
{
    char home[PATH_MAX];
    uid_t uid;
    if (tenant->sweeper.fd >= 0 ||
        wh_spawn_find_home(tenant->server->config, tenant->name, home, &uid) < 0 ||
        wh_shm_remove(home, uid)) /* as a rule: the driver clears up after itself */
        return;
    pid_t pid = fork();
    if (pid == 0)
        sweep(home, uid);
    if (pid < 0)
        wh_debug("nobody clears up after %s: %s", tenant->name, strerror(errno));
    else
        watch(tenant, pid);
}

void wh_sweep_stop(struct wh_tenant *tenant)
{
    if (tenant->sweeper.fd >= 0)
        (void)pidfd_send_signal(tenant->sweeper.fd, SIGKILL, NULL, 0);
}
