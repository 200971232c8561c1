/* SPDX-License-Identifier: Apache-2.0 */
/* The list of live handles; see object.h. */
#include "backend/softgpu/object.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

static struct {
    pthread_rwlock_t lock;
    struct soft_object *buckets[SOFT_BUCKETS];
} handles = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static struct soft_object **bucket(const void *handle)
{
    return &handles.buckets[soft_object_bucket(handle)];
}

struct soft_object **soft_object_buckets(void)
{
    return handles.buckets;
}

void *soft_object_new(enum soft_kind kind, size_t size, struct soft_context *context,
                      void (*destroy)(void *object))
{
    struct soft_object *object = calloc(1, size);
    if (!object)
        return NULL;
    object->kind = kind;
    atomic_init(&object->references, 1);
    object->context = context ? soft_object_retain(context) : NULL;
    object->destroy = destroy;
    return object;
}

void soft_object_list(void *pointer)
{
    struct soft_object *object = pointer, **head = bucket(object);
    pthread_rwlock_wrlock(&handles.lock);
    object->next = *head;
    object->listed = true;
    *head = object;
    pthread_rwlock_unlock(&handles.lock);
}

static bool unlink_locked(struct soft_object *object)
{
    if (!object->listed)
        return false;
    struct soft_object **link = bucket(object);
    while (*link != object)
        link = &(*link)->next;
    *link = object->next;
    object->listed = false;
    return true;
}

bool soft_object_unlist(void *pointer)
{
    pthread_rwlock_wrlock(&handles.lock);
    bool was = unlink_locked(pointer);
    pthread_rwlock_unlock(&handles.lock);
    if (was)
        soft_object_release(pointer);
    return was;
}

void *soft_object_find(const void *handle, enum soft_kind *kind)
{
    pthread_rwlock_rdlock(&handles.lock);
    struct soft_object *object = *bucket(handle);
    while (object && object != handle)
        object = object->next;
    if (object) {
        *kind = object->kind;
        soft_object_retain(object);
    }
    pthread_rwlock_unlock(&handles.lock);
    return object;
}

void *soft_object_get(const void *handle, enum soft_kind kind)
{
    enum soft_kind found;
    void *object = soft_object_find(handle, &found);
    if (!object || found == kind)
        return object;
    soft_object_release(object);
    return NULL;
}

static struct soft_object *find_one(enum soft_kind kind, const struct soft_context *context)
{
    for (size_t i = 0; i < SOFT_BUCKETS; i++)
        for (struct soft_object *object = handles.buckets[i]; object; object = object->next)
            if (object->kind == kind && object->context == context)
                return object;
    return NULL;
}

void *soft_object_take(enum soft_kind kind, struct soft_context *context)
{
    pthread_rwlock_wrlock(&handles.lock);
    struct soft_object *object = find_one(kind, context);
    if (object)
        unlink_locked(object);
    pthread_rwlock_unlock(&handles.lock);
    return object;
}

void soft_object_unlist_all(enum soft_kind kind, struct soft_context *context)
{
    void *object;
    while ((object = soft_object_take(kind, context)))
        soft_object_release(object);
}

void *soft_object_retain(void *pointer)
{
    struct soft_object *object = pointer;
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
    return object;
}

bool soft_object_release_shared(void *pointer)
{
    struct soft_object *object = pointer;
    unsigned n = atomic_load_explicit(&object->references, memory_order_relaxed);
    while (n > 1 && !atomic_compare_exchange_weak_explicit(
                        &object->references, &n, n - 1, memory_order_acq_rel, memory_order_relaxed))
        ;
    return n > 1;
}

void soft_object_release(void *pointer)
{
    struct soft_object *object = pointer;
    /* acq_rel: what other holders did comes before the destruction. */
    if (!object || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
        return;
    struct soft_context *context = object->context;
    if (object->destroy)
        object->destroy(object);
    free(object);
    soft_object_release(context);
}
