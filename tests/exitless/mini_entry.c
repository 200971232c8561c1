/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: getting into views, and not getting in: requests to the module, keys, and what registers
 * carry in and out.
 */
#include "mini.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

void test_refusals(void)
{
    struct wormhole_view_create wish, bad;
    struct wormhole_range ranges[2], other[2];
    struct session session;
    bool good = true;

    const struct wormhole_info before = info_now();

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
    REFUSED(EINVAL,
            other[1].view_address = 0xfe0000000000); /* not below, with five levels either */
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
    EXPECT(nothing_left(&before), "views, pins or pages");
    forget_code(&ranges[0]);
    page_give(session.data);
    verdict(good, "what is malformed is refused and leaves nothing behind");
}

/* Calls cause no exit: those that there are have other causes, and there are as many per VMCALL as
 * calls. */
void test_exits(void)
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

void test_keys(void)
{
    struct session one, two;
    bool good = true;

    session_open(&one);
    session_open(&two);
    for (int bit = 0; bit < 256; bit++) {
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

/* All exceptions of x87 and SSE are unmasked for the client, none for the callee; and back again.
 */
static bool masks_stay_outside(const struct session *session)
{
    enum { CONTROL, MXCSR = 6, PRESENT = 128 };
    struct vcpu *vcpu = &machine.vcpus[0];
    struct kvm_xsave usual, odd, after;
    bool good = true;

    MUST(ioctl(vcpu->fd, KVM_GET_XSAVE, &usual));
    odd = usual;
    odd.region[CONTROL] = 0x340;
    odd.region[MXCSR] = 0x2000; /* rounds down */
    odd.region[PRESENT] |= 3;
    MUST(ioctl(vcpu->fd, KVM_SET_XSAVE, &odd));
    EXPECT(call(session, JOB_WORK, 1000) == WORMHOLE_DONE, "status %lu", vcpu->args->call.status);
    EXPECT(vcpu->args->call.value == callee_work(1000), "a wrong result");
    MUST(ioctl(vcpu->fd, KVM_GET_XSAVE, &after));
    EXPECT((after.region[CONTROL] & 0xffff) == 0x340 && after.region[MXCSR] == 0x2000,
           "control word %x, MXCSR %x", after.region[CONTROL], after.region[MXCSR]);
    MUST(ioctl(vcpu->fd, KVM_SET_XSAVE, &usual));
    return good;
}

/* The client's flags do not reach the callee, the callee's registers do not reach the client. */
void test_flags(void)
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
        prepare_jump(&session, GUEST_GATE + WORMHOLE_ENTER - 4);
        vcpu->args->flags = cases[i].flags;
        vcpu->args->registers[RDX] = JOB_ECHO;
        vcpu->args->registers[RBX] = i;
        int port = jump_in();
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
    good &= masks_stay_outside(&session);
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(!stats.lost && stats.strays == 1 && works(&session), "lost %llu, strays %llu",
           stats.lost, stats.strays);
    session_close(&session);
    verdict(good, "flags stay outside, registers inside");
}

/* ---- AVX ---- */

/* The upper halves of the vector registers, in the vCPU's extended state. */
static uint8_t *upper_halves(struct kvm_xsave *state)
{
    return (uint8_t *)state->region + 576;
}

static bool has_avx(void)
{
    uint32_t a = 1, b, c = 0, d;

    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c & 1 << 28;
}

static void allow_avx(struct vcpu *vcpu, bool allowed)
{
    struct kvm_xcrs registers = {.nr_xcrs = 1, .xcrs = {{.value = allowed ? 7 : 1}}};

    vcpu->start.cr4 = allowed ? vcpu->start.cr4 | 1 << 18 : vcpu->start.cr4 & ~(1ull << 18);
    MUST(ioctl(vcpu->fd, KVM_SET_SREGS, &vcpu->start));
    MUST(ioctl(vcpu->fd, KVM_SET_XCRS, &registers));
}

/* Callees have no AVX, and nobody else may touch what a client has there. */
void test_avx(void)
{
    static const char *name =
        "calls, suspended ones too, leave AVX's halves of the registers alone";
    struct vcpu *vcpu = &machine.vcpus[0];
    struct kvm_xsave before, after;
    struct session session;
    bool good = true;

    if (!has_avx()) {
        printf("# this CPU has no AVX\n");
        skip(name);
        return;
    }
    session_open(&session);
    allow_avx(vcpu, true);
    MUST(ioctl(vcpu->fd, KVM_GET_XSAVE, &before));
    before.region[128] |= 7; /* XSTATE_BV: x87, SSE, AVX */
    for (int i = 0; i < 256; i++)
        upper_halves(&before)[i] = (uint8_t)(i ^ 0x5a);
    MUST(ioctl(vcpu->fd, KVM_SET_XSAVE, &before));
    prepare(vcpu, &session, JOB_WORK, 400000, 4);
    EXPECT(machine_run(vcpu) == PORT_DONE && vcpu->args->done == 4, "%lu done", vcpu->args->done);
    MUST(ioctl(vcpu->fd, KVM_GET_XSAVE, &after));
    EXPECT(!memcmp(upper_halves(&before), upper_halves(&after), 256), "they have changed");
    EXPECT(stats_of(&session).suspensions > 0, "no call was suspended: the test shows nothing");
    allow_avx(vcpu, false);
    session_close(&session);
    verdict(good, name);
}
