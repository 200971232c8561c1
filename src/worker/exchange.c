/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's end of the exchange; see exchange.h. */
#include "worker/exchange.h"

#include "base/util.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#define LONGEST_MS 5000

static struct {
    pthread_mutex_t lock;
    int socket; /* or 0: none */
} exchange = {.lock = PTHREAD_MUTEX_INITIALIZER};

void wh_exchange_use(int socket)
{
    exchange.socket = socket;
}

/* Lock held. Whoever fails here leaves the two out of step: that was the last question. */
static int talk(struct wh_exchange_letter *letter, int give, int *got)
{
    struct pollfd ready = {.fd = exchange.socket, .events = POLLIN};
    uint32_t what = letter->what;
    if (exchange.socket <= 0)
        return ENOTCONN;
    if (wh_send_fds(exchange.socket, letter, sizeof(*letter), &give, give >= 0) ==
            (ssize_t)sizeof(*letter) &&
        poll(&ready, 1, LONGEST_MS) == 1 &&
        wh_receive_fds(exchange.socket, letter, sizeof(*letter), got, 1) ==
            (ssize_t)sizeof(*letter) &&
        letter->what == what && letter->size <= WH_EXCHANGE_MOST)
        return letter->status;
    wh_close_fd(got);
    *got = -1;
    exchange.socket = 0;
    return ENOTCONN;
}

static int ask(struct wh_exchange_letter *letter, int give, int *got)
{
    *got = -1;
    pthread_mutex_lock(&exchange.lock);
    int code = talk(letter, give, got);
    pthread_mutex_unlock(&exchange.lock);
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

int wh_exchange_drop(const uint8_t token[WH_EXCHANGE_TOKEN])
{
    struct wh_exchange_letter letter = {.what = WH_EXCHANGE_DROP};
    int none;
    memcpy(letter.token, token, WH_EXCHANGE_TOKEN);
    int code = ask(&letter, -1, &none);
    wh_close_fd(&none);
    return code;
}
