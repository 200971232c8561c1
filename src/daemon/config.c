/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's settings without their file; see config.h. */
#include "daemon/config.h"

#include "base/util.h"
#include "channel/ivshmem.h"
#include "channel/unix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_MAX_SESSIONS 256u
#define DEFAULT_STALL_MS     10000u

/* In a build tree and where one prefix holds all, the worker lies beside this program or under
 * libexec. */
static void find_worker(char *path)
{
    static const char *const places[] = {"wormhole-worker", "../libexec/wormhole/wormhole-worker",
                                         "../lib/wormhole/wormhole-worker"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    *path = '\0';
    if (n <= 0)
        return;
    self[n] = '\0';
    int folder = (int)(strrchr(self, '/') - self);
    for (size_t i = sizeof(places) / sizeof(places[0]); i-- > 0;)
        if (i == 0 || access(path, X_OK) < 0)
            (void)snprintf(path, PATH_MAX, "%.*s/%s", folder, self, places[i]);
}

void wh_config_init(struct wh_config *config)
{
    *config = (struct wh_config){.socket_mode = 0666,
                                 .limits.max_sessions = DEFAULT_MAX_SESSIONS,
                                 .stall_ms = DEFAULT_STALL_MS};
    find_worker(config->worker);
}

static void free_paths(struct wh_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->paths[i]);
    free(paths->paths);
}

void wh_config_free(struct wh_config *config)
{
    for (size_t i = 0; i < config->nlisten; i++)
        free(config->listen[i]);
    for (size_t i = 0; i < config->ntenants; i++) {
        free(config->tenants[i].name);
        free(config->tenants[i].uids);
    }
    for (size_t i = 0; i < config->nvms; i++) {
        free(config->vms[i].name);
        free(config->vms[i].socket);
        free(config->vms[i].service);
        free(config->vms[i].agent);
        free(config->vms[i].user);
    }
    free(config->listen);
    free(config->tenants);
    free(config->vms);
    free_paths(&config->worker_reads);
    free_paths(&config->worker_writes);
    free(config->worker_user);
    free(config->state_dir);
    free(config->region_url);
    free(config->agent);
    free(config->admin);
}

static int check_path(const char *path, struct wh_error *error)
{
    if (*path != '/')
        return wh_error_set(error, EINVAL, "%s: the path of a socket must start with /", path);
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return wh_error_set(error, ENAMETOOLONG, "%s: the path is too long for a socket", path);
    return 0;
}

int wh_config_add_listen(struct wh_config *config, const char *url, struct wh_error *error)
{
    const char *path = url + strlen("unix:");
    if (strncmp(url, "unix:", strlen("unix:")) != 0)
        return wh_error_set(error, EINVAL, "%s: cannot listen there; use unix:/PATH", url);
    if (check_path(*path ? path : WH_DEFAULT_SOCKET, error) < 0)
        return -1;
    char **listen = realloc(config->listen, (config->nlisten + 1) * sizeof(*listen));
    if (listen)
        config->listen = listen;
    char *copy = listen ? strdup(*path ? path : WH_DEFAULT_SOCKET) : NULL;
    if (!copy)
        return wh_error_set(error, ENOMEM, "out of memory");
    config->listen[config->nlisten++] = copy;
    return 0;
}

static int check_vm(const struct wh_config *config, const struct wh_config_vm *vm,
                    struct wh_error *error)
{
    for (size_t i = 0; i < config->nvms; i++)
        if (strcmp(config->vms[i].name, vm->name) == 0)
            return wh_error_set(error, EEXIST, "there are two VMs named %s", vm->name);
    if (!vm->socket)
        return wh_error_set(error, EINVAL, "VM %s needs a socket for QEMU to connect to", vm->name);
    if (check_path(vm->socket, error) < 0 || (vm->service && check_path(vm->service, error) < 0))
        return -1;
    if (vm->agent && !vm->service)
        return wh_error_set(error, EINVAL, "VM %s: an agent is a service VM's; set `service`, too",
                            vm->name);
    if (vm->agent && check_path(vm->agent, error) < 0)
        return -1;
    if (vm->region < WH_REGION_LEAST || (vm->region & (vm->region - 1)) != 0)
        return wh_error_set(
            error, EINVAL, "VM %s: the region's size must be a power of two from 16M on", vm->name);
    return 0;
}

int wh_config_add_vm(struct wh_config *config, const struct wh_config_vm *vm,
                     struct wh_error *error)
{
    if (check_vm(config, vm, error) < 0)
        return -1;
    struct wh_config_vm *vms = realloc(config->vms, (config->nvms + 1) * sizeof(*vms));
    if (!vms)
        return wh_error_set(error, ENOMEM, "out of memory");
    config->vms = vms;
    struct wh_config_vm *added = &vms[config->nvms++];
    *added = *vm;
    added->name = strdup(vm->name);
    added->socket = strdup(vm->socket);
    added->service = vm->service ? strdup(vm->service) : NULL;
    added->agent = vm->agent ? strdup(vm->agent) : NULL;
    added->user = vm->user ? strdup(vm->user) : NULL;
    if (!added->name || !added->socket || (vm->service && !added->service) ||
        (vm->agent && !added->agent) || (vm->user && !added->user))
        return wh_error_set(error, ENOMEM, "out of memory");
    return 0;
}

int wh_config_parse_vm(struct wh_config *config, const char *text, struct wh_error *error)
{
    WH_CLEANUP_FREE char *copy = strdup(text);
    char *rest = copy;
    struct wh_config_vm vm = {.region = WH_DEFAULT_REGION, .views = WH_DEFAULT_VIEWS};
    if (!copy)
        return wh_error_set(error, ENOMEM, "out of memory");
    vm.name = strsep(&rest, "=");
    vm.socket = strsep(&rest, ",");
    char *region = strsep(&rest, ",");
    vm.service = strsep(&rest, ",");
    vm.agent = rest;
    if (!*vm.name || !vm.socket || (region && wh_parse_size(region, &vm.region) < 0))
        return wh_error_set(
            error, EINVAL,
            "%s: a VM is given as NAME=SOCKET[,REGION[,SERVICE-SOCKET[,AGENT-SOCKET]]]", text);
    return wh_config_add_vm(config, &vm, error);
}
