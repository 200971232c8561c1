/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs of client objects; see object.h. */
#include "client/object.h"

#include "base/util.h"
#include "client/answers.h"
#include "client/session.h"
#include "wire/message.h"

#include <pthread.h>
#include <sys/mman.h>

#define SLAB_SIZE  65536u
#define SLOT_SIZE  128u
#define SLAB_SLOTS (SLAB_SIZE / SLOT_SIZE)
#define MAX_SLABS  16384u /* 8 million objects */
#define MAX_FOUND  4096u

_Static_assert(sizeof(struct wh_object) <= SLOT_SIZE, "an object fits into its slot");

struct wh_objects {
    struct wh_session *session;
    const void *dispatch;
    pthread_mutex_t lock;
    struct wh_object *free_slots; /* linked through `parent` */
    uint32_t nslabs;
    uint8_t *_Atomic slabs[MAX_SLABS];
    uint8_t *_Atomic by_address[2 * MAX_SLABS]; /* open addressing, never shrinks */
    struct wh_object *_Atomic found[MAX_FOUND];
};

static uint32_t hash_slab(uintptr_t base)
{
    return (uint32_t)((base / SLAB_SIZE) * 2654435761u) % (2 * MAX_SLABS);
}

static bool is_slab(struct wh_objects *objects, uintptr_t base)
{
    for (uint32_t i = hash_slab(base);; i = (i + 1) % (2 * MAX_SLABS)) {
        /* Acquire pairs with the release in add_slab. */
        uint8_t *slab = atomic_load_explicit(&objects->by_address[i], memory_order_acquire);
        if (!slab)
            return false;
        if ((uintptr_t)slab == base)
            return true;
    }
}

/* Memory aligned to its own size. */
static uint8_t *map_slab(void)
{
    uint8_t *room =
        mmap(NULL, 2 * SLAB_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    uint8_t *slab = (uint8_t *)wh_round_up((uintptr_t)room, SLAB_SIZE);
    if (slab > room)
        munmap(room, (size_t)(slab - room));
    munmap(slab + SLAB_SIZE, (size_t)(room + SLAB_SIZE - slab));
    return slab;
}

static bool add_slab(struct wh_objects *objects)
{
    if (objects->nslabs == MAX_SLABS)
        return false;
    uint8_t *slab = map_slab();
    if (!slab)
        return false;
    for (uint32_t i = SLAB_SLOTS; i-- > 0;) {
        struct wh_object *slot = (struct wh_object *)(slab + i * SLOT_SIZE);
        slot->id = objects->nslabs * SLAB_SLOTS + i + 1;
        slot->parent = objects->free_slots;
        objects->free_slots = slot;
    }
    uint32_t place = hash_slab((uintptr_t)slab);
    while (atomic_load_explicit(&objects->by_address[place], memory_order_relaxed))
        place = (place + 1) % (2 * MAX_SLABS);
    /* Release pairs with the acquires in is_slab and wh_object_by_id. */
    atomic_store_explicit(&objects->slabs[objects->nslabs], slab, memory_order_release);
    atomic_store_explicit(&objects->by_address[place], slab, memory_order_release);
    objects->nslabs++;
    return true;
}

struct wh_objects *wh_objects_new(struct wh_session *session, const void *dispatch)
{
    struct wh_objects *objects = calloc(1, sizeof(*objects));
    if (!objects)
        return NULL;
    objects->session = session;
    objects->dispatch = dispatch;
    pthread_mutex_init(&objects->lock, NULL);
    return objects;
}

void wh_objects_free(struct wh_objects *objects)
{
    for (uint32_t i = 0; i < objects->nslabs; i++)
        munmap(objects->slabs[i], SLAB_SIZE);
    pthread_mutex_destroy(&objects->lock);
    free(objects);
}

static struct wh_object *take_slot(struct wh_objects *objects)
{
    pthread_mutex_lock(&objects->lock);
    struct wh_object *slot = NULL;
    if (objects->free_slots || add_slab(objects)) {
        slot = objects->free_slots;
        objects->free_slots = slot->parent;
    }
    pthread_mutex_unlock(&objects->lock);
    return slot;
}

static void fill(struct wh_objects *objects, struct wh_object *object, uint16_t type,
                 struct wh_object *parent)
{
    object->dispatch = objects->dispatch;
    object->type = type;
    object->discovered = false;
    object->settles = false;
    object->parent = parent;
    object->session = objects->session;
    object->extra = NULL;
    object->word = 0;
    atomic_store_explicit(&object->cache, NULL, memory_order_relaxed);
    atomic_store_explicit(&object->answers, NULL, memory_order_relaxed);
    atomic_store_explicit(&object->answers_generation, 0, memory_order_relaxed);
    atomic_store_explicit(&object->references, 1, memory_order_relaxed);
    atomic_store_explicit(&object->pins, 1, memory_order_relaxed);
    /* Release pairs with the acquire in wh_object_check. */
    atomic_store_explicit(&object->alive, true, memory_order_release);
}

struct wh_object *wh_object_new(struct wh_objects *objects, uint16_t type, struct wh_object *parent)
{
    struct wh_object *object = take_slot(objects);
    if (!object)
        return NULL;
    if (parent)
        wh_object_pin(parent);
    fill(objects, object, type, parent);
    return object;
}

struct wh_object *wh_object_discovered(struct wh_objects *objects, uint16_t type, uint32_t id)
{
    uint32_t index = id - WH_ID_WORKER_FIRST;
    if (id < WH_ID_WORKER_FIRST || index >= MAX_FOUND)
        return NULL;
    struct wh_object *object = atomic_load_explicit(&objects->found[index], memory_order_acquire);
    if (!object) {
        struct wh_object *made = take_slot(objects);
        if (!made)
            return NULL;
        fill(objects, made, type, NULL);
        made->id = id; /* the slot is never given back */
        made->discovered = true;
        if (atomic_compare_exchange_strong(&objects->found[index], &object, made))
            object =
                made; /* else another thread was first; its slot is the one, ours stays unused */
    }
    return object->type == type ? object : NULL;
}

struct wh_object *wh_object_by_id(struct wh_objects *objects, uint16_t type, uint64_t id)
{
    if (id >= WH_ID_WORKER_FIRST)
        return id <= UINT32_MAX ? wh_object_discovered(objects, type, (uint32_t)id) : NULL;
    if (id == WH_ID_NONE || (id - 1) / SLAB_SLOTS >= MAX_SLABS)
        return NULL;
    uint8_t *slab =
        atomic_load_explicit(&objects->slabs[(id - 1) / SLAB_SLOTS], memory_order_acquire);
    return slab ? wh_object_check(objects, slab + (id - 1) % SLAB_SLOTS * SLOT_SIZE, type) : NULL;
}

struct wh_object *wh_object_check(struct wh_objects *objects, const void *pointer, uint16_t type)
{
    uintptr_t address = (uintptr_t)pointer;
    if (!pointer || address % SLOT_SIZE || !is_slab(objects, address & ~(uintptr_t)(SLAB_SIZE - 1)))
        return NULL;
    struct wh_object *object = (struct wh_object *)address;
    /* Acquire pairs with the release in fill. */
    if (!atomic_load_explicit(&object->alive, memory_order_acquire) ||
        (type && object->type != type))
        return NULL;
    return object;
}

void wh_object_pin(struct wh_object *object)
{
    atomic_fetch_add_explicit(&object->pins, 1, memory_order_relaxed);
}

static void give_slot_back(struct wh_object *object)
{
    struct wh_objects *objects = wh_session_objects(object->session);
    wh_session_drop_cache(object);
    wh_answers_drop(&object->answers);
    atomic_store_explicit(&object->alive, false, memory_order_relaxed);
    pthread_mutex_lock(&objects->lock);
    object->parent = objects->free_slots;
    objects->free_slots = object;
    pthread_mutex_unlock(&objects->lock);
}

void wh_object_unpin(struct wh_object *object)
{
    while (object && !object->discovered) {
        /* Acquire-release: whoever is last sees all that the others did to the object. */
        if (atomic_fetch_sub_explicit(&object->pins, 1, memory_order_acq_rel) != 1)
            return;
        struct wh_object *parent = object->parent;
        /* The worker is told before the id can be minted again: ids are reused in submission order.
         */
        wh_session_forget(object);
        give_slot_back(object);
        object = parent;
    }
}

void wh_object_cancel(struct wh_object *object)
{
    struct wh_object *parent = object->parent;
    give_slot_back(object);
    if (parent)
        wh_object_unpin(parent);
}
