/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platform and device queries: the platform says that it is reached through Wormhole, and
 * extensions that cannot cross (they name handles of other APIs or of the process) are not
 * announced.
 */
#include "backend/opencl/backend.h"

#include <string.h>

#define NAME_PREFIX "Wormhole: "

/* Beginnings of extension names. */
static const char *const not_carried[] = {
    "cl_khr_gl_",       "cl_khr_d3d",           "cl_khr_dx9",
    "cl_khr_egl_",      "cl_khr_external_",     "cl_khr_semaphore",
    "cl_nv_d3d",        "cl_nv_create_buffer",  "cl_intel_unified_shared_memory",
    "cl_intel_d3d",     "cl_intel_dx9",         "cl_intel_va_api",
    "cl_intel_sharing", "cl_arm_import_memory", "cl_arm_shared_virtual_memory",
    "cl_apple_",        "cl_qcom_ext_host_ptr", "cl_img_",
};

static bool is_carried(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(not_carried) / sizeof(not_carried[0]); i++) {
        size_t n = strlen(not_carried[i]);
        if (length >= n && memcmp(name, not_carried[i], n) == 0)
            return false;
    }
    return true;
}

/* Drops words from a list of names, in place. Lists that need no change keep every byte. Returns
 * the new size. */
static size_t filter_words(char *list, size_t size)
{
    char *to = list;
    for (const char *at = list; *at;) {
        size_t word = strcspn(at, " ");
        size_t gap = strspn(at + word, " ");
        if (is_carried(at, word)) {
            memmove(to, at, word + gap);
            to += word + gap;
        }
        at += word + gap;
    }
    if (to == list + strlen(list))
        return size;
    *to = '\0';
    return (size_t)(to - list) + 1;
}

static size_t filter_versions(cl_name_version *list, size_t size)
{
    size_t kept = 0;
    for (size_t i = 0; i < size / sizeof(*list); i++)
        if (is_carried(list[i].name, strnlen(list[i].name, sizeof(list[i].name))))
            list[kept++] = list[i];
    return kept * sizeof(*list);
}

/* The library's answer, changed, by the usual rules for size and size_ret. */
static cl_int answer(const void *bytes, size_t have, size_t size, void *value, size_t *size_ret)
{
    if (value && size < have)
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, bytes, have);
    if (size_ret)
        *size_ret = have;
    return CL_SUCCESS;
}

cl_int wh_opencl_do_clGetPlatformInfo(struct wh_call *call, cl_platform_id platform,
                                      cl_platform_info name, size_t size, void *value,
                                      size_t *size_ret)
{
    const struct wh_opencl_functions_table *f = &wh_opencl_state(call)->f;
    size_t have = 0, prefix = name == CL_PLATFORM_NAME ? strlen(NAME_PREFIX) : 0;
    if (name != CL_PLATFORM_NAME && name != CL_PLATFORM_EXTENSIONS &&
        name != CL_PLATFORM_EXTENSIONS_WITH_VERSION)
        return f->clGetPlatformInfo(platform, name, size, value, size_ret);
    cl_int result = f->clGetPlatformInfo(platform, name, 0, NULL, &have);
    char *bytes = result == CL_SUCCESS ? wh_call_memory(call, prefix + have + 1) : NULL;
    if (!bytes)
        return result;
    memcpy(bytes, NAME_PREFIX, prefix);
    result = f->clGetPlatformInfo(platform, name, have, bytes + prefix, NULL);
    if (result != CL_SUCCESS)
        return result;
    if (name == CL_PLATFORM_EXTENSIONS)
        have = filter_words(bytes, have);
    else if (name == CL_PLATFORM_EXTENSIONS_WITH_VERSION)
        have = filter_versions((cl_name_version *)(void *)bytes, have);
    return answer(bytes, prefix + have, size, value, size_ret);
}

cl_int wh_opencl_do_clGetDeviceInfo(struct wh_call *call, cl_device_id device, cl_device_info name,
                                    size_t size, void *value, size_t *size_ret)
{
    const struct wh_opencl_functions_table *f = &wh_opencl_state(call)->f;
    size_t have = 0;
    if (name != CL_DEVICE_EXTENSIONS && name != CL_DEVICE_EXTENSIONS_WITH_VERSION)
        return f->clGetDeviceInfo(device, name, size, value, size_ret);
    cl_int result = f->clGetDeviceInfo(device, name, 0, NULL, &have);
    char *bytes = result == CL_SUCCESS ? wh_call_memory(call, have + 1) : NULL;
    if (bytes)
        result = f->clGetDeviceInfo(device, name, have, bytes, NULL);
    if (!bytes || result != CL_SUCCESS)
        return result;
    have = name == CL_DEVICE_EXTENSIONS ? filter_words(bytes, have)
                                        : filter_versions((cl_name_version *)(void *)bytes, have);
    return answer(bytes, have, size, value, size_ret);
}
