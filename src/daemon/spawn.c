/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to a running worker; see spawn.h. The daemon has one thread, so that the child may
 * run plain code. */
#include "daemon/spawn.h"

#include "base/log.h"
#include "base/util.h"
#include "channel/unix.h"
#include "daemon/gate.h"
#include "daemon/shm.h"
#include "daemon/view.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FIRST_FD     3 /* life, memory, bell, ledger, exchange, gate */
#define NFDS         6
#define PARKING_FD   10     /* above all of those */
#define USUAL_NOFILE 1024u  /* select(2) takes no more */
#define MOST_NOFILE  16384u /* for libraries that ask for more */
#define NO_POWERS    "nobody"
#define OWN_USER     "wormhole"

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

static int become(const struct identity *identity)
{
    if (!identity->other)
        return 0;
    if (initgroups(identity->name, identity->gid) < 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) < 0)
        return -1;
    return setresuid(identity->uid, identity->uid, identity->uid);
}

/* ---- root's choice of a user ---- */

/* Whether `path`, or what there is of it, can be reached: what is missing will be made. */
static bool can_reach(const char *path)
{
    char part[PATH_MAX];
    (void)snprintf(part, sizeof(part), "%s", path);
    while (access(part, F_OK) < 0 && errno == ENOENT && strrchr(part, '/') != part)
        *strrchr(part, '/') = '\0';
    return access(part, X_OK) == 0;
}

/* As that user, in a process of its own: 0, or which of the two it cannot reach. */
static int try_as(const char *name, const struct wh_config *config)
{
    const struct passwd *user = getpwnam(name);
    int status = 0;
    pid_t pid = user ? fork() : -1;
    if (pid == 0) {
        struct identity identity = {
            .other = true, .uid = user->pw_uid, .gid = user->pw_gid, .name = name};
        if (become(&identity) < 0 || access(config->worker, X_OK) < 0)
            _exit(1);
        _exit(can_reach(config->state_dir) ? 0 : 2);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

const char *wh_spawn_default_user(const struct wh_config *config)
{
    if (geteuid() != 0)
        return NULL;
    const char *name = getpwnam(OWN_USER) ? OWN_USER : NO_POWERS;
    int obstacle = try_as(name, config);
    if (obstacle == 0)
        return name;
    wh_log(
        "workers run as root, because the user %s cannot reach %s; set worker_user to one who can",
        name, obstacle == 2 ? config->state_dir : config->worker);
    return NULL;
}

/* ---- a tenant's own folder: caches and home ---- */

static int make_folder(const char *path, mode_t mode, struct wh_error *error)
{
    if (mkdir(path, mode) == 0 && chmod(path, mode) == 0) /* whatever the umask is */
        return 0;
    if (errno != EEXIST)
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

static bool name_home(const char *state_dir, const char *tenant, char *home)
{
    return snprintf(home, PATH_MAX, "%s/%s", state_dir, tenant) < PATH_MAX;
}

static int make_home(const char *state_dir, const char *tenant, const struct identity *identity,
                     char *home, struct wh_error *error)
{
    if (!name_home(state_dir, tenant, home))
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
    const int wanted[NFDS] = {request->life,   request->memory,   request->bell,
                              request->ledger, request->exchange, request->gate};
    int parked[NFDS];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        return -1;
    for (int i = 0; i < NFDS; i++)
        if ((parked[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, PARKING_FD)) < 0 && wanted[i] >= 0)
            return -1;
    for (int i = 0; i < NFDS; i++)
        if (parked[i] < 0)
            close(FIRST_FD + i);
        else if (dup2(parked[i], FIRST_FD + i) < 0)
            return -1;
    return close_range(FIRST_FD + NFDS, ~0u, 0);
}

/*
 * A worker maps memory that it shares with its client at the client's own address. Where the system
 * puts mappings from above, those of the two would meet now and then: the worker has its own from a
 * third of all addresses upwards. Where that is forbidden (it is in some containers) the rare
 * meeting makes the worker refuse that memory.
 */
static void keep_away_from_clients(void)
{
#ifndef __SANITIZE_THREAD__ /* has that part of the addresses for itself */
    int now = personality(0xffffffff);
    if (now >= 0)
        (void)personality((unsigned long)now | ADDR_COMPAT_LAYOUT);
#endif
}

static void reset_process(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    struct rlimit files;
    sigset_t none;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (int signal = 1; signal < NSIG; signal++)
        (void)sigaction(signal, signal == SIGPIPE ? &ignore : &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)umask(077);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_max = files.rlim_max < MOST_NOFILE ? files.rlim_max : MOST_NOFILE;
        files.rlim_cur = files.rlim_max < USUAL_NOFILE ? files.rlim_max : USUAL_NOFILE;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* What counts is memory that only this process can write: accelerators' drivers reserve far more
 * addresses than that, and the session's shared memory has a limit of its own. */
static int limit_memory(const struct wh_config *config, const struct wh_tenant *tenant)
{
    uint64_t own = tenant->limits.worker_memory;
    uint64_t most = own ? own : config->limits.worker_memory;
    const struct rlimit limit = {most, most};
    return most ? setrlimit(RLIMIT_DATA, &limit) : 0;
}

/* What a view shows is pinned, and counts as locked memory of the worker's user. */
static void allow_view(const struct wh_session_request *request)
{
    const struct rlimit most = {WH_GATE_LOCKED, WH_GATE_LOCKED};
    struct rlimit now;
    if (request->gate < 0 || getrlimit(RLIMIT_MEMLOCK, &now) < 0 || now.rlim_cur >= WH_GATE_LOCKED)
        return;
    (void)setrlimit(RLIMIT_MEMLOCK, &most); /* the module says it when that was not enough */
}

/* A cache of the daemon's user is of no use to a worker of another; one that is not there yet is
 * made, because a folder can be shown to the worker only when it exists. */
static void drop_useless_caches(void)
{
    static const char *const caches[] = {"POCL_CACHE_DIR", "CUDA_CACHE_PATH"};
    for (size_t i = 0; i < sizeof(caches) / sizeof(caches[0]); i++) {
        const char *folder = getenv(caches[i]);
        if (folder && mkdir(folder, 0700) < 0 && access(folder, W_OK) < 0)
            unsetenv(caches[i]);
    }
}

static void set_environment(const char *home)
{
    char temporary[PATH_MAX + 8];
    unsetenv("WORMHOLE_SERVER");
    unsetenv("NOTIFY_SOCKET");
    setenv("WORMHOLE_WORKER", "1", 1);
    if (!*home)
        return;
    setenv("HOME", home, 1);
    setenv("XDG_CACHE_HOME", home, 1);
    unsetenv("XDG_RUNTIME_DIR");
    (void)snprintf(temporary, sizeof(temporary), "%s/tmp", home);
    (void)mkdir(temporary, 0700);
    setenv("TMPDIR", temporary, 1);
    drop_useless_caches();
    (void)!chdir(home);
}

static void execute(const struct wh_config *config, const struct wh_session_request *request,
                    uint32_t session)
{
    char number[16], offset[32], size[32], hash[32], account[16], accounts[32], ledger[32],
        fixed[32];
    const char *arguments[28];
    size_t n = 0;
    (void)snprintf(number, sizeof(number), "%u", session);
    (void)snprintf(offset, sizeof(offset), "%llu", (unsigned long long)request->offset);
    (void)snprintf(size, sizeof(size), "%llu", (unsigned long long)request->size);
    (void)snprintf(hash, sizeof(hash), "%llx", (unsigned long long)request->hello->api_hash);
    (void)snprintf(account, sizeof(account), "%u", request->account);
    (void)snprintf(accounts, sizeof(accounts), "%zu", request->tenant->naccounts);
    (void)snprintf(ledger, sizeof(ledger), "%llu",
                   (unsigned long long)request->tenant->ledger_offset);
    (void)snprintf(fixed, sizeof(fixed), "%llu", (unsigned long long)request->fixed);
    const char *const always[] = {"wormhole-worker",
                                  "--transport",
                                  request->transport,
                                  "--session",
                                  number,
                                  "--offset",
                                  offset,
                                  "--size",
                                  size,
                                  "--api-hash",
                                  hash,
                                  "--api",
                                  request->hello->api};
    for (; n < sizeof(always) / sizeof(always[0]); n++)
        arguments[n] = always[n];
    if (request->ledger >= 0) {
        arguments[n++] = "--account";
        arguments[n++] = account;
        arguments[n++] = "--accounts";
        arguments[n++] = accounts;
        arguments[n++] = "--ledger";
        arguments[n++] = ledger;
    }
    if (request->bell < 0 && strcmp(request->transport, "ivshmem") == 0)
        arguments[n++] = "--nap";
    if (request->relayed)
        arguments[n++] = "--relayed";
    if (request->gate >= 0)
        arguments[n++] = "--gate";
    if (request->is_fixed) {
        arguments[n++] = "--fixed";
        arguments[n++] = fixed;
    }
    arguments[n] = NULL;
    execv(config->worker, (char *const *)arguments);
}

static _Noreturn void run_child(const struct wh_config *config,
                                const struct wh_session_request *request, uint32_t session,
                                const struct identity *identity, const char *home)
{
    struct wh_error error;
    reset_process();
    keep_away_from_clients();
    bool placed = place_descriptors(request) == 0;
    /* A private daemon's clients have its files already. */
    bool own_shm = !config->private && wh_shm_enter(home, identity->uid, identity->gid);
    allow_view(request);
    if (placed && limit_memory(config, request->tenant) == 0 && become(identity) == 0) {
        /* The client's socket was the daemon's, which never waits; the worker may. */
        int flags = fcntl(FIRST_FD, F_GETFL);
        (void)fcntl(FIRST_FD, F_SETFL, flags & ~O_NONBLOCK);
        set_environment(home);
        if (config->private || wh_view_enter(config, home, own_shm) == 0)
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

int wh_spawn_find_home(const struct wh_config *config, const char *tenant, char *home, uid_t *uid)
{
    struct identity identity;
    struct wh_error error;
    if (config->private || !config->state_dir || !name_home(config->state_dir, tenant, home) ||
        find_identity(config, &identity, &error) < 0)
        return -1;
    *uid = identity.uid;
    return 0;
}
