/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies that are not made: what they name was freed, or went with its context, by another thread
 * of the client, while they were on their way. Whoever waits for them is told. Called by the
 * dispatcher; must not touch what a message names beside its tokens and places.
 */
#include "backend/cuda/backend.h"

void wh_cuda_unmade(struct wh_call *call)
{
    const uint64_t *a = call->a;
    switch (call->desc->number) {
    case WH_CUDA_wh_copy_to_device:
    case WH_CUDA_wh_copy_from_device:
        if (wh_cuda_token_is_good(call, (uint32_t)a[4]))
            wh_cuda_finish_token(call, (uint32_t)a[4], true);
        break;
    case WH_CUDA_wh_stage_to_device:
    case WH_CUDA_wh_stage_from_device:
        wh_cuda_stage_unmade(call, (unsigned)a[4], (unsigned)a[5]);
        break;
    default:
        break;
    }
}
