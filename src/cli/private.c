/* SPDX-License-Identifier: Apache-2.0 */
/* A private daemon; see private.h. It is a fork of this process, which has one thread: no program
 * to find. */
#include "cli/private.h"

#include "base/log.h"
#include "base/util.h"
#include "cli/host.h"
#include "daemon/config.h"
#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define READY_FD 3

static int make_folder(struct wh_private *daemon, struct wh_error *error)
{
    (void)snprintf(daemon->folder, sizeof(daemon->folder), "/tmp/wormhole-XXXXXX");
    if (!mkdtemp(daemon->folder))
        return wh_error_set(error, errno, "cannot make a folder for a private daemon in /tmp: %s",
                            strerror(errno));
    (void)snprintf(daemon->socket, sizeof(daemon->socket), "%s/socket", daemon->folder);
    return 0;
}

static int configure(struct wh_config *config, const struct wh_private *daemon, uint64_t region,
                     struct wh_error *error)
{
    char url[sizeof(daemon->socket) + 8], name[] = "private", socket[sizeof(daemon->socket)];
    wh_config_init(config);
    config->private = true;
    config->socket_mode = 0600;
    (void)snprintf(url, sizeof(url), "unix:%s", daemon->socket);
    (void)snprintf(socket, sizeof(socket), "%s", daemon->socket);
    if (!region)
        return wh_config_add_listen(config, url, error);
    return wh_config_add_vm(
        config, &(struct wh_config_vm){.name = name, .socket = socket, .region = region}, error);
}

/* The daemon keeps nothing of its owner's but stderr, where workers log. */
static int let_go(pid_t owner, int ready)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setpgid(0, 0); /* Ctrl-C is for the command */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)prctl(PR_SET_NAME, "wormholed");
    if (null < 0 || getppid() != owner)
        return -1;
    if (dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
        dup2(ready, READY_FD) < 0)
        return -1;
    return close_range(READY_FD + 1, ~0u, 0);
}

static _Noreturn void serve(const struct wh_private *daemon, uint64_t region, pid_t owner,
                            int ready)
{
    struct wh_config config;
    struct wh_error error = {0};
    if (let_go(owner, ready) < 0)
        _exit(EXIT_FAILURE);
    wh_host_restore_vendors();
    if (configure(&config, daemon, region, &error) < 0 ||
        wh_server_run(&config, READY_FD, &error) < 0)
        wh_log("%s", error.text);
    (void)rmdir(daemon->folder); /* the owner may be gone */
    _exit(error.code ? EXIT_FAILURE : EXIT_SUCCESS);
}

int wh_private_start(struct wh_private *daemon, uint64_t region, struct wh_error *error)
{
    int ends[2];
    char byte;
    *daemon = (struct wh_private){0};
    if (make_folder(daemon, error) < 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return wh_error_set(error, errno, "cannot make a pipe: %s", strerror(errno));
    pid_t owner = getpid();
    daemon->pid = fork();
    if (daemon->pid == 0)
        serve(daemon, region, owner, ends[1]);
    close(ends[1]);
    ssize_t n = 0;
    while (daemon->pid > 0 && (n = read(ends[0], &byte, 1)) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    if (n == 1)
        return 0;
    wh_private_stop(daemon);
    return wh_error_set(error, ECHILD, "the private daemon did not start");
}

void wh_private_stop(struct wh_private *daemon)
{
    if (daemon->pid > 0) {
        kill(daemon->pid, SIGTERM);
        while (waitpid(daemon->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (*daemon->folder) {
        (void)unlink(daemon->socket);
        (void)rmdir(daemon->folder);
    }
    *daemon = (struct wh_private){0};
}
