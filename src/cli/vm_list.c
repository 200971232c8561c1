/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of arguments; see vm_run.h. */
#include "cli/vm_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void wh_vm_list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

void wh_vm_list_add(struct list *list, const char *format, ...)
{
    char *item = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&item, format, arguments);
    va_end(arguments);
    char **items = realloc(list->items, (list->count + 2) * sizeof(*items));
    if (items)
        list->items = items;
    if (!items || length < 0) {
        if (length >= 0)
            free(item);
        list->failed = true;
        return;
    }
    items[list->count++] = item;
    items[list->count] = NULL;
}

void wh_vm_list_add_all(struct list *list, const char **items)
{
    for (; items && *items; items++)
        wh_vm_list_add(list, "%s", *items);
}
