/* SPDX-License-Identifier: Apache-2.0 */
/* See qemu.h. */
#include "qemu.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int vm_of(pid_t pid)
{
    char folder[64], path[400], target[64];
    int found = -1;

    snprintf(folder, sizeof(folder), "/proc/%d/fd", pid);
    DIR *dir = opendir(folder);
    if (!dir)
        die(folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        if (length > 0 && strncmp(target, "anon_inode:kvm-vm", (size_t)length) == 0 && length == 17)
            found = atoi(entry->d_name);
    }
    closedir(dir);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int vm = (int)syscall(SYS_pidfd_getfd, pidfd, found, 0);
    if (vm < 0)
        die("QEMU's descriptor of the VM");
    close(pidfd);
    return vm;
}

pid_t start_qemu(char **command, FILE **to, FILE **from)
{
    int in[2], out[2];

    if (pipe(in) || pipe(out))
        die("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execv(command[0], command);
        die(command[0]);
    }
    close(in[0]);
    close(out[1]);
    *to = fdopen(in[1], "w");
    *from = fdopen(out[0], "r");
    return pid;
}

void go_on(FILE *to)
{
    fprintf(to, "on\n");
    fflush(to);
}

/* NMI, interrupt, interrupt window, TPR, preemption timer. */
bool is_from_outside(int reason)
{
    return reason == 0 || reason == 1 || reason == 7 || reason == 43 || reason == 52;
}

void print_exits(const struct wormhole_vm_stats *before, const struct wormhole_vm_stats *after,
                 const __u64 *view_before, const __u64 *view_after)
{
    printf("exits (outside/in the view)");
    for (int i = 0; i < WORMHOLE_REASONS; i++) {
        __u64 outside = after->exits[i] - before->exits[i];
        __u64 inside = view_after[i] - view_before[i];

        if (outside || inside)
            printf(" %d:%llu/%llu", i, outside, inside);
    }
    printf("\n");
}
