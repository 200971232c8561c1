/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuGetExportTable: the private tables of functions by which the CUDA runtime library, of which
 * every library above it may contain a copy, talks to the driver. No header describes them; what is
 * known of a table is said above it.
 */
#include "shim/cuda/export_table.h"

#include "base/log.h"
#include "shim/cuda/integrity.h"
#include "shim/cuda/observe.h"
#include "shim/cuda/shim.h"
#include "shim/cuda/storage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

CUresult wh_cuda_unknown_slot(_Atomic bool *said, const char *table, unsigned number)
{
    if (!atomic_exchange(said, true))
        wh_log("the program needs function %u of the driver's private table %s, which Wormhole "
               "does not have",
               number, table);
    return CUDA_ERROR_NOT_SUPPORTED;
}

static CUresult nothing(void)
{
    return CUDA_SUCCESS;
}

/* ---- what the runtime library loads code and finds contexts with ---- */

/* The further arguments are zero in practice. */
static CUresult module_with_options(CUmodule *module, const void *wrapper, void *names,
                                    void *values, unsigned n)
{
    return names || values || n ? CUDA_ERROR_NOT_SUPPORTED
                                : wh_cuda_module_from_wrapper(module, wrapper);
}

static CUresult module_from_fatbin(const void *fatbin, CUmodule *module, void *names, void *values,
                                   unsigned n)
{
    return names || values || n ? CUDA_ERROR_NOT_SUPPORTED : cuModuleLoadData(module, fatbin);
}

/* The handle exists, and may be made current, before anybody retained the context. */
static CUresult primary_context(CUcontext *context, CUdevice device)
{
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    CUcontext primary = wh_cuda_primary_context(device);
    if (!primary)
        return wh_cuda_ready() == CUDA_SUCCESS ? CUDA_ERROR_INVALID_DEVICE : wh_cuda_ready();
    *context = primary;
    return CUDA_SUCCESS;
}

static void take_size(size_t size)
{
    (void)size;
}

UNKNOWN(runtime, 03)
UNKNOWN(runtime, 04)
UNKNOWN(runtime, 05)
UNKNOWN(runtime, 09)
UNKNOWN(runtime, 11)

static const wh_slot runtime_table[13] = {
    SIZE(sizeof(runtime_table)),
    SLOT(wh_cuda_module_from_wrapper),
    SLOT(primary_context),
    SLOT(runtime_03),
    SLOT(runtime_04),
    SLOT(runtime_05),
    SLOT(module_with_options),
    SLOT(take_size),
    SLOT(module_from_fatbin),
    SLOT(runtime_09),
    NULL, /* as in the driver's */
    SLOT(runtime_11),
    SLOT(nothing), /* loads compilers; ours are where the device is */
};

/* ---- where tools hook in: there are none ---- */

/* One word for each function of the runtime library, by its number among the callback identifiers
 * (523 in CUDA 13.0): whether a tool wants to hear of it. A larger number finds its word behind
 * those that are counted. */
#define CALLBACKS 1024
#define DOMAINS   14

static uint32_t callbacks_wanted[4 * CALLBACKS], domains_wanted[4 * DOMAINS];

static void get_callbacks(uint32_t **words, size_t *n)
{
    *words = callbacks_wanted;
    *n = CALLBACKS;
}

static void get_domains(uint32_t **words, size_t *n)
{
    *words = domains_wanted;
    *n = DOMAINS;
}

static const wh_slot tools_hooks_table[7] = {
    SIZE(sizeof(tools_hooks_table)),
    SLOT(nothing),
    SLOT(get_callbacks),
    SLOT(nothing),
    SLOT(nothing),
    SLOT(nothing),
    SLOT(get_domains),
};

/* ---- context-local storage; this table does not begin with its size ---- */

static const wh_slot storage_table[4] = {
    SLOT(wh_cuda_storage_put),
    SLOT(wh_cuda_storage_delete),
    SLOT(wh_cuda_storage_get),
    NULL,
};

/* ---- questions about contexts ---- */

/* Something about the context that makes the runtime library refuse it, in the first answer. The
 * second one is given with such a thing only. */
static CUresult check_context(CUcontext context, uint32_t *refused, void **what)
{
    (void)context;
    (void)what;
    *refused = 0;
    return CUDA_SUCCESS;
}

UNKNOWN(context, 01)
UNKNOWN(context, 04)
UNKNOWN(context, 05)
UNKNOWN(context, 06)
UNKNOWN(context, 07)
UNKNOWN(context, 08)
UNKNOWN(context, 09)
UNKNOWN(context, 10)
UNKNOWN(context, 11)
UNKNOWN(context, 12)
UNKNOWN(context, 13)
UNKNOWN(context, 14)

static const wh_slot context_table[15] = {
    SIZE(sizeof(context_table)),
    SLOT(context_01),
    SLOT(check_context),
    SLOT(nothing),
    SLOT(context_04),
    SLOT(context_05),
    SLOT(context_06),
    SLOT(context_07),
    SLOT(context_08),
    SLOT(context_09),
    SLOT(context_10),
    SLOT(context_11),
    SLOT(context_12),
    SLOT(context_13),
    SLOT(context_14),
};

/* ---- the check whether this is a driver; see integrity.c ---- */

static CUresult check(uint32_t version, uint64_t seconds, uint64_t answer[2]);

UNKNOWN(integrity, 02)

static const wh_slot integrity_table[3] = {
    SIZE(sizeof(integrity_table)),
    SLOT(check),
    SLOT(integrity_02),
};

/* What the caller sees of a device through this very library. */
static CUresult see_device(CUdevice device, struct wh_cuda_integrity_device *seen)
{
    CUuuid uuid;
    CUresult result = cuDeviceGetUuid_v2(&uuid, device);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetAttribute(&seen->pci_domain, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, device);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetAttribute(&seen->pci_bus, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, device);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetAttribute(&seen->pci_device, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, device);
    memcpy(seen->uuid, &uuid, sizeof(seen->uuid));
    return result;
}

static CUresult check(uint32_t version, uint64_t seconds, uint64_t answer[2])
{
    struct wh_cuda_integrity_device devices[WH_MOST_DEVICES] = {0};
    int driver_version = 0, n = 0;
    CUresult result = cuDriverGetVersion(&driver_version);
    if (result == CUDA_SUCCESS)
        result = cuDeviceGetCount(&n);
    for (int i = 0; i < n && i < WH_MOST_DEVICES && result == CUDA_SUCCESS; i++)
        result = see_device(i, &devices[i]);
    if (result != CUDA_SUCCESS)
        return result;
    struct wh_cuda_integrity seen = {
        .driver_version = (uint32_t)driver_version,
        .version = version,
        .process = (uint32_t)getpid(),
        .thread = (uint32_t)pthread_self(),
        .runtime_table = runtime_table,
        .check_table = integrity_table,
        .check_function = (const void *)(uintptr_t)integrity_table[1],
        .seconds = seconds,
        .devices = devices,
        .ndevices = (size_t)n < WH_MOST_DEVICES ? (size_t)n : WH_MOST_DEVICES,
    };
    wh_cuda_integrity_answer(&seen, answer);
    return CUDA_SUCCESS;
}

/* ---- the tables by name ---- */

static const struct {
    const char *id;
    const wh_slot *table;
} tables[] = {
    {ID_OF_runtime, runtime_table},
    {ID_OF_thread, wh_cuda_thread_table},
    {ID_OF_tools_hooks, tools_hooks_table},
    {ID_OF_storage, storage_table},
    {ID_OF_context, context_table},
    {ID_OF_integrity, integrity_table},
    {ID_OF_library, wh_cuda_library_table},
    {ID_OF_module, wh_cuda_module_table},
    {ID_OF_placement, wh_cuda_placement_table},
};

static void write_id(char text[37], const CUuuid *id)
{
    const uint8_t *bytes = (const uint8_t *)id;
    for (unsigned i = 0; i < sizeof(*id); i++) {
        bool group = i == 4 || i == 6 || i == 8 || i == 10;
        text += sprintf(text, "%s%02x", group ? "-" : "", bytes[i]);
    }
}

WH_EXPORT CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
    char text[37];
    if (!table || !id)
        return CUDA_ERROR_INVALID_VALUE;
    if (memcmp(id, WH_OBSERVE_ID, sizeof(*id)) == 0) {
        *table = &wh_cuda_observe_table;
        return CUDA_SUCCESS;
    }
    write_id(text, id);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if (strcmp(tables[i].id, text) == 0) {
            *table = tables[i].table;
            return CUDA_SUCCESS;
        }
    wh_debug("the driver's private table %s is not there", text);
    *table = NULL;
    return CUDA_ERROR_INVALID_VALUE;
}
