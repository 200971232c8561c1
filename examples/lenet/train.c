/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds sets of digits to the network. Called by main.c. Prints nothing but errors.
 */
#include <stdio.h>
#include <stdlib.h>

#include "train.h"

bool batch_create(struct batch *batch, size_t most)
{
    *batch = (struct batch){
        .images = calloc(most, DIGIT_PIXELS * sizeof(*batch->images)),
        .labels = calloc(most, sizeof(*batch->labels)),
    };
    if (batch->images && batch->labels)
        return true;
    fputs("lenet: out of memory\n", stderr);
    return false;
}

void batch_destroy(struct batch *batch)
{
    free(batch->images);
    free(batch->labels);
    *batch = (struct batch){0};
}

void batch_fill(struct batch *batch, size_t most, const struct digit_set *set, size_t first)
{
    size_t left = set->count - first;

    batch->samples = left < most ? left : most;
    for (size_t i = 0; i < batch->samples; i++) {
        size_t row = set->rows[first + i];

        for (size_t p = 0; p < DIGIT_PIXELS; p++)
            batch->images[i * DIGIT_PIXELS + p] = (float)digit_pixel(row, p) / 16.0f;
        batch->labels[i] = digit_label(row);
    }
}

bool train_epoch(struct net *net, struct batch *batch, const struct digit_set *set, struct sgd sgd,
                 struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    for (size_t first = 0; first < set->count; first += net->batch) {
        batch_fill(batch, net->batch, set, first);
        if (!net_train(net, batch, sgd, outcome))
            return false;
    }
    return true;
}

bool test_set(struct net *net, struct batch *batch, const struct digit_set *set,
              struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    for (size_t first = 0; first < set->count; first += net->batch) {
        batch_fill(batch, net->batch, set, first);
        if (!net_test(net, batch, outcome))
            return false;
    }
    return true;
}
