/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User objects: the driver counts the references that graphs hold to them, and the client's
 * destructor runs when the last one goes. What is kept here of one that is no more goes with the
 * next call about any.
 */
#include "backend/cuda/graph.h"
#include "backend/cuda/relay.h"

#include <stdlib.h>

struct wh_cuda_user {
    struct wh_cuda_user *next; /* that ended */
    struct wh_cuda_state *state;
    struct wh_channel *channel;
    uint64_t token, number;
};

/* Runs in a thread of the driver. */
static void CUDA_CB end_user(void *argument)
{
    struct wh_cuda_user *user = argument;
    struct wh_cuda_state *state = user->state;
    struct wh_channel *channel = user->channel;
    uint64_t token = user->token;
    user->next = atomic_load_explicit(&state->ended_users, memory_order_relaxed);
    /* Release pairs with the acquire in reap, which frees it. */
    while (!atomic_compare_exchange_weak_explicit(&state->ended_users, &user->next, user,
                                                  memory_order_release, memory_order_relaxed))
        ;
    (void)wh_cuda_relay_push(channel, token, CUDA_SUCCESS, WH_CUDA_CALLBACK_ENDED);
}

static void reap(struct wh_call *call)
{
    struct wh_cuda_user *user =
        atomic_exchange_explicit(&wh_cuda_state(call)->ended_users, NULL, memory_order_acquire);
    while (user) {
        struct wh_cuda_user *next = user->next;
        struct wh_cuda_item *item = wh_cuda_item_find(call, user->number, WH_CUDA_USER);
        if (item)
            wh_cuda_item_drop(call, item);
        free(user);
        user = next;
    }
}

/* NULL: there is no such object any more. */
static const struct wh_cuda_item *find_user(struct wh_call *call, uint64_t number)
{
    reap(call);
    return wh_cuda_item_find(call, number, WH_CUDA_USER);
}

CUresult wh_cuda_do_user_create(struct wh_call *call, uint64_t token, unsigned count,
                                unsigned flags, uint64_t *object)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_user *user = calloc(1, sizeof(*user));
    CUuserObject made = NULL;
    reap(call);
    if (!user)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *user = (struct wh_cuda_user){
        .state = wh_cuda_state(call), .channel = call->worker->channel, .token = token};
    CUresult result = f->cuUserObjectCreate(&made, user, end_user, count, flags);
    if (result != CUDA_SUCCESS) {
        free(user);
        return result;
    }
    /* One that had the same handle is ending in another thread. */
    struct wh_cuda_item *item = wh_cuda_item_known(call, WH_CUDA_USER, made);
    if (item)
        wh_cuda_item_drop(call, item);
    item = wh_cuda_item_of(call, WH_CUDA_USER, made, NULL);
    if (!item) {
        f->cuUserObjectRelease(made, count);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    user->number = item->number;
    if (object)
        *object = item->number;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_user_count(struct wh_call *call, uint64_t number, unsigned count, int retain)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    const struct wh_cuda_item *item = find_user(call, number);
    if (!item)
        return CUDA_ERROR_INVALID_VALUE;
    return retain ? f->cuUserObjectRetain(item->real, count)
                  : f->cuUserObjectRelease(item->real, count);
}

CUresult wh_cuda_do_user_graph(struct wh_call *call, uint64_t graph, uint64_t number,
                               unsigned count, int retain, unsigned flags)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    const struct wh_cuda_item *object = find_user(call, number);
    const struct wh_cuda_item *item = wh_cuda_item_find(call, graph, WH_CUDA_GRAPH);
    if (!item || !object)
        return CUDA_ERROR_INVALID_VALUE;
    return retain ? f->cuGraphRetainUserObject(item->real, object->real, count, flags)
                  : f->cuGraphReleaseUserObject(item->real, object->real, count);
}
