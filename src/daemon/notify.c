/* SPDX-License-Identifier: Apache-2.0 */
/* See notify.h. */
#include "daemon/notify.h"

#include "base/util.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void tell_service_manager(const char *path)
{
    static const char message[] = "READY=1";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length < 2 || length >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, length);
    if (*path == '@') /* an abstract name */
        address.sun_path[0] = '\0';
    WH_CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* A manager that does not listen decides itself what to make of the silence. */
    (void)!sendto(fd, message, sizeof(message) - 1, MSG_NOSIGNAL, (struct sockaddr *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

void wh_notify_ready(int fd)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path)
        tell_service_manager(path);
    if (fd < 0)
        return;
    (void)wh_write_all(fd, "", 1);
    close(fd);
}
