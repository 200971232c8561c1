/* SPDX-License-Identifier: Apache-2.0 */
/* The sample library and a session with it; see calls_support.h. */
#include "calls_support.h"

#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- the library ---- */

struct library lib;

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

uint64_t sum_of(const void *bytes, size_t size)
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

static sm_status lib_finish(sm_buffer buffer)
{
    (void)buffer;
    return outcome();
}

static sm_status lib_finish_all(void)
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

static sm_status lib_limit(uint32_t name, sm_buffer buffer, uint64_t *value)
{
    *value = buffer ? lib.limit + name : 0;
    if (lib.hold) {
        lib.hold = false;
        sem_post(&lib.waiting);
        sem_wait(&lib.go_on);
    }
    return outcome();
}

static sm_status lib_common(uint32_t name, uint64_t *value, uint32_t *more)
{
    if (value)
        *value = lib.limit + name;
    if (more)
        *more = name;
    return outcome();
}

static sm_status lib_set_limit(sm_buffer buffer, uint64_t value)
{
    (void)buffer;
    lib.limit = value;
    return outcome();
}

static sm_status lib_touch(uint64_t address, size_t size, uint64_t any, uint32_t *seen)
{
    (void)address;
    (void)size;
    (void)any;
    if (seen)
        *seen = 0x5ee;
    return outcome();
}

static sm_status lib_open_lane(sm_lane *lane)
{
    *lane = (sm_lane)(void *)new_thing(0);
    return outcome();
}

static sm_status lib_lane(sm_lane lane)
{
    lib.handles[0] = lane;
    return outcome();
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
    .smFinish = lib_finish,
    .smFinishAll = lib_finish_all,
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
    .smLimit = lib_limit,
    .smCommon = lib_common,
    .smSetLimit = lib_set_limit,
    .smTouch = lib_touch,
    .smOpenLane = lib_open_lane,
    .smLane = lib_lane,
};

/* ---- the session ---- */

struct life *lives;

/* Lane 1 is the one that the test opened, lane 0 none. */
static uint64_t special(struct wh_session *session, uint16_t type, uint64_t handle)
{
    (void)session;
    (void)type;
    return handle == 1 ? (uintptr_t)lib.lane : handle;
}

const struct wh_shim shim = {.api = &wh_sample_api, .dispatch = &shim, .special = special};

/* The accelerator's memory: one allocation. */
static bool reaches(struct wh_worker *worker, uint64_t address, uint64_t size)
{
    (void)worker;
    return address >= MEMORY && address - MEMORY < MEMORY_SIZE &&
           size <= MEMORY_SIZE - (address - MEMORY);
}

static void enter(struct wh_call *call)
{
    (void)call;
    lib.entered++;
}

static void unmade(struct wh_call *call)
{
    assert_true(call->beyond);
    lib.unmade++;
}

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
    if (call->flags & WH_CALL_REMEMBERED)
        return wh_client_remembered(session, call, a);
    if (number == WH_SAMPLE_smGetInfo)
        return wh_client_info(session, call, a, NULL);
    uint64_t result = wh_client_call(session, call, a);
    if (call->flags & WH_CALL_FORGETS)
        wh_client_forget_answers(session, call, a);
    return result;
}

int32_t wh_sample_unsupported(uint16_t number)
{
    (void)number;
    return wh_sample_api.unsupported;
}

struct life *new_life(void)
{
    struct wh_error error = {0};
    struct life *life = calloc(1, sizeof(*life));
    assert_non_null(life);
    pair_open(&life->pair);
    life->backend = (struct wh_backend){.api = &wh_sample_api,
                                        .thunks = wh_sample_thunks,
                                        .functions = &functions,
                                        .reaches = reaches,
                                        .enter = enter,
                                        .unmade = unmade};
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

void start_worker(struct life *life, void *(*run)(void *), void *argument)
{
    pthread_t thread;
    (void)life;
    assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
    pthread_detach(thread);
}

int open_library(void **state)
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

sm_device device(unsigned i)
{
    sm_device devices[DEVICES] = {0};
    assert_int_equal(smDevices(DEVICES, devices, NULL), 0);
    return devices[i];
}

sm_buffer buffer(void)
{
    sm_status status = 1;
    sm_buffer made = smCreate(device(0), 42, &status);
    assert_non_null(made);
    assert_int_equal(status, 0);
    return made;
}

struct wh_object *object_of(const void *handle)
{
    return wh_object_check(lives->session->objects, handle, 0);
}

int settled(void)
{
    assert_int_equal(smSync(), 0);
    return atomic_load(&lib.alive);
}

void expect_arena_empty(void)
{
    const struct wh_block *block = wh_arena_allocate(lives->session->arena, PAIR_ARENA, 64);
    assert_non_null(block);
    wh_arena_release(lives->session->arena, block);
}
