/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of text to the host and from it, over a serial line or another character device of a
 * service VM. Used by lender.c. It never waits but where it says so; a line is written as a whole
 * or not at all, because half of one would spoil the next.
 */
#ifndef WH_DAEMON_HOST_PORT_H
#define WH_DAEMON_HOST_PORT_H

#include "daemon/loop.h"

#include <stddef.h>

#define WH_HOST_PORT_MOST 16384u /* bytes that the device has not taken yet */
#define WH_HOST_PORT_LINE 512u   /* longer ones are not read */

struct wh_host_port {
    struct wh_loop *loop;
    struct wh_source source; /* its descriptor is -1 when the port is gone */
    bool is_terminal;        /* then it is hung up by somebody in this VM, never by the host */
    void (*on_line)(struct wh_host_port *port, const char *line);
    void (*on_hang_up)(struct wh_host_port *port, const char *why); /* it is closed already */
    char line[WH_HOST_PORT_LINE];
    size_t length; /* of the line so far; WH_HOST_PORT_LINE: it is too long */
    char waiting[WH_HOST_PORT_MOST];
    size_t nwaiting;
};

/* A descriptor of this device, as a raw line; -1 with a reason. */
int wh_host_port_open(const char *name, struct wh_error *error);

/* Serves a descriptor, which it takes over if it succeeds; the two functions are set. */
int wh_host_port_start(struct wh_host_port *port, struct wh_loop *loop, int fd,
                       struct wh_error *error);

/* Whole lines: all of them are written, now or later, or none: EIO. */
int wh_host_port_say(struct wh_host_port *port, const char *text, size_t length);

/* Waits until something was read or written, or for so long, outside of the loop. */
void wh_host_port_wait(struct wh_host_port *port, uint64_t ms);

void wh_host_port_close(struct wh_host_port *port);

#endif
