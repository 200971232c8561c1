/* SPDX-License-Identifier: Apache-2.0 */
/* What functions and kernels say of themselves and what may be set of them. */
#include "backend/softgpu/library.h"

#include <string.h>

/* ---- settings ---- */

void soft_settings_init(struct soft_function_settings *settings,
                        const struct wh_soft_kernel_info *info)
{
    size_t left = info->shared < SOFT_BLOCK_SHARED ? SOFT_BLOCK_SHARED - info->shared : 0;
    atomic_store(&settings->dynamic_shared, (int)left);
    atomic_store(&settings->carveout, -1);
    atomic_store(&settings->cluster_policy, 0);
    atomic_store(&settings->non_portable_cluster, 0);
    for (int i = 0; i < 3; i++)
        atomic_store(&settings->cluster[i], (int)info->required_cluster[i]);
}

void soft_settings_copy(struct soft_function_settings *to,
                        const struct soft_function_settings *from)
{
    atomic_store(&to->dynamic_shared, atomic_load(&from->dynamic_shared));
    atomic_store(&to->carveout, atomic_load(&from->carveout));
    atomic_store(&to->cluster_policy, atomic_load(&from->cluster_policy));
    atomic_store(&to->non_portable_cluster, atomic_load(&from->non_portable_cluster));
    for (int i = 0; i < 3; i++)
        atomic_store(&to->cluster[i], atomic_load(&from->cluster[i]));
}

static int setting(const struct soft_function_settings *settings,
                   const struct wh_soft_kernel_info *info, int attribute)
{
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        return atomic_load(&settings->dynamic_shared);
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return atomic_load(&settings->carveout);
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
        return info->required_cluster[0] != 0;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
        return atomic_load(
            &settings->cluster[attribute - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH]);
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
        return atomic_load(&settings->non_portable_cluster);
    default: /* CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE */
        return atomic_load(&settings->cluster_policy);
    }
}

CUresult soft_settings_get(const struct soft_function_settings *settings,
                           const struct wh_soft_kernel_info *info, int attribute, int *value)
{
    const int fixed[] = {
        [CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK] = (int)info->max_threads,
        [CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES] = (int)info->shared,
        [CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES] = (int)info->constant,
        [CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES] = (int)info->local,
        [CU_FUNC_ATTRIBUTE_NUM_REGS] = (int)soft_registers(info),
        [CU_FUNC_ATTRIBUTE_PTX_VERSION] = (int)info->ptx_version,
        [CU_FUNC_ATTRIBUTE_BINARY_VERSION] = 90,
        [CU_FUNC_ATTRIBUTE_CACHE_MODE_CA] = 0,
    };
    if (attribute < 0 || attribute >= CU_FUNC_ATTRIBUTE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    *value = attribute <= CU_FUNC_ATTRIBUTE_CACHE_MODE_CA ? fixed[attribute]
                                                          : setting(settings, info, attribute);
    return CUDA_SUCCESS;
}

static CUresult store_checked(atomic_int *place, int value, int least, int most)
{
    if (value < least || value > most)
        return CUDA_ERROR_INVALID_VALUE;
    atomic_store(place, value);
    return CUDA_SUCCESS;
}

static CUresult set_cluster(struct soft_function_settings *settings,
                            const struct wh_soft_kernel_info *info, int axis, int value)
{
    if (info->required_cluster[0] != 0) /* fixed by the code */
        return CUDA_ERROR_NOT_PERMITTED;
    return store_checked(&settings->cluster[axis], value, 0, SOFT_CLUSTER_MOST);
}

CUresult soft_settings_set(struct soft_function_settings *settings,
                           const struct wh_soft_kernel_info *info, int attribute, int value)
{
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        return store_checked(&settings->dynamic_shared, value, 0,
                             SOFT_BLOCK_OPTIN - (int)info->shared);
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return store_checked(&settings->carveout, value, -1, 100);
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
        return set_cluster(settings, info, attribute - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH,
                           value);
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
        return store_checked(&settings->non_portable_cluster, value, 0, 1);
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        return store_checked(&settings->cluster_policy, value, 0,
                             CU_CLUSTER_SCHEDULING_POLICY_LOAD_BALANCING);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult soft_parameter(const struct wh_soft_kernel *kernel, size_t index, size_t *offset,
                        size_t *size)
{
    size_t at, bytes;
    if (!offset)
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_soft_kernel_param(kernel, index, &at, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    *offset = at;
    if (size)
        *size = bytes;
    return CUDA_SUCCESS;
}

/* ---- the API ---- */

CUresult soft_function_find(CUfunction handle, struct soft_function **function)
{
    struct soft_context *context;
    *function = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    *function = soft_object_get(handle, SOFT_FUNCTION);
    return *function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

SOFT_API CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_needs(soft_function_find(handle, &function), value);
    if (result != CUDA_SUCCESS)
        return result;
    return soft_settings_get(&function->settings, &function->info, (int)attribute, value);
}

SOFT_API CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_function_find(handle, &function);
    if (result != CUDA_SUCCESS)
        return result;
    return soft_settings_set(&function->settings, &function->info, (int)attribute, value);
}

SOFT_API CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache preference)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_function_find(handle, &function);
    if (result == CUDA_SUCCESS && (unsigned)preference > CU_FUNC_CACHE_PREFER_EQUAL)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

SOFT_API CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig banks)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_function_find(handle, &function);
    if (result == CUDA_SUCCESS && (unsigned)banks > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

SOFT_API CUresult cuFuncGetModule(CUmodule *module, CUfunction handle)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_needs(soft_function_find(handle, &function), module);
    if (result == CUDA_SUCCESS)
        *module = (CUmodule)function->module;
    return result;
}

SOFT_API CUresult cuFuncGetName(const char **name, CUfunction handle)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_needs(soft_function_find(handle, &function), name);
    if (result == CUDA_SUCCESS)
        *name = function->info.name;
    return result;
}

SOFT_API CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *size)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_function_find(handle, &function);
    return result == CUDA_SUCCESS ? soft_parameter(function->code, index, offset, size) : result;
}

SOFT_API CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction handle)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_needs(soft_function_find(handle, &function), state);
    if (result == CUDA_SUCCESS)
        *state = CU_FUNCTION_LOADING_STATE_LOADED;
    return result;
}

SOFT_API CUresult cuFuncLoad(CUfunction handle)
{
    SOFT_HOLD struct soft_function *function;
    return soft_function_find(handle, &function);
}
