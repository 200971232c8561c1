/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's system call filter; see sandbox.h. */
#include "worker/sandbox.h"

#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Other processes, other namespaces, the kernel itself: nothing that computing needs. */
static const char *const denied[] = {
    /* other processes */
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
    "pidfd_send_signal", "pidfd_open", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
    /* leaving the process group, with which all that a session started is ended */
    "setsid", "setpgid",
    /* the file system's shape */
    "mount", "umount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount",
    "fspick", "mount_setattr", "pivot_root", "chroot", "open_by_handle_at", "name_to_handle_at",
    "swapon", "swapoff", "quotactl", "quotactl_fd", "mknod", "mknodat", "fanotify_init",
    /* namespaces */
    "setns", "unshare",
    /* the kernel and the machine */
    "reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
    "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "settimeofday",
    "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime",
    "sethostname", "setdomainname", "iopl", "ioperm", "acct", "syslog", "vhangup", "lookup_dcookie",
    "io_uring_setup", "io_uring_enter", "io_uring_register"};

/* A worker talks to the accelerator's driver and to its client, not to a network. */
static const int denied_families[] = {AF_INET,  AF_INET6,     AF_NETLINK, AF_PACKET,
                                      AF_VSOCK, AF_BLUETOOTH, AF_ALG};

static int deny_calls(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
        int number = seccomp_syscall_resolve_name(denied[i]);
        if (number == __NR_SCMP_ERROR) /* newer than the library */
            continue;
        int code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
        if (code < 0 && code != -EDOM) /* EDOM: this architecture does not have it */
            return code;
    }
    return 0;
}

/* The kernel takes a family as 32 bits: what is above must not make it look like another. */
static int deny_families(scmp_filter_ctx filter)
{
    int code = 0;
    for (size_t i = 0; i < sizeof(denied_families) / sizeof(denied_families[0]) && code == 0; i++)
        code = seccomp_rule_add(
            filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
            SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)denied_families[i]));
    return code;
}

/* A process may signal itself only: workers of one user could end each other otherwise, and the
 * daemon. */
static int deny_signals(scmp_filter_ctx filter)
{
    scmp_datum_t self = (scmp_datum_t)getpid();
    int code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
                                SCMP_A0(SCMP_CMP_NE, self));
    return code < 0 ? code
                    : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                                       SCMP_A0(SCMP_CMP_NE, self));
}

/* Limits end another process as well as a signal does; so does a descriptor that signals its owner.
 */
static int deny_detours(scmp_filter_ctx filter)
{
    static const int of_file[] = {F_SETOWN, F_SETOWN_EX, F_SETSIG};
    static const unsigned of_device[] = {FIOSETOWN, SIOCSPGRP};
    int code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
                                SCMP_A0_32(SCMP_CMP_NE, 0)); /* 0: this process */
    for (size_t i = 0; i < sizeof(of_file) / sizeof(of_file[0]) && code == 0; i++)
        code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1,
                                SCMP_A1_32(SCMP_CMP_EQ, (uint32_t)of_file[i]));
    for (size_t i = 0; i < sizeof(of_device) / sizeof(of_device[0]) && code == 0; i++)
        code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                                SCMP_A1_32(SCMP_CMP_EQ, of_device[i]));
    return code;
}

static int deny_namespaces(scmp_filter_ctx filter)
{
    static const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                       CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    int code = 0;
    for (uint64_t bit = 1; bit <= namespaces && code == 0; bit <<= 1)
        if (namespaces & bit)
            code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                    SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
    /* clone3 hides its flags in memory: libraries fall back to clone when it is not there. */
    if (code == 0)
        code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return code;
}

/* A worker that root started is root without root's powers: other workers' memory is closed to it.
 */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    for (unsigned long capability = 0; capability <= 63; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0,
                    0); /* needs a power itself, or is not there */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, none);
}

int wh_sandbox_enter(struct wh_error *error)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    if (drop_capabilities() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return wh_error_set(error, errno, "the worker cannot give up privileges: %s",
                            strerror(errno));
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return wh_error_set(error, ENOMEM, "the worker cannot make a system call filter");
    int code = deny_calls(filter);
    code = code < 0 ? code : deny_families(filter);
    code = code < 0 ? code : deny_signals(filter);
    code = code < 0 ? code : deny_detours(filter);
    code = code < 0 ? code : deny_namespaces(filter);
    code = code < 0 ? code : seccomp_load(filter);
    seccomp_release(filter);
    if (code < 0)
        return wh_error_set(
            error, -code,
            "the worker's system call filter is refused by the kernel (%s); it needs seccomp",
            strerror(-code));
    return 0;
}
