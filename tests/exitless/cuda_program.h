/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CUDA programs of the exitless tests have in common: calls that must succeed, and lines
 * that the host waits for and answers. They are ordinary programs: nothing here may know what way
 * their calls take.
 */
#ifndef WH_TEST_CUDA_PROGRAM_H
#define WH_TEST_CUDA_PROGRAM_H

#include "cuda_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void check(CUresult result, const char *what)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("failed: %s: %d\n", what, (int)result);
    exit(1);
}

#define CHECK(call) check(call, #call)

static inline void expect(int good, const char *what, unsigned long i)
{
    if (good)
        return;
    printf("failed: %s is wrong in round %lu\n", what, i);
    exit(1);
}

/* Says a line and waits for the host's, which is read byte by byte: what follows is for others. */
static inline const char *say(const char *line)
{
    static char answer[32];
    size_t length = 0;
    printf("%s\n", line);
    fflush(stdout);
    do
        if (read(0, &answer[length], 1) != 1)
            exit(1);
    while (answer[length] != '\n' && ++length < sizeof(answer) - 1);
    answer[length + (answer[length] == '\n')] = 0;
    return answer;
}

/* Makes the first device's own context current. */
static inline CUcontext open_device(CUdevice *device)
{
    CUcontext context;
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, *device));
    CHECK(cuCtxSetCurrent(context));
    return context;
}

#endif
