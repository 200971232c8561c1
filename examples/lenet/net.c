/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs batches forward and backward through the layers. Called by train.c and main.c. Waits for the
 * device once per batch, when it reads the result.
 */
#include "net.h"

/* Loss and hits; and how many work-items sum each: a power of two, as the kernel asks. */
enum { OUTCOME_ROWS = 2, SUM_WIDTH = 32 };

static const struct {
    enum layer_kind kind;
    size_t channels;
} plan[NET_LAYERS] = {
    {.kind = LAYER_CONV, .channels = 12}, /* of 8x8 pixels */
    {.kind = LAYER_RELU},
    {.kind = LAYER_POOL}, /* to 4x4 */
    {.kind = LAYER_CONV, .channels = 24},
    {.kind = LAYER_RELU},
    {.kind = LAYER_POOL}, /* to 2x2 */
    {.kind = LAYER_DENSE, .channels = 120},
    {.kind = LAYER_RELU},
    {.kind = LAYER_DENSE, .channels = 84},
    {.kind = LAYER_RELU},
    {.kind = LAYER_DENSE, .channels = DIGIT_CLASSES},
};

static struct layer *last_layer(struct net *net)
{
    return &net->layers[NET_LAYERS - 1];
}

static bool create_layers(struct net *net, struct random *random)
{
    struct shape shape = {.channels = 1, .width = DIGIT_WIDTH};

    for (size_t i = 0; i < NET_LAYERS; i++) {
        if (!layer_create(&net->layers[i], net->device, plan[i].kind, shape, plan[i].channels,
                          net->batch, random))
            return false;
        shape = net->layers[i].output;
    }
    return true;
}

bool net_create(struct net *net, struct device *device, size_t batch, struct random *random)
{
    *net = (struct net){.device = device, .batch = batch};
    return create_layers(net, random) &&
           device_allocate(device, batch * DIGIT_PIXELS * sizeof(cl_float), &net->images) &&
           device_allocate(device, batch * sizeof(cl_int), &net->labels) &&
           device_allocate(device, batch * DIGIT_CLASSES * sizeof(cl_float), &net->probabilities) &&
           device_allocate(device, batch * OUTCOME_ROWS * sizeof(cl_float), &net->outcomes) &&
           device_allocate(device, OUTCOME_ROWS * sizeof(cl_float), &net->totals);
}

void net_destroy(struct net *net)
{
    for (size_t i = 0; i < NET_LAYERS; i++)
        layer_destroy(&net->layers[i]);
    device_free(net->images);
    device_free(net->labels);
    device_free(net->probabilities);
    device_free(net->outcomes);
    device_free(net->totals);
    *net = (struct net){0};
}

static bool upload(struct net *net, const struct batch *batch)
{
    return device_write(net->device, net->images, batch->samples * DIGIT_PIXELS * sizeof(cl_float),
                        batch->images) &&
           device_write(net->device, net->labels, batch->samples * sizeof(cl_int), batch->labels);
}

static bool forward(struct net *net, size_t samples)
{
    cl_mem input = net->images;

    for (size_t i = 0; i < NET_LAYERS; i++) {
        if (!layer_forward(&net->layers[i], net->device, input, samples))
            return false;
        input = net->layers[i].activation;
    }
    return device_run(net->device, SOFTMAX_FORWARD, grid_of(samples, 1, 1), BUFFER(input),
                      BUFFER(net->labels), BUFFER(net->probabilities), BUFFER(net->outcomes),
                      INT(DIGIT_CLASSES));
}

static bool backward(struct net *net, size_t samples)
{
    if (!device_run(net->device, SOFTMAX_BACKWARD, grid_of(DIGIT_CLASSES, samples, 1),
                    BUFFER(net->probabilities), BUFFER(net->labels),
                    BUFFER(last_layer(net)->gradient)))
        return false;
    for (size_t i = NET_LAYERS; i-- > 0;) {
        cl_mem input = i > 0 ? net->layers[i - 1].activation : net->images;
        cl_mem input_gradient = i > 0 ? net->layers[i - 1].gradient : NULL;

        if (!layer_backward(&net->layers[i], net->device, input, input_gradient, samples))
            return false;
    }
    return true;
}

static bool update(struct net *net, struct sgd sgd)
{
    for (size_t i = 0; i < NET_LAYERS; i++)
        if (!layer_update(&net->layers[i], net->device, sgd))
            return false;
    return true;
}

static bool add_outcome(struct net *net, size_t samples, struct outcome *outcome)
{
    struct grid grid = {.global = {SUM_WIDTH, OUTCOME_ROWS, 1}, .local = {SUM_WIDTH, 1, 1}};
    cl_float totals[OUTCOME_ROWS];

    if (!device_run(net->device, SUM_OUTCOMES, grid, BUFFER(net->outcomes), BUFFER(net->totals),
                    INT(samples), LOCAL(SUM_WIDTH * sizeof(cl_float))))
        return false;
    if (!device_read(net->device, net->totals, sizeof(totals), totals))
        return false;
    outcome->loss += (double)totals[0];
    outcome->hits += (size_t)totals[1];
    outcome->samples += samples;
    return true;
}

bool net_train(struct net *net, const struct batch *batch, struct sgd sgd, struct outcome *outcome)
{
    return upload(net, batch) && forward(net, batch->samples) && backward(net, batch->samples) &&
           update(net, sgd) && add_outcome(net, batch->samples, outcome);
}

bool net_test(struct net *net, const struct batch *batch, struct outcome *outcome)
{
    return upload(net, batch) && forward(net, batch->samples) &&
           add_outcome(net, batch->samples, outcome);
}

bool net_infer(struct net *net, const struct batch *batch, float *probabilities)
{
    return upload(net, batch) && forward(net, batch->samples) &&
           device_read(net->device, net->probabilities,
                       batch->samples * DIGIT_CLASSES * sizeof(cl_float), probabilities);
}
