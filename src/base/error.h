/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as values: made once where the failure is known, handed up, printed once at the top. Used
 * everywhere.
 */
#ifndef WH_BASE_ERROR_H
#define WH_BASE_ERROR_H

struct wh_error {
    int code; /* an errno value, 0 while nothing failed */
    char text[240];
};

/*
 * Fills `error` (may be NULL) with an errno value and a sentence that says what failed, on what,
 * and what to do. Always returns -1, so that a caller can `return wh_error_set(...)`.
 */
int wh_error_set(struct wh_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
