/* SPDX-License-Identifier: Apache-2.0 */
/*
 * small_reads: a few bytes read back at once, of every size up to 16 and at every offset, up to the
 * last byte of what was allocated; behind kernels short and long; by two threads in streams of
 * their own; and nothing comes before it was written.
 */
#include <pthread.h>

#include "check.h"

enum { BYTES = 61, ROUNDS = 3000 };

__global__ void step(unsigned long long *value, int spins)
{
    unsigned long long x = *value;
    for (int i = 0; i < spins; i++)
        asm volatile("" : "+l"(x));
    *value = x * 6364136223846793005ull + 1442695040888963407ull;
}

static void everywhere()
{
    unsigned char here[BYTES], got[32], *there;
    bool same = true, alone = true;

    for (int i = 0; i < BYTES; i++)
        here[i] = (unsigned char)(i * 7 + 1);
    CHECK(cudaMalloc(&there, BYTES));
    CHECK(cudaMemcpy(there, here, BYTES, cudaMemcpyHostToDevice));
    for (int size = 1; size <= 16; size++)
        for (int at = 0; at + size <= BYTES; at++) {
            memset(got, 0xee, sizeof(got));
            CHECK(cudaMemcpy(got + 8, there + at, size, cudaMemcpyDeviceToHost));
            same = same && memcmp(got + 8, here + at, size) == 0;
            for (int i = 0; i < 32; i++)
                alone = alone && ((i >= 8 && i < 8 + size) || got[i] == 0xee);
        }
    expect("every size at every offset", same);
    expect("and nothing beside it", alone);
    /* Words that no copy could be told by. */
    CHECK(cudaMemset(there, 0, BYTES));
    bool zero = true;
    for (int i = 0; i < 100; i++) {
        unsigned long long word = 1;
        CHECK(cudaMemcpy(&word, there, 4 + i % 5, cudaMemcpyDeviceToHost));
        zero = zero && word == 0;
    }
    expect("zeros", zero);
    CHECK(cudaFree(there));
}

/* A chain: what is read must be what the last step made of what was read before. */
static bool chain(cudaStream_t stream, int rounds, int size)
{
    unsigned long long *value, expected = 5, got;
    bool good = true;

    CHECK(cudaMalloc(&value, sizeof(*value)));
    CHECK(cudaMemcpyAsync(value, &expected, sizeof(expected), cudaMemcpyHostToDevice, stream));
    for (int i = 0; i < rounds; i++) {
        step<<<1, 1, 0, stream>>>(value, i % 50 == 0 ? 20000 : i % 3);
        expected = expected * 6364136223846793005ull + 1442695040888963407ull;
        got = size == 8 ? 0 : expected & ~0xffffffffull; /* the rest of it is not read */
        CHECK(cudaMemcpyAsync(&got, value, size, cudaMemcpyDeviceToHost, stream));
        CHECK(cudaStreamSynchronize(stream));
        good = good && got == expected;
    }
    CHECK(cudaFree(value));
    return good;
}

static void *chain_of_thread(void *)
{
    cudaStream_t stream;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    bool good = chain(stream, ROUNDS, 4);
    CHECK(cudaStreamDestroy(stream));
    return good ? nullptr : (void *)1;
}

int main()
{
    pthread_t thread;
    void *wrong;

    everywhere();
    expect("behind kernels", chain(nullptr, ROUNDS / 3, 8));
    pthread_create(&thread, nullptr, chain_of_thread, nullptr);
    cudaStream_t stream;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    bool mine = chain(stream, ROUNDS, 8);
    CHECK(cudaStreamDestroy(stream));
    pthread_join(thread, &wrong);
    expect("two threads", mine && !wrong);
    return verdict();
}
