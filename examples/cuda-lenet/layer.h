/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer of the network, its memory on the device and the kernels it takes. Used by net.c, which
 * owns the layers.
 *
 * bool results as in driver.h. A batch of fewer samples than the memory was made for is fine.
 */
#ifndef CUDA_LENET_LAYER_H
#define CUDA_LENET_LAYER_H

#include "driver.h"
#include "random.h"

enum layer_kind { LAYER_CONV, LAYER_DENSE, LAYER_POOL, LAYER_RELU };

/* What one sample is: channels of width x width values. Dense layers make width 1. */
struct shape {
    int channels;
    int width;
};

/* Numbers that training changes. */
struct parameters {
    CUdeviceptr values;
    CUdeviceptr gradient;
    CUdeviceptr velocity;
    int count;
};

struct layer {
    enum layer_kind kind;
    struct shape input;
    struct shape output;
    struct parameters weights; /* conv and dense */
    struct parameters bias;    /* conv and dense */
    CUdeviceptr winners;       /* pool: which input each output was */
    CUdeviceptr activation;    /* the output of the last forward pass */
    CUdeviceptr gradient;      /* of the loss, with respect to the output */
};

struct sgd {
    float rate;
    float momentum; /* share of the last step that the next one keeps */
    float decay;    /* pull of every parameter towards 0, against learning by heart */
};

int shape_size(struct shape shape);

/* Makes a layer for inputs of a shape and batches of at most batch samples; channels is the number
 * of outputs of conv and dense, and ignored by the others. Weights are random, biases zero. */
bool layer_create(struct layer *layer, const struct driver *driver, enum layer_kind kind,
                  struct shape input, int channels, int batch, struct random *random);
void layer_destroy(struct layer *layer, const struct driver *driver);

/* Queues the computation of the layer's activation. */
bool layer_forward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                   int samples);

/* Queues the computation of the parameters' gradients and, unless input_gradient is 0, of the
 * input's. Needs layer->gradient, and the activation of the same samples. */
bool layer_backward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                    CUdeviceptr input_gradient, int samples);

/* Queues one step of gradient descent. */
bool layer_update(struct layer *layer, const struct driver *driver, struct sgd sgd);

#endif
