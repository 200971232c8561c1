/* SPDX-License-Identifier: Apache-2.0 */
/* See lender.h; the lines are in docs/exitless.md. */
#include "daemon/lender.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/exchange.h"
#include "daemon/tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#define VERSION   1
#define PAGE      4096u
#define RANGES    16u
#define LINE      512u
#define BUDGET_MS 1000u
#define ENDED_MS  5000u /* longer than that no session waits for the host */

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
    uint64_t number;           /* of its view */
    uint64_t since_ns;         /* when it began to end */
    uint64_t segment;          /* guest-physical address of the session's segment */
    struct wh_exchange_range ranges[RANGES];
    uint32_t nranges;
    struct wh_exchange_letter letter; /* the worker's question */
};

struct wh_lender {
    struct wh_server *server;
    struct wh_fixed fixed;
    struct wh_source port;
    struct wh_timer late;
    uint64_t region; /* guest-physical address of the region */
    uint64_t end;    /* of the memory that sessions may get: ledgers lie behind it */
    bool answered;   /* there is a host, and what was shown before this daemon is not any more */
    uint64_t last_number;
    char line[LINE];
    size_t length;
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
    if (!lender || whole > lender->end)
        return -1;
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

void wh_lender_assign(struct wh_served *session, struct wh_session_request *request)
{
    struct wh_lender *lender = session->server->lender;
    if (!lender || !lender->answered || request->gate >= 0 || !lender->region)
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
    wh_debug("session %u has no view: all memory for views is taken", session->number);
}

/* ---- to the host ---- */

/* All of these lines or, when the port does not take them, none of them means anything. */
static int say(struct wh_lender *lender, const char *text, size_t length)
{
    if (lender->port.fd >= 0 && write(lender->port.fd, text, length) == (ssize_t)length)
        return 0;
    return EIO;
}

/* Sessions that have waited too long go on without an answer; their memory does not. */
static void on_late(struct wh_timer *timer)
{
    struct wh_lender *lender = WH_CONTAINER(timer, struct wh_lender, late);
    uint64_t now = wh_now_ns();
    bool more = false;
    for (uint32_t i = 0; i < lender->npieces; i++) {
        struct piece *piece = &lender->pieces[i];
        struct wh_served *session = piece->session;
        if (piece->state != PIECE_ENDING || !session)
            continue;
        if (now - piece->since_ns < ENDED_MS * 1000000ull) {
            more = true;
            continue;
        }
        wh_log("session %u: the host does not say that its view has ended; the memory stays unused",
               session->number);
        piece->session = NULL;
        wh_session_finish(session);
    }
    if (more)
        wh_loop_set_timer(&lender->server->loop, &lender->late, ENDED_MS, on_late);
}

static void end_view(struct wh_lender *lender, struct piece *piece)
{
    char line[32];
    int length = snprintf(line, sizeof(line), "end %" PRIx64 "\n", piece->number);
    piece->state = PIECE_ENDING;
    piece->since_ns = wh_now_ns();
    (void)say(lender, line, (size_t)length);
    if (!lender->late.link)
        wh_loop_set_timer(&lender->server->loop, &lender->late, ENDED_MS + 1, on_late);
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
    if (!piece || piece->state != PIECE_TAKEN || letter->size != sizeof(range))
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
    if (!piece || piece->state != PIECE_TAKEN || letter->size != sizeof(wish))
        return EINVAL;
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
    if (say(lender, text, n))
        return EIO;
    piece->state = PIECE_ASKED;
    return EINPROGRESS;
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

static void on_made(struct wh_lender *lender, const char *text)
{
    uint64_t number, key[4];
    uint32_t index;
    if (sscanf(text, "%" SCNx64 " %" SCNx32 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
               &number, &index, &key[0], &key[1], &key[2], &key[3]) != 6)
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
    if (!piece || piece->state != PIECE_ASKED)
        return;
    wh_log("session %u: the host makes no view:%s", piece->session->number, why);
    piece->state = PIECE_TAKEN;
    wh_exchange_answer(piece->session, &piece->letter, EPERM);
}

static void on_ended(struct wh_lender *lender, const char *text)
{
    struct piece *piece = piece_by_number(lender, strtoull(text, NULL, 16));
    if (!piece || piece->state != PIECE_ENDING)
        return;
    struct wh_served *session = piece->session;
    *piece = (struct piece){0};
    if (session)
        wh_session_finish(session);
}

static void on_host(struct wh_lender *lender)
{
    if (!lender->answered)
        wh_log("the host makes views of workers' memory, for %u sessions at once", lender->npieces);
    lender->answered = true;
}

static void on_line(struct wh_lender *lender)
{
    const char *line = lender->line;
    if (strncmp(line, "made ", 5) == 0)
        on_made(lender, line + 5);
    else if (strncmp(line, "refused ", 8) == 0)
        on_refused(lender, line + 8);
    else if (strncmp(line, "ended ", 6) == 0)
        on_ended(lender, line + 6);
    else if (strncmp(line, "host ", 5) == 0)
        on_host(lender);
    explicit_bzero(lender->line, sizeof(lender->line));
}

static void lose_port(struct wh_lender *lender, const char *why)
{
    int fd = lender->port.fd;
    wh_log("the host's port is lost: %s; new sessions have no views", why);
    wh_loop_remove(&lender->server->loop, &lender->port);
    wh_close_fd(&fd);
    lender->answered = false;
}

static void on_port(struct wh_source *source, uint32_t events)
{
    struct wh_lender *lender = WH_CONTAINER(source, struct wh_lender, port);
    char bytes[256];
    ssize_t size = read(source->fd, bytes, sizeof(bytes));
    (void)events;
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        lose_port(lender, size == 0 ? "it hung up" : strerror(errno));
    for (ssize_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            lender->line[lender->length] = 0;
            lender->length = 0;
            on_line(lender);
        } else if (lender->length < LINE - 1) {
            lender->line[lender->length++] = bytes[i];
        }
    }
}

/* ---- the port ---- */

static int open_port(const char *name, struct wh_error *error)
{
    struct termios raw;
    int fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return wh_error_set(error, errno, "the agent's port %s cannot be opened: %s", name,
                            strerror(errno));
    if (tcgetattr(fd, &raw) == 0) { /* a serial line */
        cfmakeraw(&raw);
        (void)tcsetattr(fd, TCSANOW, &raw);
    }
    return fd;
}

static int start(struct wh_lender *lender, int port, struct wh_error *error)
{
    char hello[16];
    int length = snprintf(hello, sizeof(hello), "agent %x\n", VERSION);
    lender->end = lender->fixed.size;
    lender->npieces = (uint32_t)(lender->fixed.size / WH_EXCHANGE_FIXED);
    if (lender->npieces == 0)
        return wh_error_set(
            error, EINVAL, "the memory for views is too small: %llu KiB, a session needs %u MiB",
            (unsigned long long)(lender->fixed.size >> 10), WH_EXCHANGE_FIXED >> 20);
    lender->pieces = calloc(lender->npieces, sizeof(*lender->pieces));
    if (!lender->pieces)
        return wh_error_set(error, ENOMEM, "out of memory");
    if (wh_loop_add(&lender->server->loop, &lender->port, port, on_port, error) < 0)
        return -1;
    return say(lender, hello, (size_t)length)
               ? wh_error_set(error, EIO, "the agent's port takes nothing")
               : 0;
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
    *lender =
        (struct wh_lender){.server = server, .port.fd = -1, .fixed = *fixed, .region = region};
    server->lender = lender;
    if (start(lender, port, error) == 0)
        return 0;
    if (lender->port.fd < 0)
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
    int port = open_port(name, error);
    if (port < 0) {
        wh_fixed_close(&fixed);
        return -1;
    }
    return wh_lender_start(server, port, &fixed, wh_fixed_address(server->device.address, 2),
                           error);
}

void wh_lender_close(struct wh_server *server)
{
    struct wh_lender *lender = server->lender;
    if (!lender)
        return;
    int fd = lender->port.fd;
    wh_loop_clear_timer(&lender->late);
    wh_loop_remove(&server->loop, &lender->port);
    wh_close_fd(&fd);
    wh_fixed_close(&lender->fixed);
    free(lender->pieces);
    free(lender);
    server->lender = NULL;
}
