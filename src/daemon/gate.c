/* SPDX-License-Identifier: Apache-2.0 */
/* Views, VMs and the module; see gate.h. */
#include "daemon/gate.h"

#include "../../kmod/uapi/wormhole.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/kvm.h"
#include "daemon/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define DEVICE "/dev/wormhole"

struct wh_gate_vm {
    char name[64];
    pid_t qemu;
    int device, vm;
    char lacks[sizeof(((struct wh_error *)0)->text)]; /* as was said last */
};

struct wh_gate_vm *wh_gate_vm_new(const char *name, int socket)
{
    struct wh_gate_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return NULL;
    (void)snprintf(vm->name, sizeof(vm->name), "%s", name);
    vm->qemu = wh_kvm_peer(socket);
    vm->device = vm->vm = -1;
    return vm;
}

void wh_gate_vm_free(struct wh_server *server, struct wh_gate_vm *vm)
{
    if (!vm)
        return;
    for (struct wh_served *session = server->sessions; session; session = session->next)
        if (session->gate_vm == vm)
            session->gate_vm = NULL;
    wh_close_fd(&vm->vm);
    wh_close_fd(&vm->device);
    free(vm);
}

static int open_vm(struct wh_gate_vm *vm, struct wh_error *error)
{
    WH_CLEANUP_CLOSE int device = open(DEVICE, O_RDWR | O_CLOEXEC);
    if (device < 0)
        return wh_error_set(error, errno, DEVICE ": %s%s", strerror(errno),
                            errno == ENOENT ? "; is the module loaded?" : "");
    WH_CLEANUP_CLOSE int kvm = wh_kvm_take(vm->qemu, error);
    struct wormhole_vm_open wish = {.kvm_fd = kvm};
    if (kvm < 0)
        return -1;
    vm->vm = ioctl(device, WORMHOLE_VM_OPEN, &wish);
    if (vm->vm < 0)
        return wh_error_set(error, errno, "the module does not take the VM: %s", strerror(errno));
    vm->device = wh_steal_fd(&device);
    return 0;
}

int wh_gate_device(struct wh_gate_vm *vm)
{
    struct wh_error error = {0};
    if (!vm || vm->device >= 0)
        return vm ? vm->device : -1;
    if (open_vm(vm, &error) == 0) {
        wh_log("vm %s: calls are exitless where the worker allows it", vm->name);
    } else if (strcmp(vm->lacks, error.text) != 0) {
        wh_log("vm %s: calls travel by ivshmem, not exitless: %s", vm->name, error.text);
        (void)snprintf(vm->lacks, sizeof(vm->lacks), "%s", error.text);
    }
    return vm->device;
}

int wh_gate_bind_view(struct wh_gate_vm *vm, int view, uint32_t *index)
{
    struct wormhole_bind bind = {.view_fd = view};
    if (!vm || vm->vm < 0)
        return EINVAL;
    if (ioctl(vm->vm, WORMHOLE_BIND, &bind) < 0)
        return errno;
    *index = bind.index;
    return 0;
}

void wh_gate_unbind_view(struct wh_gate_vm *vm, uint32_t index)
{
    if (vm && vm->vm >= 0)
        (void)ioctl(vm->vm, WORMHOLE_UNBIND, &index);
}

int wh_gate_bind(struct wh_served *session, int *view, uint32_t *index)
{
    int code = session->view >= 0 || *view < 0 ? EINVAL
                                               : wh_gate_bind_view(session->gate_vm, *view, index);
    if (code)
        return code;
    session->view = wh_steal_fd(view);
    session->view_index = *index;
    return 0;
}

void wh_gate_release(struct wh_served *session)
{
    /* Its descriptor was the worker's to give away: others may hold it, and the view with it. */
    if (session->view >= 0)
        wh_gate_unbind_view(session->gate_vm, session->view_index);
    wh_close_fd(&session->view);
    session->view = -1;
}

int wh_gate_view_stats(int view, struct wormhole_view_stats *stats)
{
    return view < 0 ? -1 : ioctl(view, WORMHOLE_VIEW_STATS, stats);
}

int wh_gate_info(struct wormhole_info *info)
{
    WH_CLEANUP_CLOSE int device = open(DEVICE, O_RDWR | O_CLOEXEC);
    return device < 0 ? -1 : ioctl(device, WORMHOLE_INFO, info);
}
