/* SPDX-License-Identifier: Apache-2.0 */
/* The process's session: opening it on first use, losing it, forgetting it in a forked child. See
 * session.h. */
#include "client/session.h"

#include "base/log.h"
#include "base/util.h"
#include "client/answers.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST_BLOCKED 240 /* of the channel's 256 reply slots */

/* The one piece of global state: a shim library has one session per process. */
static struct {
    pthread_mutex_t lock;
    struct wh_session *_Atomic session;
    bool complained, prepared;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct wh_objects *wh_session_objects(struct wh_session *session)
{
    return session->objects;
}

struct wh_arena *wh_session_arena(struct wh_session *session)
{
    return session->arena;
}

struct wh_channel *wh_session_channel(struct wh_session *session)
{
    return session->channel;
}

struct wh_stats *wh_session_stats(struct wh_session *session)
{
    return &session->stats;
}

bool wh_session_lost(const struct wh_session *session)
{
    return atomic_load_explicit(&session->channel->lost, memory_order_relaxed);
}

/* ---- numbers of threads ---- */

/* Numbers of ended threads are used again: the worker keeps state for each. */
static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    pthread_key_t key;
    uint32_t last;
    uint32_t *ended;
    size_t nended, room;
} threads = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static _Thread_local uint32_t thread_number;

static void end_thread(void *number)
{
    thread_number = 0;
    pthread_mutex_lock(&threads.lock);
    if (threads.nended == threads.room) {
        size_t room = threads.room ? 2 * threads.room : 64;
        uint32_t *ended = realloc(threads.ended, room * sizeof(*ended));
        threads.ended = ended ? ended : threads.ended;
        threads.room = ended ? room : threads.room;
    }
    if (threads.nended < threads.room) /* else the number is lost: there are many */
        threads.ended[threads.nended++] = (uint32_t)(uintptr_t)number;
    pthread_mutex_unlock(&threads.lock);
}

static void make_key(void)
{
    pthread_key_create(&threads.key, end_thread);
}

static uint32_t take_number(void)
{
    pthread_once(&threads.once, make_key);
    pthread_mutex_lock(&threads.lock);
    uint32_t number = threads.nended ? threads.ended[--threads.nended] : ++threads.last;
    pthread_mutex_unlock(&threads.lock);
    pthread_setspecific(threads.key, (void *)(uintptr_t)number);
    return number;
}

uint32_t wh_thread_number(void)
{
    if (thread_number == 0)
        thread_number = take_number();
    return thread_number;
}

static uint64_t wanted_arena(const struct wh_shim *shim)
{
    uint64_t size = shim->arena;
    const char *text = getenv("WORMHOLE_ARENA");
    if (text && wh_parse_size(text, &size) < 0)
        wh_log("WORMHOLE_ARENA=%s is not a size such as 256M; using the server's default", text);
    return size;
}

/* WORMHOLE_SERVER, else the host's daemon, else the VM's device. */
static int connect_somewhere(const struct wh_hello *hello, struct wh_channel **channel,
                             struct wh_error *error)
{
    const char *url = getenv("WORMHOLE_SERVER");
    if (url && *url)
        return wh_channel_connect(url, hello, channel, error);
    if (wh_channel_connect("unix:", hello, channel, error) == 0)
        return 0;
    struct wh_error second;
    if ((error->code == ENOENT || error->code == ECONNREFUSED) &&
        wh_channel_connect("ivshmem:", hello, channel, &second) == 0)
        return 0;
    return -1;
}

struct wh_session *wh_session_over(const struct wh_shim *shim, struct wh_channel *channel,
                                   struct wh_error *error)
{
    struct wh_session *session = calloc(1, sizeof(*session));
    if (!session) {
        wh_error_set(error, ENOMEM, "out of memory");
        return NULL;
    }
    session->shim = shim;
    session->channel = channel;
    if (shim->patience_ns)
        channel->ops->patience(channel, shim->patience_ns);
    sem_init(&session->may_block, 0, MOST_BLOCKED);
    session->objects = wh_objects_new(session, shim->dispatch);
    session->arena = wh_arena_new(channel->arena, channel->arena_size, channel->returns_pages);
    session->stats.wanted = getenv("WORMHOLE_STATS") != NULL;
    session->stats.calls = calloc(shim->api->ncalls, sizeof(*session->stats.calls));
    session->answers = wh_answers_new();
    if (session->objects && session->arena && session->answers && session->stats.calls &&
        wh_transfers_init(session) == 0 && wh_news_start(session, error) == 0)
        return session;
    if (!error->code)
        wh_error_set(error, ENOMEM, "out of memory");
    return NULL; /* what little it held stays: the process has no memory left to speak of */
}

static struct wh_session *open_session(const struct wh_shim *shim, struct wh_error *error)
{
    struct wh_hello hello;
    struct wh_channel *channel;
    wh_hello_init(&hello, shim->api->name, shim->api->hash, wanted_arena(shim));
    if (connect_somewhere(&hello, &channel, error) < 0)
        return NULL;
    struct wh_session *session = wh_session_over(shim, channel, error);
    if (!session)
        channel->ops->close(channel);
    return session;
}

/* The parent's session is not the child's: its descriptors are closed, its memory is left alone. */
static void forget_in_child(void)
{
    struct wh_session *session = atomic_load(&process.session);
    pthread_mutex_init(&process.lock, NULL);
    pthread_mutex_init(&threads.lock, NULL);
    process.complained = false;
    atomic_store(&process.session, NULL);
    if (session)
        session->channel->ops->abandon(session->channel);
}

static void print_stats(void)
{
    struct wh_session *session = atomic_load(&process.session);
    if (session)
        wh_stats_print(session);
}

static struct wh_session *open_locked(const struct wh_shim *shim)
{
    struct wh_error error = {0};
    struct wh_session *session = open_session(shim, &error);
    if (!session && !process.complained)
        wh_log("%s", error.text);
    process.complained = !session;
    if (session && !process.prepared) {
        process.prepared = true;
        pthread_atfork(NULL, NULL, forget_in_child);
        if (getenv("WORMHOLE_STATS"))
            atexit(print_stats);
    }
    /* Release pairs with the acquire in wh_session_get. */
    atomic_store_explicit(&process.session, session, memory_order_release);
    return session;
}

struct wh_session *wh_session_get(const struct wh_shim *shim)
{
    struct wh_session *session = atomic_load_explicit(&process.session, memory_order_acquire);
    if (session || getenv("WORMHOLE_WORKER")) /* a worker must never be its own client */
        return session;
    pthread_mutex_lock(&process.lock);
    session = atomic_load_explicit(&process.session, memory_order_acquire);
    if (!session)
        session = open_locked(shim);
    pthread_mutex_unlock(&process.lock);
    return session;
}
