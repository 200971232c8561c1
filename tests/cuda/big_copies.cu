/* SPDX-License-Identifier: Apache-2.0 */
/*
 * big_copies: pageable memory of all sizes and alignments to the device and back, in stream order,
 * by several threads at once, and beside a stream that stands still.
 */
#include <pthread.h>

#include "check.h"

enum { THREADS = 3 };

__global__ void add(unsigned *values, size_t count, unsigned what)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < count;
         i += (size_t)gridDim.x * blockDim.x)
        values[i] += what;
}

static void scribble(unsigned char *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(random32(&seed) >> 7);
}

/* There and back, from and to odd places; the bytes around stay what they are. */
static bool round_trip(size_t size, size_t skew, uint32_t seed)
{
    unsigned char *there = (unsigned char *)malloc(size + skew + 64), *device;
    unsigned char *back = (unsigned char *)malloc(size + skew + 64);
    bool same;

    scribble(there + skew, size, seed);
    memset(back, 0xa5, size + skew + 64);
    CHECK(cudaMalloc(&device, size + skew));
    CHECK(cudaMemcpy(device + skew, there + skew, size, cudaMemcpyHostToDevice));
    memset(there, 0, skew);
    CHECK(cudaMemcpy(back + skew, device + skew, size, cudaMemcpyDeviceToHost));
    same = memcmp(there + skew, back + skew, size) == 0;
    for (size_t i = 0; i < 64; i++)
        same = same && back[skew + size + i] == 0xa5;
    for (size_t i = 0; i < skew; i++)
        same = same && back[i] == 0xa5;
    CHECK(cudaFree(device));
    free(there);
    free(back);
    return same;
}

static void sizes()
{
    static const size_t all[] = {1 << 20,       (1 << 20) - 1, (1 << 20) + 1, 2 << 20, (2 << 20) + 1,
                                 (4 << 20) - 1, 8 << 20,       (10 << 20) + 3, 33 << 20};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        printf("%zu bytes: ", all[i]);
        expect("the same", round_trip(all[i], i * 7 % 64, 1 + (uint32_t)i));
    }
}

/* The program's memory is its own again when the function returns; the stream's order holds. */
static void in_stream_order()
{
    const size_t count = 3 << 20;
    unsigned *host = (unsigned *)malloc(count * sizeof(unsigned)), *device;
    cudaStream_t stream;
    bool ok = true;

    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK(cudaMalloc(&device, count * sizeof(unsigned)));
    for (unsigned round = 0; round < 5; round++) {
        for (size_t i = 0; i < count; i++)
            host[i] = (unsigned)i + round;
        CHECK(cudaMemcpyAsync(device, host, count * sizeof(unsigned), cudaMemcpyHostToDevice,
                              stream));
        memset(host, 0xff, count * sizeof(unsigned));
        add<<<64, 128, 0, stream>>>(device, count, 100);
        CHECK_LAUNCH();
        CHECK(cudaMemcpyAsync(host, device, count * sizeof(unsigned), cudaMemcpyDeviceToHost,
                              stream));
        CHECK(cudaStreamSynchronize(stream));
        for (size_t i = 0; i < count; i++)
            ok = ok && host[i] == (unsigned)i + round + 100;
    }
    expect("in the stream's order", ok);
    CHECK(cudaFree(device));
    CHECK(cudaStreamDestroy(stream));
    free(host);
}

static void *copy_often(void *number)
{
    uint32_t seed = 77 + (uint32_t)(uintptr_t)number;
    bool ok = true;

    for (int i = 0; i < 6; i++)
        ok = ok && round_trip((5 << 20) + (size_t)(random32(&seed) % (4 << 20)), i, seed);
    return (void *)(uintptr_t)ok;
}

static void by_threads()
{
    pthread_t threads[THREADS];
    bool ok = true;

    for (uintptr_t t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, copy_often, (void *)t);
    for (int t = 0; t < THREADS; t++) {
        void *fine;
        pthread_join(threads[t], &fine);
        ok = ok && fine;
    }
    expect("by several threads", ok);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool standing, may_go;

static void CUDART_CB stand_still(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    standing = true;
    pthread_cond_broadcast(&changed);
    while (!may_go)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* Copies into a stream that stands still, from pageable memory. */
static void *copy_behind(void *stream)
{
    const size_t size = 24 << 20;
    unsigned char *host = (unsigned char *)malloc(size), *device;
    bool ok;

    CHECK(cudaMalloc(&device, size));
    scribble(host, size, 9);
    CHECK(cudaMemcpyAsync(device, host, size, cudaMemcpyHostToDevice, (cudaStream_t)stream));
    CHECK(cudaStreamSynchronize((cudaStream_t)stream));
    unsigned char *back = (unsigned char *)malloc(size);
    CHECK(cudaMemcpy(back, device, size, cudaMemcpyDeviceToHost));
    ok = memcmp(host, back, size) == 0;
    CHECK(cudaFree(device));
    free(host);
    free(back);
    return (void *)(uintptr_t)ok;
}

static void beside_one_that_stands()
{
    cudaStream_t still, moving;
    unsigned char *device, *host = (unsigned char *)malloc(12 << 20);
    pthread_t thread;
    void *fine;

    CHECK(cudaStreamCreateWithFlags(&still, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&moving, cudaStreamNonBlocking));
    CHECK(cudaMalloc(&device, 12 << 20));
    CHECK(cudaLaunchHostFunc(still, stand_still, NULL));
    pthread_mutex_lock(&lock);
    while (!standing)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    pthread_create(&thread, NULL, copy_behind, still);
    for (int i = 0; i < 4; i++) {
        CHECK(cudaMemcpyAsync(device, host, 12 << 20, cudaMemcpyHostToDevice, moving));
        CHECK(cudaMemcpyAsync(host, device, 12 << 20, cudaMemcpyDeviceToHost, moving));
        CHECK(cudaStreamSynchronize(moving));
    }
    puts("copies pass by");
    pthread_mutex_lock(&lock);
    may_go = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, &fine);
    expect("and the others arrive", fine != NULL);
    CHECK(cudaFree(device));
    CHECK(cudaStreamDestroy(still));
    CHECK(cudaStreamDestroy(moving));
    free(host);
}

int main()
{
    sizes();
    in_stream_order();
    by_threads();
    beside_one_that_stands();
    /* What was registered in a context goes with it. */
    CHECK(cudaDeviceReset());
    expect("after a reset", round_trip(7 << 20, 5, 3));
    return verdict();
}
