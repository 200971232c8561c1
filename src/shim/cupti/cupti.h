/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUPTI's Activity API for programs that run through Wormhole: what the CUDA shim tells of calls
 * and of the device's work (shim/cuda/observe_table.h) becomes CUPTI's records, in the program's
 * buffers. Numbers and layouts are those of CUDA 13.0. Loaded into every process of `wormhole run`:
 * nothing may happen before a program calls one of its functions.
 */
#ifndef WH_SHIM_CUPTI_CUPTI_H
#define WH_SHIM_CUPTI_CUPTI_H

#include "shim/cuda/observe_table.h"
#include "shim/cupti/records.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_EXPORT        __attribute__((visibility("default")))
#define WH_CUPTI_VERSION 130001u
#define WH_CUPTI_CALLS   1024u /* the numbers of the driver API's functions are below */

typedef int32_t CUptiResult;

enum {
#define RESULT(number, name, text) CUPTI_##name = (number),
#include "shim/cupti/results.def"
#undef RESULT
};

/* Bytes of a record of this kind; 0: there are none here. */
size_t wh_cupti_record_size(uint32_t kind);

/* ---- the CUDA shim (library.c) ---- */

/* Its table, found when first asked for. NULL: the program's driver library is another one. */
const struct wh_observe_table *wh_cupti_driver(void);

/* The CUPTI number of a function of the driver API; 0: it has none. */
uint32_t wh_cupti_call_number(unsigned number, bool per_thread);
const char *wh_cupti_call_name(uint32_t call);

/* ---- time (clock.c) ---- */

typedef uint64_t (*wh_cupti_clock)(void);

/* NULL: the system's time, in nanoseconds. */
void wh_cupti_clock_set(wh_cupti_clock clock);

/* From here on times are converted. */
void wh_cupti_clock_start(void);

uint64_t wh_cupti_clock_now(void);

/* A time of CLOCK_MONOTONIC on the program's clock. */
uint64_t wh_cupti_clock_of(uint64_t monotonic);

/* ---- buffers (buffer.c) ---- */

typedef void (*wh_cupti_request)(uint8_t **buffer, size_t *size, size_t *most);
typedef void (*wh_cupti_complete)(void *context, uint32_t stream, uint8_t *buffer, size_t size,
                                  size_t valid);

void wh_cupti_buffers_register(wh_cupti_request request, wh_cupti_complete complete);
bool wh_cupti_buffers_are_registered(void);

/* Appends a record, of which the first word is the kind, to the program's buffer. */
void wh_cupti_emit(const void *record);

/* Gives the program all that was written. */
void wh_cupti_buffers_flush(void);

void wh_cupti_drop(size_t records);
size_t wh_cupti_dropped(void);

/* ---- correlation with what the program does (correlate.c) ---- */

/* Writes a record for each kind of which the calling thread has an id. */
void wh_cupti_emit_external(uint32_t correlation);

/* ---- records (record.c) ---- */

extern const struct wh_observer wh_cupti_observer;

/* ---- callbacks (callback.c) ---- */

/* Whether the program wants to be called when contexts or streams begin or end; and such a thing.
 */
bool wh_cupti_wants_resources(void);
void wh_cupti_take_resource(enum wh_observed_resource what, CUcontext context, CUstream stream);

/* Whether it wants to be called for any function of the driver's; for this one; and the calling, as
 * struct wh_observer has it. */
bool wh_cupti_wants_calls(void);
bool wh_cupti_wants_callback(unsigned number, bool per_thread);
uint32_t wh_cupti_take_callback(const struct wh_observed_callback *callback);

/* As if the program had unsubscribed. */
void wh_cupti_end_subscription(void);

/* ---- what is wanted (activity.c) ---- */

/* What is wanted has changed: tells the CUDA shim. */
void wh_cupti_apply(void);

bool wh_cupti_wants(uint32_t kind);
bool wh_cupti_wants_call(uint32_t call);

/* The kind that the program knows kernels by. */
uint32_t wh_cupti_kernel_kind(void);

/* A thread as records name it. */
uint32_t wh_cupti_thread(void);

/* Remembers a failure for cuptiGetLastError, and returns it. */
CUptiResult wh_cupti_fail(CUptiResult result);

/* Says once that something is not there. `said` is the caller's. */
void wh_cupti_say(_Atomic bool *said, const char *what);

#endif
