/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that somebody else can cause at will, in a number that a log can hold. What is left out is
 * counted, and the next line says how many. Used by what refuses clients and ends sessions, with
 * one limit per tenant, so that none can hide another's lines.
 */
#ifndef WH_DAEMON_LOG_LIMIT_H
#define WH_DAEMON_LOG_LIMIT_H

#include <stdint.h>

/* All zero at the start. */
struct wh_log_limit {
    uint64_t since_ns; /* up to when lines were credited */
    unsigned spent;    /* lines in debt: one is forgiven per second */
    unsigned left_out;
};

/* As wh_log, unless the limit is reached: 30 lines at once, one per second in the long run. */
void wh_log_limited(struct wh_log_limit *limit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
