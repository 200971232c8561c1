/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket of lines that fills up with time; see log_limit.h. */
#include "daemon/log_limit.h"

#include "base/log.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define BURST     30u
#define LINE_NS   1000000000ull
#define LINE_SIZE 480

static bool spend(struct wh_log_limit *limit)
{
    uint64_t forgiven = (wh_now_ns() - limit->since_ns) / LINE_NS;
    limit->since_ns += forgiven * LINE_NS;
    limit->spent = forgiven >= limit->spent ? 0 : limit->spent - (unsigned)forgiven;
    if (limit->spent == BURST)
        return false;
    limit->spent++;
    return true;
}

void wh_log_limited(struct wh_log_limit *limit, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    if (!spend(limit)) {
        limit->left_out++;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (limit->left_out)
        wh_log("%s (and %u lines like it that were left out)", line, limit->left_out);
    else
        wh_log("%s", line);
    limit->left_out = 0;
}
