/* SPDX-License-Identifier: Apache-2.0 */
/* See report.h; daemon/admin.c writes what is read here. */
#include "cli/report.h"

#include "../../kmod/uapi/wormhole.h"
#include "base/util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MOST_LINE 2048

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

static bool parse_session(const char *line, struct wh_report_session *s)
{
    *s = (struct wh_report_session){0};
    return sscanf(line,
                  "session %" SCNu32 " tenant %63s api %15s client %" SCNu32
                  " worker %d age %" SCNu64 " calls %" SCNu64 " memory %" SCNu64 " shared %" SCNu64,
                  &s->number, s->tenant, s->api, &s->client, &s->worker, &s->age, &s->calls,
                  &s->memory, &s->shared) == 9;
}

static int add_lent(struct wh_report *report, const struct wh_report_lent *lent)
{
    struct wh_report_lent *more =
        realloc(report->lent, (report->nlent + 1) * sizeof(*report->lent));
    if (!more)
        return -1;
    report->lent = more;
    more[report->nlent++] = *lent;
    return 0;
}

/* Intel SDM vol. 3, appendix C: those that happen in a view. */
static const char *const reasons[WORMHOLE_REASONS] = {
    [0] = "NMI",
    [1] = "interrupt",
    [2] = "triple fault",
    [10] = "CPUID",
    [18] = "VMCALL",
    [28] = "control register",
    [30] = "I/O",
    [31] = "RDMSR",
    [32] = "WRMSR",
    [48] = "EPT violation",
    [49] = "EPT misconfiguration",
    [52] = "timer",
    [55] = "XSETBV",
    [59] = "VMFUNC",
    [62] = "page log",
};

/* What follows " exits" in its line: reason:count, as many as there are. */
static void parse_exits(const char *line, struct wh_report_view *view)
{
    size_t length = 0;
    unsigned reason;
    uint64_t count;
    int at;
    line = strstr(line, " exits");
    for (line += line ? 6 : 0; line && sscanf(line, " %u:%" SCNu64 "%n", &reason, &count, &at) == 2;
         line += at) {
        const char *name = reason < WORMHOLE_REASONS ? reasons[reason] : NULL;
        char number[24];
        (void)snprintf(number, sizeof(number), "reason %u", reason);
        int more = snprintf(view->exits + length, sizeof(view->exits) - length, "%s%s %" PRIu64,
                            length ? ", " : "", name ? name : number, count);
        if (more < 0 || (size_t)more >= sizeof(view->exits) - length)
            return;
        length += (size_t)more;
    }
}

/* Of a session that was listed before, or of a service VM's memory. */
static int parse_view(const char *line, struct wh_report *report)
{
    struct wh_report_lent lent = {0};
    struct wh_report_view view = {.is_there = true};
    uint32_t number = 0;
    int at = 0;
    if (sscanf(line, "view %" SCNu32 " %n", &number, &at) != 1 &&
        sscanf(line, "lent %" SCNu64 " vm %63s %n", &lent.number, lent.vm, &at) != 2)
        return 0;
    if (sscanf(line + at,
               "entered %" SCNu64 " calls %*u suspended %" SCNu64
               " retried %*u forwarded %*u strays %*u violations %" SCNu64 " overruns %" SCNu64
               " lost %" SCNu64,
               &view.entered, &view.suspended, &view.violations, &view.overruns, &view.lost) != 5)
        return 0;
    parse_exits(line + at, &view);
    lent.view = view;
    if (*lent.vm)
        return add_lent(report, &lent);
    for (size_t i = 0; i < report->count; i++)
        if (report->sessions[i].number == number)
            report->sessions[i].view = view;
    return 0;
}

static int add_session(struct wh_report *report, const struct wh_report_session *session)
{
    struct wh_report_session *more =
        realloc(report->sessions, (report->count + 1) * sizeof(*report->sessions));
    if (!more)
        return -1;
    report->sessions = more;
    more[report->count++] = *session;
    return 0;
}

int wh_report_read(const char *path, struct wh_report *report, struct wh_error *error)
{
    char line[MOST_LINE];
    struct wh_report_session session;
    int result = 0;
    *report = (struct wh_report){.at = wh_now_ns()};
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

void wh_report_free(struct wh_report *report)
{
    free(report->sessions);
    free(report->lent);
    *report = (struct wh_report){0};
}

const char *wh_report_tell(const struct wh_report_view *view, char text[WH_REPORT_TEXT])
{
    (void)snprintf(text, WH_REPORT_TEXT,
                   "%" PRIu64 " entries, %" PRIu64 " suspended, %" PRIu64 " violations, %" PRIu64
                   " overruns; exits: %s%s",
                   view->entered, view->suspended, view->violations, view->overruns,
                   *view->exits ? view->exits : "none", view->lost ? "; the session is lost" : "");
    return text;
}
