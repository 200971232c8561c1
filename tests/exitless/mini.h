/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of mini share: the machine, sessions and calls. The tests themselves are in
 * mini_entry.c, mini_calls.c and mini_lives.c, in the order of mini.c.
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

#define EXPECT(condition, ...)                                       \
    do {                                                             \
        if (!(condition)) {                                          \
            printf("# %s:%d: %s: ", __func__, __LINE__, #condition); \
            printf(__VA_ARGS__);                                     \
            printf("\n");                                            \
            good = false;                                            \
        }                                                            \
    } while (0)

void wish_for(struct wormhole_view_create *wish, struct wormhole_range ranges[2],
              struct session *session);
void forget_code(const struct wormhole_range *range);
void session_create(struct session *session, uint64_t budget_ns);
void session_bind(struct session *session);
void session_open(struct session *session);
void session_close(struct session *session);
struct wormhole_view_stats stats_of(const struct session *session);
struct wormhole_vm_stats vm_stats(void);
uint64_t sum(const __u64 *counts);
void prepare(struct vcpu *vcpu, const struct session *session, uint64_t first, uint64_t second,
             uint64_t count);
/* One call on the first vCPU: the status, or -1 and where it stopped instead. */
int64_t call(const struct session *session, uint64_t first, uint64_t second);
bool works(const struct session *session);
bool canaries_live(const struct session *session);
/* Waits until so many calls of JOB_COUNT and JOB_FOREVER are or were in the view. */
void await_total(const struct session *session, uint64_t total);
/* Checksum of `count` answers to JOB_ECHO from `second` on. */
uint64_t echoes(uint64_t second, uint64_t count);

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

#endif
