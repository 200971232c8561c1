/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of handlers, which are the same wherever the engine's code lies: given to instructions
 * when a module is linked (link.c), and read where the code is another copy of it (view.c).
 * Handlers that need more than the warp and its memory have none.
 */
#ifndef WH_SOFTGPU_HANDLERS_H
#define WH_SOFTGPU_HANDLERS_H

#include "code.h"

/* Of what is said of one instruction, by number. */
struct wh_numbers {
    uint16_t run;     /* 0: it has none */
    uint16_t compare; /* of those that compare; else 0 */
};

/* The handler with a number, or NULL. */
wh_run wh_handler_at(uint16_t number);
uint32_t (*wh_compare_at(uint16_t number))(struct wh_warp *warp, const struct wh_ins *ins);

/* The numbers of an instruction as it was decoded here; false: one of its handlers has none. */
bool wh_numbers_of(const struct wh_ins *ins, struct wh_numbers *numbers);

#endif
