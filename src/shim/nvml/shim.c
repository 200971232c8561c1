/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim's centre: every generated stub comes through wh_nvml_invoke. Also initialisation, which
 * is counted here: the session stays open until the process ends, so that handles stay what they
 * are. A forked child counts on from where its parent was and gets a session of its own.
 */
#include "shim/nvml/shim.h"

#include "base/log.h"

static _Atomic unsigned initialised;

static const struct wh_shim wh_nvml_shim = {
    .api = &wh_nvml_api, .arena = 4u << 20, .inherited = wh_nvml_inherited};

nvmlReturn_t wh_nvml_ready(void)
{
    return atomic_load_explicit(&initialised, memory_order_relaxed) ? NVML_SUCCESS
                                                                    : NVML_ERROR_UNINITIALIZED;
}

struct wh_session *wh_nvml_session(void)
{
    return wh_session_get(&wh_nvml_shim);
}

/* What is said of the library itself needs no initialisation. */
static bool needs_init(uint16_t number)
{
    return number != WH_NVML_nvmlSystemGetNVMLVersion &&
           number != WH_NVML_nvmlSystemGetCudaDriverVersion_v2;
}

uint64_t wh_nvml_invoke(uint16_t number, uint64_t *a)
{
    const struct wh_call_desc *call = &wh_nvml_api.calls[number];
    if (needs_init(number) && wh_nvml_ready() != NVML_SUCCESS)
        return NVML_ERROR_UNINITIALIZED;
    struct wh_session *session = wh_session_get(&wh_nvml_shim);
    if (!session)
        return needs_init(number) ? NVML_ERROR_GPU_IS_LOST : NVML_ERROR_DRIVER_NOT_LOADED;
    if (call->flags & WH_CALL_REMEMBERED)
        return wh_client_remembered(session, call, a);
    if (call->flags & WH_CALL_RELEASE)
        return wh_client_release(session, call, a);
    return wh_client_call(session, call, a);
}

int32_t wh_nvml_unsupported(uint16_t number)
{
    static _Atomic bool said[WH_NVML_NCALLS];
    if (wh_nvml_ready() != NVML_SUCCESS)
        return NVML_ERROR_UNINITIALIZED;
    if (!atomic_exchange(&said[number], true))
        wh_debug("%s is not supported", wh_nvml_api.calls[number].name);
    return wh_nvml_api.unsupported;
}

int32_t wh_nvml_refused(uint16_t number, int32_t error)
{
    (void)number;
    return wh_nvml_ready() == NVML_SUCCESS ? error : NVML_ERROR_UNINITIALIZED;
}

/* Older names of the same functions do the same. */
void wh_nvml_variant_enter(void);
void wh_nvml_variant_enter(void)
{
}

void wh_nvml_variant_leave(void);
void wh_nvml_variant_leave(void)
{
}

/* ---- initialisation ---- */

WH_EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    struct wh_session *session = wh_session_get(&wh_nvml_shim);
    (void)flags; /* without devices (1) or without attaching them (2): here that is all the same */
    if (!session)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    if (wh_session_lost(session))
        return NVML_ERROR_GPU_IS_LOST;
    atomic_fetch_add(&initialised, 1);
    return NVML_SUCCESS;
}

WH_EXPORT nvmlReturn_t nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

WH_EXPORT nvmlReturn_t nvmlShutdown(void)
{
    unsigned before = atomic_load(&initialised);
    while (before > 0)
        if (atomic_compare_exchange_weak(&initialised, &before, before - 1))
            return NVML_SUCCESS;
    return NVML_ERROR_UNINITIALIZED;
}

/* ---- what is always so ---- */

/* No newer than what is described here: libraries look for a newer driver's functions otherwise. */
WH_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *cudaDriverVersion)
{
    const int described = 1000 * wh_nvml_api.major + 10 * wh_nvml_api.minor;
    if (!cudaDriverVersion)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = wh_nvml_call_nvmlSystemGetCudaDriverVersion_v2(cudaDriverVersion);
    if (result == NVML_SUCCESS && *cudaDriverVersion > described)
        *cudaDriverVersion = described;
    return result;
}

WH_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *cudaDriverVersion)
{
    return nvmlSystemGetCudaDriverVersion_v2(cudaDriverVersion);
}

static nvmlReturn_t give_none(unsigned *count)
{
    if (wh_nvml_ready() != NVML_SUCCESS)
        return NVML_ERROR_UNINITIALIZED;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = 0;
    return NVML_SUCCESS;
}

/* Metrics of streaming multiprocessors are not carried; a version is looked at before that. */
WH_EXPORT nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *metricsGet)
{
    if (wh_nvml_ready() != NVML_SUCCESS)
        return NVML_ERROR_UNINITIALIZED;
    if (!metricsGet)
        return NVML_ERROR_INVALID_ARGUMENT;
    return metricsGet->version == NVML_GPM_METRICS_GET_VERSION
               ? NVML_ERROR_NOT_SUPPORTED
               : NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
}

/* The device keeps accounts of workers, of all tenants: none of them is a process of the program's.
 */
WH_EXPORT nvmlReturn_t nvmlDeviceGetAccountingPids(nvmlDevice_t device, unsigned int *count,
                                                   unsigned int *pids)
{
    unsigned index;
    nvmlReturn_t result = nvmlDeviceGetIndex(device, &index);
    (void)pids;
    return result == NVML_SUCCESS ? give_none(count) : result;
}

/* A tenant has no chassis, and is not told of devices that it does not get. */
WH_EXPORT nvmlReturn_t nvmlUnitGetCount(unsigned int *unitCount)
{
    return give_none(unitCount);
}

WH_EXPORT nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned int *deviceCount)
{
    return give_none(deviceCount);
}
