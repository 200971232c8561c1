/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wormhole top`: the sessions of this machine's daemon, whose they are and what they do, from the
 * daemon's admin socket. Looks only.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/util.h"
#include "cli/cli.h"
#include "daemon/admin.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MOST_LINE 512

/* What the module counted of a session on the exitless path. */
struct view {
    bool is_there;
    uint64_t calls, suspended, violations, overruns, lost;
};

struct session {
    uint32_t number, client;
    int worker;
    char tenant[64], api[16];
    uint64_t age, calls, memory, shared; /* ms, messages, bytes, bytes */
    double rate;                         /* messages a second */
    struct view view;
};

/* Where the calls of a VM run whose sessions a service VM serves. */
struct lent {
    uint64_t number;
    char vm[64];
    struct view view;
};

/* What the daemon said at one time. */
struct report {
    char version[32];
    uint64_t age, at; /* ms; ns of our own clock */
    struct session *sessions;
    size_t count;
    struct lent *lent;
    size_t nlent;
};

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

/* ---- asking ---- */

static int connect_to(const char *path, struct wh_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return wh_error_set(error, ENAMETOOLONG, "%s: the path is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    WH_CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return wh_error_set(
            error, errno,
            "no daemon can be asked at %s (%s); start wormholed, or name its admin socket with --admin",
            path, strerror(errno));
    return wh_steal_fd(&fd);
}

static FILE *ask(const char *path, struct wh_error *error)
{
    char byte;
    int report = -1;
    WH_CLEANUP_CLOSE int fd = connect_to(path, error);
    if (fd < 0)
        return NULL;
    if (wh_receive_fds(fd, &byte, 1, &report, 1) != 1 || report < 0) {
        wh_error_set(error, EPROTO, "the daemon at %s does not answer", path);
        return NULL;
    }
    FILE *file = fdopen(report, "r");
    if (!file)
        wh_error_set(error, errno, "the daemon's answer cannot be read: %s", strerror(errno));
    return file;
}

static bool parse_session(const char *line, struct session *s)
{
    *s = (struct session){0};
    return sscanf(line,
                  "session %" SCNu32 " tenant %63s api %15s client %" SCNu32
                  " worker %d age %" SCNu64 " calls %" SCNu64 " memory %" SCNu64 " shared %" SCNu64,
                  &s->number, s->tenant, s->api, &s->client, &s->worker, &s->age, &s->calls,
                  &s->memory, &s->shared) == 9;
}

static int add_lent(struct report *report, const struct lent *lent)
{
    struct lent *more = realloc(report->lent, (report->nlent + 1) * sizeof(*report->lent));
    if (!more)
        return -1;
    report->lent = more;
    more[report->nlent++] = *lent;
    return 0;
}

/* Of a session that was listed before, or of a service VM's memory. */
static int parse_view(const char *line, struct report *report)
{
    struct lent lent = {0};
    struct view view = {.is_there = true};
    uint32_t number = 0;
    int at = 0;
    if (sscanf(line, "view %" SCNu32 " %n", &number, &at) != 1 &&
        sscanf(line, "lent %" SCNu64 " vm %63s %n", &lent.number, lent.vm, &at) != 2)
        return 0;
    if (sscanf(line + at,
               "entered %*u calls %" SCNu64 " suspended %" SCNu64
               " retried %*u forwarded %*u strays %*u violations %" SCNu64 " overruns %" SCNu64
               " lost %" SCNu64,
               &view.calls, &view.suspended, &view.violations, &view.overruns, &view.lost) != 5)
        return 0;
    lent.view = view;
    if (*lent.vm)
        return add_lent(report, &lent);
    for (size_t i = 0; i < report->count; i++)
        if (report->sessions[i].number == number)
            report->sessions[i].view = view;
    return 0;
}

static int add_session(struct report *report, const struct session *session)
{
    struct session *more =
        realloc(report->sessions, (report->count + 1) * sizeof(*report->sessions));
    if (!more)
        return -1;
    report->sessions = more;
    more[report->count++] = *session;
    return 0;
}

static int read_report(const char *path, struct report *report, struct wh_error *error)
{
    char line[MOST_LINE];
    struct session session;
    int result = 0;
    *report = (struct report){.at = wh_now_ns()};
    FILE *file = ask(path, error);
    if (!file)
        return -1;
    if (!fgets(line, sizeof(line), file) ||
        sscanf(line, "wormholed %31s age %" SCNu64, report->version, &report->age) != 2)
        result =
            wh_error_set(error, EPROTO, "%s is not the admin socket of a Wormhole daemon", path);
    while (result == 0 && fgets(line, sizeof(line), file)) {
        if ((parse_session(line, &session) && add_session(report, &session) < 0) ||
            parse_view(line, report) < 0)
            result = wh_error_set(error, ENOMEM, "out of memory");
    }
    (void)fclose(file);
    return result;
}

/* ---- showing ---- */

static const struct session *find(const struct report *report, uint32_t number)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->sessions[i].number == number)
            return &report->sessions[i];
    return NULL;
}

/* Since the last look, or since the session began. */
static void compute_rates(struct report *report, const struct report *before)
{
    double seconds = before->at ? (double)(report->at - before->at) / 1e9 : 0;
    for (size_t i = 0; i < report->count; i++) {
        struct session *s = &report->sessions[i];
        const struct session *old = find(before, s->number);
        if (old && seconds > 0 && s->calls >= old->calls)
            s->rate = (double)(s->calls - old->calls) / seconds;
        else if (s->age > 0)
            s->rate = (double)s->calls * 1000 / (double)s->age;
    }
}

static int compare(const void *a, const void *b)
{
    const struct session *left = a, *right = b;
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

static size_t count_tenants(const struct report *report)
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

static void show_view(const struct view *view)
{
    printf("exitless: %" PRIu64 " visits to the view, %" PRIu64 " suspended, %" PRIu64
           " violations, %" PRIu64 " overruns%s\n",
           view->calls, view->suspended, view->violations, view->overruns,
           view->lost ? "; the session is lost" : "");
}

static void show(struct report *report)
{
    char age[24], memory[16], shared[16];
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
        const struct session *s = &report->sessions[i];
        printf("%8" PRIu32 " %-20s %-7s %8" PRIu32 " %8d %10s %10.0f %12" PRIu64 " %8s %8s\n",
               s->number, s->tenant, s->api, s->client, s->worker, print_age(s->age, age), s->rate,
               s->calls, print_size(s->memory, memory), print_size(s->shared, shared));
        if (s->view.is_there) {
            printf("%8s ", "");
            show_view(&s->view);
        }
    }
    for (size_t i = 0; i < report->nlent; i++) {
        printf("view %" PRIu64 " of the service VM of %s, ", report->lent[i].number,
               report->lent[i].vm);
        show_view(&report->lent[i].view);
    }
    (void)fflush(stdout);
}

static void free_report(struct report *report)
{
    free(report->sessions);
    free(report->lent);
}

static int watch(const struct top *top, struct wh_error *error)
{
    struct report before = {0}, now;
    const struct timespec delay = {.tv_sec = (time_t)top->delay,
                                   .tv_nsec =
                                       (long)((top->delay - (double)(time_t)top->delay) * 1e9)};
    for (;;) {
        if (read_report(top->path, &now, error) < 0) {
            free_report(&now);
            free_report(&before);
            return -1;
        }
        compute_rates(&now, &before);
        if (!top->once)
            (void)fputs("\033[H\033[J", stdout); /* to the top, clear what follows */
        show(&now);
        free_report(&before);
        before = now;
        if (top->once)
            break;
        (void)nanosleep(&delay, NULL);
    }
    free_report(&before);
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
