/* SPDX-License-Identifier: Apache-2.0 */
/* A trace in memory: its calls in the order in which they were begun (docs/trace-format.md). */
#ifndef WH_REPLAY_RECORDING_H
#define WH_REPLAY_RECORDING_H

#include "trace/words.h"

/* One call. The texts are parts of the file's. */
struct event {
    unsigned line, thread;
    const struct wh_word_call *call;
    char *arguments[WH_MAX_PARAMS];
    char *results[WH_MAX_PARAMS]; /* of what it wrote, in order; after the last one NULL */
    bool ended;
    int status;
    uint32_t image, kernel; /* that it loads, that it launches; from 1 (kernels.c) */
};

struct recording {
    char *text;
    struct event *events;
    size_t nevents;
    unsigned nthreads;
};

/* Reads a file of the API that `words` describes; ends the process with a reason when it cannot. */
void recording_read(struct recording *recording, const struct wh_words *words, const char *path);

/* Ends the process: the recording says what this player does not know. */
_Noreturn void give_up(const struct event *event, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
