/* SPDX-License-Identifier: Apache-2.0 */
/* Texture and surface objects; what they say of their memory is checked as they are made. */
#ifndef WH_SOFTGPU_TEXTURE_OBJECT_H
#define WH_SOFTGPU_TEXTURE_OBJECT_H

#include "backend/softgpu/engine/texture.h"
#include "backend/softgpu/softgpu.h"

struct soft_texture {
    struct soft_object object;
    struct wh_soft_texture engine;
    CUDA_RESOURCE_DESC resource;
    CUDA_TEXTURE_DESC texture;
    CUDA_RESOURCE_VIEW_DESC view;
    bool viewed;
    void *backing; /* a reference of an array or a mipmapped array, or NULL */
};

/* The engine's question (engine.h): the texture or surface of a context with that number. */
const struct wh_soft_texture *soft_texture_find(void *context, uint64_t number);

/* Fills the engine's side and what backs it. The caller owns the backing's reference then, whatever
 * the result. */
CUresult soft_texture_describe(struct soft_texture *texture, const CUDA_RESOURCE_DESC *resource,
                               const CUDA_TEXTURE_DESC *texturing,
                               const CUDA_RESOURCE_VIEW_DESC *view);

#endif
