/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an agent's port, line by line; see agent.h. */
#include "daemon/agent.h"

#include "../../kmod/uapi/wormhole.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/gate.h"
#include "daemon/kvm.h"
#include "daemon/log_limit.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#define PAGE  4096u
#define LINE  128u
#define WORDS 6u

/* The module makes a view in one go, and nobody else is served meanwhile. It pins or copies each
 * page, and searches code byte by byte, which takes longest. */
#define MOST_PAGES (WH_GATE_LOCKED / PAGE) /* of one view: what a worker on the host may have */
#define MOST_CODE  ((4u << 20) / PAGE)     /* of these */

/* What the agent has told of the view that it will ask for. */
struct offer {
    uint64_t number;
    struct wormhole_view_create wish;
    struct wormhole_range ranges[WH_AGENT_RANGES];
    struct wh_error error; /* the first that was wrong with it: said when it is to be made */
};

struct wh_agent {
    int port;
    int kvm; /* of the VM; QEMU has it only some time after it has connected the port */
    struct wh_agent_limits limits;
    struct wh_agent_handlers handlers;
    struct wh_agent_view *views;
    struct offer offer;
    struct wh_log_limit log;
    char line[LINE];
    size_t length; /* of the line so far; LINE: it is too long and will not be read */
};

struct wh_agent *wh_agent_new(int port, const struct wh_agent_limits *limits,
                              const struct wh_agent_handlers *handlers)
{
    struct wh_agent *agent = calloc(1, sizeof(*agent));
    if (!agent)
        return NULL;
    agent->port = port;
    agent->kvm = -1;
    agent->limits = *limits;
    agent->handlers = *handlers;
    return agent;
}

/* ---- views ---- */

static void end_view(struct wh_agent *agent, struct wh_agent_view **at)
{
    struct wh_agent_view *view = *at;
    *at = view->next;
    agent->handlers.ending(agent->handlers.context, view);
    close(view->fd);
    explicit_bzero(view->key, sizeof(view->key));
    free(view);
}

void wh_agent_end_views(struct wh_agent *agent)
{
    while (agent->views)
        end_view(agent, &agent->views);
}

void wh_agent_free(struct wh_agent *agent)
{
    if (!agent)
        return;
    wh_agent_end_views(agent);
    wh_close_fd(&agent->kvm);
    close(agent->port);
    free(agent);
}

static struct wh_agent_view **find_view(struct wh_agent *agent, uint64_t number)
{
    struct wh_agent_view **at = &agent->views;
    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

/* A VM that does not read its port loses what it was told, and nobody waits for it: it may ask
 * again. A Unix socket takes so short a line as a whole or not at all. */
static void tell(struct wh_agent *agent, const char *word, uint64_t number, const char *text)
{
    char line[LINE + sizeof(((struct wh_error *)0)->text)];
    int length = snprintf(line, sizeof(line), "%s %llx%s%s\n", word, (unsigned long long)number,
                          *text ? " " : "", text);
    if (send(agent->port, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) != length)
        wh_debug("a service VM's agent does not read its port");
    explicit_bzero(line, sizeof(line));
}

/* ---- what is wrong with an offer ---- */

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static int check_range(const struct offer *offer, uint32_t i, struct wh_error *error)
{
    const struct wormhole_range *range = &offer->ranges[i], *other;
    if ((range->address | range->size | range->view_address) & (PAGE - 1))
        return wh_error_set(error, EINVAL, "range %u is not whole pages", i);
    if (!range->size || range->address + range->size < range->address ||
        range->view_address + range->size < range->view_address)
        return wh_error_set(error, EINVAL, "range %u is empty or wraps around", i);
    if (range->flags != WORMHOLE_EXECUTE && range->flags & ~WORMHOLE_WRITE)
        return wh_error_set(error, EINVAL, "range %u is neither code nor data", i);
    for (other = offer->ranges; other < range; other++) {
        if (overlap(range->address, range->size, other->address, other->size))
            return wh_error_set(error, EINVAL, "range %u overlaps range %u in the VM's memory", i,
                                (unsigned)(other - offer->ranges));
        if (overlap(range->view_address, range->size, other->view_address, other->size))
            return wh_error_set(error, EINVAL, "range %u overlaps range %u in the view", i,
                                (unsigned)(other - offer->ranges));
    }
    return 0;
}

static uint64_t pages_of_views(const struct wh_agent *agent, uint32_t *count)
{
    uint64_t pages = 0;
    *count = 0;
    for (const struct wh_agent_view *view = agent->views; view; view = view->next, (*count)++)
        pages += view->pages;
    return pages;
}

/* Sizes are bounded one by one, so that the sum cannot wrap around. */
static int check_size(const struct wh_agent *agent, uint64_t *pages, struct wh_error *error)
{
    const struct wormhole_view_create *wish = &agent->offer.wish;
    const uint64_t most = agent->limits.pages;
    uint32_t views;
    uint64_t all = pages_of_views(agent, &views), code = 0;
    *pages = wish->lanes * (wish->stack_pages + 1ull);
    for (uint32_t i = 0; i < wish->n_ranges && *pages <= MOST_PAGES; i++) {
        const struct wormhole_range *range = &agent->offer.ranges[i];
        *pages += range->size / PAGE;
        code += range->flags == WORMHOLE_EXECUTE ? range->size / PAGE : 0;
    }
    if (all + *pages > most)
        return wh_error_set(error, ENOMEM, "the views would have more than %llu pages",
                            (unsigned long long)most);
    if (*pages > MOST_PAGES)
        return wh_error_set(error, E2BIG, "the view would have more than %u pages", MOST_PAGES);
    if (code > MOST_CODE)
        return wh_error_set(error, E2BIG, "too much code: more than %u pages", MOST_CODE);
    if (views >= WH_AGENT_VIEWS)
        return wh_error_set(error, ENOSPC, "there are %u views already", views);
    return 0;
}

static int check_offer(struct wh_agent *agent, uint64_t *pages, struct wh_error *error)
{
    const struct wormhole_view_create *wish = &agent->offer.wish;
    if (agent->offer.error.code)
        return *error = agent->offer.error, -1;
    if (*find_view(agent, agent->offer.number))
        return wh_error_set(error, EEXIST, "there is a view of this number");
    if (!wish->lanes || wish->lanes > WORMHOLE_LANES_MAX || !wish->stack_pages ||
        wish->stack_pages > WORMHOLE_STACK_PAGES_MAX)
        return wh_error_set(error, EINVAL, "%u lanes of %u pages cannot be had", wish->lanes,
                            wish->stack_pages);
    if (!wish->budget_ns || wish->budget_ns > agent->limits.budget_ms * 1000000)
        return wh_error_set(error, EINVAL, "a call may take 1 to %llu ms",
                            (unsigned long long)agent->limits.budget_ms);
    if (!wish->n_ranges)
        return wh_error_set(error, EINVAL, "there is no range");
    if (check_size(agent, pages, error) < 0)
        return -1;
    for (uint32_t i = 0; i < wish->n_ranges; i++)
        if (check_range(&agent->offer, i, error) < 0)
            return -1;
    return 0;
}

/* The module looks at addresses, and knows the VM's memory. */
static const char *explain(int code)
{
    switch (code) {
    case EFAULT:
        return "a range is not, or not all of it, writable memory of the VM";
    case EINVAL:
        return "the gate page, the handler or a range is at an address that no view has it at";
    case EEXIST:
        return "a range lies on the gate's own pages";
    case EPERM:
        return "the code holds the bytes of a VMFUNC";
    case ENOMEM:
        return "the host's memory, or what may be locked of it, is short";
    default:
        return strerror(code);
    }
}

/* ---- lines ---- */

static void spoil(struct wh_agent *agent, int code, const char *why)
{
    if (!agent->offer.error.code)
        wh_error_set(&agent->offer.error, code, "%s", why);
}

static struct wh_agent_view *make_view(struct wh_agent *agent, struct wh_error *error)
{
    struct wormhole_view_create *wish = &agent->offer.wish;
    uint64_t pages = 0;
    if (check_offer(agent, &pages, error) < 0)
        return NULL;
    if (agent->kvm < 0)
        agent->kvm = wh_kvm_take(wh_kvm_peer(agent->port), error);
    if (agent->kvm < 0)
        return NULL;
    int device = agent->handlers.device(agent->handlers.context);
    if (device < 0)
        return wh_error_set(error, ENODEV, "the client's VM cannot be had on the exitless path"),
               NULL;
    struct wh_agent_view *view = calloc(1, sizeof(*view));
    if (!view || getrandom(view->key, sizeof(view->key), 0) != sizeof(view->key)) {
        wh_error_set(error, ENOMEM, "out of memory");
        free(view);
        return NULL;
    }
    wish->version = WORMHOLE_VERSION;
    wish->flags = WORMHOLE_OF_VM;
    wish->kvm_fd = agent->kvm;
    wish->ranges = (uintptr_t)agent->offer.ranges;
    memcpy(wish->key, view->key, sizeof(wish->key));
    view->fd = ioctl(device, WORMHOLE_VIEW_CREATE, wish);
    explicit_bzero(wish->key, sizeof(wish->key));
    if (view->fd < 0) {
        wh_error_set(error, errno, "%s", explain(errno));
        free(view);
        return NULL;
    }
    view->number = agent->offer.number;
    view->gate = wish->gate;
    view->lanes = wish->lanes;
    view->pages = pages;
    int code = agent->handlers.made(agent->handlers.context, view);
    if (code) {
        wh_error_set(error, code, "the view cannot be bound to the client's VM: %s",
                     strerror(code));
        close(view->fd);
        free(view);
        return NULL;
    }
    view->next = agent->views;
    return agent->views = view;
}

static void on_make(struct wh_agent *agent, uint64_t number)
{
    struct wh_error error = {0};
    if (number != agent->offer.number)
        spoil(agent, EINVAL, "another number than in its first line");
    char text[96];
    struct wh_agent_view *view = make_view(agent, &error);
    if (view) {
        (void)snprintf(text, sizeof(text), "%x %llx %llx %llx %llx", view->index,
                       (unsigned long long)view->key[0], (unsigned long long)view->key[1],
                       (unsigned long long)view->key[2], (unsigned long long)view->key[3]);
        tell(agent, "made", number, text);
        explicit_bzero(text, sizeof(text));
    } else {
        wh_log_limited(&agent->log, "a service VM's agent gets no view: %s", error.text);
        tell(agent, "refused", number, error.text);
    }
    agent->offer = (struct offer){0};
}

/* view NUMBER GATE HANDLER LANES STACK-PAGES MILLISECONDS */
static void on_view(struct wh_agent *agent, const uint64_t *numbers)
{
    agent->offer = (struct offer){.number = numbers[0]};
    struct wormhole_view_create *wish = &agent->offer.wish;
    wish->gate = numbers[1];
    wish->handler = numbers[2];
    wish->lanes = numbers[3] > UINT32_MAX ? UINT32_MAX : (uint32_t)numbers[3];
    wish->stack_pages = numbers[4] > UINT32_MAX ? UINT32_MAX : (uint32_t)numbers[4];
    wish->budget_ns = numbers[5] > UINT32_MAX ? UINT64_MAX : numbers[5] * 1000000;
}

/* range ADDRESS SIZE ADDRESS-IN-THE-VIEW FLAGS */
static void on_range(struct wh_agent *agent, const uint64_t *numbers)
{
    struct wormhole_view_create *wish = &agent->offer.wish;
    if (wish->n_ranges >= WH_AGENT_RANGES) {
        spoil(agent, E2BIG, "it has too many ranges");
        return;
    }
    if (numbers[3] > UINT32_MAX) {
        spoil(agent, EINVAL, "a range has flags that there are not");
        return;
    }
    agent->offer.ranges[wish->n_ranges++] = (struct wormhole_range){.address = numbers[0],
                                                                    .size = numbers[1],
                                                                    .view_address = numbers[2],
                                                                    .flags = (uint32_t)numbers[3]};
}

static bool listen_to_bells(struct wh_agent *agent, bool wanted)
{
    return agent->handlers.listen && agent->handlers.listen(agent->handlers.context, wanted);
}

static void on_bells(struct wh_agent *agent, uint64_t wanted)
{
    tell(agent, "bells", listen_to_bells(agent, wanted == 1), "");
}

static void on_end(struct wh_agent *agent, uint64_t number)
{
    struct wh_agent_view **at = find_view(agent, number);
    if (*at)
        end_view(agent, at);
    tell(agent, "ended", number, "");
}

/* An agent that starts knows of no view: those of one before it show memory that is nobody's. */
static void on_agent(struct wh_agent *agent, uint64_t version)
{
    wh_agent_end_views(agent);
    (void)listen_to_bells(agent, false);
    agent->offer = (struct offer){0};
    tell(agent, "host", WORMHOLE_VERSION,
         version == WORMHOLE_VERSION ? "" : "the agent is of another version");
}

/* The words behind the first, hexadecimal numbers all; how many, -1: they are no such numbers. */
static int read_numbers(char *text, uint64_t numbers[WORDS])
{
    int n = 0;
    for (char *rest, *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        size_t digits = strspn(word, "0123456789abcdef");
        if (n == WORDS || word[digits] || !digits || digits > 16)
            return -1;
        numbers[n++] = strtoull(word, NULL, 16);
    }
    return n;
}

/*
 * A line that means nothing is not answered: a terminal that still echoes must not talk with itself
 * through us. It spoils the offer that it is in the middle of.
 */
static void on_line(struct wh_agent *agent, char *line)
{
    char *rest = strchr(line, ' ');
    uint64_t numbers[WORDS];
    if (rest)
        *rest++ = 0;
    int n = rest ? read_numbers(rest, numbers) : 0;
    if (n == 6 && strcmp(line, "view") == 0)
        on_view(agent, numbers);
    else if (n == 4 && strcmp(line, "range") == 0)
        on_range(agent, numbers);
    else if (n == 1 && strcmp(line, "make") == 0)
        on_make(agent, numbers[0]);
    else if (n == 1 && strcmp(line, "end") == 0)
        on_end(agent, numbers[0]);
    else if (n == 1 && strcmp(line, "agent") == 0)
        on_agent(agent, numbers[0]);
    else if (n == 1 && strcmp(line, "bells") == 0)
        on_bells(agent, numbers[0]);
    else
        spoil(agent, EINVAL, "a line was not understood");
}

static void take(struct wh_agent *agent, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            if (agent->length < LINE)
                agent->line[agent->length++] = bytes[i];
            continue;
        }
        agent->line[agent->length < LINE ? agent->length : 0] = 0;
        agent->length = 0;
        on_line(agent, agent->line);
    }
}

const struct wh_agent_view *wh_agent_views(const struct wh_agent *agent)
{
    return agent->views;
}

bool wh_agent_has_read(const struct wh_agent *agent)
{
    int unread = 0;
    return ioctl(agent->port, SIOCOUTQ, &unread) < 0 || unread == 0;
}

/* All in one piece: a Unix socket takes it as a whole or not at all. */
void wh_agent_ring(struct wh_agent *agent, const uint32_t *peers, unsigned npeers)
{
    char lines[WH_AGENT_BELLS * 16];
    size_t length = 0;
    for (unsigned i = 0; i < npeers && i < WH_AGENT_BELLS; i++)
        length += (size_t)snprintf(lines + length, sizeof(lines) - length, "ring %x\n", peers[i]);
    if (send(agent->port, lines, length, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)length)
        wh_debug("a service VM's agent does not read its port");
}

int wh_agent_port(const struct wh_agent *agent)
{
    return agent->port;
}

/* What follows the line waits in the socket, so that the port stays readable. */
int wh_agent_read(struct wh_agent *agent)
{
    char bytes[512];
    ssize_t size = recv(agent->port, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);
    const char *end = size > 0 ? memchr(bytes, '\n', (size_t)size) : NULL;
    if (size > 0)
        size =
            recv(agent->port, bytes, end ? (size_t)(end - bytes) + 1 : (size_t)size, MSG_DONTWAIT);
    if (size > 0)
        take(agent, bytes, (size_t)size);
    else if (size == 0 || (errno != EAGAIN && errno != EINTR))
        return -1;
    return 0;
}
