/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: getting into views, and not getting in: requests, keys, offsets, indices, registers and
 * roots of a client that means no good.
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

/* Entering at every byte: only the jump and the way out lead anywhere, and the jump leads to the
 * key. */
void test_every_offset(void)
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

/* A guest's kernel makes a page of the view its page-table root: it may wreck its session, and
 * nothing else. */
void test_roots(void)
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

void test_every_index(void)
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
void test_borrowed_stack(void)
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
void test_view_to_view(void)
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
