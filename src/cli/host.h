/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command line wants to know about this machine: where Wormhole's own files lie, which
 * servers can be reached, what the CPU can do. Looks only; changes nothing.
 */
#ifndef WH_CLI_HOST_H
#define WH_CLI_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Paths are put into buffers of PATH_MAX bytes; absolute ones come out. */

/* "FOLDER OF THIS EXECUTABLE/relative", if it can be read. */
bool wh_host_beside(const char *relative, char *path);

/* The first of several such paths (the list ends with NULL). */
bool wh_host_beside_any(const char *const *relatives, char *path);

/* One of Wormhole's libraries, e.g. "libwormhole-opencl.so". */
bool wh_host_library(const char *name, char *path);

/* The folder that names Wormhole's OpenCL to loaders, and nothing else (OCL_ICD_VENDORS). */
bool wh_host_vendors(char *path);

/* Looks a program up as execvp() would. */
bool wh_host_program(const char *name, char *path);

/* Whether the CPU has a flag, by its name in /proc/cpuinfo. */
bool wh_host_cpu_flag(const char *flag);

/* Whether a VM at hardware speed can be started: by the CPU's flags, because /dev/kvm alone proves
 * nothing. */
bool wh_host_kvm(void);

/*
 * Whether a daemon answers at this socket. 0 and its version (empty when it does not say), or an
 * errno value that says why not.
 */
int wh_host_daemon(const char *path, char *version, size_t size);

/* A private daemon, which loads the machine's own OpenCL: undoes an OCL_ICD_VENDORS that names
 * Wormhole's. */
void wh_host_restore_vendors(void);

/* This machine as a guest: its ivshmem device. */
struct wh_host_region {
    bool device; /* there is one; the rest is meaningful then */
    bool mapped; /* this user can map it */
    bool served; /* a server of this version serves it */
    bool write_combining;
    uint64_t size;
    char address[32];
    char why[240]; /* why it could not be mapped */
};

void wh_host_probe_region(struct wh_host_region *region);

#endif
