/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what an OpenCL program sees: how long calls take, how fast bytes move, what an open
 * session costs. An ordinary OpenCL program, so that one binary measures the machine's own OpenCL
 * and Wormhole's; scripts/bench.sh runs it both ways and compares. Prints one line "name value
 * unit" per measurement. It must never know which of the two it runs on, nor print a number for
 * work whose result it found to be wrong.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KIB        ((size_t)1 << 10)
#define MIB        ((size_t)1 << 20)
#define BURST      256u /* calls: at some 150 bytes each far less than a ring holds */
#define MOST_FDS   1024
#define MOST_PIDS  256
#define SETTLE_NS  300000000L /* until what an open session still had to do is done */
#define PAGE_BYTES 4096u

static const char source[] = "kernel void nothing(global int *out, int n)\n"
                             "{\n"
                             "    if (n < 0)\n"
                             "        out[0] = n;\n"
                             "}\n";

struct bench {
    bool quick;
    cl_platform_id platform;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_kernel kernel;
    cl_mem buffer;         /* one page */
    double resident;       /* MiB that opening the session added */
    bool had_fd[MOST_FDS]; /* open before the first OpenCL call */
};

static void check(cl_int error, const char *what)
{
    if (error != CL_SUCCESS)
        errx(1, "%s: error %d", what, error);
}

/* ---- time and samples ---- */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void pause_ns(long ns)
{
    struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (nanosleep(&left, &left) < 0)
        ;
}

static uint64_t *new_samples(size_t n)
{
    uint64_t *samples = calloc(n, sizeof(*samples));
    if (!samples)
        err(1, "samples");
    return samples;
}

static int compare(const void *one, const void *two)
{
    uint64_t a, b;
    memcpy(&a, one, sizeof(a));
    memcpy(&b, two, sizeof(b));
    return a < b ? -1 : a > b;
}

/* The value that `part` of the samples do not exceed; they are sorted. */
static double quantile(const uint64_t *samples, size_t n, double part)
{
    return (double)samples[(size_t)((double)(n - 1) * part)];
}

static void print_value(const char *name, const char *suffix, double value, const char *unit)
{
    printf("%s%s %.4g %s\n", name, suffix, value, unit);
    fflush(stdout);
}

/* Sorts the samples and prints their middle and their tail in microseconds. */
static void print_times(const char *name, uint64_t *samples, size_t n)
{
    qsort(samples, n, sizeof(*samples), compare);
    print_value(name, ".median", quantile(samples, n, 0.5) / 1e3, "us");
    print_value(name, ".p99", quantile(samples, n, 0.99) / 1e3, "us");
}

/* What reading the clock adds to each call that is timed on its own. */
static void measure_clock(struct bench *b)
{
    size_t n = 100000;
    uint64_t *samples = new_samples(n);
    (void)b;
    for (size_t i = 0; i < n; i++) {
        uint64_t start = now_ns();
        samples[i] = now_ns() - start;
    }
    qsort(samples, n, sizeof(*samples), compare);
    print_value("clock", ".median", quantile(samples, n, 0.5) / 1e3, "us");
    free(samples);
}

/* ---- a question and its answer: what cannot be answered from memory ---- */

static void ask_buffer(struct bench *b, cl_event event)
{
    cl_uint references = 0;
    (void)event;
    check(clGetMemObjectInfo(b->buffer, CL_MEM_REFERENCE_COUNT, sizeof(references), &references,
                             NULL),
          "clGetMemObjectInfo");
    if (references == 0)
        errx(1, "a live buffer has no reference");
}

static void ask_event(struct bench *b, cl_event event)
{
    cl_uint references = 0;
    (void)b;
    check(clGetEventInfo(event, CL_EVENT_REFERENCE_COUNT, sizeof(references), &references, NULL),
          "clGetEventInfo");
    if (references == 0)
        errx(1, "a live event has no reference");
}

/* How often this thread left its core so far; about one per call means that both sides share one.
 */
static double switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (double)(usage.ru_nvcsw + usage.ru_nivcsw);
}

static void measure_question(struct bench *b, const char *name,
                             void (*ask)(struct bench *, cl_event), cl_event event)
{
    size_t n = 100000;
    uint64_t *samples = new_samples(n);
    for (size_t i = 0; i < n / 10; i++) /* warms up */
        ask(b, event);
    double before = switches();
    for (size_t i = 0; i < n; i++) {
        uint64_t start = now_ns();
        ask(b, event);
        samples[i] = now_ns() - start;
    }
    print_value(name, ".switches", (switches() - before) / (double)n, "per call");
    print_times(name, samples, n);
    free(samples);
}

static void measure_query(struct bench *b)
{
    cl_event event;
    check(clEnqueueMarkerWithWaitList(b->queue, 0, NULL, &event), "clEnqueueMarkerWithWaitList");
    check(clWaitForEvents(1, &event), "clWaitForEvents");
    measure_question(b, "query.buffer", ask_buffer, event);
    measure_question(b, "query.event", ask_event, event);
    clReleaseEvent(event);
}

/* ---- calls that need no answer ---- */

static void set_argument(struct bench *b, cl_int value)
{
    check(clSetKernelArg(b->kernel, 1, sizeof(value), &value), "clSetKernelArg");
}

static void launch(struct bench *b, cl_int value)
{
    const size_t global = 1;
    (void)value;
    check(clEnqueueNDRangeKernel(b->queue, b->kernel, 1, NULL, &global, NULL, 0, NULL, NULL),
          "clEnqueueNDRangeKernel");
}

/* One burst; each call is timed if `samples` is given. Returns the time of the whole, without the
 * wait behind it. */
static uint64_t run_burst(struct bench *b, void (*call)(struct bench *, cl_int), uint64_t *samples)
{
    uint64_t start = now_ns(), before = start, after = start;
    for (unsigned i = 0; i < BURST; i++) {
        call(b, (cl_int)i);
        if (samples) {
            after = now_ns();
            samples[i] = after - before;
            before = after;
        }
    }
    after = now_ns();
    check(clFinish(b->queue), "clFinish");
    return after - start;
}

/* Half of the bursts are timed call by call, for the median, and half as a whole, for a mean
 * without the clock's cost. */
static void measure_bursts(struct bench *b, const char *name, void (*call)(struct bench *, cl_int),
                           size_t bursts)
{
    uint64_t *samples = new_samples(bursts * BURST), whole = 0;
    run_burst(b, call, NULL); /* the first of its kind is not posted */
    for (size_t i = 0; i < bursts; i++) {
        run_burst(b, call, samples + i * BURST);
        whole += run_burst(b, call, NULL);
    }
    print_times(name, samples, bursts * BURST);
    print_value(name, ".mean", (double)whole / 1e3 / (double)(bursts * BURST), "us");
    free(samples);
}

/* So many calls that the slower side sets the pace, carried out to the end. */
static void measure_sustained(struct bench *b, const char *name,
                              void (*call)(struct bench *, cl_int), size_t calls)
{
    uint64_t start = now_ns();
    for (size_t i = 0; i < calls; i++)
        call(b, (cl_int)i);
    check(clFinish(b->queue), "clFinish");
    print_value(name, ".sustained", (double)(now_ns() - start) / 1e3 / (double)calls, "us");
}

static void measure_post(struct bench *b)
{
    measure_bursts(b, "post.argument", set_argument, b->quick ? 100 : 400);
    measure_sustained(b, "post.argument", set_argument, b->quick ? 50000 : 200000);
    set_argument(b, 0);
    measure_bursts(b, "post.launch", launch, b->quick ? 20 : 80);
    measure_sustained(b, "post.launch", launch, b->quick ? 5000 : 20000);
}

/* ---- bytes ---- */

/* A buffer and memory of the program's for it, both in use already, so that no page is touched for
 * the first time. */
struct transfer {
    cl_command_queue queue;
    cl_mem buffer;
    uint8_t *memory;
    size_t size;
    bool blocking;
};

static void write_buffer(const struct transfer *t)
{
    check(clEnqueueWriteBuffer(t->queue, t->buffer, t->blocking, 0, t->size, t->memory, 0, NULL,
                               NULL),
          "clEnqueueWriteBuffer");
    if (!t->blocking)
        check(clFinish(t->queue), "clFinish");
}

static void read_buffer(const struct transfer *t)
{
    check(
        clEnqueueReadBuffer(t->queue, t->buffer, t->blocking, 0, t->size, t->memory, 0, NULL, NULL),
        "clEnqueueReadBuffer");
    if (!t->blocking)
        check(clFinish(t->queue), "clFinish");
}

static void fill(uint8_t *memory, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i += sizeof(seed)) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        memcpy(memory + i, &seed, sizeof(seed));
    }
}

static void expect(const uint8_t *memory, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i += sizeof(seed)) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if (memcmp(memory + i, &seed, sizeof(seed)) != 0)
            errx(1, "byte %zu of a buffer of %zu bytes is not what was written", i, size);
    }
}

static void measure_direction(const struct transfer *t, const char *name, const char *label,
                              void (*move)(const struct transfer *), size_t rounds)
{
    char full[64];
    uint64_t *samples = new_samples(rounds);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t start = now_ns();
        move(t);
        samples[i] = now_ns() - start;
    }
    qsort(samples, rounds, sizeof(*samples), compare);
    (void)snprintf(full, sizeof(full), "%s.%s.%s", name, label,
                   t->blocking ? "blocking" : "queued");
    print_value(full, "", (double)t->size / quantile(samples, rounds, 0.5), "GB/s");
    free(samples);
}

static void measure_size(struct bench *b, const char *label, size_t size, size_t rounds)
{
    cl_int error;
    struct transfer t = {.queue = b->queue, .size = size, .blocking = true};
    t.memory = aligned_alloc(PAGE_BYTES, size);
    t.buffer = clCreateBuffer(b->context, CL_MEM_READ_WRITE, size, NULL, &error);
    check(error, "clCreateBuffer");
    if (!t.memory)
        err(1, "%zu bytes", size);
    for (uint64_t kind = 0; kind < 2; kind++) {
        t.blocking = kind == 0;
        fill(t.memory, size, size + kind);
        write_buffer(&t);
        measure_direction(&t, "write", label, write_buffer, rounds);
        memset(t.memory, 0, size);
        read_buffer(&t);
        expect(t.memory, size, size + kind);
        measure_direction(&t, "read", label, read_buffer, rounds);
        expect(t.memory, size, size + kind);
    }
    clReleaseMemObject(t.buffer);
    free(t.memory);
}

static void measure_transfer(struct bench *b)
{
    measure_size(b, "4KiB", 4 * KIB, b->quick ? 1000 : 4000);
    measure_size(b, "1MiB", MIB, b->quick ? 50 : 200);
    measure_size(b, "64MiB", 64 * MIB, b->quick ? 5 : 15);
}

/* ---- memory that both sides can reach ---- */

static uint8_t *map(struct bench *b, cl_mem buffer, size_t size)
{
    cl_int error;
    uint8_t *memory = clEnqueueMapBuffer(b->queue, buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                         size, 0, NULL, NULL, &error);
    check(error, "clEnqueueMapBuffer");
    return memory;
}

static void unmap(struct bench *b, cl_mem buffer, uint8_t *memory)
{
    check(clEnqueueUnmapMemObject(b->queue, buffer, memory, 0, NULL, NULL),
          "clEnqueueUnmapMemObject");
    check(clFinish(b->queue), "clFinish");
}

/* The device's copy of what was written through the mapping, read back through another. */
static void check_mapping(struct bench *b, cl_mem buffer, size_t size)
{
    cl_int error;
    cl_mem copy = clCreateBuffer(b->context, CL_MEM_ALLOC_HOST_PTR, size, NULL, &error);
    check(error, "clCreateBuffer");
    uint8_t *memory = map(b, buffer, size);
    fill(memory, size, size);
    unmap(b, buffer, memory);
    check(clEnqueueCopyBuffer(b->queue, buffer, copy, 0, 0, size, 0, NULL, NULL),
          "clEnqueueCopyBuffer");
    memory = map(b, copy, size);
    expect(memory, size, size);
    unmap(b, copy, memory);
    clReleaseMemObject(copy);
}

static void measure_map(struct bench *b)
{
    cl_int error;
    size_t size = 64 * MIB, rounds = b->quick ? 100 : 1000;
    uint64_t *samples = new_samples(rounds);
    cl_mem buffer =
        clCreateBuffer(b->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, size, NULL, &error);
    check(error, "clCreateBuffer");
    check_mapping(b, buffer, size);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t start = now_ns();
        unmap(b, buffer, map(b, buffer, size));
        samples[i] = now_ns() - start;
    }
    print_times("map.64MiB", samples, rounds);
    clReleaseMemObject(buffer);
    free(samples);
}

/* ---- what an open session costs ---- */

static double resident_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (!status)
        err(1, "/proc/self/status");
    while (fgets(line, sizeof(line), status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtod(line + 6, NULL);
    fclose(status);
    return kib / 1024;
}

/* A process's parent and the clock ticks that it ran; false when it is gone. proc(5),
 * /proc/pid/stat. */
static bool read_stat(pid_t pid, pid_t *parent, unsigned long *ticks)
{
    char path[64], text[1024];
    unsigned long user, system;
    int ppid;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *rest = strrchr(text, ')'); /* the name before it may hold anything */
    if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ppid,
                        &user, &system) != 3)
        return false;
    *parent = (pid_t)ppid;
    *ticks = user + system;
    return true;
}

struct processes {
    pid_t pids[MOST_PIDS];
    size_t n;
};

static bool contains(const struct processes *p, pid_t pid)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->pids[i] == pid)
            return true;
    return false;
}

static void add_process(struct processes *p, pid_t pid)
{
    if (pid > 0 && p->n < MOST_PIDS && !contains(p, pid))
        p->pids[p->n++] = pid;
}

/* Who serves us: the other ends of the sockets that the OpenCL library opened. */
static void add_peers(const struct bench *b, struct processes *p)
{
    for (int fd = 0; fd < MOST_FDS; fd++) {
        struct ucred peer;
        socklen_t size = sizeof(peer);
        if (!b->had_fd[fd] && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
            add_process(p, peer.pid);
    }
}

static size_t add_children(struct processes *p)
{
    size_t before = p->n;
    DIR *proc = opendir("/proc");
    if (!proc)
        err(1, "/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
        unsigned long ticks;
        pid_t parent,
            pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)atoi(entry->d_name) : 0;
        if (pid > 0 && read_stat(pid, &parent, &ticks) && contains(p, parent))
            add_process(p, pid);
    }
    closedir(proc);
    return p->n - before;
}

static unsigned long count_ticks(const struct processes *p)
{
    unsigned long sum = 0, ticks;
    pid_t parent;
    for (size_t i = 0; i < p->n; i++)
        if (read_stat(p->pids[i], &parent, &ticks))
            sum += ticks;
    return sum;
}

static void measure_idle(struct bench *b)
{
    struct processes p = {.pids = {getpid()}, .n = 1};
    long seconds = b->quick ? 3 : 10;
    add_peers(b, &p);
    while (add_children(&p) > 0)
        ;
    check(clFinish(b->queue), "clFinish");
    pause_ns(SETTLE_NS);
    unsigned long before = count_ticks(&p);
    pause_ns(seconds * 1000000000);
    unsigned long after = count_ticks(&p);
    print_value("idle", ".ticks", (double)(after - before), "ticks");
    print_value("idle", ".seconds", (double)seconds, "s");
    print_value("idle", ".processes", (double)p.n, "processes");
}

static void measure_memory(struct bench *b)
{
    print_value("memory", ".session", b->resident, "MiB");
}

/* ---- the session ---- */

/* Everything that the memory of an open session is measured with, and no more. */
static void open_session(struct bench *b)
{
    cl_int error;
    for (int fd = 0; fd < MOST_FDS; fd++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        b->had_fd[fd] = access(path, F_OK) == 0;
    }
    double before = resident_mib();
    check(clGetPlatformIDs(1, &b->platform, NULL), "clGetPlatformIDs");
    check(clGetDeviceIDs(b->platform, CL_DEVICE_TYPE_ALL, 1, &b->device, NULL), "clGetDeviceIDs");
    b->context = clCreateContext(NULL, 1, &b->device, NULL, NULL, &error);
    check(error, "clCreateContext");
    b->queue = clCreateCommandQueue(b->context, b->device, 0, &error);
    check(error, "clCreateCommandQueue");
    b->buffer = clCreateBuffer(b->context, CL_MEM_READ_WRITE, PAGE_BYTES, NULL, &error);
    check(error, "clCreateBuffer");
    b->resident = resident_mib() - before;
}

static void build_kernel(struct bench *b)
{
    cl_int error;
    const char *text = source;
    cl_program program = clCreateProgramWithSource(b->context, 1, &text, NULL, &error);
    check(error, "clCreateProgramWithSource");
    check(clBuildProgram(program, 1, &b->device, "", NULL, NULL), "clBuildProgram");
    b->kernel = clCreateKernel(program, "nothing", &error);
    check(error, "clCreateKernel");
    clReleaseProgram(program);
    check(clSetKernelArg(b->kernel, 0, sizeof(b->buffer), &b->buffer), "clSetKernelArg");
    set_argument(b, 0);
    launch(b, 0);
    check(clFinish(b->queue), "clFinish");
}

static void close_session(struct bench *b)
{
    if (b->kernel)
        clReleaseKernel(b->kernel);
    clReleaseMemObject(b->buffer);
    clReleaseCommandQueue(b->queue);
    clReleaseContext(b->context);
}

static void print_platform(struct bench *b)
{
    char platform[256] = "", device[256] = "";
    check(clGetPlatformInfo(b->platform, CL_PLATFORM_NAME, sizeof(platform), platform, NULL),
          "clGetPlatformInfo");
    check(clGetDeviceInfo(b->device, CL_DEVICE_NAME, sizeof(device), device, NULL),
          "clGetDeviceInfo");
    printf("%s, %s\n", platform, device);
}

/* ---- the command line ---- */

static const struct group {
    const char *name;
    void (*measure)(struct bench *);
    bool needs_kernel;
} groups[] = {
    {"platform", print_platform, false}, {"clock", measure_clock, false},
    {"memory", measure_memory, false},   {"query", measure_query, false},
    {"post", measure_post, true},        {"transfer", measure_transfer, false},
    {"map", measure_map, false},         {"idle", measure_idle, false},
};

#define NGROUPS (sizeof(groups) / sizeof(groups[0]))

static const struct group *find_group(const char *name)
{
    for (size_t i = 0; i < NGROUPS; i++)
        if (strcmp(groups[i].name, name) == 0)
            return &groups[i];
    return NULL;
}

static int usage(void)
{
    fputs("usage: opencl-bench [--quick] GROUP...\nGroups:", stderr);
    for (size_t i = 0; i < NGROUPS; i++)
        fprintf(stderr, " %s", groups[i].name);
    fputs("\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    int first = 1;
    if (argc > first && strcmp(argv[first], "--quick") == 0) {
        bench.quick = true;
        first++;
    }
    if (first == argc)
        return usage();
    for (int i = first; i < argc; i++)
        if (!find_group(argv[i]))
            return usage();
    open_session(&bench);
    for (int i = first; i < argc; i++) {
        const struct group *group = find_group(argv[i]);
        if (group->needs_kernel && !bench.kernel)
            build_kernel(&bench);
        group->measure(&bench);
    }
    close_session(&bench);
    return 0;
}
