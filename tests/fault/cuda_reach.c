/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA clients that reach for what is not theirs: the worker's own memory, by addresses inside of
 * structures, by kernels, by copies whose measures lie, and by memory that goes while the device
 * still works with it. Run by meson.
 */
#include "cuda_support.h"

#include <stdio.h>
#include <string.h>

/* Calls whose addresses are plain words or lie inside of structures. */
static void hidden_addresses(void **state)
{
    struct cuda_liar s = {.what = "a hidden address"};
    uint64_t places[CUDA_MOST_PLACES];
    (void)state;
    cuda_begin(&s.session);
    unsigned n = cuda_find_places(s.session.worker, places);
    for (unsigned k = 0; k < n; k++) {
        const uint64_t at = places[k];
        struct cuda_session *session = &s.session;
        const CUDA_RESOURCE_DESC linear = {
            .resType = CU_RESOURCE_TYPE_LINEAR,
            .res.linear = {.devPtr = at, .numChannels = 1, .sizeInBytes = 64}};
        const CUDA_RESOURCE_DESC rows = {
            .resType = CU_RESOURCE_TYPE_PITCH2D,
            .res.pitch2D = {
                .devPtr = at, .numChannels = 1, .width = 32, .height = 2, .pitchInBytes = 32}};
        /* Handles in a description come beside it; one inside of it is the worker's address. */
        const CUDA_RESOURCE_DESC array = {.resType = CU_RESOURCE_TYPE_ARRAY,
                                          .res.array.hArray = (CUarray)(uintptr_t)at};
        const CUDA_TEXTURE_DESC texture = {0};
        const CUstreamBatchMemOpParams operations[] = {
            {.writeValue = {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32, .address = at}},
            {.waitValue = {.operation = CU_STREAM_MEM_OP_WAIT_VALUE_64, .address = at}}};
        const CUstreamAttrValue window = {
            .accessPolicyWindow = {.base_ptr = (void *)(uintptr_t)at, .num_bytes = 64}};
        const CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                        .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
        const CUDA_ARRAY_DESCRIPTOR flat = {
            .Width = 32, .Height = 2, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
        cuda_expect_refused(
            &s, CUDA_ASK(session, cuTexRefSetAddress_v2, true, WH_CUDA_TYPE_CUtexref, at, 64));
        cuda_expect_refused(&s, CUDA_ASK(session, cuTexRefSetAddress2D_v3, WH_CUDA_TYPE_CUtexref,
                                         (uintptr_t)&flat, at, 512));
        cuda_expect_refused(&s, CUDA_ASK(session, cuMemFree_v2, at));
        cuda_expect_refused(&s, CUDA_ASK(session, wh_host_register, at, 4096, 0, true));
        cuda_expect_refused(&s, CUDA_ASK(session, wh_host_unregister, at));
        cuda_expect_refused(&s, CUDA_ASK(session, wh_share_arena, at));
        cuda_expect_refused(&s, CUDA_ASK(session, wh_memory_map, at, CUDA_CHUNK_N, 0,
                                         WH_CUDA_TYPE_wh_cuda_allocation, 0));
        cuda_expect_refused(&s, CUDA_ASK(session, cuMemUnmap, at, CUDA_CHUNK_N));
        cuda_expect_refused(&s, CUDA_ASK(session, cuMemAddressFree, at, CUDA_CHUNK_N));
        cuda_expect_refused(
            &s, CUDA_ASK(session, cuMemSetAccess, at, CUDA_CHUNK_N, (uintptr_t)&access, 1));
        cuda_expect_refused(
            &s, CUDA_ASK(session, cuMemGetAccess, true, (uintptr_t)&access.location, at));
        cuda_expect_refused(&s, CUDA_ASK(session, wh_texture_create, (uintptr_t)&linear, 0, 0,
                                         (uintptr_t)&texture, 0, true));
        cuda_expect_refused(&s, CUDA_ASK(session, wh_texture_create, (uintptr_t)&rows, 0, 0,
                                         (uintptr_t)&texture, 0, true));
        cuda_expect_refused(&s, CUDA_ASK(session, wh_texture_create, (uintptr_t)&array, 0, 0,
                                         (uintptr_t)&texture, 0, true));
        for (unsigned i = 0; i < 2; i++)
            cuda_expect_refused(
                &s, CUDA_ASK(session, wh_batch_memop, 0, 1, (uintptr_t)&operations[i], 0));
        cuda_expect_refused(&s,
                            CUDA_ASK(session, cuStreamSetAttribute, 0,
                                     CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW, (uintptr_t)&window));
        cuda_expect_refused(&s, CUDA_ASK(session, cuTexObjectDestroy, at));
        cuda_expect_refused(&s, CUDA_ASK(session, cuTexObjectGetTextureDesc, true, at));
        cuda_expect_refused(&s, CUDA_ASK(session, cuSurfObjectDestroy, at));
        for (unsigned i = 0; i < 3; i++) {
            static const enum wh_cuda_call sets[] = {
                WH_CUDA_cuMemsetD2D8_v2, WH_CUDA_cuMemsetD2D16_v2, WH_CUDA_cuMemsetD2D32_v2};
            const uint64_t args[] = {at, 64, 0, 8, 2};
            cuda_expect_refused(&s, cuda_ask(session, sets[i], args, 5));
        }
    }
    cuda_close(&s.session);
    cuda_expect_neighbour();
}

/* What is mapped may be named, to its end and with access only; all of it, or nothing, goes. */
static void what_is_mapped(void **state)
{
    struct cuda_liar s = {.what = "mapped memory"};
    const CUmemAccessDesc none = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    const uint64_t n = CUDA_CHUNK_N;
    (void)state;
    cuda_begin(&s.session);
    struct cuda_session *session = &s.session;
    const uint64_t at = session->reserved;
    assert_int_equal(CUDA_ASK(session, cuMemsetD8_v2, at, 1, n), 0);
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemsetD8_v2, at, 1, n + 1));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemsetD8_v2, at + n, 1, 1));
    cuda_expect_refused(&s, CUDA_ASK(session, wh_read, 16, true, at + n - 8, 0));
    cuda_expect_refused(
        &s, CUDA_ASK(session, wh_memory_map, at, n, 0, WH_CUDA_TYPE_wh_cuda_allocation, 0));
    cuda_expect_refused(
        &s, CUDA_ASK(session, wh_memory_map, at + n, 2 * n, 0, WH_CUDA_TYPE_wh_cuda_allocation, 0));
    cuda_expect_refused(
        &s, CUDA_ASK(session, wh_memory_map, at + n, n, n, WH_CUDA_TYPE_wh_cuda_allocation, 0));
    cuda_expect_refused(
        &s, CUDA_ASK(session, wh_memory_map, at + n, ~0ull, 0, WH_CUDA_TYPE_wh_cuda_allocation, 0));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemUnmap, at, n / 2));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemUnmap, at, 2 * n));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemUnmap, at, 0));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemUnmap, at + n / 2, ~0ull));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemAddressFree, at, 2 * n));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemAddressFree, at + n, n));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemFree_v2, at));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemFreeAsync, at, 0));
    cuda_expect_refused(&s, CUDA_ASK(session, wh_host_unregister, at));
    /* Mapped, but with no access; released, but still mapped. */
    assert_int_equal(
        CUDA_ASK(session, wh_memory_map, at + n, n, 0, WH_CUDA_TYPE_wh_cuda_allocation, 0), 0);
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemsetD8_v2, at + n, 1, 1));
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemsetD8_v2, at, 1, n + 1));
    assert_int_equal(CUDA_ASK(session, wh_memory_release, WH_CUDA_TYPE_wh_cuda_allocation), 0);
    assert_int_equal(CUDA_ASK(session, cuMemUnmap, at + n, n), 0);
    assert_int_equal(CUDA_ASK(session, cuMemsetD8_v2, at, 1, n), 0);
    assert_int_equal(CUDA_ASK(session, cuMemSetAccess, at, n, (uintptr_t)&none, 1), 0);
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemsetD8_v2, at, 1, n));
    assert_int_equal(CUDA_ASK(session, cuMemUnmap, at, n), 0);
    cuda_expect_refused(&s, CUDA_ASK(session, cuMemsetD8_v2, at, 1, n));
    assert_int_equal(CUDA_ASK(session, cuMemAddressFree, at, 2 * n), 0);
    cuda_close(session);
    cuda_expect_neighbour();
}

/* A kernel reaches the device's memory only; its fault stays in its session. */
static void kernels_stay_out(void **state)
{
    const wh_cuda_grid grid = {.grid = {1, 1, 1}, .block = {1, 1, 1}};
    uint64_t places[CUDA_MOST_PLACES];
    struct cuda_session probe;
    (void)state;
    cuda_begin(&probe);
    unsigned n = cuda_find_places(probe.worker, places);
    cuda_close(&probe);
    for (unsigned k = 0; k < n; k++) {
        struct cuda_session session;
        cuda_begin(&session);
        cuda_find_places(session.worker, places); /* another worker, other places */
        const struct {
            uint64_t to, from;
        } poke = {places[k], 7}, peek = {session.memory, places[k]};
        if (k % 2)
            assert_int_equal(CUDA_ASK(&session, wh_get_function, WH_CUDA_TYPE_CUmodule,
                                      (uintptr_t) "peek", 1000),
                             0);
        assert_int_equal(CUDA_ASK(&session, wh_launch, k % 2 ? 1000 : WH_CUDA_TYPE_CUfunction, 0,
                                  (uintptr_t)&grid, 0, 0, 0, 0, k % 2 ? 16 : 12,
                                  k % 2 ? (uintptr_t)&peek : (uintptr_t)&poke),
                         0);
        assert_int_equal(CUDA_ASK(&session, cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
        assert_int_equal(CUDA_ASK(&session, cuCtxSynchronize), CUDA_ERROR_ILLEGAL_ADDRESS);
        cuda_close(&session);
    }
    cuda_expect_neighbour();
}

/* ---- boxes ---- */

static const wh_cuda_place nowhere;

/* Measures that overflow, or say less than a driver would touch. `linear`: the place that lies;
 * addresses are offsets from the session's memory or, where `shared`, from its shared memory. */
struct box_lie {
    const char *what;
    bool shared;
    wh_cuda_place linear;
    uint64_t width, height, depth;
};

static const struct box_lie box_lies[] = {
    {"rows beyond", 0, {.pitch = 64}, 64, CUDA_MEMORY_N / 64 + 1, 1},
    {"a row beyond", 0, {.pitch = CUDA_MEMORY_N}, CUDA_MEMORY_N + 1, 1, 1},
    {"slices beyond", 0, {.pitch = 64, .height = 16}, 64, 16, 5},
    {"x beyond", 0, {.pitch = CUDA_MEMORY_N, .x = CUDA_MEMORY_N - 63}, 64, 1, 1},
    {"y beyond", 0, {.pitch = 64, .height = 64, .y = 64}, 64, 1, 1},
    {"z beyond", 0, {.pitch = 64, .height = 16, .z = 4}, 64, 1, 1},
    {"x that wraps", 0, {.pitch = 64, .x = ~0ull - 63}, 64, 1, 1},
    {"y that wraps", 0, {.pitch = 1ull << 32, .height = 1, .y = 1ull << 32}, 64, 1, 1},
    {"z that wraps", 0, {.pitch = 64, .height = 1ull << 58, .z = 1}, 64, 1, 1},
    {"z and height that wrap", 0, {.pitch = 1, .height = 1ull << 32, .z = 1ull << 32}, 64, 1, 1},
    {"a pitch that wraps", 0, {.pitch = 1ull << 63, .height = 3}, 64, 3, 1},
    {"a height that wraps", 0, {.pitch = 1ull << 32, .height = 1ull << 32}, 64, 1, 2},
    {"no pitch", 0, {.pitch = 0, .height = 65}, 64, 65, 1},
    {"no pitch in shared memory", 1, {.pitch = 0, .height = 129}, 64, 129, 1},
    {"no pitch, and more than the arena", 1, {.pitch = 0}, 4096, 32768, 1},
    {"no height in shared memory", 1, {.pitch = 64, .height = 0}, 64, 128, 2},
    {"a pitch smaller than a row", 1, {.pitch = 1, .height = 8192}, 8192, 2, 1},
    {"an absurd width", 1, {.pitch = ~0ull}, ~0ull, 1, 1},
    {"an absurd height", 1, {.pitch = 64}, 64, ~0ull, 1},
    {"an absurd depth", 1, {.pitch = 64, .height = 1}, 64, 1, ~0ull},
};

static void lies_of_boxes(void **state)
{
    struct cuda_liar s = {0};
    (void)state;
    cuda_begin(&s.session);
    for (size_t i = 0; i < sizeof(box_lies) / sizeof(*box_lies); i++) {
        const struct box_lie *lie = &box_lies[i];
        wh_cuda_box box = {.width = lie->width, .height = lie->height, .depth = lie->depth};
        (void)snprintf(s.what, sizeof(s.what), "a box with %s", lie->what);
        wh_cuda_place liar = lie->linear;
        liar.address += lie->shared ? CUDA_SHARED : s.session.memory;
        const wh_cuda_place staged = {
            .kind = WH_CUDA_PLACE_STAGED, .pitch = box.width, .height = box.height};
        uint64_t size = 0;
        bool absurd = __builtin_mul_overflow(box.width, box.height, &size) ||
                      __builtin_mul_overflow(size, box.depth, &size) || size > CUDA_ARENA / 2;
        box.to = box.from = liar;
        cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_copy_box, (uintptr_t)&box, 0, 0, 0));
        if (absurd)
            size = 0;
        box.to = staged;
        box.from = liar;
        int32_t status = CUDA_ASK(&s.session, wh_read_box, (uintptr_t)&box, 0, size, 0, 0);
        if (status == INT32_MAX) { /* no block is large enough: that is a lie of its own */
            cuda_expect_end(&s.session, s.what, "a staged copy breaks its own measures");
            cuda_begin(&s.session);
            continue;
        }
        cuda_expect_refused(&s, status);
        box.to = liar;
        box.from = staged;
        cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_write_box, (uintptr_t)&box, 0, size, 0, 0));
    }
    cuda_close(&s.session);
    cuda_expect_neighbour();
}

static void boxes_of_no_kind(void **state)
{
    struct cuda_liar s = {.what = "a box of no kind"};
    (void)state;
    cuda_begin(&s.session);
    wh_cuda_box box = {.width = 16, .height = 1, .depth = 1};
    for (uint32_t kind = 0; kind < 6; kind++) {
        box.to = box.from = nowhere;
        box.to.kind = box.from.kind = kind == 5 ? UINT32_MAX : kind;
        if (kind != WH_CUDA_PLACE_STAGED)
            cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_copy_box, (uintptr_t)&box, 0, 0, 0));
    }
    /* Nothing is staged here. */
    box.to.kind = box.from.kind = WH_CUDA_PLACE_STAGED;
    assert_int_equal(CUDA_ASK(&s.session, wh_copy_box, (uintptr_t)&box, 0, 0, 0), INT32_MAX);
    cuda_expect_end(&s.session, s.what, "a staged copy breaks its own measures");
    /* An array's own edges. */
    cuda_begin(&s.session);
    const wh_cuda_place edges[] = {
        {.kind = WH_CUDA_PLACE_ARRAY, .x = 1},          {.kind = WH_CUDA_PLACE_ARRAY, .y = 16},
        {.kind = WH_CUDA_PLACE_ARRAY, .z = 1},          {.kind = WH_CUDA_PLACE_ARRAY, .level = 9},
        {.kind = WH_CUDA_PLACE_ARRAY, .x = ~0ull - 15}, {.kind = WH_CUDA_PLACE_ARRAY, .y = ~0ull},
    };
    for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
        box.from = edges[i];
        box.to = (wh_cuda_place){.kind = WH_CUDA_PLACE_STAGED, .pitch = 16, .height = 1};
        cuda_expect_refused(
            &s, CUDA_ASK(&s.session, wh_read_box, (uintptr_t)&box, WH_CUDA_TYPE_CUarray, 16, 0, 0));
    }
    cuda_close(&s.session);
    cuda_expect_neighbour();
}

/* Memory shared with the client, or a context, goes while the device still has work with it. */
static void memory_taken_from_under_work(void **state)
{
    const uint64_t alias = 0x210000000000, stream = WH_CUDA_TYPE_CUstream, other = 1000;
    (void)state;
    enum { ALIAS, PIECE_OF_ARENA, CONTEXT, WAYS };
    for (unsigned what = 0; what < WAYS; what++) {
        struct cuda_session session;
        struct cuda_letter letter;
        cuda_begin(&session);
        assert_int_equal(CUDA_ASK(&session, cuStreamCreate, other, CU_STREAM_NON_BLOCKING), 0);
        assert_int_equal(
            CUDA_ASK(&session, wh_host_alias, alias, 8192, 8192, CU_MEMHOSTREGISTER_DEVICEMAP), 0);
        assert_int_equal(CUDA_ASK(&session, cuMemsetD8_v2, session.memory, 0, 64), 0);
        assert_int_equal(CUDA_ASK(&session, cuStreamWaitValue32_v2, stream, session.memory, 1,
                                  CU_STREAM_WAIT_VALUE_EQ),
                         0);
        const uint64_t from = what == ALIAS ? alias : CUDA_SHARED;
        assert_int_equal(
            CUDA_ASK(&session, wh_copy_shared, session.memory + 64, from, 4000, stream), 0);
        assert_int_equal(
            CUDA_ASK(&session, wh_copy_shared, from + 64, session.memory + 64, 3900, stream), 0);
        if (what == CONTEXT)
            cuda_letter(&letter, WH_CUDA_wh_context_destroy,
                        (const uint64_t[]){WH_CUDA_TYPE_CUcontext});
        else
            cuda_letter(&letter, WH_CUDA_wh_host_unregister, &from);
        letter.letter.header.slot = WH_NO_SLOT;
        letter.letter.header.reply_room = 0;
        raw_send(session.shm, &letter.letter);
        (void)CUDA_ASK(&session, cuStreamWriteValue32_v2, other, session.memory, 1, 0);
        (void)CUDA_ASK(&session, cuStreamSynchronize, other);
        (void)CUDA_ASK(&session, cuStreamSynchronize, stream);
        assert_int_equal(CUDA_ASK(&session, cuDriverGetVersion, true), 0);
        cuda_close(&session);
    }
    cuda_expect_neighbour();
}

/* Places for the times of events are the session's own, and so many. */
static void moments_of_events(void **state)
{
    struct cuda_liar s = {.what = "times of events"};
    const uint64_t event = WH_CUDA_TYPE_CUevent, none = WH_ID_NONE, stream = WH_CUDA_TYPE_CUstream;
    const uint64_t first = 0, beyond[] = {WH_CUDA_RECORDS, INT32_MAX, UINT32_MAX};
    const uint64_t ids[] = {event};
    (void)state;
    cuda_begin(&s.session);
    struct cuda_session *session = &s.session;
    assert_int_equal(CUDA_ASK(session, wh_observe_record, event, stream, 0), 0);
    assert_int_equal(CUDA_ASK(session, wh_observe_record, event, stream, WH_CUDA_RECORDS - 1), 0);
    assert_int_equal(
        CUDA_ASK(session, wh_observe_times, event, 1, (uintptr_t)ids, (uintptr_t)&first, true), 0);
    for (unsigned i = 0; i < 3; i++) {
        cuda_expect_refused(&s, CUDA_ASK(session, wh_observe_record, event, stream, beyond[i]));
        cuda_expect_refused(&s, CUDA_ASK(session, wh_observe_times, event, 1, (uintptr_t)ids,
                                         (uintptr_t)&beyond[i], true));
    }
    cuda_expect_refused(&s, CUDA_ASK(session, wh_observe_record, none, stream, 0));
    cuda_expect_refused(&s, CUDA_ASK(session, wh_observe_times, event, 1, (uintptr_t)&none,
                                     (uintptr_t)&first, true));
    cuda_expect_refused(
        &s, CUDA_ASK(session, wh_observe_times, none, 1, (uintptr_t)ids, (uintptr_t)&first, true));
    cuda_expect_refused(
        &s, CUDA_ASK(session, wh_observe_times, event, 0, (uintptr_t)ids, (uintptr_t)&first, true));
    cuda_close(&s.session);
    cuda_expect_neighbour();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_addresses),  cmocka_unit_test(what_is_mapped),
        cmocka_unit_test(kernels_stay_out),  cmocka_unit_test(lies_of_boxes),
        cmocka_unit_test(boxes_of_no_kind),  cmocka_unit_test(memory_taken_from_under_work),
        cmocka_unit_test(moments_of_events),
    };
    return cmocka_run_group_tests(tests, cuda_server_start, cuda_server_stop);
}
