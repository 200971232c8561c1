/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's questions in a piece of code that runs elsewhere, on this driver's memory: the same
 * sources, with what they need of the rest (callee.c) made for one who is alone with it. Whoever
 * links it provides soft_callee.
 */
#ifndef WH_SOFTGPU_CALLEE_H
#define WH_SOFTGPU_CALLEE_H

#include "backend/softgpu/softgpu.h"

struct soft_callee {
    struct soft_driver *driver;
    struct soft_object **buckets;
    struct soft_context *current;
};

/* What the code works on; it stays the same during a call. */
struct soft_callee *soft_callee(void);

/* Whether these bytes may be touched. */
bool soft_callee_sees(const void *bytes, size_t size);

/* Whether the driver's objects behind these handles, and the current context, can be looked at from
 * here. What is no handle can: it is an error. */
bool soft_callee_reaches_context(void);
bool soft_callee_reaches_stream(CUstream handle);
bool soft_callee_reaches_event(CUevent handle);

#endif
