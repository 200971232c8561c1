/* SPDX-License-Identifier: Apache-2.0 */
/* Streams as queues and the threads that run them; see queue.h. */
#include "backend/softgpu/graph.h"

#include <signal.h>
#include <stdlib.h>

/* Each may be held up by a command that waits (a callback, a value in memory). */
#define MOST_THREADS 128

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct soft_stream *ready; /* with a command that can run, by priority */
    unsigned nready, idle, threads;
    unsigned ending; /* streams whose last reference goes at this moment, without the lock */
} queues = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static __thread bool in_callback;

bool soft_in_callback(void)
{
    return in_callback;
}

void soft_enter_callback(bool inside)
{
    in_callback = inside;
}

void soft_queue_lock(void)
{
    pthread_mutex_lock(&queues.lock);
}

void soft_queue_unlock(void)
{
    pthread_mutex_unlock(&queues.lock);
}

/* ---- streams ---- */

static bool busy(const struct soft_stream *stream)
{
    return stream->current || stream->head;
}

static bool blocking(const struct soft_stream *stream)
{
    return !stream->legacy && !(stream->flags & CU_STREAM_NON_BLOCKING);
}

static bool held_by_legacy(const struct soft_stream *stream, const struct soft_stream *other)
{
    return other->object.context == stream->object.context && blocking(other);
}

bool soft_stream_free_locked(struct soft_stream *stream)
{
    if (busy(stream) || !atomic_load(&stream->object.context->alive))
        return false;
    if (blocking(stream))
        return !busy(stream->object.context->legacy);
    if (stream->legacy)
        for (struct soft_stream *other = soft_driver()->streams.first; other;
             other = other->sibling)
            if (held_by_legacy(stream, other) && busy(other))
                return false;
    return true;
}

/* ---- commands ---- */

bool soft_mark_reached(const struct soft_mark *mark)
{
    return !mark->stream || mark->stream->done >= mark->number;
}

bool soft_command_need(struct soft_command *command, const struct soft_mark *mark)
{
    if (soft_mark_reached(mark))
        return true;
    size_t n = command->nneeds;
    if ((n & (n - 1)) == 0) {
        struct soft_mark *more = realloc(command->needs, (n ? 2 * n : 1) * sizeof(*more));
        if (!more)
            return false;
        command->needs = more;
    }
    soft_object_retain(mark->stream);
    command->needs[command->nneeds++] = *mark;
    return true;
}

/* The legacy stream and the blocking streams of its context wait for each other. CUDA C++
 * Programming Guide, "Legacy default stream". */
static bool add_legacy_needs(struct soft_stream *stream, struct soft_command *command)
{
    if (blocking(stream)) {
        struct soft_stream *legacy = stream->object.context->legacy;
        if (legacy->last <= stream->legacy_last)
            return true;
        stream->legacy_last = legacy->last;
        return soft_command_need(command, &(struct soft_mark){legacy, legacy->last});
    }
    if (stream->legacy)
        for (struct soft_stream *other = soft_driver()->streams.first; other;
             other = other->sibling)
            if (held_by_legacy(stream, other) &&
                !soft_command_need(command, &(struct soft_mark){other, other->last}))
                return false;
    return true;
}

/* ---- threads ---- */

static void *work(void *unused);

static void start_thread(void)
{
    sigset_t all, before;
    pthread_attr_t detached;
    pthread_t thread;
    sigfillset(&all);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, &detached, work, NULL) == 0)
        queues.threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
}

static void make_ready(struct soft_stream *stream)
{
    struct soft_stream **link = &queues.ready;
    while (*link && (*link)->priority <= stream->priority)
        link = &(*link)->ready_next;
    stream->ready_next = *link;
    *link = stream;
    queues.nready++;
    if (queues.nready > queues.idle && queues.threads < MOST_THREADS)
        start_thread();
    pthread_cond_signal(&queues.work);
}

static bool needs_met(struct soft_command *command)
{
    while (command->met < command->nneeds && soft_mark_reached(&command->needs[command->met]))
        command->met++;
    return command->met == command->nneeds;
}

/* The stream's next command goes to a thread, or waits for the first of its needs that is not met.
 */
static void advance(struct soft_stream *stream)
{
    struct soft_command *head = stream->head;
    if (needs_met(head)) {
        make_ready(stream);
        return;
    }
    struct soft_stream *other = head->needs[head->met].stream;
    stream->wait_next = other->waiters;
    other->waiters = stream;
}

static void finish(struct soft_stream *stream)
{
    stream->done = stream->current;
    stream->current = 0;
    stream->length--;
    if (stream->sleepers)
        pthread_cond_broadcast(&stream->moved);
    struct soft_stream *waiter = stream->waiters;
    stream->waiters = NULL;
    while (waiter) {
        struct soft_stream *next = waiter->wait_next;
        advance(waiter);
        waiter = next;
    }
}

/* The busy stream has nothing that runs: its next command, if any, is seen to; else the reference
 * that a busy stream holds on itself goes. Leaves the lock. */
static void settle(struct soft_stream *stream)
{
    bool idle = !stream->head;
    bool last = idle && !soft_object_release_shared(stream);
    if (!idle)
        advance(stream);
    queues.ending += last;
    soft_queue_unlock();
    if (!last)
        return;
    soft_object_release(stream);
    soft_queue_lock();
    queues.ending--;
    soft_queue_unlock();
}

static void run_stream(struct soft_stream *stream)
{
    do {
        struct soft_command *command = stream->head;
        stream->head = command->next;
        if (!stream->head)
            stream->tail = &stream->head;
        stream->current = command->number;
        soft_queue_unlock();
        soft_command_run(stream, command);
        soft_queue_lock();
        finish(stream);
    } while (stream->head && !queues.ready && needs_met(stream->head));
    settle(stream);
}

static void *work(void *unused)
{
    soft_queue_lock();
    for (;;) {
        while (!queues.ready) {
            queues.idle++;
            pthread_cond_wait(&queues.work, &queues.lock);
            queues.idle--;
        }
        struct soft_stream *stream = queues.ready;
        queues.ready = stream->ready_next;
        queues.nready--;
        run_stream(stream);
        soft_queue_lock();
    }
    return unused;
}

bool soft_queue_start(void)
{
    soft_queue_lock();
    if (queues.threads == 0)
        start_thread();
    bool started = queues.threads > 0;
    soft_queue_unlock();
    return started;
}

/* ---- submission ---- */

static void sleep_until(struct soft_stream *stream, uint64_t number)
{
    stream->sleepers++;
    while (stream->done < number)
        pthread_cond_wait(&stream->moved, &queues.lock);
    stream->sleepers--;
}

/* The oldest command that is not done; 0: all are. */
static uint64_t oldest(const struct soft_stream *stream)
{
    return stream->current ? stream->current : stream->head ? stream->head->number : 0;
}

static CUresult append(struct soft_stream *stream, struct soft_command *command)
{
    struct soft_context *context = stream->object.context;
    if (!atomic_load(&context->alive))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (!add_legacy_needs(stream, command))
        return CUDA_ERROR_OUT_OF_MEMORY;
    bool was_busy = busy(stream);
    stream->last = command->number = ++soft_driver()->streams.number;
    stream->length++;
    command->next = NULL;
    *stream->tail = command;
    stream->tail = &command->next;
    if (!was_busy) {
        soft_object_retain(stream);
        advance(stream);
    }
    return CUDA_SUCCESS;
}

CUresult soft_submit_locked(struct soft_stream *stream, struct soft_command *command)
{
    return append(stream, command);
}

/* Runs a command on this thread, when nothing is before it. Takes the lock held, leaves it. */
static void run_here(struct soft_stream *stream, struct soft_command *command)
{
    soft_object_retain(stream);
    stream->last = command->number = ++soft_driver()->streams.number;
    stream->length++;
    stream->current = command->number;
    soft_queue_unlock();
    soft_command_run(stream, command);
    soft_queue_lock();
    finish(stream);
    settle(stream);
}

/* As the real driver does, so that a program cannot fill the memory. */
static void wait_for_room(struct soft_stream *stream)
{
    while (stream->length >= SOFT_QUEUE_LENGTH && !soft_in_callback())
        sleep_until(stream, oldest(stream));
}

static CUresult submit(struct soft_stream *stream, struct soft_command *command, bool here,
                       struct soft_mark *mark)
{
    bool taken = false;
    *mark = (struct soft_mark){NULL, 0};
    if (soft_capturing()) {
        CUresult result = soft_capture_command(stream, command, &taken);
        if (taken)
            return result;
    }
    soft_queue_lock();
    wait_for_room(stream);
    if (here && soft_stream_free_locked(stream)) {
        run_here(stream, command);
        return CUDA_SUCCESS;
    }
    CUresult result = append(stream, command);
    *mark = (struct soft_mark){stream, stream->last};
    soft_queue_unlock();
    if (result != CUDA_SUCCESS)
        soft_command_free(command);
    return result;
}

CUresult soft_submit(struct soft_stream *stream, struct soft_command *command,
                     struct soft_mark *mark)
{
    struct soft_mark ignored;
    return submit(stream, command, command->brief, mark ? mark : &ignored);
}

CUresult soft_execute(struct soft_stream *stream, struct soft_command *command)
{
    struct soft_mark mark;
    CUresult result = submit(stream, command, true, &mark);
    if (result != CUDA_SUCCESS)
        return result;
    soft_mark_wait(&mark);
    return (CUresult)atomic_load(&stream->object.context->fault);
}

/* ---- waiting ---- */

void soft_mark_wait(const struct soft_mark *mark)
{
    if (!mark->stream)
        return;
    soft_queue_lock();
    sleep_until(mark->stream, mark->number);
    soft_queue_unlock();
}

/* What a wait is for: one stream, with those that the NULL stream waits for, or a context's. */
static bool waited_for(const struct soft_stream *stream, const struct soft_context *context,
                       const struct soft_stream *other)
{
    if (stream)
        return other == stream || (stream->legacy && held_by_legacy(stream, other));
    return !context || other->object.context == context;
}

static struct soft_stream *find_unfinished(const struct soft_stream *stream,
                                           const struct soft_context *context, uint64_t until)
{
    for (struct soft_stream *other = soft_driver()->streams.first; other; other = other->sibling) {
        uint64_t number = oldest(other);
        if (number && number <= until && waited_for(stream, context, other))
            return other;
    }
    return NULL;
}

static void wait_all(const struct soft_stream *stream, const struct soft_context *context)
{
    soft_queue_lock();
    uint64_t until = soft_driver()->streams.number;
    struct soft_stream *other;
    while ((other = find_unfinished(stream, context, until))) {
        soft_object_retain(other);
        sleep_until(other, oldest(other));
        soft_queue_unlock();
        soft_object_release(other);
        soft_queue_lock();
    }
    soft_queue_unlock();
}

void soft_stream_wait(struct soft_stream *stream)
{
    wait_all(stream, NULL);
}

void soft_context_wait(struct soft_context *context)
{
    wait_all(NULL, context);
}

bool soft_stream_done(struct soft_stream *stream)
{
    soft_queue_lock();
    bool done = !find_unfinished(stream, NULL, UINT64_MAX);
    soft_queue_unlock();
    return done;
}

bool soft_queue_is_idle(void)
{
    soft_queue_lock();
    bool idle = !queues.ending && !find_unfinished(NULL, NULL, UINT64_MAX);
    soft_queue_unlock();
    return idle;
}
