/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Malformed messages against the worker's dispatcher, with the real tables of the OpenCL
 * description and functions that only note that they were reached: every lie is refused with its
 * reason, and none gets as far as the library. Each lie is told in every call that can carry it.
 */
#include "support.h"

#include "channel/memory.h"
#include "opencl_api.h"
#include "opencl_thunks.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA  65536u
#define NEW_ID 500u

static struct {
    struct wh_memory memory;
    struct wh_worker worker;
    struct wh_backend backend;
    struct wh_pool *pool;
    wh_thunk *thunks[WH_OPENCL_NCALLS];
    const void *functions[WH_OPENCL_NCALLS];
    uint8_t *arena;
    unsigned reached;
    struct built built;
} t;

/* Any function of the library: succeeds, and makes what it is asked to make. */
static void note(struct wh_call *call, const void *functions, uint64_t *a)
{
    static uintptr_t made = 0x10000;
    (void)functions;
    t.reached++;
    a[WH_RESULT] = 0;
    if (!call)
        return;
    if (call->desc->result == WH_RESULT_NEW)
        a[WH_RESULT] = made += 64;
    for (unsigned i = 0; i < call->desc->nparams; i++)
        for (uint64_t k = 0; call->desc->params[i].kind == WH_NEWS && a[i] && k < call->n[i]; k++)
            ((uintptr_t *)a[i])[k] = made += 64;
}

static void make_table(void)
{
    if (t.worker.table)
        wh_table_free(t.worker.table);
    t.worker.table = wh_table_new();
    for (uint16_t type = 1; type < wh_opencl_api.nobjects; type++)
        assert_non_null(
            wh_table_add(t.worker.table, type, type, (void *)(uintptr_t)(0x1000u + type)));
}

static int setup(void **state)
{
    (void)state;
    t.arena = calloc(1, ARENA);
    t.pool = wh_pool_new((size_t)1 << 24);
    assert_non_null(t.arena);
    wh_memory_init(&t.memory, t.arena, ARENA, -1);
    for (unsigned i = 0; i < WH_OPENCL_NCALLS; i++) {
        t.thunks[i] = wh_opencl_thunks[i] ? note : NULL;
        t.functions[i] = t.thunks;
    }
    t.backend =
        (struct wh_backend){.api = &wh_opencl_api, .thunks = t.thunks, .functions = t.functions};
    t.worker = (struct wh_worker){.channel = &t.memory.channel, .backend = &t.backend};
    make_table();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wh_table_free(t.worker.table);
    t.worker.table = NULL;
    wh_pool_free(t.pool);
    free(t.arena);
    return 0;
}

/* Dispatches a copy that ends where the message says, so that a sanitizer sees reads behind it. */
static const char *dispatch(const struct built *built)
{
    const struct wh_message *header = (const struct wh_message *)(const void *)built->words;
    size_t room = header->size > sizeof(*header) ? header->size : sizeof(*header);
    bool leads = true;
    assert_true(room <= sizeof(built->words));
    struct wh_message *message = malloc(room);
    assert_non_null(message);
    memcpy(message, built->words, room);
    t.reached = 0;
    const char *fault = wh_worker_dispatch(&t.worker, message, t.pool, &leads);
    wh_pool_reset(t.pool);
    free(message);
    return fault;
}

static void expect_refused(const struct wh_call_desc *call, const char *lie, const char *reason)
{
    const char *fault = dispatch(&t.built);
    if (fault && strstr(fault, reason) && t.reached == 0)
        return;
    fail_msg("%s, %s: fault '%s' instead of '%s', library reached %u times", call->name, lie,
             fault ? fault : "none", reason, t.reached);
}

/* The calls that cross, one after the other; NULL at the end. */
static const struct wh_call_desc *next_call(unsigned *i)
{
    while (*i < wh_opencl_api.ncalls) {
        const struct wh_call_desc *call = &wh_opencl_api.calls[(*i)++];
        if (wh_opencl_thunks[call->number])
            return call;
    }
    return NULL;
}

static void build(const struct wh_call_desc *call)
{
    build_valid(&t.built, &wh_opencl_api, call, NEW_ID);
}

static uint64_t *word_of(unsigned param)
{
    return &t.built.words[t.built.at[param] / 8];
}

static bool is_array(const struct wh_param *p)
{
    return p->kind != WH_VALUE && p->kind != WH_HANDLE && p->kind != WH_ARENA &&
           p->kind != WH_LOCAL;
}

/* Whether a rule decides the number in the parameter's first word. */
static bool has_rule(const struct wh_param *p)
{
    return is_array(p) && p->kind != WH_STRING && p->kind != WH_PROPS;
}

/* ---- what is well-formed ---- */

static void test_valid_messages_reach_the_library(void **state)
{
    const struct wh_call_desc *call;
    unsigned wrong = 0;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));) {
        build(call);
        const char *fault = dispatch(&t.built);
        if (fault || t.reached != 1) {
            wrong++;
            print_error("%s: fault '%s', library reached %u times\n", call->name,
                        fault ? fault : "none", t.reached);
        }
        make_table();
    }
    assert_int_equal(wrong, 0);
}

static void test_valid_posts_reach_the_library(void **state)
{
    const struct wh_call_desc *call;
    unsigned wrong = 0;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));) {
        build(call);
        built_header(&t.built)->slot = WH_NO_SLOT;
        const char *fault = dispatch(&t.built);
        if (fault || t.reached != 1) {
            wrong++;
            print_error("%s: fault '%s', library reached %u times\n", call->name,
                        fault ? fault : "none", t.reached);
        }
        make_table();
    }
    assert_int_equal(wrong, 0);
}

/* NULL is the program's right for every pointer and every handle. */
static void test_nulls_reach_the_library(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));) {
        build(call);
        struct built nulls = t.built;
        uint32_t at = sizeof(struct wh_message);
        for (unsigned p = 0; p < call->nparams; p++, at += 8) {
            uint8_t kind = call->params[p].kind;
            nulls.words[at / 8] = *word_of(p);
            if (is_array(&call->params[p]))
                nulls.words[at / 8] = WH_PAYLOAD_NULL;
            else if (kind == WH_HANDLE && !(call->flags & (WH_CALL_RETAIN | WH_CALL_RELEASE)))
                nulls.words[at / 8] = WH_ID_NONE;
        }
        if (call->result == WH_RESULT_NEW) {
            nulls.words[at / 8] = NEW_ID;
            at += 8;
        }
        built_header(&nulls)->size = at;
        const char *fault = dispatch(&nulls);
        if (fault || t.reached != 1)
            fail_msg("%s with NULLs: fault '%s', library reached %u times", call->name,
                     fault ? fault : "none", t.reached);
        make_table();
    }
}

/* ---- the header ---- */

static void test_malformed_headers(void **state)
{
    const struct wh_call_desc *call = &wh_opencl_api.calls[WH_OPENCL_clFlush];
    (void)state;
    build(call);
    built_header(&t.built)->reserved = 1;
    expect_refused(call, "reserved", "header is malformed");
    build(call);
    built_header(&t.built)->reserved2 = 1;
    expect_refused(call, "second reserved", "header is malformed");
    for (uint32_t size = 0; size < sizeof(struct wh_message); size++) {
        build(call);
        built_header(&t.built)->size = size;
        expect_refused(call, "size", "header is malformed");
    }
}

static void test_call_numbers(void **state)
{
    const struct wh_call_desc *call = &wh_opencl_api.calls[WH_OPENCL_clFlush];
    (void)state;
    for (uint32_t number = 0; number <= UINT16_MAX; number++) {
        if (number < wh_opencl_api.ncalls && wh_opencl_thunks[number])
            continue;
        build(call);
        built_header(&t.built)->call = (uint16_t)number;
        expect_refused(call, "number",
                       number < wh_opencl_api.ncalls ? "does not cross" : "number is unknown");
    }
}

static void test_reply_places(void **state)
{
    const struct wh_call_desc *call = &wh_opencl_api.calls[WH_OPENCL_clGetDeviceIDs];
    static const uint32_t slots[] = {WH_SLOTS, WH_SLOTS + 1, 0x7fffffff, WH_NO_SLOT - 1};
    (void)state;
    for (unsigned i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        build(call);
        built_header(&t.built)->slot = slots[i];
        expect_refused(call, "slot", "slot does not exist");
    }
    build(call);
    built_header(&t.built)->reply_room = WH_SLOT_ROOM + 1;
    expect_refused(call, "slot's room", "more reply than its slot holds");

    uint64_t room = t.built.reply_bound;
    const uint64_t outside[] = {
        ARENA,          ARENA - room + 1,     ARENA + 1, 1ull << 32, 1ull << 63,
        UINT64_MAX - 1, UINT64_MAX - room + 1};
    for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        build(call);
        built_header(&t.built)->reply_at = outside[i];
        expect_refused(call, "reply's place", "outside of the arena");
    }
    build(call);
    built_header(&t.built)->reply_at = 0;
    built_header(&t.built)->reply_room = UINT32_MAX;
    expect_refused(call, "reply's room", "outside of the arena");
    build(call);
    built_header(&t.built)->reply_at = ARENA - room;
    assert_null(dispatch(&t.built));
}

static void test_reply_room_too_small(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (uint32_t less = 1; less <= 8; less += 7) {
            build(call);
            built_header(&t.built)->reply_room -= less;
            expect_refused(call, "reply's room", "too little room");
        }
}

/* ---- the message's length ---- */

static void test_truncated_at_every_length(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));) {
        build(call);
        for (uint32_t size = 0; size < t.built.size; size++) {
            built_header(&t.built)->size = size;
            expect_refused(call, "truncated", "");
        }
    }
}

static void test_trailing_bytes(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (uint32_t more = 1; more <= 16; more++) {
            build(call);
            memset((uint8_t *)t.built.words + t.built.size, 0, 16);
            built_header(&t.built)->size += more;
            expect_refused(call, "trailing bytes", "longer than its call");
        }
}

/* ---- parameters ---- */

static void test_lengths_that_break_their_rule(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            if (!has_rule(&call->params[p]))
                continue;
            bool bare = call->params[p].kind >= WH_OUT && call->params[p].kind != WH_NEWS;
            for (int by = -1; by <= 1; by += 2) {
                build(call);
                *word_of(p) += (uint64_t)(int64_t)by;
                /* What follows the word is misread first, where something does. */
                expect_refused(call, "length", bare ? "breaks its rule" : "");
            }
            build(call);
            *word_of(p) = WH_PAYLOAD_LENGTH;
            expect_refused(call, "longest length", "");
        }
}

/* Scalars that make a length overflow, or an array longer than any memory. */
static void test_absurd_lengths(void **state)
{
    static const uint64_t scalars[] = {UINT64_MAX, UINT64_MAX / 2, 1ull << 61,
                                       1ull << 62, UINT32_MAX,     (1u << 24) + 1};
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            const struct wh_param *param = &call->params[p];
            if (!has_rule(param) || param->length.a < 0)
                continue;
            for (unsigned k = 0; k < sizeof(scalars) / sizeof(scalars[0]); k++) {
                const struct wh_param *scalar = &call->params[param->length.a];
                uint64_t value = scalar->size == 4 ? (uint32_t)scalars[k] : scalars[k];
                if (value == 0)
                    continue;
                build(call);
                *word_of((unsigned)param->length.a) = value;
                *word_of(p) = value * param->length.scale & WH_PAYLOAD_LENGTH;
                /* Room for a result is memory of the worker's: refused by the pool, or by the
                 * reply's room. */
                expect_refused(call, "absurd length", "");
            }
        }
}

static void test_absurdly_long_arrays(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            const struct wh_param *param = &call->params[p];
            bool counted = param->kind == WH_HANDLES || param->kind == WH_NEWS ||
                           param->kind == WH_STRINGS || param->kind == WH_OUT_HANDLES;
            if (!counted || param->length.a < 0 || param->length.scale != 1)
                continue;
            build(call);
            *word_of((unsigned)param->length.a) = (1u << 24) + 1;
            *word_of(p) = (1u << 24) + 1;
            bool first = true; /* an earlier array may break its own rule first */
            for (unsigned q = 0; q < p; q++)
                first = first && !(has_rule(&call->params[q]) &&
                                   call->params[q].length.a == param->length.a);
            expect_refused(call, "long array", first ? "absurdly long" : "");
        }
    build(&wh_opencl_api.calls[WH_OPENCL_wh_create_context]);
    *word_of(0) = (1u << 24) + 1;
    expect_refused(&wh_opencl_api.calls[WH_OPENCL_wh_create_context], "long property list",
                   "absurdly long");
}

static void test_object_ids(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            const struct wh_param *param = &call->params[p];
            if (param->kind != WH_HANDLE && param->kind != WH_HANDLES)
                continue;
            uint32_t other = param->type == 1 ? 2 : 1; /* an id that exists, of another type */
            const uint64_t lies[] = {
                other,      NEW_ID,     WH_ID_WORKER_FIRST, WH_ID_WORKER_FIRST + 4095,
                UINT32_MAX, 1ull << 32, UINT64_MAX,         param->type | 1ull << 32,
                8u << 20};
            for (unsigned k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
                build(call);
                word_of(p)[param->kind == WH_HANDLES] = lies[k];
                expect_refused(call, "object id", "object id is unknown or of another type");
            }
        }
}

static void test_ids_in_structures(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            if (call->params[p].kind != WH_STRUCTS)
                continue;
            const struct wh_struct_desc *desc = &wh_opencl_api.structs[call->params[p].type];
            for (unsigned h = 0; h < desc->nhandles; h++) {
                build(call);
                uint64_t lie = NEW_ID;
                memcpy((uint8_t *)(word_of(p) + 1) + desc->handles[h].offset, &lie, sizeof(lie));
                expect_refused(call, "id in a structure",
                               "object id is unknown or of another type");
            }
        }
}

/* Bits of a payload's word that mean nothing there. */
static void test_payload_words(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            if (!is_array(&call->params[p]))
                continue;
            build(call);
            *word_of(p) |= WH_PAYLOAD_NULL;
            expect_refused(call, "NULL with a length", "word is malformed");
            for (unsigned bit = 62; call->params[p].kind == WH_STRINGS && bit < 64; bit++) {
                build(call);
                word_of(p)[1] |= 1ull << bit;
                expect_refused(call, "a text in a list", "text's word is malformed");
            }
            if (call->params[p].kind == WH_BYTES || call->params[p].kind == WH_STRING)
                continue;
            build(call);
            *word_of(p) |= WH_PAYLOAD_ARENA;
            expect_refused(call, "arena", "may not lie in the arena");
        }
}

static void test_properties(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            if (call->params[p].kind != WH_PROPS)
                continue;
            const uint64_t names[] = {0, 1, UINT64_MAX, WH_PROP_UNKNOWN | 1ull << 32};
            for (unsigned k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
                build(call);
                word_of(p)[1] = names[k];
                expect_refused(call, "property", "property is not in its list");
            }
            build(call);
            word_of(p)[1] = WH_PROP_UNKNOWN; /* allowed, but brings no value along */
            word_of(p)[2] = 1;
            expect_refused(call, "unknown property's value", "property is not in its list");
            const struct wh_names *list = &wh_opencl_api.props[call->params[p].type];
            for (unsigned k = 0; k < list->nnames; k++)
                if (list->names[k].content == WH_CONTENT_HANDLES) {
                    build(call);
                    word_of(p)[1] = (uint64_t)list->names[k].name;
                    word_of(p)[2] = NEW_ID;
                    expect_refused(call, "property's object",
                                   "object id is unknown or of another type");
                }
        }
}

static void test_strings_without_end(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            const struct wh_param *param = &call->params[p];
            if (param->kind != WH_STRING && param->kind != WH_STRINGS)
                continue;
            build(call);
            memset(word_of(p) + (param->kind == WH_STRING ? 1 : 2), 'x', 8);
            expect_refused(call, "text", "does not end with a zero byte");
        }
    build(&wh_opencl_api.calls[WH_OPENCL_wh_has_function]);
    memmove(word_of(1) + 1, word_of(1) + 2, 8); /* a text of no bytes at all */
    *word_of(1) = 0;
    built_header(&t.built)->size -= 8;
    expect_refused(&wh_opencl_api.calls[WH_OPENCL_wh_has_function], "empty text",
                   "does not end with a zero byte");
}

static void test_arena_parameters(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p < call->nparams; p++) {
            const struct wh_param *param = &call->params[p];
            if (param->kind != WH_ARENA)
                continue;
            uint64_t length = param->length.scale * (param->length.a >= 0 ? 2 : 1);
            const uint64_t offsets[] = {
                ARENA - length + 1, ARENA,          ARENA + 1,  1ull << 32,
                1ull << 63,         UINT64_MAX - 1, UINT64_MAX, UINT64_MAX - length + 1};
            for (unsigned k = 0; k < sizeof(offsets) / sizeof(offsets[0]); k++) {
                build(call);
                *word_of(p) = offsets[k];
                expect_refused(call, "arena offset", "outside of the arena");
            }
            const uint64_t sizes[] = {ARENA + 1, 1ull << 32, UINT64_MAX, UINT64_MAX - 7,
                                      UINT64_MAX / 2};
            for (unsigned k = 0; param->length.a >= 0 && k < sizeof(sizes) / sizeof(sizes[0]);
                 k++) {
                build(call);
                *word_of((unsigned)param->length.a) = sizes[k];
                *word_of(p) = 8;
                expect_refused(call, "arena length", "");
            }
        }
}

/* Payloads that the message says lie in the arena. */
static void test_payloads_in_the_arena(void **state)
{
    const struct wh_call_desc *call = &wh_opencl_api.calls[WH_OPENCL_wh_create_program];
    const uint64_t offsets[] = {ARENA - 1, ARENA, 1ull << 62, UINT64_MAX, UINT64_MAX - 1};
    (void)state;
    for (unsigned k = 0; k < sizeof(offsets) / sizeof(offsets[0]); k++) {
        build(call);
        *word_of(2) |= WH_PAYLOAD_ARENA;
        word_of(2)[1] = offsets[k];
        expect_refused(call, "payload's offset", "outside of the arena");
    }
    const uint64_t sizes[] = {ARENA + 1, 1ull << 40, WH_PAYLOAD_LENGTH};
    for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        build(call);
        *word_of(1) = sizes[k];
        *word_of(2) = sizes[k] | WH_PAYLOAD_ARENA;
        word_of(2)[1] = 0;
        expect_refused(call, "payload's length", "outside of the arena");
    }
    build(call);
    *word_of(2) |= WH_PAYLOAD_ARENA;
    word_of(2)[1] = ARENA - 2;
    assert_null(dispatch(&t.built));
    assert_int_equal(t.reached, 1);
}

/* New objects: the id must be free and one that a client may choose. The call has been made when
 * that is found. */
static void test_ids_of_new_objects(void **state)
{
    const struct wh_call_desc *call;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));)
        for (unsigned p = 0; p <= call->nparams; p++) {
            bool result = p == call->nparams;
            if (result ? call->result != WH_RESULT_NEW : call->params[p].kind != WH_NEWS)
                continue;
            const uint64_t lies[] = {
                WH_ID_NONE, 1, WH_ID_WORKER_FIRST, UINT32_MAX, 1ull << 32, UINT64_MAX, 1u << 24};
            for (unsigned k = 0; k < sizeof(lies) / sizeof(lies[0]); k++)
                for (unsigned posted = 0; posted < 2; posted++) {
                    build(call);
                    built_header(&t.built)->slot = posted ? WH_NO_SLOT : 3;
                    word_of(p)[!result] = lies[k];
                    const char *fault = dispatch(&t.built);
                    if (!fault || !strstr(fault, "new object's id is in use or out of range"))
                        fail_msg("%s: new id %llx: fault '%s'", call->name,
                                 (unsigned long long)lies[k], fault ? fault : "none");
                    make_table();
                }
        }
}

/* Any bit of any word: whatever comes of it, nothing is read or written that should not be (a
 * sanitizer looks on). */
static void test_every_single_bit(void **state)
{
    const struct wh_call_desc *call;
    unsigned refused = 0, carried_out = 0;
    (void)state;
    for (unsigned i = 0; (call = next_call(&i));) {
        build(call);
        const struct built whole = t.built;
        for (uint32_t bit = 32; bit < whole.size * 8; bit++) {
            t.built = whole;
            ((uint8_t *)t.built.words)[bit / 8] ^= (uint8_t)(1u << bit % 8);
            const char *fault = dispatch(&t.built);
            refused += fault != NULL;
            carried_out += fault == NULL;
            if (t.reached)
                make_table();
        }
    }
    assert_true(refused > 0);
    assert_true(carried_out > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_valid_messages_reach_the_library, setup, teardown),
        cmocka_unit_test_setup_teardown(test_valid_posts_reach_the_library, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nulls_reach_the_library, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reply_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reply_room_too_small, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated_at_every_length, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trailing_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lengths_that_break_their_rule, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absurd_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absurdly_long_arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_in_structures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_payload_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_properties, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strings_without_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arena_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_payloads_in_the_arena, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_of_new_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_single_bit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
