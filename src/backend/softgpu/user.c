/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User objects: something of the program's that graphs hold references to. Its destructor runs in a
 * thread of its own when the last reference goes.
 */
#include "backend/softgpu/graph.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct soft_user {
    struct soft_object object;
    void *pointer;
    CUhostFn destructor;
    uint64_t count; /* references that API calls count; guarded by the lock */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint ending; /* whose destructor has not returned, or is still listed */

bool soft_users_are_ending(void)
{
    return atomic_load(&ending) > 0;
}

/* ---- the end ---- */

static void *destruct(void *argument)
{
    struct soft_user *user = argument;
    soft_enter_callback(true);
    user->destructor(user->pointer);
    soft_enter_callback(false);
    soft_object_unlist(user);
    atomic_fetch_sub(&ending, 1);
    return NULL;
}

static void end(struct soft_user *user)
{
    pthread_attr_t detached;
    pthread_t thread;
    atomic_fetch_add(&ending, 1);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, destruct, user) != 0)
        destruct(user);
    pthread_attr_destroy(&detached);
}

/* False: there are not so many references. */
static bool give_up(struct soft_user *user, unsigned count)
{
    pthread_mutex_lock(&lock);
    bool good = count && count <= user->count;
    if (good)
        user->count -= count;
    bool last = good && user->count == 0;
    pthread_mutex_unlock(&lock);
    if (last)
        end(user);
    return good;
}

static bool take(struct soft_user *user, unsigned count)
{
    pthread_mutex_lock(&lock);
    bool good = count && count <= INT_MAX && user->count;
    if (good)
        user->count += count;
    pthread_mutex_unlock(&lock);
    return good;
}

/* ---- what graphs hold ---- */

static bool add(struct soft_users *users, struct soft_user *user, unsigned count)
{
    for (size_t i = 0; i < users->n; i++)
        if (users->at[i].user == user) {
            users->at[i].count += count;
            return true;
        }
    void *more = realloc(users->at, (users->n + 1) * sizeof(users->at[0]));
    if (!more)
        return false;
    users->at = more;
    users->at[users->n].user = user;
    users->at[users->n++].count = count;
    return true;
}

bool soft_users_copy(struct soft_users *to, const struct soft_users *from)
{
    for (size_t i = 0; i < from->n; i++) {
        if (!take(from->at[i].user, from->at[i].count))
            return false;
        if (!add(to, from->at[i].user, from->at[i].count)) {
            give_up(from->at[i].user, from->at[i].count);
            return false;
        }
    }
    return true;
}

void soft_users_clear(struct soft_users *users)
{
    for (size_t i = 0; i < users->n; i++)
        give_up(users->at[i].user, users->at[i].count);
    free(users->at);
    *users = (struct soft_users){0};
}

/* ---- the API ---- */

SOFT_API CUresult cuUserObjectCreate(CUuserObject *handle, void *pointer, CUhostFn destructor,
                                     unsigned count, unsigned flags)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!handle || !destructor || !count || count > INT_MAX ||
        flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_user *user = soft_object_new(SOFT_USER, sizeof(*user), NULL, NULL);
    if (!user)
        return CUDA_ERROR_OUT_OF_MEMORY;
    user->pointer = pointer;
    user->destructor = destructor;
    user->count = count;
    soft_object_list(user);
    *handle = (CUuserObject)user;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuUserObjectRetain(CUuserObject handle, unsigned count)
{
    SOFT_HOLD struct soft_user *user = soft_object_get(handle, SOFT_USER);
    return user && take(user, count) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuUserObjectRelease(CUuserObject handle, unsigned count)
{
    SOFT_HOLD struct soft_user *user = soft_object_get(handle, SOFT_USER);
    return user && give_up(user, count) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuGraphRetainUserObject(CUgraph graph_handle, CUuserObject handle, unsigned count,
                                          unsigned flags)
{
    SOFT_HOLD struct soft_user *user = soft_object_get(handle, SOFT_USER);
    SOFT_GRAPHS_LOCKED;
    struct soft_graph *graph = soft_graph_get(graph_handle);
    bool move = flags & CU_GRAPH_USER_OBJECT_MOVE;
    if (!graph || !user || !count || count > INT_MAX ||
        flags & ~(unsigned)CU_GRAPH_USER_OBJECT_MOVE)
        return CUDA_ERROR_INVALID_VALUE;
    if (!move && !take(user, count))
        return CUDA_ERROR_INVALID_VALUE;
    if (add(&graph->users, user, count))
        return CUDA_SUCCESS;
    if (!move)
        give_up(user, count);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

SOFT_API CUresult cuGraphReleaseUserObject(CUgraph graph_handle, CUuserObject handle,
                                           unsigned count)
{
    SOFT_HOLD struct soft_user *user = soft_object_get(handle, SOFT_USER);
    SOFT_GRAPHS_LOCKED;
    struct soft_graph *graph = soft_graph_get(graph_handle);
    for (size_t i = 0; graph && user && i < graph->users.n; i++) {
        if (graph->users.at[i].user != user || graph->users.at[i].count < count || !count)
            continue;
        graph->users.at[i].count -= count;
        if (!graph->users.at[i].count)
            graph->users.at[i] = graph->users.at[--graph->users.n];
        return give_up(user, count) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_ERROR_INVALID_VALUE;
}
