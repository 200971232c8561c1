/* SPDX-License-Identifier: Apache-2.0 */
/* Events and clocks of a context that is observed; see observe_context.h. */
#include "shim/cuda/observe_context.h"

#include <math.h>
#include <stdlib.h>

#define EVENTS_AT_ONCE 64u
#define REBASE_AFTER   1000000000u /* ns */
#define COMPARE_AFTER                                                           \
    1500000000u /* ns without a base: the float from the last one is too coarse \
                 */
#define COMPARISONS 4

/* ---- being in a context ---- */

struct wh_observed_visit wh_observed_enter(CUcontext context)
{
    struct wh_observed_visit visit = {.pushed = wh_cuda_current() != context};
    wh_cuda_quiet_begin();
    if (visit.pushed)
        visit.pushed = cuCtxPushCurrent_v2(context) == CUDA_SUCCESS;
    return visit;
}

void wh_observed_leave(struct wh_observed_visit visit)
{
    if (visit.pushed)
        (void)cuCtxPopCurrent_v2(NULL);
    wh_cuda_quiet_end();
}

/* ---- events ---- */

static bool make_room(struct wh_observed_context *observed)
{
    if (observed->nevents < observed->room)
        return true;
    unsigned room = observed->room ? 2 * observed->room : 2 * EVENTS_AT_ONCE;
    CUevent *events = realloc(observed->events, room * sizeof(CUevent));
    if (!events)
        return false;
    observed->events = events;
    observed->room = room;
    return true;
}

void wh_observed_event_back(struct wh_observed_context *observed, CUevent event)
{
    if (event && make_room(observed))
        observed->events[observed->nevents++] = event;
    else if (event)
        (void)cuEventDestroy_v2(event);
}

/* Posted: it cannot fail but for want of memory. */
static void make_events(struct wh_observed_context *observed)
{
    for (unsigned i = 0; i < EVENTS_AT_ONCE; i++) {
        CUevent event = NULL;
        uint64_t a[] = {(uintptr_t)&event, CU_EVENT_DEFAULT};
        if (wh_cuda_post(WH_CUDA_cuEventCreate, a) != CUDA_SUCCESS)
            return;
        wh_observed_event_back(observed, event);
    }
}

CUevent wh_observed_event(struct wh_observed_context *observed)
{
    if (!observed->nevents)
        make_events(observed);
    return observed->nevents ? observed->events[--observed->nevents] : NULL;
}

/* Where the worker keeps its time of an event. */
static unsigned place_of(CUevent event)
{
    return ((const struct wh_object *)event)->id % WH_CUDA_RECORDS;
}

bool wh_observed_record(CUevent event, CUstream stream)
{
    uint64_t a[] = {(uintptr_t)event, (uintptr_t)stream, place_of(event)};
    return wh_cuda_post(WH_CUDA_wh_observe_record, a) == CUDA_SUCCESS;
}

CUresult wh_observed_read(CUevent base, const CUevent *events, unsigned n, wh_cuda_moment *moments)
{
    unsigned places[WH_CUDA_MOST_MOMENTS];
    for (unsigned i = 0; i < n; i++)
        places[i] = place_of(events[i]);
    return wh_cuda_call_observe_times(base, n, events, places, moments);
}

static CUresult between(CUevent from, CUevent to, double *ns, uint64_t *recorded)
{
    wh_cuda_moment moment = {.status = CUDA_ERROR_NOT_READY};
    CUresult result = wh_observed_read(from, &to, 1, &moment);
    *ns = moment.milliseconds * 1e6;
    *recorded = moment.end;
    return result == CUDA_SUCCESS ? moment.status : result;
}

/* ---- clocks ---- */

/* Records an event, and says between which times of the program's the device came to it. */
static bool meet(struct wh_observed_context *observed, CUevent event, double *low, double *high)
{
    *low = (double)wh_cuda_now();
    if (!wh_observed_record(event, observed->stream) || cuEventSynchronize(event) != CUDA_SUCCESS)
        return false;
    *high = (double)wh_cuda_now();
    return true;
}

/* Several times, from a base whose time is known. */
static bool narrow(struct wh_observed_context *observed, const struct wh_observed_base *base,
                   struct wh_cuda_meeting *moment)
{
    CUevent event = wh_observed_event(observed);
    double least = -INFINITY, most = INFINITY, low = 0, high = 0, since = 0;
    uint64_t recorded = 0;
    bool good = event != NULL;
    for (int i = 0; i < COMPARISONS && good; i++) {
        good = meet(observed, event, &low, &high) &&
               between(base->event, event, &since, &recorded) == CUDA_SUCCESS;
        least = low - since > least ? low - since : least;
        most = high - since < most ? high - since : most;
    }
    wh_observed_event_back(observed, event);
    *moment = (struct wh_cuda_meeting){.device = base->device + since,
                                       .low = least + since,
                                       .high = most + since,
                                       .recorded = (double)recorded};
    return good;
}

bool wh_observed_compare(struct wh_observed_context *observed, struct wh_cuda_meeting *moment)
{
    const struct wh_observed_base *base = observed->oldest, *known = NULL;
    for (; base && base->known; base = base->next)
        known = base;
    return known && narrow(observed, known, moment);
}

/* A base that the device comes to at once, and whose time is by the program's clock. */
static bool anchor(struct wh_observed_context *observed, struct wh_observed_base *base, bool first)
{
    double low, high;
    if (first && cuStreamCreate(&observed->stream, CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS)
        return false;
    if (!meet(observed, base->event, &low, &high))
        return false;
    base->known = true;
    if (!first) {
        base->device = wh_cuda_clock_back(&observed->clock, (low + high) / 2);
        return true;
    }
    if (!narrow(observed, base, &observed->clock.first))
        return false;
    observed->clock.last = observed->clock.first;
    return true;
}

struct wh_observed_base *wh_observed_base_now(struct wh_observed_context *observed)
{
    uint64_t now = wh_cuda_now();
    bool first = !observed->newest;
    if (!first && now - observed->based < REBASE_AFTER)
        return observed->newest;
    struct wh_observed_base *base = calloc(1, sizeof(*base));
    if (!base || !(base->event = wh_observed_event(observed))) {
        free(base);
        return observed->newest;
    }
    bool good = first || now - observed->based > COMPARE_AFTER
                    ? anchor(observed, base, first)
                    : wh_observed_record(base->event, observed->stream);
    if (!good) {
        wh_observed_event_back(observed, base->event);
        free(base);
        return observed->newest;
    }
    if (first)
        observed->oldest = base;
    else
        observed->newest->next = base;
    observed->newest = base;
    observed->based = now;
    return base;
}

void wh_observed_read_bases(struct wh_observed_context *observed)
{
    double since;
    uint64_t recorded;
    for (struct wh_observed_base *base = observed->oldest; base && base->next; base = base->next) {
        struct wh_observed_base *next = base->next;
        if (next->known)
            continue;
        if (between(base->event, next->event, &since, &recorded) != CUDA_SUCCESS)
            break;
        next->device = base->device + since;
        next->known = true;
    }
    while (observed->oldest && observed->oldest->users == 0 && observed->oldest->next &&
           observed->oldest->next->known) {
        struct wh_observed_base *oldest = observed->oldest;
        observed->oldest = oldest->next;
        wh_observed_event_back(observed, oldest->event);
        free(oldest);
    }
}

/* ---- the whole ---- */

struct wh_observed_context *wh_observed_context_new(CUcontext context)
{
    struct wh_observed_context *observed = calloc(1, sizeof(*observed));
    if (observed) {
        observed->context = context;
        observed->last = &observed->first;
    }
    return observed;
}

void wh_observed_context_free(struct wh_observed_context *observed, bool alive)
{
    while (observed->oldest) {
        struct wh_observed_base *base = observed->oldest;
        observed->oldest = base->next;
        if (alive)
            (void)cuEventDestroy_v2(base->event);
        free(base);
    }
    while (alive && observed->nevents)
        (void)cuEventDestroy_v2(observed->events[--observed->nevents]);
    if (alive && observed->stream)
        (void)cuStreamDestroy_v2(observed->stream);
    free(observed->events);
    free(observed);
}
