/* SPDX-License-Identifier: Apache-2.0 */
/* The device's time in the program's: both clocks tick at their own rate, and meet now and then. */
#include "shim/cuda/observe.h"

#include <time.h>

#define FAR_APART 1e9 /* ns: from here on the rates differ by more than a comparison misses */
#define TOLERABLE 2e4 /* ns that a comparison may take longer than the one before */

uint64_t wh_cuda_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double offset_of(const struct wh_cuda_meeting *moment)
{
    return (moment->low + moment->high) / 2 - moment->device;
}

/* Between two moments that are near each other, what both allow. */
static double common_offset(const struct wh_cuda_clock *clock)
{
    double low = clock->first.low - clock->first.device,
           high = clock->first.high - clock->first.device;
    double last_low = clock->last.low - clock->last.device;
    double last_high = clock->last.high - clock->last.device;
    return ((low > last_low ? low : last_low) + (high < last_high ? high : last_high)) / 2;
}

/* What is to be added to the device's time then. */
static double offset_at(const struct wh_cuda_clock *clock, double device)
{
    double apart = clock->last.device - clock->first.device;
    if (apart < FAR_APART)
        return common_offset(clock);
    double first = offset_of(&clock->first), last = offset_of(&clock->last);
    return first + (last - first) * (device - clock->first.device) / apart;
}

double wh_cuda_clock_convert(const struct wh_cuda_clock *clock, double device)
{
    return device + offset_at(clock, device);
}

double wh_cuda_clock_back(const struct wh_cuda_clock *clock, double time)
{
    return time - offset_of(&clock->last);
}

static double width(const struct wh_cuda_meeting *moment)
{
    return moment->high - moment->low;
}

/* A comparison that took long, for the device was busy, says little: what was known before holds as
 * far as that allows. */
static void mend(const struct wh_cuda_meeting *before, struct wh_cuda_meeting *moment)
{
    if (width(moment) <= 2 * width(before) + TOLERABLE)
        return;
    double guess = moment->device + offset_of(before);
    guess = guess < moment->low ? moment->low : guess > moment->high ? moment->high : guess;
    moment->low = guess - width(before) / 2;
    moment->high = guess + width(before) / 2;
}

void wh_cuda_clock_compared(struct wh_cuda_clock *clock, const struct wh_cuda_meeting *moment)
{
    struct wh_cuda_meeting good = *moment;
    mend(&clock->last, &good);
    if (clock->last.device - clock->first.device >= FAR_APART)
        clock->first = clock->last;
    clock->last = good;
}
