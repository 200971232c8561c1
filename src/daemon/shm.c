/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant's own /dev/shm; see shm.h. */
#include "daemon/shm.h"

#include "base/log.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHM "/dev/shm"

void wh_shm_folder(const char *home, char *path, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const char *at = home; *at; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    (void)snprintf(path, size, SHM "/wormhole-%016llx", (unsigned long long)hash);
}

/* A folder, and nobody else's: in /dev/shm everybody may make one of any name. -1 with errno. */
static int open_folder(const char *path, uid_t uid)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && (status.st_uid == uid || status.st_uid == geteuid()))
        return fd;
    close(fd);
    errno = EPERM;
    return -1;
}

static int make_folder(const char *path, uid_t uid, gid_t gid)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    int fd = open_folder(path, uid);
    if (fd >= 0 && fchown(fd, uid, gid) == 0 && fchmod(fd, 0700) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool wh_shm_enter(const char *home, uid_t uid, gid_t gid)
{
    char path[64], source[64];
    if (!*home || geteuid() != 0)
        return false;
    wh_shm_folder(home, path, sizeof(path));
    /* What the host mounts later is to show here, and nothing of this there. The folder is opened
     * afterwards: as one of this namespace. */
    bool apart = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
    WH_CLEANUP_CLOSE int fd = apart ? make_folder(path, uid, gid) : -1;
    (void)snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
    if (fd >= 0 && mount(source, SHM, NULL, MS_BIND, NULL) == 0)
        return true;
    wh_debug("workers have no /dev/shm: %s", strerror(errno));
    return false;
}

/* -1: there is no folder to be cleared. */
static int open_to_clear(const char *home, uid_t uid, char *path, size_t size)
{
    if (!*home || geteuid() != 0)
        return -1;
    wh_shm_folder(home, path, size);
    return open_folder(path, uid);
}

bool wh_shm_remove(const char *home, uid_t uid)
{
    char path[64];
    WH_CLEANUP_CLOSE int fd = open_to_clear(home, uid, path, sizeof(path));
    return fd < 0 || rmdir(path) == 0 || errno != ENOTEMPTY;
}

void wh_shm_clear(const char *home, uid_t uid)
{
    char path[64];
    struct stat status;
    int fd = open_to_clear(home, uid, path, sizeof(path));
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        wh_close_fd(&fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            (void)unlinkat(fd, entry->d_name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
    (void)closedir(folder);
    (void)rmdir(path);
}
