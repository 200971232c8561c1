/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA shim in the same process, and the numbers of the driver API's functions. */
#include "shim/cupti/cupti.h"

#include "base/log.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const calls[WH_CUPTI_CALLS] = {
#define CALL(number, name) [number] = #name,
#include "shim/cupti/calls.def"
#undef CALL
};

static struct {
    pthread_once_t once;
    const struct wh_observe_table *table;
    uint16_t *numbers; /* of the shim's function i: [2i], for per-thread streams [2i + 1] */
    unsigned n;
} driver = {.once = PTHREAD_ONCE_INIT};

static uint32_t number_of(const char *name)
{
    for (uint32_t i = 0; name && i < WH_CUPTI_CALLS; i++)
        if (calls[i] && strcmp(calls[i], name) == 0)
            return i;
    return 0;
}

static bool find_numbers(void)
{
    unsigned n = 0;
    while (driver.table->name(n, false))
        n++;
    driver.numbers = calloc(2 * (n + 1u), sizeof(*driver.numbers));
    if (!driver.numbers)
        return false;
    for (unsigned i = 0; i < 2 * n; i++)
        driver.numbers[i] = (uint16_t)number_of(driver.table->name(i / 2, i & 1));
    driver.n = n;
    return true;
}

/* The library that the program has; else the one beside this, which it gets from then on; else the
 * one that it would get. It is never closed. */
static void *open_driver(void)
{
    static const char name[] = "libcuda.so.1";
    char path[PATH_MAX];
    Dl_info here;
    void *library = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
    if (!library && dladdr(calls, &here) && strchr(here.dli_fname, '/') &&
        snprintf(path, sizeof(path), "%.*s%s",
                 (int)(strrchr(here.dli_fname, '/') + 1 - here.dli_fname), here.dli_fname,
                 name) < (int)sizeof(path))
        library = dlopen(path, RTLD_NOW);
    return library ? library : dlopen(name, RTLD_NOW);
}

static void find(void)
{
    CUresult (*get_table)(const void **, const CUuuid *) = NULL;
    const void *table = NULL;
    CUuuid id;
    void *library = open_driver();
    if (library)
        *(void **)&get_table = dlsym(library, "cuGetExportTable");
    memcpy(&id, WH_OBSERVE_ID, sizeof(id));
    if (!get_table || get_table(&table, &id) != CUDA_SUCCESS) {
        wh_log("the profiling interface works with Wormhole's libcuda.so.1 only, which this "
               "program does not have");
        return;
    }
    driver.table = table;
    if (driver.table->version != WH_OBSERVE_VERSION || driver.table->size < sizeof(*driver.table) ||
        !find_numbers()) {
        wh_log("libcupti.so.13 and libcuda.so.1 are of different versions of Wormhole");
        driver.table = NULL;
    }
}

const struct wh_observe_table *wh_cupti_driver(void)
{
    pthread_once(&driver.once, find);
    return driver.table;
}

uint32_t wh_cupti_call_number(unsigned number, bool per_thread)
{
    if (number >= driver.n)
        return 0;
    uint32_t own = per_thread ? driver.numbers[2 * number + 1] : 0;
    return own ? own : driver.numbers[2 * number];
}

const char *wh_cupti_call_name(uint32_t call)
{
    return call < WH_CUPTI_CALLS ? calls[call] : NULL;
}
