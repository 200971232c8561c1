/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints results. Called by main.c. Must never print a time unless it was asked for: the output of
 * two runs on one device is otherwise the same to the byte.
 */
#include <stdio.h>
#include <stdlib.h>

#include "report.h"

double outcome_accuracy(const struct outcome *outcome)
{
    return (double)outcome->hits / (double)outcome->samples;
}

void report_epoch(unsigned int epoch, const struct outcome *outcome, double milliseconds)
{
    printf("epoch %2u: loss %.9f, train accuracy %6.2f %%", epoch,
           outcome->loss / (double)outcome->samples, 100.0 * outcome_accuracy(outcome));
    if (milliseconds >= 0.0)
        printf(", %.1f ms", milliseconds);
    putchar('\n');
    fflush(stdout);
}

void report_test(const struct outcome *outcome)
{
    printf("test: loss %.9f, accuracy %.2f %% (%zu of %zu)\n",
           outcome->loss / (double)outcome->samples, 100.0 * outcome_accuracy(outcome),
           outcome->hits, outcome->samples);
}

static size_t likeliest(const float *probabilities)
{
    size_t best = 0;

    for (size_t i = 1; i < DIGIT_CLASSES; i++)
        if (probabilities[i] > probabilities[best])
            best = i;
    return best;
}

static void draw_row(const struct digit_set *set, size_t count, size_t row)
{
    static const char ink[] = " .:-=+*#%@"; /* of 0..16, two shades to a character */

    for (size_t i = 0; i < count; i++) {
        printf("    ");
        for (size_t column = 0; column < DIGIT_WIDTH; column++)
            putchar(ink[(digit_pixel(set->rows[i], row * DIGIT_WIDTH + column) + 1) / 2]);
    }
    putchar('\n');
}

void report_inference(const struct digit_set *set, size_t count, const float *probabilities)
{
    printf("inference on test digits:\n");
    for (size_t row = 0; row < DIGIT_WIDTH; row++)
        draw_row(set, count, row);
    for (size_t i = 0; i < count; i++)
        printf("    label  %d", digit_label(set->rows[i]));
    putchar('\n');
    for (size_t i = 0; i < count; i++)
        printf("    net    %zu", likeliest(probabilities + i * DIGIT_CLASSES));
    putchar('\n');
    for (size_t i = 0; i < count; i++) {
        const float *p = probabilities + i * DIGIT_CLASSES;

        printf("    p %.4f", (double)p[likeliest(p)]);
    }
    putchar('\n');
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

void report_median(double *times, size_t count)
{
    qsort(times, count, sizeof(*times), compare_times);
    printf("median: %.1f ms per epoch\n", (times[(count - 1) / 2] + times[count / 2]) / 2.0);
}
