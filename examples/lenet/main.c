/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lenet: trains a small LeNet on real handwritten digits with OpenCL, tests it, and reads some
 * digits. All arithmetic is done on the device, by kernels.cl. The way through it: main -> run ->
 * train -> train_epoch (train.c) -> net_train (net.c) -> layer_forward (layer.c) -> device_launch
 * (device.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "options.h"
#include "report.h"
#include "train.h"

enum { SEED = 1998, SHOWN_DIGITS = 8 };

static const double accuracy_wanted = 0.97;
static const struct sgd first_step = {.rate = 0.02f, .momentum = 0.9f, .decay = 0.001f};

/* Everything a run owns. */
struct run {
    struct options options;
    struct random random;
    struct digit_set training;
    struct digit_set test;
    struct device device;
    struct net net;
    struct batch batch;
    struct outcome tested;
    double *times; /* milliseconds of each epoch */
};

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static bool prepare_data(struct run *run)
{
    run->times = calloc(run->options.epochs, sizeof(*run->times));
    if (run->times && digits_split(&run->random, &run->training, &run->test))
        return batch_create(&run->batch, run->options.batch);
    fputs("lenet: out of memory\n", stderr);
    return false;
}

static bool prepare_device(struct run *run)
{
    if (!device_open(&run->device, run->options.platform, run->options.device))
        return false;
    printf("platform: %s, device: %s\n", run->device.platform_name, run->device.name);
    fflush(stdout);
    return net_create(&run->net, &run->device, run->options.batch, &run->random);
}

/* The rate falls from epoch to epoch, down to almost nothing: large steps first, then a calm end.
 */
static struct sgd step_of(const struct run *run, unsigned int epoch)
{
    struct sgd step = first_step;

    step.rate *= 1.0f - (float)epoch / (float)run->options.epochs;
    return step;
}

static bool train(struct run *run)
{
    for (unsigned int epoch = 0; epoch < run->options.epochs; epoch++) {
        struct outcome outcome;
        double start = now_ms();

        digits_shuffle(&run->training, &run->random);
        if (!train_epoch(&run->net, &run->batch, &run->training, step_of(run, epoch), &outcome))
            return false;
        if (!device_finish(&run->device))
            return false;
        run->times[epoch] = now_ms() - start;
        report_epoch(epoch + 1, &outcome, run->options.time ? run->times[epoch] : -1.0);
    }
    return true;
}

static bool test(struct run *run)
{
    if (!test_set(&run->net, &run->batch, &run->test, &run->tested))
        return false;
    report_test(&run->tested);
    return true;
}

static bool judge(const struct run *run)
{
    if (outcome_accuracy(&run->tested) >= accuracy_wanted)
        return true;
    fflush(stdout);
    fprintf(stderr, "lenet: the accuracy is below %.0f %%; more epochs may help\n",
            100.0 * accuracy_wanted);
    return false;
}

static bool infer(struct run *run)
{
    size_t most = run->net.batch < SHOWN_DIGITS ? run->net.batch : SHOWN_DIGITS;
    float probabilities[SHOWN_DIGITS * DIGIT_CLASSES];

    batch_fill(&run->batch, most, &run->test, 0);
    if (!net_infer(&run->net, &run->batch, probabilities))
        return false;
    report_inference(&run->test, run->batch.samples, probabilities);
    return true;
}

static void clean_up(struct run *run)
{
    net_destroy(&run->net);
    device_close(&run->device);
    batch_destroy(&run->batch);
    digits_free(&run->training);
    digits_free(&run->test);
    free(run->times);
}

int main(int argc, char **argv)
{
    struct run run = {.random = {SEED}};
    bool ok;

    switch (options_parse(&run.options, (unsigned int)lenet_digit_count, argc, argv)) {
    case OPTIONS_HELP:
        return EXIT_SUCCESS;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    ok = prepare_data(&run) && prepare_device(&run) && train(&run) && test(&run) && infer(&run);
    if (ok && run.options.time)
        report_median(run.times, run.options.epochs);
    ok = ok && judge(&run);
    clean_up(&run);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
