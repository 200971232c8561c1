/* SPDX-License-Identifier: Apache-2.0 */
/* The set calls: rows of one repeated value of 1, 2 or 4 bytes. */
#include "backend/softgpu/graph.h"
#include "backend/softgpu/memory.h"

#include <string.h>

struct set_command {
    struct soft_command command;
    uint8_t *bytes;
    size_t pitch, width, height; /* width in elements */
    unsigned element;            /* bytes of the value */
    uint32_t value;
};

static void fill(uint8_t *bytes, size_t count, unsigned element, uint32_t value)
{
    if (element == 1) {
        memset(bytes, (int)value, count);
    } else if (element == 2) {
        uint16_t *words = (uint16_t *)(void *)bytes; /* aligned: checked */
        for (size_t i = 0; i < count; i++)
            words[i] = (uint16_t)value;
    } else {
        uint32_t *words = (uint32_t *)(void *)bytes;
        for (size_t i = 0; i < count; i++)
            words[i] = value;
    }
}

static CUresult run_set(struct soft_stream *stream, struct soft_command *command)
{
    (void)stream;
    const struct set_command *self = (struct set_command *)command;
    for (size_t y = 0; y < self->height; y++)
        fill(self->bytes + y * self->pitch, self->width, self->element, self->value);
    return CUDA_SUCCESS;
}

/* The bytes from the first to behind the last; false: more than there can be. */
static bool length_of(const struct set_command *set, size_t *length)
{
    size_t row, rows;
    return !__builtin_mul_overflow(set->width, (size_t)set->element, &row) &&
           !__builtin_mul_overflow(set->pitch, set->height - 1, &rows) &&
           !__builtin_add_overflow(row, rows, length) && (set->height == 1 || set->pitch >= row);
}

/* `set` says what. */
static CUresult make(const struct set_command *set, struct soft_range *range,
                     struct set_command **made)
{
    size_t length;
    if (!length_of(set, &length) || (uintptr_t)set->bytes % set->element ||
        (set->height > 1 && set->pitch % set->element) ||
        !soft_range_holds((uintptr_t)set->bytes, length, range))
        return CUDA_ERROR_INVALID_VALUE;
    struct set_command *self = soft_command_new(sizeof(*self), run_set);
    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct soft_command head = self->command;
    *self = *set;
    self->command = head;
    self->command.brief = length <= SOFT_SMALL_BYTES;
    self->command.node = 1 + CU_GRAPH_NODE_TYPE_MEMSET;
    *made = self;
    return CUDA_SUCCESS;
}

/* With `wait` host memory is filled on return. */
static CUresult submit(CUstream handle, const struct set_command *set, bool wait)
{
    struct soft_range range;
    struct set_command *self;
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(handle, &stream);
    if (result != CUDA_SUCCESS || set->width == 0 || set->height == 0)
        return result;
    result = make(set, &range, &self);
    if (result != CUDA_SUCCESS)
        return result;
    bool now = (wait && range.kind != SOFT_MEMORY_DEVICE) || range.sync_copies;
    return now ? soft_execute(stream, &self->command) : soft_submit(stream, &self->command, NULL);
}

CUresult soft_set_make(const CUDA_MEMSET_NODE_PARAMS *params, struct soft_command **command)
{
    struct soft_range range;
    struct set_command *made;
    const struct set_command set = {.bytes = (uint8_t *)(uintptr_t)params->dst,
                                    .pitch = params->pitch,
                                    .width = params->width,
                                    .height = params->height,
                                    .element = params->elementSize,
                                    .value = params->value};
    if ((set.element != 1 && set.element != 2 && set.element != 4) || !set.width || !set.height)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = make(&set, &range, &made);
    if (result == CUDA_SUCCESS)
        *command = &made->command;
    return result;
}

void soft_set_describe(const struct soft_command *command, CUDA_MEMSET_NODE_PARAMS *params)
{
    const struct set_command *set = (const struct set_command *)command;
    *params = (CUDA_MEMSET_NODE_PARAMS){.dst = (uintptr_t)set->bytes,
                                        .pitch = set->pitch,
                                        .value = set->value,
                                        .elementSize = set->element,
                                        .width = set->width,
                                        .height = set->height};
}

static CUresult set_row(CUdeviceptr pointer, unsigned element, uint32_t value, size_t count,
                        CUstream stream, bool wait)
{
    const struct set_command set = {.bytes = (uint8_t *)(uintptr_t)pointer,
                                    .width = count,
                                    .height = 1,
                                    .element = element,
                                    .value = value};
    return submit(stream, &set, wait);
}

static CUresult set_rows(CUdeviceptr pointer, size_t pitch, unsigned element, uint32_t value,
                         size_t width, size_t height, CUstream stream, bool wait)
{
    const struct set_command set = {.bytes = (uint8_t *)(uintptr_t)pointer,
                                    .pitch = pitch,
                                    .width = width,
                                    .height = height,
                                    .element = element,
                                    .value = value};
    return submit(stream, &set, wait);
}

SOFT_API CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count)
{
    return set_row(to, 1, value, count, NULL, true);
}

SOFT_API CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count)
{
    return set_row(to, 2, value, count, NULL, true);
}

SOFT_API CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count)
{
    return set_row(to, 4, value, count, NULL, true);
}

SOFT_API CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count,
                                  CUstream stream)
{
    return set_row(to, 1, value, count, stream, false);
}

SOFT_API CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count,
                                   CUstream stream)
{
    return set_row(to, 2, value, count, stream, false);
}

SOFT_API CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream)
{
    return set_row(to, 4, value, count, stream, false);
}

SOFT_API CUresult cuMemsetD2D8_v2(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                                  size_t height)
{
    return set_rows(to, pitch, 1, value, width, height, NULL, true);
}

SOFT_API CUresult cuMemsetD2D16_v2(CUdeviceptr to, size_t pitch, unsigned short value, size_t width,
                                   size_t height)
{
    return set_rows(to, pitch, 2, value, width, height, NULL, true);
}

SOFT_API CUresult cuMemsetD2D32_v2(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                                   size_t height)
{
    return set_rows(to, pitch, 4, value, width, height, NULL, true);
}

SOFT_API CUresult cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                                    size_t height, CUstream stream)
{
    return set_rows(to, pitch, 1, value, width, height, stream, false);
}

SOFT_API CUresult cuMemsetD2D16Async(CUdeviceptr to, size_t pitch, unsigned short value,
                                     size_t width, size_t height, CUstream stream)
{
    return set_rows(to, pitch, 2, value, width, height, stream, false);
}

SOFT_API CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                                     size_t height, CUstream stream)
{
    return set_rows(to, pitch, 4, value, width, height, stream, false);
}
