/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program holds as a handle: a small client-side object with an id that the worker knows.
 * Objects live in slabs, so that any pointer a program passes can be checked without touching it.
 * Thread-safe.
 */
#ifndef WH_CLIENT_OBJECT_H
#define WH_CLIENT_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_session;
struct wh_cached_info;
struct wh_answer;

struct wh_object {
    const void *dispatch; /* first: what the API's loader wants there */
    uint32_t id;
    uint16_t type;   /* index in wh_api.objects */
    bool settles;    /* its end calls the program back: the last release waits for that */
    bool discovered; /* found by the worker (platform, device): lives as long as the session */
    _Atomic bool alive;
    _Atomic uint32_t references; /* the program's */
    _Atomic uint32_t pins;       /* children, and one for all references together */
    struct wh_object *parent;    /* pinned as long as this object exists */
    struct wh_session *session;
    struct wh_cached_info *_Atomic cache;
    struct wh_answer *_Atomic answers;
    _Atomic uint64_t answers_generation; /* counts how often they were forgotten */
    void *extra;                         /* the shim's own, freed by its hook */
    uint64_t word;                       /* the shim's own */
};

struct wh_objects;

struct wh_objects *wh_objects_new(struct wh_session *session, const void *dispatch);
void wh_objects_free(struct wh_objects *objects);

/* A new object with one reference, its id minted here. Pins `parent` (may be NULL). NULL when
 * memory is short. */
struct wh_object *wh_object_new(struct wh_objects *objects, uint16_t type,
                                struct wh_object *parent);

/* The object for an id that the worker chose, made on first sight. NULL when memory is short or the
 * id is absurd. */
struct wh_object *wh_object_discovered(struct wh_objects *objects, uint16_t type, uint32_t id);

/* The live object with this id and type, or NULL. */
struct wh_object *wh_object_by_id(struct wh_objects *objects, uint16_t type, uint64_t id);

/* Whether `pointer` is a live object of `type` (0: any type). Never touches memory outside of the
 * slabs. */
struct wh_object *wh_object_check(struct wh_objects *objects, const void *pointer, uint16_t type);

/* Another owner for the object's memory and id, and the end of one. The last one takes the object
 * away. */
void wh_object_pin(struct wh_object *object);
void wh_object_unpin(struct wh_object *object);

/* Takes an object away that the worker never made. */
void wh_object_cancel(struct wh_object *object);

#endif
