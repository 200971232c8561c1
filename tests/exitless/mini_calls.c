/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: calls that are under way: suspended, moved, over their budget, at fault, each executed
 * once.
 */
#include "mini.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void test_long_calls(void)
{
    const uint64_t rounds = 400000;
    struct session session;
    bool good = true;
    uint64_t made = 0;

    session_open(&session);
    /* A fast machine makes many between two interrupts. */
    while (made < 4 || (made < 1000 && !stats_of(&session).suspensions)) {
        EXPECT(call(&session, JOB_WORK, rounds + made) == WORMHOLE_DONE, "status %lu",
               machine.vcpus[0].args->call.status);
        EXPECT(machine.vcpus[0].args->call.value == callee_work(rounds + made), "a wrong result");
        made++;
    }
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(stats.suspensions > 0, "no call was suspended: the test shows nothing");
    EXPECT(stats.calls == made && stats.started == made, "%llu of %llu", stats.calls,
           stats.started);
    printf("# suspended %llu, in the view %lu exits\n", stats.suspensions, sum(stats.exits));
    session_close(&session);
    verdict(good, "long calls are suspended and continue, vectors and all");
}

static timer_t start_timer(pid_t thread, long nanoseconds)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec period = {{0, nanoseconds}, {0, nanoseconds}};
    timer_t timer;

    event._sigev_un._tid = thread;
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
    MUST(timer_settime(timer, 0, &period, NULL));
    return timer;
}

void test_exactly_once(void)
{
    const uint64_t count = is_short() ? 50000 : 500000;
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;
    uint64_t expected = 0;

    session_open(&session);
    prepare(vcpu, &session, JOB_COUNT, 11, count);
    vcpu->interrupt = true;
    vcpu->injected = 0;
    timer_t timer = start_timer((pid_t)syscall(SYS_gettid), 1000000);
    int port = machine_run(vcpu);
    timer_delete(timer);
    vcpu->interrupt = false;
    for (uint64_t i = 0; i < count; i++)
        expected = callee_mix(expected + 11 + i);
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(port == PORT_DONE && vcpu->args->done == count, "port %x, %lu done", (unsigned)port,
           vcpu->args->done);
    EXPECT(session.data->lane[0].count == count && session.data->total == count, "%lu executed",
           session.data->lane[0].count);
    EXPECT(session.data->lane[0].sum == expected, "in another order, or another argument");
    EXPECT(vcpu->args->interrupts > 0, "no interrupt: the test shows nothing");
    EXPECT(vcpu->args->interrupts + 1 >= vcpu->injected, "%lu of %lu interrupts",
           vcpu->args->interrupts, vcpu->injected);
    EXPECT(stats.suspensions + stats.retries + stats.forwards > 0,
           "none was in the view: the test shows nothing");
    printf("# %lu interrupts; suspended %llu retried %llu forwarded %llu\n", vcpu->args->interrupts,
           stats.suspensions, stats.retries, stats.forwards);
    session_close(&session);
    verdict(good, "with interrupts everywhere each call is executed exactly once");
}

/* Everything that a callee must not do ends its session, and no other. */
void test_violations(void)
{
    static const struct {
        const char *name;
        uint64_t job, value;
        bool stray; /* looks like somebody who came without a key: he gets #UD, the session stays */
    } cases[] = {
        {"reads what is not mapped", JOB_READ, 0x12345000, false},
        {"reads the guest's memory", JOB_READ, GUEST_ARGS, false},
        {"reads a kernel address", JOB_READ, 0xffff888000000000, false},
        {"writes to its code", JOB_WRITE, CALLEE_CODE, false},
        {"writes to the gate's configuration", JOB_WRITE, WORMHOLE_ZONE + 0x1000, false},
        {"writes to the gate's code", JOB_WRITE, WORMHOLE_ZONE, false},
        {"runs its data", JOB_CALL, CALLEE_DATA, false},
        {"runs what is not mapped", JOB_CALL, 0x12345000, true},
        {"runs the landing page's filling", JOB_CALL, GUEST_GATE, true},
        {"executes CPUID", JOB_CPUID, 0, false},
        {"executes UD2", JOB_UD2, 0, false},
        {"makes a system call", JOB_SYSCALL, 0, false},
        {"executes INT3", JOB_INT3, 0, false},
        {"executes INT", JOB_SOFT_INTERRUPT, 0, false},
        {"makes a hypercall", JOB_VMCALL, 0, false},
        {"writes to a port", JOB_OUT, 0, false},
        {"halts", JOB_HLT, 0, false},
        {"runs out of stack", JOB_RECURSE, 0, false},
        {"divides by zero", JOB_DIVIDE, 0, false},
        {"switches to a view that there is not", JOB_SWITCH, 500, true},
    };
    struct vcpu *vcpu = &machine.vcpus[0];
    bool good = true;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct session session;

        session_open(&session);
        EXPECT(works(&session), "%s: before", cases[i].name);
        prepare(vcpu, &session, cases[i].job, cases[i].value, 1);
        int port = machine_run(vcpu);
        struct wormhole_view_stats stats = stats_of(&session);
        if (cases[i].stray) {
            EXPECT(port == PORT_FAULT + 6, "%s: port %x", cases[i].name, (unsigned)port);
            EXPECT(!stats.lost && stats.strays == 1, "%s: %llu strays", cases[i].name,
                   stats.strays);
        } else {
            EXPECT(port == PORT_DONE && vcpu->args->call.status == WORMHOLE_LOST,
                   "%s: port %x, status %lu", cases[i].name, (unsigned)port,
                   vcpu->args->call.status);
            EXPECT(stats.lost == 1 && stats.violations == 1,
                   "%s: lost %llu, violations %llu, strays %llu", cases[i].name, stats.lost,
                   stats.violations, stats.strays);
            EXPECT(call(&session, JOB_ECHO, 1) == WORMHOLE_LOST, "%s: a call after", cases[i].name);
        }
        EXPECT(canaries_live(&session), "%s: its canaries", cases[i].name);
        session_close(&session);
        EXPECT(beside_live(), "%s: the others", cases[i].name);
    }
    verdict(good, "a callee's fault, system call or exit ends its session only");
}

void test_budget(void)
{
    struct session session;
    bool good = true;

    session_create(&session, 20000000);
    session_bind(&session);
    EXPECT(call(&session, JOB_FOREVER, 0) == WORMHOLE_LOST, "status %lu",
           machine.vcpus[0].args->call.status);
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(stats.overruns == 1 && stats.lost == 1, "%llu overruns", stats.overruns);
    printf("# suspended %llu times before\n", stats.suspensions);
    EXPECT(call(&session, JOB_ECHO, 1) == WORMHOLE_LOST, "a call after");
    session_close(&session);
    verdict(good, "a call beyond its budget loses its session only");
}

/* Where a suspended call's client goes on, nothing of what the callee had in registers is to be
 * seen. */
void test_suspended_registers(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    uint8_t *page = machine.memory + GATE_FRAMES + PAGE, saved[4096];
    struct session session;
    struct kvm_fpu fpu;
    bool good = true;

    session_open(&session);
    memcpy(saved, page, sizeof(saved));
    memcpy(page + WORMHOLE_RETURN, "\xe6\x11", 2);
    prepare(vcpu, &session, JOB_WORK, 1ull << 40, 1);
    int port = machine_run(vcpu);
    struct kvm_regs regs = machine_registers(vcpu);
    MUST(ioctl(vcpu->fd, KVM_GET_FPU, &fpu));
    memcpy(page, saved, sizeof(saved));
    EXPECT(port == 0x11 && regs.rdx == WORMHOLE_SUSPENDED && regs.rsi,
           "port %x, status %llu, token %llu", (unsigned)port, regs.rdx, regs.rsi);
    EXPECT(regs.rsp > GUEST_STACK && regs.rsp < vcpu->stack, "stack at %llx", regs.rsp);
    EXPECT(!(regs.rax | regs.rcx | regs.rbx | regs.rbp | regs.rdi | regs.r8 | regs.r9 | regs.r10 |
             regs.r11 | regs.r12 | regs.r13 | regs.r14 | regs.r15),
           "a register is not clean");
    for (size_t i = 0; i < sizeof(fpu.xmm); i++)
        EXPECT(((uint8_t *)fpu.xmm)[i] == 0, "byte %zu of the vector registers", i);
    EXPECT(fpu.fcw == 0x37f, "control word %x", fpu.fcw);
    EXPECT(canaries_live(&session), "canaries");
    /* Its lane waits for ever; the others do not. */
    EXPECT(call(&session, JOB_ECHO, 1) == WORMHOLE_BUSY, "status %lu", vcpu->args->call.status);
    prepare(vcpu, &session, JOB_ECHO, 1, 1);
    vcpu->args->call.lane = 1;
    EXPECT(machine_run(vcpu) == PORT_DONE && vcpu->args->call.status == WORMHOLE_DONE,
           "another lane: %lu", vcpu->args->call.status);
    session_close(&session);
    verdict(good, "a suspended callee's registers are hidden, and its lane stays its own");
}

/* The guest's own count: nothing else tells of a call. */
static void await_done(const struct vcpu *vcpu, uint64_t done)
{
    while (*(volatile const uint64_t *)&vcpu->args->done < done)
        sched_yield();
}

/* A change of the VM's memory slots takes its vCPUs out of the guest, and its EPT root away. */
void test_memory_slots(void)
{
    enum { ROUNDS = 20 };
    struct kvm_userspace_memory_region region = {.slot = 1, .guest_phys_addr = 0x40000000};
    void *extra = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct vcpu *vcpu = &machine.vcpus[0];
    volatile uint64_t *count = &vcpu->args->count;
    struct session session;
    uint64_t taken_out = 0;
    bool good = true;

    session_open(&session);
    prepare(vcpu, &session, JOB_WORK, 20000, 1u << 30);
    machine_start(vcpu);
    region.userspace_addr = (uint64_t)extra;
    for (uint64_t i = 0; i < 2 * ROUNDS; i++) {
        uint64_t suspensions = stats_of(&session).suspensions;

        region.memory_size = i & 1 ? 0 : 16 * PAGE;
        MUST(ioctl(machine.vm, KVM_SET_USER_MEMORY_REGION, &region));
        taken_out += stats_of(&session).suspensions > suspensions;
        await_done(vcpu, vcpu->args->done + 2); /* one call at least began after the change */
    }
    *count = 0;
    int port = machine_wait(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->other == 0, "port %x, %lu not done", (unsigned)port,
           vcpu->args->other);
    EXPECT(taken_out > 0, "no change met a call in the view: the test shows nothing");
    printf("# %lu of %d changes suspended a call; %lu calls, %llu suspensions\n", taken_out,
           2 * ROUNDS, vcpu->args->done, stats_of(&session).suspensions);
    EXPECT(works(&session), "the session");
    munmap(extra, 16 * PAGE);
    session_close(&session);
    verdict(good, "memory slots come and go during calls");
}

/* In the guest, for ever: the next of the last 512 pages, its own address into it, and a VMFUNC
 * that leads nowhere. */
static void put_writer(const struct session *session, uint32_t at)
{
    uint8_t code[] = {0x48, 0x8b, 0x1c, 0x25, 0,    0,    0,    0, /* mov at, %rbx */
                      0x48, 0x81, 0xc3, 0x00, 0x10, 0x00, 0x00,    /* add $0x1000, %rbx */
                      0x81, 0xe3, 0x00, 0xf0, 0x1f, 0x00,          /* and $0x1ff000, %ebx */
                      0x81, 0xcb, 0x00, 0x00, 0x20, 0x00,          /* or $0x200000, %ebx */
                      0x48, 0x89, 0x1c, 0x25, 0,    0,    0,    0, /* mov %rbx, at */
                      0x48, 0x89, 0x1b,                            /* mov %rbx, (%rbx) */
                      0xb9, 0,    0,    0,    0,                   /* mov $index, %ecx */
                      0x31, 0xc0,                                  /* xor %eax, %eax */
                      0xe9, 0,    0,    0,    0};                  /* jmp to the VMFUNC */
    const int32_t back =
        WORMHOLE_ENTER - WORMHOLE_VMFUNC_SIZE - WORMHOLE_RETURN - (int32_t)sizeof(code);

    memcpy(code + 4, &at, 4);
    memcpy(code + 31, &at, 4);
    memcpy(code + 39, &session->index, 4);
    memcpy(code + sizeof(code) - 4, &back, 4);
    memcpy(GATE_PAGE + WORMHOLE_RETURN, code, sizeof(code));
}

static bool cpu_logs_dirty_pages(void)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[4096];
    bool found = false;

    while (file && !found && fgets(line, sizeof(line), file))
        found = strncmp(line, "vmx flags", 9) == 0 && strstr(line, " pml");
    if (file)
        fclose(file);
    return found;
}

/* Who writes and is answered by the module has written, for the VM's migration: KVM has not seen
 * that exit.
 */
void test_dirty_log(void)
{
    static const char name[] =
        "what is written before an exit of the module's is in the log of dirty pages";
    enum { ROUNDS = 40, FIRST = 512 };
    struct kvm_userspace_memory_region region = {.memory_size = GUEST_MEMORY,
                                                 .userspace_addr = (uint64_t)machine.memory};
    static uint64_t bits[GUEST_MEMORY / PAGE / 64];
    struct kvm_dirty_log dirty = {.dirty_bitmap = bits};
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    uint64_t written = 0, lost = 0;
    bool good = true;

    if (!cpu_logs_dirty_pages()) { /* KVM protects the pages instead */
        skip(name);
        return;
    }
    session_open(&session);
    session_close(&session);
    region.flags = KVM_MEM_LOG_DIRTY_PAGES;
    MUST(ioctl(machine.vm, KVM_SET_USER_MEMORY_REGION, &region));
    take_gate();
    put_writer(&session, SPARE);
    for (int round = 0; round < ROUNDS; round++) {
        volatile uint64_t *at = (volatile uint64_t *)(machine.memory + SPARE);

        memset(machine.memory + FIRST * PAGE, 0, 512 * PAGE);
        MUST(ioctl(machine.vm, KVM_GET_DIRTY_LOG, &dirty));
        *at = 0;
        prepare_jump(&session, GUEST_GATE + WORMHOLE_RETURN);
        machine_start(vcpu);
        while (*at < (FIRST + 20) * PAGE)
            sched_yield();
        machine_stop(vcpu);
        MUST(ioctl(machine.vm, KVM_GET_DIRTY_LOG, &dirty));
        for (uint64_t page = FIRST; page < FIRST + 512; page++) {
            bool is_written = *(uint64_t *)(machine.memory + page * PAGE) != 0;

            written += is_written;
            lost += is_written && !(bits[page / 64] >> (page % 64) & 1);
        }
    }
    give_gate();
    region.flags = 0;
    MUST(ioctl(machine.vm, KVM_SET_USER_MEMORY_REGION, &region));
    printf("# %lu pages written\n", written);
    EXPECT(lost == 0, "%lu of %lu pages are not in the log", lost, written);
    verdict(good, name);
}

/* Both vCPUs in one view and in two, on lanes of their own, their threads moved between CPUs where
 * there are two. */
void test_two_vcpus(void)
{
    const uint64_t count = 30000;
    struct session sessions[2];
    bool good = true;

    session_open(&sessions[0]);
    session_open(&sessions[1]);
    for (int shared = 0; shared < 2; shared++) {
        struct session *of[2] = {&sessions[0], shared ? &sessions[0] : &sessions[1]};

        for (int i = 0; i < 2; i++) {
            prepare(&machine.vcpus[i], of[i], JOB_COUNT, (uint64_t)i * 1000, count);
            machine.vcpus[i].args->call.lane = (uint64_t)(2 * shared + i + 1);
            machine_start(&machine.vcpus[i]);
        }
        for (int i = 0; i < 2; i++) {
            struct vcpu *vcpu = &machine.vcpus[i];
            uint64_t expected = 0, lane = (uint64_t)(2 * shared + i + 1);
            int port = machine_wait(vcpu);

            for (uint64_t n = 0; n < count; n++)
                expected = callee_mix(expected + (uint64_t)i * 1000 + n);
            EXPECT(port == PORT_DONE && vcpu->args->done == count, "vCPU %d: port %x, %lu done", i,
                   (unsigned)port, vcpu->args->done);
            EXPECT(of[i]->data->lane[lane].count == count &&
                       of[i]->data->lane[lane].sum == expected,
                   "vCPU %d: %lu executed", i, of[i]->data->lane[lane].count);
        }
    }
    EXPECT(sessions[0].data->total == 3 * count && sessions[1].data->total == count, "%lu and %lu",
           sessions[0].data->total, sessions[1].data->total);
    session_close(&sessions[0]);
    session_close(&sessions[1]);
    verdict(good, "two vCPUs in two views and in one: each call once and in order");
}

void test_migration(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;
    cpu_set_t all, one;

    sched_getaffinity(0, sizeof(all), &all);
    session_open(&session);
    prepare(vcpu, &session, JOB_WORK, 20000, 100);
    machine_start(vcpu);
    for (uint64_t i = 0; i < 40; i++) {
        CPU_ZERO(&one);
        CPU_SET((size_t)(i % (CPU_COUNT(&all) > 1 ? 2 : 1)), &one);
        pthread_setaffinity_np(vcpu->thread, sizeof(one), &one);
        await_done(vcpu, i + 1);
    }
    pthread_setaffinity_np(vcpu->thread, sizeof(all), &all);
    int port = machine_wait(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->done == 100, "port %x, %lu done", (unsigned)port,
           vcpu->args->done);
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(stats.suspensions > 0, "no call was suspended: the test shows nothing");
    printf("# %d CPUs, suspended %llu\n", CPU_COUNT(&all), stats.suspensions);
    session_close(&session);
    verdict(good, "a vCPU's thread moves between CPUs during calls");
}

static bool set_online(int cpu, bool online)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
    int fd = open(path, O_WRONLY);
    bool done = fd >= 0 && write(fd, online ? "1" : "0", 1) == 1;
    if (fd >= 0)
        close(fd);
    return done;
}

/* A CPU that goes takes its VMCSs out of use, and comes back with empty caches. */
void test_hotplug(void)
{
    const int rounds = 4;
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;
    cpu_set_t all, second;

    sched_getaffinity(0, sizeof(all), &all);
    if (CPU_COUNT(&all) < 2) {
        skip("a CPU goes and comes during calls");
        return;
    }
    CPU_ZERO(&second);
    CPU_SET(1, &second);
    session_open(&session);
    prepare(vcpu, &session, JOB_COUNT, 0, 1u << 30);
    machine_start(vcpu);
    for (int i = 0; i < rounds; i++) {
        pthread_setaffinity_np(vcpu->thread, sizeof(second), &second);
        await_total(&session, session.data->total + 1000);
        EXPECT(set_online(1, false), "round %d: it does not go", i);
        await_total(&session, session.data->total + 1000);
        EXPECT(set_online(1, true), "round %d: it does not come", i);
    }
    *(volatile uint64_t *)&vcpu->args->count = 0;
    int port = machine_wait(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->other == 0 &&
               session.data->lane[0].count == vcpu->args->done,
           "port %x, %lu done, %lu executed", (unsigned)port, vcpu->args->done,
           session.data->lane[0].count);
    session_close(&session);
    verdict(good, "a CPU goes and comes during calls");
}
