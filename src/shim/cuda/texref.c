/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texture and surface references of modules: the driver keeps what is set of them. What is bound to
 * one is remembered here (wh_object.word), as the program's own handle: the driver might name an
 * array that is no more.
 */
#include "shim/cuda/shim.h"

static CUresult remember(const void *reference, const void *bound, CUresult result)
{
    if (result == CUDA_SUCCESS)
        ((struct wh_object *)(uintptr_t)reference)->word = (uintptr_t)bound;
    return result;
}

/* What is bound to it, if it is of this type; NULL and an error. */
static CUresult recall(const void *reference, uint16_t type, uint16_t wanted, void **bound)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    const struct wh_object *object = wh_cuda_object(reference, type);
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!bound || !wh_cuda_object((const void *)(uintptr_t)object->word, wanted))
        return CUDA_ERROR_INVALID_VALUE;
    *bound = (void *)(uintptr_t)object->word;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuTexRefSetArray(CUtexref reference, CUarray array, unsigned int flags)
{
    return remember(reference, array, wh_cuda_call_cuTexRefSetArray(reference, array, flags));
}

WH_EXPORT CUresult cuTexRefSetMipmappedArray(CUtexref reference, CUmipmappedArray mipmap,
                                             unsigned int flags)
{
    return remember(reference, mipmap,
                    wh_cuda_call_cuTexRefSetMipmappedArray(reference, mipmap, flags));
}

WH_EXPORT CUresult cuTexRefSetAddress_v2(size_t *offset, CUtexref reference, CUdeviceptr address,
                                         size_t bytes)
{
    return remember(reference, NULL,
                    wh_cuda_call_cuTexRefSetAddress_v2(offset, reference, address, bytes));
}

WH_EXPORT CUresult cuTexRefSetAddress2D_v3(CUtexref reference,
                                           const CUDA_ARRAY_DESCRIPTOR *descriptor,
                                           CUdeviceptr address, size_t pitch)
{
    return remember(reference, NULL,
                    wh_cuda_call_cuTexRefSetAddress2D_v3(reference, descriptor, address, pitch));
}

/* The newer one knows more pitches. */
WH_EXPORT CUresult cuTexRefSetAddress2D_v2(CUtexref reference,
                                           const CUDA_ARRAY_DESCRIPTOR *descriptor,
                                           CUdeviceptr address, size_t pitch)
{
    return cuTexRefSetAddress2D_v3(reference, descriptor, address, pitch);
}

WH_EXPORT CUresult cuTexRefGetArray(CUarray *array, CUtexref reference)
{
    return recall(reference, WH_CUDA_TYPE_CUtexref, WH_CUDA_TYPE_CUarray, (void **)array);
}

WH_EXPORT CUresult cuTexRefGetMipmappedArray(CUmipmappedArray *mipmap, CUtexref reference)
{
    return recall(reference, WH_CUDA_TYPE_CUtexref, WH_CUDA_TYPE_CUmipmappedArray, (void **)mipmap);
}

WH_EXPORT CUresult cuSurfRefSetArray(CUsurfref reference, CUarray array, unsigned int flags)
{
    return remember(reference, array, wh_cuda_call_cuSurfRefSetArray(reference, array, flags));
}

WH_EXPORT CUresult cuSurfRefGetArray(CUarray *array, CUsurfref reference)
{
    return recall(reference, WH_CUDA_TYPE_CUsurfref, WH_CUDA_TYPE_CUarray, (void **)array);
}

WH_EXPORT CUresult cuTexRefSetBorderColor(CUtexref reference, float *color)
{
    return color ? wh_cuda_call_texref_border(reference, color) : CUDA_ERROR_INVALID_VALUE;
}

/* Kernels name the references of their modules; once they had to be told of each. CUDA driver API,
 * cuParamSetTexRef. */
WH_EXPORT CUresult cuParamSetTexRef(CUfunction function, int unit, CUtexref reference)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!wh_cuda_object(function, WH_CUDA_TYPE_CUfunction) ||
        !wh_cuda_object(reference, WH_CUDA_TYPE_CUtexref))
        return CUDA_ERROR_INVALID_HANDLE;
    return unit == CU_PARAM_TR_DEFAULT ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
