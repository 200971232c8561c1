/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small copies from the device, by way of places that are registered with the driver, which moves
 * bytes into them with less ado than into ordinary memory. Where there is none to be had the copy
 * goes to ordinary memory as it would without them.
 *
 * What fits into one word is waited for at the place itself. A mark is laid there before the copy,
 * and once it is gone the bytes have come, and with them all that the stream had to do before:
 * measured on an H200, 2 us before the driver says so. Bytes that happen to be the mark, and a copy
 * that does not come, are left to the driver. So is the first copy from a stream after anything
 * else was called, be it in another stream: with its wait the driver does more, as to send the text
 * that kernels have printed.
 */
#include "backend/cuda/backend.h"

#include "base/util.h"
#include "channel/park.h"

#include <stdlib.h>
#include <string.h>

#define CONTEXTS  8u  /* that have places; others do without */
#define PLACES    32u /* of each, at once; a bit each */
#define PLACE     1024u
#define STREAMS   16u
#define SPIN_NS   20000u
#define MARK_STEP UINT64_C(0x9e3779b97f4a7c15) /* odd, and no two marks in a row alike anywhere */

/* Of one context, whose end takes the registration with it: no copy of another's may be under way
 * to them then. */
struct places {
    const void *_Atomic context; /* in which they are registered; NULL: they are not */
    const void *refused;         /* the context in which that failed */
    uint8_t (*bytes)[PLACE];     /* PLACES of them; NULL until they are needed */
    _Atomic uint32_t taken;
};

struct wh_cuda_bounce {
    struct places places[CONTEXTS];
    pthread_mutex_t lock; /* for whoever registers or forgets */
    _Atomic uint64_t mark;
    struct wh_spin spin;
    _Atomic uint64_t waited[STREAMS]; /* a stream, and the count of other calls then */
};

struct wh_cuda_bounce *wh_cuda_bounce_new(void)
{
    struct wh_cuda_bounce *bounce = calloc(1, sizeof(*bounce));
    if (!bounce)
        return NULL;
    pthread_mutex_init(&bounce->lock, NULL);
    wh_spin_init(&bounce->spin, SPIN_NS, SPIN_NS);
    return bounce;
}

void wh_cuda_bounce_forget(const struct wh_cuda_state *state, const void *context)
{
    struct wh_cuda_bounce *bounce = state->bounce;
    pthread_mutex_lock(&bounce->lock);
    for (unsigned i = 0; i < CONTEXTS; i++) {
        if (bounce->places[i].refused == context)
            bounce->places[i].refused = NULL;
        if (bounce->places[i].context == context)
            bounce->places[i].context = NULL;
    }
    pthread_mutex_unlock(&bounce->lock);
}

/* The context's own; NULL: it has none. */
static struct places *places_of(struct wh_cuda_bounce *bounce, const void *context)
{
    for (unsigned i = 0; i < CONTEXTS; i++)
        if (bounce->places[i].context == context)
            return &bounce->places[i];
    return NULL;
}

/* Places that no context has, for one that has none. The lock is held. */
static struct places *vacant(struct wh_cuda_bounce *bounce, const void *context)
{
    struct places *found = NULL;
    for (unsigned i = 0; i < CONTEXTS; i++) {
        struct places *p = &bounce->places[i];
        if (p->refused == context)
            return NULL;
        if (!found && !p->context && !p->refused && !p->taken)
            found = p;
    }
    return found;
}

static struct places *register_places(struct wh_call *call, const void *context)
{
    struct wh_cuda_bounce *bounce = wh_cuda_state(call)->bounce;
    pthread_mutex_lock(&bounce->lock);
    struct places *p = places_of(bounce, context);
    if (!p && (p = vacant(bounce, context))) {
        if (!p->bytes)
            p->bytes = aligned_alloc(4096, (size_t)PLACES * PLACE);
        bool good = p->bytes && wh_cuda_driver(call)->cuMemHostRegister_v2(
                                    p->bytes, (size_t)PLACES * PLACE, 0) == CUDA_SUCCESS;
        if (good)
            p->context = context;
        else
            p->refused = context;
        p = good ? p : NULL;
    }
    pthread_mutex_unlock(&bounce->lock);
    return p;
}

/* A place to be given back by put(); NULL: there is none. */
static void *take(struct wh_call *call, size_t size, struct places **from)
{
    const void *context = size <= PLACE ? wh_cuda_current(call) : NULL;
    struct places *p = context ? places_of(wh_cuda_state(call)->bounce, context) : NULL;
    *from = p ? p : context ? register_places(call, context) : NULL;
    if (!*from)
        return NULL;
    uint32_t taken = (*from)->taken;
    while (taken != UINT32_MAX) {
        unsigned i = (unsigned)__builtin_ctz(~taken);
        if (atomic_compare_exchange_weak(&(*from)->taken, &taken, taken | 1u << i))
            return (*from)->bytes[i];
    }
    return NULL;
}

static void put(struct places *to, const void *place)
{
    size_t i = (size_t)((const uint8_t *)place - to->bytes[0]) / PLACE;
    atomic_fetch_and(&to->taken, ~(1u << i));
}

/*
 * The size of the aligned word that bytes lie in, 4 or 8; 0: in none. The device writes half a word
 * at once.
 */
static size_t word_around(CUdeviceptr from, size_t size)
{
#ifdef __SANITIZE_THREAD__
    return 0; /* a device that is made of threads would race with who looks */
#endif
    if (size == 0 || size > 8)
        return 0;
    return from % 4 + size <= 4 ? 4 : from % 8 + size <= 8 ? 8 : 0;
}

/* Whether both (or the one) of a word's halves came before it did not pay any longer to look. */
static bool came(struct wh_cuda_bounce *bounce, _Atomic uint32_t *halves, size_t word,
                 uint64_t mark)
{
    return wh_spin_while(&bounce->spin, &halves[0], (uint32_t)mark) &&
           (word == 4 || wh_spin_while(&bounce->spin, &halves[1], (uint32_t)(mark >> 32)));
}

/* A stream as a number of 32 bits, and behind it what had been called before a wait for it. */
static uint64_t waited(CUstream stream, uint32_t others)
{
    return ((uintptr_t)stream * MARK_STEP >> 32 << 32) | others;
}

static _Atomic uint64_t *waited_place(struct wh_cuda_bounce *bounce, CUstream stream)
{
    return &bounce->waited[(uintptr_t)stream * MARK_STEP >> 60];
}

static CUresult fetch_word(const struct wh_cuda_state *state, void *bytes, CUdeviceptr from,
                           size_t size, size_t word, CUstream stream, void *place)
{
    struct wh_cuda_bounce *bounce = state->bounce;
    _Atomic uint32_t *halves = place;
    uint64_t mark = atomic_fetch_add_explicit(&bounce->mark, MARK_STEP, memory_order_relaxed);
    uint64_t now = waited(stream, atomic_load_explicit(&state->others, memory_order_relaxed));
    bool only_reads = atomic_load(waited_place(bounce, stream)) == now;
    atomic_store_explicit(&halves[0], (uint32_t)mark, memory_order_relaxed);
    atomic_store_explicit(&halves[1], (uint32_t)(mark >> 32), memory_order_relaxed);
    uint64_t start = wh_now_ns();
    CUresult result = state->f.cuMemcpyDtoHAsync_v2(place, from / word * word, word, stream);
    if (result == CUDA_SUCCESS && !(only_reads && came(bounce, halves, word, mark))) {
        result = state->f.cuStreamSynchronize(stream);
        if (only_reads)
            wh_spin_learn(&bounce->spin, wh_now_ns() - start);
        if (result == CUDA_SUCCESS)
            atomic_store(waited_place(bounce, stream), now);
    }
    if (result == CUDA_SUCCESS)
        memcpy(bytes, (const uint8_t *)place + from % word, size);
    return result;
}

static CUresult fetch_bytes(const struct wh_cuda_state *state, void *bytes, CUdeviceptr from,
                            size_t size, CUstream stream, void *place)
{
    CUresult result = state->f.cuMemcpyDtoHAsync_v2(place ? place : bytes, from, size, stream);
    if (result == CUDA_SUCCESS)
        result = state->f.cuStreamSynchronize(stream);
    if (place && result == CUDA_SUCCESS)
        memcpy(bytes, place, size);
    return result;
}

CUresult wh_cuda_fetch(struct wh_call *call, void *bytes, CUdeviceptr from, size_t size,
                       CUstream stream)
{
    const struct wh_cuda_state *state = wh_cuda_state(call);
    struct places *places;
    void *place = take(call, size, &places);
    size_t word = place ? word_around(from, size) : 0;
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    if (word)
        result = fetch_word(state, bytes, from, size, word, stream, place);
    /* A word may end behind the memory that the program was given. */
    if (!word || (result == CUDA_ERROR_INVALID_VALUE && word != size))
        result = fetch_bytes(state, bytes, from, size, stream, place);
    if (place)
        put(places, place);
    return result;
}
