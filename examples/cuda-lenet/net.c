/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs batches forward and backward through the layers. Called by main.c. Waits for the device once
 * per batch, when it reads the result.
 */
#include "net.h"

/* Loss and hits. */
enum { OUTCOME_ROWS = 2 };

static const struct {
    enum layer_kind kind;
    int channels;
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
        if (!layer_create(&net->layers[i], net->driver, plan[i].kind, shape, plan[i].channels,
                          net->batch, random))
            return false;
        shape = net->layers[i].output;
    }
    return true;
}

bool net_create(struct net *net, const struct driver *driver, int batch, struct random *random)
{
    size_t samples = (size_t)batch;

    *net = (struct net){.driver = driver, .batch = batch};
    return create_layers(net, random) &&
           driver_allocate_host(driver, samples * DIGIT_PIXELS * sizeof(float),
                                &net->host_images) &&
           driver_allocate_host(driver, samples * sizeof(int), &net->host_labels) &&
           driver_allocate_host(driver, OUTCOME_ROWS * sizeof(float), &net->host_totals) &&
           driver_allocate(driver, samples * DIGIT_PIXELS * sizeof(float), &net->images) &&
           driver_allocate(driver, samples * sizeof(int), &net->labels) &&
           driver_allocate(driver, samples * OUTCOME_ROWS * sizeof(float), &net->outcomes) &&
           driver_allocate(driver, OUTCOME_ROWS * sizeof(float), &net->totals);
}

void net_destroy(struct net *net)
{
    if (!net->driver)
        return;
    for (size_t i = 0; i < NET_LAYERS; i++)
        layer_destroy(&net->layers[i], net->driver);
    driver_free_host(net->driver, net->host_images);
    driver_free_host(net->driver, net->host_labels);
    driver_free_host(net->driver, net->host_totals);
    driver_free(net->driver, net->images);
    driver_free(net->driver, net->labels);
    driver_free(net->driver, net->outcomes);
    driver_free(net->driver, net->totals);
    *net = (struct net){0};
}

/* The digits from position first on. Nothing queued may still read the last ones. */
static bool upload(struct net *net, const struct digit_set *set, size_t first, int samples)
{
    for (size_t i = 0; i < (size_t)samples; i++) {
        size_t row = set->rows[first + i];

        for (size_t p = 0; p < DIGIT_PIXELS; p++)
            net->host_images[i * DIGIT_PIXELS + p] = (float)digit_pixel(row, p) / 16.0f;
        net->host_labels[i] = digit_label(row);
    }
    return driver_write(net->driver, net->images, (size_t)samples * DIGIT_PIXELS * sizeof(float),
                        net->host_images) &&
           driver_write(net->driver, net->labels, (size_t)samples * sizeof(int), net->host_labels);
}

static bool forward(struct net *net, int samples)
{
    struct grid grid = {(unsigned int)samples, 1, 32, 1, 0};
    CUdeviceptr input = net->images;
    int classes = DIGIT_CLASSES;

    for (size_t i = 0; i < NET_LAYERS; i++) {
        if (!layer_forward(&net->layers[i], net->driver, input, samples))
            return false;
        input = net->layers[i].activation;
    }
    return driver_run(net->driver, SOFTMAX, grid, &input, &net->labels, &last_layer(net)->gradient,
                      &net->outcomes, &classes);
}

static bool backward(struct net *net, int samples)
{
    for (size_t i = NET_LAYERS; i-- > 0;) {
        CUdeviceptr input = i > 0 ? net->layers[i - 1].activation : net->images;
        CUdeviceptr input_gradient = i > 0 ? net->layers[i - 1].gradient : 0;

        if (!layer_backward(&net->layers[i], net->driver, input, input_gradient, samples))
            return false;
    }
    return true;
}

static bool update(struct net *net, struct sgd sgd)
{
    for (size_t i = 0; i < NET_LAYERS; i++)
        if (!layer_update(&net->layers[i], net->driver, sgd))
            return false;
    return true;
}

static bool add_outcome(struct net *net, int samples, struct outcome *outcome)
{
    struct grid grid = {OUTCOME_ROWS, 1, 32, 1, 0};

    if (!driver_run(net->driver, SUM_OUTCOMES, grid, &net->outcomes, &net->totals, &samples) ||
        !driver_read(net->driver, net->totals, OUTCOME_ROWS * sizeof(float), net->host_totals))
        return false;
    outcome->loss += (double)net->host_totals[0];
    outcome->hits += (int)net->host_totals[1];
    outcome->samples += samples;
    return true;
}

bool net_pass(struct net *net, const struct digit_set *set, const struct sgd *sgd,
              struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    for (size_t first = 0; first < set->count; first += (size_t)net->batch) {
        size_t left = set->count - first;
        int samples = left < (size_t)net->batch ? (int)left : net->batch;

        if (!upload(net, set, first, samples) || !forward(net, samples))
            return false;
        if (sgd && (!backward(net, samples) || !update(net, *sgd)))
            return false;
        if (!add_outcome(net, samples, outcome))
            return false;
    }
    return true;
}
