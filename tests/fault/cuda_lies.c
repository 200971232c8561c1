/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA clients that lie. Every call of the description that crosses is sent whole and spoilt, by
 * the tables: ids of other types and other sessions, lengths, texts, offsets, addresses that are
 * the worker's own, values at the edges. Each lie is an error of the API or ends its own session
 * with the reason; none ends a worker by a signal, or disturbs a neighbour. Run by meson.
 */
#include "cuda_support.h"

#include "worker/thunk.h"

#include <stdio.h>
#include <string.h>

extern wh_thunk *const wh_cuda_thunks[];

#define UNKNOWN_OBJECT "an object id is unknown or of another type"

/* ---- every call, by the tables ---- */

/* A call with the arguments that an honest client might send. */
struct subject {
    struct cuda_liar liar;
    const struct wh_call_desc *call;
    uint64_t args[WH_MAX_PARAMS];
};

static const uint64_t some_bytes[128]; /* zeros, whatever they stand for */

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
           type == WH_CUDA_TYPE_CUmemoryPool || type == WH_CUDA_TYPE_CUlinkState ||
           type == WH_CUDA_TYPE_wh_cuda_allocation;
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
            s->args[i] = s->liar.session.memory;
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
    (void)snprintf(s->liar.what, sizeof(s->liar.what), "%s with %s in %s", s->call->name, lie,
                   i < s->call->nparams ? s->call->params[i].name : "all");
}

static void renew(struct subject *s)
{
    cuda_begin(&s->liar.session);
    choose_arguments(s);
}

/* Anything but a crash: an answer, or the session's end for a lie. Returns the status. */
static int32_t send_odd(struct subject *s, struct cuda_letter *letter)
{
    int32_t status = cuda_send(&s->liar.session, letter);
    if (status == INT32_MAX) {
        cuda_expect_end(&s->liar.session, s->liar.what, NULL);
        renew(s);
    }
    return status;
}

/* A lie that the tables see: it ends the session. */
static void send_lie(struct subject *s, struct cuda_letter *letter, const char *why)
{
    if (cuda_send(&s->liar.session, letter) != INT32_MAX)
        fail_msg("%s: the session goes on", s->liar.what);
    cuda_expect_end(&s->liar.session, s->liar.what, why);
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
        cuda_close(&s.liar.session);
    }
    cuda_expect_neighbour();
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
    assert_int_equal(CUDA_ASK(&cuda_neighbour, cuEventCreate, 500, 0), 0);
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
        cuda_open(&session, &cuda_server);
        cuda_letter(&letter, (enum wh_cuda_call)i, args);
        assert_int_equal(cuda_send(&session, &letter), INT32_MAX);
        cuda_expect_end(&session, wh_cuda_api.calls[i].name,
                        "a message calls a function that does not cross");
    }
    cuda_expect_neighbour();
}

static void foreign_addresses(struct subject *s)
{
    uint64_t places[CUDA_MOST_PLACES];
    struct cuda_letter letter;
    unsigned n = cuda_find_places(s->liar.session.worker, places);
    for (unsigned i = 0; i < s->call->nparams; i++) {
        if (s->call->params[i].kind != WH_MEMORY)
            continue;
        for (unsigned k = 0; k < n; k++) {
            say_what(s, "the worker's address", i);
            (void)snprintf(s->liar.what + strlen(s->liar.what), 40, ": %#llx",
                           (unsigned long long)places[k]);
            s->args[i] = places[k];
            cuda_letter(&letter, (enum wh_cuda_call)s->call->number, s->args);
            cuda_expect_refused(&s->liar, cuda_send(&s->liar.session, &letter));
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
                fail_msg("%s: %#llx succeeds", s->liar.what, (unsigned long long)lengths[k]);
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

/* ---- tokens, threads, callbacks, handles that went ---- */

static void false_tokens(void **state)
{
    struct cuda_session session;
    (void)state;
    cuda_begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_copy_to_device, session.memory, 16, 0, 0, WH_TOKENS),
                     INT32_MAX);
    cuda_expect_end(&session, "a token", "a transfer token does not exist");
    cuda_begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_copy_from_device, 16, 0, session.memory, 0, 1u << 31),
                     INT32_MAX);
    cuda_expect_end(&session, "a token", "a transfer token does not exist");
    /* A function that is never done: its stream waits, and the session ends all the same. */
    cuda_begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_host_function, 0, 7), 0);
    assert_int_equal(CUDA_ASK(&session, wh_stream_callback, 0, 7), 0);
    cuda_close(&session);
    cuda_expect_neighbour();
}

static void false_places(void **state)
{
    static const char why[] = "a place for big copies does not exist";
    struct cuda_session session;
    (void)state;
    cuda_begin(&session);
    assert_int_equal(
        CUDA_ASK(&session, wh_stage_to_device, session.memory, 16, 0, 0, WH_CUDA_STAGE_PLACES, 1),
        INT32_MAX);
    cuda_expect_end(&session, "a place", why);
    cuda_begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_stage_from_device, 16, 0, session.memory, 0, ~0u, 1),
                     INT32_MAX);
    cuda_expect_end(&session, "a place", why);
    cuda_begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_stage_wait, WH_CUDA_STAGE_PLACES), INT32_MAX);
    cuda_expect_end(&session, "a place", why);
    /* One that opened none has none; one that opened some keeps to them. */
    cuda_open(&session, &cuda_server);
    assert_int_equal(CUDA_ASK(&session, wh_stage_wait, 0), INT32_MAX);
    cuda_expect_end(&session, "a place", why);
    cuda_begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_stage_open, 64 << 10, 0), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(CUDA_ASK(&session, wh_stage_open, 64 << 10, CUDA_STAGES + 8),
                     CUDA_ERROR_INVALID_VALUE);
    /* The same place again and again, with any number; waiting for what is done. */
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(
            CUDA_ASK(&session, wh_stage_to_device, session.memory, 4096, CUDA_STAGES, 0, 3, i / 2),
            0);
    assert_int_equal(CUDA_ASK(&session, wh_stage_wait, 3), 0);
    assert_int_equal(CUDA_ASK(&session, wh_stage_wait, 4), 0);
    assert_int_equal(CUDA_ASK(&session, wh_stage_look), 0);
    cuda_close(&session);
    cuda_expect_neighbour();
}

/* What a copy names was freed while it was on its way: it is not made, and the client, which waits
 * for its token or place, is told. */
static void copies_of_what_went(void **state)
{
    struct cuda_session session;
    (void)state;
    cuda_begin(&session);
    const struct wh_segment *segment = session.shm->segment;
    const uint64_t gone = session.memory;
    const _Atomic uint32_t *places = (const void *)(session.shm->channel.arena + CUDA_STAGES);
    assert_int_equal(CUDA_ASK(&session, cuMemFree_v2, gone), 0);
    assert_int_equal(CUDA_ASK(&session, wh_copy_to_device, gone, 16, 0, 0, 5),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(atomic_load(&segment->tokens[5]), WH_TOKEN_BROKEN);
    assert_int_equal(CUDA_ASK(&session, wh_copy_from_device, 16, 0, gone, 0, 6),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(atomic_load(&segment->tokens[6]), WH_TOKEN_BROKEN);
    assert_int_equal(CUDA_ASK(&session, wh_stage_to_device, gone, 16, CUDA_STAGES + 4096, 0, 3, 77),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(atomic_load(&places[3]), 77);
    assert_int_equal(
        CUDA_ASK(&session, wh_stage_from_device, 16, CUDA_STAGES + 4096, gone, 0, 4, 78),
        CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(atomic_load(&places[4]), 78);
    /* And it names no more than others may. */
    assert_int_equal(CUDA_ASK(&session, wh_copy_to_device, gone, 16, 0, 0, WH_TOKENS), INT32_MAX);
    cuda_expect_end(&session, "a token", "a transfer token does not exist");
    cuda_begin(&session);
    assert_int_equal(
        CUDA_ASK(&session, wh_stage_to_device, 4096, 16, 0, 0, WH_CUDA_STAGE_PLACES, 1), INT32_MAX);
    cuda_expect_end(&session, "a place", "a place for big copies does not exist");
    cuda_expect_neighbour();
}

static void false_threads(void **state)
{
    struct cuda_session session;
    struct cuda_letter letter;
    const uint64_t context[] = {WH_CUDA_TYPE_CUcontext};
    (void)state;
    cuda_begin(&session);
    cuda_letter(&letter, WH_CUDA_wh_set_current, context);
    letter.letter.header.thread = UINT32_MAX;
    assert_int_equal(cuda_send(&session, &letter), INT32_MAX);
    cuda_expect_end(&session, "a thread", "a thread's number is absurd");
    /* One that never said which context it has, has none. */
    cuda_begin(&session);
    cuda_letter(&letter, WH_CUDA_cuCtxSynchronize, context);
    letter.letter.header.thread = UINT32_MAX;
    assert_int_equal(cuda_send(&session, &letter), CUDA_ERROR_INVALID_CONTEXT);
    cuda_close(&session);
    cuda_expect_neighbour();
}

/* The driver's things go while ids stay: whoever uses those gets an error. */
static void things_that_went(void **state)
{
    struct subject s = {.liar.what = "a thing that went"};
    (void)state;
    cuda_begin(&s.liar.session);
    struct cuda_session *session = &s.liar.session;
    /* The primary context goes under the eyes of a context of one's own. */
    assert_int_equal(CUDA_ASK(session, wh_context_create, 0, 0, 1000), 0);
    (void)CUDA_ASK(session, wh_primary_release, 0, 1000);
    (void)CUDA_ASK(session, wh_primary_release, 0, WH_CUDA_TYPE_CUcontext);
    cuda_expect_refused(&s.liar, CUDA_ASK(session, wh_context_destroy, 1000));
    cuda_expect_refused(&s.liar, CUDA_ASK(session, wh_context_destroy, WH_CUDA_TYPE_CUcontext));
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
            cuda_expect_end(session, s.liar.what, NULL);
            cuda_begin(session);
            (void)CUDA_ASK(session, wh_primary_reset, 0, WH_CUDA_TYPE_CUcontext);
        }
    }
    cuda_close(session);
    cuda_expect_neighbour();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_odd),
        cmocka_unit_test(false_ids_everywhere),
        cmocka_unit_test(false_lengths_everywhere),
        cmocka_unit_test(calls_that_do_not_cross),
        cmocka_unit_test(memory_of_the_worker),
        cmocka_unit_test(false_tokens),
        cmocka_unit_test(false_places),
        cmocka_unit_test(copies_of_what_went),
        cmocka_unit_test(false_threads),
        cmocka_unit_test(things_that_went),
    };
    return cmocka_run_group_tests(tests, cuda_server_start, cuda_server_stop);
}
