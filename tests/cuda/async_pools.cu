/* SPDX-License-Identifier: Apache-2.0 */
/*
 * async_pools: memory that is taken and given back in a stream's order, from the device's pool and
 * from one of its own; what the pools say of themselves.
 */
#include "check.h"

enum { COUNT = 4096 };

__global__ void fill(int *values, int start)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    values[i] = start + i;
}

__global__ void add_to(int *values, const int *others)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    values[i] += others[i];
}

static int host[COUNT];

static void in_order()
{
    int *sum, *term;
    cudaStream_t stream;
    bool ok = true;

    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMallocAsync(&sum, sizeof(host), stream));
    CHECK(cudaMemsetAsync(sum, 0, sizeof(host), stream));
    for (int round = 0; round < 50; round++) {
        CHECK(cudaMallocAsync(&term, sizeof(host), stream));
        fill<<<COUNT / 128, 128, 0, stream>>>(term, round);
        add_to<<<COUNT / 128, 128, 0, stream>>>(sum, term);
        CHECK_LAUNCH();
        CHECK(cudaFreeAsync(term, stream));
    }
    CHECK(cudaMemcpyAsync(host, sum, sizeof(host), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaFreeAsync(sum, stream));
    CHECK(cudaStreamSynchronize(stream));
    for (int i = 0; i < COUNT; i++)
        ok = ok && host[i] == 50 * i + 49 * 50 / 2;
    expect("in a stream's order", ok);
    print_checksum("sums", host, sizeof(host));
    CHECK(cudaStreamDestroy(stream));
}

/* Taken in one stream, used in another behind an event, freed in the first behind another event. */
static void between_streams()
{
    cudaStream_t first, second;
    cudaEvent_t taken, used;
    bool ok = true;
    int *values;

    CHECK(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    CHECK(cudaEventCreate(&taken));
    CHECK(cudaEventCreate(&used));
    CHECK(cudaMallocAsync(&values, sizeof(host), first));
    fill<<<COUNT / 128, 128, 0, first>>>(values, 7);
    CHECK(cudaEventRecord(taken, first));
    CHECK(cudaStreamWaitEvent(second, taken, 0));
    CHECK(cudaMemcpyAsync(host, values, sizeof(host), cudaMemcpyDeviceToHost, second));
    CHECK(cudaEventRecord(used, second));
    CHECK(cudaStreamWaitEvent(first, used, 0));
    CHECK(cudaFreeAsync(values, first));
    CHECK(cudaStreamSynchronize(first));
    CHECK(cudaStreamSynchronize(second));
    for (int i = 0; i < COUNT; i++)
        ok = ok && host[i] == 7 + i;
    expect("between streams", ok);
    CHECK(cudaEventDestroy(taken));
    CHECK(cudaEventDestroy(used));
    CHECK(cudaStreamDestroy(first));
    CHECK(cudaStreamDestroy(second));
}

static uint64_t pool_attribute(cudaMemPool_t pool, cudaMemPoolAttr attribute)
{
    uint64_t value = 0;

    CHECK(cudaMemPoolGetAttribute(pool, attribute, &value));
    return value;
}

static void own_pool()
{
    cudaMemPoolProps properties = {};
    uint64_t keep = UINT64_MAX, zero = 0;
    int *values, *more, reuse = 1;
    cudaMemPool_t pool;

    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    CHECK(cudaMemPoolCreate(&pool, &properties));
    CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
    expect("release threshold", pool_attribute(pool, cudaMemPoolAttrReleaseThreshold) == keep);
    CHECK(cudaMemPoolGetAttribute(pool, cudaMemPoolReuseFollowEventDependencies, &reuse));
    expect("reuse is allowed at first", reuse == 1);
    CHECK(cudaMallocFromPoolAsync(&values, sizeof(host), pool, 0));
    CHECK(cudaMallocFromPoolAsync(&more, 1 << 20, pool, 0));
    CHECK(cudaStreamSynchronize(0));
    printf("used %llu\n", (unsigned long long)pool_attribute(pool, cudaMemPoolAttrUsedMemCurrent));
    fill<<<COUNT / 128, 128>>>(values, 3);
    CHECK(cudaMemcpy(host, values, sizeof(host), cudaMemcpyDeviceToHost));
    expect("filled", host[0] == 3 && host[COUNT - 1] == COUNT + 2);
    CHECK(cudaFreeAsync(more, 0));
    CHECK(cudaFreeAsync(values, 0));
    CHECK(cudaStreamSynchronize(0));
    printf("used %llu, at most %llu\n",
           (unsigned long long)pool_attribute(pool, cudaMemPoolAttrUsedMemCurrent),
           (unsigned long long)pool_attribute(pool, cudaMemPoolAttrUsedMemHigh));
    CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &zero));
    printf("at most %llu\n", (unsigned long long)pool_attribute(pool, cudaMemPoolAttrUsedMemHigh));
    CHECK(cudaMallocFromPoolAsync(&values, sizeof(host), pool, 0));
    CHECK(cudaFree(values)); /* either way of freeing is good */
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemPoolTrimTo(pool, 0));
    expect("nothing is kept", pool_attribute(pool, cudaMemPoolAttrReservedMemCurrent) == 0);
    CHECK(cudaMemPoolDestroy(pool));
}

static void device_pool()
{
    cudaMemPoolProps properties = {};
    cudaMemPool_t first, own, now;
    int *values;

    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    CHECK(cudaDeviceGetDefaultMemPool(&first, 0));
    CHECK(cudaDeviceGetMemPool(&now, 0));
    expect("the device's pool is its default one", now == first);
    CHECK(cudaMemPoolCreate(&own, &properties));
    CHECK(cudaDeviceSetMemPool(0, own));
    CHECK(cudaDeviceGetMemPool(&now, 0));
    expect("another pool for the device", now == own);
    CHECK(cudaMallocAsync(&values, 4096, 0));
    CHECK(cudaStreamSynchronize(0));
    expect("is taken from", pool_attribute(own, cudaMemPoolAttrUsedMemCurrent) > 0);
    CHECK(cudaFreeAsync(values, 0));
    CHECK(cudaDeviceSetMemPool(0, first));
    CHECK(cudaMemPoolDestroy(own));
    printf("far too much: %s\n", cudaGetErrorName(cudaMallocAsync(&values, (size_t)1 << 50, 0)));
    cudaGetLastError();
    SHOW(cudaMemPoolDestroy(nullptr));
    cudaGetLastError();
}

int main()
{
    int supported;

    CHECK(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, 0));
    expect("pools are supported", supported == 1);
    in_order();
    between_streams();
    own_pool();
    device_pool();
    CHECK(cudaDeviceSynchronize());
    return verdict();
}
