/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managed_memory: one pointer for host and device: memory from cudaMallocManaged, __managed__
 * variables, also while a stream stands still, structures that point to each other, advice and
 * prefetches.
 */
#include "check.h"

#include <semaphore.h>

enum { COUNT = 5000, NODES = 20 };

struct node {
    int value;
    node *next;
};

__managed__ int total;
__managed__ int numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
__managed__ int level;

__global__ void triple(int *values, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < count)
        values[i] = values[i] * 3 + 1;
}

__global__ void sum_list(node *list)
{
    for (node *n = list; n; n = n->next) {
        total += n->value;
        n->value = -n->value;
    }
}

__global__ void double_numbers()
{
    numbers[threadIdx.x] *= 2;
}

__global__ void read_level(int *to)
{
    *to = level;
}

__global__ void raise_level()
{
    level++;
}

static void turns()
{
    bool ok = true;
    int *values;

    CHECK(cudaMallocManaged(&values, COUNT * sizeof(*values)));
    for (int i = 0; i < COUNT; i++)
        values[i] = i;
    triple<<<(COUNT + 127) / 128, 128>>>(values, COUNT);
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < COUNT; i++) {
        ok = ok && values[i] == i * 3 + 1;
        values[i] -= 1;
    }
    triple<<<(COUNT + 127) / 128, 128>>>(values, COUNT);
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < COUNT; i++)
        ok = ok && values[i] == i * 9 + 1;
    expect("host and device in turns", ok);
    print_checksum("values", values, COUNT * sizeof(*values));
    CHECK(cudaFree(values));
}

static void linked()
{
    node *list = nullptr;
    bool ok = true;

    for (int i = 0; i < NODES; i++) {
        node *n;

        CHECK(cudaMallocManaged(&n, sizeof(*n)));
        n->value = i * i;
        n->next = list;
        list = n;
    }
    total = 5;
    sum_list<<<1, 1>>>(list);
    CHECK(cudaDeviceSynchronize());
    printf("total %d\n", total);
    expect("a list", total == 5 + 19 * 20 * 39 / 6);
    for (int i = NODES - 1; i >= 0; i--) {
        node *next = list->next;

        ok = ok && list->value == -i * i;
        CHECK(cudaFree(list));
        list = next;
    }
    expect("changed by the device", ok);
}

static void copies_and_advice()
{
    cudaMemLocation device = {cudaMemLocationTypeDevice, 0}, host = {cudaMemLocationTypeHost, 0};
    int plain[256], *values, *copy;
    cudaPointerAttributes attributes;
    cudaStream_t stream;
    bool ok = true;

    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMallocManaged(&values, sizeof(plain)));
    CHECK(cudaMalloc(&copy, sizeof(plain)));
    for (int i = 0; i < 256; i++)
        plain[i] = i * 11;
    CHECK(cudaMemcpy(values, plain, sizeof(plain), cudaMemcpyDefault));
    CHECK(cudaMemAdvise(values, sizeof(plain), cudaMemAdviseSetPreferredLocation, device));
    CHECK(cudaMemPrefetchAsync(values, sizeof(plain), device, 0, stream));
    triple<<<2, 128, 0, stream>>>(values, 256);
    CHECK(cudaMemPrefetchAsync(values, sizeof(plain), host, 0, stream));
    CHECK(cudaMemcpyAsync(copy, values, sizeof(plain), cudaMemcpyDeviceToDevice, stream));
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaMemcpy(plain, copy, sizeof(plain), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 256; i++)
        ok = ok && values[i] == i * 33 + 1 && plain[i] == i * 33 + 1;
    expect("copies and advice", ok);
    CHECK(cudaMemset(values, 0, sizeof(plain)));
    CHECK(cudaDeviceSynchronize());
    expect("set", values[0] == 0 && values[255] == 0);
    CHECK(cudaPointerGetAttributes(&attributes, values + 3));
    expect("known as managed", attributes.type == cudaMemoryTypeManaged &&
                                   attributes.devicePointer == values + 3 &&
                                   attributes.hostPointer == values + 3);
    CHECK(cudaFree(values));
    CHECK(cudaFree(copy));
    CHECK(cudaStreamDestroy(stream));
}

static void wait_for_host(void *go)
{
    sem_wait((sem_t *)go);
}

/* One stream stands still until this thread goes on; another is not held up, nor is the host. */
static void streams()
{
    cudaStream_t held, other;
    int *seen;
    sem_t go;

    sem_init(&go, 0, 0);
    CHECK(cudaStreamCreate(&held));
    CHECK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    CHECK(cudaMallocHost(&seen, 2 * sizeof(*seen)));
    level = 5;
    read_level<<<1, 1, 0, held>>>(&seen[0]); /* all that may have to be loaded, is */
    raise_level<<<1, 1, 0, held>>>();
    CHECK(cudaDeviceSynchronize());
    expect("a variable of the device's", seen[0] == 5 && level == 6);
    CHECK(cudaLaunchHostFunc(held, wait_for_host, &go));
    level = 70;
    read_level<<<1, 1, 0, held>>>(&seen[0]);
    read_level<<<1, 1, 0, other>>>(&seen[1]);
    CHECK(cudaStreamSynchronize(other));
    expect("a change is seen in all streams", seen[1] == 70);
    raise_level<<<1, 1, 0, other>>>();
    CHECK(cudaStreamSynchronize(other));
    expect("and the device's by the host", level == 71);
    sem_post(&go);
    CHECK(cudaStreamSynchronize(held));
    expect("the other goes on", seen[0] == 71);
    CHECK(cudaFreeHost(seen));
    CHECK(cudaStreamDestroy(held));
    CHECK(cudaStreamDestroy(other));
}

int main()
{
    bool ok = true;

    turns();
    linked();
    double_numbers<<<1, 8>>>();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 8; i++)
        ok = ok && numbers[i] == 2 * (i + 1);
    expect("an initialised managed variable", ok);
    copies_and_advice();
    streams();
    return verdict();
}
