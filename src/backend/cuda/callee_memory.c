/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in a session's view that move, set, allocate and free memory, and launches. See callee.h.
 */
#include "backend/cuda/callee.h"

#define MOST_OF_EACH 65536u /* blocks and threads in one direction */

/* ---- sets and copies ---- */

CALL(set_8, wh_callee_has_bytes(a[0], a[2], 1), MemsetD8_v2(a[0], (unsigned char)a[1], a[2]))
CALL(set_16, wh_callee_has_bytes(a[0], a[2], 2), MemsetD16_v2(a[0], (unsigned short)a[1], a[2]))
CALL(set_32, wh_callee_has_bytes(a[0], a[2], 4), MemsetD32_v2(a[0], (unsigned)a[1], a[2]))
CALL(set_8_async, wh_callee_has_bytes(a[0], a[2], 1) && STREAM_AT(3),
     MemsetD8Async(a[0], (unsigned char)a[1], a[2], POINTER(struct CUstream_st, 3)))
CALL(set_16_async, wh_callee_has_bytes(a[0], a[2], 2) && STREAM_AT(3),
     MemsetD16Async(a[0], (unsigned short)a[1], a[2], POINTER(struct CUstream_st, 3)))
CALL(set_32_async, wh_callee_has_bytes(a[0], a[2], 4) && STREAM_AT(3),
     MemsetD32Async(a[0], (unsigned)a[1], a[2], POINTER(struct CUstream_st, 3)))

#define TWO_PLACES (wh_callee_has_bytes(a[0], a[2], 1) && wh_callee_has_bytes(a[1], a[2], 1))

CALL(copy, TWO_PLACES, MemcpyDtoD_v2(a[0], a[1], a[2]))
CALL(copy_async, TWO_PLACES &&STREAM_AT(3),
     MemcpyDtoDAsync_v2(a[0], a[1], a[2], POINTER(struct CUstream_st, 3)))

HAND(write_bytes, wh_callee_has_bytes(a[0], a[1], 1) && STREAM_AT(3),
     write(call, a[0], a[1], POINTER(void, 2), POINTER(struct CUstream_st, 3)))
HAND(read_bytes, wh_callee_has_bytes(a[2], a[0], 1) && STREAM_AT(3),
     read(call, a[0], POINTER(void, 1), a[2], POINTER(struct CUstream_st, 3)))
HAND(copy_shared, TWO_PLACES &&STREAM_AT(3),
     copy_shared(call, a[0], a[1], a[2], POINTER(struct CUstream_st, 3)))

/* ---- allocations ---- */

HAND(allocate, wh_callee_reaches_maps(call), cuMemAlloc_v2(call, POINTER(CUdeviceptr, 0), a[1]))
HAND(free_memory,
     wh_callee_reaches_maps(call) && wh_cuda_shares_none(wh_cuda_state(call), wh_callee_sees) &&
         soft_callee_reaches_allocation(a[0]),
     cuMemFree_v2(call, a[0]))

/* ---- launches ---- */

/* Without attributes, and of few threads; none while another process sees what is not for good. */
bool wh_callee_launch(struct wh_call *call, uint64_t *a)
{
    const wh_cuda_grid *grid = POINTER(const wh_cuda_grid, 2);
    CUfunction handle = (CUfunction)(uintptr_t)(a[0] ? a[0] : a[1]);
    uint64_t blocks = 1, threads = 1;
    for (unsigned i = 0; grid && i < 3; i++) {
        if (grid->grid[i] > MOST_OF_EACH || grid->block[i] > MOST_OF_EACH)
            return false;
        blocks *= grid->grid[i];
        threads *= grid->block[i];
    }
    if (!grid || a[4] || !STREAM_AT(3) || !wh_callee_reaches_maps(call) ||
        !wh_cuda_shares_none(wh_cuda_state(call), wh_callee_sees) ||
        !soft_callee_reaches_launch(handle, blocks, threads))
        return false;
    CUresult result =
        wh_cuda_do_launch(call, (CUfunction)(uintptr_t)a[0], (CUkernel)(uintptr_t)a[1], grid,
                          (CUstream)(uintptr_t)a[3], 0, NULL, NULL, a[7], POINTER(const void, 8));
    a[WH_RESULT] = (uint64_t)(int64_t)result;
    return true;
}
