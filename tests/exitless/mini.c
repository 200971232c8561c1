/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's tests with the small guest: worker, daemon and VMM in one process on a host with
 * VMX, real or emulated. TAP on stdout; a test that fails says with which numbers. `mini [CYCLES
 * [FIRST [LAST]]]`: so many rounds of what is repeated, and only those tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "callee.h"
#include "machine.h"

#define PAGE           4096ull
#define EXIT_NMI       0
#define EXIT_INTERRUPT 1
#define EXIT_VMCALL    18
#define EXIT_IO        30
#define EXIT_EPT       48
#define EXIT_TIMER     52
#define EXIT_VMFUNC    59
#define CANARY         0x1badb002cafef00dull

extern const uint8_t callee_binary[], callee_binary_end[];

struct session {
    int view;
    uint32_t index;
    uint64_t key[4];
    struct callee_data *data;
};

static int device;
static int tests, failures;
static int cycles = 1000;
static struct machine machine;
static int vm;

static void verdict(bool good, const char *name)
{
    tests++;
    failures += !good;
    printf("%s %d - %s\n", good ? "ok" : "not ok", tests, name);
}

#define EXPECT(condition, ...)                                       \
    do {                                                             \
        if (!(condition)) {                                          \
            printf("# %s:%d: %s: ", __func__, __LINE__, #condition); \
            printf(__VA_ARGS__);                                     \
            printf("\n");                                            \
            good = false;                                            \
        }                                                            \
    } while (0)

/* ---- sessions ---- */

static void wish_for(struct wormhole_view_create *wish, struct wormhole_range ranges[2],
                     struct session *session)
{
    static uint64_t seed = 0x243f6a8885a308d3;
    size_t code_size = (size_t)(callee_binary_end - callee_binary + 4095) & ~4095ull;
    uint8_t *code =
        mmap(NULL, code_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memcpy(code, callee_binary, (size_t)(callee_binary_end - callee_binary));
    session->data = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    session->data->gate = GUEST_GATE;
    for (size_t i = 0; i < 64; i++)
        session->data->canary[i] = CANARY;
    for (int i = 0; i < 4; i++)
        session->key[i] = seed = callee_mix(seed);
    ranges[0] =
        (struct wormhole_range){(uint64_t)code, code_size, CALLEE_CODE, WORMHOLE_EXECUTE, 0};
    ranges[1] =
        (struct wormhole_range){(uint64_t)session->data, PAGE, CALLEE_DATA, WORMHOLE_WRITE, 0};
    *wish = (struct wormhole_view_create){
        .version = WORMHOLE_VERSION,
        .gate = GUEST_GATE,
        .handler = CALLEE_CODE,
        .lanes = CALLEE_LANES,
        .stack_pages = 2,
        .n_ranges = 2,
        .ranges = (uint64_t)ranges,
    };
    memcpy(wish->key, session->key, sizeof(wish->key));
}

static void forget_code(const struct wormhole_range *range)
{
    munmap((void *)range->address, range->size); /* the module has its copy */
}

static void session_create(struct session *session, uint64_t budget_ns)
{
    struct wormhole_view_create wish;
    struct wormhole_range ranges[2];

    wish_for(&wish, ranges, session);
    wish.budget_ns = budget_ns;
    session->view = (int)MUST(ioctl(device, WORMHOLE_VIEW_CREATE, &wish));
    forget_code(&ranges[0]);
}

static void session_bind(struct session *session)
{
    struct wormhole_bind bind = {.view_fd = session->view};

    MUST(ioctl(vm, WORMHOLE_BIND, &bind));
    session->index = bind.index;
}

static void session_open(struct session *session)
{
    session_create(session, 0);
    session_bind(session);
}

static void session_close(struct session *session)
{
    close(session->view);
    munmap(session->data, PAGE);
}

static struct wormhole_view_stats stats_of(const struct session *session)
{
    struct wormhole_view_stats stats;

    MUST(ioctl(session->view, WORMHOLE_VIEW_STATS, &stats));
    return stats;
}

static struct wormhole_vm_stats vm_stats(void)
{
    struct wormhole_vm_stats stats;

    MUST(ioctl(vm, WORMHOLE_VM_STATS, &stats));
    return stats;
}

static uint64_t sum(const __u64 *counts)
{
    uint64_t total = 0;

    for (int i = 0; i < WORMHOLE_REASONS; i++)
        total += counts[i];
    return total;
}

/* ---- the guest's jobs ---- */

static void prepare(struct vcpu *vcpu, const struct session *session, uint64_t first,
                    uint64_t second, uint64_t count)
{
    struct guest_args *args = vcpu->args;

    memset(args, 0, sizeof(*args));
    args->job = GUEST_CALLS;
    args->count = count;
    args->call.index = session->index;
    args->call.first = first;
    args->call.second = second;
    memcpy(args->call.key, session->key, sizeof(args->call.key));
}

/* One call on the first vCPU: the status, or -1 and where it stopped instead. */
static int64_t call(const struct session *session, uint64_t first, uint64_t second)
{
    struct vcpu *vcpu = &machine.vcpus[0];

    prepare(vcpu, session, first, second, 1);
    if (machine_run(vcpu) != PORT_DONE) {
        machine_show(vcpu);
        return -1;
    }
    return (int64_t)vcpu->args->call.status;
}

static bool works(const struct session *session)
{
    return call(session, JOB_ECHO, 7) == WORMHOLE_DONE &&
           machine.vcpus[0].args->call.value == callee_mix(7);
}

static bool canaries_live(const struct session *session)
{
    for (size_t i = 0; i < 64; i++)
        if (session->data->canary[i] != CANARY)
            return false;
    return true;
}

/* Waits until so many calls of JOB_COUNT and JOB_FOREVER are or were in the view. */
static void await_total(const struct session *session, uint64_t total)
{
    while (*(volatile uint64_t *)&session->data->total < total)
        sched_yield();
}

/* Checksum of `count` answers to JOB_ECHO from `second` on. */
static uint64_t echoes(uint64_t second, uint64_t count)
{
    uint64_t expected = 0;

    for (uint64_t i = 0; i < count; i++)
        expected = callee_mix(expected + callee_mix(second + i));
    return expected;
}

/* ---- tests ---- */

static void test_refusals(void)
{
    struct wormhole_view_create wish, bad;
    struct wormhole_range ranges[2], other[2];
    struct session session;
    bool good = true;

    wish_for(&wish, ranges, &session);
#define REFUSED(error, change)                                                      \
    do {                                                                            \
        bad = wish;                                                                 \
        memcpy(other, ranges, sizeof(other));                                       \
        bad.ranges = (uint64_t)other;                                               \
        change;                                                                     \
        int fd = ioctl(device, WORMHOLE_VIEW_CREATE, &bad);                         \
        EXPECT(fd < 0 && errno == (error), "%s: %d, errno %d", #change, fd, errno); \
        if (fd >= 0)                                                                \
            close(fd);                                                              \
    } while (0)
    REFUSED(EINVAL, bad.version = 99);
    REFUSED(EBADF, bad.flags = WORMHOLE_OF_VM; bad.kvm_fd = -1);
    REFUSED(EINVAL, bad.flags = 2);
    REFUSED(EINVAL, bad.kvm_fd = 1);
    REFUSED(EBADF, bad.flags = WORMHOLE_OF_VM; bad.kvm_fd = 999);
    REFUSED(EINVAL, bad.flags = WORMHOLE_OF_VM; bad.kvm_fd = device);
    REFUSED(EFAULT, bad.flags = WORMHOLE_OF_VM;
            bad.kvm_fd = machine.vm); /* not a guest's addresses */
    REFUSED(EINVAL, bad.gate += 8);
    REFUSED(EINVAL, bad.gate = 0x10000);
    REFUSED(EINVAL, bad.gate = WORMHOLE_ZONE);
    REFUSED(EINVAL, bad.lanes = 0);
    REFUSED(EINVAL, bad.lanes = WORMHOLE_LANES_MAX + 1);
    REFUSED(EINVAL, bad.stack_pages = WORMHOLE_STACK_PAGES_MAX + 1);
    REFUSED(EINVAL, bad.n_ranges = 0);
    REFUSED(EINVAL, bad.n_ranges = WORMHOLE_RANGES_MAX + 1);
    REFUSED(EFAULT, bad.ranges = 8);
    REFUSED(EINVAL, bad.handler = CALLEE_DATA);
    REFUSED(EINVAL, bad.handler = GUEST_GATE);
    REFUSED(EINVAL, other[0].view_address = 0x7f0000000000); /* code below */
    REFUSED(EINVAL, other[0].view_address = WORMHOLE_ZONE);  /* over the gate */
    REFUSED(EINVAL, other[0].flags |= WORMHOLE_WRITE);
    REFUSED(EINVAL, other[1].flags = 8);
    REFUSED(EINVAL, other[1].reserved = 8);
    REFUSED(EINVAL, other[1].size = 0);
    REFUSED(EINVAL, other[1].size = 100);
    REFUSED(EINVAL, other[1].size = ~0xfffull);
    REFUSED(EINVAL, other[1].address += 1);
    REFUSED(EINVAL, other[1].view_address = WORMHOLE_ZONE_END - 0x1000; other[1].size = 0x2000);
    REFUSED(EINVAL, other[1].view_address = 0xffff888000000000);
    REFUSED(EFAULT, other[1].address = 0x1000);
    REFUSED(EFAULT, other[0].address = 0x1000);
    REFUSED(EEXIST, other[1].view_address = GUEST_GATE);
    REFUSED(EEXIST, other[1].view_address = other[0].view_address);
    /* A VMFUNC in code, in a page and across two. */
    for (uint64_t place = 300; place <= 4095; place += 3793 + 2) {
        uint8_t *code =
            mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        memcpy(code + place, "\x0f\x01\xd4", 3);
        REFUSED(EPERM, other[0].address = (uint64_t)code; other[0].size = 2 * PAGE);
        munmap(code, 2 * PAGE);
    }
#undef REFUSED
    struct wormhole_vm_open not_kvm = {.kvm_fd = device};
    EXPECT(ioctl(device, WORMHOLE_VM_OPEN, &not_kvm) < 0 && errno == EINVAL, "errno %d", errno);
    struct wormhole_bind not_view = {.view_fd = device};
    EXPECT(ioctl(vm, WORMHOLE_BIND, &not_view) < 0 && errno == EINVAL, "errno %d", errno);
    struct wormhole_info info;
    MUST(ioctl(device, WORMHOLE_INFO, &info));
    EXPECT(!info.views && !info.pinned_pages && !info.own_pages, "%u views, %llu pins, %llu pages",
           info.views, info.pinned_pages, info.own_pages);
    forget_code(&ranges[0]);
    munmap(session.data, PAGE);
    verdict(good, "what is malformed is refused and leaves nothing behind");
}

/* Calls cause no exit: those that there are have other causes, and there are as many per VMCALL as
 * calls. */
static void test_exits(void)
{
    const uint64_t count = 100000;
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;

    session_open(&session);
    EXPECT(works(&session), "the first call");
    struct wormhole_vm_stats before = vm_stats();
    prepare(vcpu, &session, JOB_ECHO, 1, count);
    int port = machine_run(vcpu);
    struct wormhole_vm_stats after = vm_stats();
    struct wormhole_view_stats inside = stats_of(&session);
    EXPECT(port == PORT_DONE && vcpu->args->done == count, "port %x, %lu done, %lu other",
           (unsigned)port, vcpu->args->done, vcpu->args->other);
    EXPECT(vcpu->args->sum == echoes(1, count), "wrong answers");
    EXPECT(inside.calls == count + 1 && inside.started == count + 1, "%llu calls, %llu started",
           inside.calls, inside.started);
    uint64_t outside = 0;
    for (int i = 0; i < WORMHOLE_REASONS; i++) {
        uint64_t here = after.exits[i] - before.exits[i];

        outside += here;
        if (here || inside.exits[i])
            printf("# reason %d: %lu outside, %llu in the view\n", i, here, inside.exits[i]);
        bool innocent = i == EXIT_NMI || i == EXIT_INTERRUPT || i == EXIT_TIMER;
        EXPECT(innocent || !inside.exits[i], "reason %d in the view", i);
        EXPECT(innocent || i == EXIT_EPT || here == (i == EXIT_IO), "reason %d: %lu", i, here);
    }
    printf(
        "# %lu calls: %lu exits outside, %lu in the view; suspended %llu retried %llu forwarded %llu\n",
        count, outside, sum(inside.exits), inside.suspensions, inside.retries, inside.forwards);
    before = after;
    memset(vcpu->args, 0, sizeof(*vcpu->args));
    vcpu->args->job = GUEST_VMCALLS;
    vcpu->args->count = 1000;
    machine_run(vcpu);
    after = vm_stats();
    EXPECT(after.exits[EXIT_VMCALL] - before.exits[EXIT_VMCALL] == 1000, "%llu",
           after.exits[EXIT_VMCALL] - before.exits[EXIT_VMCALL]);
    printf("# 1000 hypercalls: %llu exits by them\n",
           after.exits[EXIT_VMCALL] - before.exits[EXIT_VMCALL]);
    session_close(&session);
    verdict(good, "100000 calls cause no exit, 1000 hypercalls cause 1000");
}

static void test_keys(void)
{
    struct session one, two;
    bool good = true;

    session_open(&one);
    session_open(&two);
    for (int bit = 0; bit < 256; bit += 17) {
        one.key[bit / 64] ^= 1ull << bit % 64;
        EXPECT(call(&one, JOB_COUNT, 1) == WORMHOLE_BAD_KEY, "bit %d", bit);
        one.key[bit / 64] ^= 1ull << bit % 64;
    }
    uint32_t index = one.index;
    one.index = two.index;
    EXPECT(call(&one, JOB_COUNT, 1) == WORMHOLE_BAD_KEY, "another session's key");
    one.index = index;
    EXPECT(one.data->total == 0 && two.data->total == 0, "%lu and %lu calls", one.data->total,
           two.data->total);
    EXPECT(stats_of(&one).started == 0 && stats_of(&two).started == 0, "a lane was touched");
    EXPECT(works(&one) && works(&two), "with the right key");
    struct vcpu *vcpu = &machine.vcpus[0];
    prepare(vcpu, &one, JOB_ECHO, 1, 1);
    vcpu->args->call.lane = CALLEE_LANES;
    machine_run(vcpu);
    EXPECT(vcpu->args->call.status == WORMHOLE_BUSY, "a lane too far: %lu",
           vcpu->args->call.status);
    prepare(vcpu, &one, JOB_ECHO, 1, 1);
    vcpu->args->call.lane = ~0ull;
    machine_run(vcpu);
    EXPECT(vcpu->args->call.status == WORMHOLE_BUSY, "the last lane of all: %lu",
           vcpu->args->call.status);
    session_close(&one);
    session_close(&two);
    verdict(good, "no call without the session's own key");
}

static void test_long_calls(void)
{
    const uint64_t rounds = 400000;
    struct session session;
    bool good = true;

    session_open(&session);
    for (int i = 0; i < 4; i++) {
        EXPECT(call(&session, JOB_WORK, rounds + (uint64_t)i) == WORMHOLE_DONE, "status %lu",
               machine.vcpus[0].args->call.status);
        EXPECT(machine.vcpus[0].args->call.value == callee_work(rounds + (uint64_t)i),
               "a wrong result");
    }
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(stats.suspensions > 0, "no call was suspended: the test shows nothing");
    EXPECT(stats.calls == 4 && stats.started == 4, "%llu of %llu", stats.calls, stats.started);
    printf("# suspended %llu, in the view %lu exits\n", stats.suspensions, sum(stats.exits));
    session_close(&session);
    verdict(good, "long calls are suspended and continue, vectors and all");
}

/* A timer's signal takes the vCPU's thread out of the guest, wherever it is. */
static void no_op(int signal)
{
    (void)signal;
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

static void test_exactly_once(void)
{
    const uint64_t count = 50000;
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
static void test_violations(void)
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
    struct session bystander;
    bool good = true;

    session_open(&bystander);
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
        EXPECT(works(&bystander), "%s: the other session", cases[i].name);
    }
    EXPECT(canaries_live(&bystander), "the other session's canaries");
    session_close(&bystander);
    verdict(good, "a callee's fault, system call or exit ends its session only");
}

static void test_budget(void)
{
    struct session session, bystander;
    bool good = true;

    session_create(&session, 20000000);
    session_bind(&session);
    session_open(&bystander);
    EXPECT(call(&session, JOB_FOREVER, 0) == WORMHOLE_LOST, "status %lu",
           machine.vcpus[0].args->call.status);
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(stats.overruns == 1 && stats.lost == 1, "%llu overruns", stats.overruns);
    printf("# suspended %llu times before\n", stats.suspensions);
    EXPECT(call(&session, JOB_ECHO, 1) == WORMHOLE_LOST, "a call after");
    EXPECT(works(&bystander), "the other session");
    session_close(&session);
    session_close(&bystander);
    verdict(good, "a call beyond its budget loses its session only");
}

/* Entering at every byte: only the jump and the way out lead anywhere, and the jump leads to the
 * key. */
static void test_every_offset(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    uint8_t *frames = machine.memory + GATE_FRAMES, saved[3 * 4096];
    uint64_t refused = 0, faults = 0;
    struct session session;
    bool good = true;

    session_open(&session);
    memcpy(saved, frames, sizeof(saved));
    for (uint64_t offset = 0; offset <= 4096; offset++) {
        uint8_t *vmfunc = frames + PAGE + offset - 3;

        /* ud2 everywhere, the VMFUNC, and a stop where the gate would come back to. */
        for (size_t i = 0; i < sizeof(saved); i += 2)
            memcpy(frames + i, "\x0f\x0b", 2);
        memcpy(frames + PAGE + WORMHOLE_RETURN, "\xe6\x11", 2);
        memcpy(vmfunc, "\x0f\x01\xd4", 3);
        prepare(vcpu, &session, JOB_COUNT, 1, 1);
        vcpu->args->job = GUEST_JUMP;
        vcpu->args->target = GUEST_GATE + offset - 3;
        vcpu->args->call.key[3] ^= 1;
        vcpu->args->call.first =
            CALLEE_DATA; /* rdx, rbx: addresses that a stray store would like */
        vcpu->args->call.second = CALLEE_DATA;
        int port = machine_run(vcpu);
        if (port == 0x11 && offset == WORMHOLE_ENTER)
            refused++;
        else if (port == PORT_FAULT + 6)
            faults++;
        else
            EXPECT(false, "offset %lx: port %x", offset, (unsigned)port);
    }
    memcpy(frames, saved, sizeof(saved));
    struct wormhole_view_stats stats = stats_of(&session);
    printf("# refused %lu, faults %lu; strays %llu\n", refused, faults, stats.strays);
    EXPECT(refused == 1 && faults == 4096, "not each offset has its end");
    EXPECT(stats.started == 0 && stats.lost == 0 && session.data->total == 0, "%llu calls",
           stats.started);
    EXPECT(canaries_live(&session) && session.data->gate == GUEST_GATE, "canaries");
    EXPECT(works(&session), "the session afterwards");
    session_close(&session);
    verdict(good, "entering at every byte of the gate page reaches the key or nothing");
}

/* The client's flags do not reach the callee, the callee's registers do not reach the client. */
static void test_flags(void)
{
    static const struct {
        const char *name;
        uint64_t flags;
        int port;
    } cases[] = {
        {"none", 0x3202, 0x11},
        {"direction", 0x3602, 0x11},
        {"alignment", 0x43202, 0x11},
        {"nested task", 0x7202, 0x11},
        {"all of arithmetic", 0x3ad7, 0x11},
        {"trap", 0x3302, PORT_FAULT + 6},
    };
    struct vcpu *vcpu = &machine.vcpus[0];
    uint8_t *page = machine.memory + GATE_FRAMES + PAGE, saved[4096];
    struct session session;
    bool good = true;

    session_open(&session);
    memcpy(saved, page, sizeof(saved));
    memcpy(page + WORMHOLE_ENTER - 4, "\x9d\x0f\x01\xd4", 4); /* popf, vmfunc */
    memcpy(page + WORMHOLE_RETURN, "\xe6\x11", 2);
    vcpu->start.cr0 |= 1 << 18; /* alignment is checked */
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        prepare(vcpu, &session, JOB_ECHO, i, 1);
        vcpu->args->job = GUEST_JUMP;
        vcpu->args->flags = cases[i].flags;
        vcpu->args->target = GUEST_GATE + WORMHOLE_ENTER - 4;
        int port = machine_run(vcpu);
        struct kvm_regs regs = machine_registers(vcpu);
        EXPECT(port == cases[i].port, "%s: port %x", cases[i].name, (unsigned)port);
        if (port != 0x11)
            continue;
        EXPECT(regs.rdx == WORMHOLE_DONE && regs.rsi == callee_mix(i), "%s: status %llu",
               cases[i].name, regs.rdx);
        EXPECT(!(regs.rax | regs.rcx | regs.rbx | regs.rbp | regs.rdi | regs.r8 | regs.r9 |
                 regs.r10 | regs.r11 | regs.r12 | regs.r13 | regs.r14 | regs.r15),
               "%s: a register is not clean", cases[i].name);
    }
    vcpu->start.cr0 &= ~(1ull << 18);
    memcpy(page, saved, sizeof(saved));
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(!stats.lost && stats.strays == 1 && works(&session), "lost %llu, strays %llu",
           stats.lost, stats.strays);
    session_close(&session);
    verdict(good, "flags stay outside, registers inside");
}

/* Where a suspended call's client goes on, nothing of what the callee had in registers is to be
 * seen. */
static void test_suspended_registers(void)
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

/* A guest's kernel makes a page of the view its page-table root: it may wreck its session, and
 * nothing else. */
static void test_roots(void)
{
    enum { PAGES = 96 };
    struct kvm_userspace_memory_region region = {.slot = 2, .memory_size = PAGES * PAGE};
    uint8_t *tables =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session, bystander;
    uint64_t root = vcpu->start.cr3, ends[3] = {0};
    uint32_t a = 0x80000008, b, c = 0, d;
    bool good = true;

    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    region.guest_phys_addr = 1ull << ((a & 0xff) - 1); /* where the module puts a view's pages */
    region.userspace_addr = (uint64_t)tables;
    for (int i = 0; i < PAGES; i++)
        memcpy(tables + i * 4096, machine.memory + root, PAGE);
    MUST(ioctl(machine.vm, KVM_SET_USER_MEMORY_REGION, &region));
    session_open(&bystander);
    for (uint64_t i = 0; i < PAGES; i++) {
        session_open(&session);
        prepare(vcpu, &session, JOB_ECHO, 5, 1);
        vcpu->start.cr3 = region.guest_phys_addr + i * PAGE;
        int port = machine_run(vcpu);
        vcpu->start.cr3 = root;
        if (port == PORT_DONE && vcpu->args->call.status == WORMHOLE_DONE)
            ends[0]++;
        else if (port == PORT_FAULT + 6)
            ends[1]++;
        else
            ends[2]++;
        EXPECT(works(&bystander) && canaries_live(&bystander), "page %lu: the other session", i);
        session_close(&session);
    }
    region.memory_size = 0;
    MUST(ioctl(machine.vm, KVM_SET_USER_MEMORY_REGION, &region));
    printf("# %lu calls worked, %lu faults, %lu other ends\n", ends[0], ends[1], ends[2]);
    EXPECT(ends[1] > 0, "no root led astray: the test shows nothing");
    munmap(tables, PAGES * PAGE);
    session_close(&bystander);
    verdict(good, "a page of the view as the guest's page-table root harms nobody else");
}

static void test_every_index(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;
    uint64_t refused = 0, faults = 0, same = 0;
    uint8_t saved[3];

    session_open(&session);
    /* Where the VMFUNC goes on if it changed nothing. */
    memcpy(saved, machine.memory + GATE_FRAMES + PAGE + WORMHOLE_ENTER, 2);
    memcpy(machine.memory + GATE_FRAMES + PAGE + WORMHOLE_ENTER, "\xe6\x12", 2);
    for (uint64_t index = 0; index < 520; index++) {
        uint64_t wanted = index < 512 ? index : (index - 511) << 28;

        prepare(vcpu, &session, JOB_COUNT, 1, 1);
        vcpu->args->call.index = wanted;
        vcpu->args->call.key[0] ^= 1;
        int port = machine_run(vcpu);
        if (port == 0x12 && wanted == 0)
            same++;
        else if (port == PORT_DONE && wanted == session.index &&
                 vcpu->args->call.status == WORMHOLE_BAD_KEY)
            refused++;
        else if (port == PORT_FAULT + 6 && wanted != session.index)
            faults++;
        else if (port == PORT_DONE && vcpu->args->call.status == WORMHOLE_LOST && wanted < 100)
            faults++; /* the index of a session that is over */
        else
            EXPECT(false, "index %lx: port %x, status %lu", wanted, (unsigned)port,
                   vcpu->args->call.status);
    }
    memcpy(machine.memory + GATE_FRAMES + PAGE + WORMHOLE_ENTER, saved, 2);
    printf("# same %lu, refused %lu, faults %lu\n", same, refused, faults);
    EXPECT(same == 1 && refused == 1, "index 0 and %u", session.index);
    EXPECT(session.data->total == 0 && works(&session), "the session");
    session_close(&session);
    verdict(good, "every index leads to a key or to nothing");
}

/*
 * Where nothing is mapped, with a stack pointer that lies in a lane: the module must not take the
 * intruder for a call in that lane, neither when he faults nor when an interrupt comes first.
 */
static void test_borrowed_stack(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    uint8_t *code = machine.memory + 0x180000;
    struct session session;
    bool good = true;

    session_open(&session);
    memcpy(code, "\x0f\x01\xd4", 3);
    for (uint64_t lane = 0; lane < CALLEE_LANES + 2; lane++) {
        prepare(vcpu, &session, JOB_COUNT, 1, 1);
        vcpu->args->job = GUEST_JUMP;
        vcpu->args->target = 0x180000;
        vcpu->args->stack = WORMHOLE_ZONE + 0x100000 + lane * 0x10000 + 0xe000;
        int port = machine_run(vcpu);
        EXPECT(port == PORT_FAULT + 6, "lane %lu: port %x", lane, (unsigned)port);
    }
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(!stats.lost && !stats.violations && !stats.suspensions &&
               stats.strays == CALLEE_LANES + 2,
           "lost %llu, suspended %llu, strays %llu", stats.lost, stats.suspensions, stats.strays);
    EXPECT(works(&session), "the session");
    session_close(&session);
    verdict(good, "a stack pointer in a lane makes no call of an intruder");
}

/* From one view a callee may go nowhere in another. */
static void test_view_to_view(void)
{
    struct session attacker, victim, elsewhere;
    struct wormhole_view_create wish;
    struct wormhole_range ranges[2];
    bool good = true;

    session_open(&attacker);
    session_open(&victim);
    /* Its gate page is somewhere else: the attacker lands where it has nothing, on a stack in its
     * lane. */
    wish_for(&wish, ranges, &elsewhere);
    wish.gate += PAGE;
    elsewhere.view = (int)MUST(ioctl(device, WORMHOLE_VIEW_CREATE, &wish));
    forget_code(&ranges[0]);
    session_bind(&elsewhere);
    struct vcpu *vcpu = &machine.vcpus[0];
    prepare(vcpu, &attacker, JOB_SWITCH, elsewhere.index, 1);
    vcpu->args->call.lane = 1;
    int port = machine_run(vcpu);
    EXPECT(port == PORT_FAULT + 6, "port %x, status %lu", (unsigned)port, vcpu->args->call.status);
    EXPECT(stats_of(&elsewhere).lost == 0 && stats_of(&elsewhere).strays == 1,
           "lost %llu, strays %llu", stats_of(&elsewhere).lost, stats_of(&elsewhere).strays);
    session_close(&elsewhere);
    prepare(vcpu, &attacker, JOB_SWITCH, victim.index, 1);
    port = machine_run(vcpu);
    EXPECT(port == PORT_FAULT + 6, "port %x, status %lu", (unsigned)port, vcpu->args->call.status);
    struct wormhole_view_stats stats = stats_of(&victim);
    EXPECT(stats.started == 0 && stats.lost == 0 && stats.strays == 1, "%llu started, %llu strays",
           stats.started, stats.strays);
    EXPECT(canaries_live(&victim) && works(&victim), "the victim");
    session_close(&attacker);
    session_close(&victim);
    verdict(good, "a callee that switches to another session's view lands on nothing");
}

static void test_memory_slots(void)
{
    struct kvm_userspace_memory_region region = {
        .slot = 1, .guest_phys_addr = 0x40000000, .memory_size = 16 * PAGE};
    void *extra =
        mmap(NULL, region.memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;

    session_open(&session);
    prepare(vcpu, &session, JOB_WORK, 20000, 60);
    machine_start(vcpu);
    region.userspace_addr = (uint64_t)extra;
    for (int i = 0; i < 10; i++) {
        region.memory_size = 16 * PAGE;
        MUST(ioctl(machine.vm, KVM_SET_USER_MEMORY_REGION, &region));
        region.memory_size = 0;
        MUST(ioctl(machine.vm, KVM_SET_USER_MEMORY_REGION, &region));
    }
    int port = machine_wait(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->done == 60, "port %x, %lu done", (unsigned)port,
           vcpu->args->done);
    EXPECT(works(&session), "the session");
    munmap(extra, 16 * PAGE);
    session_close(&session);
    verdict(good, "memory slots come and go during calls");
}

/* Both vCPUs in one view and in two, on lanes of their own, their threads moved between CPUs where
 * there are two. */
static void test_two_vcpus(void)
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

static void test_migration(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;
    cpu_set_t all, one;

    sched_getaffinity(0, sizeof(all), &all);
    session_open(&session);
    prepare(vcpu, &session, JOB_WORK, 20000, 100);
    machine_start(vcpu);
    for (int i = 0; i < 40; i++) {
        CPU_ZERO(&one);
        CPU_SET((size_t)(i % (CPU_COUNT(&all) > 1 ? 2 : 1)), &one);
        pthread_setaffinity_np(vcpu->thread, sizeof(one), &one);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    pthread_setaffinity_np(vcpu->thread, sizeof(all), &all);
    int port = machine_wait(vcpu);
    EXPECT(port == PORT_DONE && vcpu->args->done == 100, "port %x, %lu done", (unsigned)port,
           vcpu->args->done);
    struct wormhole_view_stats stats = stats_of(&session);
    printf("# %d CPUs, suspended %llu\n", CPU_COUNT(&all), stats.suspensions);
    session_close(&session);
    verdict(good, "a vCPU's thread moves between CPUs during calls");
}

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

static void test_worker_dies(void)
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
static void test_descriptors(void)
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
static void test_pause_and_reset(void)
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
static void test_guest_dies(void)
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
static void test_service_vm(void)
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

static void test_cycles(void)
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

static void (*const all[])(void) = {
    test_refusals,       test_exits,           test_keys,
    test_long_calls,     test_exactly_once,    test_violations,
    test_budget,         test_every_offset,    test_every_index,
    test_borrowed_stack, test_view_to_view,    test_memory_slots,
    test_two_vcpus,      test_migration,       test_worker_dies,
    test_descriptors,    test_flags,           test_suspended_registers,
    test_roots,          test_pause_and_reset, test_guest_dies,
    test_service_vm,     test_cycles,
};

int main(int argc, char **argv)
{
    const int last_of_all = (int)(sizeof(all) / sizeof(*all));
    int first = argc > 2 ? atoi(argv[2]) : 1, last = argc > 3 ? atoi(argv[3]) : last_of_all;

    signal(SIGUSR1, no_op);
    cycles = argc > 1 ? atoi(argv[1]) : cycles;
    setbuf(stdout, NULL);
    device = (int)MUST(open("/dev/wormhole", O_RDWR | O_CLOEXEC));
    machine_open(&machine);
    struct wormhole_vm_open open_vm = {.kvm_fd = machine.vm};
    vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    for (int i = first; i <= last && i <= last_of_all; i++)
        all[i - 1]();
    printf("1..%d\n", tests);
    return failures != 0;
}
