/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_launches: tens of thousands of launches, copies and sets without waiting, many objects made
 * and let go.
 */
#include "check.h"

enum { LAUNCHES = 20000, OBJECTS = 500 };

__global__ void step(unsigned *value, unsigned term)
{
    *value = *value * 5 + term;
}

static void launches(unsigned *device)
{
    unsigned wanted = 3, got = 0;

    CHECK(cudaMemcpy(device, &wanted, sizeof(wanted), cudaMemcpyHostToDevice));
    for (unsigned i = 0; i < LAUNCHES; i++) {
        step<<<1, 1>>>(device, i);
        wanted = wanted * 5 + i;
        if (i % 1000 == 999) { /* something other than launches now and then */
            CHECK(cudaMemsetAsync(device + 1, (int)(i & 0xff), sizeof(*device)));
            CHECK(cudaMemcpyAsync(device + 2, device, sizeof(*device), cudaMemcpyDeviceToDevice));
        }
    }
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&got, device, sizeof(got), cudaMemcpyDeviceToHost));
    expect("launches", got == wanted);
    printf("%u\n", got);
    CHECK(cudaMemcpy(&got, device + 2, sizeof(got), cudaMemcpyDeviceToHost));
    expect("copied after the last", got == wanted);
    CHECK(cudaMemcpy(&got, device + 1, sizeof(got), cudaMemcpyDeviceToHost));
    expect("set", got == ((LAUNCHES - 1) & 0xff) * 0x01010101u);
}

static void objects()
{
    static cudaStream_t streams[OBJECTS / 10];
    static cudaEvent_t events[OBJECTS];
    static unsigned *memory[OBJECTS];
    bool ok = true;

    for (cudaStream_t &stream : streams)
        CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    for (int i = 0; i < OBJECTS; i++) {
        cudaStream_t stream = streams[i % (OBJECTS / 10)];

        CHECK(cudaEventCreateWithFlags(&events[i], cudaEventDisableTiming));
        CHECK(cudaMalloc(&memory[i], 64 * (i + 1)));
        CHECK(cudaMemsetAsync(memory[i], 0, 64, stream));
        step<<<1, 1, 0, stream>>>(memory[i], i);
        CHECK(cudaEventRecord(events[i], stream));
    }
    for (int i = OBJECTS - 1; i >= 0; i--) {
        unsigned value = 0;

        CHECK(cudaEventSynchronize(events[i]));
        CHECK(cudaMemcpy(&value, memory[i], sizeof(value), cudaMemcpyDeviceToHost));
        ok = ok && value == (unsigned)i;
        CHECK(cudaFree(memory[i]));
        CHECK(cudaEventDestroy(events[i]));
    }
    for (cudaStream_t stream : streams)
        CHECK(cudaStreamDestroy(stream));
    expect("objects", ok);
}

int main()
{
    unsigned *device;

    CHECK(cudaMalloc(&device, 3 * sizeof(*device)));
    launches(device);
    objects();
    CHECK(cudaFree(device));
    return verdict();
}
