/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order_threads: two threads take turns on one stream, as forward and backward passes do. Only the
 * host orders them: each launches without waiting for the device, then tells the other. Any launch
 * that overtook another would give a different number.
 */
#include <pthread.h>

#include "check.h"

enum { TURNS = 3000 };

__global__ void forward(unsigned *value, unsigned term)
{
    *value = *value * 3 + term;
}

__global__ void backward(unsigned *value, unsigned term)
{
    *value = (*value ^ term) + (*value >> 3);
}

struct table {
    pthread_mutex_t lock;
    pthread_cond_t turned;
    unsigned turn;
    unsigned *value;
    cudaStream_t stream;
};

static table table = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, nullptr, nullptr};

static void wait_for(unsigned parity)
{
    pthread_mutex_lock(&table.lock);
    while (table.turn < TURNS && table.turn % 2 != parity)
        pthread_cond_wait(&table.turned, &table.lock);
    pthread_mutex_unlock(&table.lock);
}

static void give_turn()
{
    pthread_mutex_lock(&table.lock);
    table.turn++;
    pthread_cond_signal(&table.turned);
    pthread_mutex_unlock(&table.lock);
}

static void *take_turns(void *which)
{
    unsigned parity = which ? 1 : 0;

    for (unsigned turn = parity; turn < TURNS; turn += 2) {
        wait_for(parity);
        if (parity)
            backward<<<1, 1, 0, table.stream>>>(table.value, turn);
        else
            forward<<<1, 1, 0, table.stream>>>(table.value, turn);
        CHECK_LAUNCH();
        give_turn();
    }
    return nullptr;
}

int main()
{
    unsigned wanted = 1, got = 0;
    pthread_t threads[2];

    CHECK(cudaStreamCreateWithFlags(&table.stream, cudaStreamNonBlocking));
    CHECK(cudaMalloc(&table.value, sizeof(got)));
    CHECK(cudaMemcpy(table.value, &wanted, sizeof(wanted), cudaMemcpyHostToDevice));
    for (unsigned turn = 0; turn < TURNS; turn++)
        wanted = turn % 2 ? (wanted ^ turn) + (wanted >> 3) : wanted * 3 + turn;
    pthread_create(&threads[0], nullptr, take_turns, nullptr);
    pthread_create(&threads[1], nullptr, take_turns, &table);
    pthread_join(threads[0], nullptr);
    pthread_join(threads[1], nullptr);
    CHECK(cudaMemcpyAsync(&got, table.value, sizeof(got), cudaMemcpyDeviceToHost, table.stream));
    CHECK(cudaStreamSynchronize(table.stream));
    expect("in the order of the threads' turns", got == wanted);
    printf("%u\n", got);
    CHECK(cudaFree(table.value));
    CHECK(cudaStreamDestroy(table.stream));
    return verdict();
}
