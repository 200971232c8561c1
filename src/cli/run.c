/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wormhole run`: runs an unmodified command so that it loads Wormhole's libraries instead of the
 * vendors', and finds a server, or starts a private one. It must leave neither processes nor files
 * behind, and pass the command's signals and exit status on unchanged.
 */
#include "base/log.h"
#include "base/util.h"
#include "channel/unix.h"
#include "cli/cli.h"
#include "cli/host.h"
#include "cli/private.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { OPTION_SERVER = 's', OPTION_STATS = 256, OPTION_TRACE };

struct run {
    const char *server;
    bool stats;
    const char *trace; /* the file, or NULL */
    char **command;
    struct wh_private daemon;
    struct sigaction children; /* what to do about them, as it was inherited */
};

static const struct argp_option options[] = {
    {"server", OPTION_SERVER, "URL", 0,
     "Use the server at URL (unix:/PATH, ivshmem:) instead of WORMHOLE_SERVER or the one that is found",
     0},
    {"stats", OPTION_STATS, NULL, 0, "Print how many calls and bytes crossed when the command ends",
     0},
    {"trace", OPTION_TRACE, "FILE", 0,
     "Write each call of CUDA's driver API that the command makes to FILE, without its data", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct run *run = state->input;
    switch (key) {
    case OPTION_SERVER:
        run->server = value;
        return 0;
    case OPTION_STATS:
        run->stats = true;
        return 0;
    case OPTION_TRACE:
        run->trace = value;
        return 0;
    case ARGP_KEY_ARG:
        run->command = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which command is to be run?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = options,
    .parser = parse_option,
    .args_doc = "-- CMD ARG...",
    .doc =
        "Run CMD with Wormhole's accelerators.\v"
        "The exit status is CMD's, 128 + N when signal N ended it, 125 when Wormhole failed, 126 when CMD cannot be "
        "run and 127 when there is none.",
};

/* ---- the command's environment ---- */

static void prepend(const char *name, const char *folder)
{
    const char *old = getenv(name);
    WH_CLEANUP_FREE char *joined = NULL;
    if (old && *old && asprintf(&joined, "%s:%s", folder, old) > 0)
        setenv(name, joined, 1);
    else
        setenv(name, folder, 1);
}

/* Programs name a folder of their own for NVIDIA's CUPTI, which comes before LD_LIBRARY_PATH; but a
 * library of its name that is loaded already is the one. The linker takes no such names with blanks
 * or colons. */
static void preload_profiler(void)
{
    char path[PATH_MAX];
    const char *old = getenv("LD_PRELOAD");
    if (!wh_host_library("cuda/libcupti.so.13", path) || strpbrk(path, ": \t"))
        return;
    if (old && strstr(old, path))
        return;
    prepend("LD_PRELOAD", path);
    /* A program with gcc's address sanitizer would end, seeing that a library comes before that;
     * ours has no function that the sanitizer wants to be first to have. */
    prepend("ASAN_OPTIONS", "verify_asan_link_order=0");
}

/* OpenCL loaders look into our folder only; programs that use CUDA find our libraries first. */
static int set_libraries(struct wh_error *error)
{
    char path[PATH_MAX];
    if (!wh_host_vendors(path))
        return wh_error_set(
            error, ENOENT,
            "Wormhole's OpenCL is not installed: neither ../lib/wormhole-vendors nor "
            "../share/wormhole/vendors is beside this program");
    /* The Khronos loader joins this with a file name as it is: the slash at the end is needed. */
    strncat(path, "/", sizeof(path) - strlen(path) - 1);
    setenv("OCL_ICD_VENDORS", path, 1);
    unsetenv("OCL_ICD_FILENAMES");
    unsetenv("OPENCL_VENDOR_PATH");
    if (wh_host_library("cuda/libcuda.so.1", path)) {
        *strrchr(path, '/') = '\0';
        prepend("LD_LIBRARY_PATH", path);
        preload_profiler();
    }
    return 0;
}

/* The tracing library comes before the one that it traces. The file is the program's to make, from
 * whatever folder: the first of its processes finds none there. */
static int set_trace(const char *file, struct wh_error *error)
{
    char path[PATH_MAX], traced[PATH_MAX];
    WH_CLEANUP_FREE char *folder = NULL, *absolute = NULL;
    if (!file)
        return 0;
    if (!wh_host_library("cuda-trace/libcuda.so.1", path) ||
        !wh_host_library("cuda/libcuda.so.1", traced))
        return wh_error_set(error, ENOENT, "the tracing library is not installed");
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return wh_error_set(error, errno, "cannot write %s: %s", file, strerror(errno));
    close(fd);
    unlink(file);
    folder = getcwd(NULL, 0);
    if (!folder || asprintf(&absolute, "%s/%s", *file == '/' ? "" : folder, file) < 0)
        return wh_error_set(error, ENOMEM, "out of memory");
    setenv("WORMHOLE_TRACE", absolute, 1);
    setenv("WORMHOLE_TRACE_LIBRARY", traced, 1);
    *strrchr(path, '/') = '\0';
    prepend("LD_LIBRARY_PATH", path);
    return 0;
}

/* ---- the server ---- */

static bool region_is_served(void)
{
    struct wh_host_region region;
    wh_host_probe_region(&region);
    return region.served;
}

/* What the user named, else what is there, else a private one. */
static int find_server(struct run *run, struct wh_error *error)
{
    const char *set = getenv("WORMHOLE_SERVER");
    char url[sizeof(run->daemon.socket) + 8], version[40];
    if (run->server)
        return setenv("WORMHOLE_SERVER", run->server, 1);
    if (set && *set)
        return 0;
    if (wh_host_daemon(WH_DEFAULT_SOCKET, version, sizeof(version)) == 0)
        return setenv("WORMHOLE_SERVER", "unix:" WH_DEFAULT_SOCKET, 1);
    if (region_is_served())
        return setenv("WORMHOLE_SERVER", "ivshmem:", 1);
    if (wh_private_start(&run->daemon, 0, error) < 0)
        return -1;
    wh_log("no daemon found; started a private one for this command");
    (void)snprintf(url, sizeof(url), "unix:%s", run->daemon.socket);
    return setenv("WORMHOLE_SERVER", url, 1);
}

/* ---- the command ---- */

static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
                                SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};

static void fill_mask(sigset_t *mask)
{
    sigemptyset(mask);
    sigaddset(mask, SIGCHLD);
    for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
        sigaddset(mask, forwarded[i]);
}

static int execute(const struct run *run, const sigset_t *mask)
{
    (void)sigaction(SIGCHLD, &run->children, NULL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(run->command[0], run->command);
    int code = errno;
    wh_log("cannot run %s: %s", run->command[0], strerror(code));
    return code == ENOENT ? WH_CLI_NOT_FOUND : WH_CLI_CANNOT_RUN;
}

/* Waits for the command and passes signals on, except those that the terminal sent to it as well.
 */
static int wait_for_command(pid_t pid, const sigset_t *mask)
{
    int status = 0;
    siginfo_t info;
    pid_t ended;
    while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
        int signal = sigwaitinfo(mask, &info);
        if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL)
            kill(pid, signal);
    }
    if (ended < 0) {
        wh_log("cannot wait for the command: %s", strerror(errno));
        return WH_CLI_FAILED;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_beside_daemon(struct run *run, const sigset_t *mask, const sigset_t *before)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(execute(run, before));
    if (pid < 0) {
        wh_log("cannot start %s: %s", run->command[0], strerror(errno));
        return WH_CLI_FAILED;
    }
    return wait_for_command(pid, mask);
}

static int run_command(struct run *run)
{
    struct wh_error error = {0};
    sigset_t mask, before;
    int status = WH_CLI_FAILED;
    fill_mask(&mask);
    sigprocmask(SIG_BLOCK, &mask, &before);
    if (find_server(run, &error) < 0 || set_libraries(&error) < 0 ||
        set_trace(run->trace, &error) < 0)
        wh_log("%s", error.text);
    else if (run->daemon.pid > 0)
        status = run_beside_daemon(run, &mask, &before);
    else
        status = execute(run, &before);
    wh_private_stop(&run->daemon);
    return status;
}

int wh_cli_run(int argc, char **argv)
{
    struct run run = {0};
    static char name[] = "wormhole run"; /* in argp's messages */
    argv[0] = name;
    argp_err_exit_status = WH_CLI_FAILED;
    wh_claim_children(&run.children);
    if (argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &run) != 0)
        return WH_CLI_FAILED;
    if (run.stats)
        setenv("WORMHOLE_STATS", "1", 1);
    return run_command(&run);
}
