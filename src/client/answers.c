/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that never change, to any question: functions declared `remembered` are asked once. Those
 * about an object live in its cache beside remembered information (refs.c) and go with it; those
 * about none live with the session. Lists only grow, so that readers take no lock.
 */
#include "client/session.h"

#include "client/answers.h"

#include <stdlib.h>

#define BUCKETS 256u

struct wh_answers {
    struct wh_answer *_Atomic buckets[BUCKETS];
};

struct wh_answers *wh_answers_new(void)
{
    return calloc(1, sizeof(struct wh_answers));
}

/* What makes the question: every word that goes to the worker, and how much room there is for the
 * answer. */
static unsigned question(const struct wh_call_desc *call, const uint64_t *a,
                         uint64_t key[WH_MAX_PARAMS])
{
    unsigned n = 0;
    for (unsigned i = 0; i < call->nparams; i++)
        if (call->params[i].kind != WH_OUT)
            key[n++] = a[i];
        else
            key[n++] = a[i] != 0;
    return n;
}

static uint32_t hash_of(const struct wh_call_desc *call, const uint64_t *key, unsigned n)
{
    uint64_t hash = call->number;
    for (unsigned i = 0; i < n; i++)
        hash = (hash ^ key[i]) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(hash >> 40);
}

/* The bytes of an `out` parameter; the description allows nothing else to come back. */
static uint64_t bytes_of(const struct wh_param *p, const uint64_t *a)
{
    uint64_t n = p->length.scale;
    if (p->length.a >= 0)
        n *= a[p->length.a];
    if (p->length.b >= 0)
        n *= a[p->length.b];
    return n;
}

static uint64_t answer_size(const struct wh_call_desc *call, const uint64_t *a)
{
    uint64_t size = 0;
    for (unsigned i = 0; i < call->nparams; i++)
        if (call->params[i].kind == WH_OUT && a[i])
            size += bytes_of(&call->params[i], a);
    return size;
}

static struct wh_answer *find(struct wh_answer *answer, const struct wh_call_desc *call,
                              const uint64_t *key, unsigned n, uint64_t generation)
{
    while (answer && (answer->call != call || atomic_load(&answer->generation) != generation ||
                      memcmp(answer->key, key, n * sizeof(*key)) != 0))
        answer = answer->next;
    return answer;
}

static void give(const struct wh_answer *answer, const uint64_t *a)
{
    const uint8_t *from = (const uint8_t *)(answer->key + answer->nkey);
    for (unsigned i = 0; i < answer->call->nparams; i++) {
        if (answer->call->params[i].kind != WH_OUT || !a[i])
            continue;
        uint64_t size = bytes_of(&answer->call->params[i], a);
        memcpy((void *)(uintptr_t)a[i], from, size);
        from += size;
    }
}

static struct wh_answer *make(const struct wh_call_desc *call, const uint64_t *a,
                              const uint64_t *key, unsigned n, uint64_t generation)
{
    struct wh_answer *answer = malloc(sizeof(*answer) + n * sizeof(*key) + answer_size(call, a));
    if (!answer)
        return NULL;
    answer->call = call;
    atomic_init(&answer->generation, generation);
    answer->nkey = n;
    memcpy(answer->key, key, n * sizeof(*key));
    uint8_t *to = (uint8_t *)(answer->key + n);
    for (unsigned i = 0; i < call->nparams; i++) {
        if (call->params[i].kind != WH_OUT || !a[i])
            continue;
        uint64_t size = bytes_of(&call->params[i], a);
        memcpy(to, (const void *)(uintptr_t)a[i], size);
        to += size;
    }
    return answer;
}

static struct wh_object *object_of(struct wh_session *session, const struct wh_call_desc *call,
                                   const uint64_t *a, bool *asks_about_one)
{
    for (unsigned i = 0; i < call->nparams; i++)
        if (call->params[i].kind == WH_HANDLE) {
            *asks_about_one = true;
            return wh_object_check(session->objects, (void *)(uintptr_t)a[i], call->params[i].type);
        }
    *asks_about_one = false;
    return NULL;
}

void wh_answers_drop(struct wh_answer *_Atomic *list)
{
    struct wh_answer *answer = atomic_exchange(list, NULL);
    while (answer) {
        struct wh_answer *next = answer->next;
        free(answer);
        answer = next;
    }
}

void wh_client_forget_answers(struct wh_session *session, const struct wh_call_desc *call,
                              const uint64_t *a)
{
    bool asks;
    struct wh_object *object = object_of(session, call, a, &asks);
    if (object)
        wh_object_forget_answers(object);
}

/* Another thread may be reading: what is forgotten stays in memory until the object goes. One whose
 * question is on its way has seen the generation before this one: its answer is never used. */
void wh_object_forget_answers(struct wh_object *object)
{
    atomic_fetch_add(&object->answers_generation, 1);
}

/* A forgotten answer that holds again: else each change of a setting would leave one behind. No
 * byte is written, for another thread may be reading. */
static bool recall(struct wh_answer *old, const struct wh_answer *answer, uint64_t size)
{
    for (; old; old = old->next)
        if (old->call == answer->call && old->nkey == answer->nkey &&
            memcmp(old->key, answer->key, answer->nkey * sizeof(*old->key) + size) == 0) {
            atomic_store(&old->generation, atomic_load(&answer->generation));
            return true;
        }
    return false;
}

uint64_t wh_client_remembered(struct wh_session *session, const struct wh_call_desc *call,
                              uint64_t *a)
{
    uint64_t key[WH_MAX_PARAMS];
    bool asks;
    unsigned n = question(call, a, key);
    struct wh_object *object = object_of(session, call, a, &asks);
    if (asks && !object)
        return wh_client_call(session, call, a);
    struct wh_answer *_Atomic *list =
        object ? &object->answers : &session->answers->buckets[hash_of(call, key, n) % BUCKETS];
    uint64_t generation = object ? atomic_load(&object->answers_generation) : 0;
    /* Acquire pairs with the release below. */
    struct wh_answer *answer =
        find(atomic_load_explicit(list, memory_order_acquire), call, key, n, generation);
    if (answer) {
        give(answer, a);
        wh_stats_answered(session, call);
        return (uint64_t)(int64_t)session->shim->api->success;
    }
    uint64_t result = wh_client_call(session, call, a);
    if ((int32_t)result != session->shim->api->success ||
        !(answer = make(call, a, key, n, generation)))
        return result;
    if (recall(atomic_load_explicit(list, memory_order_acquire), answer, answer_size(call, a))) {
        free(answer);
        return result;
    }
    answer->next = atomic_load_explicit(list, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(list, &answer->next, answer, memory_order_release,
                                                  memory_order_relaxed))
        ;
    return result;
}
