/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker sends on its own: printed text, callbacks, its death. A listener thread sleeps
 * until there is some; a thread that returns from a call takes in what belongs before its return
 * itself, so that text appears in order. Callbacks run in a thread of their own, started with the
 * first one expected, so that a slow one delays nothing else.
 */
#include "client/session.h"

#include "base/log.h"
#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define THREAD_STACK  (256u << 10)
#define THROUGH_STDIO 0x10u

struct news_item {
    struct news_item *next;
    uint64_t token;
    size_t nwords;
    uint64_t words[];
};

struct wh_news {
    pthread_mutex_t intake; /* serialises taking upcalls */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    pthread_cond_t idle;
    struct news_item *first, **last;
    bool has_thread, runs; /* `runs`: a callback is being carried out */
    pthread_t thread;
    _Atomic uint32_t expected;
    _Atomic uint32_t taken; /* the upcall mark up to which all is printed or queued */
    _Alignas(8) uint8_t room[WH_UPCALL_MAX];
};

/* Text from the kernels: where it would have gone natively, by the same way (system call or stdio).
 */
static void print(const struct wh_upcall *upcall)
{
    const char *text = (const char *)(upcall + 1);
    FILE *stream = (upcall->word & 3) == 1 ? stdout : stderr;
    if (upcall->word & THROUGH_STDIO)
        (void)fwrite(text, 1, upcall->payload, stream);
    else
        (void)wh_write_all(fileno(stream), text, upcall->payload);
}

static void queue_callback(struct wh_session *session, const struct wh_upcall *upcall)
{
    struct wh_news *news = session->news;
    struct news_item *item = malloc(sizeof(*item) + upcall->payload);
    if (!item) { /* and no callback may be left out: the worker waits for each */
        session->channel->ops->lose(session->channel, "out of memory for a callback");
        return;
    }
    item->next = NULL;
    item->token = upcall->word;
    item->nwords = upcall->payload / 8;
    memcpy(item->words, upcall + 1, item->nwords * 8);
    pthread_mutex_lock(&news->lock);
    *news->last = item;
    news->last = &item->next;
    pthread_cond_signal(&news->arrived);
    pthread_mutex_unlock(&news->lock);
}

/* Takes all that is there; the intake lock is held. */
static void take_in(struct wh_session *session)
{
    struct wh_channel *channel = session->channel;
    struct wh_upcall *upcall = (struct wh_upcall *)session->news->room;
    int got;
    while ((got = channel->ops->take_upcall(channel, upcall)) > 0) {
        if (upcall->kind == WH_UPCALL_OUTPUT)
            print(upcall);
        else if (upcall->kind == WH_UPCALL_CALLBACK)
            queue_callback(session, upcall);
        else if (upcall->kind == WH_UPCALL_FREED && session->shim->freed)
            session->shim->freed(session, upcall->word);
    }
    if (got < 0)
        channel->ops->lose(channel, "the worker sent a malformed upcall");
    /* Release pairs with the acquire in wh_news_drain: the text is out. */
    atomic_store_explicit(&session->news->taken, channel->ops->upcall_mark(channel),
                          memory_order_release);
}

void wh_news_drain(struct wh_session *session, uint32_t mark)
{
    if (atomic_load_explicit(&session->news->taken, memory_order_acquire) == mark)
        return;
    pthread_mutex_lock(&session->news->intake);
    take_in(session);
    pthread_mutex_unlock(&session->news->intake);
}

/* One line says why; every waiter gets the API's error. */
static void report_loss(struct wh_session *session)
{
    char reason[200];
    session->channel->ops->end_reason(session->channel, reason, sizeof(reason));
    for (char *c = reason; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
    /* Said first: a program may end at once when its call returns the error. */
    wh_log("%s: the session is lost: %s", session->shim->api->name, reason);
    session->channel->ops->lose(session->channel, reason);
    if (session->shim->lost)
        session->shim->lost(session);
}

static void *listen_for_news(void *argument)
{
    struct wh_session *session = argument;
    struct wh_channel *channel = session->channel;
    bool open = true;
    while (open) {
        bool eager = atomic_load_explicit(&session->news->expected, memory_order_relaxed) > 0;
        open = channel->ops->listen(channel, eager);
        pthread_mutex_lock(&session->news->intake);
        take_in(session);
        pthread_mutex_unlock(&session->news->intake);
    }
    report_loss(session);
    return NULL;
}

/* A thread that takes no signals meant for the program. */
static int start_thread(void *(*run)(void *), struct wh_session *session, const char *name)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (run == listen_for_news)
        pthread_attr_setstacksize(&attributes, THREAD_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread, &attributes, run, session);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (code == 0)
        pthread_setname_np(thread, name);
    return code;
}

void wh_news_expect(struct wh_session *session)
{
    atomic_fetch_add_explicit(&session->news->expected, 1, memory_order_relaxed);
    wh_news_ready(session);
}

void wh_news_unexpect(struct wh_session *session)
{
    uint32_t before = atomic_load_explicit(&session->news->expected, memory_order_relaxed);
    /* Some callbacks come more often than they are expected: the count never falls below zero. */
    while (before &&
           !atomic_compare_exchange_weak_explicit(&session->news->expected, &before, before - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

static void *run_callbacks(void *argument)
{
    struct wh_session *session = argument;
    struct wh_news *news = session->news;
    for (;;) {
        pthread_mutex_lock(&news->lock);
        news->thread = pthread_self();
        news->runs = false;
        pthread_cond_broadcast(&news->idle);
        while (!news->first)
            pthread_cond_wait(&news->arrived, &news->lock);
        news->runs = true;
        struct news_item *item = news->first;
        news->first = item->next;
        if (!news->first)
            news->last = &news->first;
        pthread_mutex_unlock(&news->lock);
        wh_transfer_sweep(session);
        session->shim->callback(session, item->token, item->words, item->nwords);
        session->channel->ops->callback_done(session->channel);
        wh_news_unexpect(session);
        free(item);
    }
    return NULL;
}

void wh_news_settle(struct wh_session *session)
{
    struct wh_news *news = session->news;
    pthread_mutex_lock(&news->lock);
    bool inside = news->runs && pthread_equal(news->thread, pthread_self());
    while (!inside && news->has_thread && (news->first || news->runs))
        pthread_cond_wait(&news->idle, &news->lock);
    pthread_mutex_unlock(&news->lock);
}

void wh_news_ready(struct wh_session *session)
{
    struct wh_news *news = session->news;
    pthread_mutex_lock(&news->lock);
    if (!news->has_thread)
        news->has_thread = start_thread(run_callbacks, session, "wh-callbacks") == 0;
    pthread_mutex_unlock(&news->lock);
}

int wh_news_start(struct wh_session *session, struct wh_error *error)
{
    struct wh_news *news = calloc(1, sizeof(*news));
    if (!news)
        return wh_error_set(error, ENOMEM, "out of memory");
    pthread_mutex_init(&news->intake, NULL);
    pthread_mutex_init(&news->lock, NULL);
    pthread_cond_init(&news->arrived, NULL);
    pthread_cond_init(&news->idle, NULL);
    news->last = &news->first;
    session->news = news;
    int code = start_thread(listen_for_news, session, "wh-listener");
    if (code)
        return wh_error_set(error, code, "cannot start a thread: %s", strerror(code));
    return 0;
}
