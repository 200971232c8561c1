/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes both ends of the exchange. The first byte of an input says which: the daemon, to which
 * three workers (two of one tenant, one of another) say what they like, and which is asked whether
 * a thing is where it should be; or a worker, to which a daemon answers what it likes.
 */
#include "base/util.h"
#include "daemon/exchange.h"
#include "daemon/gate.h"
#include "daemon/lender.h"
#include "daemon/tenant.h"
#include "wire/exchange.h"
#include "worker/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input. */
struct input {
    const uint8_t *at;
    size_t left;
};

static void take(struct input *input, void *to, size_t size)
{
    size_t n = size < input->left ? size : input->left;
    memset(to, 0, size);
    memcpy(to, input->at, n);
    input->at += n;
    input->left -= n;
}

static uint8_t take_byte(struct input *input)
{
    uint8_t byte;
    take(input, &byte, 1);
    return byte;
}

static void expect(bool truth)
{
    if (!truth)
        abort();
}

/* ---- the daemon ---- */

/* None of these sessions is of a VM with an exitless path. */
int wh_gate_bind(struct wh_served *session, int *view, uint32_t *index)
{
    (void)session;
    (void)view;
    (void)index;
    return EINVAL;
}

/* Nor in a service VM that lends its memory. */
int wh_lender_add_range(struct wh_served *session, const struct wh_exchange_letter *letter)
{
    (void)session;
    (void)letter;
    return EINVAL;
}

int wh_lender_make(struct wh_served *session, const struct wh_exchange_letter *letter)
{
    (void)session;
    (void)letter;
    return EINVAL;
}

int wh_lender_give_back(struct wh_served *session)
{
    (void)session;
    return EINVAL;
}

enum { SESSIONS = 3, TOKENS = 64 };

/* What was put, as it is to be found. */
struct known {
    unsigned session;
    bool there, with_fd;
    struct wh_exchange_letter letter;
};

struct world {
    struct wh_server server;
    struct wh_tenant tenants[2];
    struct wh_served sessions[SESSIONS];
    int ends[SESSIONS]; /* the workers' */
    struct known known[TOKENS];
    unsigned nknown;
    uint32_t number; /* of the last letter */
    int thing;       /* what is offered with a descriptor */
};

static struct wh_tenant *tenant_of(struct world *w, unsigned session)
{
    return &w->tenants[session == SESSIONS - 1];
}

static void open_session(struct world *w, unsigned i)
{
    struct wh_error error = {0};
    w->sessions[i] =
        (struct wh_served){.server = &w->server, .tenant = tenant_of(w, i), .exchange = {.fd = -1}};
    expect(wh_exchange_open(&w->sessions[i], &w->ends[i], &error) == 0);
}

/* Its things go with it, and nobody else's. */
static void close_session(struct world *w, unsigned i)
{
    wh_exchange_close(&w->sessions[i]);
    wh_close_fd(&w->ends[i]);
    w->ends[i] = -1;
    for (unsigned k = 0; k < w->nknown; k++)
        if (w->known[k].session == i)
            w->known[k].there = false;
}

static void expect_counts(const struct world *w)
{
    unsigned offers[2] = {0}, descriptors[2] = {0};
    for (unsigned k = 0; k < w->nknown; k++)
        if (w->known[k].there) {
            offers[w->known[k].session == SESSIONS - 1]++;
            descriptors[w->known[k].session == SESSIONS - 1] += w->known[k].with_fd;
        }
    for (unsigned t = 0; t < 2; t++)
        expect(w->tenants[t].noffers == offers[t] && w->tenants[t].ndescriptors == descriptors[t]);
}

/* One letter and its answer; false: the session is closed. */
static bool ask(struct world *w, unsigned i, struct wh_exchange_letter *letter, size_t size, int fd,
                int *got)
{
    uint32_t what = letter->what, number = letter->number = ++w->number;
    *got = -1;
    expect(wh_send_fds(w->ends[i], letter, size, &fd, fd >= 0) == (ssize_t)size);
    w->sessions[i].exchange.ready(&w->sessions[i].exchange, EPOLLIN);
    if (w->sessions[i].exchange.fd < 0) {
        expect(size != sizeof(*letter));
        return false;
    }
    expect(size == sizeof(*letter));
    expect(wh_receive_fds(w->ends[i], letter, sizeof(*letter), got, 1) == (ssize_t)sizeof(*letter));
    expect(letter->what == what && letter->number == number);
    return true;
}

static void put(struct world *w, unsigned i, struct input *input, bool with_fd)
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_PUT};
    int got;
    letter.kind = take_byte(input) % 4;
    letter.size = take_byte(input);
    take(input, letter.bytes, sizeof(letter.bytes) / 8);
    expect(ask(w, i, &letter, sizeof(letter), with_fd ? w->thing : -1, &got) && got < 0);
    expect((letter.status == 0) == (letter.size <= WH_EXCHANGE_MOST));
    if (letter.status)
        return;
    for (unsigned k = 0; k < w->nknown; k++)
        expect(memcmp(w->known[k].letter.token, letter.token, WH_EXCHANGE_TOKEN) != 0);
    w->known[w->nknown++] =
        (struct known){.session = i, .there = true, .with_fd = with_fd, .letter = letter};
}

/* A thing is its tenant's, under its kind, as it was put; only its session drops it. */
static void ask_for(struct world *w, unsigned i, struct input *input, uint32_t what)
{
    struct wh_exchange_letter letter = {.what = what};
    struct known *known = w->nknown ? &w->known[take_byte(input) % w->nknown] : NULL;
    uint8_t flip = take_byte(input);
    int got;
    letter.kind = take_byte(input) % 4;
    if (known)
        memcpy(letter.token, known->letter.token, WH_EXCHANGE_TOKEN);
    letter.token[flip % WH_EXCHANGE_TOKEN] ^= flip / WH_EXCHANGE_TOKEN;
    bool right = known && known->there && flip < WH_EXCHANGE_TOKEN;
    uint32_t kind = letter.kind;
    expect(ask(w, i, &letter, sizeof(letter), -1, &got));
    if (what == WH_EXCHANGE_GET) {
        right =
            right && tenant_of(w, i) == tenant_of(w, known->session) && kind == known->letter.kind;
        expect(!right || (letter.size == known->letter.size &&
                          memcmp(letter.bytes, known->letter.bytes, sizeof(letter.bytes)) == 0));
        expect((got >= 0) == (right && known->with_fd));
    } else {
        right = right && i == known->session;
        expect(got < 0);
        if (right)
            known->there = false;
    }
    expect(letter.status == (right ? 0 : ENOENT));
    wh_close_fd(&got);
}

/* Whatever bytes, of whatever length. */
static void say(struct world *w, unsigned i, struct input *input, bool with_fd)
{
    struct wh_exchange_letter letters[2];
    size_t size = take_byte(input) & 1 ? sizeof(letters[0]) : take_byte(input) + 1u;
    int got;
    take(input, letters, size);
    if (letters[0].what == WH_EXCHANGE_PUT && size == sizeof(letters[0]))
        letters[0].what = 0; /* what is put is to be known here */
    if (ask(w, i, &letters[0], size, with_fd ? w->thing : -1, &got)) {
        expect(letters[0].status != 0); /* a token by chance */
    } else {
        close_session(w, i);
        open_session(w, i);
    }
    wh_close_fd(&got);
}

static void serve_workers(struct input *input)
{
    struct world *w = calloc(1, sizeof(*w));
    struct wh_error error = {0};
    expect(w && wh_loop_init(&w->server.loop, &error) == 0);
    w->thing = eventfd(0, EFD_CLOEXEC);
    for (unsigned i = 0; i < SESSIONS; i++)
        open_session(w, i);
    while (input->left > 0) {
        uint8_t command = take_byte(input);
        unsigned i = command % SESSIONS;
        bool with_fd = command & 0x80;
        switch (command / SESSIONS % 5) {
        case 0:
            if (w->nknown < TOKENS)
                put(w, i, input, with_fd);
            break;
        case 1:
            ask_for(w, i, input, WH_EXCHANGE_GET);
            break;
        case 2:
            ask_for(w, i, input, WH_EXCHANGE_DROP);
            break;
        case 3:
            say(w, i, input, with_fd);
            break;
        default:
            close_session(w, i);
            open_session(w, i);
        }
        expect_counts(w);
    }
    for (unsigned i = 0; i < SESSIONS; i++)
        close_session(w, i);
    expect(!w->tenants[0].offers && !w->tenants[1].offers);
    expect_counts(w);
    close(w->thing);
    wh_loop_free(&w->server.loop);
    free(w);
}

/* ---- a worker ---- */

/* The answer lies there before the question is asked: nothing waits. */
static void answer_worker(struct input *input)
{
    uint8_t command = take_byte(input), token[WH_EXCHANGE_TOKEN] = {0}, bytes[WH_EXCHANGE_MOST];
    _Alignas(struct wh_exchange_letter) uint8_t answer[2 * sizeof(struct wh_exchange_letter)];
    size_t wanted = take_byte(input) % (sizeof(bytes) + 1),
           size = command & 0x40 ? take_byte(input) + 1u : sizeof(struct wh_exchange_letter);
    int ends[2], fd = -1, code, thing = eventfd(0, EFD_CLOEXEC);
    expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    wh_exchange_use(ends[0]);
    take(input, answer, size);
    if (command & 0x20) { /* in step, so that the rest of it is looked at */
        struct wh_exchange_letter *letter = (struct wh_exchange_letter *)(void *)answer;
        letter->what = command % 3 + 1;
        letter->number = 1;
    }
    expect(wh_send_fds(ends[1], answer, size, &thing, command >> 7) == (ssize_t)size);
    if (command % 3 == 0)
        code = wh_exchange_put(1, bytes, 0, -1, token);
    else if (command % 3 == 1)
        code = wh_exchange_get(1, token, bytes, wanted, &fd);
    else
        code = wh_exchange_drop(token);
    expect(fd < 0 || code == 0);
    if (size != sizeof(struct wh_exchange_letter)) {
        expect(code == ENOTCONN);
        expect(wh_exchange_drop(token) == ENOTCONN); /* and nobody is asked again */
    }
    wh_close_fd(&fd);
    close(thing);
    close(ends[0]);
    close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.at = data, .left = size};
    if (take_byte(&input) & 1)
        answer_worker(&input);
    else
        serve_workers(&input);
    return 0;
}
