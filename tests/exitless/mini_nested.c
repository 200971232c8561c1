/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: a guest with a guest of its own, in which no view can be reached, but in which the vCPU may
 * be when the last one goes.
 */
#include "mini.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct nested {
    struct machine machine;
    int vm;
};

/* A VM of the module's with a vCPU out of the guest, which it left from the inner one. */
static bool open_nested(struct nested *nested)
{
    struct wormhole_vm_open open_vm;
    struct vcpu *vcpu = &nested->machine.vcpus[0];
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } lock = {{.nmsrs = 1}, {.index = 0x3a, .data = 5}}; /* VMX is allowed */

    machine_open(&nested->machine);
    open_vm = (struct wormhole_vm_open){.kvm_fd = nested->machine.vm};
    nested->vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    memset(vcpu->args, 0, sizeof(*vcpu->args));
    vcpu->args->job = GUEST_NEST;
    vcpu->args->target = SPARE;
    machine_mode(vcpu, MODE_RING0);
    vcpu->start.cr4 |= 1 << 13;
    MUST(ioctl(vcpu->fd, KVM_SET_MSRS, &lock) - 1);
    int port = machine_run(vcpu);
    if (port != PORT_NEST)
        machine_show(vcpu);
    return port == PORT_NEST;
}

/* Not before another VM that was closed after it is clean: then the module has tried. */
static void await_another(const struct wormhole_info *before)
{
    struct machine other;
    struct wormhole_vm_open open_vm;

    machine_open(&other);
    open_vm = (struct wormhole_vm_open){.kvm_fd = other.vm};
    close((int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm)));
    while (info_now().vms > before->vms + 1)
        sched_yield();
    machine_close(&other);
}

/* Its driver's process ends with the vCPU in there. */
static bool dies(void)
{
    struct nested nested;
    int status;
    pid_t child = (pid_t)MUST(fork());

    if (child == 0)
        _exit(!open_nested(&nested));
    MUST(waitpid(child, &status, 0));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool is_allowed(void)
{
    FILE *file = fopen("/sys/module/kvm_intel/parameters/nested", "r");
    int answer = file ? fgetc(file) : EOF;

    if (file)
        fclose(file);
    return answer == 'Y' || answer == '1';
}

void test_nested(void)
{
    static const char *name = "in a guest's own guest a vCPU keeps its list, until it is out or "
                              "its process ends";
    const struct wormhole_info before = info_now();
    struct nested nested;
    bool good = true;

    if (!is_allowed()) {
        printf("# KVM lets guests have none of their own here\n");
        skip(name);
        return;
    }
    EXPECT(open_nested(&nested), "the inner guest");
    close(nested.vm);
    await_another(&before);
    EXPECT(info_now().vms == before.vms + 1, "it was cleaned in the inner guest");
    int port = machine_go_on(&nested.machine.vcpus[0]);
    EXPECT(port == PORT_UD, "VMFUNC still works: port %x", (unsigned)port);
    EXPECT(nothing_left(&before), "lists");
    machine_close(&nested.machine);
    EXPECT(dies(), "the inner guest of a process that ends");
    EXPECT(nothing_left(&before), "lists, after its end");
    verdict(good, name);
}
