/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wormhole vm`: runs one command in a throwaway QEMU guest that has no accelerator.
 * The main function of the command line calls it.
 * It must never leave a QEMU process or a temporary folder behind.
 */
#ifndef WH_CLI_VM_H
#define WH_CLI_VM_H

#include <stdbool.h>
#include <stdint.h>

/* What `wormhole vm` returns when it fails itself, as timeout(1) and env(1) do. */
#define WH_VM_FAILED 125

/* Lists end with NULL; NULL instead of a list is an empty one. Nothing is owned or changed. */
struct wh_vm_options {
    unsigned memory_mib;
    unsigned cpus;
    unsigned timeout_seconds; /* from QEMU's start; 0: none */
    bool verbose;             /* the guest kernel's and QEMU's messages go to stderr */
    const char *socket;       /* an ivshmem server's; NULL: the guest gets no such device */
    const char **guest_args;  /* options for mkguest.sh: name, value, name, value ... */
    const char **qemu_args;
    const char **environment; /* NAME=VALUE, or NAME for this process's value; later ones win */
    char **command;
};

/*
 * Boots a guest, runs the command in it with an empty stdin, copies its stdout and stderr to this
 * process's, and returns its exit status: 128 + signal when a signal ended it; WH_VM_FAILED, after
 * one line on stderr, when there is no status. SIGINT, SIGTERM and SIGHUP end the guest; 128 +
 * signal is returned then. They are blocked in the calling thread meanwhile: a process with other
 * threads blocks them there as well.
 */
int wh_vm_run(const struct wh_vm_options *options);

/* `wormhole vm [OPTION...] -- CMD ARG...`; argv[0] is replaced. Serves the guest itself unless it
 * is told who does. Returns an exit status. */
int wh_cli_vm(int argc, char **argv);

#endif
