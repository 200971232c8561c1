/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of functions.def that are not there: each says so once. */
#include "shim/cupti/cupti.h"

#include "base/log.h"

static CUptiResult unsupported(_Atomic bool *said, const char *name)
{
    if (!atomic_exchange(said, true))
        wh_log("%s is not supported", name);
    return wh_cupti_fail(CUPTI_ERROR_NOT_SUPPORTED);
}

#define HERE(name)
#define ELSEWHERE(name)                   \
    WH_EXPORT CUptiResult name(void);     \
    WH_EXPORT CUptiResult name(void)      \
    {                                     \
        static _Atomic bool said;         \
        return unsupported(&said, #name); \
    }
/* Ours is no library for NVTX to call: 0 says so. */
#define NO_INJECTION(name)    \
    WH_EXPORT int name(void); \
    WH_EXPORT int name(void)  \
    {                         \
        return 0;             \
    }

#include "shim/cupti/functions.def"
