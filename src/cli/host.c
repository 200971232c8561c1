/* SPDX-License-Identifier: Apache-2.0 */
/* Looks around on this machine; see host.h. */
#include "cli/host.h"

#include "base/util.h"
#include "channel/ivshmem.h"
#include "channel/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define ANSWER_MS 2000

bool wh_host_beside(const char *relative, char *path)
{
    char self[PATH_MAX], joined[2 * PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return false;
    self[n] = '\0';
    (void)snprintf(joined, sizeof(joined), "%.*s/%s", (int)(strrchr(self, '/') - self), self,
                   relative);
    return realpath(joined, path) != NULL && access(path, R_OK) == 0;
}

bool wh_host_beside_any(const char *const *relatives, char *path)
{
    for (; *relatives; relatives++)
        if (wh_host_beside(*relatives, path))
            return true;
    return false;
}

bool wh_host_library(const char *name, char *path)
{
    static const char *const folders[] = {"../lib", "../lib/wormhole", "../lib/x86_64-linux-gnu",
                                          "../lib/x86_64-linux-gnu/wormhole"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char relative[256];
        (void)snprintf(relative, sizeof(relative), "%s/%s", folders[i], name);
        if (wh_host_beside(relative, path))
            return true;
    }
    return false;
}

bool wh_host_vendors(char *path)
{
    static const char *const places[] = {"../lib/wormhole-vendors", "../share/wormhole/vendors",
                                         NULL};
    return wh_host_beside_any(places, path);
}

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

bool wh_host_program(const char *name, char *found)
{
    char cwd[PATH_MAX];
    if (!getcwd(cwd, sizeof(cwd)))
        return false;
    if (strchr(name, '/')) {
        bool absolute = *name == '/';
        int n = snprintf(found, PATH_MAX, "%s%s%s", absolute ? "" : cwd, absolute ? "" : "/", name);
        return n < PATH_MAX && is_program(found);
    }
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
        size_t length = strcspn(at, ":");
        int n = snprintf(found, PATH_MAX, "%.*s/%s", (int)length, at, name);
        if (*at == '/' && n < PATH_MAX && is_program(found))
            return true;
        at += length + (at[length] == ':');
    }
    return false;
}

static bool has_word(char *line, const char *word)
{
    char *rest = NULL;
    for (char *at = strtok_r(line, " \t\n", &rest); at; at = strtok_r(NULL, " \t\n", &rest))
        if (strcmp(at, word) == 0)
            return true;
    return false;
}

bool wh_host_cpu_flag(const char *flag)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    WH_CLEANUP_FREE char *line = NULL;
    size_t room = 0;
    bool found = false;
    if (!file)
        return false;
    /* "flags" and, where VMX has its own line, "vmx flags"; the first CPU speaks for all. */
    while (!found && getline(&line, &room, file) > 1)
        if (strncmp(line, "flags", 5) == 0 || strncmp(line, "vmx flags", 9) == 0)
            found = has_word(line, flag);
    (void)fclose(file);
    return found;
}

bool wh_host_kvm(void)
{
    if (!wh_host_cpu_flag("vmx") && !wh_host_cpu_flag("svm"))
        return false;
    WH_CLEANUP_CLOSE int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    return fd >= 0;
}

/* Protocol 0 asks for nothing but the version. */
static void ask_version(int fd, char *version, size_t size)
{
    struct wh_hello hello;
    struct wh_welcome welcome;
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    wh_hello_init(&hello, "", 0, 0);
    hello.protocol = 0;
    *version = '\0';
    if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0 || poll(&answer, 1, ANSWER_MS) != 1)
        return;
    if (recv(fd, &welcome, sizeof(welcome), 0) == (ssize_t)sizeof(welcome))
        (void)snprintf(version, size, "%.*s", (int)sizeof(welcome.version), welcome.version);
}

int wh_host_daemon(const char *path, char *version, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    WH_CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return errno;
    ask_version(fd, version, size);
    return 0;
}

void wh_host_restore_vendors(void)
{
    char own[PATH_MAX], set[PATH_MAX];
    const char *vendors = getenv("OCL_ICD_VENDORS");
    if (vendors && wh_host_vendors(own) && realpath(vendors, set) && strcmp(own, set) == 0)
        unsetenv("OCL_ICD_VENDORS");
}

void wh_host_probe_region(struct wh_host_region *region)
{
    struct wh_ivshmem_device device;
    struct wh_error error = {0};
    char path[128];
    *region = (struct wh_host_region){0};
    if (wh_ivshmem_map("", &device, &error) < 0) {
        region->device = error.code != ENODEV;
        memcpy(region->why, error.text, sizeof(region->why));
        wh_ivshmem_unmap(&device);
        return;
    }
    const struct wh_region *header = (const struct wh_region *)device.memory;
    region->device = region->mapped = true;
    region->size = device.size;
    region->served =
        device.size >= WH_REGION_LEAST && atomic_load(&header->magic) == WH_REGION_MAGIC;
    memcpy(region->address, device.address, sizeof(region->address));
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2_wc", device.address);
    region->write_combining = access(path, W_OK) == 0;
    wh_ivshmem_unmap(&device);
}
