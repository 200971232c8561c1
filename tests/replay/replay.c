/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay [--log=FILE] [--steps=N] LIBRARY TRACE: makes the calls of a trace again, in their order,
 * from as many threads, with a CUDA driver library, and with kernels that only write themselves
 * down. Checks each call's status, that each launch ran once, in its stream's order, and that all
 * memory comes back. --log writes which kernels ran, stream by stream; --steps ends after the Nth
 * cuProfilerStop, without more checks, for who counts what a step costs. TRACE may be - for the
 * standard input.
 */
#include "player.h"

#include <dlfcn.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_THREADS  256
#define MOST_FAILURES 20

#define FUNCTIONS(F)                \
    F(cuInit)                       \
    F(cuDevicePrimaryCtxRetain)     \
    F(cuDevicePrimaryCtxRelease_v2) \
    F(cuCtxPushCurrent_v2)          \
    F(cuCtxSynchronize)             \
    F(cuCtxDestroy_v2)              \
    F(cuMemAlloc_v2)                \
    F(cuMemFree_v2)                 \
    F(cuMemFreeHost)                \
    F(cuMemHostUnregister)          \
    F(cuMemAddressFree)             \
    F(cuMemGetInfo_v2)              \
    F(cuMemsetD8_v2)                \
    F(cuMemcpyDtoH_v2)              \
    F(cuModuleUnload)               \
    F(cuLibraryUnload)              \
    F(cuStreamDestroy_v2)           \
    F(cuEventDestroy_v2)

static struct {
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
    void **recorded; /* as wh_cuda_words.calls; NULL: it has none of that name */
} driver;

static struct {
    struct recording recording;
    unsigned steps; /* to play; 0: all there are */
    CUcontext primary;
    CUdeviceptr log;
    size_t free; /* bytes, before the first call */
    struct launch *launches;
    uint32_t nlaunches;

    pthread_mutex_t lock;
    pthread_cond_t turn_of[MOST_THREADS + 1];
    size_t turn; /* the event to be played */
    unsigned failures, stops;
    unsigned retained; /* references to the primary context that the recording holds */
} play = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void fail(const struct event *event, const char *what, int got, int expected)
{
    fprintf(stderr, "replay: line %u: %s: %s %d instead of %d\n", event->line, event->call->name,
            what, got, expected);
    if (++play.failures == MOST_FAILURES)
        exit(1);
}

static void must(CUresult result, const char *what)
{
    if (result == CUDA_SUCCESS)
        return;
    fprintf(stderr, "replay: %s: error %d\n", what, (int)result);
    exit(1);
}

#define MUST(function, ...) must(driver.function(__VA_ARGS__), #function)

static void open_driver(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    driver.recorded = calloc(wh_cuda_words.ncalls, sizeof(*driver.recorded));
    if (!library || !driver.recorded) {
        fprintf(stderr, "replay: %s\n", library ? "out of memory" : dlerror());
        exit(1);
    }
    for (size_t i = 0; i < wh_cuda_words.ncalls; i++)
        driver.recorded[i] = dlsym(library, wh_cuda_words.calls[i].name);
#define FIND(name)                                                              \
    driver.name = __extension__(__typeof__(driver.name)) dlsym(library, #name); \
    if (!driver.name)                                                           \
        must(CUDA_ERROR_NOT_FOUND, #name);
    FUNCTIONS(FIND)
#undef FIND
}

/* ---- one call ---- */

static void launched(const struct event *event)
{
    const char *stream = event->arguments[8];
    if (event->call->number == WH_CUDA_cuLaunchKernelEx) /* the eighth member */
        for (int i = 0, blanks = 0; (stream = event->arguments[0] + i)[0] && blanks < 7; i++)
            blanks += *stream == ' ';
    play.launches[++play.nlaunches] = (struct launch){.kernel = event->kernel, .stream = stream};
}

static void note(const struct event *event)
{
    play.retained += event->call->number == WH_CUDA_cuDevicePrimaryCtxRetain;
    play.retained -= event->call->number == WH_CUDA_cuDevicePrimaryCtxRelease_v2 ||
                     event->call->number == WH_CUDA_cuDevicePrimaryCtxRelease;
    play.stops += event->call->number == WH_CUDA_cuProfilerStop;
}

/* Addresses of functions and private tables are not what is played. */
static bool is_lookup(uint16_t number)
{
    return number == WH_CUDA_cuGetProcAddress || number == WH_CUDA_cuGetProcAddress_v2 ||
           number == WH_CUDA_cuGetExportTable;
}

/* Whether work is done by now is nobody's promise. */
static bool is_chance(const struct event *event, int status)
{
    bool asks =
        event->call->number == WH_CUDA_cuStreamQuery || event->call->number == WH_CUDA_cuEventQuery;
    return asks && (status == CUDA_SUCCESS || status == CUDA_ERROR_NOT_READY) &&
           (event->status == CUDA_SUCCESS || event->status == CUDA_ERROR_NOT_READY);
}

static void make_call(const struct event *event)
{
    void *function = driver.recorded[event->call - wh_cuda_words.calls];
    struct words words;
    if (is_lookup(event->call->number))
        return;
    if (!function)
        give_up(event, "the library has no such function");
    if (event->kernel && event->status == 0)
        launched(event);
    words_read(&words, event, play.log, play.nlaunches, play.primary);
    int status = (int)(int32_t)event->call->make(function, words.a);
    if (event->ended && status != event->status && !is_chance(event, status))
        fail(event, "its status is", status, event->status);
    else if (status == 0)
        words_succeeded(event, &words);
    if (status == 0)
        note(event);
    words_free(&words);
}

/* ---- threads ---- */

static bool is_over(void)
{
    return play.turn == play.recording.nevents || (play.steps && play.stops == play.steps);
}

static void wake(void)
{
    if (!is_over())
        pthread_cond_signal(&play.turn_of[play.recording.events[play.turn].thread]);
    for (unsigned i = 1; is_over() && i <= play.recording.nthreads; i++)
        pthread_cond_signal(&play.turn_of[i]);
}

/* A thread of the recording: makes its calls when their turn comes. */
static void *play_thread(void *number)
{
    unsigned thread = (unsigned)(uintptr_t)number;
    pthread_mutex_lock(&play.lock);
    for (;;) {
        while (!is_over() && play.recording.events[play.turn].thread != thread)
            pthread_cond_wait(&play.turn_of[thread], &play.lock);
        if (is_over())
            break;
        make_call(&play.recording.events[play.turn]);
        play.turn++;
        wake();
    }
    pthread_mutex_unlock(&play.lock);
    return NULL;
}

static void play_all(void)
{
    pthread_t threads[MOST_THREADS];
    unsigned n = play.recording.nthreads;
    if (n > MOST_THREADS) {
        fprintf(stderr, "replay: %u threads are too many\n", n);
        exit(1);
    }
    for (unsigned i = 1; i <= n; i++)
        pthread_cond_init(&play.turn_of[i], NULL);
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, play_thread, (void *)(uintptr_t)(i + 1)) != 0)
            abort();
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* ---- before and after ---- */

/* A context that stays to the end, and in it the log. */
static void begin(void)
{
    size_t total, size = 8 + 8 * (play.recording.nevents + 1);
    play.launches = calloc(play.recording.nevents + 1, sizeof(*play.launches));
    MUST(cuInit, 0);
    MUST(cuDevicePrimaryCtxRetain, &play.primary, 0);
    MUST(cuCtxPushCurrent_v2, play.primary);
    MUST(cuMemAlloc_v2, &play.log, size);
    MUST(cuMemsetD8_v2, play.log, 0, size);
    MUST(cuMemGetInfo_v2, &play.free, &total);
}

static void destroy(unsigned type, uint64_t handle)
{
    switch (type) {
    case WH_CUDA_TYPE_CUmodule:
        MUST(cuModuleUnload, (CUmodule)(uintptr_t)handle);
        break;
    case WH_CUDA_TYPE_CUlibrary:
        MUST(cuLibraryUnload, (CUlibrary)(uintptr_t)handle);
        break;
    case WH_CUDA_TYPE_CUstream:
        MUST(cuStreamDestroy_v2, (CUstream)(uintptr_t)handle);
        break;
    case WH_CUDA_TYPE_CUevent:
        MUST(cuEventDestroy_v2, (CUevent)(uintptr_t)handle);
        break;
    default:
        MUST(cuCtxDestroy_v2, (CUcontext)(uintptr_t)handle);
    }
}

/* What the recording left, as the end of its process did. */
static void destroy_objects(unsigned type)
{
    for (size_t i = 0; i < object_count(type); i++) {
        const struct thing *thing = object_thing(type, i);
        bool borrowed = thing->maker == WH_CUDA_cuLibraryGetModule || thing->maker == 0 ||
                        (type == WH_CUDA_TYPE_CUcontext && thing->value == (uintptr_t)play.primary);
        if (thing->value && !thing->gone && !borrowed)
            destroy(type, thing->value);
    }
}

static void free_memory(const struct thing *thing)
{
    switch (thing->maker) {
    case WH_CUDA_cuModuleGetGlobal_v2:
    case WH_CUDA_cuLibraryGetGlobal:
    case WH_CUDA_cuLibraryGetManaged:
        break;
    case WH_CUDA_cuMemHostAlloc:
    case WH_CUDA_cuMemAllocHost_v2:
        MUST(cuMemFreeHost, (void *)(uintptr_t)thing->value);
        break;
    case WH_CUDA_cuMemHostRegister:
    case WH_CUDA_cuMemHostRegister_v2:
        MUST(cuMemHostUnregister, (void *)(uintptr_t)thing->value);
        break;
    default:
        MUST(cuMemFree_v2, thing->value);
    }
}

static void check_memory(void)
{
    size_t now, total;
    for (size_t i = 0; i < memory_count(); i++)
        if (memory_thing(i)->value && !memory_thing(i)->gone)
            free_memory(memory_thing(i));
    destroy_objects(WH_CUDA_TYPE_CUlibrary);
    destroy_objects(WH_CUDA_TYPE_CUmodule);
    destroy_objects(WH_CUDA_TYPE_CUevent);
    destroy_objects(WH_CUDA_TYPE_CUstream);
    destroy_objects(WH_CUDA_TYPE_CUcontext);
    for (; play.retained; play.retained--)
        MUST(cuDevicePrimaryCtxRelease_v2, 0);
    MUST(cuMemGetInfo_v2, &now, &total);
    if (now == play.free)
        return;
    fprintf(stderr, "replay: %zd bytes of memory did not come back\n", (ssize_t)(play.free - now));
    play.failures++;
}

/* ---- the log ---- */

struct log {
    uint64_t n;
    struct entry entries[];
};

static struct log *fetch_log(void)
{
    struct log *log;
    uint64_t n;
    MUST(cuCtxSynchronize);
    MUST(cuMemcpyDtoH_v2, &n, play.log, sizeof(n));
    if (n > play.nlaunches) {
        fprintf(stderr, "replay: %llu kernels ran for %u launches\n", (unsigned long long)n,
                play.nlaunches);
        exit(1);
    }
    log = malloc(sizeof(*log) + n * sizeof(*log->entries));
    if (!log)
        abort();
    MUST(cuMemcpyDtoH_v2, log, play.log, sizeof(*log) + n * sizeof(*log->entries));
    return log;
}

/* The launch behind each entry: a kernel that was told no number is the first of its kind that is
 * left. */
static uint32_t launch_of(const struct entry *entry, bool *ran)
{
    uint32_t launch = entry->launch;
    for (uint32_t i = 1; launch == 0 && i <= play.nlaunches; i++)
        if (!ran[i] && play.launches[i].kernel == entry->kernel)
            launch = i;
    if (launch == 0 || launch > play.nlaunches || ran[launch] ||
        play.launches[launch].kernel != entry->kernel) {
        fprintf(stderr, "replay: launch %u ran %s, which was not to run\n", launch,
                kernels_get(entry->kernel)->name);
        play.failures++;
        return 0;
    }
    ran[launch] = true;
    return launch;
}

static bool same_stream(uint32_t a, uint32_t b)
{
    const char *left = play.launches[a].stream, *right = play.launches[b].stream;
    size_t length = strcspn(left, " ");
    return length == strcspn(right, " ") && strncmp(left, right, length) == 0;
}

/* In one stream, kernels run in the order of their launches. */
static void check_order(const uint32_t *ran, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t k = i + 1; k < n && play.failures < MOST_FAILURES; k++)
            if (same_stream(ran[i], ran[k])) {
                if (ran[k] < ran[i]) {
                    fprintf(stderr, "replay: launch %u ran before launch %u, in one stream\n",
                            ran[i], ran[k]);
                    play.failures++;
                }
                break; /* the next of the stream is looked at from there */
            }
}

/* What ran, by streams as they come, so that how they mixed does not matter. */
static void write_log(const char *path, const uint32_t *ran, uint64_t n)
{
    FILE *out = fopen(path, "w");
    bool *written = calloc(n + 1, sizeof(*written));
    if (!out || !written) {
        perror(path);
        exit(1);
    }
    for (uint32_t first = 1; first <= play.nlaunches; first++)
        for (uint64_t i = 0; i < n; i++)
            if (!written[i] && same_stream(ran[i], first)) {
                fprintf(out, "%.*s %s\n", (int)strcspn(play.launches[ran[i]].stream, " "),
                        play.launches[ran[i]].stream,
                        kernels_get(play.launches[ran[i]].kernel)->name);
                written[i] = true;
            }
    fclose(out);
    free(written);
}

static void check_log(const char *path)
{
    struct log *log = fetch_log();
    bool *done = calloc(play.nlaunches + 1, sizeof(*done));
    uint32_t *ran = calloc(log->n + 1, sizeof(*ran));
    for (uint64_t i = 0; done && ran && i < log->n; i++)
        ran[i] = launch_of(&log->entries[i], done);
    for (uint32_t i = 1; done && i <= play.nlaunches; i++)
        if (!done[i]) {
            fprintf(stderr, "replay: launch %u, of %s, did not run\n", i,
                    kernels_get(play.launches[i].kernel)->name);
            play.failures++;
        }
    if (play.failures == 0) {
        check_order(ran, log->n);
        if (path)
            write_log(path, ran, log->n);
    }
    printf("%zu calls by %u threads, %llu kernels\n", play.recording.nevents,
           play.recording.nthreads, (unsigned long long)log->n);
    free(ran);
    free(done);
    free(log);
}

static int usage(void)
{
    fputs("usage: replay [--log=FILE] [--steps=N] LIBRARY TRACE\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"log", required_argument, NULL, 'l'}, {"steps", required_argument, NULL, 's'}, {0}};
    const char *log = NULL;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'l')
            log = optarg;
        else if (option == 's')
            play.steps = (unsigned)strtoul(optarg, NULL, 10);
        else
            return usage();
    }
    if (argc - optind != 2)
        return usage();
    recording_read(&play.recording, &wh_cuda_words, argv[optind + 1]);
    kernels_find(&play.recording);
    open_driver(argv[optind]);
    begin();
    play_all();
    if (play.steps)
        return play.failures || play.stops < play.steps;
    check_log(log);
    check_memory();
    return play.failures != 0;
}
