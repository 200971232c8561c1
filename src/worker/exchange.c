/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's end of the exchange; see exchange.h. */
#include "worker/exchange.h"

#include "base/util.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#define LONGEST_MS 5000
#define MOST_LATE  16u /* a daemon that owes more answers than that is none */

static struct {
    pthread_mutex_t lock;
    int socket;      /* or 0: none */
    uint32_t number; /* of the last question */
    uint32_t late;   /* questions whose answers nobody waits for any more */
} exchange = {.lock = PTHREAD_MUTEX_INITIALIZER};

void wh_exchange_use(int socket)
{
    exchange.socket = socket;
    exchange.number = exchange.late = 0;
}

/* Waits until then for a letter. 0, ETIMEDOUT, or ENOTCONN: something else came. */
static int receive(struct wh_exchange_letter *letter, int *got, uint64_t until_ns)
{
    struct pollfd ready = {.fd = exchange.socket, .events = POLLIN};
    uint64_t now = wh_now_ns();
    int n = poll(&ready, 1, now < until_ns ? (int)((until_ns - now) / 1000000) : 0);
    if (n == 0)
        return ETIMEDOUT;
    if (n == 1 && wh_receive_fds(exchange.socket, letter, sizeof(*letter), got, 1) ==
                      (ssize_t)sizeof(*letter))
        return 0;
    return ENOTCONN;
}

/* Lock held. Passes over what comes too late for the questions before this one. ENOTCONN: the two
 * are out of step. */
static int talk(struct wh_exchange_letter *letter, int give, int *got)
{
    const uint64_t until_ns = wh_now_ns() + LONGEST_MS * 1000000ull;
    const uint32_t what = letter->what, number = letter->number = ++exchange.number;
    if (exchange.late > MOST_LATE || wh_send_fds(exchange.socket, letter, sizeof(*letter), &give,
                                                 give >= 0) != (ssize_t)sizeof(*letter))
        return ENOTCONN;
    for (;;) {
        int code = receive(letter, got, until_ns);
        if (code == ETIMEDOUT)
            exchange.late++;
        if (code)
            return code;
        if (letter->number == number)
            return letter->what == what && letter->size <= WH_EXCHANGE_MOST ? 0 : ENOTCONN;
        if (exchange.late == 0 || letter->number > number)
            return ENOTCONN;
        exchange.late--;
        wh_close_fd(got);
        *got = -1;
    }
}

static int ask(struct wh_exchange_letter *letter, int give, int *got)
{
    *got = -1;
    pthread_mutex_lock(&exchange.lock);
    int code = exchange.socket > 0 ? talk(letter, give, got) : ENOTCONN;
    if (code == ENOTCONN) /* that was the last question */
        exchange.socket = 0;
    pthread_mutex_unlock(&exchange.lock);
    if (code == 0)
        return letter->status;
    wh_close_fd(got);
    *got = -1;
    return code;
}

int wh_exchange_put(uint32_t kind, const void *bytes, size_t size, int fd,
                    uint8_t token[WH_EXCHANGE_TOKEN])
{
    struct wh_exchange_letter letter = {
        .what = WH_EXCHANGE_PUT, .kind = kind, .size = (uint32_t)size};
    int none;
    if (size > sizeof(letter.bytes))
        return EINVAL;
    memcpy(letter.bytes, bytes, size);
    int code = ask(&letter, fd, &none);
    wh_close_fd(&none);
    if (code == 0)
        memcpy(token, letter.token, WH_EXCHANGE_TOKEN);
    return code;
}

int wh_exchange_get(uint32_t kind, const uint8_t token[WH_EXCHANGE_TOKEN], void *bytes, size_t size,
                    int *fd)
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_GET, .kind = kind};
    memcpy(letter.token, token, WH_EXCHANGE_TOKEN);
    int code = ask(&letter, -1, fd);
    if (code == 0 && letter.size != size)
        code = ENOENT;
    if (code == 0) {
        memcpy(bytes, letter.bytes, size);
        return 0;
    }
    wh_close_fd(fd);
    *fd = -1;
    return code;
}

int wh_exchange_bind_view(int view, uint32_t *index)
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_VIEW};
    int none;
    int code = ask(&letter, view, &none);
    wh_close_fd(&none);
    *index = letter.kind;
    return code;
}

int wh_exchange_add_range(const struct wh_exchange_range *range)
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_RANGE, .size = sizeof(*range)};
    int none;
    memcpy(letter.bytes, range, sizeof(*range));
    int code = ask(&letter, -1, &none);
    wh_close_fd(&none);
    return code;
}

int wh_exchange_make_view(const struct wh_exchange_make *wish, uint64_t key[4], uint32_t *index)
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_MAKE, .size = sizeof(*wish)};
    int none;
    memcpy(letter.bytes, wish, sizeof(*wish));
    int code = ask(&letter, -1, &none);
    wh_close_fd(&none);
    memcpy(key, letter.bytes, 4 * sizeof(*key));
    *index = letter.kind;
    return code;
}

int wh_exchange_give_back(void)
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_GIVE_BACK};
    int none;
    int code = ask(&letter, -1, &none);
    wh_close_fd(&none);
    return code;
}

int wh_exchange_drop(const uint8_t token[WH_EXCHANGE_TOKEN])
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_DROP};
    int none;
    memcpy(letter.token, token, WH_EXCHANGE_TOKEN);
    int code = ask(&letter, -1, &none);
    wh_close_fd(&none);
    return code;
}
