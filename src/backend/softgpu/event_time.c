/* SPDX-License-Identifier: Apache-2.0 */
/* The time of events, in the driver; what runs elsewhere has another clock (callee.c). */
#include "backend/softgpu/event.h"
#include "base/util.h"

uint64_t soft_event_now(void)
{
    return soft_event_time_after(wh_now_ns());
}
