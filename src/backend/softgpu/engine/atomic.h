/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What decoders and handlers of memory instructions share.
 */
#ifndef WH_SOFTGPU_ATOMIC_H
#define WH_SOFTGPU_ATOMIC_H

#include "code.h"

enum wh_atomic {
    ATOMIC_ADD,
    ATOMIC_MIN,
    ATOMIC_MAX,
    ATOMIC_AND,
    ATOMIC_OR,
    ATOMIC_XOR,
    ATOMIC_INC,
    ATOMIC_DEC,
    ATOMIC_EXCH,
    ATOMIC_CAS
};

#define WH_LIST_WIDE 4u /* of an entry of a list of registers: it has 64 bits */

/* The handler that fits the type and the registers. */
wh_run wh_load_handler(const struct wh_ins *ins);
wh_run wh_store_handler(const struct wh_ins *ins);

#endif
