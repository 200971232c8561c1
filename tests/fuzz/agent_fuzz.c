/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service VM's agent writes to its port, as the daemon reads it. The module and the VM are
 * not there: what is well-formed gets to them and no further.
 */
#include "daemon/agent.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int no_device(void *context)
{
    (void)context;
    abort();
}

static bool listen_to_bells(void *context, bool wanted)
{
    (void)context;
    return wanted;
}

static bool read_all(struct wh_agent *agent)
{
    struct pollfd port = {.fd = wh_agent_port(agent), .events = POLLIN};
    while (poll(&port, 1, 0) == 1)
        if (wh_agent_read(agent) < 0)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct wh_agent_limits limits = {.pages = 256, .budget_ms = 10000};
    const struct wh_agent_handlers handlers = {.device = no_device, .listen = listen_to_bells};
    const uint32_t peer = 64;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return 0;
    struct wh_agent *agent = wh_agent_new(pair[1], &limits, &handlers);
    while (agent && size > 0) {
        size_t now = size < 256 ? size : 256;
        if (write(pair[0], bytes, now) != (ssize_t)now || !read_all(agent))
            break;
        if (wh_agent_has_read(agent))
            wh_agent_ring(agent, &peer, 1);
        bytes += now;
        size -= now;
    }
    wh_agent_free(agent);
    close(pair[0]);
    return 0;
}
