/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Big copies of the program's own memory. They pass through a few places in the arena that the
 * worker registered with the driver, so that the device's engine moves one piece while this side
 * moves the next. That a place is free again is written into the arena by the worker, which looks
 * when the next piece comes; when it did not yet, one call waits.
 */
#include "shim/cuda/stage.h"

#include "base/util.h"
#include "client/bulk.h"

#define PLACES WH_CUDA_STAGE_PLACES
#define LANE   4u
#define PAGE   4096u
#define LEAST  ((size_t)256 << 10) /* bytes of a place */

struct place {
    pthread_mutex_t lock; /* held by who fills or empties it */
    uint32_t number;      /* of its uses, the last one's */
};

static struct {
    pthread_mutex_t lock; /* guards what follows, but for the places */
    const struct wh_session *session;
    CUcontext context;            /* in which the worker registered it; NULL: it did not */
    const struct wh_block *block; /* a page with the worker's words, then the places */
    size_t piece;                 /* bytes of a place */
    bool none;                    /* there is no room for it */
    struct place places[PLACES];
} stage = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the places ---- */

/* After a fork everything is new; what the parent had is its own. */
static void begin_session(const struct wh_session *session)
{
    stage.session = session;
    stage.context = NULL;
    stage.block = NULL;
    stage.none = false;
    for (unsigned i = 0; i < PLACES; i++) {
        pthread_mutex_init(&stage.places[i].lock, NULL);
        stage.places[i].number = 0;
    }
}

static size_t stage_size(void)
{
    return PAGE + PLACES * stage.piece;
}

/* An eighth of the arena at most: the rest is for pinned memory. Lock held. */
static const struct wh_block *make_places(struct wh_session *session)
{
    size_t most = wh_session_channel(session)->arena_size / 8;
    stage.piece = WH_STAGE;
    while (stage_size() > most && stage.piece > LEAST)
        stage.piece /= 2;
    return stage_size() <= most ? wh_arena_allocate(wh_session_arena(session), stage_size(), PAGE)
                                : NULL;
}

/* Lock held. */
static bool furnish(struct wh_session *session)
{
    struct wh_arena *arena = wh_session_arena(session);
    if (!stage.block && !stage.none) {
        stage.block = make_places(session);
        stage.none = !stage.block;
        if (stage.block)
            memset(wh_arena_address(arena, stage.block), 0, PAGE);
    }
    if (!stage.block || stage.context)
        return stage.block != NULL;
    /* One that the driver will not register works, too, and is slower. */
    if (wh_cuda_call_stage_open(stage_size(), stage.block->offset) == CUDA_SUCCESS)
        stage.context = wh_cuda_current();
    return stage.context != NULL;
}

static bool is_ready(void)
{
    struct wh_session *session = wh_cuda_session();
    pthread_mutex_lock(&stage.lock);
    if (stage.session != session)
        begin_session(session);
    bool ready = furnish(session);
    pthread_mutex_unlock(&stage.lock);
    return ready;
}

void wh_cuda_stage_forget(CUcontext context)
{
    pthread_mutex_lock(&stage.lock);
    if (stage.context == context)
        stage.context = NULL;
    pthread_mutex_unlock(&stage.lock);
}

static uint64_t offset_of(unsigned i)
{
    return stage.block->offset + PAGE + (uint64_t)i * stage.piece;
}

static uint8_t *arena_at(uint64_t offset)
{
    return wh_session_channel(wh_cuda_session())->arena + offset;
}

/* The last use of a place that is over, by the worker's word. */
static uint32_t last_over(unsigned i)
{
    const void *words = arena_at(stage.block->offset);
    /* Acquire pairs with the worker's release: what a read brought is there. */
    return atomic_load_explicit(&((const _Atomic uint32_t *)words)[i], memory_order_acquire);
}

/* Whether the device is known to be done with the place's last use. */
static bool is_free(unsigned i)
{
    return last_over(i) == stage.places[i].number;
}

/* A use that the worker waited for, and knows nothing of, was refused: the place is free. */
static CUresult settle(unsigned i)
{
    if (is_free(i))
        return CUDA_SUCCESS;
    CUresult result = wh_cuda_call_stage_wait(i);
    if (result == CUDA_SUCCESS && !is_free(i)) {
        stage.places[i].number = last_over(i);
        result = CUDA_ERROR_UNKNOWN;
    }
    return result;
}

/* ---- lanes ---- */

/* The places of one copy. It waits for its own stream only: another's may stand still for long. */
struct lane {
    unsigned places[LANE], n;
};

static void take_places(struct lane *lane)
{
    for (unsigned i = 0; i < PLACES && lane->n < LANE; i++) {
        if (pthread_mutex_trylock(&stage.places[i].lock) != 0)
            continue;
        if (is_free(i))
            lane->places[lane->n++] = i;
        else
            pthread_mutex_unlock(&stage.places[i].lock);
    }
}

static void leave(struct lane *lane)
{
    while (lane->n > 0)
        pthread_mutex_unlock(&stage.places[lane->places[--lane->n]].lock);
}

/* False: others have the places; the copy goes another way. */
static bool enter(struct lane *lane)
{
    take_places(lane);
    if (lane->n < 2 && wh_cuda_call_stage_look() == CUDA_SUCCESS)
        take_places(lane);
    if (lane->n < 2)
        leave(lane);
    return lane->n >= 2;
}

static void count(size_t size)
{
    atomic_fetch_add_explicit(&wh_session_stats(wh_cuda_session())->copied_bytes, size,
                              memory_order_relaxed);
}

/* ---- to the device ---- */

bool wh_cuda_stage_write(CUdeviceptr to, const void *from, size_t size, CUstream stream,
                         CUresult *result)
{
    const uint8_t *bytes = from;
    struct lane lane = {.n = 0};
    size_t turn = 0;
    if (!is_ready() || !enter(&lane))
        return false;
    *result = CUDA_SUCCESS;
    for (size_t at = 0; at < size && *result == CUDA_SUCCESS; at += stage.piece) {
        size_t piece = size - at < stage.piece ? size - at : stage.piece;
        unsigned i = lane.places[turn++ % lane.n];
        *result = settle(i);
        if (*result != CUDA_SUCCESS)
            break;
        wh_bulk_copy(arena_at(offset_of(i)), bytes + at, piece);
        *result = wh_cuda_call_stage_to_device(to + at, piece, offset_of(i), stream, i,
                                               stage.places[i].number + 1);
        stage.places[i].number += *result == CUDA_SUCCESS;
        count(piece);
    }
    leave(&lane);
    return true;
}

/* ---- from the device ---- */

static CUresult fetch(unsigned i, CUdeviceptr from, CUstream stream)
{
    CUresult result = wh_cuda_call_stage_from_device(stage.piece, offset_of(i), from, stream, i,
                                                     stage.places[i].number + 1);
    stage.places[i].number += result == CUDA_SUCCESS;
    return result;
}

static CUresult receive(unsigned i, uint8_t *to)
{
    CUresult result = settle(i);
    if (result != CUDA_SUCCESS)
        return result;
    wh_bulk_copy(to, arena_at(offset_of(i)), stage.piece);
    count(stage.piece);
    return CUDA_SUCCESS;
}

/* What is left at the end waits for all that is on the stream, and says what became of it. */
static CUresult read_rest(unsigned i, uint8_t *to, CUdeviceptr from, size_t size, CUstream stream)
{
    uint64_t a[] = {size, offset_of(i), from, (uintptr_t)stream, WH_NO_TOKEN};
    CUresult result = settle(i);
    if (result == CUDA_SUCCESS)
        result = wh_cuda_call_now(WH_CUDA_wh_copy_from_device, a);
    if (result != CUDA_SUCCESS)
        return result;
    wh_bulk_copy(to, arena_at(offset_of(i)), size);
    count(size);
    return CUDA_SUCCESS;
}

bool wh_cuda_stage_read(void *to, CUdeviceptr from, size_t size, CUstream stream, CUresult *result)
{
    uint8_t *bytes = to;
    struct lane lane = {.n = 0};
    size_t sent = 0, here = 0;
    if (!is_ready() || !enter(&lane))
        return false;
    const size_t whole = (size - 1) / stage.piece; /* pieces; the rest is never nothing */
    *result = CUDA_SUCCESS;
    while (here < whole && *result == CUDA_SUCCESS) {
        for (; sent < whole && sent - here < lane.n && *result == CUDA_SUCCESS; sent++)
            *result = fetch(lane.places[sent % lane.n], from + sent * stage.piece, stream);
        if (*result == CUDA_SUCCESS)
            *result = receive(lane.places[here % lane.n], bytes + here * stage.piece);
        here++;
    }
    if (*result == CUDA_SUCCESS)
        *result = read_rest(lane.places[whole % lane.n], bytes + whole * stage.piece,
                            from + whole * stage.piece, size - whole * stage.piece, stream);
    leave(&lane);
    return true;
}
