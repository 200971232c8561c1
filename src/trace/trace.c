/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The traced library, the file, and who writes what when. A call is a line when it ends before
 * another one begins or ends; else its line is left with dots, and taken up again when it ends. See
 * trace.h.
 */
#include "trace/trace.h"

#include "base/log.h"
#include "base/util.h"
#include "trace/names.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1 /* of the format */

/* A function of the traced library, and ours of the same name. */
struct pair {
    void *address, *wrapper;
};

static struct {
    pthread_once_t once;
    void **functions;   /* as words->calls; NULL: the library has none of that name */
    struct pair *pairs; /* by address */
    size_t npairs;
    bool wanted; /* something is to be written */

    pthread_mutex_t lock; /* of all below, and of names.c */
    const char *path;     /* NULL: it is not, or cannot be */
    FILE *out;
    unsigned threads;
    unsigned unfinished; /* the thread whose line has no end yet; 0: none */
} state = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local unsigned thread_number;

/* ---- the traced library ---- */

static int compare_pairs(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t)((const struct pair *)a)->address;
    uintptr_t right = (uintptr_t)((const struct pair *)b)->address;
    return (left > right) - (left < right);
}

static void *open_library(void)
{
    const char *path = getenv("WORMHOLE_TRACE_LIBRARY");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        wh_log("there is nothing to trace: %s",
               path ? dlerror() : "WORMHOLE_TRACE_LIBRARY is not set");
    return library;
}

static void find_functions(void *library)
{
    const struct wh_words *words = wh_tracer.words;
    state.functions = calloc(words->ncalls, sizeof(*state.functions));
    state.pairs = calloc(words->ncalls, sizeof(*state.pairs));
    for (size_t i = 0; library && state.functions && state.pairs && i < words->ncalls; i++) {
        void *address = dlsym(library, words->calls[i].name);
        state.functions[i] = address;
        if (address)
            state.pairs[state.npairs++] = (struct pair){address, wh_tracer.wrappers[i]};
    }
    if (state.npairs)
        qsort(state.pairs, state.npairs, sizeof(*state.pairs), compare_pairs);
}

void *wh_trace_wrapper(void *address)
{
    const struct pair key = {.address = address};
    const struct pair *pair =
        bsearch(&key, state.pairs, state.npairs, sizeof(*state.pairs), compare_pairs);
    return pair ? pair->wrapper : address;
}

static int compare_name(const void *name, const void *call)
{
    return strcmp(name, ((const struct wh_word_call *)call)->name);
}

void *wh_trace_function(const char *name)
{
    const struct wh_words *words = wh_tracer.words;
    const struct wh_word_call *call =
        bsearch(name, words->calls, words->ncalls, sizeof(*words->calls), compare_name);
    return call && state.functions ? state.functions[call - words->calls] : NULL;
}

/* ---- the file ---- */

/* The first process that traces writes to the file itself, others beside it, under their number. */
static void open_file(void)
{
    WH_CLEANUP_FREE char *own = NULL;
    int fd = open(state.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST && asprintf(&own, "%s.%ld", state.path, (long)getpid()) > 0)
        fd = open(own, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    state.out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!state.out) {
        wh_log("cannot write the trace %s: %s", own ? own : state.path, strerror(errno));
        state.path = NULL;
        return;
    }
    fprintf(state.out, "wormhole-trace %d %s %u.%u\n", VERSION, wh_tracer.words->api->name,
            wh_tracer.words->api->major, wh_tracer.words->api->minor);
}

/* A child gets names.c whole. */
static void before_fork(void)
{
    pthread_mutex_lock(&state.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&state.lock);
}

/* The child's calls are another file's, and its thread is its first. */
static void restart_in_child(void)
{
    pthread_mutex_init(&state.lock, NULL);
    if (state.out)
        fclose(state.out); /* nothing is in its buffer */
    state.out = NULL;
    state.threads = state.unfinished = thread_number = 0;
}

static void start(void)
{
    state.path = getenv("WORMHOLE_TRACE");
    find_functions(open_library());
    state.wanted = state.path != NULL;
    if (state.wanted)
        pthread_atfork(before_fork, after_fork, restart_in_child);
}

static struct wh_trace_printer printer(void)
{
    return (struct wh_trace_printer){
        .out = state.out, .words = wh_tracer.words, .special = wh_tracer.special};
}

/* ---- lines ---- */

static void print_call(const struct wh_word_call *call, const uint64_t *a)
{
    const struct wh_trace_printer to = printer();
    fprintf(to.out, "%u %s(", thread_number, call->name);
    for (unsigned i = 0; i < call->nparams; i++) {
        if (i)
            fputs(", ", to.out);
        if (!wh_tracer.argument || !wh_tracer.argument(&to, call, i, a))
            wh_trace_print_argument(&to, call, i, a);
    }
    fputc(')', to.out);
}

static void leave_open(void)
{
    if (state.unfinished)
        fputs(" ...\n", state.out);
    state.unfinished = 0;
}

static void begin(const struct wh_word_call *call, const uint64_t *a)
{
    pthread_mutex_lock(&state.lock);
    if (!state.out && state.path)
        open_file();
    if (state.out) {
        if (!thread_number)
            thread_number = ++state.threads;
        leave_open();
        print_call(call, a);
        state.unfinished = thread_number;
        if (wh_tracer.words->api->calls[call->number].flags & WH_CALL_RELEASE)
            wh_trace_name_gone(a[0]);
        if (wh_tracer.going)
            wh_tracer.going(call, a);
        fflush(state.out); /* what crashes is what one wants to see */
    }
    pthread_mutex_unlock(&state.lock);
}

static void end(const struct wh_word_call *call, const uint64_t *a, uint64_t result)
{
    const struct wh_api *api = wh_tracer.words->api;
    bool has_status = api->calls[call->number].result == WH_RESULT_STATUS;
    bool success = !has_status || (int32_t)result == api->success;
    pthread_mutex_lock(&state.lock);
    if (success && state.out && wh_tracer.succeeded)
        wh_tracer.succeeded(call, a);
    if (state.out) {
        const struct wh_trace_printer to = printer();
        if (state.unfinished != thread_number) {
            leave_open();
            fprintf(to.out, "%u ... %s", thread_number, call->name);
        }
        if (has_status)
            fprintf(to.out, " = %d", (int32_t)result);
        if (success)
            wh_trace_print_results(&to, call, a);
        fputc('\n', to.out);
        fflush(to.out);
        state.unfinished = 0;
    }
    pthread_mutex_unlock(&state.lock);
}

uint64_t wh_trace_call(unsigned place, const uint64_t *a)
{
    const struct wh_word_call *call = &wh_tracer.words->calls[place];
    pthread_once(&state.once, start);
    void *function = state.functions ? state.functions[place] : NULL;
    if (!function)
        return (uint64_t)(int64_t)wh_tracer.words->api->unsupported;
    if (wh_tracer.prepare && state.wanted)
        wh_tracer.prepare(call, a);
    begin(call, a);
    uint64_t result = call->make(function, a);
    end(call, a, result);
    return result;
}
