/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do the generated stubs and thunks agree? Here a stub's words go straight to the thunk of the same
 * number, with no wire between, and functions in place of the real library compare what arrives
 * with what was sent. Run by run.sh; exits 1 when anything differs.
 */
#include <stdio.h>
#include <string.h>

#include "sample_messages.h"
#include "sample_params.h"
#include "sample_thunks.h"
#include "shim/sample/entry.h"

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
static sm_operation sent_operation;
static sm_value sent_values[2];

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

static sm_status fake_copy_memory(sm_counter dst, sm_counter src, size_t size, uint64_t word,
                                  unsigned long any)
{
    arrived++;
    CHECK(dst == UINT64_MAX && src == 2 && size == 3 && word == 4 && any == 5);
    return 6;
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
    .smCopyMemory = fake_copy_memory,
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

sm_status wh_sample_do_smOperate(struct wh_call *call, const sm_operation *operation,
                                 const sm_value *values)
{
    arrived++;
    CHECK(call == the_call && operation == &sent_operation && values == sent_values);
    return 4;
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

/* The client's by-hand functions, so that the tables can name them; smMap crosses. Those that
 * return the status have entries. */
sm_status wh_sample_own_smMap(sm_buffer buffer, sm_callback done, void *user, sm_event *event);
sm_status wh_sample_own_smOnEvent(sm_event event, sm_callback done, void *user);
sm_status wh_sample_own_smPick(sm_region region, sm_device *devices, sm_uint num_devices,
                               void **place, const sm_nested *wish, sm_usage *usage);

sm_status wh_sample_own_smMap(sm_buffer buffer, sm_callback done, void *user, sm_event *event)
{
    return wh_sample_call_smMap(buffer, done, user, event);
}

sm_buffer smImport(sm_device device, int fd, sm_status *error_ret)
{
    return wh_sample_call_smImport(device, fd, error_ret);
}

sm_status wh_sample_own_smOnEvent(sm_event event, sm_callback notify, void *user)
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

sm_status wh_sample_own_smPick(sm_region region, sm_device *devices, sm_uint num_devices,
                               void **place, const sm_nested *wish, sm_usage *usage)
{
    (void)region, (void)devices, (void)num_devices, (void)place, (void)wish, (void)usage;
    return 0;
}

void *smLookUp(const char *name)
{
    (void)name;
    return NULL;
}

/* Who observes calls: each frame is its call's own, and ends once. */
static bool observing;
static int began, ended;
static struct wh_sample_frame last; /* that began */
static sm_status last_result;

bool wh_sample_observing(void)
{
    return observing;
}

void wh_sample_call_begins(struct wh_sample_frame *frame, uint16_t number, const void *params)
{
    *frame = last = (struct wh_sample_frame){.number = number, .params = params};
    began++;
}

sm_status wh_sample_call_ends(struct wh_sample_frame *frame, sm_status result)
{
    CHECK(frame->number == last.number && frame->params == last.params);
    ended++;
    last_result = result;
    return result;
}

/* How often a variant was entered and left, and whether the last call came from inside of one. */
static int variants_entered, variants_left, inside;

uint64_t wh_sample_invoke(uint16_t call, uint64_t *a)
{
    uint64_t words[WH_MAX_PARAMS + 1];

    inside = variants_entered - variants_left;
    memset(words, 0xee, sizeof words);
    memcpy(words, a, wh_sample_api.calls[call].nparams * sizeof *a);
    wh_sample_thunks[call](the_call, &functions, words);
    return words[WH_RESULT];
}

void wh_sample_variant_enter(void)
{
    CHECK(variants_entered == variants_left);
    variants_entered++;
}

void wh_sample_variant_leave(void)
{
    variants_left++;
}

int32_t wh_sample_unsupported(uint16_t call)
{
    CHECK(wh_sample_api.calls[call].flags & WH_CALL_UNSUPPORTED);
    return wh_sample_api.unsupported;
}

int32_t wh_sample_refused(uint16_t call, int32_t error)
{
    CHECK(wh_sample_api.calls[call].flags & WH_CALL_UNSUPPORTED);
    return error - 100;
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

/* Each variant enters, does what its function does, and leaves. */
static void run_variants(void)
{
    arrived = 0;
    CHECK(smCopyMemoryPerThread(UINT64_MAX, 2, 3, 4, 5) == 6);
    CHECK(variants_entered == 1 && variants_left == 1 && arrived == 1 && inside);
    smNotifyPerThread(UINT32_MAX);
    CHECK(variants_entered == 2 && variants_left == 2 && arrived == 2 && inside);
    smReset2(DEVICE);
    CHECK(variants_entered == 3 && variants_left == 3 && arrived == 2);
    CHECK(smCopyMemory(UINT64_MAX, 2, 3, 4, 5) == 6 && variants_entered == 3 && !inside);
    CHECK(smOperate(&sent_operation, sent_values) == 4 && arrived == 4);
}

static void run_unsupported(void)
{
    sm_status status = 0;

    CHECK(smNative(NULL, NULL, sent_format) == -59);
    CHECK(smSetUsage(DEVICE, NULL) == SM_INVALID_VALUE - 100);
    CHECK(!smAlloc(1, &status) && status == -59);
    status = 0;
    CHECK(!smFromGraphics(1, &status) && status == -59);
    CHECK(!smFromGraphics(1, NULL));
    CHECK(smLevels(NULL) == 0);
}

/* An entry that is observed tells of arguments and result, and does what it does else. */
static void run_observed(void)
{
    static union {
        struct wh_sample_params_smCopy copy;
        struct wh_sample_params_smCopyMemory memory;
    } seen;
    sm_event event = NULL;

    CHECK(began == 0);
    observing = true;
    CHECK(smCopy(BUFFER, NULL, sent_origin, 77, 2, sent_events, &event) == INT32_MAX);
    CHECK(began == 1 && ended == 1 && last.number == WH_SAMPLE_smCopy && event == EVENT);
    CHECK(last_result == INT32_MAX);
    CHECK(smInit() == -7 && last.number == WH_SAMPLE_smInit && !last.params);
    CHECK(smMap(BUFFER, notify, memory, &event) == 0 && last.number == WH_SAMPLE_smMap);
    CHECK(smNative(NULL, NULL, sent_format) == -59 && last_result == -59);
    variants_entered = variants_left = 0;
    CHECK(smCopyMemoryPerThread(UINT64_MAX, 2, 3, 4, 5) == 6);
    CHECK(last.number == WH_SAMPLE_smCopyMemory && variants_left == 1);
    CHECK(began == 5 && ended == 5);
    smNotify(UINT32_MAX); /* has no status to tell of */
    CHECK(began == 5);
    observing = false;
    CHECK(sizeof(seen.copy) == 7 * 8 && offsetof(struct wh_sample_params_smCopy, events) == 40);
    CHECK(sizeof(seen.memory) == 5 * 8);
}

static void *address_of(const char *name)
{
    for (size_t i = 0; i < wh_sample_nfunctions; i++) {
        if (!strcmp(wh_sample_functions[i].name, name))
            return wh_sample_functions[i].address;
    }
    return NULL;
}

/* A second name of the function `name`, by the names of the sample's. */
static bool is_variant(const char *variant, const char *name)
{
    size_t length = strlen(name);

    return !strncmp(variant, name, length) &&
           (!strcmp(variant + length, "PerThread") || !strcmp(variant + length, "2"));
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

        CHECK(!strcmp(function->name, desc->name) || is_variant(function->name, desc->name));
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
    CHECK(wh_sample_dispatch[6] == address_of("smNotifyPerThread") && wh_sample_dispatch[6]);
}

/* The generator lays out structures by itself: what it says must be what the compiler does. */
static void run_layout(void)
{
    const struct wh_struct_desc *region = &wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_region];
    const struct wh_struct_desc *nested = &wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_nested];
    const struct wh_struct_desc *operation = &wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_operation];

    CHECK(wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_format].size == sizeof(sm_format));
    CHECK(wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_host].size == sizeof(sm_host));
    CHECK(region->size == sizeof(sm_region) && region->nhandles == 3);
    CHECK(region->handles[0].offset == offsetof(sm_region, buffer));
    CHECK(region->handles[2].offset == offsetof(sm_region, waits[1]));
    CHECK(nested->size == sizeof(sm_nested) && nested->nhandles == 3);
    CHECK(nested->handles[1].offset == offsetof(sm_nested, region.waits[0]));
    CHECK(wh_sample_api.structs[WH_SAMPLE_STRUCT_sm_value].size == sizeof(sm_value));
    CHECK(operation->size == sizeof(sm_operation) && operation->nhandles == 1);
    CHECK(operation->handles[0].offset == offsetof(sm_operation, paint.target));
}

/* What is said of memory, kept answers and special handles is in the tables. */
static void run_marks(void)
{
    const struct wh_call_desc *copy = &wh_sample_api.calls[WH_SAMPLE_smCopyMemory];
    static const struct wh_length lengths[] = {
        {2, -1, 1}, {2, -1, 2}, {0}, {-1, -1, 4}, {-1, -1, 0}};

    for (unsigned i = 0; i < copy->nparams; i++) {
        const struct wh_length *length = &copy->params[i].length;

        CHECK(copy->params[i].kind == (i == 2 ? WH_VALUE : WH_MEMORY));
        CHECK(i == 2 || (length->scale == lengths[i].scale &&
                         (!length->scale || (length->a == lengths[i].a && length->b == -1))));
    }
    const struct wh_param *usage = &wh_sample_api.calls[WH_SAMPLE_smGetUsage].params[1];

    CHECK(usage->kind == WH_VERSIONED && usage->length.scale == sizeof(sm_usage));
    CHECK(usage->length.a == -1 && usage->invalid == SM_INVALID_VALUE);
    CHECK(wh_sample_api.calls[WH_SAMPLE_smGetLimit].flags == WH_CALL_REMEMBERED);
    CHECK(wh_sample_api.calls[WH_SAMPLE_smSetLimit].flags == WH_CALL_FORGETS);
    CHECK(wh_sample_api.calls[WH_SAMPLE_smSetLimit].since_major == 1);
    CHECK(wh_sample_api.calls[WH_SAMPLE_smSetLimit].since_minor == 2);
    CHECK(wh_sample_api.objects[WH_SAMPLE_TYPE_sm_event].special);
    CHECK(!wh_sample_api.objects[WH_SAMPLE_TYPE_sm_buffer].special);
}

int main(void)
{
    run_values();
    run_pointers();
    run_by_hand();
    run_unsupported();
    run_variants();
    run_tables();
    run_layout();
    run_marks();
    run_observed();
    return failures != 0;
}
