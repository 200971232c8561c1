/* SPDX-License-Identifier: Apache-2.0 */
/* How long the device worked, by the events around the work (observe_cost.c). */
#ifndef WH_SHIM_CUDA_OBSERVE_COST_H
#define WH_SHIM_CUDA_OBSERVE_COST_H

#include "shim/cuda/observe_context.h"

#define WH_OBSERVED_PROBES 16u /* events that measuring takes */

/* Or a wait of the program's, which has no events and of which nobody is told. */
struct wh_cuda_work {
    struct wh_cuda_work *next;
    struct wh_observed_context *observed;
    struct wh_observed_base *base;
    CUstream stream;
    CUevent before, behind;
    bool put;          /* `behind` is recorded */
    bool waited;       /* not by then, but later, for the program waited for an answer first */
    bool wait, all;    /* a wait, for the whole context */
    uint64_t called;   /* when the call began; a wait: when it was over */
    double begin, end; /* of the device's clock */
    double taken, next_taken; /* of the worker's: the driver had `before`, and was given `behind` */
    struct wh_observed_work told;
};

/* A time for each of some streams. */
struct wh_observed_streams {
    struct {
        CUstream stream;
        double time;
    } of[32];
    unsigned n;
};

/* The stream's, which is `first` when it is asked for the first time; NULL: there is no room. */
double *wh_observed_of_stream(struct wh_observed_streams *streams, CUstream stream, double first);

/* Takes over what both clocks said of the events around a work. */
void wh_observed_times(struct wh_cuda_work *work, const wh_cuda_moment *before,
                       const wh_cuda_moment *behind);

/* Leaves out what is not work, of a list of works of one context. */
void wh_observed_correct(const struct wh_cuda_clock *clock, const struct wh_observed_cost *cost,
                         struct wh_cuda_work *works);

/*
 * Finds out what timing itself takes in a context, which is current, by a kernel that does nothing;
 * takes a millisecond and waits for the context's own stream. Where it cannot be found out, nothing
 * is left out for it. `base`: one that is known; `events`: WH_OBSERVED_PROBES of the context's.
 */
void wh_observed_measure(struct wh_observed_context *observed, const struct wh_cuda_clock *clock,
                         const struct wh_observed_base *base, const CUevent *events);

#endif
