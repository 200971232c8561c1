/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer of a network, its memory on the device and the kernels it takes. Used by net.c, which
 * owns the layers.
 *
 * bool results as in device.h. A batch of fewer samples than the memory was made for is fine.
 */
#ifndef LENET_LAYER_H
#define LENET_LAYER_H

#include "device.h"
#include "random.h"

enum layer_kind { LAYER_CONV, LAYER_DENSE, LAYER_POOL, LAYER_RELU };

/* What one sample is: channels of width x width values. Dense layers make width 1. */
struct shape {
    size_t channels;
    size_t width;
};

/* Numbers that training changes. */
struct parameters {
    cl_mem values;
    cl_mem gradient;
    cl_mem velocity;
    size_t count;
};

struct layer {
    enum layer_kind kind;
    struct shape input;
    struct shape output;
    struct parameters weights; /* conv and dense */
    struct parameters bias;    /* conv and dense */
    cl_mem winners;            /* pool: which input each output was */
    cl_mem activation;         /* the output of the last forward pass */
    cl_mem gradient;           /* of the loss, with respect to the output */
};

struct sgd {
    float rate;
    float momentum; /* share of the last step that the next one keeps */
    float decay;    /* pull of every parameter towards 0, against learning by heart */
};

size_t shape_size(struct shape shape);

/* Makes a layer for inputs of a shape and batches of at most batch samples; channels is the number
 * of outputs of conv and dense, and ignored by the others. Weights are random, biases zero. */
bool layer_create(struct layer *layer, struct device *device, enum layer_kind kind,
                  struct shape input, size_t channels, size_t batch, struct random *random);
void layer_destroy(struct layer *layer);

/* Queues the computation of the layer's activation. */
bool layer_forward(struct layer *layer, struct device *device, cl_mem input, size_t samples);

/* Queues the computation of the parameters' gradients and, unless input_gradient is NULL, of the
 * input's. Needs layer->gradient, and the activation of the same samples. */
bool layer_backward(struct layer *layer, struct device *device, cl_mem input, cl_mem input_gradient,
                    size_t samples);

/* Queues one step of gradient descent. */
bool layer_update(struct layer *layer, struct device *device, struct sgd sgd);

#endif
