/* SPDX-License-Identifier: Apache-2.0 */
/*
 * two_threads: threads that share nothing but the library: each with its own stream, memory and
 * events, then each with its own context; each sees its own errors and its own current context.
 */
#include <cuda.h>
#include <pthread.h>

#include "check.h"

enum { THREADS = 2, COUNT = 1024, ROUNDS = 100 };

__global__ void step(unsigned *values, unsigned factor, unsigned term)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    values[i] = values[i] * factor + term;
}

struct result {
    unsigned number;
    bool computed, errors, contexts;
};

static bool compute(unsigned number)
{
    unsigned *device, *host, wanted = 0;
    cudaStream_t stream;
    cudaEvent_t event;
    bool ok = true;

    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK(cudaEventCreate(&event));
    CHECK(cudaMallocHost(&host, COUNT * sizeof(*host)));
    for (unsigned round = 0; round < ROUNDS; round++) {
        CHECK(cudaMalloc(&device, COUNT * sizeof(*device)));
        CHECK(cudaMemsetAsync(device, 0, COUNT * sizeof(*device), stream));
        step<<<COUNT / 128, 128, 0, stream>>>(device, number + 3, round);
        step<<<COUNT / 128, 128, 0, stream>>>(device, number + 5, round + 1);
        wanted = round * (number + 5) + round + 1;
        CHECK(cudaMemcpyAsync(host, device, COUNT * sizeof(*host), cudaMemcpyDeviceToHost, stream));
        CHECK(cudaEventRecord(event, stream));
        CHECK(cudaEventSynchronize(event));
        for (int i = 0; i < COUNT; i++)
            ok = ok && host[i] == wanted;
        CHECK(cudaFree(device));
    }
    CHECK(cudaFreeHost(host));
    CHECK(cudaEventDestroy(event));
    CHECK(cudaStreamDestroy(stream));
    return ok;
}

/* One thread's last error is not the other's. */
static bool own_errors(unsigned number)
{
    bool ok = true;

    for (int i = 0; i < 20; i++) {
        if (number == 0)
            ok = ok && cudaSetDevice(1000) == cudaErrorInvalidDevice &&
                 cudaGetLastError() == cudaErrorInvalidDevice;
        else
            ok = ok && cudaMemset((void *)16, 0, 1) == cudaErrorInvalidValue &&
                 cudaGetLastError() == cudaErrorInvalidValue;
        ok = ok && cudaGetLastError() == cudaSuccess;
    }
    return ok;
}

/* Contexts are stacked for each thread on its own. */
static bool own_contexts(unsigned number)
{
    CUcontext mine, now = nullptr, popped = nullptr;
    unsigned value = 0;
    CUdeviceptr memory;
    CUdevice device;
    bool ok = true;

    CHECK(cuDeviceGet(&device, 0));
    for (unsigned i = 0; i < 5; i++) {
        CHECK(cuCtxCreate(&mine, nullptr, 0, device));
        CHECK(cuCtxGetCurrent(&now));
        ok = ok && now == mine;
        CHECK(cuMemAlloc(&memory, 64));
        CHECK(cuMemsetD32(memory, number * 1000 + i, 16));
        CHECK(cuMemcpyDtoH(&value, memory + 60, sizeof(value)));
        ok = ok && value == number * 1000 + i;
        CHECK(cuCtxPopCurrent(&popped));
        ok = ok && popped == mine;
        CHECK(cuCtxGetCurrent(&now));
        ok = ok && now != mine;
        CHECK(cuCtxDestroy(mine));
    }
    return ok;
}

static void *work(void *argument)
{
    result *r = (result *)argument;

    r->computed = compute(r->number);
    r->errors = own_errors(r->number);
    r->contexts = own_contexts(r->number);
    return nullptr;
}

int main()
{
    result results[THREADS] = {};
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        results[i].number = i;
        pthread_create(&threads[i], nullptr, work, &results[i]);
    }
    for (pthread_t thread : threads)
        pthread_join(thread, nullptr);
    for (const result &r : results) {
        printf("thread %u\n", r.number);
        expect("computed", r.computed);
        expect("its own errors", r.errors);
        expect("its own contexts", r.contexts);
    }
    return verdict();
}
