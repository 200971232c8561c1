/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over a set of digits, batch by batch. Used by main.c. bool results as in device.h.
 */
#ifndef LENET_TRAIN_H
#define LENET_TRAIN_H

#include "net.h"

/* Host memory for batches of at most the net's size. */
bool batch_create(struct batch *batch, size_t most);
void batch_destroy(struct batch *batch);

/* Fills the batch with the digits from position first of set on, as many as fit and are left. */
void batch_fill(struct batch *batch, size_t most, const struct digit_set *set, size_t first);

/* One epoch: every digit of the set once, in the order of the set. */
bool train_epoch(struct net *net, struct batch *batch, const struct digit_set *set, struct sgd sgd,
                 struct outcome *outcome);

/* The outcome of the net on a set. */
bool test_set(struct net *net, struct batch *batch, const struct digit_set *set,
              struct outcome *outcome);

#endif
