/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the lines of a trace apart. See recording.h. */
#include "recording.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void give_up(const struct event *event, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "replay: line %u: %s: ", event->line, event->call ? event->call->name : "?");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static char *read_file(const char *path)
{
    FILE *file = strcmp(path, "-") ? fopen(path, "r") : stdin;
    size_t length = 0, room = 1 << 16;
    char *text = malloc(room);
    while (file && text) {
        length += fread(text + length, 1, room - length - 1, file);
        if (length < room - 1)
            break;
        text = realloc(text, room *= 2);
    }
    if (!file || !text || ferror(file)) {
        fprintf(stderr, "replay: cannot read %s: %s\n", path, strerror(errno));
        exit(1);
    }
    text[length] = '\0';
    return text;
}

/* Where the value at `text` ends: at a ", " or a ")" that is in no text of its own. */
static char *end_of_value(char *text)
{
    bool quoted = false;
    for (; *text; text++) {
        if (quoted && *text == '\\')
            text++;
        else if (*text == '"')
            quoted = !quoted;
        else if (!quoted && (*text == ')' || (*text == ',' && text[1] == ' ')))
            break;
    }
    return text;
}

/* The values between parentheses, cut at their ends. Returns what is behind. */
static char *cut_values(const struct event *event, char *text, char **values)
{
    unsigned n = 0;
    if (*text == ')')
        return text + 1;
    for (;;) {
        char *end = end_of_value(text), mark = *end;
        if (!mark || n == WH_MAX_PARAMS)
            give_up(event, "the line has no end");
        values[n++] = text;
        *end = '\0';
        text = end + 1 + (mark == ',');
        if (mark == ')')
            return text;
    }
}

/* " = STATUS (RESULT, ...)" */
static void read_end(struct event *event, char *text)
{
    if (strncmp(text, " = ", 3) != 0)
        give_up(event, "'%s' is not how a call ends", text);
    event->ended = true;
    event->status = (int)strtol(text + 3, &text, 10);
    if (strncmp(text, " (", 2) == 0)
        cut_values(event, text + 2, event->results);
}

static int compare_name(const void *name, const void *call)
{
    return strcmp(name, ((const struct wh_word_call *)call)->name);
}

static const struct wh_word_call *find_call(const struct wh_words *words, const char *name)
{
    return bsearch(name, words->calls, words->ncalls, sizeof(*words->calls), compare_name);
}

/* The call of this thread that was left open. */
static struct event *find_open(const struct recording *recording, unsigned thread)
{
    for (size_t i = recording->nevents; i-- > 0;)
        if (recording->events[i].thread == thread)
            return recording->events[i].ended ? NULL : &recording->events[i];
    return NULL;
}

static void read_line(struct recording *recording, const struct wh_words *words, unsigned line,
                      char *text)
{
    struct event *event = &recording->events[recording->nevents];
    char *at;
    *event = (struct event){.line = line, .thread = (unsigned)strtoul(text, &at, 10)};
    if (strncmp(at, " ... ", 5) == 0) {
        struct event *open = find_open(recording, event->thread);
        if (!open)
            give_up(event, "the thread has no open call");
        read_end(open, at + 5 + strcspn(at + 5, " "));
        return;
    }
    char *name = at + 1, *parenthesis = strchr(at, '(');
    if (event->thread == 0 || *at != ' ' || !parenthesis)
        give_up(event, "'%s' is no call", text);
    *parenthesis = '\0';
    event->call = find_call(words, name);
    if (!event->call)
        give_up(event, "there is no function '%s'", name);
    at = cut_values(event, parenthesis + 1, event->arguments);
    if (event->call->nparams && !event->arguments[event->call->nparams - 1])
        give_up(event, "arguments are missing");
    if (strcmp(at, " ...") != 0)
        read_end(event, at);
    if (event->thread > recording->nthreads)
        recording->nthreads = event->thread;
    recording->nevents++;
}

void recording_read(struct recording *recording, const struct wh_words *words, const char *path)
{
    unsigned line = 1;
    size_t lines = 0;
    *recording = (struct recording){.text = read_file(path)};
    for (const char *at = recording->text; *at; at++)
        lines += *at == '\n';
    recording->events = calloc(lines + 1, sizeof(*recording->events));
    char *rest = recording->text, *text = strsep(&rest, "\n"), wanted[40];
    (void)snprintf(wanted, sizeof(wanted), "wormhole-trace 1 %s ", words->api->name);
    if (!recording->events || strncmp(text, wanted, strlen(wanted)) != 0) {
        fprintf(stderr, "replay: %s does not begin with '%s'\n", path, wanted);
        exit(1);
    }
    while ((text = strsep(&rest, "\n")) && *text)
        read_line(recording, words, ++line, text);
}
