/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the worker as a hostile NVML client would: an input is a sequence of messages, carried out
 * by the dispatcher, the thunks and the NVML backend, over a library that fills all that it may. A
 * fault ends the session, as in life. The first byte of an input says whether the library knows of
 * processes.
 */
#include "generate.h"

#include "backend/nvml/backend.h"
#include "base/log.h"
#include "channel/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA        (64u << 10)
#define MOST_SCRATCH ((size_t)8 << 20)
#define ACCOUNTS     4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static struct nvmlDevice_st {
    int number;
} gpus[3]; /* the last one is not shown */

static struct {
    struct wh_memory memory;
    struct wh_worker worker;
    struct wh_backend backend;
    struct wh_nvml_state state;
    struct wh_account accounts[ACCOUNTS];
    struct wh_pool *pool;
} harness;

static const void *const *thunks(void)
{
    return (const void *const *)(const void *)wh_nvml_thunks;
}

/* ---- the library ---- */

/* Everything that a device's handle may be. */
static void check_device(nvmlDevice_t device)
{
    if (device && (device < gpus || device >= gpus + 2))
        abort();
}

static nvmlReturn_t refuse(void)
{
    return NVML_ERROR_NOT_SUPPORTED;
}

/* Any function of a device and a structure that says its version: believes the size, as the real
 * ones do. */
static nvmlReturn_t fill_versioned(nvmlDevice_t device, void *structure)
{
    unsigned version;
    check_device(device);
    if (!structure)
        return NVML_ERROR_INVALID_ARGUMENT;
    memcpy(&version, structure, sizeof(version));
    memset((char *)structure + sizeof(version), 0x5a, (version & 0xffffff) - sizeof(version));
    return NVML_SUCCESS;
}

/* Any function of a device, a text and its room. */
static nvmlReturn_t fill_text(nvmlDevice_t device, char *text, unsigned length)
{
    check_device(device);
    if (!text || length == 0)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memset(text, 'x', length);
    text[length - 1] = '\0';
    return NVML_SUCCESS;
}

static nvmlReturn_t by_uuid(const char *uuid, nvmlDevice_t *device)
{
    *device = &gpus[strlen(uuid) % 3];
    return NVML_SUCCESS;
}

static nvmlReturn_t get_memory(nvmlDevice_t device, nvmlMemory_t *memory)
{
    check_device(device);
    *memory = (nvmlMemory_t){.total = 1000, .free = 900, .used = 100};
    return NVML_SUCCESS;
}

static nvmlReturn_t get_processes(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *infos)
{
    const unsigned there = 70, room = *count;
    check_device(device);
    *count = there;
    if (room < there)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < there; i++)
        infos[i] = (nvmlProcessInfo_t){.pid = i, .usedGpuMemory = i};
    return NVML_SUCCESS;
}

static nvmlReturn_t get_shares(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples,
                               unsigned *count, unsigned long long last)
{
    const unsigned there = 5, room = *count;
    check_device(device);
    *count = there;
    if (!samples || room < there)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < there; i++)
        samples[i] = (nvmlProcessUtilizationSample_t){.pid = i, .timeStamp = last};
    return NVML_SUCCESS;
}

static nvmlReturn_t get_fields(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    check_device(device);
    if (count <= 0)
        abort();
    for (int i = 0; i < count; i++)
        values[i].value.ullVal = values[i].fieldId;
    return NVML_SUCCESS;
}

static nvmlReturn_t get_clocks(nvmlDevice_t device, unsigned *count, unsigned *clocks)
{
    check_device(device);
    if (*count && !clocks)
        abort();
    for (unsigned i = 0; i < *count; i++)
        clocks[i] = i;
    return *count ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

static nvmlReturn_t get_samples(nvmlDevice_t device, nvmlSamplingType_t type,
                                unsigned long long last, nvmlValueType_t *value_type,
                                unsigned *count, nvmlSample_t *samples)
{
    check_device(device);
    *value_type = type;
    for (unsigned i = 0; samples && i < *count; i++)
        samples[i] = (nvmlSample_t){.timeStamp = last};
    return NVML_SUCCESS;
}

static nvmlReturn_t get_affinity(nvmlDevice_t device, unsigned size, unsigned long *set)
{
    check_device(device);
    if (size && !set)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < size; i++)
        set[i] = i;
    return NVML_SUCCESS;
}

/* Sets are memory of their own, so that one that is used after its end is seen. */
struct nvmlEventSet_st {
    nvmlDevice_t device;
};

static nvmlReturn_t create_set(nvmlEventSet_t *set)
{
    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    *set = calloc(1, sizeof(**set));
    return *set ? NVML_SUCCESS : NVML_ERROR_MEMORY;
}

static nvmlReturn_t register_events(nvmlDevice_t device, unsigned long long types,
                                    nvmlEventSet_t set)
{
    check_device(device);
    if (!set || types == 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    set->device = types & 1 ? &gpus[2] : device; /* one that is not shown: a library's fault */
    return NVML_SUCCESS;
}

static nvmlReturn_t wait_for_set(nvmlEventSet_t set, nvmlEventData_t *data, unsigned timeout)
{
    if (!set->device)
        return NVML_ERROR_TIMEOUT;
    *data = (nvmlEventData_t){.device = set->device, .eventType = timeout};
    return NVML_SUCCESS;
}

static nvmlReturn_t free_set(nvmlEventSet_t set)
{
    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    free(set);
    return NVML_SUCCESS;
}

/* ---- the private table ---- */

static nvmlReturn_t private_number(nvmlDevice_t device, unsigned *value)
{
    check_device(device);
    memset(value, 0x5a, 2 * sizeof(*value)); /* more than is known of it */
    return NVML_SUCCESS;
}

static void fill_slots(uintptr_t table[WH_NVML_SLOTS])
{
    for (unsigned i = 0; i < WH_NVML_SLOTS; i++)
        table[i] = (uintptr_t)abort; /* one that nobody may have called */
    table[WH_NVML_SLOT_HOST_LINK_GENERATION] = (uintptr_t)private_number;
    table[WH_NVML_SLOT_DEFERRED_MEMORY_CLOCK] = (uintptr_t)private_number;
    table[WH_NVML_SLOT_SPARSE_OPERATION_MODE] = (uintptr_t)private_number;
    table[WH_NVML_SLOT_GPU_PART_NUMBER] = (uintptr_t)fill_text;
    table[WH_NVML_SLOT_FRU_PART_NUMBER] = (uintptr_t)fill_text;
}

/* What a call's parameters tell of it: two kinds are alike for whoever implements them. */
static bool is_versioned(const struct wh_call_desc *call)
{
    return call->nparams == 2 && call->params[0].kind == WH_HANDLE &&
           call->params[1].kind == WH_VERSIONED;
}

static bool is_text(const struct wh_call_desc *call)
{
    return call->nparams == 3 && call->params[0].kind == WH_HANDLE &&
           call->params[1].kind == WH_OUT && call->params[1].length.a == 2;
}

static void fill_table(struct wh_nvml_functions_table *f, bool knows_processes)
{
    void **members = (void **)f;
    for (unsigned i = 0; i < WH_NVML_NCALLS; i++) {
        const struct wh_call_desc *call = &wh_nvml_api.calls[i];
        if (!wh_nvml_function_names[i])
            continue;
        members[i] =
            __extension__(void *)(is_versioned(call) ? (nvmlReturn_t(*)(void))fill_versioned
                                  : is_text(call)    ? (nvmlReturn_t(*)(void))fill_text
                                                     : refuse);
    }
    f->nvmlDeviceGetHandleByUUID = by_uuid;
    f->nvmlDeviceGetHandleBySerial = by_uuid;
    f->nvmlDeviceGetHandleByPciBusId_v2 = by_uuid;
    f->nvmlDeviceGetMemoryInfo = get_memory;
    f->nvmlDeviceGetFieldValues = get_fields;
    f->nvmlDeviceGetSupportedMemoryClocks = get_clocks;
    f->nvmlDeviceGetSamples = get_samples;
    f->nvmlDeviceGetCpuAffinity = get_affinity;
    f->nvmlEventSetCreate = create_set;
    f->nvmlDeviceRegisterEvents = register_events;
    f->nvmlEventSetWait_v2 = wait_for_set;
    f->nvmlEventSetFree = free_set;
    if (!knows_processes)
        return;
    f->nvmlDeviceGetComputeRunningProcesses_v3 = get_processes;
    f->nvmlDeviceGetProcessUtilization = get_shares;
}

/* ---- a worker over it ---- */

static uint8_t *map_arena(int *fd)
{
    static uint8_t *arena;
    static int file = -1;
    if (!arena) {
        file = memfd_create("arena", MFD_CLOEXEC);
        if (file < 0 || ftruncate(file, ARENA) < 0)
            abort();
        uint8_t *room = mmap(NULL, ARENA + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        arena = mmap(room, ARENA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
        if (arena == MAP_FAILED)
            abort();
        wh_log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    *fd = file;
    return arena;
}

static void open_session(bool knows_processes)
{
    static uintptr_t slots[WH_NVML_SLOTS];
    int fd;
    bool discovered;
    uint8_t *arena = map_arena(&fd);
    memset(arena, 0, ARENA);
    memset(&harness, 0, sizeof(harness));
    wh_memory_init(&harness.memory, arena, ARENA, fd);
    fill_table(&harness.state.f, knows_processes);
    harness.state.devices[0] = &gpus[1];
    harness.state.devices[1] = &gpus[0];
    harness.state.ndevices = 2;
    harness.state.knows_processes = knows_processes;
    fill_slots(slots);
    harness.state.private_table = slots;
    harness.backend = (struct wh_backend){
        .api = &wh_nvml_api, .thunks = wh_nvml_thunks, .functions = &harness.state.f};
    harness.worker = (struct wh_worker){.channel = &harness.memory.channel,
                                        .table = wh_table_new(),
                                        .backend = &harness.backend,
                                        .state = &harness.state,
                                        .ledger = {harness.accounts, ACCOUNTS, harness.accounts}};
    for (unsigned i = 0; i < ACCOUNTS; i++)
        harness.accounts[i] = (struct wh_account){
            .session = i, .client = 100 + i % 2, .worker = i, .meters[0].contexts = 1};
    harness.pool = wh_pool_new(MOST_SCRATCH);
    if (!harness.worker.table || !harness.pool ||
        !wh_table_id_of(harness.worker.table, WH_NVML_TYPE_nvmlDevice_t, &gpus[1], &discovered))
        abort();
}

static void close_session(void)
{
    wh_table_free(harness.worker.table);
    wh_pool_free(harness.pool);
}

static const char *dispatch(const struct wh_message *message)
{
    bool leads = true;
    const char *fault = wh_worker_dispatch(&harness.worker, message, harness.pool, &leads);
    wh_pool_reset(harness.pool);
    return fault;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t length;
    const char *fault = NULL;
    if (size == 0)
        return 0;
    open_session(data[0] & 1);
    for (data++, size--; !fault && (length = message_size(data, size)) > 0;
         data += length, size -= length) {
        struct wh_message *message = malloc(length); /* exactly: reads behind it are seen */
        memcpy(message, data, length);
        message->size = (uint32_t)length; /* lies about it are the ring's to find */
        fault = dispatch(message);
        free(message);
    }
    close_session();
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    struct chance chance = {.state = seed * 0x9e3779b97f4a7c15ull + 1};
    for (unsigned i = 0; i < 4; i++)
        chance_below(&chance, 2);
    if (size == 0 || chance_below(&chance, 8) == 0)
        return LLVMFuzzerMutate(data, size, most);
    for (uint32_t n = 1 + chance_below(&chance, 4); n > 0; n--)
        size = 1 + change_messages(&chance, &wh_nvml_api, thunks(), data + 1, size - 1, most - 1);
    return size;
}
