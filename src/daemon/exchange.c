/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's table of what sessions offer; see exchange.h. Workers are not trusted: they run
 * tenants' code. Nothing that they send is looked into but the letter's head, descriptors are kept
 * and handed on unread, and what a tenant can put here is limited.
 */
#include "daemon/exchange.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/gate.h"
#include "daemon/lender.h"
#include "wire/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define MOST_OFFERS      4096u /* of a tenant */
#define MOST_DESCRIPTORS 512u  /* of those with a descriptor */

struct wh_offer {
    struct wh_offer *next;
    const struct wh_served *session; /* whose it is */
    struct wh_exchange_letter letter;
    int fd; /* or -1 */
};

static struct wh_offer **find(struct wh_tenant *tenant, const uint8_t *token)
{
    struct wh_offer **link = &tenant->offers;
    while (*link && memcmp((*link)->letter.token, token, WH_EXCHANGE_TOKEN) != 0)
        link = &(*link)->next;
    return link;
}

static void remove_offer(struct wh_tenant *tenant, struct wh_offer **link)
{
    struct wh_offer *offer = *link;
    *link = offer->next;
    tenant->noffers--;
    tenant->ndescriptors -= offer->fd >= 0;
    wh_close_fd(&offer->fd);
    free(offer);
}

/* ---- questions ---- */

/* Takes the descriptor over. */
static int put(struct wh_served *session, struct wh_exchange_letter *letter, int *fd)
{
    struct wh_tenant *tenant = session->tenant;
    if (letter->size > WH_EXCHANGE_MOST)
        return EINVAL;
    if (tenant->noffers >= MOST_OFFERS || (*fd >= 0 && tenant->ndescriptors >= MOST_DESCRIPTORS))
        return EDQUOT;
    struct wh_offer *offer = malloc(sizeof(*offer));
    if (!offer ||
        getrandom(letter->token, sizeof(letter->token), 0) != (ssize_t)sizeof(letter->token)) {
        free(offer);
        return ENOMEM;
    }
    *offer = (struct wh_offer){
        .next = tenant->offers, .session = session, .letter = *letter, .fd = wh_steal_fd(fd)};
    tenant->offers = offer;
    tenant->noffers++;
    tenant->ndescriptors += offer->fd >= 0;
    return 0;
}

/* The descriptor in `fd` stays the offer's. */
static int get(struct wh_served *session, struct wh_exchange_letter *letter, int *fd)
{
    const struct wh_offer *offer = *find(session->tenant, letter->token);
    if (!offer || offer->letter.kind != letter->kind)
        return ENOENT;
    *letter = offer->letter;
    *fd = offer->fd;
    return 0;
}

static int drop(struct wh_served *session, const struct wh_exchange_letter *letter)
{
    struct wh_offer **link = find(session->tenant, letter->token);
    if (!*link || (*link)->session != session)
        return ENOENT;
    remove_offer(session->tenant, link);
    return 0;
}

void wh_exchange_answer(struct wh_served *session, struct wh_exchange_letter *letter, int status)
{
    letter->status = status;
    (void)wh_send_fds(session->exchange.fd, letter, sizeof(*letter), NULL, 0);
}

static void answer(struct wh_served *session, struct wh_exchange_letter *letter, int received)
{
    WH_CLEANUP_CLOSE int own = received;
    int given = -1;
    const uint32_t what = letter->what, number = letter->number;
    if (what == WH_EXCHANGE_PUT)
        letter->status = put(session, letter, &own);
    else if (what == WH_EXCHANGE_GET)
        letter->status = get(session, letter, &given);
    else if (what == WH_EXCHANGE_DROP)
        letter->status = drop(session, letter);
    else if (what == WH_EXCHANGE_VIEW)
        letter->status = wh_gate_bind(session, &own, &letter->kind);
    else if (what == WH_EXCHANGE_RANGE)
        letter->status = wh_lender_add_range(session, letter);
    else if (what == WH_EXCHANGE_MAKE)
        letter->status = wh_lender_make(session, letter);
    else if (what == WH_EXCHANGE_GIVE_BACK)
        letter->status = wh_lender_give_back(session);
    else
        letter->status = EINVAL;
    if (letter->status == EINPROGRESS)
        return;
    letter->what = what;
    letter->number = number;
    /* The socket never waits: who does not take its answers gets none. */
    (void)wh_send_fds(session->exchange.fd, letter, sizeof(*letter), &given, given >= 0);
}

static void on_letter(struct wh_source *source, uint32_t events)
{
    struct wh_served *session = WH_CONTAINER(source, struct wh_served, exchange);
    struct wh_exchange_letter letter;
    int fd;
    (void)events;
    ssize_t n = wh_receive_fds(source->fd, &letter, sizeof(letter), &fd, 1);
    if (n == (ssize_t)sizeof(letter)) {
        answer(session, &letter, fd);
        return;
    }
    wh_close_fd(&fd);
    if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        wh_exchange_close(session); /* it ended, or speaks another language */
}

/* ---- a session's life ---- */

int wh_exchange_open(struct wh_served *session, int *theirs, struct wh_error *error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return wh_error_set(error, errno, "the server cannot make a socket for a worker: %s",
                            strerror(errno));
    int flags = fcntl(ends[0], F_GETFL);
    if (flags >= 0 && fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) == 0 &&
        wh_loop_add(&session->server->loop, &session->exchange, ends[0], on_letter, error) == 0) {
        *theirs = ends[1];
        return 0;
    }
    close(ends[0]);
    close(ends[1]);
    return -1;
}

void wh_exchange_close(struct wh_served *session)
{
    struct wh_tenant *tenant = session->tenant;
    int fd = session->exchange.fd;
    for (struct wh_offer **link = &tenant->offers; *link;)
        if ((*link)->session == session)
            remove_offer(tenant, link);
        else
            link = &(*link)->next;
    if (fd < 0)
        return;
    wh_loop_remove(&session->server->loop, &session->exchange);
    session->exchange.fd = -1;
    close(fd);
}
