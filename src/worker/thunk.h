/* SPDX-License-Identifier: Apache-2.0 */
/* What generated worker code needs to know of the worker; see worker.h for the rest. */
#ifndef WH_WORKER_THUNK_H
#define WH_WORKER_THUNK_H

#include "wire/desc.h"
#include "wire/word.h"

#include <stdint.h>

struct wh_call;

/*
 * Carries out one decoded call: `functions` is the real library's table (one pointer per call
 * number), `a` holds one word per parameter; the result goes to a[WH_RESULT].
 */
typedef void wh_thunk(struct wh_call *call, const void *functions, uint64_t *a);

#endif
