/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: workers, VMs, descriptors and bindings that come and go while calls are made.
 */
#include "mini.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A worker of its own: makes the view, passes it on, and waits to be killed. */
static pid_t start_worker(struct session *session, int *keep)
{
    int pair[2];
    struct wormhole_view_create wish;
    struct wormhole_range ranges[2];

    wish_for(&wish, ranges, session);
    MUST(pipe(pair));
    pid_t worker = (pid_t)MUST(fork());
    if (worker == 0) {
        char byte;
        int view = ioctl(device, WORMHOLE_VIEW_CREATE, &wish);

        if (view < 0 || write(pair[1], &view, sizeof(view)) != sizeof(view))
            _exit(1);
        close(pair[1]);
        for (;;)
            if (read(keep[0], &byte, 1) <= 0)
                pause();
    }
    close(pair[1]);
    int remote = -1;
    if (read(pair[0], &remote, sizeof(remote)) != sizeof(remote))
        machine_die("the worker");
    close(pair[0]);
    int pidfd = (int)MUST(syscall(SYS_pidfd_open, worker, 0));
    session->view = (int)MUST(syscall(SYS_pidfd_getfd, pidfd, remote, 0));
    close(pidfd);
    forget_code(&ranges[0]);
    return worker;
}

void test_worker_dies(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session, bystander;
    int keep[2];
    bool good = true;

    session_open(&bystander);
    MUST(pipe(keep));
    pid_t worker = start_worker(&session, keep);
    session_bind(&session);
    close(session.view); /* the daemon keeps nothing of the worker's */
    EXPECT(works(&session), "before");
    prepare(vcpu, &session, JOB_FOREVER, 0, 1);
    machine_start(vcpu);
    await_total(&session, 1);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    int port = machine_wait(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->call.status == WORMHOLE_LOST, "port %x, status %lu",
           (unsigned)port, vcpu->args->call.status);
    EXPECT(vm_stats().views == 1, "%u views", vm_stats().views);
    EXPECT(works(&bystander), "the other session");
    close(keep[0]);
    close(keep[1]);
    munmap(session.data, PAGE);
    session_close(&bystander);
    verdict(good, "a worker killed under a call: the client is told, the others go on");
}

/* The daemon ends: bindings stay. All end: nothing stays, also with a vCPU in the guest. */
void test_descriptors(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct wormhole_vm_open open_vm = {.kvm_fd = machine.vm};
    struct session session;
    struct wormhole_info info;
    bool good = true;

    session_open(&session);
    close(vm);
    EXPECT(works(&session), "without the daemon's descriptor");
    prepare(vcpu, &session, JOB_FOREVER, 0, 1);
    machine_start(vcpu);
    await_total(&session, 1);
    session_close(&session);
    int port = machine_wait(vcpu);
    /* Told while the module still knew the VM, #UD if it was too late. */
    EXPECT(port == PORT_FAULT + 6 ||
               (port == PORT_DONE && vcpu->args->call.status == WORMHOLE_LOST),
           "port %x", (unsigned)port);
    do { /* cleaned by the module's own time */
        MUST(ioctl(device, WORMHOLE_INFO, &info));
        sched_yield();
    } while (info.vms);
    EXPECT(!info.views && !info.pinned_pages && !info.own_pages, "%u views, %llu pins, %llu pages",
           info.views, info.pinned_pages, info.own_pages);
    prepare(vcpu, &session, JOB_ECHO, 0, 1);
    EXPECT(machine_run(vcpu) == PORT_FAULT + 6, "VMFUNC still works");
    vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    session_open(&session);
    EXPECT(works(&session), "opened again");
    session_close(&session);
    verdict(good, "descriptors closed in any order leave the VM as it was");
}

/* Out of the guest at any time, its driver never finds a vCPU in a view, and may put it anywhere.
 */
void test_pause_and_reset(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;
    int suspended = 0;

    session_create(&session, 100000000000);
    session_bind(&session);
    for (uint64_t lane = 1; lane < CALLEE_LANES; lane++) {
        prepare(vcpu, &session, JOB_FOREVER, 0, 1);
        vcpu->args->call.lane = lane;
        machine_start(vcpu);
        await_total(&session, lane);
        machine_stop(vcpu);
        struct kvm_regs regs = machine_registers(vcpu);
        struct kvm_sregs sregs;
        MUST(ioctl(vcpu->fd, KVM_GET_SREGS, &sregs));
        suspended += regs.rip == GUEST_GATE + WORMHOLE_RETURN && regs.rdx == WORMHOLE_SUSPENDED;
        EXPECT(regs.rip < GUEST_GATE + PAGE && (sregs.cs.selector & 3) == 3, "lane %lu: rip %llx",
               lane, regs.rip);
        EXPECT(regs.rsp <= vcpu->stack, "lane %lu: rsp %llx", lane, regs.rsp);
        EXPECT(works(&session), "lane %lu: after a reset", lane);
    }
    EXPECT(suspended > 0, "it was never in the view: the test shows nothing");
    printf("# in the view %d times of %d\n", suspended, CALLEE_LANES - 1);
    session_close(&session);
    verdict(good, "a guest is paused and reset in a view");
}

/* A VM ends in the middle of calls; what it leaves goes with the descriptors. */
void test_guest_dies(void)
{
    struct machine victim;
    struct wormhole_vm_open open_vm;
    struct wormhole_info info;
    struct session session, bystander;
    bool good = true;
    int own_vm = vm;

    session_open(&bystander);
    for (int i = 0; i < 10; i++) {
        machine_open(&victim);
        open_vm = (struct wormhole_vm_open){.kvm_fd = victim.vm};
        vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
        session_open(&session);
        prepare(&victim.vcpus[0], &session, JOB_FOREVER, 0, 1);
        machine_start(&victim.vcpus[0]);
        await_total(&session, 1);
        machine_stop(&victim.vcpus[0]);
        machine_close(&victim);
        if (i & 1)
            session_close(&session);
        close(vm);
        if (!(i & 1))
            session_close(&session);
        vm = own_vm;
        EXPECT(works(&bystander), "the other VM");
    }
    do { /* cleaned by the module's own time */
        MUST(ioctl(device, WORMHOLE_INFO, &info));
        sched_yield();
    } while (info.vms > 1);
    EXPECT(info.views == 1, "%u views", info.views);
    session_close(&bystander);
    verdict(good, "a VM that ends in a call leaves nothing behind");
}

/* The view is of another VM's memory: this one's vCPU works in it while that one's sleep. */
void test_service_vm(void)
{
    const uint64_t code_at = 0x200000, data_at = 0x300000, count = 1000;
    struct machine service;
    struct wormhole_view_create wish;
    struct wormhole_range ranges[2];
    struct session session;
    bool good = true;

    machine_open(&service);
    wish_for(&wish, ranges, &session);
    memcpy(service.memory + code_at, (void *)ranges[0].address, ranges[0].size);
    memcpy(service.memory + data_at, session.data, PAGE);
    forget_code(&ranges[0]);
    munmap(session.data, PAGE);
    session.data = (struct callee_data *)(service.memory + data_at);
    ranges[0].address = code_at;
    ranges[1].address = data_at;
    wish.flags = WORMHOLE_OF_VM;
    wish.kvm_fd = service.vm;
    session.view = (int)MUST(ioctl(device, WORMHOLE_VIEW_CREATE, &wish));
    session_bind(&session);
    struct vcpu *vcpu = &machine.vcpus[0];
    prepare(vcpu, &session, JOB_COUNT, 3, count);
    int port = machine_run(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->done == count, "port %x, %lu done", (unsigned)port,
           vcpu->args->done);
    EXPECT(session.data->lane[0].count == count && session.data->total == count, "%lu executed",
           session.data->total);
    EXPECT(canaries_live(&session), "canaries");
    machine_close(&service); /* the view's pages stay while it lives */
    EXPECT(works(&session), "after the other VM's end");
    close(session.view);
    verdict(good, "calls run in the memory of a service VM whose vCPUs sleep");
}

/* In a process without root's powers, which locks at most so much; 0 or an errno value. */
static int try_with_limit(rlim_t bytes)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    const struct rlimit limit = {bytes, bytes};
    int status;
    pid_t child = (pid_t)MUST(fork());

    if (child == 0) {
        struct session session;
        struct wormhole_view_create wish;
        struct wormhole_range ranges[2];

        wish_for(&wish, ranges, &session);
        MUST(setrlimit(RLIMIT_MEMLOCK, &limit));
        MUST(syscall(SYS_capset, &header, none));
        _exit(ioctl(device, WORMHOLE_VIEW_CREATE, &wish) < 0 ? errno : 0);
    }
    MUST(waitpid(child, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void test_memlock(void)
{
    bool good = true;
    int little = try_with_limit(2 * PAGE), enough = try_with_limit(16 << 20);

    EXPECT(little == ENOMEM && enough == 0, "%d with little, %d with enough", little, enough);
    verdict(good, "a view counts against its maker's locked memory");
}

void test_cycles(void)
{
    struct vcpu *vcpu = &machine.vcpus[1];
    struct session base;
    struct wormhole_info before, after;
    bool good = true;

    session_open(&base);
    prepare(vcpu, &base, JOB_COUNT, 0, 1u << 30);
    MUST(ioctl(device, WORMHOLE_INFO, &before));
    machine_start(vcpu);
    for (int i = 0; i < cycles; i++) {
        struct session session;

        session_open(&session);
        if (i % 50 == 0)
            EXPECT(works(&session), "cycle %d", i);
        if (i & 1)
            MUST(ioctl(vm, WORMHOLE_UNBIND, &session.index));
        session_close(&session);
    }
    MUST(ioctl(device, WORMHOLE_INFO, &after));
    EXPECT(after.views == before.views && after.pinned_pages == before.pinned_pages &&
               after.own_pages == before.own_pages,
           "%u views, %llu pins, %llu pages more", after.views - before.views,
           after.pinned_pages - before.pinned_pages, after.own_pages - before.own_pages);
    MUST(ioctl(vm, WORMHOLE_UNBIND, &base.index));
    while (!*(volatile uint64_t *)&vcpu->args->other) /* the calls that follow are told so */
        sched_yield();
    *(volatile uint64_t *)&vcpu->args->count = 0;
    int port = machine_wait(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->done > 0 && vcpu->args->call.status == WORMHOLE_LOST,
           "port %x, %lu done", (unsigned)port, vcpu->args->done);
    printf("# %lu calls meanwhile\n", vcpu->args->done);
    session_close(&base);
    printf("# %d cycles\n", cycles);
    verdict(good, "bind and unbind cycles beside a calling vCPU leave nothing behind");
}
