/* SPDX-License-Identifier: Apache-2.0 */
/* See cuda_memory.h. */
#include "trace/cuda_memory.h"

#include "cuda_api.h"

#include <stddef.h>

static const struct wh_cuda_teller tellers[] = {
    {WH_CUDA_cuMemAlloc_v2, 0, 1, true, false},
    {WH_CUDA_cuMemAllocPitch_v2, 0, 1, true, true}, /* of a row; times the height */
    {WH_CUDA_cuMemAllocAsync, 0, 1, true, false},
    {WH_CUDA_cuMemAllocFromPoolAsync, 0, 1, true, false},
    {WH_CUDA_cuMemAllocManaged, 0, 1, true, false},
    {WH_CUDA_cuMemAllocHost_v2, 0, 1, true, false},
    {WH_CUDA_cuMemHostAlloc, 0, 1, true, false},
    {WH_CUDA_cuMemHostRegister, 0, 1, false, false},
    {WH_CUDA_cuMemHostRegister_v2, 0, 1, false, false},
    {WH_CUDA_cuMemAddressReserve, 0, 1, true, false},
    {WH_CUDA_cuModuleGetGlobal_v2, 0, 1, true, true},
    {WH_CUDA_cuLibraryGetGlobal, 0, 1, true, true},
    {WH_CUDA_cuLibraryGetManaged, 0, 1, true, true},
};

const struct wh_cuda_teller *wh_cuda_teller(uint16_t number)
{
    for (size_t i = 0; i < sizeof(tellers) / sizeof(*tellers); i++)
        if (tellers[i].number == number)
            return &tellers[i];
    return NULL;
}

bool wh_cuda_ends_memory(uint16_t number)
{
    return number == WH_CUDA_cuMemFree_v2 || number == WH_CUDA_cuMemFreeAsync ||
           number == WH_CUDA_cuMemFreeHost || number == WH_CUDA_cuMemHostUnregister ||
           number == WH_CUDA_cuMemAddressFree;
}
