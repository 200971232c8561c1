/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of mini share: the machine, sessions and calls, and who stands beside. The tests
 * themselves are in mini_entry.c, mini_attacks.c, mini_kernel.c, mini_calls.c and mini_lives.c, in
 * the order of mini.c.
 */
#ifndef WH_TEST_MINI_H
#define WH_TEST_MINI_H

#include <sys/types.h>

#include "callee.h"
#include "machine.h"
#include "tap.h"

#define PAGE           4096ull
#define EXIT_NMI       0
#define EXIT_INTERRUPT 1
#define EXIT_VMCALL    18
#define EXIT_IO        30
#define EXIT_PAUSE     40
#define EXIT_EPT       48
#define EXIT_TIMER     52
#define EXIT_VMFUNC    59
#define CANARY         0x1badb002cafef00dull

struct session {
    int view;
    uint32_t index;
    uint64_t key[4];
    struct callee_data *data;
};

extern int device, vm, cycles;
extern struct machine machine;

/* So few cycles are asked for when time is short. */
static inline bool is_short(void)
{
    return cycles < 100;
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

#define CANARIES (sizeof(((struct callee_data *)NULL)->canary) / 8)

#define GATE_PAGE (machine.memory + GATE_FRAMES + PAGE)
#define LANES     (WORMHOLE_ZONE + 0x100000)
#define LANE(n)   (LANES + (uint64_t)(n)*0x10000)
#define LANE_PAGE 0xf000
#define CONFIG    (WORMHOLE_ZONE + 0x1000)
#define SPARE     0x180000ull /* of the guest's memory, for a few instructions and tables */
#define PORT_BACK 0x11        /* where the gate comes back to */
#define PORT_UD   (PORT_FAULT + 6)

/* Of guest_args.registers. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* A page for a session to show, zeroed. */
struct callee_data *page_take(void);
void page_give(struct callee_data *page);

/* Who is attacked by nobody: opened once, asked after each attack. */
void beside_open(void);
void beside_close(void);
bool beside_live(void);
struct session *beside_session(void); /* that of the VM which all tests use */

void wish_for(struct wormhole_view_create *wish, struct wormhole_range ranges[2],
              struct session *session);
void forget_code(const struct wormhole_range *range);
void session_create(struct session *session, uint64_t budget_ns);
void session_bind_to(struct session *session, int to);
void session_bind(struct session *session);
void session_open(struct session *session);
void session_close(struct session *session);
struct wormhole_view_stats stats_of(const struct session *session);
struct wormhole_vm_stats vm_stats(void);
struct wormhole_info info_now(void);
/* Who holds the module; await_users waits until they are no more than that: it cleans a VM by its
 * own time, of which no event tells. */
int module_users(void);
void await_users(int users);
/* Whether the module has no more than it had before; waits for VMs that are being cleaned. */
bool nothing_left(const struct wormhole_info *before);
uint64_t sum(const __u64 *counts);
void prepare(struct vcpu *vcpu, const struct session *session, uint64_t first, uint64_t second,
             uint64_t count);
/* GUEST_JUMP on the first vCPU, with the registers of a call of JOB_COUNT. */
void prepare_jump(const struct session *session, uint64_t target);
/* Runs that, and enters again as a client's stub does when an interrupt came; the port. */
int jump_in(void);
/* One call: the status, or -1 and where it stopped instead. */
int64_t call_on(struct vcpu *vcpu, const struct session *session, uint64_t first, uint64_t second);
int64_t call(const struct session *session, uint64_t first,
             uint64_t second); /* on the first vCPU */
bool works_on(struct vcpu *vcpu, const struct session *session);
bool works(const struct session *session);
bool canaries_live(const struct session *session);
/* Waits until so many calls of JOB_COUNT and JOB_FOREVER are or were in the view. */
void await_total(const struct session *session, uint64_t total);
/* Checksum of `count` answers to JOB_ECHO from `second` on. */
uint64_t echoes(uint64_t second, uint64_t count);

/* The guest's pages around the gate's address are the test's, until they are given back. */
void take_gate(void);
void give_gate(void);
/* Registers full of what is in the view: a stray store, jump or stack has somewhere to go. */
void fill_registers(uint64_t *registers);
/* Where the module puts a view's pages. */
uint64_t window(void);
/* A view whose data lies at a lower-half address, with `out` instructions in it. */
void open_with_lower_data(struct session *session, uint64_t address);

void test_refusals(void);
void test_exits(void);
void test_keys(void);
void test_long_calls(void);
void test_exactly_once(void);
void test_violations(void);
void test_budget(void);
void test_every_offset(void);
void test_every_index(void);
void test_borrowed_stack(void);
void test_view_to_view(void);
void test_memory_slots(void);
void test_dirty_log(void);
void test_two_vcpus(void);
void test_migration(void);
void test_worker_dies(void);
void test_descriptors(void);
void test_flags(void);
void test_suspended_registers(void);
void test_roots(void);
void test_pause_and_reset(void);
void test_guest_dies(void);
void test_service_vm(void);
void test_memlock(void);
void test_hotplug(void);
void test_cycles(void);
void test_functions(void);
void test_pending_trap(void);
void test_addresses(void);
void test_lower_data(void);
void test_32bit(void);
void test_ring0(void);
void test_ring0_roots(void);
void test_ring0_halt(void);
void test_descriptor_table(void);
void test_pause(void);
void test_avx(void);
void test_closing(void);
void test_halted(void);
void test_module(void);
void test_nested(void);

#endif
