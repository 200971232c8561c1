/* SPDX-License-Identifier: Apache-2.0 */
/* From a server's URL to a channel: the table of transports, and the handshake's common part. */
#include "channel/channel.h"
#include "channel/ivshmem.h"
#include "channel/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct wh_transport transports[] = {
    {"unix", wh_unix_connect},
    {"ivshmem", wh_ivshmem_connect},
};

int wh_channel_connect(const char *url, const struct wh_hello *hello, struct wh_channel **channel,
                       struct wh_error *error)
{
    for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
        size_t length = strlen(transports[i].scheme);
        if (strncmp(url, transports[i].scheme, length) == 0 && url[length] == ':')
            return transports[i].connect(url + length + 1, hello, channel, error);
    }
    return wh_error_set(error, EINVAL,
                        "%s is not a server's address; use unix:PATH or ivshmem:", url);
}

/* The guest's boot id tells sessions of before a reset from those after it. */
static void read_boot_id(char *text, size_t size)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    close(fd);
}

void wh_hello_init(struct wh_hello *hello, const char *api, uint64_t api_hash, uint64_t arena)
{
    *hello = (struct wh_hello){.magic = WH_HELLO_MAGIC,
                               .protocol = WH_PROTOCOL,
                               .pid = (uint32_t)getpid(),
                               .api_hash = api_hash,
                               .arena = arena,
                               .version = WH_VERSION};
    (void)snprintf(hello->api, sizeof(hello->api), "%s", api);
    read_boot_id(hello->boot, sizeof(hello->boot));
}

int wh_hello_check(const struct wh_hello *hello, struct wh_error *error)
{
    if (memcmp(hello->magic, WH_HELLO_MAGIC, sizeof(hello->magic)) != 0)
        return wh_error_set(error, EPROTO, "this is not a Wormhole client");
    if (hello->protocol == WH_PROTOCOL &&
        strncmp(hello->version, WH_VERSION, sizeof(hello->version)) == 0)
        return 0;
    return wh_error_set(
        error, EPROTONOSUPPORT,
        "the client is Wormhole %.*s (protocol %u), the server is %s (protocol %u); install the same "
        "version on both sides",
        (int)sizeof(hello->version), hello->version, hello->protocol, WH_VERSION, WH_PROTOCOL);
}
