/* SPDX-License-Identifier: Apache-2.0 */
/* See host_port.h. */
#include "daemon/host_port.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>

int wh_host_port_open(const char *name, struct wh_error *error)
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

static void hang_up(struct wh_host_port *port, const char *why)
{
    wh_host_port_close(port);
    port->on_hang_up(port, why);
}

static bool is_passing(int code)
{
    return code == EAGAIN || code == EINTR;
}

/* ---- writing ---- */

/* What the device takes of what waits; an errno value: it takes nothing any more. */
static int flush(struct wh_host_port *port)
{
    while (port->nwaiting > 0) {
        ssize_t size = write(port->source.fd, port->waiting, port->nwaiting);
        if (size < 0)
            return is_passing(errno) ? 0 : errno;
        port->nwaiting -= (size_t)size;
        memmove(port->waiting, port->waiting + size, port->nwaiting);
    }
    return 0;
}

int wh_host_port_say(struct wh_host_port *port, const char *text, size_t length)
{
    if (port->source.fd < 0 || length > sizeof(port->waiting) - port->nwaiting)
        return EIO;
    memcpy(port->waiting + port->nwaiting, text, length);
    port->nwaiting += length;
    (void)flush(port); /* if it is gone, the loop finds that out */
    wh_loop_await_writable(port->loop, &port->source, port->nwaiting > 0);
    return 0;
}

/* ---- reading ---- */

static void take(struct wh_host_port *port, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && port->source.fd >= 0; i++) {
        if (bytes[i] != '\n') {
            if (port->length < sizeof(port->line))
                port->line[port->length++] = bytes[i];
            continue;
        }
        if (port->length < sizeof(port->line)) {
            port->line[port->length] = 0;
            port->on_line(port, port->line);
        }
        explicit_bzero(port->line, sizeof(port->line)); /* keys come this way */
        port->length = 0;
    }
}

static void on_ready(struct wh_source *source, uint32_t events)
{
    struct wh_host_port *port = WH_CONTAINER(source, struct wh_host_port, source);
    char bytes[256];
    if (events & EPOLLOUT) {
        int code = flush(port);
        if (code) {
            hang_up(port, strerror(code));
            return;
        }
        wh_loop_await_writable(port->loop, source, port->nwaiting > 0);
    }
    if (!(events & ~(uint32_t)EPOLLOUT))
        return;
    ssize_t size = read(source->fd, bytes, sizeof(bytes));
    if (size > 0)
        take(port, bytes, (size_t)size);
    else if (size == 0 || !is_passing(errno))
        hang_up(port, size == 0 ? "it hung up" : strerror(errno));
    explicit_bzero(bytes, sizeof(bytes));
}

void wh_host_port_wait(struct wh_host_port *port, uint64_t ms)
{
    struct pollfd ready = {.fd = port->source.fd, .events = POLLIN};
    if (port->nwaiting > 0)
        ready.events |= POLLOUT;
    if (ready.fd >= 0 && poll(&ready, 1, (int)ms) == 1)
        on_ready(&port->source, (uint32_t)ready.revents); /* poll's bits are epoll's */
}

/* ---- its life ---- */

int wh_host_port_start(struct wh_host_port *port, struct wh_loop *loop, int fd,
                       struct wh_error *error)
{
    port->loop = loop;
    port->is_terminal = isatty(fd);
    return wh_loop_add(loop, &port->source, fd, on_ready, error);
}

void wh_host_port_close(struct wh_host_port *port)
{
    int fd = port->source.fd;
    if (fd < 0)
        return;
    wh_loop_remove(port->loop, &port->source);
    close(fd);
    explicit_bzero(port->line, sizeof(port->line));
}
