/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor's time stamp counter. Used on both sides of the exitless path, where a clock must
 * need no system call. Whoever reads it has asked before whether that is allowed.
 */
#ifndef WH_BASE_TSC_H
#define WH_BASE_TSC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>

#if defined(__x86_64__)

/* Not before what comes before it in the program (Intel SDM, RDTSC: the LFENCE). */
static inline uint64_t wh_tsc_read(void)
{
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
}

/* A process may be forbidden to, or have forbidden itself: prctl(2), PR_SET_TSC. */
static inline bool wh_tsc_is_allowed(void)
{
    int state = 0;
    return prctl(PR_GET_TSC, &state) == 0 && state == PR_TSC_ENABLE;
}

#else

static inline uint64_t wh_tsc_read(void)
{
    return 0;
}

static inline bool wh_tsc_is_allowed(void)
{
    return false;
}

#endif

#endif
