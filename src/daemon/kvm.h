/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM's descriptor of a VM, taken from the QEMU that made it. For who names a VM to the module: the
 * daemon, and the tests' hosts.
 */
#ifndef WH_DAEMON_KVM_H
#define WH_DAEMON_KVM_H

#include "base/error.h"

#include <sys/types.h>

/* The process at the other end of a Unix socket; 0: nobody knows. */
pid_t wh_kvm_peer(int socket);

/* A descriptor of the VM that this process runs, which the caller closes; -1 with a reason. */
int wh_kvm_take(pid_t qemu, struct wh_error *error);

#endif
