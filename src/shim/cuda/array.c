/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between arrays and the program's memory. Arrays themselves are generated, objects over
 * them are texture.c's.
 */
#include "shim/cuda/copy2d.h"
#include "shim/cuda/observe.h"

/* `to` and `from`: one is an array, the other memory of the program. */
static CUresult copy_row(CUarray array, size_t offset, const void *memory, size_t size, bool write,
                         CUstream stream, bool wait)
{
    CUresult result = wh_cuda_ready();
    struct wh_cuda_sides s = {.width = size, .height = 1, .depth = 1};
    struct wh_cuda_side *there = write ? &s.to : &s.from, *here = write ? &s.from : &s.to;
    if (result != CUDA_SUCCESS || size == 0)
        return result;
    there->place.x = offset;
    result = wh_cuda_side_of(&s, there, CU_MEMORYTYPE_ARRAY, NULL, 0, array);
    if (result == CUDA_SUCCESS)
        result = wh_cuda_side_of(&s, here, CU_MEMORYTYPE_HOST, memory, 0, NULL);
    return result == CUDA_SUCCESS ? wh_cuda_copy_sides(&s, stream, wait) : result;
}

WH_EXPORT CUresult cuMemcpyHtoA_v2(CUarray to, size_t offset, const void *from, size_t size)
{
    return copy_row(to, offset, from, size, true, NULL, true);
}

WH_EXPORT CUresult cuMemcpyHtoAAsync_v2(CUarray to, size_t offset, const void *from, size_t size,
                                        CUstream stream)
{
    return copy_row(to, offset, from, size, true, stream, false);
}

WH_EXPORT CUresult cuMemcpyAtoH_v2(void *to, CUarray from, size_t offset, size_t size)
{
    return copy_row(from, offset, to, size, false, NULL, true);
}

WH_EXPORT CUresult cuMemcpyAtoHAsync_v2(void *to, CUarray from, size_t offset, size_t size,
                                        CUstream stream)
{
    return copy_row(from, offset, to, size, false, stream, false);
}
