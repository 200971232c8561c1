/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the device did what the program put into its streams: two events of the driver's around each
 * piece of work, read when the profiler collects. Nothing is recorded in streams that are captured,
 * for events would become nodes there.
 */
#include "shim/cuda/observe_cost.h"

#include <math.h>
#include <stdlib.h>

#define MOST_PENDING  131072u    /* works of a context whose times nobody read; more are lost */
#define MANY_PENDING  32768u     /* from here on they are read without being asked for */
#define BETWEEN_READS 100000000u /* ns, then */
#define MOST_BLOCKED  32u        /* streams whose first work is not done yet */
#define MOST_SHIFT    200000.0 /* ns that all times are moved by, for none to be before its call */

static struct {
    pthread_mutex_t lock;       /* of all lists */
    pthread_mutex_t collecting; /* one at a time; taken before `lock` */
    struct wh_session *session;
    struct wh_observed_context *first;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .collecting = PTHREAD_MUTEX_INITIALIZER};

static void free_works(struct wh_cuda_work *work)
{
    while (work) {
        struct wh_cuda_work *next = work->next;
        free(work);
        work = next;
    }
}

/* A child of fork has a session of its own, in which nothing of this exists. The lock is held. */
static void enter_session(void)
{
    struct wh_session *session = wh_cuda_session();
    while (state.session != session && state.first) {
        struct wh_observed_context *observed = state.first;
        state.first = observed->next;
        free_works(observed->first);
        wh_observed_context_free(observed, false);
    }
    state.session = session;
}

/* Made while another thread held the locks; nobody observes the child. */
static void in_child(void)
{
    pthread_mutex_init(&state.lock, NULL);
    pthread_mutex_init(&state.collecting, NULL);
    wh_cuda_observe_table.observe(NULL, 0);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, in_child);
}

static void lose(size_t works)
{
    const struct wh_observer *who = wh_cuda_observer();
    if (who && works)
        who->lost(works);
}

/* ---- putting work into a stream ---- */

/* The lock is held. */
static struct wh_observed_context *find(CUcontext context)
{
    struct wh_observed_context *observed = state.first;
    while (observed && observed->context != context)
        observed = observed->next;
    if (observed || !(observed = wh_observed_context_new(context)))
        return observed;
    observed->next = state.first;
    state.first = observed;
    return observed;
}

/* Gives it events and a base. The lock is held. */
static bool equip(struct wh_cuda_work *work, CUcontext context)
{
    struct wh_observed_context *observed = find(context);
    if (!observed || observed->pending >= MOST_PENDING)
        return false;
    work->observed = observed;
    work->base = wh_observed_base_now(observed);
    work->before = work->base ? wh_observed_event(observed) : NULL;
    work->behind = work->before ? wh_observed_event(observed) : NULL;
    if (!work->behind) {
        wh_observed_event_back(observed, work->before);
        return false;
    }
    work->base->users++;
    observed->pending++;
    return true;
}

static bool record_before(struct wh_cuda_work *work, CUcontext context)
{
    struct wh_observed_visit visit = wh_observed_enter(context);
    pthread_mutex_lock(&state.lock);
    enter_session();
    bool ready = equip(work, context);
    pthread_mutex_unlock(&state.lock);
    if (ready)
        wh_observed_record(work->before, work->stream);
    wh_observed_leave(visit);
    return ready;
}

/* The context of a stream that can be observed now; NULL: of one that cannot. */
static CUcontext observable(CUstream stream)
{
    CUcontext context = NULL;
    if (wh_cuda_ails() || cuStreamGetCtx(stream, &context) != CUDA_SUCCESS)
        return NULL;
    return wh_cuda_capturing() && wh_cuda_stream_captures(stream) ? NULL : context;
}

struct wh_cuda_work *wh_cuda_work_begin(unsigned what, CUstream stream)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct wh_cuda_thread *thread = wh_cuda_thread();
    const struct wh_cuda_frame *frame = thread->observed.frame;
    if (!frame || thread->observed.quiet || !wh_cuda_observes(what))
        return NULL; /* the call may have begun before that, or be the profiler's own */
    CUcontext context = observable(stream);
    const struct wh_cuda_context *known = context ? wh_cuda_context(context) : NULL;
    struct wh_cuda_work *work = known ? calloc(1, sizeof(*work)) : NULL;
    if (!work)
        return NULL;
    pthread_once(&once, watch_forks);
    work->stream = wh_cuda_stream_meant(stream);
    work->called = frame->begin;
    work->told = (struct wh_observed_work){.what = what,
                                           .correlation = frame->correlation,
                                           .device = (uint32_t)known->device,
                                           .context = known->number,
                                           .stream = wh_cuda_stream_number(stream)};
    if (!record_before(work, context)) {
        free(work);
        lose(1);
        return NULL;
    }
    thread->observed.work = work;
    return work;
}

void wh_cuda_work_waits(void)
{
    const struct wh_cuda_thread *thread = wh_cuda_thread();
    struct wh_cuda_work *work = thread->observed.work;
    if (work && !work->put && !thread->observed.quiet)
        work->waited = true;
}

static void record_behind(struct wh_cuda_work *work)
{
    if (work->put)
        return;
    wh_cuda_quiet_begin();
    wh_observed_record(work->behind, work->stream);
    wh_cuda_quiet_end();
    work->put = true;
}

void wh_cuda_work_is_put(void)
{
    struct wh_cuda_work *work = wh_cuda_thread()->observed.work;
    if (work)
        record_behind(work);
}

struct wh_observed_work *wh_cuda_work_told(struct wh_cuda_work *work)
{
    return &work->told;
}

/* The lock is held. */
static void give_back(struct wh_cuda_work *work)
{
    wh_observed_event_back(work->observed, work->before);
    wh_observed_event_back(work->observed, work->behind);
    work->base->users--;
    work->observed->pending--;
}

/* The lock is held. */
static void append(struct wh_observed_context *observed, struct wh_cuda_work *work)
{
    *observed->last = work;
    observed->last = &work->next;
}

void wh_cuda_work_waited(CUcontext context, CUstream stream, bool all, uint64_t end)
{
    struct wh_cuda_work *wait = NULL;
    pthread_mutex_lock(&state.lock);
    enter_session();
    struct wh_observed_context *observed = state.first;
    while (observed && observed->context != context)
        observed = observed->next;
    if (observed && observed->first)
        wait = calloc(1, sizeof(*wait));
    if (wait) {
        wait->wait = true;
        wait->all = all;
        wait->stream = stream;
        wait->called = end;
        append(observed, wait);
    }
    pthread_mutex_unlock(&state.lock);
}

void wh_cuda_work_end(struct wh_cuda_work *work, CUresult result)
{
    if (!work)
        return;
    struct wh_observed_context *observed = work->observed;
    struct wh_cuda_thread *thread = wh_cuda_thread();
    bool many = false;
    thread->observed.work = NULL;
    if (result == CUDA_SUCCESS) {
        record_behind(work);
        thread->observed.frame->worked = true;
    }
    pthread_mutex_lock(&state.lock);
    if (result == CUDA_SUCCESS) {
        append(observed, work);
        many = observed->pending >= MANY_PENDING && wh_cuda_now() - observed->read > BETWEEN_READS;
        if (many)
            observed->read = wh_cuda_now();
    } else {
        give_back(work);
    }
    pthread_mutex_unlock(&state.lock);
    if (result != CUDA_SUCCESS)
        free(work);
    if (many)
        wh_cuda_observe_collect();
}

/* ---- reading ---- */

/* Works on their way from `left` to what became of them. */
struct reading {
    struct wh_cuda_work *done, **last_done;
    struct wh_cuda_work *left, **last_left;
    CUstream blocked[MOST_BLOCKED];
    unsigned nblocked;
    size_t works, lost; /* done; whose times cannot be read */
};

static bool is_blocked(const struct reading *r, CUstream stream)
{
    for (unsigned i = 0; i < r->nblocked; i++)
        if (r->blocked[i] == stream)
            return true;
    return false;
}

/* Works whose times are asked for together: they have the same base. */
struct batch {
    struct wh_cuda_work *works[WH_CUDA_MOST_MOMENTS / 2];
    CUevent events[WH_CUDA_MOST_MOMENTS];
    wh_cuda_moment moments[WH_CUDA_MOST_MOMENTS];
    unsigned n;
};

static void is_done(struct reading *r, struct wh_cuda_work *work)
{
    work->next = NULL;
    *r->last_done = work;
    r->last_done = &work->next;
    r->works += !work->wait;
}

/* What is behind a work of its stream that is not done, is not either. */
static void is_left(struct reading *r, struct wh_cuda_work *work)
{
    work->next = NULL;
    *r->last_left = work;
    r->last_left = &work->next;
    if (r->nblocked < MOST_BLOCKED && !is_blocked(r, work->stream))
        r->blocked[r->nblocked++] = work->stream;
}

static void is_lost(struct reading *r, struct wh_cuda_work *work)
{
    pthread_mutex_lock(&state.lock);
    give_back(work);
    pthread_mutex_unlock(&state.lock);
    free(work);
    r->lost++;
}

static void read_batch(struct reading *r, struct batch *b)
{
    CUresult asked =
        b->n ? wh_observed_read(b->works[0]->base->event, b->events, 2 * b->n, b->moments)
             : CUDA_SUCCESS;
    for (unsigned i = 0; i < b->n; i++) {
        const wh_cuda_moment *before = &b->moments[2 * i], *behind = before + 1;
        CUresult result = asked != CUDA_SUCCESS ? asked : behind->status;
        if (result == CUDA_SUCCESS)
            result = before->status;
        if (result == CUDA_SUCCESS)
            wh_observed_times(b->works[i], before, behind);
        if (result == CUDA_SUCCESS)
            is_done(r, b->works[i]);
        else if (result == CUDA_ERROR_NOT_READY)
            is_left(r, b->works[i]);
        else
            is_lost(r, b->works[i]);
    }
    b->n = 0;
}

static void read_works(struct reading *r, struct wh_cuda_work *work)
{
    struct batch b;
    b.n = 0;
    while (work) {
        struct wh_cuda_work *next = work->next;
        if (b.n == WH_CUDA_MOST_MOMENTS / 2 || work->wait ||
            (b.n && b.works[0]->base != work->base))
            read_batch(r, &b);
        if (work->wait) {
            is_done(r, work);
        } else if (!work->base->known || is_blocked(r, work->stream)) {
            read_batch(r, &b);
            is_left(r, work);
        } else {
            b.events[2 * b.n] = work->before;
            b.events[2 * b.n + 1] = work->behind;
            b.works[b.n++] = work;
        }
        work = next;
    }
    read_batch(r, &b);
}

/* ---- telling ---- */

/* How far the times are to be moved, for the clocks were compared a little wrong if a work began
 * before it was asked for, or ended after it was waited for. */
struct bounds {
    double least, most;
    double ended;                       /* the last of all works so far */
    struct wh_observed_streams streams; /* of each, the last of its works */
};

static void bound(struct bounds *b, const struct wh_cuda_clock *clock,
                  const struct wh_cuda_work *work)
{
    double *ended = wh_observed_of_stream(&b->streams, work->stream, -INFINITY), most;
    if (work->wait) {
        double last = work->all ? b->ended : ended ? *ended : -INFINITY;
        most = (double)work->called - wh_cuda_clock_convert(clock, last);
        b->most = most < b->most ? most : b->most;
        return;
    }
    double least = (double)work->called - wh_cuda_clock_convert(clock, work->begin);
    b->least = least > b->least ? least : b->least;
    b->ended = work->end > b->ended ? work->end : b->ended;
    if (ended && work->end > *ended)
        *ended = work->end;
}

static double shift_of(const struct wh_cuda_clock *clock, const struct wh_cuda_work *work)
{
    struct bounds b = {.least = -INFINITY, .most = INFINITY, .ended = -INFINITY};
    for (; work; work = work->next)
        bound(&b, clock, work);
    if (b.least > 0)
        return b.least < MOST_SHIFT ? b.least : 0;
    if (b.most < 0)
        return b.most > b.least ? b.most : b.least > -MOST_SHIFT ? b.least : 0;
    return 0;
}

static void tell(const struct wh_cuda_clock *clock, struct wh_cuda_work *work)
{
    const struct wh_observer *who = wh_cuda_observer();
    double shift = shift_of(clock, work), now = (double)wh_cuda_now();
    for (; work && who; work = work->next) {
        if (work->wait)
            continue;
        double begin = wh_cuda_clock_convert(clock, work->begin) + shift;
        double end = wh_cuda_clock_convert(clock, work->end) + shift;
        begin = begin < (double)work->called ? (double)work->called : begin;
        end = end > now ? now : end;
        work->told.begin = (uint64_t)begin;
        work->told.end = (uint64_t)(end < begin ? begin : end);
        who->work(&work->told);
    }
}

/* What the program has put there meanwhile is behind what is left. The lock is held. */
static void put_back(struct wh_observed_context *observed, struct reading *r)
{
    if (!r->left)
        return;
    *r->last_left = observed->first;
    if (!observed->first)
        observed->last = r->last_left;
    observed->first = r->left;
}

/* Once in a context, when nothing is known to be under way in it. `collecting` is held. */
static void find_cost(struct wh_observed_context *observed, const struct wh_cuda_clock *clock)
{
    CUevent events[WH_OBSERVED_PROBES];
    const struct wh_observed_base *known = NULL;
    unsigned n = 0;
    pthread_mutex_lock(&state.lock);
    while (n < WH_OBSERVED_PROBES && (events[n] = wh_observed_event(observed)))
        n++;
    for (const struct wh_observed_base *base = observed->oldest; base && base->known;
         base = base->next)
        known = base;
    pthread_mutex_unlock(&state.lock);
    if (n == WH_OBSERVED_PROBES && known)
        wh_observed_measure(observed, clock, known, events);
    observed->cost.known = true;
    pthread_mutex_lock(&state.lock);
    while (n > 0)
        wh_observed_event_back(observed, events[--n]);
    pthread_mutex_unlock(&state.lock);
}

/* `collecting` is held. */
static void collect(struct wh_observed_context *observed)
{
    struct reading r = {.nblocked = 0};
    struct wh_cuda_meeting moment;
    r.last_done = &r.done;
    r.last_left = &r.left;
    struct wh_observed_visit visit = wh_observed_enter(observed->context);
    pthread_mutex_lock(&state.lock);
    struct wh_cuda_work *work = observed->first;
    observed->first = NULL;
    observed->last = &observed->first;
    wh_observed_read_bases(observed);
    pthread_mutex_unlock(&state.lock);
    read_works(&r, work);
    pthread_mutex_lock(&state.lock);
    put_back(observed, &r);
    if (r.works && wh_observed_compare(observed, &moment))
        wh_cuda_clock_compared(&observed->clock, &moment);
    struct wh_cuda_clock clock = observed->clock;
    for (work = r.done; work; work = work->next)
        if (!work->wait)
            give_back(work);
    pthread_mutex_unlock(&state.lock);
    if (r.works && !r.left && !observed->cost.known)
        find_cost(observed, &clock);
    wh_observed_leave(visit);
    wh_observed_correct(&clock, &observed->cost, r.done);
    tell(&clock, r.done);
    free_works(r.done);
    lose(r.lost);
}

void wh_cuda_observe_collect(void)
{
    if (wh_cuda_ready() != CUDA_SUCCESS)
        return;
    pthread_mutex_lock(&state.collecting);
    pthread_mutex_lock(&state.lock);
    enter_session();
    struct wh_observed_context *observed = state.first;
    pthread_mutex_unlock(&state.lock);
    /* Contexts are added in front, and taken away under `collecting`. */
    for (; observed; observed = observed->next)
        collect(observed);
    pthread_mutex_unlock(&state.collecting);
}

/* ---- the end of a context ---- */

void wh_cuda_observe_end_context(CUcontext context)
{
    pthread_mutex_lock(&state.collecting);
    pthread_mutex_lock(&state.lock);
    enter_session();
    struct wh_observed_context **link = &state.first;
    while (*link && (*link)->context != context)
        link = &(*link)->next;
    struct wh_observed_context *observed = *link;
    pthread_mutex_unlock(&state.lock);
    if (!observed) {
        pthread_mutex_unlock(&state.collecting);
        return;
    }
    struct wh_observed_visit visit = wh_observed_enter(context);
    if (observed->first && !wh_cuda_ails())
        (void)cuCtxSynchronize();
    collect(observed);
    pthread_mutex_lock(&state.lock);
    for (link = &state.first; *link != observed; link = &(*link)->next)
        ;
    *link = observed->next;
    size_t pending = observed->pending, listed = 0;
    for (const struct wh_cuda_work *work = observed->first; work; work = work->next)
        listed += !work->wait;
    pthread_mutex_unlock(&state.lock);
    lose(listed);
    free_works(observed->first);
    observed->first = NULL;
    observed->last = &observed->first;
    if (listed ==
        pending) /* else another thread is about to put work into the context as it ends */
        wh_observed_context_free(observed, true);
    wh_observed_leave(visit);
    pthread_mutex_unlock(&state.collecting);
}
