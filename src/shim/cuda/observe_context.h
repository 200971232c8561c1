/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What observing a context needs: events that the program does not see, a stream of its own to
 * compare the clocks in, and the moments at which they were compared. Used by observe_work.c, whose
 * lock guards all of it; what is said to send messages may wait.
 */
#ifndef WH_SHIM_CUDA_OBSERVE_CONTEXT_H
#define WH_SHIM_CUDA_OBSERVE_CONTEXT_H

#include "shim/cuda/observe.h"

/* An event that works are timed from: the driver's times are floats, good for about a second. */
struct wh_observed_base {
    struct wh_observed_base *next;
    CUevent event;
    double device; /* when it was recorded, in nanoseconds from the first one on */
    bool known;    /* `device` is */
    unsigned users;
};

/* What timing itself takes, in nanoseconds of the device's. */
struct wh_observed_cost {
    bool known;
    double behind;      /* the event behind a work */
    double before_idle; /* until a device that had nothing to do begins with the work */
    double before_busy; /* until one that had */
    double least;       /* the shortest work that there is */
};

struct wh_observed_context {
    struct wh_observed_context *next;
    CUcontext context;
    CUstream stream;
    CUevent *events; /* that nobody uses */
    unsigned nevents, room;
    struct wh_observed_base *oldest, *newest;
    uint64_t based; /* when the newest was made */
    struct wh_cuda_clock clock;
    struct wh_observed_cost cost;

    struct wh_cuda_work *first, **last; /* pending works, in order */
    unsigned pending;
    uint64_t read; /* when they were last read without being asked for */
};

struct wh_observed_context *wh_observed_context_new(CUcontext context);

/* Frees what lies here; with `alive`, also what the driver has. */
void wh_observed_context_free(struct wh_observed_context *observed, bool alive);

/* Calls between these two are made in the context, and are nobody's. */
struct wh_observed_visit {
    bool pushed;
};
struct wh_observed_visit wh_observed_enter(CUcontext context);
void wh_observed_leave(struct wh_observed_visit visit);

/* An event of the pool, made if there is none; NULL: there cannot be one. Then back to it. */
CUevent wh_observed_event(struct wh_observed_context *observed);
void wh_observed_event_back(struct wh_observed_context *observed, CUevent event);

bool wh_observed_record(CUevent event, CUstream stream);

/* When up to WH_CUDA_MOST_MOMENTS events were recorded. */
CUresult wh_observed_read(CUevent base, const CUevent *events, unsigned n, wh_cuda_moment *moments);

/* What works that begin now are timed from. NULL: there is none. */
struct wh_observed_base *wh_observed_base_now(struct wh_observed_context *observed);

/* Reads the bases that the device has come to, and lets go of those that nobody needs. */
void wh_observed_read_bases(struct wh_observed_context *observed);

/* Compares the clocks now; false: that was not possible. Waits for the context's own stream. */
bool wh_observed_compare(struct wh_observed_context *observed, struct wh_cuda_meeting *moment);

#endif
