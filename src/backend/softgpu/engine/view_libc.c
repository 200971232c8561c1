/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine's files ask of the C library, for the copy of them that has none (view.h). What
 * is only asked for by handlers that have no number is there for the linker alone.
 */
#include "number.h"

#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ---- texts of faults: whoever runs the launch again has them ---- */

int vsnprintf(char *text, size_t size, const char *format, va_list list)
{
    (void)format, (void)list;
    if (size)
        *text = '\0';
    return 0;
}

int snprintf(char *text, size_t size, const char *format, ...)
{
    (void)format;
    if (size)
        *text = '\0';
    return 0;
}

/* ---- names ---- */

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

int strcmp(const char *one, const char *other)
{
    while (*one && *one == *other)
        one++, other++;
    return (unsigned char)*one - (unsigned char)*other;
}

int sched_yield(void)
{
    return 0;
}

/* ---- numbers ---- */

/* The product is exact in a double; the sum is rounded to odd, so that rounding it once more is the
 * same as rounding once (Boldo and Melquiond, 2008). */
float fmaf(float x, float y, float z)
{
    double product = (double)x * (double)y, sum = product + (double)z;
    double part = sum - product, lost = (product - (sum - part)) + ((double)z - part);
    uint64_t bits = wh_bits64(sum);
    bool is_finite = (bits & 0x7ff0000000000000u) != 0x7ff0000000000000u;
    if (is_finite && lost != 0 && !(bits & 1))
        bits += (lost > 0) == (sum > 0) ? 1u : UINT64_MAX;
    return (float)wh_float64(bits);
}

float fminf(float x, float y)
{
    return x != x || y < x ? y : x;
}

float fmaxf(float x, float y)
{
    return x != x || y > x ? y : x;
}

/* Half away from zero; what is larger has no fraction. */
double round(double x)
{
    double size = fabs(x);
    if (!(size < 0x1p52))
        return x;
    double whole = trunc(size);
    return copysign(size - whole >= 0.5 ? whole + 1 : whole, x);
}

int ilogb(double x)
{
    int shift = 0;
    uint64_t bits = wh_bits64(x) & 0x7fffffffffffffffu;
    if (bits == 0 || bits >= 0x7ff0000000000000u)
        return bits == 0x7ff0000000000000u ? INT32_MAX : FP_ILOGB0;
    if (bits < 0x0010000000000000u)
        shift = __builtin_clzll(bits) - 11;
    return (int)(bits << shift >> 52) - 1023 - shift;
}

double ldexp(double x, int n)
{
    for (; n > 1000; n -= 1000)
        x *= 0x1p1000;
    for (; n < -1000; n += 1000)
        x *= 0x1p-1000;
    return x * wh_float64((uint64_t)(1023 + n) << 52);
}

/* ---- never called ---- */

double fma(double x, double y, double z)
{
    return x * y + z;
}

double sin(double x)
{
    return x;
}

double cos(double x)
{
    return x;
}

float exp2f(float x)
{
    return x;
}

float log2f(float x)
{
    return x;
}

float tanhf(float x)
{
    return x;
}
