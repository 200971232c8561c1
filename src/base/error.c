/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as values; see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int wh_error_set(struct wh_error *error, int code, const char *format, ...)
{
    if (!error)
        return -1;
    error->code = code;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return -1;
}
