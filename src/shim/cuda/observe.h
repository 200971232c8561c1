/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and work that a profiler hears of (observe_table.h). The entries of the API's functions say
 * when they begin and end (entry.h), and the functions what they put into a stream. While nobody
 * observes, all of it is one branch.
 */
#ifndef WH_SHIM_CUDA_OBSERVE_H
#define WH_SHIM_CUDA_OBSERVE_H

#include "shim/cuda/entry.h"
#include "shim/cuda/observe_table.h"
#include "shim/cuda/shim.h"

static inline bool wh_cuda_observes(unsigned what)
{
    return atomic_load_explicit(&wh_cuda_observed, memory_order_relaxed) & what;
}

extern const struct wh_observe_table wh_cuda_observe_table;

/* ---- calls (observe.c) ---- */

/* What is done between these two is nobody's: the profiler's own. */
void wh_cuda_quiet_begin(void);
void wh_cuda_quiet_end(void);

const struct wh_observer *wh_cuda_observer(void);

/* Something of the program's is there, or is about to end. No lock is held. */
void wh_cuda_observe_resource(enum wh_observed_resource what, CUcontext context, CUstream stream);

/* ---- work (observe_work.c) ---- */

struct wh_cuda_work;

/*
 * Something of sort `what` is about to be put into a stream, and was. In between, wh_cuda_work_told
 * is to be filled with what is known of it. NULL: it is not observed, which the others take.
 */
struct wh_cuda_work *wh_cuda_work_begin(unsigned what, CUstream stream);
struct wh_observed_work *wh_cuda_work_told(struct wh_cuda_work *work);
void wh_cuda_work_end(struct wh_cuda_work *work, CUresult result);

/* In between, before waiting: all of what the calling thread is about is in the stream. */
void wh_cuda_work_is_put(void);

/* A wait for a stream, or for all of a context (`all`), was over at `end`. */
void wh_cuda_work_waited(CUcontext context, CUstream stream, bool all, uint64_t end);

/* The same for a generated call that copies or fills memory; NULL for all others. */
struct wh_cuda_work *wh_cuda_work_of(uint16_t number, const uint64_t *a);

/* In between: the calling thread is about to wait for an answer. */
void wh_cuda_work_waits(void);

/* What the profiler is told of an address. */
enum wh_observed_memory wh_cuda_observed_memory(uint64_t address);

/* A call begins: what it frees is looked up, as long as it is there; and ended well: what memory it
 * allocated or freed (observe_memory.c). */
void wh_cuda_memory_looked_up(struct wh_cuda_frame *frame);
void wh_cuda_say_memory(struct wh_observed_memory_call *memory, const struct wh_cuda_frame *frame);

void wh_cuda_observe_collect(void);

/* A context is about to end: its work is told of before. */
void wh_cuda_observe_end_context(CUcontext context);

/* ---- when the device did it (observe_clock.c) ---- */

/* A time of the device's, in nanoseconds since some event, and the program's then: between `low`
 * and `high`. Also the worker's, when the driver had taken the event's record. */
struct wh_cuda_meeting {
    double device, low, high, recorded;
};

/* Two such moments, by which all are converted. */
struct wh_cuda_clock {
    struct wh_cuda_meeting first, last;
};

uint64_t wh_cuda_now(void);

/* The program's time of a device's, and the other way round. */
double wh_cuda_clock_convert(const struct wh_cuda_clock *clock, double device);
double wh_cuda_clock_back(const struct wh_cuda_clock *clock, double time);

/* One more moment is known. */
void wh_cuda_clock_compared(struct wh_cuda_clock *clock, const struct wh_cuda_meeting *moment);

/* ---- identities (observe_id.c) ---- */

uint32_t wh_cuda_context_number(CUcontext context);
uint32_t wh_cuda_stream_number(CUstream stream);

/* The stream that a handle stands for here, by one handle; NULL: the context's own. */
CUstream wh_cuda_stream_meant(CUstream stream);

/* What does not change of a kernel. */
struct wh_cuda_facts {
    const char *name;
    uint32_t registers, shared, local;
};

/* NULL when memory is short. */
const struct wh_cuda_facts *wh_cuda_facts_of(struct wh_object *code);

#endif
