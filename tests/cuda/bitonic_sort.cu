/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bitonic_sort: keys and values sorted by many short launches, those that stay within a block's
 * shared memory in one.
 */
#include "check.h"

enum { COUNT = 4096, BLOCK = 256, PART = 2 * BLOCK };

__device__ static void order(unsigned *keys, unsigned *values, unsigned low, unsigned high, bool up)
{
    if ((keys[low] > keys[high]) == up) {
        unsigned key = keys[low], value = values[low];

        keys[low] = keys[high];
        keys[high] = key;
        values[low] = values[high];
        values[high] = value;
    }
}

__global__ void exchange(unsigned *keys, unsigned *values, unsigned run, unsigned distance)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned low = 2 * i - (i & (distance - 1));

    order(keys, values, low, low + distance, (low & run) == 0);
}

/* All distances up to PART / 2 of runs from `first` to `last`. */
__global__ void exchange_within(unsigned *keys, unsigned *values, unsigned first, unsigned last)
{
    __shared__ unsigned own_keys[PART], own_values[PART];
    unsigned base = blockIdx.x * PART, me = threadIdx.x;

    for (unsigned i = me; i < PART; i += BLOCK) {
        own_keys[i] = keys[base + i];
        own_values[i] = values[base + i];
    }
    for (unsigned run = first; run <= last; run *= 2)
        for (unsigned distance = run / 2 < PART / 2 ? run / 2 : PART / 2; distance > 0;
             distance /= 2) {
            unsigned low = 2 * me - (me & (distance - 1));

            __syncthreads();
            order(own_keys, own_values, low, low + distance, ((base + low) & run) == 0);
        }
    __syncthreads();
    for (unsigned i = me; i < PART; i += BLOCK) {
        keys[base + i] = own_keys[i];
        values[base + i] = own_values[i];
    }
}

static unsigned keys[COUNT], values[COUNT], original[COUNT];

int main()
{
    unsigned *device_keys, *device_values;
    uint32_t seed = 51;
    bool sorted = true, carried = true;

    for (unsigned i = 0; i < COUNT; i++) {
        original[i] = keys[i] = random32(&seed);
        values[i] = i;
    }
    CHECK(cudaMalloc(&device_keys, sizeof(keys)));
    CHECK(cudaMalloc(&device_values, sizeof(values)));
    CHECK(cudaMemcpy(device_keys, keys, sizeof(keys), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device_values, values, sizeof(values), cudaMemcpyHostToDevice));
    exchange_within<<<COUNT / PART, BLOCK>>>(device_keys, device_values, 2, PART);
    for (unsigned run = 2 * PART; run <= COUNT; run *= 2) {
        for (unsigned distance = run / 2; distance >= PART; distance /= 2)
            exchange<<<COUNT / PART, BLOCK>>>(device_keys, device_values, run, distance);
        exchange_within<<<COUNT / PART, BLOCK>>>(device_keys, device_values, run, run);
    }
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(keys, device_keys, sizeof(keys), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(values, device_values, sizeof(values), cudaMemcpyDeviceToHost));
    for (unsigned i = 0; i < COUNT; i++) {
        sorted = sorted && (i == 0 || keys[i - 1] <= keys[i]);
        carried = carried && values[i] < COUNT && original[values[i]] == keys[i];
    }
    expect("sorted", sorted);
    expect("values carried along", carried);
    printf("least %u, greatest %u\n", keys[0], keys[COUNT - 1]);
    print_checksum("keys", keys, sizeof(keys));
    CHECK(cudaFree(device_keys));
    CHECK(cudaFree(device_values));
    return verdict();
}
