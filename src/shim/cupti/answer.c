/* SPDX-License-Identifier: Apache-2.0 */
/* Questions that are answered at once: versions, results' names, identities, the time. */
#include "shim/cupti/cupti.h"

static const struct {
    CUptiResult number;
    const char *name, *text;
} results[] = {
#define RESULT(number, name, text) {number, "CUPTI_" #name, text},
#include "shim/cupti/results.def"
#undef RESULT
};

#define NRESULTS (sizeof(results) / sizeof(results[0]))

static size_t index_of(CUptiResult result)
{
    size_t i = 0;
    while (i < NRESULTS && results[i].number != result)
        i++;
    return i;
}

WH_EXPORT CUptiResult cuptiGetResultString(CUptiResult result, const char **text)
{
    size_t i = index_of(result);
    if (!text || i == NRESULTS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *text = results[i].name;
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiGetErrorMessage(CUptiResult result, const char **text)
{
    size_t i = index_of(result);
    if (!text || i == NRESULTS)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *text = results[i].text;
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiGetVersion(uint32_t *version)
{
    if (!version)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *version = WH_CUPTI_VERSION;
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiGetTimestamp(uint64_t *time)
{
    if (!time)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    *time = wh_cupti_clock_now();
    return CUPTI_SUCCESS;
}

WH_EXPORT CUptiResult cuptiGetContextId(CUcontext context, uint32_t *id)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    if (!id)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    return driver->context_id(context, id) == CUDA_SUCCESS
               ? CUPTI_SUCCESS
               : wh_cupti_fail(CUPTI_ERROR_INVALID_CONTEXT);
}

WH_EXPORT CUptiResult cuptiGetDeviceId(CUcontext context, uint32_t *id)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    if (!id)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    return driver->device_id(context, id) == CUDA_SUCCESS
               ? CUPTI_SUCCESS
               : wh_cupti_fail(CUPTI_ERROR_INVALID_DEVICE);
}

WH_EXPORT CUptiResult cuptiGetGraphExecId(CUgraphExec exec, uint32_t *id)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    return id && driver->graph_exec_id(exec, id) == CUDA_SUCCESS
               ? CUPTI_SUCCESS
               : wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
}

WH_EXPORT CUptiResult cuptiGetGraphId(CUgraph graph, uint32_t *id)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    return id && driver->graph_id(graph, id) == CUDA_SUCCESS
               ? CUPTI_SUCCESS
               : wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
}

WH_EXPORT CUptiResult cuptiGetStreamIdEx(CUcontext context, CUstream stream, uint8_t per_thread,
                                         uint32_t *id)
{
    const struct wh_observe_table *driver = wh_cupti_driver();
    if (!driver)
        return wh_cupti_fail(CUPTI_ERROR_NOT_INITIALIZED);
    if (!id)
        return wh_cupti_fail(CUPTI_ERROR_INVALID_PARAMETER);
    return driver->stream_id(context, stream, per_thread != 0, id) == CUDA_SUCCESS
               ? CUPTI_SUCCESS
               : wh_cupti_fail(CUPTI_ERROR_INVALID_STREAM);
}

WH_EXPORT CUptiResult cuptiGetStreamId(CUcontext context, CUstream stream, uint32_t *id)
{
    return cuptiGetStreamIdEx(context, stream, 0, id);
}
