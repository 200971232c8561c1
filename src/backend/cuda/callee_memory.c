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

/* By way of the arena, as much of it as is here. A transfer that fails is the worker's. */
#define IS_IN_ARENA(bytes, size) ((size) <= SOFT_SMALL_BYTES && wh_callee_sees(bytes, size))

HAND(write_arena,
     wh_callee_has_bytes(a[0], a[1], 1) && IS_IN_ARENA(POINTER(void, 2), a[1]) && STREAM_AT(3),
     copy_to_device(call, a[0], a[1], POINTER(void, 2), POINTER(struct CUstream_st, 3),
                    (uint32_t)a[4]))
HAND(read_arena,
     wh_callee_has_bytes(a[2], a[0], 1) && IS_IN_ARENA(POINTER(void, 1), a[0]) && STREAM_AT(3) &&
         (call->slot == WH_NO_SLOT || (uint32_t)a[4] == WH_NO_TOKEN),
     copy_from_device(call, a[0], POINTER(void, 1), a[2], POINTER(struct CUstream_st, 3),
                      (uint32_t)a[4]))

/* ---- rows ---- */

static bool has_rows(uint64_t address, uint64_t pitch, uint64_t width, uint64_t height,
                     uint64_t each)
{
    uint64_t row, bytes, length;
    if (width == 0 || height == 0)
        return true;
    return !__builtin_mul_overflow(width, each, &row) &&
           !__builtin_mul_overflow(row, height, &bytes) && bytes <= SOFT_SMALL_BYTES &&
           !__builtin_mul_overflow(height - 1, pitch, &length) &&
           !__builtin_add_overflow(length, row, &length) &&
           soft_callee_reaches_bytes(address, length);
}

#define ROWS(each) has_rows(a[0], a[1], a[3], a[4], each) && wh_callee_reaches_maps(call)

HAND(set_rows_8, ROWS(1), cuMemsetD2D8_v2(call, a[0], a[1], (unsigned char)a[2], a[3], a[4]))
HAND(set_rows_16, ROWS(2), cuMemsetD2D16_v2(call, a[0], a[1], (unsigned short)a[2], a[3], a[4]))
HAND(set_rows_32, ROWS(4), cuMemsetD2D32_v2(call, a[0], a[1], (unsigned)a[2], a[3], a[4]))
HAND(set_rows_8_async, ROWS(1) && STREAM_AT(5),
     cuMemsetD2D8Async(call, a[0], a[1], (unsigned char)a[2], a[3], a[4],
                       POINTER(struct CUstream_st, 5)))
HAND(set_rows_16_async, ROWS(2) && STREAM_AT(5),
     cuMemsetD2D16Async(call, a[0], a[1], (unsigned short)a[2], a[3], a[4],
                        POINTER(struct CUstream_st, 5)))
HAND(set_rows_32_async, ROWS(4) && STREAM_AT(5),
     cuMemsetD2D32Async(call, a[0], a[1], (unsigned)a[2], a[3], a[4],
                        POINTER(struct CUstream_st, 5)))

#define ARRAY_AT(i) soft_callee_reaches_array_bytes(POINTER(struct CUarray_st, i))

static bool has_place(const wh_cuda_box *box, const wh_cuda_place *place)
{
    uint64_t start, length;
    return place->kind == WH_CUDA_PLACE_ARRAY || place->kind == WH_CUDA_PLACE_STAGED ||
           (place->kind == WH_CUDA_PLACE_LINEAR &&
            wh_cuda_place_bytes(box, place, &start, &length) &&
            soft_callee_reaches_bytes(start, length));
}

static bool has_box(const wh_cuda_box *box)
{
    uint64_t bytes;
    return box && !__builtin_mul_overflow(box->width, box->height, &bytes) &&
           !__builtin_mul_overflow(bytes, box->depth, &bytes) && bytes <= SOFT_SMALL_BYTES &&
           has_place(box, &box->to) && has_place(box, &box->from);
}

HAND(copy_box,
     has_box(POINTER(const wh_cuda_box, 0)) && ARRAY_AT(1) && ARRAY_AT(2) && STREAM_AT(3) &&
         wh_callee_reaches_maps(call),
     copy_box(call, POINTER(const wh_cuda_box, 0), POINTER(struct CUarray_st, 1),
              POINTER(struct CUarray_st, 2), POINTER(struct CUstream_st, 3)))
#define BOX has_box(POINTER(const wh_cuda_box, 0)) && ARRAY_AT(1) && wh_callee_reaches_maps(call)

HAND(write_box, BOX &&IS_IN_ARENA(POINTER(void, 3), a[2]) && STREAM_AT(4),
     write_box(call, POINTER(const wh_cuda_box, 0), POINTER(struct CUarray_st, 1), a[2],
               POINTER(void, 3), POINTER(struct CUstream_st, 4)))
HAND(read_box, BOX &&IS_IN_ARENA(POINTER(void, 3), a[2]) && STREAM_AT(4),
     read_box(call, POINTER(const wh_cuda_box, 0), POINTER(struct CUarray_st, 1), a[2],
              POINTER(void, 3), POINTER(struct CUstream_st, 4)))
CALL(to_array, ARRAY_AT(0) && wh_callee_has_bytes(a[2], a[3], 1),
     MemcpyDtoA_v2(POINTER(struct CUarray_st, 0), a[1], a[2], a[3]))
CALL(from_array, ARRAY_AT(1) && wh_callee_has_bytes(a[0], a[3], 1),
     MemcpyAtoD_v2(a[0], POINTER(struct CUarray_st, 1), a[2], a[3]))
CALL(between_arrays, ARRAY_AT(0) && ARRAY_AT(2) && a[4] <= SOFT_SMALL_BYTES,
     MemcpyAtoA_v2(POINTER(struct CUarray_st, 0), a[1], POINTER(struct CUarray_st, 2), a[3], a[4]))

#define PEERS                                                                   \
    wh_callee_has_bytes(a[0], a[4], 1) && wh_callee_has_bytes(a[2], a[4], 1) && \
        soft_callee_reaches_named(POINTER(struct CUctx_st, 1)) &&               \
        soft_callee_reaches_named(POINTER(struct CUctx_st, 3))

CALL(copy_peer, PEERS,
     MemcpyPeer(a[0], POINTER(struct CUctx_st, 1), a[2], POINTER(struct CUctx_st, 3), a[4]))
CALL(copy_peer_async, PEERS &&STREAM_AT(5),
     MemcpyPeerAsync(a[0], POINTER(struct CUctx_st, 1), a[2], POINTER(struct CUctx_st, 3), a[4],
                     POINTER(struct CUstream_st, 5)))

/* ---- allocations ---- */

HAND(allocate, wh_callee_reaches_maps(call), cuMemAlloc_v2(call, POINTER(CUdeviceptr, 0), a[1]))
HAND(free_memory,
     wh_callee_reaches_maps(call) && wh_cuda_shares_none(wh_cuda_state(call), wh_callee_sees) &&
         soft_callee_reaches_free(a[0]),
     cuMemFree_v2(call, a[0]))

HAND(allocate_rows, wh_callee_reaches_maps(call),
     cuMemAllocPitch_v2(call, POINTER(CUdeviceptr, 0), POINTER(size_t, 1), a[2], a[3],
                        (unsigned)a[4]))

#define POOL_AT(i) soft_callee_reaches_pool(POINTER(struct CUmemPoolHandle_st, i))

/* In a stream's order; a stream that captures is the worker's. */
HAND(allocate_async,
     wh_callee_reaches_maps(call) && soft_callee_reaches_pools() && STREAM_AT(2) &&
         !wh_cuda_state(call)->captures,
     cuMemAllocAsync(call, POINTER(CUdeviceptr, 0), a[1], POINTER(struct CUstream_st, 2)))
HAND(allocate_from,
     wh_callee_reaches_maps(call) && POOL_AT(2) && STREAM_AT(3) && !wh_cuda_state(call)->captures,
     cuMemAllocFromPoolAsync(call, POINTER(CUdeviceptr, 0), a[1],
                             POINTER(struct CUmemPoolHandle_st, 2), POINTER(struct CUstream_st, 3)))
HAND(free_async,
     wh_callee_reaches_maps(call) && wh_cuda_shares_none(wh_cuda_state(call), wh_callee_sees) &&
         soft_callee_reaches_free(a[0]) && STREAM_AT(1),
     cuMemFreeAsync(call, a[0], POINTER(struct CUstream_st, 1)))
CALL(trim_pool, soft_callee_reaches_pool_trim(POINTER(struct CUmemPoolHandle_st, 0)),
     MemPoolTrimTo(POINTER(struct CUmemPoolHandle_st, 0), a[1]))

/* Memory of the program's that is the device's, too: only the maps know of it. */
HAND(share_memory,
     wh_callee_reaches_maps(call) && wh_cuda_ranges_have_room(wh_cuda_state(call)->ranges),
     host_register(call, a[0], a[1], (unsigned)a[2], POINTER(CUdeviceptr, 3)))

/* What has a mapping of its own is the worker's. */
static bool is_plain(struct wh_call *call, uint64_t address)
{
    struct wh_cuda_range range;
    return wh_callee_reaches_maps(call) &&
           (!wh_cuda_ranges_find(wh_cuda_state(call)->ranges, address, 0, &range) ||
            range.kind != WH_CUDA_RANGE_ALIAS);
}

HAND(unshare_memory, is_plain(call, a[0]), host_unregister(call, a[0]))

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
