/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wormhole bench --exitless: in a virtual machine, how long one call takes over the exitless path
 * and over ivshmem beside it. A question to the software device (a limit of the context) is asked
 * again and again, in a process of its own for each way. On a machine without that path it says so:
 * there is nothing that it could measure instead.
 */
#include "base/log.h"
#include "base/util.h"
#include "channel/gate.h"
#include "cli/cli.h"
#include "cli/host.h"

#include <argp.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SAMPLES 200
#define CALLS   500 /* in a sample */

struct bench {
    bool exitless;
};

/* What a child measured. */
struct times {
    bool measured, exitless;
    double median, least; /* ns a call */
};

/* The driver API's manual, "Initialization" to "Context Management". */
struct cuda {
    int (*init)(unsigned flags);
    int (*device)(int *device, int ordinal);
    int (*retain)(void **context, int device);
    int (*set_current)(void *context);
    int (*get_limit)(size_t *value, int limit);
};

static const struct argp_option options[] = {
    {"exitless", 'x', NULL, 0, "Calls without VM exits beside calls over ivshmem", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct bench *bench = state->input;
    (void)value;
    if (key == 'x')
        bench->exitless = true;
    else if (key == ARGP_KEY_END && !bench->exitless)
        argp_error(state, "say what is to be measured: --exitless");
    else
        return key == ARGP_KEY_ARG ? ARGP_ERR_UNKNOWN : 0;
    return 0;
}

static const struct argp parser = {
    .options = options,
    .parser = parse_option,
    .doc = "Measure in a virtual machine how long one call takes without VM exits.\v"
           "Numbers mean something on hardware only: an emulated machine counts, it does not take "
           "time."};

/* ---- in the child ---- */

static bool load(const char *path, struct cuda *cuda)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        wh_log("%s", dlerror());
        return false;
    }
    *(void **)&cuda->init = dlsym(library, "cuInit");
    *(void **)&cuda->device = dlsym(library, "cuDeviceGet");
    *(void **)&cuda->retain = dlsym(library, "cuDevicePrimaryCtxRetain");
    *(void **)&cuda->set_current = dlsym(library, "cuCtxSetCurrent");
    *(void **)&cuda->get_limit = dlsym(library, "cuCtxGetLimit");
    return cuda->init && cuda->device && cuda->retain && cuda->set_current && cuda->get_limit;
}

static bool begin(const struct cuda *cuda)
{
    void *context;
    int device, code = cuda->init(0);
    code = code ? code : cuda->device(&device, 0);
    code = code ? code : cuda->retain(&context, device);
    code = code ? code : cuda->set_current(context);
    if (code)
        wh_log("no CUDA session (error %d)", code);
    return code == 0;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static bool measure(const struct cuda *cuda, struct times *times)
{
    double samples[SAMPLES];
    size_t value;
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t start = wh_now_ns();
        for (int k = 0; k < CALLS; k++)
            if (cuda->get_limit(&value, 0) != 0)
                return false;
        samples[i] = (double)(wh_now_ns() - start) / CALLS;
    }
    qsort(samples, SAMPLES, sizeof(*samples), compare);
    times->least = samples[0];
    times->median = samples[SAMPLES / 2];
    return true;
}

static bool gate_is_there(void)
{
    unsigned char resident;
    return mincore((void *)WH_GATE_PAGE, 4096, &resident) == 0;
}

static _Noreturn void work(const char *library, const char *exitless, int to)
{
    struct times times = {0};
    struct cuda cuda;
    setenv("WORMHOLE_SERVER", "ivshmem:", 1);
    setenv("WORMHOLE_EXITLESS", exitless, 1);
    setenv("WORMHOLE_DEBUG", "1", 1); /* says which way calls take, and why */
    if (load(library, &cuda) && begin(&cuda)) {
        times.exitless = gate_is_there();
        times.measured = measure(&cuda, &times);
    }
    (void)wh_write_all(to, &times, sizeof(times));
    _exit(EXIT_SUCCESS);
}

/* ---- in the parent ---- */

static struct times measure_apart(const char *library, const char *exitless)
{
    struct times times = {0};
    int ends[2];
    if (pipe(ends) < 0)
        return times;
    pid_t pid = fork();
    if (pid == 0)
        work(library, exitless, ends[1]);
    close(ends[1]);
    if (pid < 0 || read(ends[0], &times, sizeof(times)) != (ssize_t)sizeof(times))
        times = (struct times){0};
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    return times;
}

/* What stands between this machine and the exitless path, if it can be seen from here. */
static const char *find_obstacle(void)
{
    struct wh_host_region region;
    wh_host_probe_region(&region);
    if (region.device)
        return region.served ? NULL : "no server serves this machine's ivshmem device";
    return wh_host_cpu_flag("hypervisor")
               ? "this virtual machine has no ivshmem device of a wormholed"
           : wh_host_cpu_flag("vmx")
               ? "this is no virtual machine; run it in one of this machine's"
               : "this is no virtual machine, and its CPU has no VMX to run one on";
}

static int bench_exitless(void)
{
    char library[PATH_MAX];
    const char *obstacle = find_obstacle();
    if (!wh_host_library("cuda/libcuda.so.1", library))
        obstacle = "Wormhole's libcuda.so.1 is not installed beside this program";
    if (!obstacle) {
        struct times gate = measure_apart(library, "1"), ivshmem = measure_apart(library, "0");
        if (gate.measured && gate.exitless && ivshmem.measured) {
            printf("%-10s %10s %10s\n", "ns a call", "median", "least");
            printf("%-10s %10.0f %10.0f\n", "exitless", gate.median, gate.least);
            printf("%-10s %10.0f %10.0f\n", "ivshmem", ivshmem.median, ivshmem.least);
            return EXIT_SUCCESS;
        }
        obstacle = gate.measured ? "the host offers no exitless path to this session"
                                 : "there is no session over ivshmem";
    }
    wh_log("calls without VM exits cannot be measured here: %s", obstacle);
    return EXIT_FAILURE;
}

int wh_cli_bench(int argc, char **argv)
{
    struct bench bench = {0};
    static char name[] = "wormhole bench"; /* in argp's messages */
    argv[0] = name;
    wh_claim_children(NULL);
    if (argp_parse(&parser, argc, argv, 0, NULL, &bench) != 0)
        return EXIT_FAILURE;
    return bench_exitless();
}
