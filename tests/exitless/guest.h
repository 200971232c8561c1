/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small guest's memory, and what its driver and its ring-3 program tell each other.
 */
#ifndef WH_TEST_GUEST_H
#define WH_TEST_GUEST_H

#include <stdint.h>

#include "channel/gate_call.h"

#define GUEST_MEMORY 0x400000ull
#define GUEST_CODE   0x20000ull /* identity mapped; entered at its start */
#define GUEST_SYSTEM 0x60000ull /* GDT, IDT, TSS and handlers, all of ring 0 */
#define GUEST_TSS    (GUEST_SYSTEM + 0x1100)
#define GUEST_ARGS   0x80000ull     /* a page per vCPU */
#define GUEST_STACK  0x100000ull    /* 64 KiB per vCPU */
#define GUEST_GATE   0x500000000000 /* three pages are mapped, the gate is the middle one */
#define GATE_FRAMES  0x10000ull     /* where those pages are */

enum guest_job {
    GUEST_CALLS,   /* count calls with the arguments first and second, second + 1 ... */
    GUEST_UNTIL,   /* the same, to the first that is not DONE */
    GUEST_VMCALLS, /* count hypercalls */
    GUEST_JUMP,    /* to `target` with `registers`; by the first vCPU only */
    GUEST_SPIN,    /* count rounds outside of any view */
    GUEST_NEST,    /* in ring 0: enters a guest of its own, which stops; then VMFUNC 0 */
};

/* Ports by which the guest stops. */
#define PORT_DONE  0x10
#define PORT_THERE 0x12 /* behind a VMFUNC that changed nothing */
#define PORT_NEST  0x13 /* in the guest's own guest */
#define PORT_FAULT 0x20 /* + vector: an exception's handler */

struct guest_args {
    struct wh_gate_call call;
    uint64_t job, count, target; /* for GUEST_NEST: two pages */
    uint64_t flags;              /* for GUEST_JUMP: on the stack when it jumps */
    uint64_t registers[16];      /* ... in the order of the encoding; rsp 0: its own stack */
    /* Answers: calls that were DONE, calls with another status, a checksum of the values. */
    uint64_t done, other, sum;
    uint64_t interrupts; /* counted by the handler of vector 0x40 */
};

#endif
