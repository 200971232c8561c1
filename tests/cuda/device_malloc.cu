/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_malloc: memory that kernels take and give back: lists that one kernel makes, another reads
 * and a third frees; new and delete; a request beyond the heap gives NULL.
 */
#include "check.h"

enum { LISTS = 64, HEAP = 4 << 20 };

struct node {
    int value;
    node *next;
};

__device__ node *heads[LISTS];

__global__ void make_lists(int *failures)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    heads[i] = nullptr;
    for (int k = 0; k < 1 + i % 8; k++) {
        node *n = (node *)malloc(sizeof(node));

        if (!n) {
            atomicAdd(failures, 1);
            return;
        }
        n->value = i * 10 + k;
        n->next = heads[i];
        heads[i] = n;
    }
}

__global__ void sum_lists(int *sums)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    sums[i] = 0;
    for (node *n = heads[i]; n; n = n->next)
        sums[i] += n->value;
}

__global__ void free_lists()
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    while (heads[i]) {
        node *n = heads[i];

        heads[i] = n->next;
        free(n);
    }
}

struct counter {
    int *count;
    __device__ explicit counter(int *c) : count(c)
    {
        atomicAdd(count, 1);
    }
    __device__ ~counter()
    {
        atomicAdd(count, 100);
    }
};

__global__ void new_and_delete(int *count)
{
    counter *c = new counter(count);
    int *array = new int[threadIdx.x + 1];

    for (int i = 0; i <= (int)threadIdx.x; i++)
        array[i] = 1;
    delete c;
    delete[] array;
}

__global__ void too_much(int *refused)
{
    void *p = malloc((size_t)1 << 40);

    *refused = p == nullptr;
    free(p);
}

/* Far more than the heap in all, but never much at once. */
__global__ void again_and_again(int *failures)
{
    for (int i = 0; i < 200; i++) {
        char *p = (char *)malloc(4096);

        if (!p) {
            atomicAdd(failures, 1);
            continue;
        }
        p[0] = (char)i;
        p[4095] = (char)i;
        free(p);
    }
}

int main()
{
    int *device, sums[LISTS], number = 0;
    bool ok = true;
    size_t heap;

    CHECK(cudaDeviceSetLimit(cudaLimitMallocHeapSize, HEAP));
    CHECK(cudaDeviceGetLimit(&heap, cudaLimitMallocHeapSize));
    expect("heap as large as asked", heap >= HEAP);
    CHECK(cudaMalloc(&device, sizeof(sums)));
    for (int round = 0; round < 3; round++) {
        CHECK(cudaMemset(device, 0, sizeof(sums)));
        make_lists<<<2, LISTS / 2>>>(device);
        CHECK(cudaMemcpy(&number, device, sizeof(number), cudaMemcpyDeviceToHost));
        expect("lists made", number == 0);
        sum_lists<<<2, LISTS / 2>>>(device);
        free_lists<<<2, LISTS / 2>>>();
        CHECK_LAUNCH();
    }
    CHECK(cudaMemcpy(sums, device, sizeof(sums), cudaMemcpyDeviceToHost));
    for (int i = 0; i < LISTS; i++) {
        int wanted = 0;

        for (int k = 0; k < 1 + i % 8; k++)
            wanted += i * 10 + k;
        ok = ok && sums[i] == wanted;
    }
    expect("lists read by another kernel", ok);
    print_checksum("sums", sums, sizeof(sums));

    CHECK(cudaMemset(device, 0, sizeof(int)));
    new_and_delete<<<1, 32>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&number, device, sizeof(number), cudaMemcpyDeviceToHost));
    expect("constructors and destructors", number == 32 * 101);
    too_much<<<1, 1>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&number, device, sizeof(number), cudaMemcpyDeviceToHost));
    expect("too much is refused", number == 1);
    CHECK(cudaMemset(device, 0, sizeof(int)));
    again_and_again<<<4, 32>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&number, device, sizeof(number), cudaMemcpyDeviceToHost));
    expect("what is freed can be had again", number == 0);
    CHECK(cudaFree(device));
    return verdict();
}
