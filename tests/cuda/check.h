/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CUDA programs of this folder share: calls that must succeed, results that are named on
 * stdout, a random sequence, a checksum. Included by each program once, after <cuda.h> where it
 * uses the driver API. Must never print what differs between devices: names, sizes, addresses,
 * times.
 */
#ifndef TESTS_CUDA_CHECK_H
#define TESTS_CUDA_CHECK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failures;

static inline const char *error_name(cudaError_t code)
{
    return cudaGetErrorName(code);
}

#ifdef CUDA_VERSION
static inline const char *error_name(CUresult code)
{
    const char *name;

    return cuGetErrorName(code, &name) == CUDA_SUCCESS ? name : "no name";
}
#endif

/* A call that the rest of the program depends on. */
#define CHECK(call)                                                                               \
    do {                                                                                          \
        auto code_ = (call);                                                                      \
        if ((int)code_ != 0) {                                                                    \
            fflush(stdout);                                                                       \
            fprintf(stderr, "%d: %s: %s (%d)\n", __LINE__, #call, error_name(code_), (int)code_); \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* A launch with <<<>>> that must have been accepted. */
#define CHECK_LAUNCH() CHECK(cudaGetLastError())

/* A call whose error code is the result. */
#define SHOW(call) printf("%s: %s\n", #call, error_name(call))

static inline void expect(const char *what, bool ok)
{
    printf("%s: %s\n", what, ok ? "ok" : "WRONG");
    check_failures += !ok;
}

/* For main's return. */
static inline int verdict(void)
{
    return check_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Xorshift; *state must not be 0. */
static inline uint32_t random32(uint32_t *state)
{
    uint32_t x = *state;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

/* FNV-1a. */
static inline uint64_t checksum(const void *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static inline void print_checksum(const char *what, const void *data, size_t size)
{
    printf("%s: %016llx\n", what, (unsigned long long)checksum(data, size));
}

#endif
