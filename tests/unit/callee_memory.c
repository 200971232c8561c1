/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory in a view beyond what callee.c has, called directly (callee_session.h): rows, boxes,
 * arrays, and allocations in a stream's order. What is left behind is the same whoever did it, and
 * no byte is lost. The software device is the first argument.
 */
#include "callee_session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY   30u
#define POOL    31u
#define ANOTHER 32u

static void make_array(void)
{
    const CUDA_ARRAY_DESCRIPTOR wish = {
        .Width = 16, .Height = 4, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
    uint64_t words[3 + sizeof(wish) / 8] = {1, ARRAY, sizeof(wish)};
    memcpy(words + 3, &wish, sizeof(wish));
    expect_success(ask(WH_CUDA_cuArrayCreate_v2, words, sizeof(words) / 8));
}

static uint64_t number_of(const struct answer *answer, unsigned i)
{
    uint64_t number;
    memcpy(&number, answer->bytes + 8 + 16 * i + 8, sizeof(number));
    return number;
}

static void post_box(const wh_cuda_box *box, uint64_t to, uint64_t from)
{
    uint64_t words[4 + sizeof(*box) / 8] = {sizeof(*box)};
    memcpy(words + 1, box, sizeof(*box));
    words[1 + sizeof(*box) / 8] = to;
    words[2 + sizeof(*box) / 8] = from;
    words[3 + sizeof(*box) / 8] = STREAM;
    send_words(WH_CUDA_wh_copy_box, WH_NO_SLOT, words, 4 + sizeof(*box) / 8);
}

static wh_cuda_place linear(uint64_t address, uint64_t x, uint64_t y)
{
    return (wh_cuda_place){
        .kind = WH_CUDA_PLACE_LINEAR, .address = address, .pitch = 512, .x = x, .y = y};
}

static struct answer bytes_at(uint64_t from, uint64_t n)
{
    struct answer answer = ASK(WH_CUDA_wh_read, n, n, from, STREAM);
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    return answer;
}

/* Rows of one place into another, by way of an array. */
static struct answer move_rows(bool view)
{
    if (view)
        wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    struct answer made = ASK(WH_CUDA_cuMemAllocPitch_v2, 8, 8, 100, 8, 4);
    assert_int_equal(status(&made), CUDA_SUCCESS);
    uint64_t address = number_of(&made, 0);
    assert_int_equal(number_of(&made, 1), 512);
    const wh_cuda_place array = {.kind = WH_CUDA_PLACE_ARRAY};
    wh_cuda_box box = {.to = linear(address, 3, 5),
                       .from = linear(address, 1, 0),
                       .width = 4,
                       .height = 3,
                       .depth = 1};
    expect_success(ASK(WH_CUDA_cuMemsetD2D32_v2, address, 512, 0x2e2e2e2e, 128, 8));
    POST(WH_CUDA_cuMemsetD2D8Async, address, 512, 'a', 5, 2, STREAM);
    expect_success(ASK(WH_CUDA_cuMemsetD2D16_v2, address + 512, 512, 0x7978, 3, 1));
    POST(WH_CUDA_cuMemsetD2D16Async, address, 512, 0, 0, 70, STREAM); /* nothing of it */
    post_box(&box, 0, 0);
    box.to = array, box.from = linear(address, 3, 5);
    post_box(&box, ARRAY, 0);
    box.to = linear(address, 100, 5), box.from = array;
    post_box(&box, 0, ARRAY);
    expect_success(ASK(WH_CUDA_cuMemcpyDtoA_v2, ARRAY, 0, address, 5));
    expect_success(ASK(WH_CUDA_cuMemcpyAtoA_v2, ARRAY, 8, ARRAY, 0, 5));
    expect_success(ASK(WH_CUDA_cuMemcpyAtoD_v2, address + 7 * 512, ARRAY, 6, 10));
    expect_success(ASK(WH_CUDA_cuMemcpyPeer, address + 9, CONTEXT, address, CONTEXT, 3));
    POST(WH_CUDA_cuMemcpyPeerAsync, address + 19, CONTEXT, address, CONTEXT, 3, STREAM);
    struct answer rows[4];
    for (unsigned i = 0; i < 4; i++)
        rows[i] = bytes_at(address + 512 * (i == 3 ? 7 : 2 * i), 128);
    expect_success(ASK(WH_CUDA_cuMemFree_v2, address));
    assert_int_equal(test->gate.carried_out - before, view ? 18 : 0);
    for (unsigned i = 1; i < 4; i++)
        memcpy(rows[0].bytes + rows[0].size + 128 * (i - 1), rows[i].bytes + 16, 128);
    return rows[0];
}

static void rows(void **state)
{
    (void)state;
    make_array();
    (void)ASK(WH_CUDA_cuCtxGetFlags, 4);
    expect_success(ASK(WH_CUDA_cuMemFree_v2, allocate(1))); /* the worker's list has room */
    struct answer view = move_rows(true);
    test->pair.client->step_in = NULL;
    struct answer worker = move_rows(false);
    test->pair.client->step_in = step_in;
    assert_memory_equal(view.bytes, worker.bytes, view.size + 3 * 128);
    assert_int_equal(test->account.allocated, 0);
    assert_int_equal(test->account.calls, test->sent);
}

/* ---- what is left ---- */

static void is_left(uint64_t carried_out, int32_t result)
{
    wait_for_sleep();
    assert_int_equal(test->gate.carried_out, carried_out);
    struct answer told = ASK(WH_CUDA_cuCtxSynchronize);
    assert_int_equal(status(&told), result);
    wait_for_sleep();
}

static void rows_that_are_left(void **state)
{
    (void)state;
    uint64_t near = allocate(4096), big = allocate(4 << 20);
    wh_cuda_box box = {
        .to = linear(near, 0, 0), .from = linear(big, 0, 0), .width = 4, .height = 3, .depth = 1};
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    post_box(&box, 0, 0); /* from where the view has nothing */
    is_left(before, CUDA_SUCCESS);
    before = test->gate.carried_out;
    box.from = linear(near, 0, 7); /* beyond the end */
    post_box(&box, 0, 0);
    is_left(before, CUDA_ERROR_INVALID_VALUE);
    before = test->gate.carried_out;
    box.from = linear(near, UINT64_MAX - 2, 0); /* around the end of addresses */
    post_box(&box, 0, 0);
    is_left(before, CUDA_ERROR_INVALID_VALUE);
    before = test->gate.carried_out;
    box.height = UINT64_MAX; /* so is this */
    box.from = linear(near, 0, 0);
    post_box(&box, 0, 0);
    is_left(before, CUDA_ERROR_INVALID_VALUE);
    before = test->gate.carried_out;
    box.height = box.depth = 0;
    post_box(&box, 0, 0);
    is_left(before, CUDA_ERROR_INVALID_VALUE);
    before = test->gate.carried_out;
    POST(WH_CUDA_cuMemsetD2D8Async, big, 512, 1, 4, 4, STREAM);
    is_left(before, CUDA_SUCCESS);
    before = test->gate.carried_out;
    POST(WH_CUDA_cuMemsetD2D32Async, near, 512, 1, UINT64_MAX / 4, 4, STREAM);
    is_left(before, CUDA_ERROR_INVALID_VALUE);
    before = test->gate.carried_out;
    POST(WH_CUDA_cuMemsetD2D32Async, near, UINT64_MAX, 1, 4, UINT64_MAX, STREAM);
    is_left(before, CUDA_ERROR_INVALID_VALUE);
}

/* ---- by way of the arena ---- */

#define PIECE 20000u

static uint8_t real_of_nobody[8];

static uint8_t *arena_at(uint64_t offset)
{
    return test->pair.client->channel.arena + offset;
}

static uint32_t token_state(uint32_t token)
{
    return atomic_load(&test->pair.client->segment->tokens[token]);
}

/* The worker makes calls that block beside others. */
static void await_token(uint32_t token)
{
    while (token_state(token) == WH_TOKEN_PENDING)
        sched_yield();
    assert_int_equal(token_state(token), WH_TOKEN_DONE);
}

/* There and back, with tokens and without. */
static void through_arena(bool view, uint64_t address)
{
    if (view)
        wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    atomic_store(&test->pair.client->segment->tokens[7], 0);
    atomic_store(&test->pair.client->segment->tokens[8], 0);
    memset(arena_at(0), 0, 4 * PIECE);
    for (uint32_t i = 0; i < PIECE; i++)
        arena_at(0)[i] = (uint8_t)(i * 7 + view);
    POST(WH_CUDA_wh_copy_to_device, address, PIECE, 0, STREAM, UINT32_MAX);
    expect_success(ASK(WH_CUDA_wh_copy_from_device, PIECE, PIECE, address, STREAM, UINT32_MAX));
    assert_memory_equal(arena_at(0), arena_at(PIECE), PIECE);
    POST(WH_CUDA_cuMemsetD8Async, address, 9, 2000, STREAM);
    POST(WH_CUDA_wh_copy_from_device, 2000, 2 * PIECE, address, STREAM, 7);
    await_token(7);
    memset(arena_at(3 * PIECE), 1, 300);
    POST(WH_CUDA_wh_copy_to_device, address, 300, 3 * PIECE, STREAM, 8);
    await_token(8);
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(arena_at(2 * PIECE)[i], 9);
    struct answer bytes = bytes_at(address + 298, 4);
    assert_memory_equal(bytes.bytes + 16, "\1\1\11\11", 4);
    assert_int_equal(test->gate.carried_out - before, view ? 6 : 0);
}

static struct answer ask_box(uint16_t call, const wh_cuda_box *box, uint64_t size, uint64_t offset)
{
    uint64_t words[6 + sizeof(*box) / 8] = {sizeof(*box)}, *rest = words + 1 + sizeof(*box) / 8;
    memcpy(words + 1, box, sizeof(*box));
    rest[0] = ARRAY;
    rest[1] = size;
    rest[2] = offset;
    rest[3] = STREAM;
    return ask(call, words, 5 + sizeof(*box) / 8);
}

static void boxes_through_arena(bool view)
{
    const wh_cuda_place staged = {.kind = WH_CUDA_PLACE_STAGED, .pitch = 6, .height = 3},
                        array = {.kind = WH_CUDA_PLACE_ARRAY, .x = 5, .y = 1};
    wh_cuda_box box = {.to = array, .from = staged, .width = 6, .height = 3, .depth = 1};
    if (view)
        wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    memset(arena_at(0), 0, 200);
    memcpy(arena_at(0), "these are some row", 18);
    expect_success(ask_box(WH_CUDA_wh_write_box, &box, 18, 0));
    box.from = array, box.to = staged;
    expect_success(ask_box(WH_CUDA_wh_read_box, &box, 18, 100));
    assert_memory_equal(arena_at(100), "these are some row", 19);
    assert_int_equal(test->gate.carried_out - before, view ? 2 : 0);
}

static void arena(void **state)
{
    (void)state;
    uint64_t address = allocate(PIECE);
    make_array();
    (void)ASK(WH_CUDA_cuCtxGetFlags, 4);
    through_arena(true, address);
    boxes_through_arena(true);
    test->pair.client->step_in = NULL;
    through_arena(false, address);
    boxes_through_arena(false);
    test->pair.client->step_in = step_in;
    assert_int_equal(test->account.calls, test->sent);
}

/* Bytes that are not there, or too many; a transfer that fails is told of once, by the worker. */
static void arena_that_is_left(void **state)
{
    (void)state;
    uint64_t near = allocate(1 << 20), far = WH_GATE_ARENA - 50;
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    POST(WH_CUDA_wh_copy_to_device, near, 100, far, STREAM, UINT32_MAX);
    is_left(before, CUDA_SUCCESS);
    before = test->gate.carried_out;
    POST(WH_CUDA_wh_copy_to_device, near, 100000, 0, STREAM, UINT32_MAX);
    is_left(before, CUDA_SUCCESS);
    before = test->gate.carried_out;
    expect_success(ASK(WH_CUDA_wh_copy_from_device, 100, far, near, STREAM, UINT32_MAX));
    assert_int_equal(test->gate.carried_out, before);
    wait_for_sleep();
    atomic_store(&test->pair.client->segment->tokens[7], 0);
    /* Of a stream that the driver does not know: its entry has no handle that is good. */
    struct wh_entry *entry = wh_table_find(test->worker.table, STREAM, 0);
    void *real = entry->real;
    entry->real = real_of_nobody;
    POST(WH_CUDA_wh_copy_to_device, near, 100, 0, STREAM, 7);
    is_left(before, CUDA_ERROR_INVALID_HANDLE);
    entry->real = real;
    assert_int_equal(token_state(7), WH_TOKEN_BROKEN);
}

/* ---- memory that both have ---- */

#define SHARED 0x270000000000ull /* where the client has the arena */

static void share_pieces(bool view)
{
    const uint64_t a = SHARED + (2 << 20), b = SHARED + (3 << 20);
    if (view)
        wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    struct answer made = ASK(WH_CUDA_wh_host_register, a, 70000, CU_MEMHOSTREGISTER_DEVICEMAP, 8);
    assert_int_equal(status(&made), CUDA_SUCCESS);
    assert_int_equal(number_of(&made, 0), a);
    expect_success(ASK(WH_CUDA_wh_host_register, b, 4096, 0, 8));
    struct answer again = ASK(WH_CUDA_wh_host_register, a + 4096, 4096, 0, 8);
    assert_int_equal(status(&again), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    again = ASK(WH_CUDA_wh_host_register, SHARED - 4096, 4096, 0, 8);
    assert_int_equal(status(&again), CUDA_ERROR_INVALID_VALUE);
    again = ASK(WH_CUDA_wh_host_register, SHARED, UINT64_MAX - 4096, 0, 8);
    assert_int_equal(status(&again), CUDA_ERROR_INVALID_VALUE);
    expect_success(ASK(WH_CUDA_wh_host_unregister, b));
    again = ASK(WH_CUDA_wh_host_unregister, b);
    assert_int_equal(status(&again), CUDA_ERROR_INVALID_VALUE);
    again = ASK(WH_CUDA_wh_host_unregister, a + 4096);
    assert_int_equal(status(&again), CUDA_ERROR_INVALID_VALUE);
    expect_success(ASK(WH_CUDA_wh_host_unregister, a));
    assert_int_equal(test->gate.carried_out - before, view ? 9 : 0);
}

static void shared_memory(void **state)
{
    (void)state;
    struct answer made = ASK(WH_CUDA_wh_share_arena, SHARED);
    assert_int_equal(status(&made), CUDA_SUCCESS);
    expect_success(ASK(WH_CUDA_cuMemFree_v2, allocate(1))); /* the worker's list has room */
    (void)ASK(WH_CUDA_cuCtxGetFlags, 4);
    share_pieces(true);
    test->pair.client->step_in = NULL;
    share_pieces(false);
    test->pair.client->step_in = step_in;
    assert_int_equal(test->account.allocated, 0);
    assert_int_equal(test->account.calls, test->sent);
}

/* ---- in a stream's order ---- */

static void make_pool(void)
{
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location.type = CU_MEM_LOCATION_TYPE_DEVICE};
    uint64_t words[3 + sizeof(props) / 8] = {1, POOL, sizeof(props)};
    memcpy(words + 3, &props, sizeof(props));
    expect_success(ask(WH_CUDA_cuMemPoolCreate, words, sizeof(words) / 8));
}

static struct answer pool_now(int attribute)
{
    return ASK(WH_CUDA_cuMemPoolGetAttribute, POOL, (uint64_t)attribute, 8);
}

static uint64_t allocate_from(uint64_t size)
{
    struct answer answer = ASK(WH_CUDA_cuMemAllocFromPoolAsync, 8, size, POOL, STREAM);
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    return number_of(&answer, 0);
}

/* With what the pool keeps, and without. */
static void use_pool(bool view, uint64_t threshold, uint64_t kept)
{
    if (view)
        wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    expect_success(
        ASK(WH_CUDA_wh_pool_set_attribute, POOL, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, threshold));
    uint64_t a = allocate_from(1000), b = allocate_from(5000);
    struct answer plain = ASK(WH_CUDA_cuMemAllocAsync, 8, 700, STREAM);
    assert_int_equal(status(&plain), CUDA_SUCCESS);
    POST(WH_CUDA_cuMemsetD8Async, a, 1, 1000, STREAM);
    POST(WH_CUDA_cuMemsetD8Async, number_of(&plain, 0), 1, 700, STREAM);
    assert_int_equal(test->account.allocated, 6700);
    struct answer used = pool_now(CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    assert_int_equal(number_of(&used, 0), 1024 + 5120);
    POST(WH_CUDA_cuMemFreeAsync, a, STREAM);
    expect_success(ASK(WH_CUDA_cuMemFree_v2, b));
    POST(WH_CUDA_cuMemFreeAsync, number_of(&plain, 0), STREAM);
    struct answer held = pool_now(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
    assert_int_equal(number_of(&held, 0), kept);
    expect_success(ASK(WH_CUDA_cuMemPoolTrimTo, POOL, 0));
    held = pool_now(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
    assert_int_equal(number_of(&held, 0), 0);
    assert_int_equal(test->gate.carried_out - before, view ? 13 : 0);
    assert_int_equal(test->account.allocated, 0);
}

static void in_order(void **state)
{
    (void)state;
    make_pool();
    expect_success(ASK(WH_CUDA_cuMemFree_v2, allocate(1)));
    (void)ASK(WH_CUDA_cuCtxGetFlags, 4);
    struct answer before = ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8);
    for (unsigned view = 0; view < 2; view++) {
        test->pair.client->step_in = view ? step_in : NULL;
        use_pool(view, 0, 0);
        use_pool(view, UINT64_MAX, 1024 + 5120);
        use_pool(view, 6000, 5120);
    }
    struct answer after = ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8);
    assert_memory_equal(before.bytes, after.bytes, before.size);
    assert_int_equal(test->account.calls, test->sent);
}

/* A pool that has been destroyed goes with its last allocation; memory that is not in the view goes
 * back to the system; what is freed twice is an error. */
static void in_order_that_is_left(void **state)
{
    (void)state;
    make_pool();
    uint64_t a = allocate_from(100), b = allocate_from(3 << 20), c = allocate_from(100);
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    POST(WH_CUDA_cuMemFreeAsync, b, STREAM); /* is given back at once */
    is_left(before, CUDA_SUCCESS);
    before = test->gate.carried_out;
    POST(WH_CUDA_cuMemFreeAsync, c, STREAM);
    assert_int_equal(test->gate.carried_out, before + 1);
    POST(WH_CUDA_cuMemFreeAsync, c, STREAM);
    is_left(before + 1, CUDA_ERROR_INVALID_VALUE);
    before = test->gate.carried_out;
    struct answer none = ASK(WH_CUDA_cuMemAllocFromPoolAsync, 8, 1ull << 50, POOL, STREAM);
    assert_int_equal(status(&none), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(test->gate.carried_out, before);
    POST(WH_CUDA_cuMemPoolDestroy, POOL);
    wait_for_sleep();
    before = test->gate.carried_out;
    POST(WH_CUDA_cuMemFreeAsync, a, STREAM);
    is_left(before, CUDA_SUCCESS);
    assert_int_equal(test->account.allocated, 0);
    assert_int_equal(test->account.calls, test->sent);
}

/* What a view shows of the heap is shown for good, so none of it goes back to the system. */
static void the_heap_stays(void **state)
{
    enum { BLOCKS = 2048, SIZE = 1000 << 10 }; /* hardly any of it is touched */
    static void *volatile blocks[BLOCKS];
    uintptr_t end = (uintptr_t)sbrk(0);
    (void)state;
    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(SIZE);
    uintptr_t most = (uintptr_t)sbrk(0);
    bool ours = (uintptr_t)blocks[0] < most && most - end > (uintptr_t)BLOCKS * SIZE / 2;
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    if (!ours) /* another allocator */
        skip();
    assert_int_equal((uintptr_t)sbrk(0), most);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows, open_session, close_session),
        cmocka_unit_test_setup_teardown(rows_that_are_left, open_session, close_session),
        cmocka_unit_test_setup_teardown(arena, open_session, close_session),
        cmocka_unit_test_setup_teardown(arena_that_is_left, open_session, close_session),
        cmocka_unit_test_setup_teardown(shared_memory, open_session, close_session),
        cmocka_unit_test_setup_teardown(in_order, open_session, close_session),
        cmocka_unit_test_setup_teardown(in_order_that_is_left, open_session, close_session),
        cmocka_unit_test(the_heap_stays), /* the last: what it takes stays, too */
    };
    if (argc < 2)
        return 2;
    callee_prepare(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
