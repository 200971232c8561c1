/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call through the gate, as the client's stub reads and fills it, in C and by offset for
 * gate_page.S.
 */
#ifndef WH_CHANNEL_GATE_CALL_H
#define WH_CHANNEL_GATE_CALL_H

#define CALL_INDEX     0
#define CALL_LANE      8
#define CALL_FIRST     16
#define CALL_SECOND    24
#define CALL_KEY       32
#define CALL_STATUS    64
#define CALL_VALUE     72
#define CALL_SUSPENDED 80
#define CALL_RETRIED   88

/*
 * A call's time is the module's to bound, but it believes a lane, which the worker's code can write
 * to, when that says that another call has begun; and that code can send the client back by itself.
 * So a call that still is not over after so many entries is lost. An honest one has far less than
 * one a microsecond.
 */
#define CALL_ENTRIES_MAX (1 << 20)

#ifndef __ASSEMBLER__
#include <stdint.h>

struct wh_gate_call {
    uint64_t index, lane, first, second;
    uint64_t key[4];
    uint64_t status, value;      /* what came back */
    uint64_t suspended, retried; /* how often the call was entered again */
};
#endif

#endif
