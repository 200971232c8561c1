/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: a process's attacks: a VMFUNC at any byte, with any index, function and registers, and what
 * code in a view may name. Each ends for who tried it.
 */
#include "mini.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static uint8_t saved[3 * 4096];

void take_gate(void)
{
    memcpy(saved, GATE_PAGE - PAGE, sizeof(saved));
}

void give_gate(void)
{
    memcpy(GATE_PAGE - PAGE, saved, sizeof(saved));
}

void fill_registers(uint64_t *registers)
{
    registers[RDX] = LANE(1) + LANE_PAGE;
    registers[RBX] = CONFIG;
    registers[RSP] = LANE(1) + 0xe800;
    registers[RBP] = LANE(1) + LANE_PAGE;
    registers[R12] = LANE(1) + LANE_PAGE;
    registers[R13] = WORMHOLE_ZONE;
    registers[R14] = GUEST_GATE + WORMHOLE_LEAVE;
    registers[R15] = CALLEE_DATA;
}

uint64_t window(void)
{
    uint32_t a = 0x80000008, b, c = 0, d;

    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return 1ull << ((a & 0xff) - 1);
}

/* ---- every byte ---- */

struct round {
    bool in_short; /* the others in the long form only */
    const char *name;
    uint64_t lane, token;
    bool bad_key, addresses, other_root;
    uint64_t status; /* what who comes in by the gate is told */
};

/* Another process's, with an identifier where the CPU has them, and garbage where it has nothing.
 */
static void take_root(struct vcpu *vcpu)
{
    uint64_t *root = (uint64_t *)(machine.memory + SPARE + 0x10000);
    uint32_t a = 1, b, c = 0, d;

    memcpy(root, machine.memory + vcpu->start.cr3, PAGE);
    for (uint64_t i = 0; i < 512; i++)
        if (!root[i])
            root[i] = (callee_mix(i) & 0xffffffffff000) | 7;
    vcpu->start.cr3 = SPARE + 0x10000;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1 << 17))
        return;
    vcpu->start.cr4 |= 1 << 17;
    vcpu->start.cr3 |= 5;
}

static void put_undefined(uint64_t from, uint64_t size)
{
    for (uint64_t i = 0; i < size; i += 2)
        memcpy(GATE_PAGE - PAGE + from + i, "\x0f\x0b", 2);
    memcpy(GATE_PAGE + WORMHOLE_RETURN, "\xe6\x11", 2);
}

static bool enter_everywhere(const struct session *session, const struct round *round)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    const struct kvm_sregs start = vcpu->start;
    uint64_t inside = 0, faults = 0;
    bool good = true;

    if (round->other_root)
        take_root(vcpu);
    /* ud2 everywhere, the VMFUNC, and a stop where the gate would come back to. */
    put_undefined(0, 3 * PAGE);
    for (uint64_t offset = 0; offset <= 4096; offset++) {
        memcpy(GATE_PAGE + offset - 3, "\x0f\x01\xd4", 3);
        prepare_jump(session, GUEST_GATE + offset - 3);
        uint64_t *registers = vcpu->args->registers;
        if (round->addresses)
            fill_registers(registers);
        registers[RDI] = round->lane;
        registers[RSI] = round->token;
        registers[R11] ^= round->bad_key;
        int port = jump_in();
        if (port == PORT_BACK && offset == WORMHOLE_ENTER &&
            machine_registers(vcpu).rdx == round->status)
            inside++;
        else if (port == PORT_UD)
            faults++;
        else
            EXPECT(false, "%s: offset %lx: port %x, status %llu", round->name, offset,
                   (unsigned)port, machine_registers(vcpu).rdx);
        put_undefined((PAGE + offset - 4) & ~1ull, 6);
    }
    vcpu->start = start;
    EXPECT(inside == 1 && faults == 4096, "%s: %lu at the gate, %lu faults", round->name, inside,
           faults);
    return good;
}

/* Entering at every byte: only the jump and the way out lead anywhere, and the jump leads to the
 * key. */
void test_every_offset(void)
{
    static const struct round rounds[] = {
        {true, "a bad key", 0, 0, true, false, false, WORMHOLE_BAD_KEY},
        {false, "a bad key and a token", 0, 1, true, false, false, WORMHOLE_BAD_KEY},
        {false, "a bad key, addresses, a lane too far", CALLEE_LANES, 0, true, true, false,
         WORMHOLE_BAD_KEY},
        {true, "a bad key, addresses for lane and token", LANE(0), CONFIG, true, true, true,
         WORMHOLE_BAD_KEY},
        {false, "the key", 0, 0, false, false, false, WORMHOLE_DONE},
        {false, "the key and a token of no call", 0, 1, false, true, false, WORMHOLE_BUSY},
        {true, "the key, addresses, another root", 2, 0, false, true, true, WORMHOLE_DONE},
        {false, "the key and a lane that overflows", 1ull << 48, 0, false, true, false,
         WORMHOLE_BUSY},
    };
    struct session session;
    uint64_t calls = 0, done = 0;
    bool good = true;

    session_open(&session);
    take_gate();
    for (uint64_t i = 0; i < sizeof(rounds) / sizeof(*rounds); i++) {
        if (!rounds[i].in_short && is_short())
            continue;
        good &= enter_everywhere(&session, &rounds[i]);
        give_gate();
        calls += rounds[i].status == WORMHOLE_DONE;
        done++;
        struct wormhole_view_stats stats = stats_of(&session);
        EXPECT(stats.started == calls && stats.calls == calls && stats.lost == 0 &&
                   stats.strays == 4096 * done && session.data->lane[0].count <= 1,
               "%s: %llu started, lost %llu, %llu strays", rounds[i].name, stats.started,
               stats.lost, stats.strays);
        EXPECT(canaries_live(&session) && session.data->gate == GUEST_GATE && beside_live(),
               "%s: memory", rounds[i].name);
    }
    EXPECT(works(&session), "the session afterwards");
    printf("# %lu rounds of 4097 entries\n", done);
    session_close(&session);
    verdict(good, "entering at every byte of the gate page reaches the key or nothing");
}

/* ---- every index and function ---- */

/* The usual way in, by a VMFUNC with these registers: the port, with the status where it came back.
 */
static int step_in(const struct session *session, uint64_t rax, uint64_t rcx, uint64_t *status)
{
    struct vcpu *vcpu = &machine.vcpus[0];

    prepare_jump(session, GUEST_GATE + WORMHOLE_ENTER - WORMHOLE_VMFUNC_SIZE);
    vcpu->args->registers[RAX] = rax;
    vcpu->args->registers[RCX] = rcx;
    int port = jump_in();
    *status = machine_registers(vcpu).rdx;
    return port;
}

static void put_stops(void)
{
    memcpy(GATE_PAGE + WORMHOLE_ENTER, "\xe6\x12", 2);
    memcpy(GATE_PAGE + WORMHOLE_RETURN, "\xe6\x11", 2);
}

void test_every_index(void)
{
    static const uint64_t more[] = {
        1ull << 11, 1ull << 12,          1ull << 16,  1ull << 28,        1ull << 30,
        1ull << 31, (1ull << 31) + 1,    ~0u,         ~0u - 511,         1ull << 32,
        1ull << 63, (1ull << 32) + 1023, ~0ull << 32, (1ull << 52) + 512};
    struct session session;
    bool good = true;
    uint64_t refused = 0, faults = 0, same = 0;

    session_open(&session);
    take_gate();
    put_stops();
    const uint64_t exits = vm_stats().exits[EXIT_VMFUNC];
    for (uint64_t i = 0; i <= 1024 + sizeof(more) / sizeof(*more) + 2; i++) {
        const uint64_t own[] = {session.index | 1ull << 32, session.index | 1ull << 63};
        uint64_t n = i - 1025, n_more = sizeof(more) / sizeof(*more);
        uint64_t wanted = i <= 1024 ? i : n < n_more ? more[n] : own[(n - n_more) & 1];
        uint32_t low = (uint32_t)wanted; /* ecx is all that VMFUNC looks at */
        bool open = low == session.index || low == beside_session()->index;
        uint64_t status;

        session.key[0] ^= 1;
        int port = step_in(&session, 0, wanted, &status);
        session.key[0] ^= 1;
        if (port == PORT_THERE && low == 0)
            same++;
        else if (port == PORT_BACK && open && status == WORMHOLE_BAD_KEY)
            refused++;
        else if (!open && low != 0 &&
                 (port == PORT_UD || /* that of a session that is over: */
                  (port == PORT_BACK && status == WORMHOLE_LOST && low <= WORMHOLE_INDEX_MAX)))
            faults++;
        else
            EXPECT(false, "index %lx: port %x, status %lu", wanted, (unsigned)port, status);
    }
    give_gate();
    printf("# same %lu, refused %lu, faults %lu\n", same, refused, faults);
    EXPECT(same == 4 && refused >= 4, "index 0 and %u", session.index);
    EXPECT(vm_stats().exits[EXIT_VMFUNC] - exits == faults, "%llu exits",
           vm_stats().exits[EXIT_VMFUNC] - exits);
    EXPECT(session.data->total == 0 && works(&session), "the session");
    session_close(&session);
    verdict(good, "every index leads to a key or to nothing");
}

/* Of VMFUNC's 64 functions one is enabled; there are no others: an exit here, #UD by the CPU there.
 */
void test_functions(void)
{
    static const uint64_t inside[] = {1, 2, 63, 64, 1ull << 31, ~0u};
    struct session session;
    bool good = true;
    uint64_t status;

    session_open(&session);
    take_gate();
    put_stops();
    for (uint64_t i = 1; i <= 70; i++) {
        uint64_t function = i <= 66 ? i : i == 67 ? 1ull << 31 : i == 68 ? ~0u : i << 12;
        uint64_t exits = vm_stats().exits[EXIT_VMFUNC];
        int port = step_in(&session, function, session.index, &status);

        exits = vm_stats().exits[EXIT_VMFUNC] - exits;
        EXPECT(port == PORT_UD, "function %lx: port %x", function, (unsigned)port);
        EXPECT(exits == (function < 64), "function %lx: %lu exits", function, exits);
    }
    EXPECT(stats_of(&session).started == 0 && stats_of(&session).strays == 0, "something came in");
    int port = step_in(&session, 1ull << 32, session.index, &status);
    EXPECT(port == PORT_BACK && status == WORMHOLE_DONE, "eax 0 below: port %x", (unsigned)port);
    give_gate();
    for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++) {
        prepare(&machine.vcpus[0], &session, JOB_FUNCTION, inside[i], 1);
        machine.vcpus[0].args->call.lane = i + 1; /* which stays as the call left it */
        port = machine_run(&machine.vcpus[0]);
        EXPECT(port == PORT_UD, "%lx in the view: port %x", inside[i], (unsigned)port);
        struct wormhole_view_stats stats = stats_of(&session);
        EXPECT(stats.strays == i + 1 && !stats.lost, "%lx in the view: %llu strays", inside[i],
               stats.strays);
        EXPECT(stats.exits[EXIT_VMFUNC] == (i < 3 ? i + 1 : 3), "%lx in the view: %llu exits",
               inside[i], stats.exits[EXIT_VMFUNC]);
    }
    EXPECT(works(&session), "the session");
    session_close(&session);
    verdict(good, "a VM function of any other number is an undefined instruction");
}

/*
 * A single step that is put off by MOV SS to where VMFUNC leads nowhere: whoever is answered goes
 * on elsewhere, and that must be a state in which the CPU can enter the VM.
 */
void test_pending_trap(void)
{
    /* popf, mov %bp,%ss, vmfunc */
    static const uint8_t code[] = {0x9d, 0x8e, 0xd5, 0x0f, 0x01, 0xd4};
    static const uint64_t flags[] = {0x3202, 0x3302};
    const uint64_t at = WORMHOLE_ENTER - sizeof(code);
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;

    session_open(&session);
    session_close(&session);
    take_gate();
    memcpy(GATE_PAGE + at, code, sizeof(code));
    put_stops();
    for (int i = 0; i < 4; i++) {
        prepare_jump(&session, GUEST_GATE + at);
        vcpu->args->flags = flags[i & 1];
        vcpu->args->registers[RBP] = vcpu->start.ss.selector;
        if (i & 2)
            vcpu->args->registers[RCX] = WORMHOLE_INDEX_MAX + 1;
        int port = machine_run(vcpu);
        EXPECT(port == (i & 2 ? PORT_UD : PORT_BACK), "flags %lx: port %x, exit %u", flags[i & 1],
               (unsigned)port, vcpu->run->exit_reason);
        EXPECT(i & 2 || machine_registers(vcpu).rdx == WORMHOLE_LOST, "flags %lx: status %llu",
               flags[i & 1], machine_registers(vcpu).rdx);
    }
    give_gate();
    verdict(good, "a VMFUNC in the shadow of a MOV SS, with a single step, stops no VM");
}

/* ---- stacks and other views ---- */

/*
 * Where nothing is mapped, with a stack pointer that lies in a lane: the module must not take the
 * intruder for a call in that lane, neither when he faults nor when an interrupt comes first.
 */
void test_borrowed_stack(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;

    session_open(&session);
    memcpy(machine.memory + SPARE, "\x0f\x01\xd4", 3);
    for (int lane = 0; lane < CALLEE_LANES + 2; lane++) {
        prepare_jump(&session, SPARE);
        vcpu->args->registers[RSP] = LANE(lane) + 0xe000;
        int port = machine_run(vcpu);
        EXPECT(port == PORT_UD, "lane %d: port %x", lane, (unsigned)port);
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
    EXPECT(port == PORT_UD, "port %x, status %lu", (unsigned)port, vcpu->args->call.status);
    EXPECT(stats_of(&elsewhere).lost == 0 && stats_of(&elsewhere).strays == 1,
           "lost %llu, strays %llu", stats_of(&elsewhere).lost, stats_of(&elsewhere).strays);
    EXPECT(canaries_live(&elsewhere), "its memory");
    session_close(&elsewhere);
    prepare(vcpu, &attacker, JOB_SWITCH, victim.index, 1);
    port = machine_run(vcpu);
    EXPECT(port == PORT_UD, "port %x, status %lu", (unsigned)port, vcpu->args->call.status);
    struct wormhole_view_stats stats = stats_of(&victim);
    EXPECT(stats.started == 0 && stats.lost == 0 && stats.strays == 1, "%llu started, %llu strays",
           stats.started, stats.strays);
    EXPECT(canaries_live(&victim) && works(&victim), "the victim");
    session_close(&attacker);
    session_close(&victim);
    verdict(good, "a callee that switches to another session's view lands on nothing");
}

/* ---- addresses ---- */

/* What code in a view may name: its own session's pages, and nothing else. */
void test_addresses(void)
{
    struct session session, other;
    bool good = true;
    const uint64_t config_alias = GUEST_GATE + WORMHOLE_ENTER + 6 - 0x33333334ull;
    const bool hidden = info_now().flags & WORMHOLE_INFO_EXECUTE_ONLY;

    session_open(&other);
    const struct {
        const char *name;
        uint64_t job, address;
        bool allowed;
    } cases[] = {
        {"reads its own data", JOB_READ, CALLEE_DATA, true},
        {"reads its own code", JOB_READ, CALLEE_CODE, true},
        {"reads its own configuration", JOB_READ, CONFIG, true},
        {"reads the gate's code", JOB_READ, WORMHOLE_ZONE, !hidden},
        {"reads the gate page", JOB_READ, GUEST_GATE, !hidden},
        {"reads another session's memory, where its worker has it", JOB_READ, (uint64_t)other.data,
         false},
        {"writes there", JOB_WRITE, (uint64_t)other.data, false},
        {"reads beside what is shown", JOB_READ, CALLEE_DATA + PAGE, false},
        {"reads before what is shown", JOB_READ, CALLEE_DATA - 8, false},
        {"writes beside what is shown", JOB_WRITE, CALLEE_DATA + PAGE, false},
        {"reads across the end of what is shown", JOB_READ, CALLEE_DATA + PAGE - 4, false},
        {"reads the VM's memory, where QEMU has it", JOB_READ, (uint64_t)machine.memory, false},
        {"reads the caller's code", JOB_READ, GUEST_CODE, false},
        {"writes to the caller's stack", JOB_WRITE, machine.vcpus[0].stack - 64, false},
        {"reads the guest's page tables", JOB_READ, machine.vcpus[0].start.cr3, false},
        {"reads a lane's guard", JOB_READ, LANE(0), false},
        {"writes to the last page of a lane's guard", JOB_WRITE, LANE(0) + 0xc000, false},
        {"writes beyond the last lane", JOB_WRITE, LANE(CALLEE_LANES) + LANE_PAGE, false},
        {"reads behind the configuration", JOB_READ, CONFIG + PAGE, false},
        {"writes to its configuration", JOB_WRITE, CONFIG, false},
        {"writes to its configuration's other address", JOB_WRITE, config_alias & ~0xfffull, false},
        {"writes to the gate page", JOB_WRITE, GUEST_GATE + WORMHOLE_ENTER, false},
        {"runs its lane", JOB_CALL, LANE(1) + LANE_PAGE, false},
        {"runs its configuration", JOB_CALL, CONFIG, false},
        {"reads where the view's own tables are", JOB_READ, window(), false},
        {"reads the kernel's text", JOB_READ, 0xffffffff81000000, false},
        {"reads the kernel's per-CPU entry area", JOB_READ, 0xfffffe0000000000, false},
        {"reads all memory, where the kernel has it", JOB_READ, 0xffff888000001000, false},
        {"reads what is no address", JOB_READ, 0x8000000000000000, false},
        {"loads another page-table root", JOB_ROOT, SPARE, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        session_open(&session);
        int64_t status = call(&session, cases[i].job, cases[i].address);
        struct wormhole_view_stats stats = stats_of(&session);
        if (cases[i].allowed)
            EXPECT(status == WORMHOLE_DONE && !stats.lost, "%s: status %ld", cases[i].name, status);
        else
            EXPECT(status == WORMHOLE_LOST && stats.lost && stats.violations == 1,
                   "%s: status %ld, value %lx", cases[i].name, status,
                   machine.vcpus[0].args->call.value);
        EXPECT(canaries_live(&session) && canaries_live(&other) && works(&other) && beside_live(),
               "%s: the others", cases[i].name);
        session_close(&session);
    }
    session_close(&other);
    printf("# gate pages %s be read\n", hidden ? "cannot" : "can");
    verdict(good, "a callee reaches its own session's pages and nothing else");
}

void open_with_lower_data(struct session *session, uint64_t address)
{
    struct wormhole_view_create wish;
    struct wormhole_range ranges[2];

    wish_for(&wish, ranges, session);
    for (size_t i = 0; i < CANARIES; i++)
        session->data->canary[i] = 0x13e613e613e613e6; /* out %al, $0x13 */
    ranges[1].view_address = address;
    session->view = (int)MUST(ioctl(device, WORMHOLE_VIEW_CREATE, &wish));
    forget_code(&ranges[0]);
    session_bind(session);
}

/* Data at lower-half addresses is where a VMFUNC can land: it is there to be seen, not to be run.
 */
void test_lower_data(void)
{
    struct vcpu *vcpu = &machine.vcpus[0];
    struct session session;
    bool good = true;

    open_with_lower_data(&session, SPARE);
    memset(machine.memory + SPARE, 0x0b, PAGE);
    for (uint64_t offset = 0x400; offset < 0x404; offset++) {
        memcpy(machine.memory + SPARE + offset - 3, "\x0f\x01\xd4", 3);
        prepare_jump(&session, SPARE + offset - 3);
        int port = machine_run(vcpu);
        EXPECT(port == PORT_UD, "offset %lx: port %x", offset, (unsigned)port);
    }
    struct wormhole_view_stats stats = stats_of(&session);
    EXPECT(stats.strays == 4 && !stats.lost && !stats.started, "%llu strays", stats.strays);
    EXPECT(stats.exits[EXIT_EPT] == 4, "%llu for want of the right to execute",
           stats.exits[EXIT_EPT]);
    EXPECT(works(&session), "the session");
    session_close(&session);
    verdict(good, "a VMFUNC that lands on a session's data executes none of it");
}
