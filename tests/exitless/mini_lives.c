/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: workers, VMs, descriptors and bindings that come and go while calls are made.
 */
#include "mini.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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
    const uint32_t views = vm_stats().views;
    struct session session;
    int keep[2];
    bool good = true;

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
    EXPECT(vm_stats().views == views, "%u views", vm_stats().views);
    close(keep[0]);
    close(keep[1]);
    page_give(session.data);
    verdict(good, "a worker killed under a call: the client is told, the others go on");
}

/* A VM with a session and a vCPU in a call that does not end. */
struct subject {
    struct machine machine;
    int vm;
    struct session session;
};

static void open_subject(struct subject *subject)
{
    struct wormhole_vm_open open_vm;

    machine_open(&subject->machine);
    open_vm = (struct wormhole_vm_open){.kvm_fd = subject->machine.vm};
    subject->vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    session_create(&subject->session, 100000000000);
    session_bind_to(&subject->session, subject->vm);
    prepare(&subject->machine.vcpus[0], &subject->session, JOB_FOREVER, 0, 1);
    machine_start(&subject->machine.vcpus[0]);
    await_total(&subject->session, 1);
}

/* The call goes on: its client is in the guest, and its session takes others. */
static bool is_calling(struct subject *subject, uint64_t lane)
{
    struct vcpu *second = &subject->machine.vcpus[1];
    uint64_t before = stats_of(&subject->session).suspensions;

    prepare(second, &subject->session, JOB_ECHO, 7, 1);
    second->args->call.lane = lane;
    while (stats_of(&subject->session).suspensions == before) /* it is resumed each time */
        sched_yield();
    return machine_run(second) == PORT_DONE && second->args->call.status == WORMHOLE_DONE &&
           stats_of(&subject->session).lost == 0;
}

/* The daemon ends: bindings stay. All end: nothing stays, also with a vCPU in the guest. */
void test_descriptors(void)
{
    const struct wormhole_info before = info_now();
    struct wormhole_vm_open open_vm;
    struct subject subject;
    struct vcpu *vcpu = &subject.machine.vcpus[0];
    bool good = true;

    open_subject(&subject);
    close(subject.vm);
    EXPECT(is_calling(&subject, 1), "without the daemon's descriptor");
    session_close(&subject.session);
    int port = machine_wait(vcpu);
    /* Told while the module still knew the VM, #UD if it was too late. */
    EXPECT(port == PORT_FAULT + 6 ||
               (port == PORT_DONE && vcpu->args->call.status == WORMHOLE_LOST),
           "port %x", (unsigned)port);
    EXPECT(nothing_left(&before), "views, pins or pages");
    prepare(vcpu, &subject.session, JOB_ECHO, 0, 1);
    EXPECT(machine_run(vcpu) == PORT_FAULT + 6, "VMFUNC still works");
    open_vm = (struct wormhole_vm_open){.kvm_fd = subject.machine.vm};
    subject.vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    session_create(&subject.session, 0);
    session_bind_to(&subject.session, subject.vm);
    EXPECT(works_on(vcpu, &subject.session), "opened again");
    session_close(&subject.session);
    close(subject.vm);
    machine_close(&subject.machine);
    EXPECT(nothing_left(&before), "at the end: views, pins or pages");
    verdict(good, "descriptors closed in any order leave the VM as it was");
}

/* With a call in the view: the daemon's descriptors close, the device's too, and last the view's.
 */
void test_closing(void)
{
    const struct wormhole_info before = info_now();
    struct subject subject;
    bool good = true;

    open_subject(&subject);
    close(subject.vm);
    EXPECT(is_calling(&subject, 1), "the VM's descriptor is closed");
    close(device);
    EXPECT(is_calling(&subject, 2), "the device is closed");
    EXPECT(beside_live(), "the others, without the device");
    close(subject.session.view);
    int port = machine_wait(&subject.machine.vcpus[0]);
    EXPECT(port == PORT_FAULT + 6 ||
               (port == PORT_DONE && subject.machine.vcpus[0].args->call.status == WORMHOLE_LOST),
           "port %x", (unsigned)port);
    page_give(subject.session.data);
    device = (int)MUST(open("/dev/wormhole", O_RDWR | O_CLOEXEC));
    machine_close(&subject.machine);
    EXPECT(nothing_left(&before), "views, pins or pages");
    verdict(good, "descriptors close under a call: it goes on until its view is closed");
}

/* It runs once with the module's list, and then sleeps in the kernel until a signal comes. */
static void halt(struct vcpu *vcpu, struct machine *halted)
{
    /* incq the flag; hlt */
    uint8_t code[] = {0x48, 0xff, 0x04, 0x25, 0, 0, 0, 0, 0xf4};
    const uint32_t flag = SPARE + PAGE;
    volatile uint64_t *set = (volatile uint64_t *)(halted->memory + flag);

    memcpy(code + 4, &flag, sizeof(flag));
    memcpy(halted->memory + SPARE, code, sizeof(code));
    vcpu->entry = SPARE;
    machine_mode(vcpu, MODE_RING0);
    machine_start(vcpu);
    while (!*set)
        sched_yield();
}

static void wake(struct vcpu *vcpu)
{
    struct kvm_mp_state runnable = {KVM_MP_STATE_RUNNABLE};

    machine_stop(vcpu);
    MUST(ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable));
    vcpu->entry = 0;
    machine_mode(vcpu, MODE_USUAL);
}

/* A sleeping vCPU cannot be cleaned, which must not keep the next daemon away. */
void test_halted(void)
{
    const struct wormhole_info before = info_now();
    struct wormhole_vm_open open_vm;
    struct machine halted;
    struct vcpu *vcpu = &halted.vcpus[0];
    struct session session;
    bool good = true;

    machine_open_sleepy(&halted);
    open_vm = (struct wormhole_vm_open){.kvm_fd = halted.vm};
    int of_halted = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    halt(vcpu, &halted);
    for (int i = 0; i < 5; i++) {
        close(of_halted);
        of_halted = ioctl(device, WORMHOLE_VM_OPEN, &open_vm);
        EXPECT(of_halted >= 0, "opened again: %s", strerror(errno));
    }
    session_create(&session, 0);
    session_bind_to(&session, of_halted);
    wake(vcpu);
    EXPECT(works_on(vcpu, &session), "a call afterwards");
    for (int i = 0; i < 20; i++) { /* at any point of its being cleaned */
        close(session.view);
        close(of_halted);
        of_halted = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
        page_give(session.data);
        session_create(&session, 0);
        session_bind_to(&session, of_halted);
        EXPECT(works_on(vcpu, &session), "round %d", i);
    }
    session_close(&session);
    close(of_halted);
    EXPECT(nothing_left(&before), "views, pins or lists");
    EXPECT(machine_run(vcpu) == PORT_UD, "VMFUNC still works");
    machine_close(&halted);
    verdict(good, "a VM whose vCPU sleeps can be opened again, at any time");
}

/* As rmmod does it. */
static bool stays(void)
{
    return module_users() > 0 && syscall(SYS_delete_module, "wormhole", O_NONBLOCK) < 0 &&
           errno == EWOULDBLOCK;
}

/* Nothing but the one thing that is named holds the module, and it must. */
void test_module(void)
{
    struct wormhole_vm_open open_vm = {.kvm_fd = machine.vm};
    struct subject subject;
    struct session session;
    bool good = true;

    beside_close();
    close(vm);
    close(device);
    await_users(0);
    device = (int)MUST(open("/dev/wormhole", O_RDWR | O_CLOEXEC));
    EXPECT(stays() && module_users() == 1, "the device");
    vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    close(device);
    EXPECT(stays(), "a VM");
    device = (int)MUST(open("/dev/wormhole", O_RDWR | O_CLOEXEC));
    close(vm);
    session_create(&session, 0);
    close(device);
    await_users(1); /* the VM is cleaned */
    EXPECT(stays(), "a view of no VM");
    device = (int)MUST(open("/dev/wormhole", O_RDWR | O_CLOEXEC));
    session_close(&session);
    open_subject(&subject);
    close(subject.vm);
    close(device);
    EXPECT(stays(), "a call in a view");
    EXPECT(is_calling(&subject, 1), "the call");
    machine_stop(&subject.machine.vcpus[0]);
    EXPECT(stays(), "a bound view");
    session_close(&subject.session);
    machine_close(&subject.machine);
    await_users(0);
    device = (int)MUST(open("/dev/wormhole", O_RDWR | O_CLOEXEC));
    vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    beside_open();
    verdict(good, "the module stays while there is a descriptor, a VM or a call");
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
    const struct wormhole_info before = info_now();
    struct subject victim;
    bool good = true;

    for (int i = 0; i < 10; i++) {
        open_subject(&victim);
        machine_stop(&victim.machine.vcpus[0]);
        machine_close(&victim.machine);
        if (i & 1)
            session_close(&victim.session);
        close(victim.vm);
        if (!(i & 1))
            session_close(&victim.session);
        EXPECT(beside_live(), "the other VM");
    }
    EXPECT(nothing_left(&before), "views, pins or pages");
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
    page_give(session.data);
    session.data = (struct callee_data *)(service.memory + data_at);
    ranges[0].address = code_at;
    ranges[1].address = data_at;
    wish.flags = WORMHOLE_OF_VM;
    wish.kvm_fd = service.vm;
    session.view = (int)MUST(ioctl(device, WORMHOLE_VIEW_CREATE, &wish));
    memset(service.memory + code_at, 0xcc, ranges[0].size); /* the module has its copy */
    session_bind(&session);
    struct vcpu *vcpu = &machine.vcpus[0];
    prepare(vcpu, &session, JOB_COUNT, 3, count);
    int port = machine_run(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->done == count, "port %x, %lu done", (unsigned)port,
           vcpu->args->done);
    EXPECT(session.data->lane[0].count == count && session.data->total == count, "%lu executed",
           session.data->total);
    EXPECT(canaries_live(&session), "canaries");
    /* Its memory is taken away, as a balloon does: the VM has another page there, the view the old
     * one. */
    MUST(madvise(session.data, PAGE, MADV_REMOVE));
    EXPECT(call(&session, JOB_COUNT, 3) == WORMHOLE_DONE && vcpu->args->call.value == count + 1,
           "the page of before has counted %lu", vcpu->args->call.value);
    EXPECT(session.data->total == 0 && session.data->canary[0] == 0, "the VM's new page");
    machine_close(&service);
    EXPECT(call(&session, JOB_COUNT, 3) == WORMHOLE_DONE && vcpu->args->call.value == count + 2,
           "after the other VM's end: %lu", vcpu->args->call.value);
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

static uint64_t next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;

    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Its vCPU calls in this very view, which ends under it at any moment. */
static bool run_cycle(int cycle)
{
    static const uint64_t jobs[] = {JOB_COUNT, JOB_COUNT, JOB_WORK, JOB_FOREVER};
    struct vcpu *vcpu = &machine.vcpus[1];
    struct session session;
    const uint64_t job = jobs[cycle & 3];
    bool good = true;

    session_open(&session);
    prepare(vcpu, &session, job, 300, 1u << 30);
    vcpu->args->job = GUEST_UNTIL;
    machine_start(vcpu);
    while (stats_of(&session).started == 0)
        sched_yield();
    for (uint64_t spins = next_random() % 20000; spins; spins--)
        asm volatile("");
    if (cycle & 4)
        MUST(ioctl(vm, WORMHOLE_UNBIND, &session.index));
    else
        MUST(close(session.view));
    int port = machine_wait(vcpu);
    uint64_t done = vcpu->args->done, count = session.data->lane[0].count;
    EXPECT(port == PORT_DONE && vcpu->args->call.status == WORMHOLE_LOST && vcpu->args->other == 1,
           "cycle %d: port %x, status %lu", cycle, (unsigned)port, vcpu->args->call.status);
    /* The last call had been counted already, or had not. */
    EXPECT(job != JOB_COUNT || count == done || count == done + 1,
           "cycle %d: %lu done, %lu executed", cycle, done, count);
    EXPECT(job != JOB_FOREVER || done == 0, "cycle %d: %lu done", cycle, done);
    EXPECT(canaries_live(&session), "cycle %d: canaries", cycle);
    if (cycle & 4)
        MUST(close(session.view));
    page_give(session.data);
    return good;
}

/* Also what the module has for each vCPU is counted, else its loss would not be seen. */
static bool lists_are_counted(void)
{
    struct wormhole_info before = info_now(), with;
    struct subject subject;

    open_subject(&subject);
    with = info_now();
    machine_stop(&subject.machine.vcpus[0]);
    session_close(&subject.session);
    close(subject.vm);
    machine_close(&subject.machine);
    return with.list_pages == before.list_pages + MACHINE_VCPUS &&
           with.own_pages > before.own_pages && with.pinned_pages > before.pinned_pages &&
           nothing_left(&before);
}

void test_cycles(void)
{
    struct wormhole_info before;
    bool good = run_cycle(0);

    before = info_now();
    EXPECT(lists_are_counted(), "the module's own count");
    for (int i = 0; i < cycles; i++) {
        good &= run_cycle(i);
        if (i % 50 == 0)
            EXPECT(beside_live(), "cycle %d: the others", i);
    }
    EXPECT(nothing_left(&before), "views, pins or pages");
    printf("# %d cycles, each with a call in the view\n", cycles);
    verdict(good, "views bound, and unbound under their calls, leave nothing behind");
}
