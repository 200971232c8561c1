/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon says of its sessions at its admin socket, for `wormhole top` and `wormhole doctor`.
 */
#ifndef WH_CLI_REPORT_H
#define WH_CLI_REPORT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the module counted of a session on the exitless path. */
struct wh_report_view {
    bool is_there;
    uint64_t entered, suspended, violations, overruns, lost;
    char exits[160]; /* out of it, by their reasons */
};

struct wh_report_session {
    uint32_t number, client;
    int worker;
    char tenant[64], api[16];
    uint64_t age, calls, memory, shared; /* ms, messages, bytes, bytes */
    double rate;                         /* messages a second */
    struct wh_report_view view;
};

/* Where the calls of a VM run whose sessions a service VM serves. */
struct wh_report_lent {
    uint64_t number;
    char vm[64];
    struct wh_report_view view;
};

/* What the daemon said at one time. */
struct wh_report {
    char version[32];
    uint64_t age, at; /* ms; ns of our own clock */
    struct wh_report_session *sessions;
    size_t count;
    struct wh_report_lent *lent;
    size_t nlent;
};

/* Asks the daemon at `path`. To be freed, also after -1. */
int wh_report_read(const char *path, struct wh_report *report, struct wh_error *error);
void wh_report_free(struct wh_report *report);

#define WH_REPORT_TEXT 384

/* A view's counters in words. */
const char *wh_report_tell(const struct wh_report_view *view, char text[WH_REPORT_TEXT]);

#endif
