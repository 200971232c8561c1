/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: attacks by the guest's kernel, or with its help: 32-bit code, page-table roots, descriptor
 * tables, and ring 0 in a view. It may wreck its own VM, and nothing else.
 */
#include "mini.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* ---- other modes ---- */

/*
 * 32-bit code's instruction pointer has 32 bits, and the gate lies above 4 GiB: where the low half
 * of its address leads there is nothing, or data.
 */
void test_32bit(void)
{
    static const uint8_t code[] = {0xb9, 0, 0, 0, 0, 0x31, 0xc0, 0x0f, 0x01, 0xd4, 0xe6, 0x12};
    const uint64_t low = SPARE + WORMHOLE_ENTER - 10; /* the VMFUNC's end is at ENTER */
    struct vcpu *vcpu = &machine.vcpus[0];
    struct wormhole_view_create wish;
    struct wormhole_range ranges[2];
    struct session sessions[2];
    bool good = true;

    wish_for(&wish, ranges, &sessions[0]);
    wish.gate = GUEST_GATE | SPARE;
    sessions[0].view = (int)MUST(ioctl(device, WORMHOLE_VIEW_CREATE, &wish));
    forget_code(&ranges[0]);
    session_bind(&sessions[0]);
    open_with_lower_data(&sessions[1], SPARE);
    machine_mode(vcpu, MODE_32BIT);
    vcpu->entry = low;
    memcpy(machine.memory + low, code, sizeof(code));
    int port = machine_run(vcpu);
    EXPECT(port == PORT_THERE, "index 0, from 32-bit code: port %x", (unsigned)port);
    for (int i = 0; i < 2; i++) {
        memcpy(machine.memory + low + 1, &sessions[i].index, 4);
        port = machine_run(vcpu);
        EXPECT(port == PORT_UD, "session %d: port %x", i, (unsigned)port);
        struct wormhole_view_stats stats = stats_of(&sessions[i]);
        EXPECT(stats.strays == 1 && !stats.started && !stats.lost, "session %d: %llu strays", i,
               stats.strays);
    }
    vcpu->entry = 0;
    machine_mode(vcpu, MODE_USUAL);
    EXPECT(works(&sessions[1]) && beside_live(), "the sessions");
    session_close(&sessions[0]);
    session_close(&sessions[1]);
    verdict(good, "32-bit code gets into a view, and finds no gate there");
}

/* ---- page-table roots ---- */

enum { WINDOW_PAGES = 96 };

/* Memory of the VM's own where the module puts a view's pages: each is a page-table root there. */
static void set_window(bool open)
{
    static uint8_t *tables;
    struct kvm_userspace_memory_region region = {.slot = 2, .guest_phys_addr = window()};

    if (!tables)
        tables = mmap(NULL, WINDOW_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0);
    for (int i = 0; i < WINDOW_PAGES; i++)
        memcpy(tables + i * 4096, machine.memory + machine.vcpus[0].start.cr3, PAGE);
    region.userspace_addr = (uint64_t)tables;
    region.memory_size = open ? WINDOW_PAGES * PAGE : 0;
    MUST(ioctl(machine.vm, KVM_SET_USER_MEMORY_REGION, &region));
}

/* A guest's kernel makes a page of the view its page-table root: it may wreck its session, and
 * nothing else. */
void test_roots(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    uint64_t root = vcpu->start.cr3, ends[3] = {0};
    bool good = true;

    set_window(true);
    for (uint64_t i = 0; i < WINDOW_PAGES; i++) {
        session_open(&session);
        prepare(vcpu, &session, JOB_ECHO, 5, 1);
        vcpu->start.cr3 = window() + i * PAGE;
        int port = machine_run(vcpu);
        vcpu->start.cr3 = root;
        if (port == PORT_DONE && vcpu->args->call.status == WORMHOLE_DONE)
            ends[0]++;
        else if (port == PORT_UD)
            ends[1]++;
        else
            ends[2]++;
        EXPECT(beside_live(), "page %lu: the others", i);
        session_close(&session);
    }
    set_window(false);
    printf("# %lu calls worked, %lu faults, %lu other ends\n", ends[0], ends[1], ends[2]);
    EXPECT(ends[1] > 0, "no root led astray: the test shows nothing");
    verdict(good, "a page of the view as the guest's page-table root harms nobody else");
}

/* ---- the guest's kernel ---- */

/* One VMFUNC of the guest's kernel that lands at an upper-half address, as none of ring 3 can. */
static int land_in_zone(const struct session *session, uint64_t address)
{
    const uint64_t page = SPARE + 0x20000;
    struct vcpu *vcpu = &machine.vcpus[0];

    memset(machine.memory + page, 0x90, PAGE);
    memcpy(machine.memory + page + (address - 3) % PAGE, "\x0f\x01\xd4", 3);
    prepare_jump(session, address - 3);
    fill_registers(vcpu->args->registers);
    vcpu->args->registers[RDX] = JOB_ECHO;
    machine_mode(vcpu, MODE_RING0);
    int port = machine_run(vcpu);
    machine_mode(vcpu, MODE_USUAL);
    return port;
}

/* The guest's kernel is a client too. It may be in ring 0 in a view, at any of its instructions. */
void test_ring0(void)
{
    const uint64_t gate = is_short() ? 192 : 512, callee = is_short() ? 32 : 512;
    const struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    uint64_t back = 0, undefined = 0, shut_down = 0, other = 0, inside = 0;
    bool good = true;

    machine_map(&machine, WORMHOLE_ZONE, SPARE + 0x20000);
    machine_map(&machine, CALLEE_CODE, SPARE + 0x20000);
    take_gate();
    memcpy(GATE_PAGE + WORMHOLE_RETURN, "\xe6\x11", 2);
    for (uint64_t i = 0; i < gate + callee; i++) {
        session_create(&session, 20000000);
        session_bind(&session);
        int port =
            land_in_zone(&session, 3 + (i < gate ? WORMHOLE_ZONE + i : CALLEE_CODE + i - gate));
        back += port == PORT_BACK;
        undefined += port == PORT_UD;
        shut_down += port == -1 && vcpu->run->exit_reason == KVM_EXIT_SHUTDOWN;
        other += port == -1 && vcpu->run->exit_reason != KVM_EXIT_SHUTDOWN;
        struct wormhole_view_stats stats = stats_of(&session);
        inside += stats.strays || stats.violations || stats.started || port == PORT_BACK;
        session_close(&session);
    }
    give_gate();
    machine_unmap(&machine, WORMHOLE_ZONE);
    printf("# %lu came back, %lu #UD, %lu shut down, %lu other ends; %lu were in the view\n", back,
           undefined, shut_down, other, inside);
    EXPECT(inside > gate, "few were in the view: the test shows little");
    EXPECT(beside_live(), "the others");
    verdict(good, "a guest's kernel in a view, at any instruction, harms nobody else");
}

/* In ring 0 a callee may load CR3: in the view that changes nothing, wherever it leads to. */
void test_ring0_roots(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    uint64_t worked = 0;
    bool good = true;

    memcpy(machine.memory + SPARE, machine.memory + vcpu->start.cr3, PAGE);
    memset(machine.memory + SPARE + PAGE, 0xff, PAGE);
    set_window(true);
    for (uint64_t i = 0; i < WINDOW_PAGES + 2; i++) {
        uint64_t root = i < 2 ? SPARE + i * PAGE : window() + (i - 2) * PAGE;

        session_open(&session);
        prepare(vcpu, &session, JOB_ROOT, root, 1);
        machine_mode(vcpu, MODE_RING0);
        int port = machine_run(vcpu);
        machine_mode(vcpu, MODE_USUAL);
        struct wormhole_view_stats stats = stats_of(&session);
        EXPECT(stats.started == 1, "root %lx: %llu started", root, stats.started);
        /* Back from the view the one leads anywhere, the other nowhere. */
        EXPECT(i > 1 || stats.calls == 1, "root %lx: the callee did not end", root);
        EXPECT(i > 0 || port == PORT_DONE, "root %lx: port %x", root, (unsigned)port);
        worked += port == PORT_DONE && vcpu->args->call.status == WORMHOLE_DONE;
        EXPECT(beside_live(), "root %lx: the others", root);
        session_close(&session);
    }
    set_window(false);
    printf("# %lu of %d calls worked\n", worked, WINDOW_PAGES + 2);
    verdict(good, "a page-table root that is loaded in a view harms nobody else");
}

/* HLT is an exit only in ring 0, and one that some kernels handle before anybody sees it. */
void test_ring0_halt(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    uint8_t *page = machine.memory + GATE_FRAMES + PAGE, saved[PAGE];
    struct session session;
    bool good = true;

    session_open(&session);
    memcpy(saved, page, sizeof(saved));
    memcpy(page + WORMHOLE_RETURN, "\xe6\x11", 2); /* tells whether it goes on just there */
    prepare(vcpu, &session, JOB_HLT, 0, 1);
    machine_mode(vcpu, MODE_RING0);
    int port = machine_run(vcpu);
    struct kvm_regs regs = machine_registers(vcpu);
    machine_mode(vcpu, MODE_USUAL);
    memcpy(page, saved, sizeof(saved));
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(port == 0x11 && regs.rdx == WORMHOLE_LOST, "port %x, exit %u, status %llu",
           (unsigned)port, vcpu->run->exit_reason, regs.rdx);
    EXPECT(stats.lost == 1 && stats.violations == 1, "lost %llu, violations %llu", stats.lost,
           stats.violations);
    EXPECT(beside_live(), "the others");
    session_close(&session);
    verdict(good, "a callee that halts in ring 0 ends its session, and its client goes on");
}

/*
 * The guest's kernel has its interrupt descriptors where the view has a page that cannot be read:
 * an INT there is an exit in the middle of an event, which KVM would deliver anew, to the client.
 */
void test_descriptor_table(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    const uint64_t usual = vcpu->start.idt.base;
    static const uint64_t bases[] = {WORMHOLE_ZONE, CONFIG, CALLEE_DATA, LANES};
    struct session session;
    bool good = true;

    for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
        session_open(&session);
        prepare(vcpu, &session, JOB_SOFT_INTERRUPT, 0, 1);
        vcpu->start.idt.base = bases[i];
        int port = machine_run(vcpu);
        vcpu->start.idt.base = usual;
        EXPECT(port == PORT_DONE && vcpu->args->call.status == WORMHOLE_LOST,
               "at %lx: port %x, exit %u, status %lu", bases[i], (unsigned)port,
               vcpu->run->exit_reason, vcpu->args->call.status);
        EXPECT(vcpu->args->interrupts == 0 && beside_live(), "at %lx: the others", bases[i]);
        session_close(&session);
    }
    verdict(good, "an event that is delivered in a view ends there, whatever delivers it");
}

/* Ring 0's PAUSE may be an exit after which KVM goes on behind it: in the view there is no behind.
 */
void test_pause(void)
{
    const uint64_t count = 200000;
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;

    session_open(&session);
    machine_mode(vcpu, MODE_RING0);
    EXPECT(call(&session, JOB_PAUSE, count) == WORMHOLE_DONE && vcpu->args->call.value == count,
           "status %lu, value %lu", vcpu->args->call.status, vcpu->args->call.value);
    machine_mode(vcpu, MODE_USUAL);
    printf("# %llu exits by PAUSE\n", stats_of(&session).exits[EXIT_PAUSE]);
    session_close(&session);
    verdict(good, "a callee that waits is suspended where it stands");
}
