/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon is to do: from its configuration file (wormholed.conf(5)), from options, or from
 * `wormhole run` for a private daemon. Plain values, checked when they are set.
 */
#ifndef WH_DAEMON_CONFIG_H
#define WH_DAEMON_CONFIG_H

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WH_CONFIG_FILE    "/etc/wormhole/wormholed.conf"
#define WH_DEFAULT_REGION (256ull << 20)
#define WH_DEFAULT_VIEWS  (256ull << 20)

/* Limits of a tenant; 0 means none of its own. */
struct wh_limits {
    unsigned max_sessions;
    uint64_t session_memory; /* bytes of a session's shared memory */
    uint64_t worker_memory;  /* bytes of memory that a worker's process may write */
};

struct wh_paths {
    char **paths;
    size_t count;
};

struct wh_config_tenant {
    char *name;
    uid_t *uids;
    size_t nuids;
    struct wh_limits limits;
};

struct wh_config_vm {
    char *name;
    char *socket; /* where QEMU connects */
    char
        *service; /* where the service VM's QEMU connects, or NULL: this daemon serves the region */
    char *
        agent; /* where that one's QEMU connects its agent's port, or NULL: no view of its memory */
    uint64_t views;  /* bytes of its memory that views may show */
    char *user;      /* who owns the sockets, e.g. the user that QEMU runs as; NULL: this one */
    uint64_t region; /* bytes, a power of two */
    struct wh_limits limits;
};

struct wh_config {
    char **listen; /* paths of sockets */
    size_t nlisten;
    mode_t socket_mode;
    struct wh_limits
        limits; /* max_sessions: of all together; the rest: of tenants without their own */
    char worker[PATH_MAX];
    char *worker_user;                           /* NULL: chosen when workers can be started */
    struct wh_paths worker_reads, worker_writes; /* files of the host beyond the usual ones */
    char *state_dir;   /* workers' home folders, one per tenant; NULL: workers share the daemon's
                          environment */
    unsigned stall_ms; /* a client that began to open a session and does not go on is given up after
                          this long */
    char *region_url;  /* a service VM: "ivshmem:" or "ivshmem:ADDRESS", else NULL */
    char *agent;       /* there: "PORT,ADDRESS" of what workers' memory is offered by, else NULL */
    char *admin;       /* path of the admin socket, or NULL */
    struct wh_config_tenant *tenants;
    size_t ntenants;
    struct wh_config_vm *vms;
    size_t nvms;
    bool private; /* belongs to one command: quiet, ends with its parent, removes its folder */
};

/* The defaults; the worker's program is looked up beside this one's. */
void wh_config_init(struct wh_config *config);
void wh_config_free(struct wh_config *config);

/* Adds the file's settings. Errors were printed with file and line when this returns -1. */
int wh_config_read(struct wh_config *config, const char *path, struct wh_error *error);

/* Adds a listener by its URL, "unix:/path". */
int wh_config_add_listen(struct wh_config *config, const char *url, struct wh_error *error);

/* Adds a VM. Its name must be new; strings are copied. */
int wh_config_add_vm(struct wh_config *config, const struct wh_config_vm *vm,
                     struct wh_error *error);

/* The same from a command line: NAME=SOCKET[,REGION[,SERVICE]]. */
int wh_config_parse_vm(struct wh_config *config, const char *text, struct wh_error *error);

#endif
