/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiler_memory: CUPTI's records of memory that is allocated and freed, by each function of the
 * driver's, and which call each belongs to.
 */
#include <cuda.h>

#include "check.h"
#include "check_cupti.h"

#include <map>
#include <vector>

enum { BUFFER = 1 << 16, BYTES = 1 << 20 };

static std::vector<CUpti_ActivityMemory4> records;
static std::map<uint32_t, CUpti_ActivityAPI> calls; /* by correlation */
static CUcontext context;
static CUstream stream;

static void CUPTIAPI request(uint8_t **buffer, size_t *size, size_t *most)
{
    *buffer = (uint8_t *)aligned_alloc(8, BUFFER);
    *size = BUFFER;
    *most = 0;
}

static void CUPTIAPI complete(CUcontext, uint32_t, uint8_t *buffer, size_t, size_t valid)
{
    CUpti_Activity *record = nullptr;

    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        if (record->kind == CUPTI_ACTIVITY_KIND_MEMORY2)
            records.push_back(*(const CUpti_ActivityMemory4 *)record);
        else if (record->kind == CUPTI_ACTIVITY_KIND_DRIVER)
            calls[((const CUpti_ActivityAPI *)record)->correlationId] =
                *(const CUpti_ActivityAPI *)record;
    }
    free(buffer);
}

static const CUpti_ActivityKind kinds[] = {CUPTI_ACTIVITY_KIND_DRIVER, CUPTI_ACTIVITY_KIND_MEMORY2};

/* ---- what there was of it ---- */

static const CUpti_ActivityMemory4 *find(CUpti_ActivityMemoryOperationType operation,
                                         uint64_t address)
{
    const CUpti_ActivityMemory4 *found = nullptr;

    for (const CUpti_ActivityMemory4 &r : records)
        if (r.memoryOperationType == operation && r.address == address)
            found = found ? nullptr : &r; /* there is one */
    return found;
}

static bool is_of_call(const CUpti_ActivityMemory4 *r, CUpti_CallbackId id)
{
    return r && calls.count(r->correlationId) && calls[r->correlationId].cbid == id &&
           r->timestamp <= calls[r->correlationId].end;
}

static bool is_here(const CUpti_ActivityMemory4 *r, CUstream in)
{
    uint32_t device = 99, number = 99, stream_number = CUPTI_INVALID_STREAM_ID;

    CUPTI(cuptiGetDeviceId(context, &device));
    CUPTI(cuptiGetContextId(context, &number));
    if (in)
        CUPTI(cuptiGetStreamIdEx(context, in, 0, &stream_number));
    return r->deviceId == device && r->contextId == number && r->streamId == stream_number &&
           (r->isAsync != 0) == (in != nullptr);
}

static void show(const char *what, uint64_t address, uint64_t bytes, CUpti_CallbackId allocating,
                 CUpti_CallbackId freeing, CUstream in = nullptr)
{
    auto made = find(CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION, address);
    auto freed = find(CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE, address);

    printf("%s: ", what);
    if (!made || !freed) {
        printf("%s, %s\n", made ? "allocated" : "NOT ALLOCATED", freed ? "freed" : "NOT FREED");
        check_failures++;
        return;
    }
    printf("of kind %d, ", made->memoryKind);
    expect("as said", made->bytes == bytes && freed->memoryKind == made->memoryKind &&
                          is_of_call(made, allocating) && is_of_call(freed, freeing) &&
                          made->timestamp <= freed->timestamp && is_here(made, in) &&
                          is_here(freed, in));
}

/* ---- the calls ---- */

int main()
{
    CUdeviceptr plain, pitched, managed, ordered, pooled, later;
    void *pinned, *simple;
    size_t pitch, dropped = 1;
    CUmemoryPool pool;
    CUmemPoolProps props = {};

    CHECK(cuInit(0));
    CHECK(cuDevicePrimaryCtxRetain(&context, 0));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    CHECK(cuMemPoolCreate(&pool, &props));
    CUPTI(cuptiActivityRegisterCallbacks(request, complete));
    for (CUpti_ActivityKind kind : kinds)
        CUPTI(cuptiActivityEnable(kind));

    /* All are there together, so that each has an address of its own. */
    CHECK(cuMemAlloc(&plain, BYTES));
    CHECK(cuMemAllocPitch(&pitched, &pitch, 1000, 16, 4));
    CHECK(cuMemAllocManaged(&managed, 2 * BYTES, CU_MEM_ATTACH_GLOBAL));
    CHECK(cuMemHostAlloc(&pinned, 3 * BYTES, 0));
    CHECK(cuMemAllocHost(&simple, 4 * BYTES));
    CHECK(cuMemAllocAsync(&ordered, 5 * BYTES, stream));
    CHECK(cuMemAllocFromPoolAsync(&pooled, 6 * BYTES, pool, stream));
    SHOW(cuMemFree(1));
    CHECK(cuMemFree(0));
    CHECK(cuMemFreeAsync(pooled, stream));
    CHECK(cuMemFreeAsync(ordered, stream));
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuMemFreeHost(simple));
    CHECK(cuMemFreeHost(pinned));
    CHECK(cuMemFree(managed));
    CHECK(cuMemFree(pitched));
    CHECK(cuMemFree(plain));

    for (CUpti_ActivityKind kind : kinds)
        CUPTI(cuptiActivityDisable(kind));
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
#define CBID(name) CUPTI_DRIVER_TRACE_CBID_##name
    show("plain", plain, BYTES, CBID(cuMemAlloc_v2), CBID(cuMemFree_v2));
    show("in rows", pitched, pitch * 16, CBID(cuMemAllocPitch_v2), CBID(cuMemFree_v2));
    show("managed", managed, 2 * BYTES, CBID(cuMemAllocManaged), CBID(cuMemFree_v2));
    show("of the host", (uintptr_t)pinned, 3 * BYTES, CBID(cuMemHostAlloc), CBID(cuMemFreeHost));
    show("simply", (uintptr_t)simple, 4 * BYTES, CBID(cuMemAllocHost_v2), CBID(cuMemFreeHost));
    show("in order", ordered, 5 * BYTES, CBID(cuMemAllocAsync), CBID(cuMemFreeAsync), stream);
    show("from a pool", pooled, 6 * BYTES, CBID(cuMemAllocFromPoolAsync), CBID(cuMemFreeAsync),
         stream);
    printf("%zu in all\n", records.size());
    CHECK(cuMemAlloc(&later, BYTES));
    CHECK(cuMemFree(later));
    CUPTI(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
    expect("and no more later", records.size() == 14);
    CUPTI(cuptiActivityGetNumDroppedRecords(nullptr, 0, &dropped));
    expect("none dropped", dropped == 0);
    CHECK(cuMemPoolDestroy(pool));
    CHECK(cuStreamDestroy(stream));
    return verdict();
}
