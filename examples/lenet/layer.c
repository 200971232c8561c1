/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four kinds of layers as kernel launches. Called by net.c. Waits for the device
 * only when a layer is made; forward, backward and update do no more than queue.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "layer.h"

size_t shape_size(struct shape shape)
{
    return shape.channels * shape.width * shape.width;
}

static struct shape output_shape(enum layer_kind kind, struct shape input, size_t channels)
{
    switch (kind) {
    case LAYER_CONV:
        return (struct shape){channels, input.width};
    case LAYER_DENSE:
        return (struct shape){channels, 1};
    case LAYER_POOL:
        return (struct shape){input.channels, input.width / 2};
    case LAYER_RELU:
        break;
    }
    return input;
}

/* How many weights lead to one output: the inputs it sees. Layers without weights have none. */
static size_t fan_in(const struct layer *layer)
{
    switch (layer->kind) {
    case LAYER_CONV:
        return layer->input.channels * FILTER_WIDTH * FILTER_WIDTH;
    case LAYER_DENSE:
        return shape_size(layer->input);
    default:
        return 0;
    }
}

/* ---- Parameters ---- */

static void parameters_destroy(struct parameters *parameters)
{
    device_free(parameters->values);
    device_free(parameters->gradient);
    device_free(parameters->velocity);
}

/* Queues the upload of the first values and of the velocity, which starts at zero. */
static bool parameters_upload(struct parameters *parameters, struct device *device,
                              const float *values, const float *zeros)
{
    size_t bytes = parameters->count * sizeof(cl_float);

    return device_allocate(device, bytes, &parameters->values) &&
           device_allocate(device, bytes, &parameters->gradient) &&
           device_allocate(device, bytes, &parameters->velocity) &&
           device_write(device, parameters->values, bytes, values) &&
           device_write(device, parameters->velocity, bytes, zeros);
}

/* Random values within +-limit, or zeros if random is NULL. */
static bool parameters_create(struct parameters *parameters, struct device *device, size_t count,
                              struct random *random, float limit)
{
    float *values = calloc(count, sizeof(*values));
    float *zeros = calloc(count, sizeof(*zeros));
    bool ok = values && zeros;

    if (!ok)
        fputs("lenet: out of memory\n", stderr);
    if (ok && random)
        for (size_t i = 0; i < count; i++)
            values[i] = random_symmetric(random, limit);
    parameters->count = count;
    ok = ok && parameters_upload(parameters, device, values, zeros);
    ok = device_finish(device) && ok; /* whatever was queued still reads values and zeros */
    free(values);
    free(zeros);
    return ok;
}

static bool parameters_update(struct parameters *parameters, struct device *device, struct sgd sgd)
{
    return device_run(device, SGD_UPDATE, grid_of(parameters->count, 1, 1),
                      BUFFER(parameters->values), BUFFER(parameters->gradient),
                      BUFFER(parameters->velocity), FLOAT(sgd.rate), FLOAT(sgd.momentum),
                      FLOAT(sgd.decay));
}

/* ---- Convolution ---- */

static bool conv_forward(struct layer *layer, struct device *device, cl_mem input, size_t samples)
{
    size_t width = layer->output.width;

    return device_run(device, CONV_FORWARD, grid_of(width * width, layer->output.channels, samples),
                      BUFFER(input), BUFFER(layer->weights.values), BUFFER(layer->bias.values),
                      BUFFER(layer->activation), INT(layer->input.channels), INT(width));
}

static bool conv_backward(struct layer *layer, struct device *device, cl_mem input,
                          cl_mem input_gradient, size_t samples)
{
    size_t width = layer->output.width;

    if (!device_run(
            device, CONV_BACKWARD_WEIGHTS,
            grid_of(FILTER_WIDTH * FILTER_WIDTH, layer->input.channels, layer->output.channels),
            BUFFER(input), BUFFER(layer->gradient), BUFFER(layer->weights.gradient), INT(samples),
            INT(width)))
        return false;
    if (!device_run(device, BIAS_BACKWARD, grid_of(layer->output.channels, 1, 1),
                    BUFFER(layer->gradient), BUFFER(layer->bias.gradient), INT(samples),
                    INT(width * width)))
        return false;
    if (!input_gradient)
        return true;
    return device_run(device, CONV_BACKWARD_INPUT,
                      grid_of(width * width, layer->input.channels, samples),
                      BUFFER(layer->weights.values), BUFFER(layer->gradient),
                      BUFFER(input_gradient), INT(layer->output.channels), INT(width));
}

/* ---- Dense ---- */

static bool dense_forward(struct layer *layer, struct device *device, cl_mem input, size_t samples)
{
    return device_run(device, DENSE_FORWARD, grid_of(layer->output.channels, samples, 1),
                      BUFFER(input), BUFFER(layer->weights.values), BUFFER(layer->bias.values),
                      BUFFER(layer->activation), INT(shape_size(layer->input)));
}

static bool dense_backward(struct layer *layer, struct device *device, cl_mem input,
                           cl_mem input_gradient, size_t samples)
{
    size_t inputs = shape_size(layer->input);
    size_t outputs = layer->output.channels;

    if (!device_run(device, DENSE_BACKWARD_WEIGHTS, grid_of(inputs, outputs, 1), BUFFER(input),
                    BUFFER(layer->gradient), BUFFER(layer->weights.gradient), INT(samples)))
        return false;
    if (!device_run(device, BIAS_BACKWARD, grid_of(outputs, 1, 1), BUFFER(layer->gradient),
                    BUFFER(layer->bias.gradient), INT(samples), INT(1)))
        return false;
    if (!input_gradient)
        return true;
    return device_run(device, DENSE_BACKWARD_INPUT, grid_of(inputs, samples, 1),
                      BUFFER(layer->weights.values), BUFFER(layer->gradient),
                      BUFFER(input_gradient), INT(outputs));
}

/* ---- Pooling and ReLU ---- */

static bool pool_forward(struct layer *layer, struct device *device, cl_mem input, size_t samples)
{
    size_t width = layer->output.width;

    return device_run(device, POOL_FORWARD, grid_of(width, width, samples * layer->output.channels),
                      BUFFER(input), BUFFER(layer->activation), BUFFER(layer->winners));
}

static bool pool_backward(struct layer *layer, struct device *device, cl_mem input_gradient,
                          size_t samples)
{
    size_t width = layer->output.width;

    return device_run(device, POOL_BACKWARD,
                      grid_of(width, width, samples * layer->output.channels),
                      BUFFER(layer->winners), BUFFER(layer->gradient), BUFFER(input_gradient));
}

static bool relu_forward(struct layer *layer, struct device *device, cl_mem input, size_t samples)
{
    return device_run(device, RELU_FORWARD, grid_of(samples * shape_size(layer->output), 1, 1),
                      BUFFER(input), BUFFER(layer->activation));
}

static bool relu_backward(struct layer *layer, struct device *device, cl_mem input_gradient,
                          size_t samples)
{
    return device_run(device, RELU_BACKWARD, grid_of(samples * shape_size(layer->output), 1, 1),
                      BUFFER(layer->activation), BUFFER(layer->gradient), BUFFER(input_gradient));
}

/* ---- Any layer ---- */

static bool create_parameters(struct layer *layer, struct device *device, struct random *random)
{
    size_t inputs = fan_in(layer);
    size_t outputs = layer->output.channels;

    if (inputs == 0)
        return true;

    /* He et al. 2015: variance 2 / fan-in keeps the scale of activations through ReLU layers. */
    float limit = sqrtf(6.0f / (float)inputs);

    return parameters_create(&layer->weights, device, inputs * outputs, random, limit) &&
           parameters_create(&layer->bias, device, outputs, NULL, 0.0f);
}

bool layer_create(struct layer *layer, struct device *device, enum layer_kind kind,
                  struct shape input, size_t channels, size_t batch, struct random *random)
{
    *layer =
        (struct layer){.kind = kind, .input = input, .output = output_shape(kind, input, channels)};

    size_t values = batch * shape_size(layer->output);

    if (kind == LAYER_POOL && !device_allocate(device, values * sizeof(cl_uchar), &layer->winners))
        return false;
    return device_allocate(device, values * sizeof(cl_float), &layer->activation) &&
           device_allocate(device, values * sizeof(cl_float), &layer->gradient) &&
           create_parameters(layer, device, random);
}

void layer_destroy(struct layer *layer)
{
    parameters_destroy(&layer->weights);
    parameters_destroy(&layer->bias);
    device_free(layer->winners);
    device_free(layer->activation);
    device_free(layer->gradient);
    *layer = (struct layer){0};
}

bool layer_forward(struct layer *layer, struct device *device, cl_mem input, size_t samples)
{
    switch (layer->kind) {
    case LAYER_CONV:
        return conv_forward(layer, device, input, samples);
    case LAYER_DENSE:
        return dense_forward(layer, device, input, samples);
    case LAYER_POOL:
        return pool_forward(layer, device, input, samples);
    case LAYER_RELU:
        return relu_forward(layer, device, input, samples);
    }
    return false;
}

bool layer_backward(struct layer *layer, struct device *device, cl_mem input, cl_mem input_gradient,
                    size_t samples)
{
    switch (layer->kind) {
    case LAYER_CONV:
        return conv_backward(layer, device, input, input_gradient, samples);
    case LAYER_DENSE:
        return dense_backward(layer, device, input, input_gradient, samples);
    case LAYER_POOL:
        return !input_gradient || pool_backward(layer, device, input_gradient, samples);
    case LAYER_RELU:
        return !input_gradient || relu_backward(layer, device, input_gradient, samples);
    }
    return false;
}

bool layer_update(struct layer *layer, struct device *device, struct sgd sgd)
{
    if (layer->weights.count == 0)
        return true;
    return parameters_update(&layer->weights, device, sgd) &&
           parameters_update(&layer->bias, device, sgd);
}
