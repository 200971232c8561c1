/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA arrays and mipmapped arrays: device memory in rows and slices, for copies and textures. */
#ifndef WH_SOFTGPU_ARRAY_H
#define WH_SOFTGPU_ARRAY_H

#include "backend/softgpu/engine/texture.h"
#include "backend/softgpu/softgpu.h"

struct soft_array {
    struct soft_object object;
    CUDA_ARRAY3D_DESCRIPTOR_v2 descriptor;
    struct soft_device *device;
    uint64_t address, size;
    size_t row, pitch;    /* bytes in a row, and from one row to the next */
    size_t height, depth; /* at least 1; layers and cube faces count as depth */
    bool level;           /* of a mipmapped array, which alone destroys it */
};

struct soft_mipmap {
    struct soft_object object;
    CUDA_ARRAY3D_DESCRIPTOR_v2 descriptor;
    unsigned nlevels;
    struct soft_array *levels[WH_TEXTURE_LEVELS]; /* references */
};

/* How a format's channels lie in memory. */
struct soft_format {
    enum wh_soft_channel channel;
    uint8_t size;      /* bytes of one channel */
    uint8_t nchannels; /* what the format itself says, or 0 */
    bool normalized;   /* always read as fractions */
};

/* False: a format that this device does not have. */
bool soft_format_find(CUarray_format format, struct soft_format *found);

/* An array as the description says, not listed; the reference is the caller's. */
CUresult soft_array_make(struct soft_context *context, const CUDA_ARRAY3D_DESCRIPTOR_v2 *descriptor,
                         struct soft_array **array);

/* CUDA driver API, cuArray3DCreate: whether there can be such an array. */
CUresult soft_array_check(const CUDA_ARRAY3D_DESCRIPTOR_v2 *descriptor);

#endif
