/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network: LeNet's convolutions, poolings and dense layers, cut to digits of 8x8 pixels. Used
 * by main.c. bool results as in driver.h.
 */
#ifndef CUDA_LENET_NET_H
#define CUDA_LENET_NET_H

#include "digits.h"
#include "layer.h"

enum { NET_LAYERS = 11 };

struct net {
    const struct driver *driver; /* not ours to close */
    struct layer layers[NET_LAYERS];
    int batch; /* the most samples of one batch */
    float *host_images;
    int *host_labels;
    float *host_totals;
    CUdeviceptr images;
    CUdeviceptr labels;
    CUdeviceptr outcomes; /* two rows: the loss of each sample, and 1 where it is a hit */
    CUdeviceptr totals;   /* the sum of each row */
};

/* The sum over some samples. */
struct outcome {
    double loss;
    int hits;
    int samples;
};

bool net_create(struct net *net, const struct driver *driver, int batch, struct random *random);
void net_destroy(struct net *net);

/* A pass over a set of digits, batch by batch, in the order of the set; with steps of gradient
 * descent, unless sgd is NULL. */
bool net_pass(struct net *net, const struct digit_set *set, const struct sgd *sgd,
              struct outcome *outcome);

#endif
