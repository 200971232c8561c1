/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's region, from QEMU's connect to its hang-up; see ivshmem_server.h. */
#include "daemon/ivshmem_server.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/agent.h"
#include "daemon/agent_server.h"
#include "daemon/listener.h"
#include "daemon/log_limit.h"
#include "daemon/region.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define PROTOCOL_VERSION 0
#define SHARED_MEMORY    (-1)
#define QEMU_SOCKET_MODE 0660

struct wh_vm_server;

/* One QEMU: the VM's own, or its service VM's. */
struct end {
    struct wh_vm_server *vm;
    const char *socket;
    uint32_t peer;
    int own_bell; /* QEMU wants one; nobody rings it */
    struct wh_source listening, qemu;
};

struct wh_vm_server {
    struct wh_vm_server *next;
    struct wh_server *server;
    const struct wh_config_vm *config;
    struct end ends[2];
    unsigned nends;
    int memory;
    uint8_t *map;
    int bells[WH_REGION_BELLS];      /* -1: nobody would hear them */
    struct wh_gate_vm *gate;         /* the VM on the exitless path, while it is there */
    struct wh_source agents;         /* where the service VM's QEMU connects its agent's port */
    struct wh_agent_server *agent;   /* that, while there is one */
    struct wh_log_limit log;         /* lines about connections that it does not take */
    int spare;                       /* given up to turn one away when descriptors are short */
    struct wh_region_server *region; /* NULL while no VM is there, and where a service VM serves */
};

/* ---- the region ---- */

static void drop_region(struct wh_vm_server *vm)
{
    wh_agent_server_forget_bells(vm->agent);
    for (unsigned i = 0; i < WH_REGION_BELLS; i++) {
        wh_close_fd(&vm->bells[i]);
        vm->bells[i] = -1;
    }
    if (vm->map)
        munmap(vm->map, vm->config->region);
    vm->map = NULL;
    wh_close_fd(&vm->memory);
    vm->memory = -1;
}

/* Who serves a region here hears its bells; a service VM's daemon can be told of them. */
static bool has_bells(const struct wh_vm_server *vm)
{
    return vm->nends == 1 || vm->config->agent;
}

static int make_bells(struct wh_vm_server *vm, struct wh_error *error)
{
    for (unsigned i = 0; i < WH_REGION_BELLS && has_bells(vm); i++) {
        vm->bells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (vm->bells[i] < 0)
            return wh_error_set(error, errno,
                                "cannot make a doorbell: %s; raise the limit of open files",
                                strerror(errno));
    }
    return 0;
}

/* Every VM that connects gets a fresh region: nothing of an earlier one can be in it. */
static int make_region(struct wh_vm_server *vm, struct wh_error *error)
{
    uint64_t size = vm->config->region;
    if (vm->memory >= 0)
        return 0;
    vm->memory = memfd_create("wormhole-region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (vm->memory < 0 || ftruncate(vm->memory, (off_t)size) < 0 ||
        fcntl(vm->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return wh_error_set(error, errno, "cannot make a region of %llu MiB: %s",
                            (unsigned long long)(size >> 20), strerror(errno));
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, vm->memory, 0);
    if (map == MAP_FAILED)
        return wh_error_set(error, errno, "cannot map a region of %llu MiB: %s",
                            (unsigned long long)(size >> 20), strerror(errno));
    vm->map = map;
    return make_bells(vm, error);
}

static int serve_region(struct wh_vm_server *vm, int socket, struct wh_error *error)
{
    struct wh_region_setup setup = {.name = vm->config->name,
                                    .limits = vm->config->limits,
                                    .memory = vm->map,
                                    .fd = vm->memory,
                                    .size = vm->config->region,
                                    .bells = vm->bells};
    vm->gate = setup.gate = wh_gate_vm_new(vm->config->name, socket);
    if (vm->nends > 1) /* the service VM does */
        return 0;
    vm->region = wh_region_serve(vm->server, &setup, error);
    return vm->region ? 0 : -1;
}

/* ---- QEMU's protocol ---- */

/* A message is a little-endian number, with a descriptor or without. */
static int send_message(int socket, int64_t number, int fd)
{
    int64_t wire = (int64_t)htole64((uint64_t)number);
    ssize_t n = wh_send_fds(socket, &wire, sizeof(wire), &fd, fd >= 0 ? 1 : 0);
    return n == (ssize_t)sizeof(wire) ? 0 : -1;
}

/* Version, the VM's own peer number, the memory, the peers with their doorbells, at last the VM's
 * own doorbell. */
static int introduce(const struct end *end, int socket)
{
    const struct wh_vm_server *vm = end->vm;
    if (send_message(socket, PROTOCOL_VERSION, -1) < 0 || send_message(socket, end->peer, -1) < 0 ||
        send_message(socket, SHARED_MEMORY, vm->memory) < 0)
        return -1;
    bool rings = end == &vm->ends[0] && has_bells(vm);
    for (unsigned peer = 0; peer < WH_REGION_BELLS && rings; peer++)
        if (send_message(socket, peer, vm->bells[peer]) < 0)
            return -1;
    return send_message(socket, end->peer, end->own_bell);
}

/* ---- QEMU's coming and going ---- */

static bool is_connected(const struct end *end)
{
    return end->qemu.fd >= 0;
}

static void end_region(struct wh_vm_server *vm, const char *reason)
{
    if (vm->region)
        wh_region_end(vm->region, reason);
    vm->region = NULL;
    wh_agent_server_end_views(vm->agent);
    wh_gate_vm_free(vm->server, vm->gate);
    vm->gate = NULL;
}

/* What the VM's end means for the sessions on its region. */
static void end_sessions(struct wh_vm_server *vm, const struct end *gone)
{
    if (gone == &vm->ends[0])
        end_region(vm, "the VM was ended");
    if (vm->nends == 1 || !vm->map)
        return;
    if (gone == &vm->ends[0]) {
        wh_region_close_all(vm->map);
    } else {
        atomic_store(&((struct wh_region *)(void *)vm->map)->magic, 0);
        wh_region_abandon(vm->map, vm->config->region, "the service VM is gone");
    }
}

static void disconnect(struct end *end)
{
    struct wh_vm_server *vm = end->vm;
    int fd = end->qemu.fd;
    if (!is_connected(end))
        return;
    wh_loop_remove(&vm->server->loop, &end->qemu);
    wh_close_fd(&fd);
    wh_close_fd(&end->own_bell);
    end->own_bell = -1;
    end_sessions(vm, end);
    if (!is_connected(&vm->ends[0]) && !is_connected(&vm->ends[1]))
        drop_region(vm);
}

/* QEMU sends nothing: whatever comes is its end. */
static void on_qemu(struct wh_source *source, uint32_t events)
{
    struct end *end = WH_CONTAINER(source, struct end, qemu);
    (void)events;
    wh_debug("vm %s: QEMU left %s", end->vm->config->name, end->socket);
    disconnect(end);
}

static int admit(struct end *end, int socket, struct wh_error *error)
{
    struct wh_vm_server *vm = end->vm;
    if (make_region(vm, error) < 0)
        return -1;
    end->own_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (end->own_bell < 0 || introduce(end, socket) < 0)
        return wh_error_set(error, errno, "cannot hand the region to QEMU: %s", strerror(errno));
    if (end == &vm->ends[0] && serve_region(vm, socket, error) < 0)
        return -1;
    return wh_loop_add(&vm->server->loop, &end->qemu, socket, on_qemu, error);
}

static void give_up(struct end *end)
{
    struct wh_vm_server *vm = end->vm;
    wh_close_fd(&end->own_bell);
    end->own_bell = -1;
    if (end == &vm->ends[0])
        end_region(vm, "the VM could not be served");
    if (!is_connected(&vm->ends[0]) && !is_connected(&vm->ends[1]))
        drop_region(vm);
}

/* -1: there is none that can be taken. */
static int accept_one(struct wh_vm_server *vm, int listening, const char *path)
{
    int socket = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0 || (errno != EMFILE && errno != ENFILE))
        return socket;
    wh_log_limited(
        &vm->log,
        "vm %s: a connection at %s is turned away: the server has no file descriptors left; raise its limit (LimitNOFILE)",
        vm->config->name, path);
    wh_listener_turn_away(listening, &vm->spare);
    return -1;
}

static void on_connect(struct wh_source *source, uint32_t events)
{
    struct end *end = WH_CONTAINER(source, struct end, listening);
    const char *name = end->vm->config->name;
    struct wh_error error = {0};
    (void)events;
    WH_CLEANUP_CLOSE int socket = accept_one(end->vm, source->fd, end->socket);
    if (socket < 0)
        return;
    if (is_connected(end)) {
        wh_log("vm %s: a second QEMU at %s is turned away; each VM needs a socket of its own", name,
               end->socket);
        return;
    }
    if (admit(end, socket, &error) < 0) {
        wh_log("vm %s: %s", name, error.text);
        give_up(end);
        return;
    }
    socket = -1;
    wh_debug("vm %s: QEMU came to %s", name, end->socket);
}

/* QEMU often runs as another user, who must be able to connect. */
static int give_to_user(const char *socket, const char *name, struct wh_error *error)
{
    const struct passwd *user = name ? getpwnam(name) : NULL;
    if (!name)
        return 0;
    if (!user || chown(socket, user->pw_uid, (gid_t)-1) < 0)
        return wh_error_set(error, user ? errno : ENOENT,
                            "cannot give the socket %s to the user %s: %s", socket, name,
                            user ? strerror(errno) : "there is none");
    return 0;
}

static int open_socket(struct wh_vm_server *vm, const char *path, struct wh_source *listening,
                       void (*ready)(struct wh_source *source, uint32_t events),
                       struct wh_error *error)
{
    WH_CLEANUP_CLOSE int fd = wh_listener_make_socket(path, SOCK_STREAM, QEMU_SOCKET_MODE, error);
    if (fd < 0 || give_to_user(path, vm->config->user, error) < 0 ||
        wh_loop_add(&vm->server->loop, listening, fd, ready, error) < 0)
        return -1;
    fd = -1;
    return 0;
}

static int open_end(struct wh_vm_server *vm, const char *socket, struct wh_error *error)
{
    struct end *end = &vm->ends[vm->nends++];
    end->socket = socket;
    return open_socket(vm, socket, &end->listening, on_connect, error);
}

static void on_agent(struct wh_source *source, uint32_t events)
{
    struct wh_vm_server *vm = WH_CONTAINER(source, struct wh_vm_server, agents);
    struct wh_error error = {0};
    (void)events;
    int socket = accept_one(vm, source->fd, vm->config->agent);
    if (socket < 0)
        return;
    if (vm->agent) {
        wh_log("vm %s: a second agent's port at %s is turned away", vm->config->name,
               vm->config->agent);
        close(socket);
    } else if (wh_agent_serve(vm->server, socket, vm->config, &vm->gate, vm->bells, &vm->agent,
                              &error) < 0) {
        wh_log("vm %s: %s", vm->config->name, error.text);
    }
}

int wh_ivshmem_server_open(struct wh_server *server, const struct wh_config_vm *config,
                           struct wh_error *error)
{
    struct wh_vm_server *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return wh_error_set(error, ENOMEM, "out of memory");
    *vm = (struct wh_vm_server){.next = server->vms,
                                .server = server,
                                .config = config,
                                .memory = -1,
                                .spare = wh_listener_spare(),
                                .agents.fd = -1};
    for (unsigned i = 0; i < WH_REGION_BELLS; i++)
        vm->bells[i] = -1;
    for (unsigned i = 0; i < 2; i++)
        vm->ends[i] = (struct end){.vm = vm,
                                   .peer = i == 0 ? WH_PEER_VM : WH_PEER_SERVICE,
                                   .own_bell = -1,
                                   .listening.fd = -1,
                                   .qemu.fd = -1};
    server->vms = vm;
    if (open_end(vm, config->socket, error) < 0)
        return -1;
    if (config->service && open_end(vm, config->service, error) < 0)
        return -1;
    return config->agent ? open_socket(vm, config->agent, &vm->agents, on_agent, error) : 0;
}

static void close_socket(struct wh_vm_server *vm, struct wh_source *listening, const char *path)
{
    int fd = listening->fd;
    wh_loop_remove(&vm->server->loop, listening);
    if (fd >= 0)
        (void)unlink(path);
    wh_close_fd(&fd);
}

void wh_ivshmem_servers_views(const struct wh_server *server,
                              void (*show)(void *context, const char *vm,
                                           const struct wh_agent_view *view),
                              void *context)
{
    for (const struct wh_vm_server *vm = server->vms; vm; vm = vm->next)
        for (const struct wh_agent_view *v = wh_agent_server_views(vm->agent); v; v = v->next)
            show(context, vm->config->name, v);
}

void wh_ivshmem_servers_close(struct wh_server *server)
{
    while (server->vms) {
        struct wh_vm_server *vm = server->vms;
        server->vms = vm->next;
        end_region(vm, "the server was stopped");
        wh_agent_server_close(vm->agent);
        close_socket(vm, &vm->agents, vm->config->agent);
        for (unsigned i = 0; i < vm->nends; i++) {
            disconnect(&vm->ends[i]);
            close_socket(vm, &vm->ends[i].listening, vm->ends[i].socket);
        }
        drop_region(vm);
        wh_close_fd(&vm->spare);
        free(vm);
    }
}
