/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wormhole vm`: see vm.h. It writes what the guest has to run, has vm/mkguest.sh make kernel and
 * initramfs, starts QEMU and copies between it and this process until both ended.
 */
#include "cli/vm_run.h"

#include "base/log.h"
#include "base/util.h"
#include "cli/host.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define QEMU "qemu-system-x86_64"

bool wh_vm_failed(const struct run *run)
{
    return run->error.code != 0 || run->signal != 0;
}

/* Finds the last line in `stream` that holds `text`. Returns its length, 0 when there is none. */
static int last_line(const struct stream *stream, const char *text, const char **line)
{
    const char *end = stream->kept + stream->kept_size;
    size_t length = strlen(text);
    int found = 0;
    for (const char *at = stream->kept; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (stop - at > 1 && memmem(at, (size_t)(stop - at), text, length)) {
            *line = at;
            found = (int)(stop - at);
        }
        at = stop + 1;
    }
    return found;
}

/* QEMU ended and there is no status: its own complaint says why, or the guest kernel's. */
static void explain(struct run *run)
{
    const char *line = NULL;
    char why[200];
    int length = last_line(&run->streams[CONSOLE], "Kernel panic", &line);
    if (!length)
        length = last_line(&run->streams[COMPLAINTS], "", &line);
    if (!length && run->ready)
        line = "it was powered off before its command ended";
    else if (!length)
        line = "it did not start; --verbose shows why";
    (void)snprintf(why, sizeof(why), "%.*s", length ? length : INT_MAX, line);
    for (char *at = why; *at; at++)
        if (!isprint((unsigned char)*at))
            *at = at[1] ? '?' : '\0';
    if (WIFSIGNALED(run->qemu_status))
        wh_error_set(&run->error, EIO, "QEMU was ended by signal %d: %s",
                     WTERMSIG(run->qemu_status), why);
    else
        wh_error_set(&run->error, EIO, "the guest ended without an exit status: %s", why);
}

static int find_programs(struct run *run)
{
    ssize_t n = readlink("/proc/self/exe", run->exe, sizeof(run->exe) - 1);
    if (n <= 0)
        return wh_error_set(&run->error, errno, "/proc/self/exe: %s", strerror(errno));
    run->exe[n] = '\0';
    if (!wh_host_program(QEMU, run->emulator))
        return wh_error_set(&run->error, ENOENT, "no " QEMU ": apt-get install qemu-system-x86");
    return 0;
}

static void run_guest(struct run *run)
{
    if (find_programs(run) < 0 || wh_vm_make_guest(run) < 0 || wh_vm_start_qemu(run) < 0)
        return;
    wh_vm_relay(run);
    if (!wh_vm_failed(run) && run->status < 0)
        explain(run);
}

static void clean_up(struct run *run)
{
    if (run->qemu > 0 && !run->reaped) {
        kill(-run->qemu, SIGKILL);
        wh_vm_reap(run->qemu);
    }
    for (int i = 0; i < STREAMS; i++)
        wh_close_fd(&run->streams[i].from);
    wh_close_fd(&run->pidfd);
    wh_close_fd(&run->initrd);
    wh_close_fd(&run->signals);
    wh_vm_remove_directory(run);
}

/* Signals come as events while the guest runs; a closed stdout is an error value, not a signal. */
static int take_over_signals(struct run *run, struct sigaction *old_pipe)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &mask, &run->old_mask);
    sigaction(SIGPIPE, &ignore, old_pipe);
    run->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signals < 0)
        return wh_error_set(&run->error, errno, "signalfd: %s", strerror(errno));
    return 0;
}

int wh_vm_run(const struct wh_vm_options *options)
{
    struct sigaction old_pipe;
    WH_CLEANUP_FREE struct run *run = calloc(1, sizeof(*run));
    if (!run) {
        wh_log("out of memory");
        return WH_VM_FAILED;
    }
    run->options = options;
    run->initrd = run->pidfd = run->status = -1;
    for (int i = 0; i < STREAMS; i++)
        run->streams[i].from = run->streams[i].to = -1;
    if (take_over_signals(run, &old_pipe) == 0)
        run_guest(run);
    clean_up(run);
    sigaction(SIGPIPE, &old_pipe, NULL);
    pthread_sigmask(SIG_SETMASK, &run->old_mask, NULL);
    if (run->signal)
        return 128 + run->signal;
    if (!run->error.code)
        return run->status;
    if (*run->error.text)
        wh_log("%s", run->error.text);
    return WH_VM_FAILED;
}
