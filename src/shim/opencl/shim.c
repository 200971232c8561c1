/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim's centre: every generated stub comes through wh_opencl_invoke. Also extension functions,
 * and what ties objects to their state.
 */
#include "shim/opencl/shim.h"

#include "base/log.h"

#include <stdlib.h>

static void free_extra(struct wh_object *object)
{
    if (object->type == WH_OPENCL_TYPE_cl_mem && object->extra)
        wh_opencl_forget_mem(object->extra);
    if (object->type == WH_OPENCL_TYPE_cl_context && object->extra)
        wh_opencl_notice_cancel(((struct wh_cl_context *)object->extra)->token);
    free(object->extra);
    object->extra = NULL;
}

const struct wh_shim wh_opencl_shim = {
    .api = &wh_opencl_api,
    .dispatch = wh_opencl_icd,
    .free_extra = free_extra,
    .callback = wh_opencl_callback,
    .freed = wh_opencl_freed,
    .lost = wh_opencl_lost,
    .inherited = wh_opencl_inherited,
};

struct wh_session *wh_opencl_session(void)
{
    return wh_session_get(&wh_opencl_shim);
}

struct wh_object *wh_opencl_object(const void *handle, uint16_t type)
{
    struct wh_session *session = wh_opencl_session();
    return session ? wh_object_check(wh_session_objects(session), handle, type) : NULL;
}

struct wh_cl_mem *wh_opencl_mem(cl_mem mem)
{
    struct wh_object *object = wh_opencl_object(mem, WH_OPENCL_TYPE_cl_mem);
    return object ? object->extra : NULL;
}

struct wh_object *wh_opencl_context_of(struct wh_object *object)
{
    while (object && object->type != WH_OPENCL_TYPE_cl_context)
        object = object->parent;
    return object;
}

bool wh_opencl_events_are_good(struct wh_object *context, cl_uint n, const cl_event *events)
{
    if ((n == 0) != (events == NULL))
        return false;
    for (cl_uint i = 0; i < n; i++) {
        struct wh_object *event = wh_opencl_object(events[i], WH_OPENCL_TYPE_cl_event);
        if (!event || wh_opencl_context_of(event) != context)
            return false;
    }
    return true;
}

/* Nobody to ask: a function that returns a status says so, one that returns a handle gives NULL. */
static uint64_t without_session(const struct wh_call_desc *call, uint64_t *a)
{
    if (call->result == WH_RESULT_NEW)
        return (uintptr_t)wh_opencl_fail(
            call->error_param >= 0 ? (cl_int *)(uintptr_t)a[call->error_param] : NULL,
            wh_opencl_api.lost);
    return (uint64_t)(int64_t)wh_opencl_api.lost;
}

static bool is_query(const struct wh_call_desc *call)
{
    return call->nparams > 2 && call->params[call->nparams - 2].kind == WH_INFO;
}

uint64_t wh_opencl_invoke(uint16_t number, uint64_t *a)
{
    const struct wh_call_desc *call = wh_opencl_call_desc(number);
    struct wh_session *session = wh_opencl_session();
    if (!session)
        return without_session(call, a);
    if (call->flags & WH_CALL_RETAIN)
        return wh_client_retain(session, call, a);
    if (call->flags & WH_CALL_RELEASE)
        return wh_client_release(session, call, a);
    if (call->flags & WH_CALL_POST)
        return wh_client_post(session, call, a);
    if (is_query(call))
        return wh_client_info(session, call, a, NULL);
    return wh_client_call(session, call, a);
}

int32_t wh_opencl_unsupported(uint16_t number)
{
    static _Atomic bool said[WH_OPENCL_NCALLS];
    if (!atomic_exchange(&said[number], true))
        wh_log("%s is not supported", wh_opencl_call_desc(number)->name);
    return wh_opencl_api.unsupported;
}

/* ---- extension functions ---- */

static int compare_names(const void *name, const void *function)
{
    return strcmp(name, ((const struct wh_function *)function)->name);
}

static const struct wh_function *find_function(const char *name)
{
    return name ? bsearch(name, wh_opencl_functions, wh_opencl_nfunctions,
                          sizeof(wh_opencl_functions[0]), compare_names)
                : NULL;
}

/* The loader asks for its own function before there is a session. */
WH_EXPORT void *clGetExtensionFunctionAddress(const char *name)
{
    const struct wh_function *function = find_function(name);
    return function && function->extension ? function->address : NULL;
}

WH_EXPORT void *clGetExtensionFunctionAddressForPlatform(cl_platform_id platform, const char *name)
{
    const struct wh_function *function = find_function(name);
    if (!function || !wh_opencl_session() ||
        wh_opencl_call_has_function(platform, name) != CL_SUCCESS)
        return NULL;
    return function->address;
}
