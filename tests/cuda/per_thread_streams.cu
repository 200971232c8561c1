/* SPDX-License-Identifier: Apache-2.0 */
/*
 * per_thread_streams: compiled with per-thread default streams: each thread's default stream is its
 * own and waits for no other's; the legacy one is still there by its name.
 */
#include <pthread.h>
#include <semaphore.h>

#include "check.h"

enum { COUNT = 256, ROUNDS = 30 };

__global__ void step(unsigned *values, unsigned factor)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    values[i] = values[i] * factor + i;
}

struct gate {
    sem_t entered, open;
};

static gate gate;

static void CUDART_CB wait_at_gate(void *)
{
    sem_post(&gate.entered);
    sem_wait(&gate.open);
}

struct worker {
    unsigned factor;
    bool ok;
};

/* While the first thread's default stream is held, this thread's goes on; it would hang otherwise.
 */
static void *work(void *argument)
{
    worker *w = (worker *)argument;
    unsigned *device, host[COUNT] = {0}, wanted[COUNT] = {0};

    CHECK(cudaMallocAsync(&device, sizeof(host), 0));
    CHECK(cudaMemsetAsync(device, 0, sizeof(host)));
    for (int round = 0; round < ROUNDS; round++) {
        step<<<COUNT / 64, 64>>>(device, w->factor);
        for (unsigned i = 0; i < COUNT; i++)
            wanted[i] = wanted[i] * w->factor + i;
    }
    CHECK(cudaMemcpyAsync(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    CHECK(cudaStreamSynchronize(0));
    w->ok = memcmp(host, wanted, sizeof(host)) == 0;
    CHECK(cudaFreeAsync(device, cudaStreamPerThread));
    CHECK(cudaStreamSynchronize(cudaStreamPerThread));
    return nullptr;
}

static void threads()
{
    worker workers[3] = {{3, false}, {5, false}, {7, false}};
    pthread_t ids[3];

    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.open, 0, 0);
    CHECK(cudaLaunchHostFunc(0, wait_at_gate, nullptr));
    sem_wait(&gate.entered);
    for (int i = 0; i < 3; i++)
        pthread_create(&ids[i], nullptr, work, &workers[i]);
    for (int i = 0; i < 3; i++)
        pthread_join(ids[i], nullptr);
    expect("the first thread's stream is held", cudaStreamQuery(0) == cudaErrorNotReady);
    expect("and is its per-thread one", cudaStreamQuery(cudaStreamPerThread) == cudaErrorNotReady);
    sem_post(&gate.open);
    CHECK(cudaStreamSynchronize(0));
    expect("the others went on", workers[0].ok && workers[1].ok && workers[2].ok);
}

/* The legacy stream waits for the per-thread one, and the other way round. */
static void legacy()
{
    unsigned *device, got, wanted = 1;

    CHECK(cudaMalloc(&device, COUNT * sizeof(*device)));
    CHECK(cudaMemcpy(device, &wanted, sizeof(wanted), cudaMemcpyHostToDevice));
    for (unsigned round = 0; round < ROUNDS; round++) {
        step<<<1, 1, 0, round % 2 ? cudaStreamLegacy : cudaStreamPerThread>>>(device, 3 + round);
        wanted *= 3 + round;
    }
    CHECK(cudaMemcpy(&got, device, sizeof(got), cudaMemcpyDeviceToHost));
    expect("in order with the legacy stream", got == wanted);
    CHECK(cudaFree(device));
}

int main()
{
    cudaEvent_t event;

    worker warm_up = {2, false}; /* loading code for the first time may wait for all streams */

    work(&warm_up);
    expect("at first", warm_up.ok);
    threads();
    legacy();
    CHECK(cudaEventCreate(&event));
    CHECK(cudaEventRecord(event));
    CHECK(cudaEventSynchronize(event));
    CHECK(cudaEventDestroy(event));
    CHECK(cudaDeviceSynchronize());
    return verdict();
}
