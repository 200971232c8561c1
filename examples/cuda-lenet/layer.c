/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four kinds of layers as kernel launches. Called by net.c. Waits for the device only when a
 * layer is made; forward, backward and update do no more than queue.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "layer.h"

/* As in kernels.cu. */
enum { FILTER = 3, TILE = 16, LANES = 16 };

/* How many channels a block of a convolution computes; divides those of every such layer. */
enum { CHANNELS_OF_BLOCK = 4 };

/* As the kernel takes it. */
struct matrix {
    CUdeviceptr values;
    int row, column;
};

int shape_size(struct shape shape)
{
    return shape.channels * shape.width * shape.width;
}

static struct shape output_shape(enum layer_kind kind, struct shape input, int channels)
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
static int fan_in(const struct layer *layer)
{
    switch (layer->kind) {
    case LAYER_CONV:
        return layer->input.channels * FILTER * FILTER;
    case LAYER_DENSE:
        return shape_size(layer->input);
    default:
        return 0;
    }
}

/* ---- Parameters ---- */

static void parameters_destroy(const struct parameters *parameters, const struct driver *driver)
{
    driver_free(driver, parameters->values);
    driver_free(driver, parameters->gradient);
    driver_free(driver, parameters->velocity);
}

/* Random values within +-limit; waits until they are there. */
static bool randomize(const struct parameters *parameters, const struct driver *driver,
                      struct random *random, float limit)
{
    size_t bytes = (size_t)parameters->count * sizeof(float);
    float *values = malloc(bytes);
    bool ok;

    if (!values) {
        fputs("cuda-lenet: out of memory\n", stderr);
        return false;
    }
    for (int i = 0; i < parameters->count; i++)
        values[i] = random_symmetric(random, limit);
    ok = driver_write(driver, parameters->values, bytes, values) &&
         driver_read(driver, parameters->values, bytes, values);
    free(values);
    return ok;
}

static bool parameters_create(struct parameters *parameters, const struct driver *driver, int count)
{
    size_t bytes = (size_t)count * sizeof(float);

    parameters->count = count;
    return driver_allocate(driver, bytes, &parameters->values) &&
           driver_allocate(driver, bytes, &parameters->gradient) &&
           driver_allocate(driver, bytes, &parameters->velocity);
}

static bool parameters_update(struct parameters *parameters, const struct driver *driver,
                              struct sgd sgd)
{
    return driver_run(driver, SGD_UPDATE, grid_of((size_t)parameters->count), &parameters->values,
                      &parameters->gradient, &parameters->velocity, &sgd.rate, &sgd.momentum,
                      &sgd.decay, &parameters->count);
}

static bool bias_backward(struct layer *layer, const struct driver *driver, int samples)
{
    int pixels = layer->output.width * layer->output.width;
    struct grid grid = {(unsigned int)layer->output.channels, 1, 32, 1, 0};

    return driver_run(driver, BIAS_BACKWARD, grid, &layer->gradient, &layer->bias.gradient,
                      &samples, &pixels);
}

/* ---- Convolution ---- */

/* For kernels that keep planes of one sample in shared memory while they make others of it. */
static struct grid planes_grid(int kept, int made, int width, int samples)
{
    unsigned int padded = (unsigned int)width + 2;

    return (struct grid){
        .x = (unsigned int)made / CHANNELS_OF_BLOCK,
        .y = (unsigned int)samples,
        .block_x = (unsigned int)(width * width),
        .block_y = CHANNELS_OF_BLOCK,
        .shared = (unsigned int)kept * padded * padded * (unsigned int)sizeof(float),
    };
}

static bool conv_forward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                         int samples)
{
    int in = layer->input.channels, out = layer->output.channels, width = layer->output.width;

    return driver_run(driver, CONV_FORWARD, planes_grid(in, out, width, samples), &input,
                      &layer->weights.values, &layer->bias.values, &layer->activation, &in, &out,
                      &width);
}

static bool conv_backward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                          CUdeviceptr input_gradient, int samples)
{
    int in = layer->input.channels, out = layer->output.channels, width = layer->output.width;
    struct grid filters = {(unsigned int)in, (unsigned int)out, FILTER * FILTER, LANES, 0};

    if (!driver_run(driver, CONV_BACKWARD_WEIGHTS, filters, &input, &layer->gradient,
                    &layer->weights.gradient, &samples, &width) ||
        !bias_backward(layer, driver, samples))
        return false;
    return !input_gradient ||
           driver_run(driver, CONV_BACKWARD_INPUT, planes_grid(out, in, width, samples),
                      &layer->weights.values, &layer->gradient, &input_gradient, &in, &out, &width);
}

/* ---- Dense ---- */

static bool multiply(const struct driver *driver, struct matrix a, struct matrix b,
                     CUdeviceptr bias, CUdeviceptr product, int rows, int columns, int inner)
{
    struct grid grid = {(unsigned int)(columns + TILE - 1) / TILE,
                        (unsigned int)(rows + TILE - 1) / TILE, TILE, TILE, 0};

    return driver_run(driver, MULTIPLY, grid, &a, &b, &bias, &product, &rows, &columns, &inner);
}

static bool dense_forward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                          int samples)
{
    int in = shape_size(layer->input), out = layer->output.channels;

    return multiply(driver, (struct matrix){input, in, 1},
                    (struct matrix){layer->weights.values, 1, in}, layer->bias.values,
                    layer->activation, samples, out, in);
}

static bool dense_backward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                           CUdeviceptr input_gradient, int samples)
{
    int in = shape_size(layer->input), out = layer->output.channels;

    if (!multiply(driver, (struct matrix){layer->gradient, 1, out}, (struct matrix){input, in, 1},
                  0, layer->weights.gradient, out, in, samples) ||
        !bias_backward(layer, driver, samples))
        return false;
    return multiply(driver, (struct matrix){layer->gradient, out, 1},
                    (struct matrix){layer->weights.values, in, 1}, 0, input_gradient, samples, in,
                    out);
}

/* ---- Pooling and ReLU ---- */

static bool pool_forward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                         int samples)
{
    int count = shape_size(layer->output) * samples;

    return driver_run(driver, POOL_FORWARD, grid_of((size_t)count), &input, &layer->activation,
                      &layer->winners, &layer->output.width, &count);
}

static bool pool_backward(struct layer *layer, const struct driver *driver,
                          CUdeviceptr input_gradient, int samples)
{
    int count = shape_size(layer->output) * samples;

    return driver_run(driver, POOL_BACKWARD, grid_of((size_t)count), &layer->winners,
                      &layer->gradient, &input_gradient, &layer->output.width, &count);
}

static bool relu_forward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                         int samples)
{
    int count = shape_size(layer->output) * samples;

    return driver_run(driver, RELU_FORWARD, grid_of((size_t)count), &input, &layer->activation,
                      &count);
}

static bool relu_backward(struct layer *layer, const struct driver *driver,
                          CUdeviceptr input_gradient, int samples)
{
    int count = shape_size(layer->output) * samples;

    return driver_run(driver, RELU_BACKWARD, grid_of((size_t)count), &layer->activation,
                      &layer->gradient, &input_gradient, &count);
}

/* ---- Any layer ---- */

static bool create_memory(struct layer *layer, const struct driver *driver, int batch)
{
    size_t count = (size_t)shape_size(layer->output) * (size_t)batch;

    if (layer->kind == LAYER_POOL && !driver_allocate(driver, count, &layer->winners))
        return false;
    return driver_allocate(driver, count * sizeof(float), &layer->activation) &&
           driver_allocate(driver, count * sizeof(float), &layer->gradient);
}

/* Uniform within the limit of He et al. (2015), which suits ReLU. */
static bool create_parameters(struct layer *layer, const struct driver *driver,
                              struct random *random)
{
    int inputs = fan_in(layer), outputs = layer->output.channels;

    if (inputs == 0)
        return true;
    return parameters_create(&layer->weights, driver, inputs * outputs) &&
           parameters_create(&layer->bias, driver, outputs) &&
           randomize(&layer->weights, driver, random, sqrtf(6.0f / (float)inputs));
}

bool layer_create(struct layer *layer, const struct driver *driver, enum layer_kind kind,
                  struct shape input, int channels, int batch, struct random *random)
{
    *layer =
        (struct layer){.kind = kind, .input = input, .output = output_shape(kind, input, channels)};
    return create_memory(layer, driver, batch) && create_parameters(layer, driver, random);
}

void layer_destroy(struct layer *layer, const struct driver *driver)
{
    parameters_destroy(&layer->weights, driver);
    parameters_destroy(&layer->bias, driver);
    driver_free(driver, layer->winners);
    driver_free(driver, layer->activation);
    driver_free(driver, layer->gradient);
    *layer = (struct layer){0};
}

bool layer_forward(struct layer *layer, const struct driver *driver, CUdeviceptr input, int samples)
{
    switch (layer->kind) {
    case LAYER_CONV:
        return conv_forward(layer, driver, input, samples);
    case LAYER_DENSE:
        return dense_forward(layer, driver, input, samples);
    case LAYER_POOL:
        return pool_forward(layer, driver, input, samples);
    case LAYER_RELU:
        return relu_forward(layer, driver, input, samples);
    }
    return false;
}

bool layer_backward(struct layer *layer, const struct driver *driver, CUdeviceptr input,
                    CUdeviceptr input_gradient, int samples)
{
    switch (layer->kind) {
    case LAYER_CONV:
        return conv_backward(layer, driver, input, input_gradient, samples);
    case LAYER_DENSE:
        return dense_backward(layer, driver, input, input_gradient, samples);
    case LAYER_POOL:
        return pool_backward(layer, driver, input_gradient, samples);
    case LAYER_RELU:
        return relu_backward(layer, driver, input_gradient, samples);
    }
    return false;
}

bool layer_update(struct layer *layer, const struct driver *driver, struct sgd sgd)
{
    if (layer->weights.count == 0)
        return true;
    return parameters_update(&layer->weights, driver, sgd) &&
           parameters_update(&layer->bias, driver, sgd);
}
