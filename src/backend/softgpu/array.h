/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA arrays: device memory in rows and slices, reached by copies only. */
#ifndef WH_SOFTGPU_ARRAY_H
#define WH_SOFTGPU_ARRAY_H

#include "backend/softgpu/softgpu.h"

struct soft_array {
    struct soft_object object;
    CUDA_ARRAY3D_DESCRIPTOR_v2 descriptor;
    struct soft_device *device;
    uint64_t address, size;
    size_t row;           /* bytes in a row; rows follow each other without gaps */
    size_t height, depth; /* at least 1; layers and cube faces count as depth */
};

#endif
