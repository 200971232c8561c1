/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small virtual machine for mini.c: 4 MiB, one or two vCPUs in ring 3 of 64-bit mode, an
 * interrupt and the exceptions handled. Anything that the kernel refuses ends the test program.
 */
#ifndef WH_TEST_MACHINE_H
#define WH_TEST_MACHINE_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>

#include "guest.h"

#define MACHINE_VCPUS 2

struct vcpu {
    int fd;
    struct kvm_run *run;
    struct kvm_sregs start; /* as it is before its first job */
    struct guest_args *args;
    uint64_t stack;
    uint64_t entry; /* where it begins, unless 0, in place of the guest's program */
    pthread_t thread;
    volatile bool stop; /* a signal is to end its run */
    bool interrupt;     /* inject vector 0x40 whenever a signal takes the vCPU out of the guest */
    uint64_t injected;  /* how often that was done */
    int port;           /* by which it stopped last, -1 for anything else */
};

struct machine {
    int vm;
    uint8_t *memory;
    uint64_t tables; /* the next one for a page-table */
    struct vcpu vcpus[MACHINE_VCPUS];
};

void machine_open(struct machine *machine);
/* With an interrupt controller of KVM's, so that a vCPU that halts sleeps in the kernel. */
void machine_open_sleepy(struct machine *machine);
void machine_close(struct machine *machine);

/* A page at one more address of the guest's programs; `machine_unmap` takes away all within its 512
 * GiB. */
void machine_map(struct machine *machine, uint64_t address, uint64_t frame);
void machine_unmap(struct machine *machine, uint64_t address);

/* From now on, it begins in ring 0, or in 32-bit code in ring 3; or as ever. */
enum machine_mode { MODE_USUAL, MODE_RING0, MODE_32BIT };
void machine_mode(struct vcpu *vcpu, enum machine_mode mode);

/* Runs the guest's program with its arguments until it stops; the port by which it did. */
int machine_run(struct vcpu *vcpu);
/* Goes on where it stopped. */
int machine_go_on(struct vcpu *vcpu);
/* machine_run in a thread of its own. */
void machine_start(struct vcpu *vcpu);
int machine_wait(struct vcpu *vcpu);
/* Takes it out of the guest, wherever it is, as for a pause or a reset. */
void machine_stop(struct vcpu *vcpu);

/* Its general registers, where it stopped. */
struct kvm_regs machine_registers(const struct vcpu *vcpu);

/* Prints where the vCPU is. */
void machine_show(const struct vcpu *vcpu);

#define MUST(expression)                       \
    ({                                         \
        long must_result = (long)(expression); \
        if (must_result < 0)                   \
            machine_die(#expression);          \
        must_result;                           \
    })
_Noreturn void machine_die(const char *what);

#endif
