/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stock VM under test, for the programs on the emulated host: QEMU, its monitor, and the guest's
 * shell (guest-shell) at its console.
 */
#ifndef WH_TEST_VM_H
#define WH_TEST_VM_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct vm {
    char name[16];
    pid_t qemu;
    FILE *to, *from;
    char line[512]; /* that came last */
};

/* Starts QEMU by this command, with the name in place of each `@`, and waits for the shell. */
void vm_start(struct vm *vm, const char *name, char *const *command);

/* A line for the guest. */
__attribute__((format(printf, 2, 3))) void vm_say(struct vm *vm, const char *format, ...);

/* Reads until a line begins like this, and returns what follows; no such line is the test's end. */
const char *vm_expect(struct vm *vm, const char *start);

/* A command for QEMU's monitor; returns when it was carried out. */
void vm_monitor(struct vm *vm, const char *command);

/* Waits for QEMU's end, after the guest was told to, or after this signal. */
void vm_end(struct vm *vm, int signal);

#endif
