/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crash in the accelerator's library ends its session only, and the client is told what happened.
 * Used by the worker's main function, before the library is loaded: a library that handles these
 * signals itself takes precedence.
 */
#ifndef WH_WORKER_CRASH_H
#define WH_WORKER_CRASH_H

#include "channel/segment.h"

/*
 * From here on SIGSEGV and its like leave a reason in `segment`. A client that was not welcomed yet
 * is refused on `socket`, unless that is -1.
 */
void wh_crash_report_to(struct wh_segment *segment, int socket);

#endif
