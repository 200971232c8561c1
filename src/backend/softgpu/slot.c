/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the entries of the driver's maps of memory lie: within the driver's own state, so that who
 * shows that to another process's code shows them too. Only when all places are taken do entries
 * lie elsewhere. See extent.h.
 */
#include "backend/softgpu/softgpu.h"

#include <stdlib.h>

/* A place that is free. */
struct soft_slot {
    struct soft_slot *next;
};

static struct soft_slot *take_place(struct soft_slots *slots)
{
    struct soft_slot *slot = slots->free;
    if (slot)
        slots->free = slot->next;
    else if (slots->used < SOFT_SLOTS)
        slot = (struct soft_slot *)(void *)slots->places[slots->used++];
    return slot;
}

void *soft_slot_take(void)
{
    struct soft_slots *slots = &soft_driver()->slots;
    pthread_mutex_lock(&slots->lock);
    void *slot = take_place(slots);
    if (!slot && (slot = malloc(SOFT_SLOT)))
        slots->elsewhere++;
    pthread_mutex_unlock(&slots->lock);
    return slot;
}

static bool is_place(const struct soft_slots *slots, const void *slot)
{
    uintptr_t at = (uintptr_t)slot, first = (uintptr_t)slots->places;
    return at >= first && at < first + sizeof(slots->places);
}

void soft_slot_give(void *slot)
{
    struct soft_slots *slots = &soft_driver()->slots;
    struct soft_slot *place = slot;
    if (!slot)
        return;
    pthread_mutex_lock(&slots->lock);
    bool ours = is_place(slots, slot);
    if (ours) {
        place->next = slots->free;
        slots->free = place;
    } else {
        slots->elsewhere--;
    }
    pthread_mutex_unlock(&slots->lock);
    if (!ours)
        free(slot);
}
