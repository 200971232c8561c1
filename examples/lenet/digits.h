/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data set: handwritten digits of 8x8 pixels, compiled into the program by embed.sh. Used by
 * main.c and train.c. Nothing here touches the device.
 */
#ifndef LENET_DIGITS_H
#define LENET_DIGITS_H

#include <stdbool.h>
#include <stddef.h>

#include "random.h"

enum { DIGIT_WIDTH = 8, DIGIT_PIXELS = DIGIT_WIDTH * DIGIT_WIDTH, DIGIT_CLASSES = 10 };

/* One row is 64 pixels of 0..16, then the label 0..9. */
extern const unsigned char lenet_digits[][DIGIT_PIXELS + 1];
extern const size_t lenet_digit_count;

/* A set of digits in a given order: row numbers of lenet_digits. */
struct digit_set {
    size_t *rows;
    size_t count;
};

/* Splits all digits at random, four fifths to train and the rest to test. False if out of memory.
 */
bool digits_split(struct random *random, struct digit_set *train, struct digit_set *test);
void digits_shuffle(struct digit_set *set, struct random *random);
void digits_free(struct digit_set *set);

/* Pixel 0..16 of row and its label. */
int digit_pixel(size_t row, size_t pixel);
int digit_label(size_t row);

#endif
