/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small random sequence (SplitMix64), the same on every machine for one seed. Used for the split
 * of the data, its order and the first weights. Not for anything that must be secret.
 */
#ifndef LENET_RANDOM_H
#define LENET_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state; /* any value is a good seed */
};

/* A whole number in 0..limit-1; limit is small beside 2^64, so the bias of the remainder is
 * nothing. */
size_t random_below(struct random *random, size_t limit);

/* A number in [-limit, limit). */
float random_symmetric(struct random *random, float limit);

#endif
