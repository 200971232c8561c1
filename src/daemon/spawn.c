/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to a running worker; see spawn.h. The daemon has one thread, so that the child may
 * run plain code. */
#include "daemon/spawn.h"

#include "base/log.h"
#include "base/util.h"
#include "channel/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FIRST_FD     3  /* life, memory, bell */
#define PARKING_FD   10 /* above all of those */
#define USUAL_NOFILE 1024u

/* The worker's user, when it is not the daemon's own. */
struct identity {
    bool other;
    uid_t uid;
    gid_t gid;
    const char *name;
};

static int find_identity(const struct wh_config *config, struct identity *identity,
                         struct wh_error *error)
{
    *identity = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (!config->worker_user)
        return 0;
    const struct passwd *user = getpwnam(config->worker_user);
    if (!user)
        return wh_error_set(error, ENOENT, "worker_user: there is no user '%s' on the server",
                            config->worker_user);
    if (geteuid() != 0 && user->pw_uid != geteuid())
        return wh_error_set(error, EPERM,
                            "worker_user: only a daemon started by root can run workers as %s",
                            config->worker_user);
    *identity = (struct identity){.other = user->pw_uid != geteuid(),
                                  .uid = user->pw_uid,
                                  .gid = user->pw_gid,
                                  .name = config->worker_user};
    return 0;
}

int wh_spawn_check(const struct wh_config *config, struct wh_error *error)
{
    struct identity identity;
    if (access(config->worker, X_OK) < 0)
        return wh_error_set(
            error, errno,
            "the worker program %s cannot be run (%s); set `worker` in the configuration",
            config->worker, strerror(errno));
    return find_identity(config, &identity, error);
}

/* ---- a tenant's own folder: caches and home ---- */

static int make_folder(const char *path, mode_t mode, struct wh_error *error)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return wh_error_set(error, errno, "the server cannot make the folder %s: %s", path,
                            strerror(errno));
    return 0;
}

/* All folders above the last part of `path`. */
static int make_parents(char *path, struct wh_error *error)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int result = make_folder(path, 0755, error);
        *slash = '/';
        if (result < 0)
            return -1;
    }
    return 0;
}

static int make_home(const char *state_dir, const char *tenant, const struct identity *identity,
                     char *home, struct wh_error *error)
{
    if (snprintf(home, PATH_MAX, "%s/%s", state_dir, tenant) >= PATH_MAX)
        return wh_error_set(error, ENAMETOOLONG, "state_dir: %s is too long", state_dir);
    if (make_parents(home, error) < 0 || make_folder(home, 0700, error) < 0)
        return -1;
    if (geteuid() == 0 && lchown(home, identity->uid, identity->gid) < 0)
        return wh_error_set(error, errno, "the server cannot give %s to the worker's user: %s",
                            home, strerror(errno));
    return 0;
}

/* ---- in the child ---- */

/* Puts the descriptors in their places; sources may be anywhere, also in each other's places. */
static int place_descriptors(const struct wh_session_request *request)
{
    const int wanted[] = {request->life, request->memory, request->bell};
    int parked[3], count = request->bell >= 0 ? 3 : 2;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        return -1;
    for (int i = 0; i < count; i++)
        if ((parked[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, PARKING_FD)) < 0)
            return -1;
    for (int i = 0; i < count; i++)
        if (dup2(parked[i], FIRST_FD + i) < 0)
            return -1;
    return close_range((unsigned)(FIRST_FD + count), ~0u, 0);
}

static void reset_process(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    struct rlimit files;
    sigset_t none;
    for (int signal = 1; signal < NSIG; signal++)
        (void)sigaction(signal, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)umask(077);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > USUAL_NOFILE) {
        files.rlim_cur = USUAL_NOFILE;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int become(const struct identity *identity)
{
    if (!identity->other)
        return 0;
    if (initgroups(identity->name, identity->gid) < 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) < 0)
        return -1;
    return setresuid(identity->uid, identity->uid, identity->uid);
}

static void set_environment(const char *home)
{
    unsetenv("WORMHOLE_SERVER");
    unsetenv("NOTIFY_SOCKET");
    setenv("WORMHOLE_WORKER", "1", 1);
    if (!*home)
        return;
    setenv("HOME", home, 1);
    setenv("XDG_CACHE_HOME", home, 1);
    unsetenv("XDG_RUNTIME_DIR");
    (void)!chdir(home);
}

static void execute(const struct wh_config *config, const struct wh_session_request *request,
                    uint32_t session)
{
    char number[16], offset[32], size[32], hash[32];
    (void)snprintf(number, sizeof(number), "%u", session);
    (void)snprintf(offset, sizeof(offset), "%llu", (unsigned long long)request->offset);
    (void)snprintf(size, sizeof(size), "%llu", (unsigned long long)request->size);
    (void)snprintf(hash, sizeof(hash), "%llx", (unsigned long long)request->hello->api_hash);
    bool nap = request->bell < 0 && strcmp(request->transport, "ivshmem") == 0;
    execl(config->worker, "wormhole-worker", "--transport", request->transport, "--session", number,
          "--offset", offset, "--size", size, "--api-hash", hash, "--api", request->hello->api,
          nap ? "--nap" : NULL, NULL);
}

static _Noreturn void run_child(const struct wh_config *config,
                                const struct wh_session_request *request, uint32_t session,
                                const struct identity *identity, const char *home)
{
    struct wh_error error;
    reset_process();
    bool placed = place_descriptors(request) == 0;
    if (placed && become(identity) == 0) {
        /* The client's socket was the daemon's, which never waits; the worker may. */
        int flags = fcntl(FIRST_FD, F_GETFL);
        (void)fcntl(FIRST_FD, F_SETFL, flags & ~O_NONBLOCK);
        set_environment(home);
        execute(config, request, session);
    }
    wh_error_set(&error, errno, "the server cannot run its worker %s: %s", config->worker,
                 strerror(errno));
    wh_log("%s", error.text);
    if (strcmp(request->transport, "unix") == 0)
        wh_unix_refuse(placed ? FIRST_FD : request->life, &error);
    _exit(EXIT_FAILURE);
}

pid_t wh_spawn_worker(const struct wh_config *config, const struct wh_session_request *request,
                      uint32_t session, struct wh_error *error)
{
    struct identity identity;
    char home[PATH_MAX] = "";
    if (find_identity(config, &identity, error) < 0)
        return -1;
    if (config->state_dir &&
        make_home(config->state_dir, request->tenant->name, &identity, home, error) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        run_child(config, request, session, &identity, home);
    if (pid < 0)
        return wh_error_set(error, errno, "the server cannot start a worker: %s", strerror(errno));
    return pid;
}
