/* SPDX-License-Identifier: Apache-2.0 */
/* See kvm.h. */
#include "daemon/kvm.h"

#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#define KVM_VM "anon_inode:kvm-vm"

pid_t wh_kvm_peer(int socket)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

/* The number of the VM's descriptor among those that QEMU has; -1: it has none. */
static int find_kvm(pid_t qemu)
{
    char folder[64], target[64];
    int found = -1;
    (void)snprintf(folder, sizeof(folder), "/proc/%d/fd", qemu);
    DIR *all = opendir(folder);
    for (struct dirent *entry; all && found < 0 && (entry = readdir(all));) {
        ssize_t length = readlinkat(dirfd(all), entry->d_name, target, sizeof(target));
        if (length == sizeof(KVM_VM) - 1 && memcmp(target, KVM_VM, sizeof(KVM_VM) - 1) == 0)
            found = atoi(entry->d_name);
    }
    if (all)
        closedir(all);
    return found;
}

int wh_kvm_take(pid_t qemu, struct wh_error *error)
{
    WH_CLEANUP_CLOSE int process = qemu > 0 ? pidfd_open(qemu, 0) : -1;
    int number = process < 0 ? -1 : find_kvm(qemu);
    if (number < 0)
        return wh_error_set(error, ENOENT, "QEMU (process %d) shows no VM of KVM's", qemu);
    int kvm = pidfd_getfd(process, number, 0);
    if (kvm < 0)
        return wh_error_set(error, errno, "QEMU's descriptor of the VM cannot be had: %s",
                            strerror(errno));
    return kvm;
}
