/* SPDX-License-Identifier: Apache-2.0 */
/* What generated client code needs: see session.h for the rest. */
#ifndef WH_CLIENT_STUB_H
#define WH_CLIENT_STUB_H

#include "wire/desc.h"

#include <stdbool.h>
#include <stdint.h>

#define WH_EXPORT __attribute__((visibility("default")))

/* One exported function, for lookups by name. */
struct wh_function {
    const char *name;
    uint16_t call;
    bool extension;
    void *address;
};

static inline uint64_t wh_word_from_float(float value)
{
    union {
        float value;
        uint32_t bits;
    } u = {.value = value};
    return u.bits;
}

static inline uint64_t wh_word_from_double(double value)
{
    union {
        double value;
        uint64_t bits;
    } u = {.value = value};
    return u.bits;
}

#endif
