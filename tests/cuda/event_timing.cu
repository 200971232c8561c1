/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_timing: times between events are there, not negative and add up; how long they are is
 * nobody's promise.
 */
#include "check.h"

enum { EVENTS = 5 };

__global__ void spin(unsigned *value, int rounds)
{
    unsigned x = *value;

    for (int i = 0; i < rounds; i++)
        x = x * 1664525u + 1013904223u;
    *value = x;
}

int main()
{
    cudaEvent_t events[EVENTS];
    unsigned *value, got, wanted = 0;
    float part, sum = 0, whole;
    bool ok = true;

    CHECK(cudaMalloc(&value, sizeof(*value)));
    CHECK(cudaMemset(value, 0, sizeof(*value)));
    for (int i = 0; i < EVENTS; i++)
        CHECK(cudaEventCreate(&events[i]));
    for (int i = 0; i < EVENTS; i++) {
        CHECK(cudaEventRecord(events[i], 0));
        spin<<<1, 1>>>(value, 10000);
        for (int k = 0; k < 10000; k++)
            wanted = wanted * 1664525u + 1013904223u;
    }
    CHECK(cudaEventSynchronize(events[EVENTS - 1]));
    for (int i = 1; i < EVENTS; i++) {
        part = -1;
        CHECK(cudaEventElapsedTime(&part, events[i - 1], events[i]));
        ok = ok && part >= 0;
        sum += part;
    }
    CHECK(cudaEventElapsedTime(&whole, events[0], events[EVENTS - 1]));
    expect("not negative", ok);
    expect("add up", fabsf(sum - whole) <= 0.01f * whole + 0.01f);
    CHECK(cudaEventElapsedTime(&part, events[EVENTS - 1], events[0]));
    expect("backwards is negative or nothing", part <= 0);
    CHECK(cudaEventElapsedTime(&part, events[0], events[0]));
    expect("none to itself", part == 0);
    CHECK(cudaMemcpy(&got, value, sizeof(got), cudaMemcpyDeviceToHost));
    expect("computed meanwhile", got == wanted);

    /* An event recorded again counts from then. */
    CHECK(cudaEventRecord(events[0], 0));
    CHECK(cudaEventSynchronize(events[0]));
    CHECK(cudaEventElapsedTime(&part, events[1], events[0]));
    expect("recorded again", part >= 0);
    for (int i = 0; i < EVENTS; i++)
        CHECK(cudaEventDestroy(events[i]));
    CHECK(cudaFree(value));
    return verdict();
}
