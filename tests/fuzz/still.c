/* SPDX-License-Identifier: Apache-2.0 */
/* A channel where nothing ever comes; see still.h. */
#include "still.h"

#include <semaphore.h>

uint32_t still_take_slot(struct wh_channel *channel)
{
    (void)channel;
    return 0;
}

void still_put_slot(struct wh_channel *channel, uint32_t slot)
{
    (void)channel;
    (void)slot;
}

int still_take_upcall(struct wh_channel *channel, struct wh_upcall *room)
{
    (void)channel;
    (void)room;
    return 0;
}

uint32_t still_upcall_mark(struct wh_channel *channel)
{
    (void)channel;
    return 0;
}

bool still_listen(struct wh_channel *channel, bool eager)
{
    static sem_t never;
    (void)channel;
    (void)eager;
    for (;;)
        sem_wait(&never);
}
