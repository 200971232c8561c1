/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wormhole top`: the sessions of this machine's daemon, whose they are and what they do, from the
 * daemon's admin socket. Looks only.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/report.h"
#include "daemon/admin.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct top {
    const char *path;
    double delay; /* seconds */
    bool once;
};

static const struct argp_option options[] = {
    {"admin", 'a', "PATH", 0, "The daemon's admin socket instead of " WH_DEFAULT_ADMIN, 0},
    {"delay", 'd', "SECONDS", 0, "Between two looks (2)", 0},
    {"once", '1', NULL, 0, "Print once and end, as when the output is no terminal", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct top *top = state->input;
    char *end;
    switch (key) {
    case 'a':
        top->path = value;
        return 0;
    case 'd':
        top->delay = strtod(value, &end);
        if (*end || !(top->delay >= 0.1 && top->delay <= 3600))
            argp_error(state, "%s is not a number of seconds from 0.1 to 3600", value);
        return 0;
    case '1':
        top->once = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s: not an option", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = options,
    .parser = parse_option,
    .doc =
        "Show the daemon's sessions, the busiest first: whose they are, how many calls they make "
        "and how much device memory they hold.\v"
        "Only the user that the daemon runs as may ask it."};

/* ---- showing ---- */

static const struct wh_report_session *find(const struct wh_report *report, uint32_t number)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->sessions[i].number == number)
            return &report->sessions[i];
    return NULL;
}

/* Since the last look, or since the session began. */
static void compute_rates(struct wh_report *report, const struct wh_report *before)
{
    double seconds = before->at ? (double)(report->at - before->at) / 1e9 : 0;
    for (size_t i = 0; i < report->count; i++) {
        struct wh_report_session *s = &report->sessions[i];
        const struct wh_report_session *old = find(before, s->number);
        if (old && seconds > 0 && s->calls >= old->calls)
            s->rate = (double)(s->calls - old->calls) / seconds;
        else if (s->age > 0)
            s->rate = (double)s->calls * 1000 / (double)s->age;
    }
}

static int compare(const void *a, const void *b)
{
    const struct wh_report_session *left = a, *right = b;
    if (left->rate != right->rate)
        return left->rate < right->rate ? 1 : -1;
    return (left->number > right->number) - (left->number < right->number);
}

/* "12.3M" */
static const char *print_size(uint64_t bytes, char text[16])
{
    static const char units[] = "BKMGT";
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    (void)snprintf(text, 16, unit ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return text;
}

static const char *print_age(uint64_t ms, char text[24])
{
    uint64_t seconds = ms / 1000;
    (void)snprintf(text, 24, "%" PRIu64 ":%02u:%02u", seconds / 3600, (unsigned)(seconds / 60 % 60),
                   (unsigned)(seconds % 60));
    return text;
}

static size_t count_tenants(const struct wh_report *report)
{
    size_t count = 0;
    for (size_t i = 0; i < report->count; i++) {
        size_t first = 0;
        while (strcmp(report->sessions[first].tenant, report->sessions[i].tenant) != 0)
            first++;
        count += first == i;
    }
    return count;
}

static void show(struct wh_report *report)
{
    char age[24], memory[16], shared[16], text[WH_REPORT_TEXT];
    double rate = 0;
    uint64_t held = 0;
    for (size_t i = 0; i < report->count; i++) {
        rate += report->sessions[i].rate;
        held += report->sessions[i].memory;
    }
    printf(
        "wormholed %s, up %s: %zu session%s of %zu tenant%s, %.0f calls/s, %s of device memory\n",
        report->version, print_age(report->age, age), report->count, report->count == 1 ? "" : "s",
        count_tenants(report), count_tenants(report) == 1 ? "" : "s", rate,
        print_size(held, memory));
    printf("\n%8s %-20s %-7s %8s %8s %10s %10s %12s %8s %8s\n", "SESSION", "TENANT", "API",
           "CLIENT", "WORKER", "AGE", "CALLS/S", "CALLS", "DEVICE", "SHARED");
    if (report->count > 0)
        qsort(report->sessions, report->count, sizeof(*report->sessions), compare);
    for (size_t i = 0; i < report->count; i++) {
        const struct wh_report_session *s = &report->sessions[i];
        printf("%8" PRIu32 " %-20s %-7s %8" PRIu32 " %8d %10s %10.0f %12" PRIu64 " %8s %8s\n",
               s->number, s->tenant, s->api, s->client, s->worker, print_age(s->age, age), s->rate,
               s->calls, print_size(s->memory, memory), print_size(s->shared, shared));
        if (s->view.is_there) {
            printf("%8s exitless: %s\n", "", wh_report_tell(&s->view, text));
        }
    }
    for (size_t i = 0; i < report->nlent; i++) {
        printf("view %" PRIu64 " of the service VM of %s: %s\n", report->lent[i].number,
               report->lent[i].vm, wh_report_tell(&report->lent[i].view, text));
    }
    (void)fflush(stdout);
}

static int watch(const struct top *top, struct wh_error *error)
{
    struct wh_report before = {0}, now;
    const struct timespec delay = {.tv_sec = (time_t)top->delay,
                                   .tv_nsec =
                                       (long)((top->delay - (double)(time_t)top->delay) * 1e9)};
    for (;;) {
        if (wh_report_read(top->path, &now, error) < 0) {
            wh_report_free(&now);
            wh_report_free(&before);
            return -1;
        }
        compute_rates(&now, &before);
        if (!top->once)
            (void)fputs("\033[H\033[J", stdout); /* to the top, clear what follows */
        show(&now);
        wh_report_free(&before);
        before = now;
        if (top->once)
            break;
        (void)nanosleep(&delay, NULL);
    }
    wh_report_free(&before);
    return 0;
}

int wh_cli_top(int argc, char **argv)
{
    struct top top = {.path = WH_DEFAULT_ADMIN, .delay = 2, .once = !isatty(STDOUT_FILENO)};
    struct wh_error error = {0};
    static char name[] = "wormhole top"; /* in argp's messages */
    argv[0] = name;
    if (argp_parse(&parser, argc, argv, 0, NULL, &top) != 0)
        return EXIT_FAILURE;
    if (watch(&top, &error) == 0)
        return EXIT_SUCCESS;
    wh_log("%s", error.text);
    return EXIT_FAILURE;
}
