/* SPDX-License-Identifier: Apache-2.0 */
/* See lender.h; the lines are in docs/exitless-internals.md. */
#include "daemon/lender.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/exchange.h"
#include "daemon/host_port.h"
#include "daemon/region.h"
#include "daemon/tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE      4096u
#define RANGES    16u
#define BUDGET_MS 1000u

/* The first line ends what a daemon before this one may have left half written. */
#define HELLO "?\nagent 1\nbells 1\n"

#define START_MS  5000u  /* so long the host may take to answer before anybody is served */
#define HELLO_MS  10000u /* and then it is told every so often that there is somebody */
#define ANSWER_MS 4000u  /* a worker's question: less than the worker waits */
#define END_MS    3000u  /* `end` is said again */
#define SILENT_MS 5000u  /* a host that says nothing for so long is not asked for views */
#define TICK_MS   1000u

enum piece_state {
    PIECE_FREE,
    PIECE_TAKEN,  /* by a session that has no view, or not yet */
    PIECE_ASKED,  /* the host is to make it */
    PIECE_SHOWN,  /* there is a view */
    PIECE_ENDING, /* the host is to end it */
};

/* A session's piece of the memory that never moves. */
struct piece {
    enum piece_state state;
    struct wh_served *session; /* NULL: it is gone already */
    bool left;                 /* its worker is gone: the session waits for the end of the view */
    bool told;                 /* that it has to wait long */
    uint64_t number;           /* of its view; 0: none was asked for */
    uint64_t since_ns;         /* when the host was asked to make it, or first to end it */
    uint64_t said_ns;          /* when last to end it */
    uint64_t segment;          /* guest-physical address of the session's segment */
    struct wh_exchange_range ranges[RANGES];
    uint32_t nranges;
    struct wh_exchange_letter letter; /* the worker's question */
};

struct wh_lender {
    struct wh_server *server;
    struct wh_fixed fixed;
    struct wh_host_port port;
    struct wh_timer tick; /* while the host owes an answer */
    uint64_t region;      /* guest-physical address of the region */
    uint64_t end;         /* of the memory that sessions may get: ledgers lie behind it */
    bool answered;    /* there is a host, and what was shown before this daemon is not any more */
    bool hears_rings; /* it tells of the clients' doorbells */
    bool told_silent, told_full;
    uint64_t hello_ns; /* when it was last told that there is somebody */
    uint64_t asked_ns; /* when it was first asked something after it last said something; or 0 */
    uint64_t last_number;
    struct piece *pieces;
    uint32_t npieces;
};

/* ---- pieces ---- */

static struct piece *piece_of(const struct wh_served *session)
{
    struct wh_lender *lender = session->server->lender;
    for (uint32_t i = 0; lender && i < lender->npieces; i++)
        if (lender->pieces[i].session == session)
            return &lender->pieces[i];
    return NULL;
}

static struct piece *piece_by_number(struct wh_lender *lender, uint64_t number)
{
    for (uint32_t i = 0; i < lender->npieces; i++)
        if (lender->pieces[i].state >= PIECE_ASKED && lender->pieces[i].number == number)
            return &lender->pieces[i];
    return NULL;
}

static uint64_t place_of(const struct wh_lender *lender, const struct piece *piece)
{
    return (uint64_t)(piece - lender->pieces) * WH_EXCHANGE_FIXED;
}

/* From the memory's end on, where pieces that nobody has are given up for it. */
int wh_lender_reserve(struct wh_server *server, uint64_t size, uint64_t *offset)
{
    struct wh_lender *lender = server->lender;
    uint64_t whole = wh_round_up(size, PAGE);
    if (!lender || !lender->answered || whole > lender->end)
        return -1; /* before the host has answered, views of an earlier ledger may be there */
    uint64_t end = lender->end - whole;
    uint32_t npieces = (uint32_t)(end / WH_EXCHANGE_FIXED);
    for (uint32_t i = npieces; i < lender->npieces; i++)
        if (lender->pieces[i].state != PIECE_FREE)
            return -1;
    int fd = fcntl(lender->fixed.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    lender->end = *offset = end;
    lender->npieces = npieces;
    memset(lender->fixed.memory + end, 0, whole);
    return fd;
}

/* The host has said nothing for long, though it was asked: there may be none any more. */
static bool is_silent(const struct wh_lender *lender)
{
    return lender->asked_ns && wh_now_ns() - lender->asked_ns > SILENT_MS * 1000000ull;
}

static void tell_full(struct wh_lender *lender, const struct wh_served *session)
{
    if (!lender->told_full)
        wh_log("session %u has no view: the memory for views, %llu MiB, is enough for %u sessions "
               "at once, and all of it is taken; give the service VM a larger device for it (its "
               "memory-backend's size)",
               session->number, (unsigned long long)(lender->fixed.size >> 20), lender->npieces);
    lender->told_full = true;
}

void wh_lender_assign(struct wh_served *session, struct wh_session_request *request)
{
    struct wh_lender *lender = session->server->lender;
    if (!lender || !lender->answered || request->gate >= 0 || !lender->region || is_silent(lender))
        return;
    for (uint32_t i = 0; i < lender->npieces; i++) {
        struct piece *piece = &lender->pieces[i];
        if (piece->state != PIECE_FREE)
            continue;
        *piece = (struct piece){
            .state = PIECE_TAKEN, .session = session, .segment = lender->region + request->offset};
        request->gate = lender->fixed.fd;
        request->is_fixed = true;
        request->fixed = place_of(lender, piece);
        return;
    }
    tell_full(lender, session);
}

/* ---- to the host ---- */

static void on_tick(struct wh_timer *timer);

static void keep_ticking(struct wh_lender *lender, uint64_t ms)
{
    if (!lender->tick.link)
        wh_loop_set_timer(&lender->server->loop, &lender->tick, ms, on_tick);
}

static int ask(struct wh_lender *lender, const char *text, size_t length)
{
    int code = wh_host_port_say(&lender->port, text, length);
    if (code == 0 && !lender->asked_ns)
        lender->asked_ns = wh_now_ns();
    return code;
}

static int say_hello(struct wh_lender *lender)
{
    lender->hello_ns = wh_now_ns();
    return wh_host_port_say(&lender->port, HELLO, strlen(HELLO));
}

/* The host answers each time: what is lost on the way is said again. */
static void say_end(struct wh_lender *lender, struct piece *piece)
{
    char line[32];
    int length = snprintf(line, sizeof(line), "end %" PRIx64 "\n", piece->number);
    piece->said_ns = wh_now_ns();
    (void)ask(lender, line, (size_t)length);
}

static void end_view(struct wh_lender *lender, struct piece *piece)
{
    if (piece->state == PIECE_ENDING)
        return;
    piece->state = PIECE_ENDING;
    piece->since_ns = wh_now_ns();
    say_end(lender, piece);
    keep_ticking(lender, TICK_MS);
}

/* Nobody is in its view. */
static void view_is_gone(struct piece *piece)
{
    struct wh_served *session = piece->session;
    if (session && !piece->left) { /* its worker lives there, without a view */
        piece->state = PIECE_TAKEN;
        return;
    }
    *piece = (struct piece){0};
    if (session)
        wh_session_finish(session);
}

/* ---- while the host owes an answer ---- */

static bool is_over(uint64_t since_ns, uint64_t ms)
{
    return wh_now_ns() - since_ns >= ms * 1000000ull;
}

static void look_at_ending(struct wh_lender *lender, struct piece *piece)
{
    if (!piece->told && piece->left && is_over(piece->since_ns, SILENT_MS)) {
        wh_log_limited(&piece->session->tenant->log,
                       "session %u: the host does not say that its view has ended; its memory "
                       "goes to nobody before it does",
                       piece->session->number);
        piece->told = true;
    }
    if (is_over(piece->said_ns, END_MS) && !lender->port.nwaiting)
        say_end(lender, piece);
}

static void look_at(struct wh_lender *lender, struct piece *piece)
{
    if (piece->state == PIECE_ENDING) {
        look_at_ending(lender, piece);
    } else if (piece->state == PIECE_ASKED && is_over(piece->since_ns, ANSWER_MS)) {
        wh_exchange_answer(piece->session, &piece->letter, ETIMEDOUT);
        end_view(lender, piece); /* it may be made yet */
    }
}

static void on_tick(struct wh_timer *timer)
{
    struct wh_lender *lender = WH_CONTAINER(timer, struct wh_lender, tick);
    bool waits = false;
    for (uint32_t i = 0; i < lender->npieces; i++) {
        struct piece *piece = &lender->pieces[i];
        if (piece->session)
            look_at(lender, piece);
        waits |= piece->session && (piece->state == PIECE_ASKED || piece->state == PIECE_ENDING);
    }
    if (!lender->answered && is_over(lender->hello_ns, HELLO_MS))
        (void)say_hello(lender);
    if (is_silent(lender) && !lender->told_silent) {
        wh_log("the host has not answered for %u s: new sessions have no views before it does",
               SILENT_MS / 1000);
        lender->told_silent = true;
    }
    if (waits)
        keep_ticking(lender, TICK_MS);
    else if (!lender->answered && lender->port.source.fd >= 0)
        keep_ticking(lender, HELLO_MS);
}

/* ---- from workers, which run tenants' code ---- */

static bool is_within(const struct wh_exchange_range *range, uint64_t size)
{
    return range->size && !((range->size | range->offset) & (PAGE - 1)) && range->size <= size &&
           range->offset <= size - range->size;
}

/* Of what a range may be in; 0: there is no such memory. */
static uint64_t size_of(const struct wh_served *session, uint32_t memory)
{
    switch (memory) {
    case WH_EXCHANGE_OWN:
        return WH_EXCHANGE_FIXED;
    case WH_EXCHANGE_SEGMENT:
        return session->shared;
    case WH_EXCHANGE_LEDGER:
        return session->tenant->ledger_offset
                   ? wh_round_up(session->tenant->naccounts * sizeof(struct wh_account), PAGE)
                   : 0;
    default:
        return 0;
    }
}

static uint64_t start_of(const struct piece *piece, uint32_t memory)
{
    const struct wh_served *session = piece->session;
    const struct wh_lender *lender = session->server->lender;
    if (memory == WH_EXCHANGE_SEGMENT)
        return piece->segment;
    if (memory == WH_EXCHANGE_LEDGER)
        return lender->fixed.physical + session->tenant->ledger_offset;
    return lender->fixed.physical + place_of(lender, piece);
}

int wh_lender_add_range(struct wh_served *session, const struct wh_exchange_letter *letter)
{
    struct piece *piece = piece_of(session);
    struct wh_exchange_range range;
    if (!piece || piece->state != PIECE_TAKEN || piece->number || letter->size != sizeof(range))
        return EINVAL;
    memcpy(&range, letter->bytes, sizeof(range));
    if (!is_within(&range, size_of(session, range.memory)))
        return EINVAL;
    if (piece->nranges == RANGES)
        return ENOSPC;
    piece->ranges[piece->nranges++] = range;
    return 0;
}

int wh_lender_make(struct wh_served *session, const struct wh_exchange_letter *letter)
{
    struct wh_lender *lender = session->server->lender;
    struct piece *piece = piece_of(session);
    struct wh_exchange_make wish;
    char text[(RANGES + 2) * 96];
    size_t n;
    if (!piece || piece->state != PIECE_TAKEN || piece->number || letter->size != sizeof(wish))
        return EINVAL; /* once: the port is everybody's */
    memcpy(&wish, letter->bytes, sizeof(wish));
    piece->letter = *letter;
    piece->number = ++lender->last_number;
    n = (size_t)snprintf(text, sizeof(text), "view %" PRIx64 " %" PRIx64 " %" PRIx64 " %x %x %x\n",
                         piece->number, wish.gate, wish.handler, wish.lanes, wish.stack_pages,
                         BUDGET_MS);
    for (uint32_t i = 0; i < piece->nranges; i++) {
        const struct wh_exchange_range *range = &piece->ranges[i];
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              "range %" PRIx64 " %" PRIx64 " %" PRIx64 " %x\n",
                              start_of(piece, range->memory) + range->offset, range->size,
                              range->view_address, range->flags);
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, "make %" PRIx64 "\n", piece->number);
    if (is_silent(lender) || ask(lender, text, n))
        return EIO;
    piece->state = PIECE_ASKED;
    piece->since_ns = wh_now_ns();
    keep_ticking(lender, TICK_MS);
    return EINPROGRESS;
}

int wh_lender_give_back(struct wh_served *session)
{
    struct piece *piece = piece_of(session);
    if (!piece || piece->state != PIECE_TAKEN || piece->number || piece->nranges)
        return EINVAL;
    *piece = (struct piece){0};
    return 0;
}

bool wh_lender_release(struct wh_served *session)
{
    struct piece *piece = piece_of(session);
    if (!piece)
        return false;
    if (piece->state == PIECE_TAKEN) {
        *piece = (struct piece){0};
        return false;
    }
    piece->left = true;
    end_view(session->server->lender, piece);
    return true;
}

void wh_lender_forget(struct wh_served *session)
{
    struct piece *piece = piece_of(session);
    if (!piece)
        return;
    if (piece->state == PIECE_TAKEN)
        piece->state = PIECE_FREE; /* its worker never started, or the daemon goes */
    piece->session = NULL;
}

/* ---- from the host ---- */

/*
 * The line may have lost bytes, the end of a line among them, and glued the next one to it. So it
 * counts only if it is one to its end: all words begin with letters that no number goes on with.
 */
static void on_made(struct wh_lender *lender, const char *text)
{
    uint64_t number, key[4];
    uint32_t index;
    int length = 0;
    if (sscanf(text, "%" SCNx64 " %" SCNx32 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 "%n",
               &number, &index, &key[0], &key[1], &key[2], &key[3], &length) != 6 ||
        text[length])
        return;
    struct piece *piece = piece_by_number(lender, number);
    if (!piece || piece->state != PIECE_ASKED)
        return;
    piece->state = PIECE_SHOWN;
    piece->letter.kind = index;
    piece->letter.size = sizeof(key);
    memcpy(piece->letter.bytes, key, sizeof(key));
    wh_exchange_answer(piece->session, &piece->letter, 0);
    explicit_bzero(&piece->letter, sizeof(piece->letter));
    explicit_bzero(key, sizeof(key));
}

static void on_refused(struct wh_lender *lender, const char *text)
{
    char *why;
    struct piece *piece = piece_by_number(lender, strtoull(text, &why, 16));
    if (!piece || piece->state != PIECE_ASKED || (*why && *why != ' '))
        return;
    wh_log_limited(&piece->session->tenant->log, "session %u: the host makes no view:%s",
                   piece->session->number, why);
    piece->state = PIECE_TAKEN;
    wh_exchange_answer(piece->session, &piece->letter, EPERM);
}

static void on_ended(struct wh_lender *lender, const char *text)
{
    char *rest;
    struct piece *piece = piece_by_number(lender, strtoull(text, &rest, 16));
    if (piece && piece->state == PIECE_ENDING && !*rest)
        view_is_gone(piece);
}

/* What was shown before this daemon is not any more. */
static void release_region(struct wh_lender *lender)
{
    if (lender->server->region)
        wh_region_release(lender->server->region);
}

static void on_host(struct wh_lender *lender, const char *text)
{
    (void)text;
    if (lender->answered)
        return;
    wh_log("the host makes views of workers' memory, for %u sessions at once", lender->npieces);
    lender->answered = true;
    wh_loop_clear_timer(&lender->tick);
    release_region(lender);
}

/* A whole line that is a number to its end; for glued ones see on_made. */
static bool read_number(const char *text, uint32_t *number)
{
    size_t digits = strspn(text, "0123456789abcdef");
    if (text[digits] || !digits || digits > 8)
        return false;
    *number = (uint32_t)strtoul(text, NULL, 16);
    return true;
}

static void hear_rings(struct wh_lender *lender, bool hears)
{
    bool news = hears != lender->hears_rings;
    lender->hears_rings = hears;
    if (news && lender->server->region)
        wh_region_relay(lender->server->region, hears);
}

static void on_bells(struct wh_lender *lender, const char *text)
{
    uint32_t many;
    if (read_number(text, &many) && many <= 1)
        hear_rings(lender, many == 1);
}

static void on_ring(struct wh_lender *lender, const char *text)
{
    uint32_t peer;
    if (read_number(text, &peer) && lender->hears_rings && lender->server->region)
        wh_region_ring(lender->server->region, peer);
}

static void on_line(struct wh_host_port *port, const char *line)
{
    static const struct {
        const char *word;
        void (*take)(struct wh_lender *lender, const char *text);
    } answers[] = {{"made ", on_made},
                   {"refused ", on_refused},
                   {"ended ", on_ended},
                   {"host ", on_host},
                   {"bells ", on_bells}};
    struct wh_lender *lender = WH_CONTAINER(port, struct wh_lender, port);
    if (strncmp(line, "ring ", 5) == 0) { /* no answer to anything */
        on_ring(lender, line + 5);
        return;
    }
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        size_t length = strlen(answers[i].word);
        if (strncmp(line, answers[i].word, length) != 0)
            continue;
        if (lender->told_silent)
            wh_log("the host answers again");
        lender->told_silent = false;
        lender->asked_ns = 0;
        answers[i].take(lender, line + length);
    }
}

/* As the VM hangs up for its host, so does the host for it: with the port went all views. But a
 * terminal is hung up by someone in this VM: then the views are still there, and nobody will say
 * when they are not. */
static void on_hang_up(struct wh_host_port *port, const char *why)
{
    struct wh_lender *lender = WH_CONTAINER(port, struct wh_lender, port);
    wh_log("the host's port is lost: %s; new sessions have no views", why);
    hear_rings(lender, false);
    lender->answered = false;
    lender->asked_ns = 0;
    for (uint32_t i = 0; i < lender->npieces; i++) {
        struct piece *piece = &lender->pieces[i];
        if (piece->state == PIECE_ASKED)
            wh_exchange_answer(piece->session, &piece->letter, EIO);
        if (piece->state >= PIECE_ASKED && !port->is_terminal)
            view_is_gone(piece);
        else if (piece->state == PIECE_ASKED)
            end_view(lender, piece); /* it may be made yet */
    }
    if (!port->is_terminal)
        release_region(lender);
}

/* ---- the port ---- */

static int start(struct wh_lender *lender, int port, struct wh_error *error)
{
    lender->end = lender->fixed.size;
    lender->npieces = (uint32_t)(lender->fixed.size / WH_EXCHANGE_FIXED);
    if (lender->npieces == 0)
        return wh_error_set(
            error, EINVAL, "the memory for views is too small: %llu KiB, a session needs %u MiB",
            (unsigned long long)(lender->fixed.size >> 10), WH_EXCHANGE_FIXED >> 20);
    lender->pieces = calloc(lender->npieces, sizeof(*lender->pieces));
    if (!lender->pieces)
        return wh_error_set(error, ENOMEM, "out of memory");
    if (wh_host_port_start(&lender->port, &lender->server->loop, port, error) < 0)
        return -1;
    keep_ticking(lender, HELLO_MS);
    return say_hello(lender) ? wh_error_set(error, EIO, "the agent's port takes nothing") : 0;
}

int wh_lender_start(struct wh_server *server, int port, struct wh_fixed *fixed, uint64_t region,
                    struct wh_error *error)
{
    struct wh_lender *lender = calloc(1, sizeof(*lender));
    if (!lender) {
        close(port);
        wh_fixed_close(fixed);
        return wh_error_set(error, ENOMEM, "out of memory");
    }
    *lender = (struct wh_lender){.server = server, .fixed = *fixed, .region = region};
    lender->port =
        (struct wh_host_port){.source.fd = -1, .on_line = on_line, .on_hang_up = on_hang_up};
    server->lender = lender;
    if (start(lender, port, error) == 0)
        return 0;
    if (lender->port.source.fd < 0)
        close(port);
    wh_lender_close(server);
    return -1;
}

int wh_lender_open(struct wh_server *server, const char *setting, struct wh_error *error)
{
    struct wh_fixed fixed;
    const char *address = strchr(setting, ',');
    WH_CLEANUP_FREE char *name = address ? strndup(setting, (size_t)(address - setting)) : NULL;
    if (!name)
        return wh_error_set(error, EINVAL,
                            "%s: an agent is given as PORT,ADDRESS, like /dev/ttyS1,0000:00:05.0",
                            setting);
    if (wh_fixed_open(address + 1, &fixed, error) < 0)
        return -1;
    int port = wh_host_port_open(name, error);
    if (port < 0) {
        wh_fixed_close(&fixed);
        return -1;
    }
    return wh_lender_start(server, port, &fixed, wh_fixed_address(server->device.address, 2),
                           error);
}

bool wh_lender_await(struct wh_server *server)
{
    struct wh_lender *lender = server->lender;
    uint64_t start = wh_now_ns();
    while (!lender->answered && lender->port.source.fd >= 0) {
        if (is_over(start, START_MS)) {
            wh_log(
                "the host does not answer at the agent's port; sessions have no views before it does");
            return false;
        }
        if (is_over(lender->hello_ns, TICK_MS))
            (void)say_hello(lender);
        wh_host_port_wait(&lender->port, TICK_MS);
    }
    return lender->answered || !lender->port.is_terminal;
}

bool wh_lender_hears_rings(const struct wh_server *server)
{
    return server->lender && server->lender->hears_rings;
}

void wh_lender_close(struct wh_server *server)
{
    struct wh_lender *lender = server->lender;
    if (!lender)
        return;
    wh_loop_clear_timer(&lender->tick);
    wh_host_port_close(&lender->port);
    wh_fixed_close(&lender->fixed);
    free(lender->pieces);
    free(lender);
    server->lender = NULL;
}
