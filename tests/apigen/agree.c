/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do the generated stubs and thunks agree? Here a stub's words go straight to the thunk of the same
 * number, with no wire between, and functions in place of the real library compare what arrives
 * with what was sent. Run by run.sh; exits 1 when anything differs.
 */
#include <stdio.h>
#include <string.h>

#include "sample_messages.h"
#include "sample_thunks.h"

static int failures;
static int arrived;

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                                     \
        }                                                                   \
    } while (0)

/* What is sent and must arrive: extreme values and distinct addresses. */
static char memory[16];
#define DEVICE ((sm_device)(void *)&memory[1])
#define BUFFER ((sm_buffer)(void *)&memory[2])
#define EVENT  ((sm_event)(void *)&memory[3])
static const sm_prop sent_props[] = {SM_PARENT, 5, 0};
static const size_t sent_origin[3] = {1, 2, 3};
static sm_event sent_events[2];
static const char *sent_texts[] = {"one", "two"};
static sm_status sent_error;
static const sm_region sent_region;
static const sm_nested sent_nested;
static const sm_format sent_format;
static const sm_host sent_host;
static sm_nested taken_nested;

static sm_status fake_init(void)
{
    arrived++;
    return -7;
}

static void fake_notify(sm_uint code)
{
    arrived++;
    CHECK(code == UINT32_MAX);
}

static sm_ulong fake_ticks(void)
{
    arrived++;
    return UINT64_MAX - 1;
}

static int fake_scale(sm_float x, sm_double y, short z)
{
    arrived++;
    CHECK(x == -1.5f && y == 1e300 && z == -2);
    return INT32_MIN;
}

static signed char fake_sign(sm_i8 a8, sm_i16 a16, sm_long a64, sm_u8 b8, sm_u16 b16,
                             sm_counter b64)
{
    arrived++;
    CHECK(a8 == INT8_MIN && a16 == INT16_MIN && a64 == INT64_MIN);
    CHECK(b8 == UINT8_MAX && b16 == UINT16_MAX && b64 == UINT64_MAX);
    return -128;
}

static sm_address fake_where(sm_address address, sm_bool exact)
{
    arrived++;
    CHECK(address == &memory[4] && exact == 1);
    return &memory[5];
}

static sm_buffer fake_create(sm_device device, const sm_prop *props, size_t size, const void *data,
                             sm_status *error)
{
    arrived++;
    CHECK(device == DEVICE && props == sent_props && size == SIZE_MAX && data == memory);
    *error = -6;
    return BUFFER;
}

static sm_status fake_copy(sm_buffer src, sm_buffer dst, const size_t *origin, size_t size,
                           sm_uint num_events, const sm_event *events, sm_event *event)
{
    arrived++;
    CHECK(src == BUFFER && dst == NULL && origin == sent_origin && size == 77);
    CHECK(num_events == 2 && events == sent_events);
    *event = EVENT;
    return INT32_MAX;
}

static sm_status fake_build(const char *options, sm_uint count, const char **sources,
                            const char *const *names)
{
    arrived++;
    CHECK(!strcmp(options, "-O2") && count == 2 && sources == sent_texts && names == sent_texts);
    return 0;
}

static sm_status fake_regions(sm_uint count, const sm_region *regions, const sm_nested *nested,
                              const sm_format *formats)
{
    arrived++;
    CHECK(count == 1 && regions == &sent_region && nested == &sent_nested);
    CHECK(formats == &sent_format);
    return 0;
}

static sm_status fake_map(sm_buffer buffer, sm_callback done, void *user, sm_event *event)
{
    arrived++;
    CHECK(buffer == BUFFER && done == NULL && user == NULL);
    *event = EVENT;
    return 0;
}

static const struct wh_sample_functions_table functions = {
    .smInit = fake_init,
    .smNotify = fake_notify,
    .smTicks = fake_ticks,
    .smScale = fake_scale,
    .smSign = fake_sign,
    .smWhere = fake_where,
    .smCreateBuffer = fake_create,
    .smCopy = fake_copy,
    .smBuild = fake_build,
    .smRegions = fake_regions,
    .smMap = fake_map,
};

/* The worker's by-hand functions; each must be handed the call that the thunk got. */
static struct wh_call *const the_call = (struct wh_call *)(void *)&memory[15];

sm_status wh_sample_do_smHost(struct wh_call *call, const sm_host *host, sm_nested *nested)
{
    arrived++;
    CHECK(call == the_call && host == &sent_host && nested == &taken_nested);
    return 3;
}

sm_buffer wh_sample_do_smImport(struct wh_call *call, sm_device device, int fd, sm_status *error)
{
    arrived++;
    CHECK(call == the_call && device == DEVICE && fd == 0 && error == &sent_error);
    return BUFFER;
}

sm_status wh_sample_do_read(struct wh_call *call, sm_buffer buffer, size_t offset, size_t size,
                            void *data, sm_event *event)
{
    arrived++;
    CHECK(call == the_call && buffer == BUFFER && offset == 1 && size == 2 && !event);
    CHECK((uintptr_t)data == 0x1234500000);
    return -1;
}

void wh_sample_do_forget(struct wh_call *call, sm_ulong id)
{
    arrived++;
    CHECK(call == the_call && id == UINT64_MAX);
}

sm_event wh_sample_do_mark(struct wh_call *call, void *slot, const char *why, sm_status *error)
{
    arrived++;
    CHECK(call == the_call && (uintptr_t)slot == 64 && !strcmp(why, "late") && !error);
    return EVENT;
}

sm_uint wh_sample_do_load(struct wh_call *call, sm_float share)
{
    arrived++;
    CHECK(call == the_call && share == 0.5f);
    return UINT32_MAX;
}

/* The client's by-hand functions, so that the tables can name them; smMap crosses. */
sm_status smMap(sm_buffer buffer, sm_callback done, void *user, sm_event *event)
{
    return wh_sample_call_smMap(buffer, done, user, event);
}

sm_buffer smImport(sm_device device, int fd, sm_status *error_ret)
{
    return wh_sample_call_smImport(device, fd, error_ret);
}

sm_status smOnEvent(sm_event event, sm_callback notify, void *user)
{
    (void)event;
    (void)notify;
    (void)user;
    return 0;
}

const char *smErrorText(sm_status code)
{
    return code ? "error" : "success";
}

void *smLookUp(const char *name)
{
    (void)name;
    return NULL;
}

uint64_t wh_sample_invoke(uint16_t call, uint64_t *a)
{
    uint64_t words[WH_MAX_PARAMS + 1];

    memset(words, 0xee, sizeof words);
    memcpy(words, a, wh_sample_api.calls[call].nparams * sizeof *a);
    wh_sample_thunks[call](the_call, &functions, words);
    return words[WH_RESULT];
}

int32_t wh_sample_unsupported(uint16_t call)
{
    CHECK(wh_sample_api.calls[call].flags & WH_CALL_UNSUPPORTED);
    return wh_sample_api.unsupported;
}

static void notify(sm_event event, int status, void *user)
{
    (void)event;
    (void)status;
    (void)user;
}

static void run_values(void)
{
    CHECK(smInit() == -7);
    smNotify(UINT32_MAX);
    CHECK(smTicks() == UINT64_MAX - 1);
    CHECK(smScale(-1.5f, 1e300, -2) == INT32_MIN);
    CHECK(smSign(INT8_MIN, INT16_MIN, INT64_MIN, UINT8_MAX, UINT16_MAX, UINT64_MAX) == -128);
    CHECK(smWhere(&memory[4], 1) == &memory[5]);
    CHECK(arrived == 6);
}

static void run_pointers(void)
{
    sm_event event = NULL;

    arrived = 0;
    CHECK(smCreateBuffer(DEVICE, sent_props, SIZE_MAX, memory, &sent_error) == BUFFER);
    CHECK(sent_error == -6);
    CHECK(smCopy(BUFFER, NULL, sent_origin, 77, 2, sent_events, &event) == INT32_MAX);
    CHECK(event == EVENT);
    CHECK(smBuild("-O2", 2, sent_texts, sent_texts) == 0);
    CHECK(smRegions(1, &sent_region, &sent_nested, &sent_format) == 0);
    CHECK(arrived == 4);
}

static void run_by_hand(void)
{
    sm_event event = NULL;

    arrived = 0;
    CHECK(smMap(BUFFER, notify, memory, &event) == 0 && event == EVENT);
    CHECK(smHost(&sent_host, &taken_nested) == 3);
    CHECK(smImport(DEVICE, 9, &sent_error) == BUFFER);
    CHECK(wh_sample_call_read(BUFFER, 1, 2, 0x1234500000, NULL) == -1);
    wh_sample_call_forget(UINT64_MAX);
    CHECK(wh_sample_call_mark(64, "late", NULL) == EVENT);
    CHECK(wh_sample_call_load(0.5f) == UINT32_MAX);
    CHECK(arrived == 7);
}

static void run_unsupported(void)
{
    sm_status status = 0;

    CHECK(smNative(NULL, NULL, sent_format) == -59);
    CHECK(!smAlloc(1, &status) && status == -59);
    status = 0;
    CHECK(!smFromGraphics(1, &status) && status == -59);
    CHECK(!smFromGraphics(1, NULL));
    CHECK(smLevels(NULL) == 0);
}

static void *address_of(const char *name)
{
    for (size_t i = 0; i < wh_sample_nfunctions; i++) {
        if (!strcmp(wh_sample_functions[i].name, name))
            return wh_sample_functions[i].address;
    }
    return NULL;
}

/* In the real library: what crosses as a function, and what is by hand in the client alone. */
static bool is_looked_up(const struct wh_call_desc *desc)
{
    bool refused = (desc->flags & WH_CALL_UNSUPPORTED) && !(desc->flags & WH_CALL_HAND_CLIENT);

    return !refused && !(desc->flags & WH_CALL_MESSAGE);
}

/* The tables name what they say: numbers, names and addresses go together, in the promised orders.
 */
static void run_tables(void)
{
    for (size_t i = 0; i < wh_sample_nfunctions; i++) {
        const struct wh_function *function = &wh_sample_functions[i];
        const struct wh_call_desc *desc = &wh_sample_api.calls[function->call];

        CHECK(!strcmp(function->name, desc->name));
        CHECK(function->extension == !!(desc->flags & WH_CALL_EXTENSION));
        CHECK(!i || strcmp(function[-1].name, function->name) < 0);
    }
    for (uint16_t i = 0; i < wh_sample_api.ncalls; i++) {
        const struct wh_call_desc *desc = &wh_sample_api.calls[i];
        bool crosses = !(desc->flags & WH_CALL_UNSUPPORTED);
        const char *name = wh_sample_function_names[i];

        CHECK(desc->number == i);
        CHECK(crosses == !!wh_sample_thunks[i]);
        CHECK(!!name == is_looked_up(desc));
        CHECK(!name || !strcmp(name, desc->name));
    }
    CHECK(sizeof functions == wh_sample_api.ncalls * sizeof(void *));
    CHECK(wh_sample_dispatch[0] == address_of("smInit") && !wh_sample_dispatch[1]);
    CHECK(wh_sample_dispatch[2] == address_of("smCreateBuffer"));
    CHECK(wh_sample_dispatch[3] == address_of("smOnEvent"));
    CHECK(wh_sample_dispatch[4] == address_of("smNative") && !wh_sample_dispatch[5]);
}

/* The generator lays out structures by itself: what it says must be what the compiler does. */
static void run_layout(void)
{
    const struct wh_struct_desc *region = &wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_region];
    const struct wh_struct_desc *nested = &wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_nested];

    CHECK(wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_format].size == sizeof(sm_format));
    CHECK(wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_host].size == sizeof(sm_host));
    CHECK(region->size == sizeof(sm_region) && region->nhandles == 3);
    CHECK(region->handles[0].offset == offsetof(sm_region, buffer));
    CHECK(region->handles[2].offset == offsetof(sm_region, waits[1]));
    CHECK(nested->size == sizeof(sm_nested) && nested->nhandles == 3);
    CHECK(nested->handles[1].offset == offsetof(sm_nested, region.waits[0]));
}

int main(void)
{
    run_values();
    run_pointers();
    run_by_hand();
    run_unsupported();
    run_tables();
    run_layout();
    return failures != 0;
}
