/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events, and those of them that processes share: a page that all of them map counts how often the
 * event was recorded and which of the records were reached. Used by event.c, event_shared.c and
 * ipc.c.
 */
#ifndef WH_SOFTGPU_EVENT_H
#define WH_SOFTGPU_EVENT_H

#include "backend/softgpu/graph.h"

/* What processes call a file that they share. */
struct soft_file_name {
    uint8_t bytes[16];
};

bool soft_file_name_draw(struct soft_file_name *name); /* ipc.c */

struct soft_shared_event;

struct soft_event {
    struct soft_object object;
    unsigned flags;
    struct soft_shared_event *shared;    /* NULL: this process's alone */
    struct soft_captured_point captured; /* guarded by the graphs' lock */
    /* Guarded by the queues' lock. */
    bool recorded;
    struct soft_mark mark; /* of the last record */
    uint64_t time;         /* nanoseconds; of the last record that was reached */
};

/* An event of this context that is not listed; NULL when memory is short. */
struct soft_event *soft_event_new(struct soft_context *context, unsigned flags);

/* The time for an event, in nanoseconds: never before one that another has. The queues' lock is
 * held. */
uint64_t soft_event_now(void); /* event_time.c */

/* What of it all its clocks share: `now`, or the last time if that is later. */
static inline uint64_t soft_event_time_after(uint64_t now)
{
    uint64_t *last = &soft_driver()->event_time;
    return *last = now > *last ? now : *last;
}

/* ---- event_shared.c ---- */

/* A new shared part for an event, and its end. NULL: no memory for it. */
struct soft_shared_event *soft_shared_event_new(void);
void soft_shared_event_free(struct soft_shared_event *shared);

/* As the calls of the same names, for an event with a shared part. */
CUresult soft_shared_record(struct soft_event *event, struct soft_stream *stream);
CUresult soft_shared_stream_wait(struct soft_event *event, struct soft_stream *stream);
bool soft_shared_reached(const struct soft_event *event);
void soft_shared_wait(const struct soft_event *event);

/* The name of a shared event, and the file of a name (borrowed); INVALID_HANDLE and -1: there is
 * none. */
CUresult soft_event_name(CUevent event, struct soft_file_name *name);
int soft_event_file(const struct soft_file_name *name);

/* Makes an event of another process's file. */
CUresult soft_event_open(struct soft_context *context, int fd, const struct soft_file_name *name,
                         CUevent *handle);

#endif
