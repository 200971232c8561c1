/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_info: how much memory is free, asked over and over while this and another thread take and
 * give back: what the process itself did shows at once.
 */
#include <pthread.h>
#include <semaphore.h>

#include "check.h"

enum { ROUNDS = 100 };

static const size_t PIECE = (size_t)64 << 20;

static size_t unused()
{
    size_t now, total;
    CHECK(cudaMemGetInfo(&now, &total));
    if (now > total || total == 0)
        expect("no more than there is", false);
    return now;
}

static void own_doings()
{
    size_t before = unused();
    bool same = true, taken = true, back = true;
    void *piece;

    for (int i = 0; i < ROUNDS; i++)
        same = same && unused() == before;
    expect("the same as long as nothing is done", same);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(cudaMalloc(&piece, PIECE));
        taken = taken && before - unused() >= PIECE;
        CHECK(cudaFree(piece));
        back = back && unused() == before;
    }
    expect("less when memory was taken", taken);
    expect("as before when it is given back", back);
}

static struct {
    sem_t go, done;
    bool take;
    void *piece;
} other;

static void *take_and_give(void *)
{
    for (int i = 0; i < 2 * ROUNDS; i++) {
        sem_wait(&other.go);
        if (other.take)
            CHECK(cudaMalloc(&other.piece, PIECE));
        else
            CHECK(cudaFree(other.piece));
        sem_post(&other.done);
    }
    return nullptr;
}

static void let_other(bool take)
{
    other.take = take;
    sem_post(&other.go);
    sem_wait(&other.done);
}

static void another_thread()
{
    size_t before = unused();
    bool taken = true, back = true;
    pthread_t thread;

    sem_init(&other.go, 0, 0);
    sem_init(&other.done, 0, 0);
    pthread_create(&thread, nullptr, take_and_give, nullptr);
    for (int i = 0; i < ROUNDS; i++) {
        let_other(true);
        taken = taken && before - unused() >= PIECE;
        let_other(false);
        back = back && unused() == before;
    }
    pthread_join(thread, nullptr);
    expect("less when another thread took memory", taken);
    expect("as before when that thread gave it back", back);
}

int main()
{
    CHECK(cudaFree(nullptr));
    own_doings();
    another_thread();
    return verdict();
}
