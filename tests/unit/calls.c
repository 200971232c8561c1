/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls from end to end: the client's marshaller in one thread, the worker's dispatcher in another,
 * a session's memory between them, and a library of the sample API that notes what it was given.
 * Then a worker that lies in its replies.
 */
#include "support.h"

#include "base/log.h"
#include "client/session.h"
#include "sample_messages.h"
#include "sample_thunks.h"
#include "worker/worker.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define INLINE_MOST (16u << 10) /* larger payloads go through the arena */
#define DEVICES     3u

/* ---- the library ---- */

/* An object of the library. */
struct thing {
    unsigned references;
    uint64_t size;
};

static struct {
    unsigned calls; /* of all functions but the counting ones */
    sm_scalars scalars;
    uint32_t code;
    bool was_null;
    size_t size;
    uint64_t sum; /* of the bytes seen */
    char text[64];
    unsigned strings, nulls;
    sm_region regions[4];
    sm_prop props[8];
    unsigned nprops;
    void *handles[16];
    unsigned infos, partial;
    sm_status fail; /* what the next function that may fail answers */
    struct thing *devices[DEVICES];
    _Atomic int alive;
    sem_t waiting, go_on;
} lib;

static struct thing *new_thing(uint64_t size)
{
    struct thing *thing = calloc(1, sizeof(*thing));
    assert_non_null(thing);
    thing->references = 1;
    thing->size = size;
    atomic_fetch_add(&lib.alive, 1);
    return thing;
}

static sm_status outcome(void)
{
    sm_status status = lib.fail;
    lib.fail = 0;
    lib.calls++;
    return status;
}

static uint64_t sum_of(const void *bytes, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + ((const uint8_t *)bytes)[i];
    return sum;
}

static sm_status lib_values(int8_t i8, uint8_t u8, int16_t i16, uint16_t u16, int32_t i32,
                            uint32_t u32, int64_t i64, uint64_t u64, float real, double wide,
                            sm_scalars *seen)
{
    lib.scalars = (sm_scalars){i8, u8, i16, u16, i32, u32, i64, u64, real, wide};
    if (seen)
        *seen = lib.scalars;
    return outcome();
}

static uint64_t lib_ticks(uint64_t start)
{
    lib.calls++;
    return start + 1;
}

static void lib_notify(uint32_t code)
{
    lib.calls++;
    lib.code = code;
}

static sm_status lib_fail(sm_status with)
{
    lib.calls++;
    return with;
}

static sm_status lib_sync(void)
{
    return outcome();
}

static sm_status lib_wait(uint32_t n, const sm_event *events)
{
    sem_post(&lib.waiting);
    sem_wait(&lib.go_on);
    for (uint32_t i = 0; i < n;
         i++) /* still there, though another thread released them meanwhile */
        if (((const struct thing *)events[i])->references == 0)
            return SM_BAD_EVENT;
    return 0;
}

static sm_status lib_bytes(size_t size, const void *bytes)
{
    lib.size = size;
    lib.was_null = !bytes;
    lib.sum = bytes ? sum_of(bytes, size) : 0;
    return outcome();
}

static sm_status lib_bytes_first(const void *bytes, size_t size)
{
    return lib_bytes(size, bytes);
}

static sm_status lib_texts(const char *text, uint32_t n, const char **list)
{
    lib.was_null = !text;
    lib.size = text ? strlen(text) : 0;
    lib.strings = lib.nulls = 0;
    lib.text[0] = '\0';
    for (uint32_t i = 0; list && i < n; i++) {
        lib.nulls += !list[i];
        lib.strings++;
        if (list[i] && strlen(lib.text) + strlen(list[i]) < sizeof(lib.text))
            strcat(lib.text, list[i]);
    }
    return outcome();
}

static sm_status lib_regions(uint32_t n, const sm_region *regions)
{
    lib.was_null = !regions;
    for (uint32_t i = 0; regions && i < n && i < 4; i++)
        lib.regions[i] = regions[i];
    return outcome();
}

static sm_status lib_properties(const sm_prop *list)
{
    lib.was_null = !list;
    lib.nprops = 0;
    for (; list && list[2 * lib.nprops]; lib.nprops++) {
        lib.props[2 * lib.nprops] = list[2 * lib.nprops];
        lib.props[2 * lib.nprops + 1] = list[2 * lib.nprops + 1];
    }
    return outcome();
}

/* Writes half of what it may. */
static sm_status lib_out(size_t size, void *bytes, uint32_t *written)
{
    lib.was_null = !bytes;
    if (bytes)
        memset(bytes, 0xab, size / 2);
    if (written)
        *written = (uint32_t)(size / 2);
    return outcome();
}

static sm_status lib_devices(uint32_t n, sm_device *devices, uint32_t *found)
{
    for (uint32_t i = 0; devices && i < n && i < DEVICES; i++)
        devices[i] = (sm_device)(void *)lib.devices[i];
    if (found)
        *found = DEVICES;
    return outcome();
}

static sm_status answer(const void *bytes, size_t have, size_t size, void *value, size_t *size_ret)
{
    if (value && size < have)
        return SM_BAD_VALUE;
    if (value)
        memcpy(value, bytes, have);
    if (size_ret)
        *size_ret = have;
    return 0;
}

static sm_status lib_info(sm_buffer buffer, sm_info name, size_t size, void *value,
                          size_t *size_ret)
{
    const struct thing *thing = (const struct thing *)(const void *)buffer;
    const sm_prop list[] = {SM_OWNER, (sm_prop)lib.devices[1], SM_MODE, (sm_prop)lib.devices[1], 0};
    lib.infos++;
    if (lib.fail)
        return outcome();
    switch (name) {
    case SM_PARENT:
        return answer(&lib.devices[0], sizeof(void *), size, value, size_ret);
    case SM_DEVICES:
        return answer(lib.devices, sizeof(lib.devices), size, value, size_ret);
    case SM_PROPERTIES:
        return answer(list, sizeof(list), size, value, size_ret);
    default: /* SM_ADDRESS, and names that the description does not know: an address of this process
              */
        return answer(name == SM_SIZE || name == SM_COUNT ? (const void *)&thing->size
                                                          : (const void *)&thing,
                      8, size, value, size_ret);
    }
}

static sm_buffer lib_create(sm_device device, size_t size, sm_status *error_ret)
{
    sm_status status = outcome();
    lib.handles[0] = device;
    if (error_ret)
        *error_ret = status;
    return status ? NULL : (sm_buffer)(void *)new_thing(size);
}

static sm_buffer lib_split(sm_buffer buffer, sm_status *error_ret)
{
    return lib_create((sm_device)(void *)buffer, 7, error_ret);
}

static sm_status retain(void *object)
{
    struct thing *thing = object;
    if (!thing)
        return SM_BAD_BUFFER;
    thing->references++;
    return 0;
}

static sm_status release(void *object)
{
    struct thing *thing = object;
    if (!thing)
        return SM_BAD_BUFFER;
    assert_true(thing->references > 0);
    if (--thing->references == 0) {
        atomic_fetch_sub(&lib.alive, 1);
        free(thing);
    }
    return 0;
}

static sm_status lib_retain(sm_buffer buffer)
{
    return retain(buffer);
}

static sm_status lib_release(sm_buffer buffer)
{
    return release(buffer);
}

static sm_status lib_retain_event(sm_event event)
{
    return retain(event);
}

static sm_status lib_release_event(sm_event event)
{
    return release(event);
}

static sm_status lib_use(sm_buffer buffer, sm_buffer other, uint32_t n, const sm_buffer *more,
                         sm_event *event)
{
    sm_status status = outcome();
    lib.handles[0] = buffer;
    lib.handles[1] = other;
    lib.was_null = !more;
    for (uint32_t i = 0; more && i < n && i < 8; i++)
        lib.handles[2 + i] = more[i];
    if (event && !status)
        *event = (sm_event)(void *)new_thing(0);
    return status;
}

/* Makes one less than it is asked for. */
static sm_status lib_many(sm_device device, uint32_t n, sm_buffer *buffers)
{
    sm_status status = outcome();
    (void)device;
    for (uint32_t i = 0; buffers && !status && i + lib.partial < n; i++)
        buffers[i] = (sm_buffer)(void *)new_thing(i);
    return status;
}

static sm_status lib_start(sm_buffer buffer, sm_event *event)
{
    return lib_use(buffer, NULL, 0, NULL, event);
}

sm_status wh_sample_do_move(struct wh_call *call, sm_buffer buffer, size_t size, void *bytes)
{
    (void)call;
    lib.handles[0] = buffer;
    lib.size = size;
    lib.sum = sum_of(bytes, size);
    memset(bytes, 0x11, size);
    return outcome();
}

static const struct wh_sample_functions_table functions = {
    .smValues = lib_values,
    .smTicks = lib_ticks,
    .smNotify = lib_notify,
    .smFail = lib_fail,
    .smSync = lib_sync,
    .smWait = lib_wait,
    .smBytes = lib_bytes,
    .smBytesFirst = lib_bytes_first,
    .smPostBytes = lib_bytes,
    .smTexts = lib_texts,
    .smRegions = lib_regions,
    .smProperties = lib_properties,
    .smOut = lib_out,
    .smDevices = lib_devices,
    .smGetInfo = lib_info,
    .smCreate = lib_create,
    .smSplit = lib_split,
    .smRetain = lib_retain,
    .smRelease = lib_release,
    .smRetainEvent = lib_retain_event,
    .smReleaseEvent = lib_release_event,
    .smUse = lib_use,
    .smMany = lib_many,
    .smStart = lib_start,
};

/* ---- the session ---- */

/* Sessions live as long as the process: nothing in the client ends one. */
struct life {
    struct pair pair;
    struct wh_session *session;
    struct wh_worker worker;
    struct wh_backend backend;
    struct life *next;
};

static struct life *lives; /* the newest is the one in use */

static const struct wh_shim shim = {.api = &wh_sample_api, .dispatch = &shim};

uint64_t wh_sample_invoke(uint16_t number, uint64_t *a)
{
    struct wh_session *session = lives->session;
    const struct wh_call_desc *call = &wh_sample_api.calls[number];
    if (call->flags & WH_CALL_RETAIN)
        return wh_client_retain(session, call, a);
    if (call->flags & WH_CALL_RELEASE)
        return wh_client_release(session, call, a);
    if (call->flags & WH_CALL_POST)
        return wh_client_post(session, call, a);
    if (number == WH_SAMPLE_smGetInfo)
        return wh_client_info(session, call, a, NULL);
    return wh_client_call(session, call, a);
}

int32_t wh_sample_unsupported(uint16_t number)
{
    (void)number;
    return wh_sample_api.unsupported;
}

static struct life *new_life(void)
{
    struct wh_error error = {0};
    struct life *life = calloc(1, sizeof(*life));
    assert_non_null(life);
    pair_open(&life->pair);
    life->backend = (struct wh_backend){
        .api = &wh_sample_api, .thunks = wh_sample_thunks, .functions = &functions};
    life->worker = (struct wh_worker){
        .channel = &life->pair.worker->channel, .backend = &life->backend, .table = wh_table_new()};
    life->session = wh_session_over(&shim, &life->pair.client->channel, &error);
    assert_non_null(life->session);
    life->next = lives;
    lives = life;
    return life;
}

static void *serve(void *argument)
{
    wh_worker_serve(argument);
    return NULL;
}

static void start_worker(struct life *life, void *(*run)(void *), void *argument)
{
    pthread_t thread;
    (void)life;
    assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
    pthread_detach(thread);
}

static int open_library(void **state)
{
    (void)state;
    wh_log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    sem_init(&lib.waiting, 0, 0);
    sem_init(&lib.go_on, 0, 0);
    for (unsigned i = 0; i < DEVICES; i++)
        lib.devices[i] = new_thing(0);
    struct life *life = new_life();
    start_worker(life, serve, &life->worker);
    return 0;
}

static sm_device device(unsigned i)
{
    sm_device devices[DEVICES] = {0};
    assert_int_equal(smDevices(DEVICES, devices, NULL), 0);
    return devices[i];
}

static sm_buffer buffer(void)
{
    sm_status status = 1;
    sm_buffer made = smCreate(device(0), 42, &status);
    assert_non_null(made);
    assert_int_equal(status, 0);
    return made;
}

static struct wh_object *object_of(const void *handle)
{
    return wh_object_check(lives->session->objects, handle, 0);
}

/* Things of the library that live once the worker has carried out everything sent so far. */
static int settled(void)
{
    assert_int_equal(smSync(), 0);
    return atomic_load(&lib.alive);
}

/* The whole arena is free again: nothing was left behind. */
static void expect_arena_empty(void)
{
    const struct wh_block *block = wh_arena_allocate(lives->session->arena, PAIR_ARENA, 64);
    assert_non_null(block);
    wh_arena_release(lives->session->arena, block);
}

/* ---- scalars and results ---- */

static void test_scalars(void **state)
{
    sm_scalars seen;
    (void)state;
    memset(&seen, 0xff, sizeof(seen));
    assert_int_equal(smValues(INT8_MIN, UINT8_MAX, INT16_MIN, UINT16_MAX, INT32_MIN, UINT32_MAX,
                              INT64_MIN, UINT64_MAX, -1.5f, 1e300, &seen),
                     0);
    assert_int_equal(lib.scalars.i8, INT8_MIN);
    assert_int_equal(lib.scalars.u8, UINT8_MAX);
    assert_int_equal(lib.scalars.i16, INT16_MIN);
    assert_int_equal(lib.scalars.u16, UINT16_MAX);
    assert_int_equal(lib.scalars.i32, INT32_MIN);
    assert_int_equal(lib.scalars.u32, UINT32_MAX);
    assert_true(lib.scalars.i64 == INT64_MIN);
    assert_true(lib.scalars.u64 == UINT64_MAX);
    assert_true(lib.scalars.real == -1.5f);
    assert_true(lib.scalars.wide == 1e300);
    assert_int_equal(seen.i16, INT16_MIN);
    assert_true(seen.wide == 1e300);
    assert_int_equal(smValues(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, NULL), 0);
    assert_int_equal(lib.scalars.i64, 7);
}

static void test_results(void **state)
{
    (void)state;
    assert_true(smTicks(UINT64_MAX - 1) == UINT64_MAX);
    lib.fail = -1234;
    assert_int_equal(smSync(), -1234);
    assert_int_equal(smSync(), 0);
    smNotify(99);
    assert_int_equal(smSync(), 0);
    assert_int_equal(lib.code, 99);
}

/* ---- bytes and texts ---- */

static void test_bytes(void **state)
{
    static uint8_t bytes[1u << 20];
    static const size_t sizes[] = {
        0, 1, 7, 8, 9, 2000, INLINE_MOST - 1, INLINE_MOST, INLINE_MOST + 1, sizeof(bytes)};
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 131 >> 4);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t sum = sum_of(bytes, sizes[i]);
        assert_int_equal(smBytes(sizes[i], bytes), 0);
        assert_false(lib.was_null); /* of no bytes, too */
        assert_int_equal(lib.size, sizes[i]);
        assert_true(lib.sum == sum);
        assert_int_equal(smBytesFirst(bytes, sizes[i]), 0);
        assert_int_equal(lib.size, sizes[i]);
        assert_true(lib.sum == sum);
        assert_int_equal(smPostBytes(sizes[i], bytes), 0);
        assert_int_equal(smSync(), 0);
        assert_true(lib.sum == sum);
        assert_int_equal(lib.size, sizes[i]);
    }
    assert_int_equal(smBytes(12, NULL), 0);
    assert_true(lib.was_null);
    assert_int_equal(lib.size, 12);
    expect_arena_empty();
}

static void test_bytes_that_fit_nowhere(void **state)
{
    unsigned before = lib.calls;
    uint8_t *bytes = calloc(1, PAIR_ARENA + 1);
    (void)state;
    assert_non_null(bytes);
    assert_int_equal(smBytes(PAIR_ARENA + 1, bytes), wh_sample_api.no_memory);
    assert_int_equal(lib.calls, before);
    assert_int_equal(smBytes(PAIR_ARENA, bytes), 0);
    assert_int_equal(lib.size, PAIR_ARENA);
    assert_int_equal(smBytes(SIZE_MAX, bytes), SM_BAD_VALUE);
    expect_arena_empty();
    free(bytes);
}

static void test_texts(void **state)
{
    const char *list[] = {"one", NULL, "", "four"};
    char *text = malloc(100001);
    (void)state;
    assert_non_null(text);
    assert_int_equal(smTexts("hello", 4, list), 0);
    assert_int_equal(lib.size, 5);
    assert_int_equal(lib.strings, 4);
    assert_int_equal(lib.nulls, 1);
    assert_string_equal(lib.text, "onefour");
    assert_int_equal(smTexts("", 0, list), 0);
    assert_false(lib.was_null);
    assert_int_equal(lib.size, 0);
    assert_int_equal(lib.strings, 0);
    assert_int_equal(smTexts(NULL, 4, NULL), 0);
    assert_true(lib.was_null);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    assert_int_equal(smTexts(text, 0, NULL), 0);
    assert_int_equal(lib.size, 100000);
    const char *large[] = {text, "b"}; /* lists travel in the message, which has a limit */
    assert_int_equal(smTexts(NULL, 2, large), wh_sample_api.no_memory);
    expect_arena_empty();
    free(text);
}

/* ---- handles ---- */

static void test_handles(void **state)
{
    sm_buffer a = buffer(), b = buffer();
    sm_buffer list[3] = {b, NULL, a};
    sm_event event = NULL;
    (void)state;
    assert_int_equal(smUse(a, b, 3, list, &event), 0);
    assert_non_null(event);
    assert_non_null(lib.handles[0]);
    assert_ptr_not_equal(lib.handles[0], lib.handles[1]);
    assert_ptr_equal(lib.handles[2], lib.handles[1]);
    assert_null(lib.handles[3]);
    assert_ptr_equal(lib.handles[4], lib.handles[0]);
    assert_ptr_not_equal(lib.handles[0], a); /* the worker's own, not ours */
    assert_int_equal(smUse(a, NULL, 3, NULL, NULL), 0);
    assert_null(lib.handles[1]);
    assert_true(lib.was_null);
    assert_int_equal(smUse(a, NULL, 0, list, NULL), 0);
    assert_false(lib.was_null);
    assert_int_equal(smReleaseEvent(event), 0);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(b), 0);
}

static void test_bad_handles_stay_here(void **state)
{
    sm_buffer a = buffer(), gone = buffer();
    sm_device other = device(0);
    sm_event event = NULL;
    sm_status status = 0;
    (void)state;
    assert_int_equal(smRelease(gone), 0);
    sm_buffer list[2] = {a, gone};
    unsigned before = lib.calls;
    assert_int_equal(smUse(gone, NULL, 0, NULL, &event), SM_BAD_BUFFER);
    assert_int_equal(smUse(a, gone, 0, NULL, &event), SM_BAD_VALUE); /* as the parameter says */
    assert_int_equal(smUse(a, NULL, 2, list, &event), SM_BAD_BUFFER);
    assert_int_equal(smUse((sm_buffer)(void *)other, NULL, 0, NULL, &event), SM_BAD_BUFFER);
    assert_int_equal(smUse((sm_buffer)(void *)0x1234, NULL, 0, NULL, &event), SM_BAD_BUFFER);
    assert_int_equal(smUse((sm_buffer)(void *)&status, NULL, 0, NULL, &event), SM_BAD_BUFFER);
    assert_null(smCreate((sm_device)(void *)a, 1, &status));
    assert_int_equal(status, SM_BAD_DEVICE);
    assert_null(smCreate((sm_device)(void *)a, 1, NULL));
    assert_int_equal(smRelease(gone), SM_BAD_BUFFER);
    assert_int_equal(smRetain(gone), SM_BAD_BUFFER);
    assert_int_equal(smRelease(NULL), SM_BAD_BUFFER);
    assert_null(event);
    assert_int_equal(smSync(), 0);
    assert_int_equal(lib.calls, before + 1);
    assert_int_equal(smRelease(a), 0);
}

static void test_structures(void **state)
{
    sm_buffer a = buffer();
    sm_event event;
    (void)state;
    assert_int_equal(smUse(a, NULL, 0, NULL, &event), 0);
    void *real = lib.handles[0];
    sm_region regions[3] = {
        {.kind = 7, .buffer = a, .size = 1ull << 40, .after = event}, {.kind = 8}, {.buffer = a}};
    assert_int_equal(smRegions(3, regions), 0);
    assert_int_equal(lib.regions[0].kind, 7);
    assert_true(lib.regions[0].size == 1ull << 40);
    assert_ptr_equal(lib.regions[0].buffer, real);
    assert_non_null(lib.regions[0].after);
    assert_ptr_not_equal(lib.regions[0].after, event);
    assert_null(lib.regions[1].buffer);
    assert_ptr_equal(lib.regions[2].buffer, real);
    assert_ptr_equal(regions[0].buffer, a); /* the program's are left alone */
    assert_int_equal(smRegions(2, NULL), 0);
    assert_true(lib.was_null);
    assert_int_equal(smRegions(0, regions), 0);
    assert_false(lib.was_null);
    unsigned before = lib.calls;
    regions[1].after = (sm_event)(void *)a;
    assert_int_equal(smRegions(3, regions), SM_BAD_EVENT);
    assert_int_equal(lib.calls, before);
    assert_int_equal(smReleaseEvent(event), 0);
    assert_int_equal(smRelease(a), 0);
}

static void test_properties(void **state)
{
    const sm_prop list[] = {
        SM_MODE, 5, SM_OWNER, (sm_prop)device(1), 0x999, (sm_prop)0x7fff12345678, 0};
    const sm_prop empty[] = {0};
    const sm_prop bad[] = {SM_OWNER, 0x4444, 0};
    (void)state;
    assert_int_equal(smProperties(list), 0);
    assert_int_equal(lib.nprops, 3);
    assert_int_equal(lib.props[0], SM_MODE);
    assert_int_equal(lib.props[1], 5);
    assert_int_equal(lib.props[2], SM_OWNER);
    assert_ptr_equal(lib.props[3], lib.devices[1]);
    assert_int_equal(lib.props[4],
                     WH_PROP_UNKNOWN); /* the library refuses it; its value stays here */
    assert_int_equal(lib.props[5], 0);
    assert_int_equal(smProperties(empty), 0);
    assert_false(lib.was_null);
    assert_int_equal(lib.nprops, 0);
    assert_int_equal(smProperties(NULL), 0);
    assert_true(lib.was_null);
    assert_int_equal(smProperties(bad), SM_BAD_DEVICE);
}

/* ---- results in memory ---- */

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = 0xcd;
}

static void test_out(void **state)
{
    static const uint32_t sizes[] = {0, 1, 2, 15, 1900, 2024, 5000, 65536, 1u << 20};
    uint8_t *bytes = malloc((1u << 20) + 8);
    (void)state;
    assert_non_null(bytes);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t written = 77;
        uint32_t size = sizes[i];
        fill(bytes, (size_t)size + 8);
        assert_int_equal(smOut(size, bytes, &written), 0);
        assert_false(lib.was_null);
        assert_int_equal(written, size / 2);
        for (uint32_t k = 0; k < size + 8;
             k++) /* what the library left alone comes as zeros, never as old memory */
            if (bytes[k] != (k < size / 2 ? 0xab : k < size ? 0 : 0xcd))
                fail_msg("byte %u of %u is %02x", k, size, bytes[k]);
        lib.fail = -9; /* a failed call changes nothing */
        fill(bytes, size);
        written = 77;
        assert_int_equal(smOut(size, bytes, &written), -9);
        assert_int_equal(written, 77);
        assert_true(size == 0 || bytes[0] == 0xcd);
    }
    assert_int_equal(smOut(100, NULL, NULL), 0);
    assert_true(lib.was_null);
    assert_int_equal(smOut(PAIR_ARENA + 1, bytes, NULL), wh_sample_api.no_memory);
    expect_arena_empty();
    free(bytes);
}

static void test_discovered_objects(void **state)
{
    sm_device first[5] = {0}, second[DEVICES] = {0};
    uint32_t found = 0;
    (void)state;
    first[3] = first[4] = (sm_device)(void *)0x77;
    assert_int_equal(smDevices(5, first, &found), 0);
    assert_int_equal(found, DEVICES);
    assert_int_equal(smDevices(DEVICES, second, NULL), 0);
    for (unsigned i = 0; i < DEVICES; i++) {
        assert_ptr_equal(first[i], second[i]);
        assert_true(object_of(first[i])->discovered);
        assert_ptr_equal(*(const void **)(void *)first[i],
                         &shim); /* the loader's table comes first */
    }
    assert_ptr_not_equal(first[0], first[1]);
    assert_ptr_equal(first[3], (void *)0x77); /* places that the library did not fill */
    assert_int_equal(smDevices(0, NULL, &found), 0);
}

static void test_new_objects(void **state)
{
    sm_event event = (sm_event)(void *)0x55;
    sm_buffer many[5], a = buffer();
    sm_device owner = device(0);
    sm_status status = 0;
    int before = settled();
    (void)state;
    lib.fail = -11;
    assert_int_equal(smUse(a, NULL, 0, NULL, &event), -11);
    assert_ptr_equal(event, (void *)0x55); /* a failed call leaves its places alone */
    lib.fail = -12;
    assert_null(smCreate(owner, 1, &status));
    assert_int_equal(status, -12);
    lib.partial = 2;
    assert_int_equal(smMany(owner, 5, many), 0);
    for (unsigned i = 0; i < 5; i++)
        assert_true((many[i] != NULL) == (i < 3));
    assert_int_equal(atomic_load(&lib.alive), before + 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(smRelease(many[i]), 0);
    lib.fail = -14;
    assert_int_equal(smMany(owner, 5, many), -14);
    assert_int_equal(smMany(owner, 0, many), 0);
    assert_int_equal(smMany(owner, 3, NULL), 0);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(settled(), before - 1);
}

/* ---- questions ---- */

static void test_info(void **state)
{
    sm_buffer a = buffer();
    sm_device parent = NULL, devices[DEVICES + 1] = {0};
    sm_prop list[5] = {0};
    uint64_t number = 0;
    size_t size = 0;
    (void)state;
    assert_int_equal(smGetInfo(a, SM_COUNT, sizeof(number), &number, &size), 0);
    assert_int_equal(number, 42);
    assert_int_equal(size, 8);
    assert_int_equal(smGetInfo(a, SM_COUNT, 4, &number, NULL), SM_BAD_VALUE);
    assert_int_equal(smGetInfo(a, SM_COUNT, 0, NULL, &size), 0);
    assert_int_equal(size, 8);
    assert_int_equal(smGetInfo(a, SM_COUNT, sizeof(number), &number, NULL), 0);
    assert_int_equal(smGetInfo(a, SM_PARENT, sizeof(parent), &parent, &size), 0);
    assert_ptr_equal(parent, device(0));
    size = 0;
    assert_int_equal(smGetInfo(a, SM_DEVICES, sizeof(devices), devices, &size),
                     0); /* more room than answer */
    assert_int_equal(size, DEVICES * sizeof(void *));
    for (unsigned i = 0; i < DEVICES; i++)
        assert_ptr_equal(devices[i], device(i));
    assert_null(devices[DEVICES]);
    assert_int_equal(smGetInfo(a, SM_PROPERTIES, sizeof(list), list, &size), 0);
    assert_int_equal(list[0], SM_OWNER);
    assert_ptr_equal((void *)list[1], device(1));
    assert_int_equal(list[2], SM_MODE);
    assert_int_equal(list[4], 0);
    assert_int_equal(smRelease(a), 0);
}

/* What never changes is asked for once. */
static void test_fixed_info_is_remembered(void **state)
{
    sm_buffer a = buffer(), b = buffer();
    uint64_t number;
    size_t size;
    (void)state;
    assert_int_equal(smGetInfo(a, SM_SIZE, sizeof(number), &number, NULL), 0);
    unsigned before = lib.infos;
    for (unsigned i = 0; i < 100; i++) {
        number = 0;
        assert_int_equal(smGetInfo(a, SM_SIZE, sizeof(number), &number, &size), 0);
        assert_int_equal(number, 42);
        assert_int_equal(size, 8);
        assert_int_equal(smGetInfo(a, SM_SIZE, 3, &number, NULL), SM_BAD_VALUE);
        assert_int_equal(smGetInfo(a, SM_SIZE, 0, NULL, &size), 0);
    }
    assert_int_equal(lib.infos, before);
    assert_int_equal(smGetInfo(b, SM_SIZE, sizeof(number), &number, NULL),
                     0); /* of another object: asked */
    assert_true(lib.infos > before);
    before = lib.infos;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(smGetInfo(a, SM_COUNT, sizeof(number), &number, NULL), 0);
    assert_int_equal(lib.infos, before + 10);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(b), 0);
    /* An object in the same place is asked anew. */
    sm_buffer c = buffer();
    before = lib.infos;
    assert_int_equal(smGetInfo(c, SM_SIZE, sizeof(number), &number, NULL), 0);
    assert_true(lib.infos > before);
    assert_int_equal(smRelease(c), 0);
}

/* Answers that hold addresses of the worker, or that nobody knows the meaning of, do not leave it.
 */
static void test_secret_info(void **state)
{
    static const sm_info names[] = {SM_ADDRESS, 0x999, 0, UINT32_MAX};
    sm_buffer a = buffer();
    (void)state;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint64_t value = 0x77;
        size_t size = 77;
        assert_int_equal(smGetInfo(a, names[i], sizeof(value), &value, &size), SM_BAD_VALUE);
        assert_int_equal(value, 0x77);
        assert_int_equal(size, 77);
    }
    assert_int_equal(smRelease(a), 0);
}

/* ---- lifetimes ---- */

static void test_counts_of_the_library(void **state)
{
    int before = settled();
    sm_buffer a = buffer();
    (void)state;
    assert_int_equal(smUse(a, NULL, 0, NULL, NULL), 0);
    const struct thing *thing = lib.handles[0];
    assert_int_equal(smRetain(a), 0);
    assert_int_equal(smRetain(a), 0);
    assert_int_equal(smSync(), 0);
    assert_int_equal(thing->references, 3);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smSync(), 0);
    assert_int_equal(thing->references, 1);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(settled(), before);
    assert_null(object_of(a));
}

/* A child keeps its parent, in this process and in the worker. */
static void test_children_keep_parents(void **state)
{
    int before = settled();
    sm_buffer a = buffer(), child = smSplit(a, NULL);
    (void)state;
    assert_non_null(child);
    assert_int_equal(smRelease(a), 0);
    assert_int_equal(smRelease(a), SM_BAD_BUFFER);
    assert_int_equal(settled(), before + 2);
    assert_non_null(object_of(a));
    assert_int_equal(smRelease(child), 0);
    assert_int_equal(settled(), before);
    assert_null(object_of(a));
    assert_null(object_of(child));
}

/* Asked back from its child, retained and released again, as wrappers for C++ do. */
static void test_parent_comes_back(void **state)
{
    int before = settled();
    sm_buffer a = buffer(), child = smSplit(a, NULL);
    (void)state;
    assert_int_equal(smRelease(a), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(smRetain(a), 0);
        assert_int_equal(smRetain(a), 0);
        assert_int_equal(smRelease(a), 0);
        assert_int_equal(smUse(a, child, 0, NULL, NULL), 0);
        assert_int_equal(smRelease(a), 0);
        assert_int_equal(smUse(child, a, 0, NULL, NULL), 0);
    }
    sm_buffer others[20]; /* would take a's id if it were free */
    for (unsigned i = 0; i < 20; i++)
        others[i] = buffer();
    assert_int_equal(smRelease(child), 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(smRelease(others[i]), 0);
    assert_int_equal(settled(), before);
}

static void test_ids_are_used_again(void **state)
{
    sm_buffer kept[64] = {0};
    uint32_t highest = 0;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        sm_buffer *place = &kept[i * 7 % 64];
        if (*place)
            assert_int_equal(smRelease(*place), 0);
        *place = buffer();
        uint32_t id = object_of(*place)->id;
        highest = id > highest ? id : highest;
    }
    assert_true(highest < 1024);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(smRelease(kept[i]), 0);
    assert_int_equal(smSync(), 0);
}

/* ---- errors of posts ---- */

static void test_deferred_errors(void **state)
{
    sm_buffer a = buffer();
    sm_event event = NULL;
    (void)state;
    assert_int_equal(smFail(-71), 0);
    assert_int_equal(smFail(-72), 0); /* the first one is told */
    assert_int_equal(smUse(a, NULL, 0, NULL, NULL),
                     0);                     /* not by a call that tells of nothing earlier */
    assert_int_equal(smStart(a, &event), 0); /* nor by one that made something */
    assert_non_null(event);
    assert_int_equal(smSync(), -71);
    assert_int_equal(smSync(), 0);
    assert_int_equal(smFail(-73), 0);
    lib.fail = -5;
    assert_int_equal(smSync(), -5); /* its own error first */
    assert_int_equal(smSync(), -73);
    assert_int_equal(smReleaseEvent(event), 0);
    assert_int_equal(smRelease(a), 0);
}

/* ---- the arena by hand ---- */

static void test_arena_parameter(void **state)
{
    sm_buffer a = buffer();
    const struct wh_block *block = wh_arena_allocate(lives->session->arena, 1000, 64);
    uint8_t *bytes = wh_arena_address(lives->session->arena, block);
    (void)state;
    memset(bytes, 0x42, 1000);
    uint64_t sum = sum_of(bytes, 1000);
    assert_int_equal(wh_sample_call_move(a, 1000, block->offset), 0);
    assert_true(lib.sum == sum);
    assert_int_equal(bytes[999], 0x11);
    wh_arena_release(lives->session->arena, block);
    assert_int_equal(smRelease(a), 0);
    expect_arena_empty();
}

/* ---- threads ---- */

static void *wait_for_events(void *events)
{
    return (void *)(intptr_t)smWait(80, events);
}

/* While one thread waits, others go on, and may release what it waits for: its objects stay until
 * it is back. */
static void test_blocked_call_keeps_its_objects(void **state)
{
    sm_event events[80];
    sm_buffer a = buffer();
    pthread_t thread;
    void *status;
    (void)state;
    for (unsigned i = 0; i < 80; i++)
        assert_int_equal(smUse(a, NULL, 0, NULL, &events[i]), 0);
    int before = settled();
    assert_int_equal(pthread_create(&thread, NULL, wait_for_events, events), 0);
    sem_wait(&lib.waiting);
    for (unsigned i = 0; i < 80; i++)
        assert_int_equal(smReleaseEvent(events[i]), 0);
    for (unsigned i = 0; i < 100; i++) {
        sm_buffer other = buffer(); /* takes ids that the events had */
        assert_int_equal(smRelease(other), 0);
    }
    assert_int_equal(smTicks(5), 6);
    assert_int_equal(atomic_load(&lib.alive), before);
    sem_post(&lib.go_on);
    pthread_join(thread, &status);
    assert_null(status);
    assert_int_equal(smSync(), 0);
    /* The waiting thread of the worker releases them after its reply; the next one to lead may be
     * earlier. */
    while (atomic_load(&lib.alive) != before - 80)
        sched_yield();
    assert_int_equal(smRelease(a), 0);
}

static void *work(void *argument)
{
    sm_device owner = argument;
    for (unsigned i = 0; i < 300; i++) {
        uint8_t bytes[64] = {0};
        uint64_t number = 0;
        uint32_t written = 0;
        sm_event event = NULL;
        sm_buffer a = smCreate(owner, 9, NULL), child = smSplit(a, NULL);
        if (!a || !child || smRelease(a) != 0 || smBytes(sizeof(bytes), bytes) != 0 ||
            smOut(sizeof(bytes), bytes, &written) != 0 || written != 32 ||
            smUse(child, a, 1, &a, &event) != 0 ||
            smGetInfo(child, SM_SIZE, 8, &number, NULL) != 0 || number != 7 ||
            smReleaseEvent(event) != 0 || smRelease(child) != 0 || smSync() != 0)
            return (void *)1;
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    pthread_t threads[8];
    int before = settled();
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, device(i % DEVICES)), 0);
    for (unsigned i = 0; i < 8; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(settled(), before);
    expect_arena_empty();
}

/* ---- a worker that lies ---- */

/* What the lying worker replies: words, and how many bytes it claims they are. */
struct lie {
    uint64_t words[6];
    uint32_t size;
};

static const struct lie *told;

static void *reply_with_lies(void *argument)
{
    struct life *life = argument;
    struct wh_channel *channel = life->worker.channel;
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    const char *fault = NULL;
    bool leads = false;
    while (message && channel->ops->receive(channel, &leads, message, &fault) > 0) {
        uint8_t *room = message->reply_at == WH_IN_SLOT
                            ? channel->ops->reply_room(channel, message->slot)
                            : channel->arena + message->reply_at;
        if (message->slot == WH_NO_SLOT)
            continue;
        memcpy(room, told->words, sizeof(told->words));
        channel->ops->reply(channel, message->slot, told->size);
    }
    free(message);
    return NULL;
}

static void begin_lies(const struct lie *lie)
{
    struct life *life = new_life();
    told = lie;
    start_worker(life, reply_with_lies, life);
}

static bool is_lost(void)
{
    return wh_session_lost(lives->session);
}

/* Replies that end too early end the session. */
static void test_short_replies(void **state)
{
    static const struct lie lies[] = {
        {{0}, 0},
        {{0}, 7},
        {{0, 8}, 8},
        {{0, 8}, 16},
        {{0, 1ull << 40}, 48},
        {{0, WH_PAYLOAD_LENGTH}, 48},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t bytes[16];
        uint32_t written;
        memset(bytes, 0xcd, sizeof(bytes));
        begin_lies(&lies[i]);
        assert_int_equal(smOut(8, bytes, &written), wh_sample_api.lost);
        assert_true(is_lost());
        assert_int_equal(bytes[8], 0xcd);
        assert_int_equal(smSync(), wh_sample_api.lost);
    }
    static const struct lie many = {{0, 1ull << 40, 1},
                                    24}; /* objects: counted no further than the reply goes */
    sm_device found = NULL;
    begin_lies(&many);
    assert_int_equal(smDevices(1, &found, NULL), wh_sample_api.lost);
    assert_true(is_lost());
}

/* More than was asked for: taken no further than there is room, whatever is claimed. */
static void test_long_replies(void **state)
{
    static const struct lie lies[] = {
        {{0, 24, ~0ull, ~0ull, ~0ull, WH_PAYLOAD_NULL}, 48},
        {{0, 16, ~0ull, ~0ull, 4, 4}, 48},
        {{0, 8, 1, 4, 1}, UINT32_MAX},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t bytes[32];
        memset(bytes, 0xcd, sizeof(bytes));
        begin_lies(&lies[i]);
        smOut(8, bytes, NULL);
        for (unsigned k = 8; k < sizeof(bytes); k++)
            assert_int_equal(bytes[k], 0xcd);
    }
}

/* Ids that mean nothing, or something else, become no objects. */
static void test_forged_ids(void **state)
{
    static const struct lie lies[] = {
        {{0, 2, 1, 2, 4, 2}, 48},
        {{0, 2, UINT64_MAX, WH_ID_WORKER_FIRST + 4096, 4, 2}, 48},
        {{0, 2, 1ull << 32, 8388609, 4, 2}, 48},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        sm_device devices[2] = {0};
        begin_lies(&lies[i]);
        smDevices(2, devices, NULL);
        assert_null(devices[0]);
        assert_null(devices[1]);
    }
    static const struct lie twice = {{0, 2, WH_ID_WORKER_FIRST, WH_ID_WORKER_FIRST, 4, 2}, 48};
    sm_device devices[3] = {0};
    begin_lies(&twice);
    assert_int_equal(smDevices(2, devices, NULL), 0);
    assert_non_null(devices[0]);
    assert_ptr_equal(devices[0], devices[1]);
}

/* One id for objects of two types: the second is refused. */
static void test_forged_types(void **state)
{
    static const struct lie devices_first = {{0, 1, WH_ID_WORKER_FIRST}, 24};
    sm_device found = NULL;
    (void)state;
    begin_lies(&devices_first);
    assert_int_equal(smDevices(1, &found, NULL), 0);
    assert_non_null(found);
    assert_null(
        wh_object_by_id(lives->session->objects, WH_SAMPLE_TYPE_sm_buffer, WH_ID_WORKER_FIRST));
    assert_ptr_equal(
        wh_object_by_id(lives->session->objects, WH_SAMPLE_TYPE_sm_device, WH_ID_WORKER_FIRST),
        found);
}

/* "Yes, I made it" for a status of failure, and the other way round. */
static void test_forged_news(void **state)
{
    static const struct lie made_though_failed = {{(uint64_t)-5, 1, 1}, 24};
    static const struct lie more_than_asked = {{0, 4, 1, 1, 1, 1}, 48};
    sm_buffer many[4];
    sm_event event = NULL;
    (void)state;
    begin_lies(&made_though_failed);
    assert_int_equal(smStart(NULL, &event), -5);
    assert_true(!event || object_of(event));
    begin_lies(&more_than_asked);
    memset(many, 0xcd, sizeof(many));
    assert_int_equal(smMany(NULL, 2, many), 0);
    assert_non_null(object_of(many[0]));
    assert_non_null(object_of(many[1]));
    assert_int_equal(((uint8_t *)many)[2 * sizeof(many[0])], 0xcd);
}

/* An information of any size it likes to claim. */
static void test_forged_info(void **state)
{
    static const struct lie lies[] = {
        {{0, 8, UINT64_MAX}, 24},
        {{0, 8, 1ull << 40}, 24},
        {{0, 8, UINT64_MAX - 64}, 24},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        static const struct lie made = {{1, 4, 0}, 24};
        uint64_t value[2] = {7, 7};
        begin_lies(&made);
        sm_buffer a = smCreate(NULL, 1, NULL);
        assert_non_null(a);
        told = &lies[i];
        smGetInfo(a, SM_SIZE, 8, value, NULL);
        assert_int_equal(value[1], 7);
    }
}

/* ---- the end ---- */

static void test_lost_session(void **state)
{
    struct life *life = new_life();
    sm_status status = 0;
    sm_buffer many[3] = {0};
    sm_event event = NULL;
    uint8_t *bytes = calloc(1, 100000);
    (void)state;
    assert_non_null(bytes);
    life->session->channel->ops->lose(life->session->channel, "for the test");
    assert_int_equal(smSync(), wh_sample_api.lost);
    assert_null(smCreate(NULL, 1, &status));
    assert_int_equal(status, wh_sample_api.lost);
    assert_int_equal(smFail(-1), wh_sample_api.lost);
    smNotify(1);
    assert_true(smTicks(7) == 0);
    assert_int_equal(smBytes(100000, bytes), wh_sample_api.lost);
    assert_int_equal(smOut(100000, bytes, NULL), wh_sample_api.lost);
    assert_int_equal(smStart(NULL, &event), wh_sample_api.lost);
    assert_null(event);
    assert_int_equal(smMany(NULL, 3, many), wh_sample_api.lost);
    expect_arena_empty();
    free(bytes);
}

static void *create_in_vain(void *argument)
{
    sm_buffer many[3] = {0};
    sm_status status = smMany(NULL, 3, many);
    (void)argument;
    return (void *)(uintptr_t)(status != wh_sample_api.lost || many[0] || many[1] || many[2]);
}

/* Lost while waiting: new objects that nobody confirmed are gone. */
static void test_lost_while_waiting(void **state)
{
    struct life *life = new_life();
    struct wh_channel *channel = life->worker.channel;
    struct wh_message *message = malloc(WH_MESSAGE_MAX);
    const char *fault = NULL;
    pthread_t thread;
    bool leads = false;
    void *wrong;
    (void)state;
    assert_non_null(message);
    assert_int_equal(pthread_create(&thread, NULL, create_in_vain, NULL), 0);
    assert_true(channel->ops->receive(channel, &leads, message, &fault) > 0);
    life->session->channel->ops->lose(life->session->channel, "for the test");
    pthread_join(thread, &wrong);
    assert_null(wrong);
    for (uint32_t id = 1; id < 512; id++)
        assert_null(wh_object_by_id(life->session->objects, WH_SAMPLE_TYPE_sm_buffer, id));
    free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bytes_that_fit_nowhere),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_handles),
        cmocka_unit_test(test_bad_handles_stay_here),
        cmocka_unit_test(test_structures),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_out),
        cmocka_unit_test(test_discovered_objects),
        cmocka_unit_test(test_new_objects),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_fixed_info_is_remembered),
        cmocka_unit_test(test_secret_info),
        cmocka_unit_test(test_counts_of_the_library),
        cmocka_unit_test(test_children_keep_parents),
        cmocka_unit_test(test_parent_comes_back),
        cmocka_unit_test(test_ids_are_used_again),
        cmocka_unit_test(test_deferred_errors),
        cmocka_unit_test(test_arena_parameter),
        cmocka_unit_test(test_blocked_call_keeps_its_objects),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_short_replies),
        cmocka_unit_test(test_long_replies),
        cmocka_unit_test(test_forged_ids),
        cmocka_unit_test(test_forged_types),
        cmocka_unit_test(test_forged_news),
        cmocka_unit_test(test_forged_info),
        cmocka_unit_test(test_lost_session),
        cmocka_unit_test(test_lost_while_waiting),
    };
    return cmocka_run_group_tests(tests, open_library, NULL);
}
