/* SPDX-License-Identifier: Apache-2.0 */
/* One line on stderr, written with one system call so that lines of several processes do not mix.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO;

void wh_log_to(int fd)
{
    log_fd = fd;
}

static void write_line(const char *format, va_list arguments)
{
    char line[512] = "wormhole: ";
    size_t used = strlen(line);
    int n = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
    if (n < 0)
        return;
    used += (size_t)n;
    if (used > sizeof(line) - 2)
        used = sizeof(line) - 2;
    line[used++] = '\n';
    /* Nothing useful can be done when stderr is gone. */
    ssize_t ignored = write(log_fd, line, used);
    (void)ignored;
}

void wh_log(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void wh_debug(const char *format, ...)
{
    if (!getenv("WORMHOLE_DEBUG"))
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}
