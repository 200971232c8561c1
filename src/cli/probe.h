/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at accelerator libraries of this machine in child processes: a library that crashes or
 * hangs harms nobody. Used by `wormhole doctor`.
 */
#ifndef WH_CLI_PROBE_H
#define WH_CLI_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum wh_probe_result {
    WH_PROBE_WORKS,
    WH_PROBE_ABSENT, /* the library is not there */
    WH_PROBE_BROKEN, /* it is, and it is broken; the text says how */
};

/*
 * Loads the host's OpenCL, without Wormhole's own, and counts its platforms; their names come out
 * in `text`, or why there are none.
 */
enum wh_probe_result wh_probe_opencl(int *platforms, char *text, size_t size);

/* A CUDA driver library, and what it finds. */
struct wh_probe_cuda {
    enum wh_probe_result result;
    int error;      /* what its initialisation said; 0: success */
    int devices;    /* that it has */
    int version;    /* of CUDA: 13000 is 13.0 */
    char text[256]; /* the devices' names, or how it is broken */
};

/* Loads the CUDA driver library at `path` and asks for its devices. */
void wh_probe_cuda(const char *path, struct wh_probe_cuda *found);

/* Whether a library can be loaded. */
enum wh_probe_result wh_probe_library(const char *path, char *text, size_t size);

#endif
