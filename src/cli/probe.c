/* SPDX-License-Identifier: Apache-2.0 */
/* Accelerator libraries, looked at from a safe distance; see probe.h. */
#include "cli/probe.h"

#include "base/util.h"
#include "cli/host.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE_MS    20000 /* a first start may build caches */
#define MOST_PLATFORMS 16
#define PLATFORM_NAME  0x0902u /* CL_PLATFORM_NAME */
#define NO_PLATFORM    (-1001) /* CL_PLATFORM_NOT_FOUND_KHR */
#define DEVICE_NAME    80

/* What a child reports, in one write. */
struct report {
    enum wh_probe_result result;
    int count; /* platforms or devices */
    int error, version;
    char text[256];
};

/* No vendor header is needed for two functions (the OpenCL specification, "Querying Platform
 * Info"). */
typedef int32_t get_platforms(uint32_t room, void **platforms, uint32_t *count);
typedef int32_t get_platform_info(void *platform, uint32_t name, size_t size, void *value,
                                  size_t *size_ret);

/* The same for CUDA (the driver API's manual, "Initialization" to "Device Management"). */
typedef int cuda_init(unsigned flags);
typedef int cuda_get_number(int *number);
typedef int cuda_get_device(int *device, int ordinal);
typedef int cuda_get_name(char *name, int size, int device);

/* ---- in the child ---- */

static void *load(const char *path, struct report *report)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library)
        return library;
    (void)snprintf(report->text, sizeof(report->text), "%s", dlerror());
    bool absent = strstr(report->text, "No such file") != NULL &&
                  strncmp(report->text, path, strlen(path)) == 0;
    report->result = absent ? WH_PROBE_ABSENT : WH_PROBE_BROKEN;
    return NULL;
}

/* Adds to a list of names. */
static void add_name(struct report *report, const char *name)
{
    size_t used = strlen(report->text);
    (void)snprintf(report->text + used, sizeof(report->text) - used, "%s%s", used ? ", " : "",
                   name);
}

static void name_platforms(void *library, void **platforms, struct report *report)
{
    get_platform_info *info = (get_platform_info *)dlsym(library, "clGetPlatformInfo");
    for (int i = 0; info && i < report->count; i++) {
        char name[80] = "?";
        (void)info(platforms[i], PLATFORM_NAME, sizeof(name) - 1, name, NULL);
        add_name(report, name);
    }
}

static void look_at_opencl(const char *path, struct report *report)
{
    void *platforms[MOST_PLATFORMS];
    uint32_t count = 0;
    /* Wormhole's own OpenCL answers nothing in a process that says this. */
    setenv("WORMHOLE_WORKER", "1", 1);
    void *library = load(path, report);
    if (!library)
        return;
    get_platforms *get = (get_platforms *)dlsym(library, "clGetPlatformIDs");
    int32_t code = get ? get(MOST_PLATFORMS, platforms, &count) : 0;
    report->result = get && (code == 0 || code == NO_PLATFORM) ? WH_PROBE_WORKS : WH_PROBE_BROKEN;
    report->count = code == 0 ? (int)(count < MOST_PLATFORMS ? count : MOST_PLATFORMS) : 0;
    if (report->result == WH_PROBE_BROKEN)
        (void)snprintf(report->text, sizeof(report->text), "clGetPlatformIDs %s",
                       get ? "failed" : "is missing");
    name_platforms(library, platforms, report);
}

/* Equal devices are the rule: said once, with their number. */
static void name_devices(void *library, struct report *report)
{
    cuda_get_device *get = (cuda_get_device *)dlsym(library, "cuDeviceGet");
    cuda_get_name *name_of = (cuda_get_name *)dlsym(library, "cuDeviceGetName");
    char name[DEVICE_NAME], last[DEVICE_NAME] = "", line[DEVICE_NAME + 16];
    int device, equal = 0;
    for (int i = 0; get && name_of && i <= report->count; i++) {
        *name = '\0';
        bool known = i < report->count && get(&device, i) == 0 &&
                     name_of(name, sizeof(name) - 1, device) == 0;
        if (known && equal && strcmp(name, last) == 0) {
            equal++;
            continue;
        }
        (void)snprintf(line, sizeof(line), equal > 1 ? "%s (%d)" : "%s", last, equal);
        if (equal)
            add_name(report, line);
        memcpy(last, name, sizeof(last));
        equal = known;
    }
}

static void look_at_cuda(const char *path, struct report *report)
{
    void *library = load(path, report);
    if (!library)
        return;
    cuda_init *init = (cuda_init *)dlsym(library, "cuInit");
    cuda_get_number *count = (cuda_get_number *)dlsym(library, "cuDeviceGetCount");
    cuda_get_number *version = (cuda_get_number *)dlsym(library, "cuDriverGetVersion");
    if (!init || !count || !version) {
        (void)snprintf(report->text, sizeof(report->text), "it is not a CUDA driver library");
        return;
    }
    report->result = WH_PROBE_WORKS;
    (void)version(&report->version);
    report->error = init(0);
    if (report->error == 0)
        report->error = count(&report->count);
    if (report->error == 0)
        name_devices(library, report);
}

static void look_at_library(const char *path, struct report *report)
{
    if (load(path, report))
        report->result = WH_PROBE_WORKS;
}

static _Noreturn void report_from_child(void (*look)(const char *, struct report *),
                                        const char *path, int to)
{
    struct report report = {.result = WH_PROBE_BROKEN};
    int null = open("/dev/null", O_RDWR);
    (void)setpgid(0, 0);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        (void)dup2(null, fd);
    look(path, &report);
    (void)wh_write_all(to, &report, sizeof(report));
    _exit(EXIT_SUCCESS);
}

/* ---- in the parent ---- */

static void describe_death(int status, bool late, struct report *report)
{
    *report = (struct report){.result = WH_PROBE_BROKEN};
    if (late)
        (void)snprintf(report->text, sizeof(report->text), "it hangs");
    else if (WIFSIGNALED(status))
        (void)snprintf(report->text, sizeof(report->text), "it crashes (signal %d)",
                       WTERMSIG(status));
    else
        (void)snprintf(report->text, sizeof(report->text), "it ends the process that loads it");
}

static void look_from_afar(void (*look)(const char *, struct report *), const char *path,
                           struct report *report)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    pid_t pid = fork();
    if (pid == 0)
        report_from_child(look, path, ends[1]);
    close(ends[1]);
    struct pollfd answer = {.fd = ends[0], .events = POLLIN};
    bool late = pid > 0 && poll(&answer, 1, PATIENCE_MS) == 0;
    bool told = !late && read(ends[0], report, sizeof(*report)) == (ssize_t)sizeof(*report);
    if (pid > 0) {
        kill(-pid, SIGKILL); /* and what the library started */
        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (!told)
        describe_death(status, late, report);
    close(ends[0]);
}

enum wh_probe_result wh_probe_opencl(int *platforms, char *text, size_t size)
{
    const char *path = getenv("WORMHOLE_OPENCL_LIBRARY");
    struct report report = {.result = WH_PROBE_BROKEN};
    look_from_afar(look_at_opencl, path && *path ? path : "libOpenCL.so.1", &report);
    *platforms = report.count;
    (void)snprintf(text, size, "%.*s", (int)sizeof(report.text) - 1, report.text);
    return report.result;
}

void wh_probe_cuda(const char *path, struct wh_probe_cuda *found)
{
    struct report report = {.result = WH_PROBE_BROKEN};
    look_from_afar(look_at_cuda, path, &report);
    *found = (struct wh_probe_cuda){.result = report.result,
                                    .error = report.error,
                                    .devices = report.count > 0 ? report.count : 0,
                                    .version = report.version};
    (void)snprintf(found->text, sizeof(found->text), "%.*s", (int)sizeof(report.text) - 1,
                   report.text);
}

enum wh_probe_result wh_probe_library(const char *path, char *text, size_t size)
{
    struct report report = {.result = WH_PROBE_BROKEN};
    look_from_afar(look_at_library, path, &report);
    (void)snprintf(text, size, "%.*s", (int)sizeof(report.text) - 1, report.text);
    return report.result;
}
