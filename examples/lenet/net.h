/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network: LeNet's convolutions, poolings and dense layers, cut to digits of 8x8 pixels. Used
 * by train.c and main.c. bool results as in device.h.
 */
#ifndef LENET_NET_H
#define LENET_NET_H

#include "digits.h"
#include "layer.h"

enum { NET_LAYERS = 11 };

struct net {
    struct device *device; /* not ours to close */
    struct layer layers[NET_LAYERS];
    size_t batch; /* the most samples of one batch */
    cl_mem images;
    cl_mem labels;
    cl_mem probabilities;
    cl_mem outcomes; /* two rows: the loss of each sample, and 1 where it is a hit */
    cl_mem totals;   /* the sum of each row */
};

/* Samples on the host. */
struct batch {
    float *images; /* DIGIT_PIXELS for each, 0..1 */
    cl_int *labels;
    size_t samples;
};

/* The sum over some samples. */
struct outcome {
    double loss;
    size_t hits;
    size_t samples;
};

bool net_create(struct net *net, struct device *device, size_t batch, struct random *random);
void net_destroy(struct net *net);

/* One step of gradient descent; adds the batch's outcome before the step to *outcome. The batch is
 * the caller's to change as soon as this returns true. */
bool net_train(struct net *net, const struct batch *batch, struct sgd sgd, struct outcome *outcome);

/* The outcome only. */
bool net_test(struct net *net, const struct batch *batch, struct outcome *outcome);

/* How likely each class is: DIGIT_CLASSES probabilities for each sample. */
bool net_infer(struct net *net, const struct batch *batch, float *probabilities);

#endif
