/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `wormhole run --stats` prints: for each call of the API that the program made, how often the
 * client answered it alone, posted it and waited for it, what crossed and how long it waited.
 * Without that option only messages are counted, which costs nothing: the submission lock is held
 * then.
 */
#include "client/session.h"

#include "base/log.h"

#include <stdlib.h>

void wh_stats_answered(struct wh_session *session, const struct wh_call_desc *call)
{
    struct wh_stats *stats = &session->stats;
    if (!stats->wanted)
        return;
    atomic_fetch_add_explicit(call ? &stats->calls[call->number].local : &stats->local, 1,
                              memory_order_relaxed);
}

/* A call's counters, read once. */
struct line {
    const char *name;
    unsigned long long local, posted, waited, bytes, wait_ns;
};

/* What the program waited for longest comes first, then what it did most often. */
static int compare(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    unsigned long long lefts = left->local + left->posted + left->waited;
    unsigned long long rights = right->local + right->posted + right->waited;
    if (left->wait_ns != right->wait_ns)
        return left->wait_ns < right->wait_ns ? 1 : -1;
    return (lefts < rights) - (lefts > rights);
}

static struct line read_line(const struct wh_call_desc *call, const struct wh_call_stats *stats)
{
    return (struct line){.name = call->name,
                         .local = stats->local,
                         .posted = stats->posted,
                         .waited = stats->waited,
                         .bytes = stats->bytes,
                         .wait_ns = stats->wait_ns};
}

static void print_lines(const char *api, const struct line *lines, unsigned n)
{
    if (n > 0)
        wh_log("%s: %-36s %10s %10s %10s %12s %12s", api, "call", "local", "posted", "waited for",
               "bytes", "ms waited");
    for (unsigned i = 0; i < n; i++)
        wh_log("%s: %-36s %10llu %10llu %10llu %12llu %12.3f", api, lines[i].name, lines[i].local,
               lines[i].posted, lines[i].waited, lines[i].bytes, (double)lines[i].wait_ns / 1e6);
}

void wh_stats_print(struct wh_session *session)
{
    const struct wh_api *api = session->shim->api;
    const struct wh_stats *s = &session->stats;
    struct line *lines = calloc(api->ncalls, sizeof(*lines));
    struct line sum = {.local = s->local};
    unsigned n = 0;
    for (unsigned i = 0; lines && i < api->ncalls; i++) {
        struct line line = read_line(&api->calls[i], &s->calls[i]);
        if (line.local + line.posted + line.waited == 0)
            continue;
        lines[n++] = line;
        sum.local += line.local;
        sum.posted += line.posted;
        sum.waited += line.waited;
        sum.wait_ns += line.wait_ns;
    }
    if (lines)
        qsort(lines, n, sizeof(*lines), compare);
    print_lines(api->name, lines, n);
    wh_log(
        "%s: %llu calls posted, %llu waited for (%.3f ms), %llu answered locally; bytes: %llu in "
        "messages, %llu copied through the arena, %llu shared without a copy",
        api->name, sum.posted, sum.waited, (double)sum.wait_ns / 1e6, sum.local,
        (unsigned long long)s->message_bytes, (unsigned long long)s->copied_bytes,
        (unsigned long long)s->shared_bytes);
    free(lines);
}
