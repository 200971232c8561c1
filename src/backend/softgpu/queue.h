/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams as queues of commands, and the threads that run them. A stream's commands run one at a
 * time in their order, each after what it needs of other streams. A stream that has a command to
 * run is given to an idle thread of a pool that grows as needed; threads without work sleep.
 * Nothing here knows what a command does.
 */
#ifndef WH_SOFTGPU_QUEUE_H
#define WH_SOFTGPU_QUEUE_H

#include "backend/softgpu/softgpu.h"

/* Copies and sets of no more bytes are done by the submitting thread when nothing is before them.
 */
#define SOFT_SMALL_BYTES (64 * 1024)

/* Commands that wait in a stream; who submits one more waits until one is done. */
#define SOFT_QUEUE_LENGTH 1024

/* A point in a stream: reached when the command with this number is done. Numbers are driver-wide.
 */
struct soft_mark {
    struct soft_stream *stream; /* NULL: reached; else a reference */
    uint64_t number;
};

/* The head of every command. It is freed when done. */
struct soft_command {
    struct soft_command *next;
    /* Does the work, without locks held. What is not success becomes the context's sticky error. */
    CUresult (*run)(struct soft_stream *stream, struct soft_command *command);
    void (*discard)(struct soft_command *command); /* drops what it holds; may be NULL */
    struct soft_mark *needs;
    size_t nneeds, met; /* the first `met` of them are known to be reached */
    uint64_t number;
    int node;    /* 1 + its CUgraphNodeType, where it can be a graph's node; else 0 */
    bool always; /* run it even after a fault (callbacks are told) */
    bool brief;  /* may run on the submitting thread when nothing is before it */
};

struct soft_stream {
    struct soft_object object;
    unsigned flags;
    atomic_int priority;
    bool legacy;
    uint64_t id;
    CUlaunchAttributeValue attributes[4]; /* kept only; see stream.c */
    /* Guarded by the graphs' lock; see capture.c. */
    struct soft_capture *capture;     /* a reference: it takes part in this */
    struct soft_stream *capture_next; /* another stream that does */
    struct soft_edges {
        struct soft_edge *at;
        size_t n;
    } place; /* what its next node depends on */
    CUgraphNode *told_nodes;
    CUgraphEdgeData *told_data;
    /* The rest is guarded by the queues' lock. */
    struct soft_stream *sibling, **link; /* in the list of all streams */
    struct soft_command *head, **tail;
    uint64_t last, done;  /* numbers of the last command submitted and completed */
    uint64_t current;     /* of the command that runs now; 0: none does */
    unsigned length;      /* commands that are not done */
    uint64_t legacy_last; /* the NULL stream's command that ours wait for already */
    struct soft_stream *ready_next;
    struct soft_stream *waiters, *wait_next; /* streams whose head needs this one, until it moves */
    unsigned sleepers;
    pthread_cond_t moved; /* `done` changed */
};

/* Makes sure that a thread is there to run commands; false: the system gives none. */
bool soft_queue_start(void);

/* A stream of a context, not listed; NULL when memory is short. */
struct soft_stream *soft_stream_new(struct soft_context *context, unsigned flags, int priority);

/* stream.c: the stream that a handle names, with a reference for the caller (NULL when there is an
 * error), and whether calls may go on in its context. */
CUresult soft_enter_stream(CUstream handle, struct soft_stream **stream);

/* A command of `size` zeroed bytes. NULL when memory is short. */
void *soft_command_new(size_t size, CUresult (*run)(struct soft_stream *, struct soft_command *));

/* Frees a command that was never submitted. */
void soft_command_free(struct soft_command *command);

/* Runs a command and frees it; after a fault only those that must know. */
void soft_command_run(struct soft_stream *stream, struct soft_command *command);

/*
 * Puts a command at the stream's end; it is the queue's from now on, whatever is returned. Adds
 * what the legacy stream's rules ask for. `mark`, if not NULL, is where the command is.
 */
CUresult soft_submit(struct soft_stream *stream, struct soft_command *command,
                     struct soft_mark *mark);

/* As soft_submit, and waits for the end of it. */
CUresult soft_execute(struct soft_stream *stream, struct soft_command *command);

/* The queues' lock, for events. soft_submit_locked is soft_submit with it held, and never runs
 * anything itself. */
void soft_queue_lock(void);
void soft_queue_unlock(void);
CUresult soft_submit_locked(struct soft_stream *stream, struct soft_command *command);

/* Lock held: nothing is before a command that is submitted now. */
bool soft_stream_free_locked(struct soft_stream *stream);

/* Lock held: adds a point to what a command needs; false when memory is short. */
bool soft_command_need(struct soft_command *command, const struct soft_mark *mark);

/* Lock held. */
bool soft_mark_reached(const struct soft_mark *mark);

/* Waits without the lock. A mark's stream must be held by the caller. */
void soft_mark_wait(const struct soft_mark *mark);

/* All that was submitted to the stream (for the NULL stream: to all it waits for) is done. */
bool soft_stream_done(struct soft_stream *stream);
void soft_stream_wait(struct soft_stream *stream);

/* All that was submitted anywhere is done. */
bool soft_queue_is_idle(void);

/* Waits for all that was submitted to any stream of the context, or of all contexts (NULL). */
void soft_context_wait(struct soft_context *context);

/* event.c: records an event at the stream's end. */
struct soft_event;
CUresult soft_event_record(struct soft_event *event, struct soft_stream *stream);

/* event.c: an event by handle, with a reference for the caller (NULL when there is an error). */
CUresult soft_event_find(CUevent handle, struct soft_event **event);

/* event.c: whether it was made without timing. */
bool soft_event_untimed(const struct soft_event *event);

/* True on a thread that runs a program's callback. */
bool soft_in_callback(void);
void soft_enter_callback(bool inside);

#endif
