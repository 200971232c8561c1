/* SPDX-License-Identifier: Apache-2.0 */
/* What objects that the callee makes (callee.h) are made of, for who has to have it there. */
#ifndef WH_SOFTGPU_CALLEE_SIZES_H
#define WH_SOFTGPU_CALLEE_SIZES_H

#include "backend/softgpu/array.h"
#include "backend/softgpu/event.h"
#include "backend/softgpu/library.h"
#include "backend/softgpu/texture.h"

/* X(bytes, how many blocks of so many) */
#define SOFT_CALLEE_SIZES(X)           \
    X(sizeof(struct soft_event), 128)  \
    X(sizeof(struct soft_stream), 32)  \
    X(sizeof(struct soft_array), 16)   \
    X(sizeof(struct soft_texture), 16) \
    X(sizeof(struct soft_function), 32)

#endif
