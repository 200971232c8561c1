/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of `wormhole vm`, as the files that carry it out share it: vm.c starts and ends it,
 * vm_guest.c makes the guest's files, vm_qemu.c starts QEMU, vm_relay.c copies until the guest is
 * done. Nobody else includes this.
 */
#ifndef WH_CLI_VM_RUN_H
#define WH_CLI_VM_RUN_H

#include "base/error.h"
#include "cli/vm.h"

#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/* ---- lists of arguments (vm_list.c) ---- */

/* Owned strings, ended by NULL. `failed` sticks, so that one check after all additions is enough.
 */
struct list {
    char **items;
    size_t count;
    bool failed;
};

void wh_vm_list_free(struct list *list);
#define CLEANUP_LIST __attribute__((cleanup(wh_vm_list_free)))

void wh_vm_list_add(struct list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void wh_vm_list_add_all(struct list *list, const char **items);

/* ---- one run's state ---- */

enum { STDOUT, STDERR, STATUS, CONSOLE, COMPLAINTS, STREAMS };
#define FIRST_CHARDEVS COMPLAINTS /* streams before this one reach QEMU as character devices */

/* Bytes on their way from QEMU. Not more than PIPE_BUF: poll() then promises that a write does not
 * block, so a slow reader of this process's output never keeps it from handling a signal. */
struct stream {
    int from; /* -1 once it ended */
    int to;   /* -1: nowhere */
    size_t begin, end;
    char bytes[PIPE_BUF];
    size_t kept_size; /* of `kept`, the stream's last bytes, for error messages */
    char kept[16384]; /* room for a kernel panic with its stack */
};

struct run {
    const struct wh_vm_options *options;
    struct wh_error error;
    sigset_t old_mask;
    int signals;              /* a signalfd */
    int signal;               /* the one that ended the run, or 0 */
    char directory[PATH_MAX]; /* temporary; empty when there is none */
    char exe[PATH_MAX];
    char emulator[PATH_MAX];
    char program[PATH_MAX]; /* the command's path on this host; empty when it has none here */
    char kernel[PATH_MAX];
    int initrd;
    pid_t qemu;
    int pidfd;
    bool reaped;
    int qemu_status; /* as waitpid() gives it */
    uint64_t start_ns, status_ns;
    struct stream streams[STREAMS];
    bool ready;
    int status; /* the command's, or -1 */
    char line[512];
    size_t line_size;
};

/* Whether it is over before its time: an error, or a signal. */
bool wh_vm_failed(const struct run *run);

/* ---- child processes (vm_child.c) ---- */

struct child {
    char **argv;
    int output;      /* becomes stdout and stderr */
    const int *keep; /* descriptors that stay open in it */
    size_t keep_count;
};

/* Starts a program in a process group of its own. Returns its id, and a pidfd in `pidfd`. */
pid_t wh_vm_spawn(struct run *run, const struct child *child, int *pidfd);
int wh_vm_reap(pid_t pid);
void wh_vm_take_signal(struct run *run);

/* Waits for a child while signals are heeded; they end it. Returns its status as waitpid() does. */
int wh_vm_wait_child(struct run *run, pid_t pid, int pidfd);

/* ---- the steps ---- */

int wh_vm_make_guest(struct run *run);        /* kernel and initramfs */
void wh_vm_remove_directory(struct run *run); /* the temporary one, if there is one */
int wh_vm_start_qemu(struct run *run);
void wh_vm_relay(struct run *run); /* copies until QEMU and all it wrote ended, or the run failed */

#endif
