/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA clients that lie. Every call of the description that crosses is sent whole and spoilt, by
 * the tables: ids of other types and other sessions, lengths, texts, offsets, addresses that are
 * the worker's own, values at the edges. Each lie is an error of the API or ends its own session
 * with the reason; none ends a worker by a signal, reaches the worker's memory, or disturbs a
 * neighbour. Run by meson.
 */
#include "cuda_support.h"

#include "base/util.h"
#include "worker/thunk.h"

#include <stdio.h>
#include <string.h>

extern wh_thunk *const wh_cuda_thunks[];

#define UNKNOWN_OBJECT "an object id is unknown or of another type"

static struct daemon server;
static struct cuda_session neighbour; /* honest, beside every lie */

/* An honest session of whatever the neighbour has still works. */
static void expect_neighbour(void)
{
    assert_int_equal(CUDA_ASK(&neighbour, cuMemsetD32_v2, neighbour.memory, 0x5a5a5a5a, 4), 0);
    assert_int_equal(CUDA_ASK(&neighbour, wh_read, 16, true, neighbour.memory, 0), 0);
    for (unsigned i = 2; i < 4; i++)
        assert_int_equal(neighbour.reply[i], 0x5a5a5a5a5a5a5a5a);
}

static int start(void **state)
{
    (void)state;
    cuda_choose_softgpu();
    daemon_start(&server, NULL);
    cuda_open(&neighbour, &server);
    cuda_furnish(&neighbour);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    expect_neighbour();
    cuda_close(&neighbour);
    daemon_stop(&server);
    return 0;
}

static void begin(struct cuda_session *session)
{
    cuda_open(session, &server);
    cuda_furnish(session);
}

/* The session ended, and it was the worker that ended it, for `why` (NULL: for whatever lie). */
static void expect_end(struct cuda_session *session, const char *what, const char *why)
{
    char reason[300], line[512];
    cuda_await_end(session, reason, sizeof(reason));
    if (!strstr(reason, why ? why : "protocol violation"))
        fail_msg("%s: the session ends with '%s'%s%s", what, reason, why ? " instead of " : "",
                 why ? why : "");
    process_expect(&server.process, 1, "ends: protocol violation", line, sizeof(line));
    if (why && !strstr(line, why))
        fail_msg("%s: the log says '%s' instead of '%s'", what, line, why);
    cuda_close(session);
}

/* ---- every call, by the tables ---- */

/* A call with the arguments that an honest client might send. */
struct subject {
    struct cuda_session session;
    const struct wh_call_desc *call;
    uint64_t args[WH_MAX_PARAMS];
    char what[200];
};

static const uint64_t some_bytes[64]; /* zeros, whatever they stand for */

static bool is_length(const struct wh_call_desc *call, unsigned i)
{
    for (unsigned k = 0; k < call->nparams; k++)
        if (call->params[k].length.scale != 0 &&
            (call->params[k].length.a == (int)i || call->params[k].length.b == (int)i))
            return true;
    return false;
}

static bool has_furnished(uint16_t type)
{
    return type == WH_CUDA_TYPE_CUcontext || type == WH_CUDA_TYPE_CUmodule ||
           type == WH_CUDA_TYPE_CUfunction || type == WH_CUDA_TYPE_CUlibrary ||
           type == WH_CUDA_TYPE_CUkernel || type == WH_CUDA_TYPE_CUarray ||
           type == WH_CUDA_TYPE_CUevent || type == WH_CUDA_TYPE_CUstream ||
           type == WH_CUDA_TYPE_CUmemoryPool || type == WH_CUDA_TYPE_CUlinkState;
}

static void choose_arguments(struct subject *s)
{
    static const uint64_t ids[8];
    for (unsigned i = 0; i < s->call->nparams; i++) {
        const struct wh_param *p = &s->call->params[i];
        switch ((enum wh_kind)p->kind) {
        case WH_VALUE:
            s->args[i] = is_length(s->call, i) ? 1 : 0;
            break;
        case WH_HANDLE:
            s->args[i] = has_furnished(p->type) ? p->type : WH_ID_NONE;
            break;
        case WH_MEMORY:
            s->args[i] = s->session.memory;
            break;
        case WH_ARENA:
        case WH_LOCAL:
            s->args[i] = 0;
            break;
        case WH_STRING:
            s->args[i] = (uintptr_t) "poke";
            break;
        case WH_NEWS:
            s->args[i] = 1000; /* never in use: whoever made one is not asked again */
            break;
        case WH_HANDLES:
            s->args[i] = (uintptr_t)ids;
            break;
        case WH_BYTES:
        case WH_STRUCTS:
            s->args[i] = (uintptr_t)some_bytes;
            break;
        default:
            s->args[i] = true;
        }
    }
}

static void say_what(struct subject *s, const char *lie, unsigned i)
{
    (void)snprintf(s->what, sizeof(s->what), "%s with %s in %s", s->call->name, lie,
                   i < s->call->nparams ? s->call->params[i].name : "all");
}

static void renew(struct subject *s)
{
    begin(&s->session);
    choose_arguments(s);
}

/* Anything but a crash: an answer, or the session's end for a lie. Returns the status. */
static int32_t send_odd(struct subject *s, struct cuda_letter *letter)
{
    int32_t status = cuda_send(&s->session, letter);
    if (status == INT32_MAX) {
        expect_end(&s->session, s->what, NULL);
        renew(s);
    }
    return status;
}

/* A lie that the tables see: it ends the session. */
static void send_lie(struct subject *s, struct cuda_letter *letter, const char *why)
{
    if (cuda_send(&s->session, letter) != INT32_MAX)
        fail_msg("%s: the session goes on", s->what);
    expect_end(&s->session, s->what, why);
    renew(s);
}

typedef void lie(struct subject *s);

static void tell_all(lie *tell)
{
    for (unsigned i = 0; i < wh_cuda_api.ncalls; i++) {
        struct subject s = {.call = &wh_cuda_api.calls[i]};
        if (!wh_cuda_thunks[i])
            continue;
        renew(&s);
        tell(&s);
        cuda_close(&s.session);
    }
    expect_neighbour();
}

/* A scalar's edges, with arrays and without. */
static void odd_values(struct subject *s)
{
    static const uint64_t odd[] = {2, 0x7fffffff, 0xffffffff, 1ull << 32, 1ull << 62, ~0ull};
    for (unsigned i = 0; i < s->call->nparams; i++)
        for (size_t k = 0; s->call->params[i].kind == WH_VALUE && k < sizeof(odd) / sizeof(*odd);
             k++) {
            struct cuda_letter letter;
            say_what(s, "an odd value", i);
            s->args[i] = odd[k];
            cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
            send_odd(s, &letter);
            choose_arguments(s);
        }
}

/* NULL wherever a pointer is, one by one; all handles 0. */
static void nothing_given(struct subject *s)
{
    struct cuda_letter letter;
    for (unsigned i = 0; i < s->call->nparams; i++) {
        if (s->call->params[i].kind == WH_VALUE)
            continue;
        say_what(s, "nothing", i);
        s->args[i] = 0;
        cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
        send_odd(s, &letter);
        choose_arguments(s);
    }
    say_what(s, "nothing", WH_MAX_PARAMS);
    memset(s->args, 0, sizeof(s->args));
    cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
    send_odd(s, &letter);
}

static void whole_and_odd(void **state)
{
    (void)state;
    tell_all(odd_values);
    tell_all(nothing_given);
}

/* One lie about each object, another kind of lie each time. */
static void false_ids(struct subject *s)
{
    static unsigned turn;
    for (unsigned i = 0; i < s->call->nparams; i++) {
        const struct wh_param *p = &s->call->params[i];
        struct cuda_letter letter;
        const uint64_t lies[] = {
            p->type == WH_CUDA_TYPE_CUevent ? WH_CUDA_TYPE_CUstream : WH_CUDA_TYPE_CUevent,
            500, /* unknown here; another session may have it */
            (1ull << 32) | p->type,
            ~0ull,
            WH_ID_WORKER_FIRST,
            WH_ID_WORKER_FIRST - 1,
        };
        if (p->kind != WH_HANDLE)
            continue;
        say_what(s, "a false id", i);
        s->args[i] = lies[turn++ % (sizeof(lies) / sizeof(*lies))];
        cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
        send_lie(s, &letter, UNKNOWN_OBJECT);
    }
}

static void false_ids_everywhere(void **state)
{
    (void)state;
    assert_int_equal(CUDA_ASK(&neighbour, cuEventCreate, 500, 0), 0);
    tell_all(false_ids);
}

static bool is_array(uint8_t kind)
{
    return kind != WH_VALUE && kind != WH_HANDLE && kind != WH_MEMORY && kind != WH_ARENA &&
           kind != WH_LOCAL;
}

static void false_lengths(struct subject *s)
{
    static unsigned turn;
    struct cuda_letter letter;
    for (unsigned i = 0; i < s->call->nparams; i++) {
        const struct wh_param *p = &s->call->params[i];
        cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
        uint64_t *word = &letter.letter.words[letter.starts[i]];
        const uint64_t lies[] = {WH_PAYLOAD_NULL | 1, *word + (1u << 26), WH_PAYLOAD_ARENA - 1,
                                 *word ? *word - 1 : 9, 1ull << 61};
        say_what(s, "a false length", i);
        if (p->kind == WH_ARENA)
            *word = ~0ull - turn++ % 2 * (1ull << 40);
        else if (is_array(p->kind))
            *word = lies[turn++ % (sizeof(lies) / sizeof(*lies))];
        else
            continue;
        send_lie(s, &letter, "protocol violation");
    }
    if (s->call->nparams > 0) {
        say_what(s, "its last word missing", s->call->nparams - 1u);
        cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
        letter.letter.nwords--;
        send_lie(s, &letter, "protocol violation");
    }
    say_what(s, "a word too many", WH_MAX_PARAMS);
    cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
    letter_add(&letter.letter, 0);
    send_lie(s, &letter, "the message is longer than its call");
}

static void false_lengths_everywhere(void **state)
{
    (void)state;
    tell_all(false_lengths);
}

/* What the description has and the worker does not serve. */
static void calls_that_do_not_cross(void **state)
{
    const uint64_t args[WH_MAX_PARAMS] = {0};
    (void)state;
    for (unsigned i = 0; i < wh_cuda_api.ncalls; i += 7) {
        struct cuda_session session;
        struct cuda_letter letter;
        if (wh_cuda_thunks[i])
            continue;
        cuda_open(&session, &server);
        cuda_letter(&letter, (enum wh_cuda_call)i, args);
        assert_int_equal(cuda_send(&session, &letter), INT32_MAX);
        expect_end(&session, wh_cuda_api.calls[i].name,
                   "a message calls a function that does not cross");
    }
    expect_neighbour();
}

/* ---- the worker's own memory ---- */

#define MOST_PLACES 16

/* Places in the worker: its code, its heap, its stack, its libraries; where they cannot be read
 * (its memory is nobody's), those of a process of this build. */
static unsigned find_places(pid_t worker, uint64_t *places)
{
    char path[64], line[512];
    unsigned n = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/maps", worker);
    FILE *maps = fopen(path, "re");
    if (maps && !fgets(line, sizeof(line), maps)) {
        (void)fclose(maps);
        maps = NULL;
    }
    if (!maps)
        maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long first, last;
        if (sscanf(line, "%lx-%lx", &first, &last) != 2 || !strchr(line, 'r'))
            continue;
        bool wanted = strstr(line, "[heap]") || strstr(line, "[stack]") ||
                      strstr(line, "wormhole-worker") || strstr(line, "softgpu");
        if (wanted && n < MOST_PLACES - 4)
            places[n++] = (first + last) / 2 & ~0xfffull;
    }
    (void)fclose(maps);
    places[n++] = 0x1000;
    places[n++] = ~0xfffull;
    places[n++] = 0x7ffff7d00000;
    assert_true(n > 4);
    return n;
}

static void expect_refused(struct subject *s, int32_t status)
{
    if (status == CUDA_SUCCESS)
        fail_msg("%s: it succeeds", s->what);
    if (status == INT32_MAX)
        fail_msg("%s: the session ends", s->what);
}

static void foreign_addresses(struct subject *s)
{
    uint64_t places[MOST_PLACES];
    struct cuda_letter letter;
    unsigned n = find_places(s->session.worker, places);
    for (unsigned i = 0; i < s->call->nparams; i++) {
        if (s->call->params[i].kind != WH_MEMORY)
            continue;
        for (unsigned k = 0; k < n; k++) {
            say_what(s, "the worker's address", i);
            (void)snprintf(s->what + strlen(s->what), 40, ": %#llx", (unsigned long long)places[k]);
            s->args[i] = places[k];
            cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
            expect_refused(s, cuda_send(&s->session, &letter));
        }
        choose_arguments(s);
    }
}

/* The first byte behind the session's memory, and lengths that wrap around. */
static void lengths_beyond(struct subject *s)
{
    static const uint64_t lengths[] = {CUDA_MEMORY_N + 1, 1ull << 32, 1ull << 61,
                                       1ull << 62,        1ull << 63, ~0ull};
    for (unsigned i = 0; i < s->call->nparams; i++) {
        const struct wh_param *p = &s->call->params[i];
        if (p->kind != WH_MEMORY || p->length.a < 0)
            continue;
        for (size_t k = 0; k < sizeof(lengths) / sizeof(*lengths); k++) {
            struct cuda_letter letter;
            int32_t status;
            say_what(s, "a length beyond", i);
            s->args[p->length.a] = lengths[k];
            for (unsigned j = 0; j < s->call->nparams; j++)
                if (is_array(s->call->params[j].kind))
                    s->args[j] = 0;
            cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
            status = send_odd(s, &letter);
            if (status == CUDA_SUCCESS)
                fail_msg("%s: %#llx succeeds", s->what, (unsigned long long)lengths[k]);
            choose_arguments(s);
        }
    }
}

static void memory_of_the_worker(void **state)
{
    (void)state;
    tell_all(foreign_addresses);
    tell_all(lengths_beyond);
}

/* Calls whose addresses are plain words or lie inside of structures. */
static void hidden_addresses(void **state)
{
    struct subject s = {.what = "a hidden address"};
    uint64_t places[MOST_PLACES];
    (void)state;
    begin(&s.session);
    unsigned n = find_places(s.session.worker, places);
    for (unsigned k = 0; k < n; k++) {
        const uint64_t at = places[k];
        struct cuda_session *session = &s.session;
        const CUDA_RESOURCE_DESC linear = {
            .resType = CU_RESOURCE_TYPE_LINEAR,
            .res.linear = {.devPtr = at, .numChannels = 1, .sizeInBytes = 64}};
        const CUDA_RESOURCE_DESC rows = {
            .resType = CU_RESOURCE_TYPE_PITCH2D,
            .res.pitch2D = {
                .devPtr = at, .numChannels = 1, .width = 32, .height = 2, .pitchInBytes = 32}};
        /* Handles in a description come beside it; one inside of it is the worker's address. */
        const CUDA_RESOURCE_DESC array = {.resType = CU_RESOURCE_TYPE_ARRAY,
                                          .res.array.hArray = (CUarray)(uintptr_t)at};
        const CUDA_TEXTURE_DESC texture = {0};
        const CUstreamBatchMemOpParams operations[] = {
            {.writeValue = {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32, .address = at}},
            {.waitValue = {.operation = CU_STREAM_MEM_OP_WAIT_VALUE_64, .address = at}}};
        const CUstreamAttrValue window = {
            .accessPolicyWindow = {.base_ptr = (void *)(uintptr_t)at, .num_bytes = 64}};
        expect_refused(&s, CUDA_ASK(session, cuMemFree_v2, at));
        expect_refused(&s, CUDA_ASK(session, wh_host_register, at, 4096, 0, true));
        expect_refused(&s, CUDA_ASK(session, wh_host_unregister, at));
        expect_refused(&s, CUDA_ASK(session, wh_share_arena, at));
        expect_refused(&s, CUDA_ASK(session, wh_texture_create, (uintptr_t)&linear, 0, 0,
                                    (uintptr_t)&texture, 0, true));
        expect_refused(&s, CUDA_ASK(session, wh_texture_create, (uintptr_t)&rows, 0, 0,
                                    (uintptr_t)&texture, 0, true));
        expect_refused(&s, CUDA_ASK(session, wh_texture_create, (uintptr_t)&array, 0, 0,
                                    (uintptr_t)&texture, 0, true));
        for (unsigned i = 0; i < 2; i++)
            expect_refused(&s,
                           CUDA_ASK(session, wh_batch_memop, 0, 1, (uintptr_t)&operations[i], 0));
        expect_refused(&s, CUDA_ASK(session, cuStreamSetAttribute, 0,
                                    CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW, (uintptr_t)&window));
        expect_refused(&s, CUDA_ASK(session, cuTexObjectDestroy, at));
        expect_refused(&s, CUDA_ASK(session, cuTexObjectGetTextureDesc, true, at));
        expect_refused(&s, CUDA_ASK(session, cuSurfObjectDestroy, at));
        for (unsigned i = 0; i < 3; i++) {
            static const enum wh_cuda_call sets[] = {
                WH_CUDA_cuMemsetD2D8_v2, WH_CUDA_cuMemsetD2D16_v2, WH_CUDA_cuMemsetD2D32_v2};
            const uint64_t args[] = {at, 64, 0, 8, 2};
            expect_refused(&s, cuda_ask(session, sets[i], args, 5));
        }
    }
    cuda_close(&s.session);
    expect_neighbour();
}

/* A kernel reaches the device's memory only; its fault stays in its session. */
static void kernels_stay_out(void **state)
{
    const wh_cuda_grid grid = {.grid = {1, 1, 1}, .block = {1, 1, 1}};
    uint64_t places[MOST_PLACES];
    struct cuda_session probe;
    (void)state;
    begin(&probe);
    unsigned n = find_places(probe.worker, places);
    cuda_close(&probe);
    for (unsigned k = 0; k < n; k++) {
        struct cuda_session session;
        begin(&session);
        find_places(session.worker, places); /* another worker, other places */
        const struct {
            uint64_t to, from;
        } poke = {places[k], 7}, peek = {session.memory, places[k]};
        if (k % 2)
            assert_int_equal(CUDA_ASK(&session, wh_get_function, WH_CUDA_TYPE_CUmodule,
                                      (uintptr_t) "peek", 1000),
                             0);
        assert_int_equal(CUDA_ASK(&session, wh_launch, k % 2 ? 1000 : WH_CUDA_TYPE_CUfunction, 0,
                                  (uintptr_t)&grid, 0, 0, 0, 0, k % 2 ? 16 : 12,
                                  k % 2 ? (uintptr_t)&peek : (uintptr_t)&poke),
                         0);
        assert_int_equal(CUDA_ASK(&session, cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
        assert_int_equal(CUDA_ASK(&session, cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
        cuda_close(&session);
    }
    expect_neighbour();
}

/* ---- boxes ---- */

static const wh_cuda_place nowhere;

/* Measures that overflow, or say less than a driver would touch. `linear`: the place that lies;
 * addresses are offsets from the session's memory or, where `shared`, from its shared memory. */
struct box_lie {
    const char *what;
    bool shared;
    wh_cuda_place linear;
    uint64_t width, height, depth;
};

static const struct box_lie box_lies[] = {
    {"rows beyond", 0, {.pitch = 64}, 64, CUDA_MEMORY_N / 64 + 1, 1},
    {"a row beyond", 0, {.pitch = CUDA_MEMORY_N}, CUDA_MEMORY_N + 1, 1, 1},
    {"slices beyond", 0, {.pitch = 64, .height = 16}, 64, 16, 5},
    {"x beyond", 0, {.pitch = CUDA_MEMORY_N, .x = CUDA_MEMORY_N - 63}, 64, 1, 1},
    {"y beyond", 0, {.pitch = 64, .height = 64, .y = 64}, 64, 1, 1},
    {"z beyond", 0, {.pitch = 64, .height = 16, .z = 4}, 64, 1, 1},
    {"x that wraps", 0, {.pitch = 64, .x = ~0ull - 63}, 64, 1, 1},
    {"y that wraps", 0, {.pitch = 1ull << 32, .height = 1, .y = 1ull << 32}, 64, 1, 1},
    {"z that wraps", 0, {.pitch = 64, .height = 1ull << 58, .z = 1}, 64, 1, 1},
    {"z and height that wrap", 0, {.pitch = 1, .height = 1ull << 32, .z = 1ull << 32}, 64, 1, 1},
    {"a pitch that wraps", 0, {.pitch = 1ull << 63, .height = 3}, 64, 3, 1},
    {"a height that wraps", 0, {.pitch = 1ull << 32, .height = 1ull << 32}, 64, 1, 2},
    {"no pitch", 0, {.pitch = 0, .height = 65}, 64, 65, 1},
    {"no pitch in shared memory", 1, {.pitch = 0, .height = 129}, 64, 129, 1},
    {"no pitch, and more than the arena", 1, {.pitch = 0}, 4096, 32768, 1},
    {"no height in shared memory", 1, {.pitch = 64, .height = 0}, 64, 128, 2},
    {"a pitch smaller than a row", 1, {.pitch = 1, .height = 8192}, 8192, 2, 1},
    {"an absurd width", 1, {.pitch = ~0ull}, ~0ull, 1, 1},
    {"an absurd height", 1, {.pitch = 64}, 64, ~0ull, 1},
    {"an absurd depth", 1, {.pitch = 64, .height = 1}, 64, 1, ~0ull},
};

static void lies_of_boxes(void **state)
{
    struct subject s = {0};
    (void)state;
    begin(&s.session);
    for (size_t i = 0; i < sizeof(box_lies) / sizeof(*box_lies); i++) {
        const struct box_lie *lie = &box_lies[i];
        wh_cuda_box box = {.width = lie->width, .height = lie->height, .depth = lie->depth};
        (void)snprintf(s.what, sizeof(s.what), "a box with %s", lie->what);
        wh_cuda_place liar = lie->linear;
        liar.address += lie->shared ? CUDA_SHARED : s.session.memory;
        const wh_cuda_place staged = {
            .kind = WH_CUDA_PLACE_STAGED, .pitch = box.width, .height = box.height};
        uint64_t size = 0;
        bool absurd = __builtin_mul_overflow(box.width, box.height, &size) ||
                      __builtin_mul_overflow(size, box.depth, &size) || size > CUDA_ARENA / 2;
        box.to = box.from = liar;
        expect_refused(&s, CUDA_ASK(&s.session, wh_copy_box, (uintptr_t)&box, 0, 0, 0));
        if (absurd)
            size = 0;
        box.to = staged;
        box.from = liar;
        int32_t status = CUDA_ASK(&s.session, wh_read_box, (uintptr_t)&box, 0, size, 0, 0);
        if (status == INT32_MAX) { /* no block is large enough: that is a lie of its own */
            expect_end(&s.session, s.what, "a staged copy breaks its own measures");
            begin(&s.session);
            continue;
        }
        expect_refused(&s, status);
        box.to = liar;
        box.from = staged;
        expect_refused(&s, CUDA_ASK(&s.session, wh_write_box, (uintptr_t)&box, 0, size, 0, 0));
    }
    cuda_close(&s.session);
    expect_neighbour();
}

static void boxes_of_no_kind(void **state)
{
    struct subject s = {.what = "a box of no kind"};
    (void)state;
    begin(&s.session);
    wh_cuda_box box = {.width = 16, .height = 1, .depth = 1};
    for (uint32_t kind = 0; kind < 6; kind++) {
        box.to = box.from = nowhere;
        box.to.kind = box.from.kind = kind == 5 ? UINT32_MAX : kind;
        if (kind != WH_CUDA_PLACE_STAGED)
            expect_refused(&s, CUDA_ASK(&s.session, wh_copy_box, (uintptr_t)&box, 0, 0, 0));
    }
    /* Nothing is staged here. */
    box.to.kind = box.from.kind = WH_CUDA_PLACE_STAGED;
    assert_int_equal(CUDA_ASK(&s.session, wh_copy_box, (uintptr_t)&box, 0, 0, 0), INT32_MAX);
    expect_end(&s.session, s.what, "a staged copy breaks its own measures");
    /* An array's own edges. */
    begin(&s.session);
    const wh_cuda_place edges[] = {
        {.kind = WH_CUDA_PLACE_ARRAY, .x = 1},          {.kind = WH_CUDA_PLACE_ARRAY, .y = 16},
        {.kind = WH_CUDA_PLACE_ARRAY, .z = 1},          {.kind = WH_CUDA_PLACE_ARRAY, .level = 9},
        {.kind = WH_CUDA_PLACE_ARRAY, .x = ~0ull - 15}, {.kind = WH_CUDA_PLACE_ARRAY, .y = ~0ull},
    };
    for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
        box.from = edges[i];
        box.to = (wh_cuda_place){.kind = WH_CUDA_PLACE_STAGED, .pitch = 16, .height = 1};
        expect_refused(
            &s, CUDA_ASK(&s.session, wh_read_box, (uintptr_t)&box, WH_CUDA_TYPE_CUarray, 16, 0, 0));
    }
    cuda_close(&s.session);
    expect_neighbour();
}

/* ---- code ---- */

static void false_images(void **state)
{
    struct cuda_session session;
    (void)state;
    begin(&session);
    const struct {
        uint32_t magic, version;
        uint64_t data, files;
    } wrapper = {0x466243b1, 1, session.memory, 0};
    const uint32_t fatbins[][8] = {
        {0xba55ed50, 0x00100001, 64, 0},                   /* more than arrived */
        {0xba55ed50, 0x00100001, ~0u, ~0u},                /* a size that wraps */
        {0xba55ed50, 0xffff0001, 16, 0},                   /* a header too long */
        {0xba55ed50, 0x00100001, 16, 0, 0x01010001, 8, 0}, /* an entry's header too short */
        {0xba55ed50, 0x00100001, 16, 0, 0x01010001, 16, ~0u, ~0u},
    };
    uint8_t elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    assert_int_not_equal(cuda_load(&session, &wrapper, sizeof(wrapper), 1000), 0);
    for (size_t i = 0; i < sizeof(fatbins) / sizeof(*fatbins); i++)
        assert_int_not_equal(cuda_load(&session, fatbins[i], sizeof(fatbins[i]), 1000), 0);
    assert_int_not_equal(cuda_load(&session, elf, sizeof(elf), 1000), 0);
    for (size_t i = 16; i < sizeof(elf); i++) { /* offsets and counts far beyond its end */
        memset(elf + 16, 0, sizeof(elf) - 16);
        memset(elf + i, 0x7f, sizeof(elf) - i);
        assert_int_not_equal(cuda_load(&session, elf, sizeof(elf), 1000), 0);
    }
    /* Text that does not end; a good one cut anywhere. */
    assert_int_not_equal(cuda_load(&session, cuda_ptx, 40, 1000), 0);
    char cut[1024] = "";
    for (size_t i = 1; i < strlen(cuda_ptx) - 1; i += 7) {
        (void)snprintf(cut, sizeof(cut), "%.*s", (int)i, cuda_ptx);
        cuda_load(&session, cut, i + 1, (uint32_t)(2000 + i)); /* some of them are modules */
    }
    assert_int_equal(cuda_load(&session, cuda_ptx, strlen(cuda_ptx) + 1, 1000), 0);
    cuda_close(&session);
    expect_neighbour();
}

static void lies_about_images(void **state)
{
    const struct {
        uint64_t total, at, size;
        int32_t answer;
    } parts[] = {
        {64, 1, 1, INT32_MAX},
        {64, 0, 65, INT32_MAX},
        {64, ~0ull, 2, INT32_MAX},
        {~0ull, 0, 64, CUDA_ERROR_OUT_OF_MEMORY},
        {1ull << 63, 0, 64, CUDA_ERROR_OUT_OF_MEMORY},
    };
    struct cuda_session session;
    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        begin(&session);
        assert_int_equal(
            CUDA_ASK(&session, wh_image_part, 5, parts[i].total, parts[i].at, parts[i].size, 0),
            parts[i].answer);
        if (parts[i].answer == INT32_MAX)
            expect_end(&session, "an image", "an image's pieces do not fit together");
        else
            cuda_close(&session);
    }
    /* More images on their way than anybody needs. */
    begin(&session);
    int32_t status = 0;
    for (uint64_t i = 0; i < 100 && status == 0; i++)
        status = CUDA_ASK(&session, wh_image_part, 100 + i, 1u << 30, 0, 1, 0);
    assert_int_equal(status, CUDA_ERROR_OUT_OF_MEMORY);
    /* An image that is not whole, and one that never came. */
    assert_int_equal(CUDA_ASK(&session, wh_load_module, 100, 0, 0, 0, 0, 0, 0, 0, true, 1000),
                     INT32_MAX);
    expect_end(&session, "a part of an image", "a module's image is not there");
    begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_load_library, 5, 0, 0, 0, 0, 0, 0, 0, true, 1000),
                     INT32_MAX);
    expect_end(&session, "no image", "a module's image is not there");
    expect_neighbour();
}

/* Options that hold addresses never reach the driver. */
static void addresses_in_options(void **state)
{
    static const uint32_t names[] = {CU_JIT_INFO_LOG_BUFFER,
                                     CU_JIT_ERROR_LOG_BUFFER,
                                     CU_JIT_WALL_TIME,
                                     CU_JIT_GLOBAL_SYMBOL_NAMES,
                                     CU_JIT_GLOBAL_SYMBOL_ADDRESSES,
                                     CU_JIT_REFERENCED_KERNEL_NAMES,
                                     CU_JIT_REFERENCED_VARIABLE_NAMES};
    const uint64_t address = 0x10000;
    struct cuda_session session;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        begin(&session);
        uint8_t *arena = session.shm->channel.arena;
        memcpy(arena, cuda_ptx, strlen(cuda_ptx) + 1);
        size_t size = strlen(cuda_ptx) + 1;
        assert_int_not_equal(CUDA_ASK(&session, wh_link_create, 1, (uintptr_t)&names[i],
                                      (uintptr_t)&address, 0, 0, 1000),
                             0);
        assert_int_not_equal(CUDA_ASK(&session, wh_link_add, WH_CUDA_TYPE_CUlinkState,
                                      CU_JIT_INPUT_PTX, size, 0, 0, 1, (uintptr_t)&names[i],
                                      (uintptr_t)&address),
                             0);
        assert_int_equal(CUDA_ASK(&session, wh_image_part, 5, size, 0, size, 0), 0);
        assert_int_equal(CUDA_ASK(&session, wh_load_module, 5, 1, (uintptr_t)&names[i],
                                  (uintptr_t)&address, 0, 0, 0, 0, true, 1000),
                         INT32_MAX);
        expect_end(&session, "an option", "an option of a loader may not cross");
    }
    expect_neighbour();
}

static void lies_to_the_linker(void **state)
{
    struct subject s = {.what = "a linker's input"};
    const uint64_t link = WH_CUDA_TYPE_CUlinkState;
    (void)state;
    begin(&s.session);
    uint8_t *arena = s.session.shm->channel.arena;
    for (uint64_t type = 0; type < 8; type++) {
        const uint64_t linker = 2000 + type;
        (void)snprintf(s.what, sizeof(s.what), "a linker's input of type %u", (unsigned)type);
        assert_int_equal(CUDA_ASK(&s.session, wh_link_create, 0, 0, 0, 64, 64, linker), 0);
        memset(arena, type == CU_JIT_INPUT_PTX ? 'x' : 0, 64); /* no text is a module, too */
        (void)CUDA_ASK(&s.session, wh_link_add, linker, type, 64, 0, (uintptr_t) "../../x", 0, 0,
                       0);
        memcpy(arena, "\x50\xed\x55\xba\x01\x00\x10\x00\xff\xff\xff\xff", 12);
        (void)CUDA_ASK(&s.session, wh_link_add, linker, type, 64, 0, 0, 0, 0, 0);
        expect_refused(&s, CUDA_ASK(&s.session, wh_link_complete, linker, true));
        expect_refused(&s, CUDA_ASK(&s.session, wh_link_read, linker, 0, 1, 0));
    }
    expect_refused(&s, CUDA_ASK(&s.session, wh_link_add, link, 1, 0, 0, 0, 0, 0, 0));
    expect_refused(&s, CUDA_ASK(&s.session, wh_link_read, link, 0, 64, 0)); /* nothing linked */
    expect_refused(&s, CUDA_ASK(&s.session, wh_link_create, 0, 0, 0, 1u << 31, 64, 1000));
    /* What was linked ends where it ends. */
    const size_t size = strlen(cuda_ptx) + 1;
    memcpy(arena, cuda_ptx, size);
    assert_int_equal(CUDA_ASK(&s.session, wh_link_create, 0, 0, 0, 64, 64, 1001), 0);
    assert_int_equal(CUDA_ASK(&s.session, wh_link_add, 1001, CU_JIT_INPUT_PTX, size, 0, 0, 0, 0, 0),
                     0);
    assert_int_equal(CUDA_ASK(&s.session, wh_link_complete, 1001, true), 0);
    const uint64_t linked = s.session.reply[2];
    assert_int_equal(CUDA_ASK(&s.session, wh_link_read, 1001, 0, linked, 0), 0);
    expect_refused(&s, CUDA_ASK(&s.session, wh_link_read, 1001, 1, linked, 0));
    expect_refused(&s, CUDA_ASK(&s.session, wh_link_read, 1001, ~0ull, 2, 0));
    cuda_close(&s.session);
    expect_neighbour();
}

/* ---- launches ---- */

static void absurd_launches(void **state)
{
    static const wh_cuda_grid grids[] = {
        {{0, 1, 1}, {1, 1, 1}, 0, 0},    {{1, 1, 1}, {0, 1, 1}, 0, 0},
        {{1, 1, 1}, {1025, 1, 1}, 0, 0}, {{1, 1, 1}, {1u << 31, 1u << 31, 4}, 0, 0},
        {{1, 1, 1}, {1, 1, 1}, ~0u, 0},  {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}, ~0u, ~0u},
    };
    static const uint64_t params[40];
    const uint64_t function = WH_CUDA_TYPE_CUfunction;
    struct subject s = {.what = "an absurd launch"};
    (void)state;
    begin(&s.session);
    for (size_t i = 0; i < sizeof(grids) / sizeof(*grids); i++)
        expect_refused(&s, CUDA_ASK(&s.session, wh_launch, function, 0, (uintptr_t)&grids[i], 0, 0,
                                    0, 0, 12, (uintptr_t)params));
    /* Too few parameters, too many, none at all. */
    const wh_cuda_grid grid = {.grid = {1, 1, 1}, .block = {1, 1, 1}};
    for (uint64_t size = 0; size < 12; size += 3)
        expect_refused(&s, CUDA_ASK(&s.session, wh_launch, function, 0, (uintptr_t)&grid, 0, 0, 0,
                                    0, size, (uintptr_t)params));
    /* Attributes of every kind, of zeros and of ones, and without what should lie beside them. */
    const uint64_t no_event = 0;
    for (uint32_t id = 0; id < 32; id++)
        for (int ones = 0; ones < 2; ones++) {
            CUlaunchAttribute attribute;
            memset(&attribute, ones ? 0xff : 0, sizeof(attribute));
            attribute.id = id;
            s.args[0] = (uint64_t)CUDA_ASK(&s.session, wh_launch, function, 0, (uintptr_t)&grid, 0,
                                           1, (uintptr_t)&attribute, (uintptr_t)&no_event, 12,
                                           (uintptr_t)params);
            assert_int_not_equal(s.args[0], INT32_MAX);
            expect_refused(&s, CUDA_ASK(&s.session, wh_launch, function, 0, (uintptr_t)&grid, 0, 1,
                                        (uintptr_t)&attribute, 0, 12, (uintptr_t)params));
        }
    cuda_close(&s.session);
    expect_neighbour();
}

/* ---- tokens, threads, callbacks, handles that went ---- */

static void false_tokens(void **state)
{
    struct cuda_session session;
    (void)state;
    begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_copy_to_device, session.memory, 16, 0, 0, WH_TOKENS),
                     INT32_MAX);
    expect_end(&session, "a token", "a transfer token does not exist");
    begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_copy_from_device, 16, 0, session.memory, 0, 1u << 31),
                     INT32_MAX);
    expect_end(&session, "a token", "a transfer token does not exist");
    /* Functions that nobody enqueued are done. */
    begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_host_function_done, 0), 0);
    assert_int_equal(CUDA_ASK(&session, wh_host_function_done, ~0ull), 0);
    cuda_close(&session);
    expect_neighbour();
}

static void false_threads(void **state)
{
    struct cuda_session session;
    struct cuda_letter letter;
    const uint64_t context[] = {WH_CUDA_TYPE_CUcontext};
    (void)state;
    begin(&session);
    cuda_letter(&letter, WH_CUDA_wh_set_current, context);
    letter.letter.header.thread = UINT32_MAX;
    assert_int_equal(cuda_send(&session, &letter), INT32_MAX);
    expect_end(&session, "a thread", "a thread's number is absurd");
    /* One that never said which context it has, has none. */
    begin(&session);
    cuda_letter(&letter, WH_CUDA_cuCtxSynchronize, context);
    letter.letter.header.thread = UINT32_MAX;
    assert_int_equal(cuda_send(&session, &letter), CUDA_ERROR_INVALID_CONTEXT);
    cuda_close(&session);
    expect_neighbour();
}

/* The driver's things go while ids stay: whoever uses those gets an error. */
static void things_that_went(void **state)
{
    struct subject s = {.what = "a thing that went"};
    (void)state;
    begin(&s.session);
    struct cuda_session *session = &s.session;
    /* The primary context goes under the eyes of a context of one's own. */
    assert_int_equal(CUDA_ASK(session, wh_context_create, 0, 0, 1000), 0);
    (void)CUDA_ASK(session, wh_primary_release, 0, 1000);
    (void)CUDA_ASK(session, wh_primary_release, 0, WH_CUDA_TYPE_CUcontext);
    expect_refused(&s, CUDA_ASK(session, wh_context_destroy, 1000));
    expect_refused(&s, CUDA_ASK(session, wh_context_destroy, WH_CUDA_TYPE_CUcontext));
    for (unsigned i = 0; i < wh_cuda_api.ncalls; i++) {
        const struct wh_call_desc *call = &wh_cuda_api.calls[i];
        struct cuda_letter letter;
        if (!wh_cuda_thunks[i] || call->flags & WH_CALL_RELEASE)
            continue;
        s.call = call;
        choose_arguments(&s);
        say_what(&s, "what went", WH_MAX_PARAMS);
        cuda_letter(&letter, (enum wh_cuda_call)i, s.args);
        if (cuda_send(session, &letter) == INT32_MAX) {
            expect_end(session, s.what, NULL);
            begin(session);
            (void)CUDA_ASK(session, wh_primary_reset, 0, WH_CUDA_TYPE_CUcontext);
        }
    }
    cuda_close(session);
    expect_neighbour();
}

/* Memory shared with the client, or a context, goes while the device still has work with it. */
static void memory_taken_from_under_work(void **state)
{
    const uint64_t alias = 0x210000000000, stream = WH_CUDA_TYPE_CUstream, other = 1000;
    (void)state;
    enum { ALIAS, PIECE_OF_ARENA, CONTEXT, WAYS };
    for (unsigned what = 0; what < WAYS; what++) {
        struct cuda_session session;
        struct cuda_letter letter;
        begin(&session);
        assert_int_equal(CUDA_ASK(&session, cuStreamCreate, other, CU_STREAM_NON_BLOCKING), 0);
        assert_int_equal(
            CUDA_ASK(&session, wh_host_alias, alias, 8192, 8192, CU_MEMHOSTREGISTER_DEVICEMAP), 0);
        assert_int_equal(CUDA_ASK(&session, cuMemsetD8_v2, session.memory, 0, 64), 0);
        assert_int_equal(CUDA_ASK(&session, cuStreamWaitValue32_v2, stream, session.memory, 1,
                                  CU_STREAM_WAIT_VALUE_EQ),
                         0);
        const uint64_t from = what == ALIAS ? alias : CUDA_SHARED;
        assert_int_equal(
            CUDA_ASK(&session, wh_copy_shared, session.memory + 64, from, 4000, stream), 0);
        assert_int_equal(
            CUDA_ASK(&session, wh_copy_shared, from + 64, session.memory + 64, 3900, stream), 0);
        if (what == CONTEXT)
            cuda_letter(&letter, WH_CUDA_wh_context_destroy,
                        (const uint64_t[]){WH_CUDA_TYPE_CUcontext});
        else
            cuda_letter(&letter, WH_CUDA_wh_host_unregister, &from);
        letter.letter.header.slot = WH_NO_SLOT;
        letter.letter.header.reply_room = 0;
        raw_send(session.shm, &letter.letter);
        (void)CUDA_ASK(&session, cuStreamWriteValue32_v2, other, session.memory, 1, 0);
        (void)CUDA_ASK(&session, cuStreamSynchronize, other);
        (void)CUDA_ASK(&session, cuStreamSynchronize, stream);
        assert_int_equal(CUDA_ASK(&session, cuDriverGetVersion, true), 0);
        cuda_close(&session);
    }
    expect_neighbour();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_odd),
        cmocka_unit_test(false_ids_everywhere),
        cmocka_unit_test(false_lengths_everywhere),
        cmocka_unit_test(calls_that_do_not_cross),
        cmocka_unit_test(memory_of_the_worker),
        cmocka_unit_test(hidden_addresses),
        cmocka_unit_test(kernels_stay_out),
        cmocka_unit_test(lies_of_boxes),
        cmocka_unit_test(boxes_of_no_kind),
        cmocka_unit_test(false_images),
        cmocka_unit_test(lies_about_images),
        cmocka_unit_test(addresses_in_options),
        cmocka_unit_test(lies_to_the_linker),
        cmocka_unit_test(absurd_launches),
        cmocka_unit_test(false_tokens),
        cmocka_unit_test(false_threads),
        cmocka_unit_test(things_that_went),
        cmocka_unit_test(memory_taken_from_under_work),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
