/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CUDA driver library that has devices and nothing else, for the test of `wormhole doctor`.
 * DRIVER in the environment says what it is like: "devices" (three), "none", "crash". It must never
 * be mistaken for a device: every other call is missing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { SUCCESS = 0, NO_DEVICE = 100 }; /* CUresult */

static int is(const char *kind)
{
    const char *wanted = getenv("DRIVER");
    return wanted && strcmp(wanted, kind) == 0;
}

EXPORT int cuInit(unsigned flags);
EXPORT int cuDriverGetVersion(int *version);
EXPORT int cuDeviceGetCount(int *count);
EXPORT int cuDeviceGet(int *device, int ordinal);
EXPORT int cuDeviceGetName(char *name, int size, int device);
EXPORT int cuCtxSetCurrent(void *context);

int cuInit(unsigned flags)
{
    (void)flags;
    if (is("crash"))
        abort();
    return is("none") ? NO_DEVICE : SUCCESS;
}

int cuDriverGetVersion(int *version)
{
    *version = 12040;
    return SUCCESS;
}

int cuDeviceGetCount(int *count)
{
    *count = 3;
    return SUCCESS;
}

int cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char *name, int size, int device)
{
    (void)snprintf(name, (size_t)size, "%s", device < 2 ? "Large Device" : "Small Device");
    return SUCCESS;
}

int cuCtxSetCurrent(void *context)
{
    (void)context;
    return SUCCESS;
}
