/* SPDX-License-Identifier: Apache-2.0 */
/* What generated client code needs: see session.h for the rest. */
#ifndef WH_CLIENT_STUB_H
#define WH_CLIENT_STUB_H

#include "wire/desc.h"
#include "wire/word.h"

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

#endif
