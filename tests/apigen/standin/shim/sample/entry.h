/* SPDX-License-Identifier: Apache-2.0 */
/* What entries of the sample's functions call; agree.c has it. */
#ifndef TESTS_APIGEN_SAMPLE_ENTRY_H
#define TESTS_APIGEN_SAMPLE_ENTRY_H

#include "sample_types.h"

#include <stdbool.h>
#include <stdint.h>

#define WH_COLD __attribute__((cold))

struct wh_sample_frame {
    uint16_t number;
    const void *params;
};

bool wh_sample_observing(void);
void wh_sample_call_begins(struct wh_sample_frame *frame, uint16_t number, const void *params);
sm_status wh_sample_call_ends(struct wh_sample_frame *frame, sm_status result);

#endif
