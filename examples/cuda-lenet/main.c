/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuda-lenet: trains a small LeNet on real handwritten digits with CUDA and tests it. All
 * arithmetic is done on the device, by kernels.cu. The way through it: main -> train -> net_pass
 * (net.c) -> layer_forward (layer.c) -> driver_launch (driver.c).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net.h"
#include "options.h"

enum { SEED = 1998 };

static const struct sgd first_step = {.rate = 0.02f, .momentum = 0.9f, .decay = 0.001f};

/* How much is trained, and how good it must get. */
struct mode {
    unsigned int epochs;
    size_t digits; /* the most to train on */
    double accuracy;
};

static const struct mode whole = {20, SIZE_MAX, 0.97};
static const struct mode quick = {8, 480, 0.85};

/* Everything a run owns. */
struct run {
    struct options options;
    struct mode mode;
    struct random random;
    struct digit_set training;
    struct digit_set test;
    struct driver driver;
    struct net net;
    struct outcome tested;
};

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double accuracy(const struct outcome *outcome)
{
    return (double)outcome->hits / (double)outcome->samples;
}

static bool prepare(struct run *run)
{
    run->mode = run->options.quick ? quick : whole;
    if (run->options.epochs)
        run->mode.epochs = run->options.epochs;
    if (!digits_split(&run->random, &run->training, &run->test)) {
        fputs("cuda-lenet: out of memory\n", stderr);
        return false;
    }
    if (!driver_open(&run->driver))
        return false;
    printf("device: %s\n", run->driver.name);
    if (run->options.quick) {
        printf("quick: training on %zu of %zu digits\n", run->mode.digits, run->training.count);
        run->training.count = run->mode.digits;
    }
    fflush(stdout);
    return net_create(&run->net, &run->driver, (int)run->options.batch, &run->random);
}

static void report_epoch(unsigned int epoch, const struct outcome *outcome, double milliseconds)
{
    printf("epoch %2u: loss %.9f, train accuracy %6.2f %%", epoch,
           outcome->loss / (double)outcome->samples, 100.0 * accuracy(outcome));
    if (milliseconds >= 0.0)
        printf(", %.1f ms", milliseconds);
    putchar('\n');
    fflush(stdout);
}

/* The rate falls from epoch to epoch, down to almost nothing: large steps first, then a calm end.
 */
static bool train(struct run *run)
{
    for (unsigned int epoch = 0; epoch < run->mode.epochs; epoch++) {
        double start = now_ms();
        struct sgd step = first_step;
        struct outcome outcome;

        step.rate *= 1.0f - (float)epoch / (float)run->mode.epochs;
        digits_shuffle(&run->training, &run->random);
        if (!net_pass(&run->net, &run->training, &step, &outcome))
            return false;
        report_epoch(epoch + 1, &outcome, run->options.time ? now_ms() - start : -1.0);
    }
    return true;
}

static bool test(struct run *run)
{
    if (!net_pass(&run->net, &run->test, NULL, &run->tested))
        return false;
    printf("test: loss %.9f, accuracy %.2f %% (%d of %d)\n",
           run->tested.loss / (double)run->tested.samples, 100.0 * accuracy(&run->tested),
           run->tested.hits, run->tested.samples);
    return true;
}

static bool judge(const struct run *run)
{
    if (accuracy(&run->tested) >= run->mode.accuracy)
        return true;
    fflush(stdout);
    fprintf(stderr, "cuda-lenet: the accuracy is below %.0f %%; more epochs may help\n",
            100.0 * run->mode.accuracy);
    return false;
}

static void clean_up(struct run *run)
{
    net_destroy(&run->net);
    driver_close(&run->driver);
    digits_free(&run->training);
    digits_free(&run->test);
}

int main(int argc, char **argv)
{
    struct run run = {.random = {SEED}};
    bool ok;

    switch (options_parse(&run.options, argc, argv)) {
    case OPTIONS_HELP:
        return EXIT_SUCCESS;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    ok = prepare(&run) && train(&run) && test(&run) && judge(&run);
    clean_up(&run);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
