/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). Called by
 * digits.c and net.c. Must never use the C library's rand, whose sequence differs between systems.
 */
#include "random.h"

static uint64_t next(struct random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

size_t random_below(struct random *random, size_t limit)
{
    return (size_t)(next(random) % limit);
}

float random_symmetric(struct random *random, float limit)
{
    float unit = (float)(next(random) >> 40) * 0x1p-24f; /* 24 bits: exact in a float */

    return (2.0f * unit - 1.0f) * limit;
}
