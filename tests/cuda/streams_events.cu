/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams_events: four streams that copy, compute and copy back on their own; a chain across
 * streams that only events order; the legacy default stream's order towards others; queries.
 */
#include "check.h"

enum { STREAMS = 4, COUNT = 4096, LINKS = 40 };

__global__ void scale(int *values, int factor)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    values[i] = values[i] * factor + i;
}

__global__ void link_step(unsigned *value, unsigned factor, unsigned term)
{
    *value = *value * factor + term;
}

static void independent_streams()
{
    cudaStream_t streams[STREAMS];
    int *host, *device;
    bool ok = true;

    CHECK(cudaMallocHost(&host, STREAMS * COUNT * sizeof(*host)));
    CHECK(cudaMalloc(&device, STREAMS * COUNT * sizeof(*device)));
    for (int s = 0; s < STREAMS; s++) {
        int *part = host + s * COUNT, *mine = device + s * COUNT;

        for (int i = 0; i < COUNT; i++)
            part[i] = s * 100 + i % 10;
        CHECK(cudaStreamCreate(&streams[s]));
        CHECK(cudaMemcpyAsync(mine, part, COUNT * sizeof(int), cudaMemcpyHostToDevice, streams[s]));
        scale<<<COUNT / 128, 128, 0, streams[s]>>>(mine, s + 2);
        CHECK_LAUNCH();
        CHECK(cudaMemcpyAsync(part, mine, COUNT * sizeof(int), cudaMemcpyDeviceToHost, streams[s]));
    }
    for (int s = 0; s < STREAMS; s++) {
        CHECK(cudaStreamSynchronize(streams[s]));
        CHECK(cudaStreamQuery(streams[s]));
        for (int i = 0; i < COUNT; i++)
            ok = ok && host[s * COUNT + i] == (s * 100 + i % 10) * (s + 2) + i;
        CHECK(cudaStreamDestroy(streams[s]));
    }
    expect("independent streams", ok);
    print_checksum("all", host, STREAMS * COUNT * sizeof(*host));
    CHECK(cudaFree(device));
    CHECK(cudaFreeHost(host));
}

/* Each link runs on another stream and waits for the one before by an event; any other order gives
 * another number. */
static void chain(unsigned flags)
{
    cudaStream_t streams[STREAMS];
    cudaEvent_t done[STREAMS];
    unsigned *value, got, wanted = 1;

    CHECK(cudaMalloc(&value, sizeof(*value)));
    CHECK(cudaMemcpy(value, &wanted, sizeof(wanted), cudaMemcpyHostToDevice));
    for (int s = 0; s < STREAMS; s++) {
        CHECK(cudaStreamCreateWithFlags(&streams[s], cudaStreamNonBlocking));
        CHECK(cudaEventCreateWithFlags(&done[s], flags));
    }
    for (unsigned i = 0; i < LINKS; i++) {
        unsigned s = i % STREAMS, before = (i + STREAMS - 1) % STREAMS;

        if (i > 0)
            CHECK(cudaStreamWaitEvent(streams[s], done[before], 0));
        link_step<<<1, 1, 0, streams[s]>>>(value, 3 + i, i);
        CHECK(cudaEventRecord(done[s], streams[s]));
        wanted = wanted * (3 + i) + i;
    }
    CHECK(cudaEventSynchronize(done[(LINKS - 1) % STREAMS]));
    CHECK(cudaEventQuery(done[(LINKS - 1) % STREAMS]));
    CHECK(cudaMemcpy(&got, value, sizeof(got), cudaMemcpyDeviceToHost));
    expect("chain", got == wanted);
    printf("%u\n", got);
    for (int s = 0; s < STREAMS; s++) {
        CHECK(cudaStreamDestroy(streams[s]));
        CHECK(cudaEventDestroy(done[s]));
    }
    CHECK(cudaFree(value));
}

/* Work on the legacy default stream waits for blocking streams, and they for it. */
static void default_stream()
{
    unsigned *value, got, wanted = 1;
    cudaStream_t stream;

    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMalloc(&value, sizeof(*value)));
    CHECK(cudaMemcpy(value, &wanted, sizeof(wanted), cudaMemcpyHostToDevice));
    for (unsigned i = 0; i < LINKS; i++) {
        link_step<<<1, 1, 0, i % 2 ? stream : 0>>>(value, 5, i);
        wanted = wanted * 5 + i;
    }
    CHECK(cudaMemcpy(&got, value, sizeof(got), cudaMemcpyDeviceToHost));
    expect("default stream", got == wanted);
    CHECK(cudaStreamDestroy(stream));
    CHECK(cudaFree(value));
}

static void queries()
{
    cudaEvent_t event;
    cudaStream_t stream;
    unsigned flags;

    CHECK(cudaEventCreate(&event));
    expect("an event never recorded is complete", cudaEventQuery(event) == cudaSuccess);
    CHECK(cudaStreamWaitEvent(0, event, 0));
    CHECK(cudaEventSynchronize(event));
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK(cudaStreamGetFlags(stream, &flags));
    expect("flags", flags == cudaStreamNonBlocking);
    CHECK(cudaStreamGetFlags(0, &flags));
    expect("flags of the default stream", flags == cudaStreamDefault);
    CHECK(cudaEventDestroy(event));
    CHECK(cudaStreamDestroy(stream));
}

int main()
{
    independent_streams();
    chain(cudaEventDisableTiming);
    chain(cudaEventDefault | cudaEventBlockingSync);
    default_stream();
    queries();
    CHECK(cudaDeviceSynchronize());
    return verdict();
}
