/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texture and surface references: variables of a module that the host binds to memory. CUDA driver
 * API, "Texture Reference Management" and "Surface Reference Management". Here such a variable
 * holds the number of a texture object, which is made anew whenever something is set.
 */
#include "backend/softgpu/texref.h"

#include "backend/softgpu/queue.h"

#include <string.h>

#define ALIGNMENT 512u /* of linear memory: what is before the address is the offset of fetches */

struct soft_texref {
    struct soft_object object;
    struct soft_texref *next;   /* in its module */
    struct soft_module *module; /* a plain pointer: it goes with that */
    bool surface, bound;
    uint64_t place; /* of the variable */
    void *made;     /* the object, a reference of ours; NULL: none */
    CUDA_RESOURCE_DESC resource;
    CUDA_TEXTURE_DESC texture;
    CUarray_format format; /* of linear memory, as set */
    unsigned nchannels;
};

/* ---- by name ---- */

static struct soft_texref *make(struct soft_module *module, uint64_t place, bool surface)
{
    struct soft_texref *reference = soft_object_new(
        surface ? SOFT_SURFREF : SOFT_TEXREF, sizeof(*reference), module->object.context, NULL);
    if (!reference)
        return NULL;
    reference->module = module;
    reference->surface = surface;
    reference->place = place;
    reference->format = CU_AD_FORMAT_FLOAT;
    reference->nchannels = 1;
    reference->next = module->texrefs;
    module->texrefs = reference;
    soft_object_list(reference);
    return reference;
}

static CUresult get(CUmodule handle, const char *name, bool surface, void **found)
{
    struct soft_context *context;
    uint64_t place;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    SOFT_HOLD struct soft_module *module = soft_object_get(handle, SOFT_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!found || !name)
        return CUDA_ERROR_INVALID_VALUE;
    if (!wh_soft_find_reference(module->code, name, surface, &place))
        return CUDA_ERROR_NOT_FOUND;
    pthread_mutex_lock(&module->lock);
    struct soft_texref *reference = module->texrefs;
    while (reference && reference->place != place)
        reference = reference->next;
    if (!reference && !module->dropped)
        reference = make(module, place, surface);
    pthread_mutex_unlock(&module->lock);
    *found = reference;
    return reference ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

SOFT_API CUresult cuModuleGetTexRef(CUtexref *reference, CUmodule module, const char *name)
{
    return get(module, name, false, (void **)reference);
}

SOFT_API CUresult cuModuleGetSurfRef(CUsurfref *reference, CUmodule module, const char *name)
{
    return get(module, name, true, (void **)reference);
}

/* Kernels have ended. */
static void unbind(struct soft_texref *reference)
{
    if (reference->made)
        soft_object_unlist(reference->made);
    soft_object_release(reference->made);
    reference->made = NULL;
}

void soft_texrefs_drop(struct soft_module *module)
{
    pthread_mutex_lock(&module->lock);
    struct soft_texref *reference = module->texrefs;
    module->texrefs = NULL;
    pthread_mutex_unlock(&module->lock);
    while (reference) {
        struct soft_texref *next = reference->next;
        unbind(reference);
        soft_object_unlist(reference);
        reference = next;
    }
}

/* ---- what is set ---- */

static CUresult find(const void *handle, bool surface, struct soft_texref **reference)
{
    struct soft_context *context;
    *reference = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    *reference = soft_object_get(handle, surface ? SOFT_SURFREF : SOFT_TEXREF);
    if (!*reference)
        return CUDA_ERROR_INVALID_HANDLE;
    return (*reference)->object.context == context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

/* From here on kernels read it as it is set now; those launched before have ended. What is set is
 * set one by one, and need not make sense in between: then it is bound to nothing. */
static CUresult apply(struct soft_texref *reference)
{
    uint64_t number = 0;
    CUresult result = CUDA_SUCCESS;
    if (reference->bound)
        result = reference->surface
                     ? cuSurfObjectCreate((CUsurfObject *)&number, &reference->resource)
                     : cuTexObjectCreate((CUtexObject *)&number, &reference->resource,
                                         &reference->texture, NULL);
    soft_context_wait(reference->object.context);
    unbind(reference);
    reference->made = soft_object_get((const void *)(uintptr_t)number, SOFT_TEXTURE);
    memcpy((void *)(uintptr_t)reference->place, &number, sizeof(number));
    return result;
}

static CUresult bind(struct soft_texref *reference, const CUDA_RESOURCE_DESC *resource)
{
    reference->bound = true;
    reference->resource = *resource;
    return apply(reference);
}

SOFT_API CUresult cuTexRefSetArray(CUtexref handle, CUarray array, unsigned flags)
{
    const CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY,
                                         .res.array.hArray = array};
    CUDA_ARRAY_DESCRIPTOR descriptor;
    SOFT_HOLD struct soft_texref *reference;
    CUresult result = find(handle, false, &reference);
    if (result == CUDA_SUCCESS && flags != CU_TRSA_OVERRIDE_FORMAT)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuArrayGetDescriptor_v2(&descriptor, array);
    if (result != CUDA_SUCCESS)
        return result;
    reference->format = descriptor.Format;
    reference->nchannels = descriptor.NumChannels;
    return bind(reference, &resource);
}

SOFT_API CUresult cuTexRefSetMipmappedArray(CUtexref handle, CUmipmappedArray mipmap,
                                            unsigned flags)
{
    const CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY,
                                         .res.mipmap.hMipmappedArray = mipmap};
    SOFT_HOLD struct soft_texref *reference;
    CUresult result = find(handle, false, &reference);
    if (result == CUDA_SUCCESS && flags != CU_TRSA_OVERRIDE_FORMAT)
        result = CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? bind(reference, &resource) : result;
}

SOFT_API CUresult cuTexRefSetAddress_v2(size_t *offset, CUtexref handle, CUdeviceptr address,
                                        size_t bytes)
{
    SOFT_HOLD struct soft_texref *reference;
    size_t before = address % ALIGNMENT;
    CUresult result = find(handle, false, &reference);
    if (result == CUDA_SUCCESS && before && !offset)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    const CUDA_RESOURCE_DESC resource = {
        .resType = CU_RESOURCE_TYPE_LINEAR,
        .res.linear = {.devPtr = address - before,
                       .format = reference->format,
                       .numChannels = reference->nchannels,
                       .sizeInBytes = bytes + before},
    };
    if (offset)
        *offset = before;
    return bind(reference, &resource);
}

SOFT_API CUresult cuTexRefSetAddress2D_v3(CUtexref handle, const CUDA_ARRAY_DESCRIPTOR *descriptor,
                                          CUdeviceptr address, size_t pitch)
{
    SOFT_HOLD struct soft_texref *reference;
    CUresult result = soft_needs(find(handle, false, &reference), descriptor);
    if (result != CUDA_SUCCESS)
        return result;
    const CUDA_RESOURCE_DESC resource = {
        .resType = CU_RESOURCE_TYPE_PITCH2D,
        .res.pitch2D = {.devPtr = address,
                        .format = descriptor->Format,
                        .numChannels = descriptor->NumChannels,
                        .width = descriptor->Width,
                        .height = descriptor->Height,
                        .pitchInBytes = pitch},
    };
    reference->format = descriptor->Format;
    reference->nchannels = descriptor->NumChannels;
    return bind(reference, &resource);
}

SOFT_API CUresult cuSurfRefSetArray(CUsurfref handle, CUarray array, unsigned flags)
{
    const CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY,
                                         .res.array.hArray = array};
    SOFT_HOLD struct soft_texref *reference;
    CUresult result = find(handle, true, &reference);
    if (result == CUDA_SUCCESS && flags)
        result = CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? bind(reference, &resource) : result;
}

/* ---- how it is read ---- */

SOFT_API CUresult cuTexRefSetFormat(CUtexref handle, CUarray_format format, int nchannels)
{
    SOFT_HOLD struct soft_texref *reference;
    CUresult result = find(handle, false, &reference);
    if (result == CUDA_SUCCESS && nchannels != 1 && nchannels != 2 && nchannels != 4)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    reference->format = format;
    reference->nchannels = (unsigned)nchannels;
    if (reference->resource.resType == CU_RESOURCE_TYPE_LINEAR) {
        reference->resource.res.linear.format = format;
        reference->resource.res.linear.numChannels = (unsigned)nchannels;
    }
    (void)apply(reference);
    return CUDA_SUCCESS;
}

/* Begins a change of how it is read. */
static CUresult change(CUtexref handle, bool good, struct soft_texref **reference)
{
    CUresult result = find(handle, false, reference);
    return result == CUDA_SUCCESS && !good ? CUDA_ERROR_INVALID_VALUE : result;
}

#define SET(handle, good, statement)                        \
    do {                                                    \
        SOFT_HOLD struct soft_texref *reference;            \
        CUresult result = change(handle, good, &reference); \
        if (result != CUDA_SUCCESS)                         \
            return result;                                  \
        statement;                                          \
        (void)apply(reference);                             \
        return CUDA_SUCCESS;                                \
    } while (0)

SOFT_API CUresult cuTexRefSetAddressMode(CUtexref handle, int dimension, CUaddress_mode mode)
{
    SET(handle, dimension >= 0 && dimension < 3 && mode <= CU_TR_ADDRESS_MODE_BORDER,
        reference->texture.addressMode[dimension] = mode);
}

SOFT_API CUresult cuTexRefSetFilterMode(CUtexref handle, CUfilter_mode mode)
{
    SET(handle, mode <= CU_TR_FILTER_MODE_LINEAR, reference->texture.filterMode = mode);
}

SOFT_API CUresult cuTexRefSetMipmapFilterMode(CUtexref handle, CUfilter_mode mode)
{
    SET(handle, mode <= CU_TR_FILTER_MODE_LINEAR, reference->texture.mipmapFilterMode = mode);
}

SOFT_API CUresult cuTexRefSetMipmapLevelBias(CUtexref handle, float bias)
{
    SET(handle, true, reference->texture.mipmapLevelBias = bias);
}

SOFT_API CUresult cuTexRefSetMipmapLevelClamp(CUtexref handle, float least, float most)
{
    SET(handle, true, reference->texture.minMipmapLevelClamp = least;
        reference->texture.maxMipmapLevelClamp = most);
}

SOFT_API CUresult cuTexRefSetMaxAnisotropy(CUtexref handle, unsigned most)
{
    SET(handle, true, reference->texture.maxAnisotropy = most);
}

SOFT_API CUresult cuTexRefSetBorderColor(CUtexref handle, float *color)
{
    SET(handle, color != NULL,
        memcpy(reference->texture.borderColor, color, sizeof(reference->texture.borderColor)));
}

SOFT_API CUresult cuTexRefSetFlags(CUtexref handle, unsigned flags)
{
    const unsigned known = CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |
                           CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP;
    SET(handle, !(flags & ~known), reference->texture.flags = flags);
}

/* ---- questions ---- */

/* Begins one; what is bound must be of this sort, where that matters. */
static CUresult ask(const void *handle, bool surface, const void *answer, int resource,
                    struct soft_texref **reference)
{
    CUresult result = soft_needs(find(handle, surface, reference), answer);
    if (result == CUDA_SUCCESS && resource >= 0 &&
        (!(*reference)->bound || (int)(*reference)->resource.resType != resource))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

#define GET(handle, surface, answer, sort, value)                         \
    do {                                                                  \
        SOFT_HOLD struct soft_texref *reference;                          \
        CUresult result = ask(handle, surface, answer, sort, &reference); \
        if (result == CUDA_SUCCESS)                                       \
            *(answer) = (value);                                          \
        return result;                                                    \
    } while (0)

SOFT_API CUresult cuTexRefGetAddress_v2(CUdeviceptr *address, CUtexref handle)
{
    GET(handle, false, address, CU_RESOURCE_TYPE_LINEAR, reference->resource.res.linear.devPtr);
}

SOFT_API CUresult cuTexRefGetArray(CUarray *array, CUtexref handle)
{
    GET(handle, false, array, CU_RESOURCE_TYPE_ARRAY, reference->resource.res.array.hArray);
}

SOFT_API CUresult cuTexRefGetMipmappedArray(CUmipmappedArray *mipmap, CUtexref handle)
{
    GET(handle, false, mipmap, CU_RESOURCE_TYPE_MIPMAPPED_ARRAY,
        reference->resource.res.mipmap.hMipmappedArray);
}

SOFT_API CUresult cuSurfRefGetArray(CUarray *array, CUsurfref handle)
{
    GET(handle, true, array, CU_RESOURCE_TYPE_ARRAY, reference->resource.res.array.hArray);
}

SOFT_API CUresult cuTexRefGetAddressMode(CUaddress_mode *mode, CUtexref handle, int dimension)
{
    if (dimension < 0 || dimension > 2)
        return CUDA_ERROR_INVALID_VALUE;
    GET(handle, false, mode, -1, reference->texture.addressMode[dimension]);
}

SOFT_API CUresult cuTexRefGetFilterMode(CUfilter_mode *mode, CUtexref handle)
{
    GET(handle, false, mode, -1, reference->texture.filterMode);
}

SOFT_API CUresult cuTexRefGetMipmapFilterMode(CUfilter_mode *mode, CUtexref handle)
{
    GET(handle, false, mode, -1, reference->texture.mipmapFilterMode);
}

SOFT_API CUresult cuTexRefGetMipmapLevelBias(float *bias, CUtexref handle)
{
    GET(handle, false, bias, -1, reference->texture.mipmapLevelBias);
}

SOFT_API CUresult cuTexRefGetMipmapLevelClamp(float *least, float *most, CUtexref handle)
{
    SOFT_HOLD struct soft_texref *reference;
    CUresult result = soft_needs(ask(handle, false, least, -1, &reference), most);
    if (result != CUDA_SUCCESS)
        return result;
    *least = reference->texture.minMipmapLevelClamp;
    *most = reference->texture.maxMipmapLevelClamp;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuTexRefGetMaxAnisotropy(int *most, CUtexref handle)
{
    GET(handle, false, most, -1, (int)reference->texture.maxAnisotropy);
}

SOFT_API CUresult cuTexRefGetBorderColor(float *color, CUtexref handle)
{
    SOFT_HOLD struct soft_texref *reference;
    CUresult result = ask(handle, false, color, -1, &reference);
    if (result == CUDA_SUCCESS)
        memcpy(color, reference->texture.borderColor, sizeof(reference->texture.borderColor));
    return result;
}

SOFT_API CUresult cuTexRefGetFlags(unsigned *flags, CUtexref handle)
{
    GET(handle, false, flags, -1, reference->texture.flags);
}

SOFT_API CUresult cuTexRefGetFormat(CUarray_format *format, int *nchannels, CUtexref handle)
{
    SOFT_HOLD struct soft_texref *reference;
    CUresult result = find(handle, false, &reference);
    if (result == CUDA_SUCCESS && format)
        *format = reference->format;
    if (result == CUDA_SUCCESS && nchannels)
        *nchannels = (int)reference->nchannels;
    return result;
}
