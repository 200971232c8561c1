/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles: every object that a program holds a handle of is listed here, so that a handle which is
 * no object (any more) is an error and never an access. Used by all files of the driver.
 */
#ifndef WH_SOFTGPU_OBJECT_H
#define WH_SOFTGPU_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct soft_context;

enum soft_kind {
    SOFT_CONTEXT = 1,
    SOFT_STREAM,
    SOFT_EVENT,
    SOFT_MODULE,
    SOFT_FUNCTION,
    SOFT_LIBRARY,
    SOFT_KERNEL,
    SOFT_POOL,
    SOFT_ARRAY,
    SOFT_MIPMAP,
    SOFT_TEXTURE,
    SOFT_LINK,
    SOFT_ALLOCATION,
    SOFT_GRAPH,
    SOFT_NODE,
    SOFT_EXEC,
    SOFT_CAPTURE,
    SOFT_USER,
    SOFT_TEXREF,
    SOFT_SURFREF,
    SOFT_KINDS
};

/* The head of every object. */
struct soft_object {
    enum soft_kind kind;
    atomic_uint references;
    bool listed;                  /* the program's handle is good */
    struct soft_object *next;     /* in its bucket */
    struct soft_context *context; /* a reference of ours; NULL for what belongs to none */
    void (*destroy)(void *object);
};

/*
 * An object of `size` zeroed bytes with one reference, the caller's; not listed. `destroy` runs
 * when the last reference goes, before the memory is freed; it may be NULL. NULL when memory is
 * short.
 */
void *soft_object_new(enum soft_kind kind, size_t size, struct soft_context *context,
                      void (*destroy)(void *object));

/* The ends of kinds that are made elsewhere, too: see softgpu.h. */
void soft_stream_end(void *object);
void soft_event_end(void *object);
void soft_array_end(void *object);
void soft_texture_end(void *object);
void soft_function_end(void *object);

/* Makes the handle good; the caller's reference becomes the list's. */
void soft_object_list(void *object);

/* Takes the object off the list and drops the list's reference. False: another thread was first. */
bool soft_object_unlist(void *object);

/* The object with this handle, with a reference for the caller; NULL when there is none such. */
void *soft_object_get(const void *handle, enum soft_kind kind);

/* As soft_object_get, any kind; `kind` says which it was. */
void *soft_object_find(const void *handle, enum soft_kind *kind);

/* Unlists one object of a kind in a context; the list's reference is the caller's. NULL: none left.
 */
void *soft_object_take(enum soft_kind kind, struct soft_context *context);

/* Unlists all objects of a kind in a context. */
void soft_object_unlist_all(enum soft_kind kind, struct soft_context *context);

void *soft_object_retain(void *object);
void soft_object_release(void *object); /* NULL is fine */

/* The same, unless it is the last; false: it is, and stays. */
bool soft_object_release_shared(void *object);

/* The list itself, by bucket; for callee.h. */
#define SOFT_BUCKETS 4096u

static inline size_t soft_object_bucket(const void *handle)
{
    uint64_t key = (uint64_t)(uintptr_t)handle >> 4;
    return (key * 0x9e3779b97f4a7c15u) >> 52;
}

struct soft_object **soft_object_buckets(void);

static inline void soft_object_cleanup(void *variable)
{
    soft_object_release(*(void **)variable);
}

/* A local variable that drops its reference when it goes out of scope. */
#define SOFT_HOLD __attribute__((cleanup(soft_object_cleanup)))

#endif
