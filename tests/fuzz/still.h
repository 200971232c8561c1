/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of a channel where nothing ever comes and whose one slot is always free: what stubs do
 * not care about. */
#ifndef WH_TESTS_FUZZ_STILL_H
#define WH_TESTS_FUZZ_STILL_H

#include "channel/channel.h"

uint32_t still_take_slot(struct wh_channel *channel);
void still_put_slot(struct wh_channel *channel, uint32_t slot);
int still_take_upcall(struct wh_channel *channel, struct wh_upcall *room);
uint32_t still_upcall_mark(struct wh_channel *channel);

/* No news ever: the listener sleeps until the process ends. */
bool still_listen(struct wh_channel *channel, bool eager);

#endif
