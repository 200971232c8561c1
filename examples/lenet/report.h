/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program prints on standard output. Used by main.c.
 */
#ifndef LENET_REPORT_H
#define LENET_REPORT_H

#include "net.h"

/* Share of hits, 0..1. */
double outcome_accuracy(const struct outcome *outcome);

/* milliseconds is printed unless negative. */
void report_epoch(unsigned int epoch, const struct outcome *outcome, double milliseconds);
void report_test(const struct outcome *outcome);

/* Draws the first digits of a set side by side, over their labels and what the net takes them for.
 */
void report_inference(const struct digit_set *set, size_t count, const float *probabilities);

/* Prints the median; reorders times. */
void report_median(double *times, size_t count);

#endif
