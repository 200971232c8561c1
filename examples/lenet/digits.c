/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splits and shuffles the digits. Called by main.c and train.c. Must depend on nothing but the
 * random sequence it is given, so that every run sees the same digits in the same order.
 */
#include <stdlib.h>

#include "digits.h"

static bool allocate(struct digit_set *set, size_t count)
{
    set->count = count;
    set->rows = calloc(count, sizeof(*set->rows));
    return set->rows != NULL;
}

bool digits_split(struct random *random, struct digit_set *train, struct digit_set *test)
{
    size_t train_count = lenet_digit_count * 4 / 5;
    struct digit_set all;

    if (!allocate(&all, lenet_digit_count))
        return false;
    if (!allocate(train, train_count) || !allocate(test, all.count - train_count)) {
        digits_free(&all);
        return false;
    }
    for (size_t i = 0; i < all.count; i++)
        all.rows[i] = i;
    digits_shuffle(&all, random);
    for (size_t i = 0; i < all.count; i++) {
        if (i < train_count)
            train->rows[i] = all.rows[i];
        else
            test->rows[i - train_count] = all.rows[i];
    }
    digits_free(&all);
    return true;
}

void digits_shuffle(struct digit_set *set, struct random *random)
{
    for (size_t i = set->count; i > 1; i--) {
        size_t j = random_below(random, i);
        size_t row = set->rows[j];

        set->rows[j] = set->rows[i - 1];
        set->rows[i - 1] = row;
    }
}

void digits_free(struct digit_set *set)
{
    free(set->rows);
    *set = (struct digit_set){0};
}

int digit_pixel(size_t row, size_t pixel)
{
    return lenet_digits[row][pixel];
}

int digit_label(size_t row)
{
    return lenet_digits[row][DIGIT_PIXELS];
}
