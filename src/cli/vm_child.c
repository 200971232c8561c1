/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a run; see vm_run.h. Each one ends with this process. */
#include "cli/vm_run.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

/* Only what may be called between fork() and exec in a process that has threads. */
static _Noreturn void become(const struct run *run, const struct child *child, pid_t parent)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    int null = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (null < 0 || getppid() != parent)
        _exit(WH_VM_FAILED);
    dup2(null, STDIN_FILENO);
    dup2(child->output, STDOUT_FILENO);
    dup2(child->output, STDERR_FILENO);
    for (size_t i = 0; i < child->keep_count; i++)
        fcntl(child->keep[i], F_SETFD, 0);
    sigaction(SIGPIPE, &standard, NULL);
    sigprocmask(SIG_SETMASK, &run->old_mask, NULL);
    execv(child->argv[0], child->argv);
    _exit(WH_VM_FAILED);
}

/* Starts a program in a process group of its own. Returns its id, and a pidfd in `pidfd`. */
pid_t wh_vm_spawn(struct run *run, const struct child *child, int *pidfd)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(run, child, parent);
    if (pid < 0)
        return wh_error_set(&run->error, errno, "cannot start %s: %s", child->argv[0],
                            strerror(errno));
    /* In both processes, so that neither runs on without it. */
    setpgid(pid, pid);
    *pidfd = pidfd_open(pid, 0);
    if (*pidfd >= 0)
        return pid;
    wh_error_set(&run->error, errno, "cannot watch %s: %s", child->argv[0], strerror(errno));
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -1;
}

int wh_vm_reap(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

void wh_vm_take_signal(struct run *run)
{
    struct signalfd_siginfo info;
    if (read(run->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        run->signal = (int)info.ssi_signo;
}

/* Waits for a child while signals are heeded; they end it. Returns its status as waitpid() does. */
int wh_vm_wait_child(struct run *run, pid_t pid, int pidfd)
{
    struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN}, {.fd = run->signals, .events = POLLIN}};
    while (!fds[0].revents && !run->signal)
        if (poll(fds, 2, -1) > 0 && fds[1].revents)
            wh_vm_take_signal(run);
    if (run->signal)
        kill(-pid, SIGTERM);
    return wh_vm_reap(pid);
}
