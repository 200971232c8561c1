/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs on the emulated host have in common: a stock QEMU on pipes, and the module's
 * counters of its VM.
 */
#ifndef WH_TEST_QEMU_H
#define WH_TEST_QEMU_H

#include "../../kmod/uapi/wormhole.h"
#include "tap.h"

#include <stdio.h>
#include <sys/types.h>

/* Starts QEMU with the guest's console on these. */
pid_t start_qemu(char **command, FILE **to, FILE **from);

/* QEMU's descriptor of its VM. */
int vm_of(pid_t pid);

/* Lets the guest go on, which waits for a line. */
void go_on(FILE *to);

/* Whether an exit of this reason may happen in a view: what comes from outside only. */
bool is_from_outside(int reason);

/* Exits by reason since `before`, those outside of views and those in them, as a comment. */
void print_exits(const struct wormhole_vm_stats *before, const struct wormhole_vm_stats *after,
                 const __u64 *view_before, const __u64 *view_after);

#endif
