/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML clients that lie. Every call of the description that crosses is sent whole and spoilt, by
 * the tables: ids, lengths, values at the edges, versions that claim another size than the bytes
 * have. Each lie is an error of the API or ends its own session with the reason; none ends a worker
 * by a signal, or disturbs a neighbour. Run by meson.
 */
#include "support.h"

#include "nvml_api.h"
#include "nvml_types.h"
#include "worker/thunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern wh_thunk *const wh_nvml_thunks[];

#define UNKNOWN_OBJECT "an object id is unknown or of another type"
#define FALSE_VERSION  "a structure's version contradicts its size"
#define MOST_SLOT      2000u /* larger replies would need the arena */
#define FIRST_DEVICE   ((uint64_t)WH_ID_WORKER_FIRST)
#define FIRST_SET      1000u

static struct daemon server;
static struct wh_shm *neighbour;

/* A call with the arguments that an honest client might send. */
struct subject {
    struct wh_shm *shm;
    const struct wh_call_desc *call;
    uint64_t args[WH_MAX_PARAMS]; /* of pointers, whether they are given */
    uint32_t version[WH_MAX_PARAMS];
    unsigned starts[WH_MAX_PARAMS];
    struct letter letter;
    char what[200];
};

/* ---- messages ---- */

static bool is_scalar(uint8_t kind)
{
    return kind == WH_VALUE || kind == WH_HANDLE;
}

static uint64_t length_of(const struct wh_param *p, const uint64_t *args)
{
    uint64_t n = p->length.scale;
    if (p->length.a >= 0)
        n *= args[p->length.a];
    if (p->length.b >= 0)
        n *= args[p->length.b];
    return n;
}

/* Bytes of a structure, whatever it is: what its version claims. */
static uint32_t claim(const struct wh_param *p)
{
    return p->length.scale < 16 ? 8 : 16;
}

static void add_zeros(struct letter *letter, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes && letter->nwords < 60; done += 8)
        letter_add(letter, 0);
}

static void add_array(struct subject *s, unsigned i)
{
    const struct wh_param *p = &s->call->params[i];
    if (p->kind == WH_STRING) {
        letter_add_bytes(&s->letter, "GPU-", 5);
    } else if (p->kind == WH_VERSIONED) {
        letter_add(&s->letter, claim(p));
        letter_add(&s->letter, s->version[i]);
        add_zeros(&s->letter, claim(p) - 8);
    } else if (p->kind == WH_NEWS) {
        letter_add(&s->letter, length_of(p, s->args));
        letter_add(&s->letter, s->args[i]);
    } else {
        letter_add(&s->letter, length_of(p, s->args));
        if (p->kind == WH_BYTES)
            add_zeros(&s->letter, length_of(p, s->args));
    }
}

static void write_letter(struct subject *s)
{
    letter_begin(&s->letter, (enum wh_opencl_call)s->call->number, 0);
    for (unsigned i = 0; i < s->call->nparams; i++) {
        s->starts[i] = s->letter.nwords;
        if (is_scalar(s->call->params[i].kind))
            letter_add(&s->letter, s->args[i]);
        else if (s->args[i])
            add_array(s, i);
        else
            letter_add(&s->letter, WH_PAYLOAD_NULL);
    }
}

static bool is_length(const struct wh_call_desc *call, unsigned i)
{
    for (unsigned k = 0; k < call->nparams; k++)
        if (call->params[k].length.scale != 0 &&
            (call->params[k].length.a == (int)i || call->params[k].length.b == (int)i))
            return true;
    return false;
}

/* Returns the status, INT32_MAX when the session ended. */
static int32_t ask(struct wh_shm *shm, struct letter *letter)
{
    uint64_t reply[260];
    unsigned n = sizeof(reply) / sizeof(reply[0]);
    return raw_call(shm, letter, reply, &n) ? (int32_t)reply[0] : INT32_MAX;
}

static uint64_t new_set_id(void)
{
    static uint64_t last = FIRST_SET;
    return ++last;
}

/* An event set of the session's: each time another, since some calls end it. */
static uint64_t make_set(struct wh_shm *shm)
{
    const uint64_t id = new_set_id();
    struct letter letter;
    letter_begin(&letter, (enum wh_opencl_call)WH_NVML_nvmlEventSetCreate, 0);
    letter_add(&letter, 1);
    letter_add(&letter, id);
    assert_int_equal(ask(shm, &letter), NVML_SUCCESS);
    return id;
}

static uint64_t honest_argument(const struct subject *s, unsigned i)
{
    const struct wh_param *p = &s->call->params[i];
    switch ((enum wh_kind)p->kind) {
    case WH_HANDLE:
        return p->type == WH_NVML_TYPE_nvmlEventSet_t ? make_set(s->shm) : FIRST_DEVICE;
    case WH_VALUE:
        return is_length(s->call, i);
    case WH_NEWS:
        return new_set_id();
    default:
        return true;
    }
}

static void be_honest(struct subject *s)
{
    for (unsigned i = 0; i < s->call->nparams; i++) {
        s->version[i] = claim(&s->call->params[i]) | 1u << 24;
        s->args[i] = honest_argument(s, i);
    }
}

/* Whether an honest reply would fit. */
static bool fits(const struct subject *s)
{
    uint64_t size = 8;
    for (unsigned i = 0; i < s->call->nparams; i++)
        if (s->call->params[i].kind >= WH_OUT && s->call->params[i].kind <= WH_NEWS)
            size += 8 + (s->call->params[i].kind == WH_VERSIONED
                             ? claim(&s->call->params[i])
                             : length_of(&s->call->params[i], s->args));
    return size <= MOST_SLOT;
}

/* ---- sessions ---- */

static struct wh_shm *begin(void)
{
    struct wh_hello hello;
    struct wh_channel *channel = NULL;
    struct wh_error error = {0};
    struct subject s = {.call = &wh_nvml_api.calls[WH_NVML_nvmlDeviceGetHandleByIndex_v2]};
    uint64_t reply[8];
    unsigned n = 8;
    wh_hello_init(&hello, "nvml", wh_nvml_api.hash, 16ull << 20);
    if (wh_channel_connect(server.url, &hello, &channel, &error) < 0)
        fail_msg("no session: %s", error.text);
    be_honest(&s);
    write_letter(&s);
    assert_true(raw_call((struct wh_shm *)channel, &s.letter, reply, &n));
    assert_int_equal(reply[0], NVML_SUCCESS);
    assert_int_equal(reply[2], FIRST_DEVICE);
    return (struct wh_shm *)channel;
}

static void expect_neighbour(void)
{
    struct subject s = {.call = &wh_nvml_api.calls[WH_NVML_nvmlDeviceGetMemoryInfo]};
    be_honest(&s);
    write_letter(&s);
    assert_int_equal(ask(neighbour, &s.letter), NVML_SUCCESS);
}

/* The session ended, and it was the worker that ended it, for `why` (NULL: for whatever lie). */
static void expect_end(struct subject *s, const char *why)
{
    char reason[300], line[512];
    s->shm->channel.why[0] = '\0'; /* the waiter's own word; the worker's counts */
    raw_await_end(s->shm, reason, sizeof(reason));
    if (!strstr(reason, why ? why : "protocol violation"))
        fail_msg("%s: the session ends with '%s'", s->what, reason);
    process_expect(&server.process, 1, "ends: protocol violation", line, sizeof(line));
    raw_close(s->shm);
    s->shm = begin();
}

static void say_what(struct subject *s, const char *lie, unsigned i)
{
    (void)snprintf(s->what, sizeof(s->what), "%s with %s in %s", s->call->name, lie,
                   i < s->call->nparams ? s->call->params[i].name : "all");
}

/* Anything but a crash. */
static void send_odd(struct subject *s)
{
    write_letter(s);
    if (ask(s->shm, &s->letter) == INT32_MAX)
        expect_end(s, NULL);
}

static void send_lie(struct subject *s, const char *why)
{
    if (ask(s->shm, &s->letter) != INT32_MAX)
        fail_msg("%s: the session goes on", s->what);
    expect_end(s, why);
}

/* ---- lies ---- */

static void odd_values(struct subject *s)
{
    static const uint64_t odd[] = {2, 0x7fffffff, 0xffffffff, 1ull << 32, 1ull << 62, ~0ull};
    if (s->call->flags & WH_CALL_BLOCKS) /* it would wait that long */
        return;
    for (unsigned i = 0; i < s->call->nparams; i++)
        for (size_t k = 0; s->call->params[i].kind == WH_VALUE && k < sizeof(odd) / sizeof(*odd);
             k++) {
            be_honest(s);
            say_what(s, "an odd value", i);
            s->args[i] = odd[k];
            send_odd(s);
        }
}

static void nothing_given(struct subject *s)
{
    for (unsigned i = 0; i < s->call->nparams; i++) {
        be_honest(s);
        say_what(s, "nothing", i);
        s->args[i] = 0;
        send_odd(s);
    }
    say_what(s, "nothing", WH_MAX_PARAMS);
    memset(s->args, 0, sizeof(s->args));
    send_odd(s);
}

/* An honest message is answered. */
static void whole(struct subject *s)
{
    be_honest(s);
    say_what(s, "nothing wrong", WH_MAX_PARAMS);
    write_letter(s);
    if (fits(s) && s->letter.nwords < 60 && ask(s->shm, &s->letter) == INT32_MAX)
        fail_msg("%s: the session ends", s->what);
}

/* One lie about each object, another kind of lie each time. */
static void false_ids(struct subject *s)
{
    static const uint64_t lies[] = {500, (1ull << 32) | FIRST_DEVICE, ~0ull, FIRST_DEVICE + 100,
                                    FIRST_DEVICE - 1};
    static unsigned turn;
    for (unsigned i = 0; i < s->call->nparams; i++) {
        if (s->call->params[i].kind != WH_HANDLE)
            continue;
        be_honest(s);
        say_what(s, "a false id", i);
        s->args[i] = lies[turn++ % (sizeof(lies) / sizeof(*lies))];
        write_letter(s);
        send_lie(s, UNKNOWN_OBJECT);
        be_honest(s);
        say_what(s, "an object of another type", i);
        s->args[i] =
            s->call->params[i].type == WH_NVML_TYPE_nvmlDevice_t ? make_set(s->shm) : FIRST_DEVICE;
        write_letter(s);
        send_lie(s, UNKNOWN_OBJECT);
    }
}

/* Slots of the private table that nobody asks for are not called. */
static void other_slots(void **state)
{
    static const enum wh_nvml_call calls[] = {WH_NVML_wh_private_number, WH_NVML_wh_private_text};
    (void)state;
    struct subject s = {.shm = begin()};
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        for (uint64_t slot = 0; slot < WH_NVML_SLOTS + 10; slot += 3) {
            s.call = &wh_nvml_api.calls[calls[i]];
            be_honest(&s);
            s.args[1] = slot;
            write_letter(&s);
            int32_t answer = ask(s.shm, &s.letter);
            if (answer != NVML_ERROR_INVALID_ARGUMENT && answer != NVML_ERROR_NOT_SUPPORTED)
                fail_msg("slot %u: %d", (unsigned)slot, answer);
        }
    raw_close(s.shm);
    expect_neighbour();
}

static void false_lengths(struct subject *s)
{
    static unsigned turn;
    for (unsigned i = 0; i < s->call->nparams; i++) {
        if (is_scalar(s->call->params[i].kind))
            continue;
        be_honest(s);
        write_letter(s);
        uint64_t *word = &s->letter.words[s->starts[i]];
        const uint64_t lies[] = {WH_PAYLOAD_NULL | 1, *word + (1u << 26), WH_PAYLOAD_ARENA - 1,
                                 *word ? *word - 1 : 9, 1ull << 61};
        say_what(s, "a false length", i);
        *word = lies[turn++ % (sizeof(lies) / sizeof(*lies))];
        send_lie(s, "protocol violation");
    }
    be_honest(s);
    write_letter(s);
    say_what(s, "a word too many", WH_MAX_PARAMS);
    letter_add(&s->letter, 0);
    send_lie(s, "protocol violation");
}

/* The library believes the size in a version: it must be the size of what is there. */
static void false_version(struct subject *s, unsigned i, uint32_t version)
{
    be_honest(s);
    say_what(s, "a false version", i);
    s->version[i] = version;
    write_letter(s);
    if ((version & WH_VERSION_SIZE) == claim(&s->call->params[i]))
        send_odd(s); /* true, but of no known version */
    else
        send_lie(s, FALSE_VERSION);
}

/* Three of the lies about each structure, others each time. */
static void false_versions(struct subject *s)
{
    static const uint32_t lies[] = {
        0, 4, 8, 16, 24, 0xffffff, 2u << 24, 0xffffffff, 0x1000010, 1u << 24 | 4096, 0x7f000008};
    static unsigned turn;
    for (unsigned i = 0; i < s->call->nparams; i++) {
        if (s->call->params[i].kind != WH_VERSIONED)
            continue;
        for (unsigned k = 0; k < 3; k++)
            false_version(s, i, lies[turn++ % (sizeof(lies) / sizeof(*lies))]);
        be_honest(s);
        write_letter(s);
        say_what(s, "an empty structure", i);
        s->letter.words[s->starts[i]] = 0;
        send_lie(s, "protocol violation");
    }
}

typedef void lie(struct subject *s);

/* One session after the other: whoever ends one leaves a new one. */
static void tell_all(lie *tell)
{
    struct wh_shm *shm = begin();
    for (unsigned i = 0; i < wh_nvml_api.ncalls; i++) {
        struct subject s = {.shm = shm, .call = &wh_nvml_api.calls[i]};
        if (!wh_nvml_thunks[i])
            continue;
        tell(&s);
        shm = s.shm;
    }
    raw_close(shm);
    expect_neighbour();
}

static void whole_and_odd(void **state)
{
    (void)state;
    tell_all(whole);
    tell_all(odd_values);
    tell_all(nothing_given);
}

static void false_ids_everywhere(void **state)
{
    (void)state;
    tell_all(false_ids);
}

static void false_lengths_everywhere(void **state)
{
    (void)state;
    tell_all(false_lengths);
}

static void false_versions_everywhere(void **state)
{
    (void)state;
    tell_all(false_versions);
}

/* What the description has and the worker does not serve. */
static void calls_that_do_not_cross(void **state)
{
    (void)state;
    for (unsigned i = 0; i < wh_nvml_api.ncalls; i += 7) {
        struct subject s = {.call = &wh_nvml_api.calls[i], .what = "what does not cross"};
        if (wh_nvml_thunks[i])
            continue;
        s.shm = begin();
        letter_begin(&s.letter, (enum wh_opencl_call)i, 0);
        send_lie(&s, "a message calls a function that does not cross");
        raw_close(s.shm);
    }
    expect_neighbour();
}

static int start(void **state)
{
    (void)state;
    setenv("WORMHOLE_CUDA_LIBRARY", "softgpu", 1);
    daemon_start(&server, NULL);
    neighbour = begin();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    expect_neighbour();
    raw_close(neighbour);
    daemon_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_odd),
        cmocka_unit_test(false_ids_everywhere),
        cmocka_unit_test(false_lengths_everywhere),
        cmocka_unit_test(false_versions_everywhere),
        cmocka_unit_test(other_slots),
        cmocka_unit_test(calls_that_do_not_cross),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
