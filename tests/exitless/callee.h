/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests' callee can be asked to do, and the memory that it shares with its worker.
 */
#ifndef WH_TEST_CALLEE_H
#define WH_TEST_CALLEE_H

#include <stdint.h>

#include "../../kmod/uapi/wormhole.h"

#define CALLEE_CODE  WORMHOLE_RANGES
#define CALLEE_DATA  (WORMHOLE_RANGES + 0x100000)
#define CALLEE_LANES 16

enum callee_job {
    JOB_ECHO,    /* the argument, mixed */
    JOB_COUNT,   /* count the call and add to the lane's checksum */
    JOB_WORK,    /* that many rounds of integer and vector arithmetic */
    JOB_FOREVER, /* adds one to the total and stays */
    JOB_READ,
    JOB_WRITE,
    JOB_CALL, /* run what is at the address */
    JOB_CPUID,
    JOB_UD2,
    JOB_SYSCALL,
    JOB_INT3,
    JOB_SOFT_INTERRUPT,
    JOB_VMCALL,
    JOB_OUT,
    JOB_HLT,
    JOB_RECURSE,
    JOB_DIVIDE,
    JOB_SWITCH,   /* leave through the gate page, but to the view with that index */
    JOB_FUNCTION, /* ... by the VM function of that number */
    JOB_ROOT,     /* make that the page-table root, as only ring 0 may */
    JOB_PAUSE,    /* that often, as who waits for a lock */
    JOBS,
};

/* At CALLEE_DATA. */
struct callee_data {
    uint64_t gate; /* address of the gate page, for JOB_SWITCH */
    struct {
        uint64_t count, sum;
    } lane[CALLEE_LANES];
    uint64_t total;
    uint64_t canary[(4096 - 8 - 16 * CALLEE_LANES - 8) / 8]; /* the rest of its page */
};

static inline uint64_t callee_mix(uint64_t value)
{
    return (value ^ 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
}

/* What JOB_WORK answers; the caller computes it for itself. */
static inline uint64_t callee_work(uint64_t rounds)
{
    double a = 1.5, b = -2.25, c = 0.125;
    uint64_t hash = rounds;

    for (uint64_t i = 0; i < rounds; i++) {
        a = a * 0.999 + (double)(int64_t)(i & 15);
        b = b * 0.5 + a;
        c = c * 0.25 - b;
        hash = callee_mix(hash + i);
    }
    return hash ^ (uint64_t)(int64_t)(a * 1024) ^ ((uint64_t)(int64_t)(b * 1024) << 8) ^
           ((uint64_t)(int64_t)(c * 1024) << 16);
}

#endif
