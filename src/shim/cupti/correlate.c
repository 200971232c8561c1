/* SPDX-License-Identifier: Apache-2.0 */
/* Ids that the program's threads give to what they do: a stack for each kind, in each thread. */
#include "shim/cupti/cupti.h"

#include <stdlib.h>

enum { FIRST_KIND = 1, KINDS_OF_IDS = 6, MOST_DEPTH = 65536 };

struct stack {
    uint64_t *ids;
    unsigned depth, room;
};

struct stacks {
    struct stack of[KINDS_OF_IDS];
};

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static _Thread_local struct stacks *here;

static void end_thread(void *argument)
{
    struct stacks *stacks = argument;
    here = NULL;
    for (unsigned i = 0; i < KINDS_OF_IDS; i++)
        free(stacks->of[i].ids);
    free(stacks);
}

static void make_key(void)
{
    pthread_key_create(&key, end_thread);
}

static struct stacks *stacks_here(void)
{
    if (here)
        return here;
    pthread_once(&key_once, make_key);
    here = calloc(1, sizeof(*here));
    if (here)
        pthread_setspecific(key, here);
    return here;
}

static bool push(struct stack *stack, uint64_t id)
{
    if (stack->depth == stack->room) {
        unsigned room = stack->room ? 2 * stack->room : 16;
        uint64_t *ids = room > MOST_DEPTH ? NULL : realloc(stack->ids, room * sizeof(*ids));
        if (!ids)
            return false;
        stack->ids = ids;
        stack->room = room;
    }
    stack->ids[stack->depth++] = id;
    return true;
}

void wh_cupti_emit_external(uint32_t correlation)
{
    for (uint32_t kind = FIRST_KIND; here && kind < KINDS_OF_IDS; kind++) {
        const struct stack *stack = &here->of[kind];
        if (!stack->depth)
            continue;
        struct record_external record = {.kind = KIND_EXTERNAL_CORRELATION,
                                         .external_kind = kind,
                                         .external = stack->ids[stack->depth - 1],
                                         .correlation = correlation};
        wh_cupti_emit(&record);
    }
}

WH_EXPORT CUptiResult cuptiActivityPushExternalCorrelationId(uint32_t kind, uint64_t id)
{
    if (kind < FIRST_KIND || kind >= KINDS_OF_IDS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    struct stacks *stacks = stacks_here();
    return stacks && push(&stacks->of[kind], id) ? CUPTI_SUCCESS
                                                 : wh_cupti_fail(CUPTI_ERROR_OUT_OF_MEMORY);
}

WH_EXPORT CUptiResult cuptiActivityPopExternalCorrelationId(uint32_t kind, uint64_t *last)
{
    if (kind < FIRST_KIND || kind >= KINDS_OF_IDS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    struct stack *stack = here ? &here->of[kind] : NULL;
    if (!stack || !stack->depth)
        return wh_cupti_fail(CUPTI_ERROR_QUEUE_EMPTY);
    stack->depth--;
    if (last)
        *last = stack->ids[stack->depth];
    return CUPTI_SUCCESS;
}
