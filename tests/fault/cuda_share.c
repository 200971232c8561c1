/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sessions share: tokens open their thing to the same tenant only, as long as its session has
 * it; guessed ones and those of other kinds open nothing; nobody can fill the daemon. Another
 * tenant is another user, so that these need root. Run by meson.
 */
#include "cuda_support.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHER_USER 65534

/* The token in a session's last reply. */
static void take_token(const struct cuda_session *session, uint64_t token[2])
{
    memcpy(token, &session->reply[2], 16);
}

static void share_memory(struct cuda_session *session, uint64_t token[2])
{
    assert_int_equal(CUDA_ASK(session, wh_ipc_export, session->memory, true), 0);
    take_token(session, token);
}

static int32_t open_memory(struct cuda_session *session, const uint64_t token[2])
{
    return CUDA_ASK(session, wh_ipc_open, (uintptr_t)token, 1, true, true);
}

/* The first opened address, and 16 bytes there. */
static void expect_shared(struct cuda_session *session, const uint64_t token[2], uint8_t byte)
{
    uint8_t expected[16];
    memset(expected, byte, sizeof(expected));
    assert_int_equal(open_memory(session, token), 0);
    uint64_t address = session->reply[2];
    assert_int_equal(CUDA_ASK(session, wh_read, 16, true, address + CUDA_MEMORY_N - 16, 0), 0);
    assert_memory_equal(&session->reply[2], expected, 16);
    assert_int_not_equal(CUDA_ASK(session, wh_read, 16, true, address + CUDA_MEMORY_N - 8, 0), 0);
    assert_int_not_equal(CUDA_ASK(session, cuMemFree_v2, address), 0);
    assert_int_equal(CUDA_ASK(session, wh_ipc_close, address), 0);
    assert_int_not_equal(CUDA_ASK(session, wh_ipc_close, address), 0);
    assert_int_not_equal(CUDA_ASK(session, wh_read, 16, true, address, 0), 0);
}

static void of_one_tenant(void **state)
{
    struct cuda_session one, two;
    uint64_t token[2], again[2];
    (void)state;
    cuda_begin(&one);
    cuda_begin(&two);
    assert_int_equal(CUDA_ASK(&one, cuMemsetD8_v2, one.memory, 0x37, CUDA_MEMORY_N), 0);
    assert_int_equal(CUDA_ASK(&one, cuCtxSynchronize), 0);
    share_memory(&one, token);
    share_memory(&one, again);
    assert_memory_equal(token, again, 16);
    expect_shared(&two, token, 0x37);
    expect_shared(&two, token, 0x37);
    /* Not in the session that has it; not by a guess; not as something else. */
    assert_int_equal(open_memory(&one, token), CUDA_ERROR_INVALID_CONTEXT);
    for (unsigned bit = 0; bit < 128; bit += 5) {
        uint64_t guess[2] = {token[0], token[1]};
        guess[bit / 64] ^= 1ull << bit % 64;
        assert_int_equal(open_memory(&two, guess), CUDA_ERROR_INVALID_VALUE);
    }
    assert_int_not_equal(CUDA_ASK(&two, wh_ipc_event_open, (uintptr_t)token, 2000), 0);
    assert_int_not_equal(CUDA_ASK(&two, wh_memory_import, (uintptr_t)token, 2000), 0);
    /* Freed, it is offered no more. */
    assert_int_equal(CUDA_ASK(&one, cuMemFree_v2, one.memory), 0);
    assert_int_equal(open_memory(&two, token), CUDA_ERROR_INVALID_VALUE);
    cuda_close(&one);
    cuda_close(&two);
    cuda_expect_neighbour();
}

/* Ends a session; when this returns, the daemon will soon have noticed. */
static void end(struct cuda_session *session)
{
    int pidfd = watch_process(session->worker);
    cuda_close(session);
    if (pidfd >= 0)
        await_end_of(pidfd);
}

/* What a session had goes with it. */
static void of_one_that_ended(void **state)
{
    struct cuda_session one, two;
    uint64_t token[2];
    (void)state;
    cuda_begin(&one);
    cuda_begin(&two);
    share_memory(&one, token);
    end(&one);
    assert_int_equal(open_memory(&two, token), CUDA_ERROR_INVALID_VALUE);
    cuda_close(&two);
    cuda_expect_neighbour();
}

/* A session as another user's: the daemon looks at who connects. */
static void begin_as_other(struct cuda_session *session)
{
    assert_int_equal(seteuid(OTHER_USER), 0);
    cuda_begin(session);
    assert_int_equal(seteuid(0), 0);
}

static void of_two_tenants(void **state)
{
    const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .requestedHandleTypes =
                                          CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    const CUmemPoolProps pool = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    struct cuda_session one, other, same;
    uint64_t memory[2], event[2], allocation[2];
    (void)state;
    if (geteuid() != 0)
        skip();
    cuda_begin(&one);
    cuda_begin(&same);
    begin_as_other(&other);
    share_memory(&one, memory);
    assert_int_equal(
        CUDA_ASK(&one, cuEventCreate, 1000, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING), 0);
    assert_int_equal(CUDA_ASK(&one, wh_ipc_event_export, 1000, true), 0);
    take_token(&one, event);
    assert_int_equal(CUDA_ASK(&one, wh_memory_create, CUDA_CHUNK_N, (uintptr_t)&prop, 0, 1001), 0);
    assert_int_equal(CUDA_ASK(&one, wh_memory_export, 1001, true), 0);
    take_token(&one, allocation);
    assert_int_equal(open_memory(&other, memory), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(CUDA_ASK(&other, wh_ipc_event_open, (uintptr_t)event, 1000),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(CUDA_ASK(&other, wh_memory_import, (uintptr_t)allocation, 1000),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(open_memory(&same, memory), 0);
    assert_int_equal(CUDA_ASK(&same, wh_ipc_event_open, (uintptr_t)event, 1000), 0);
    assert_int_equal(CUDA_ASK(&same, wh_memory_import, (uintptr_t)allocation, 1001), 0);
    /* A pool, and memory of it, likewise. */
    assert_int_equal(CUDA_ASK(&one, cuMemPoolCreate, 1005, (uintptr_t)&pool), 0);
    assert_int_equal(CUDA_ASK(&one, wh_pool_export, 1005, true), 0);
    take_token(&one, memory);
    assert_int_equal(CUDA_ASK(&one, cuMemAllocFromPoolAsync, true, 4096, 1005, 0), 0);
    assert_int_equal(CUDA_ASK(&one, wh_pool_export_pointer, one.reply[2], true), 0);
    take_token(&one, event);
    assert_int_equal(CUDA_ASK(&other, wh_pool_import, (uintptr_t)memory, 1005),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(CUDA_ASK(&same, wh_pool_import, (uintptr_t)memory, 1005), 0);
    assert_int_not_equal(CUDA_ASK(&other, wh_pool_import_pointer, WH_CUDA_TYPE_CUmemoryPool,
                                  (uintptr_t)event, true, true),
                         0);
    assert_int_not_equal(CUDA_ASK(&same, wh_pool_import_pointer, WH_CUDA_TYPE_CUmemoryPool,
                                  (uintptr_t)event, true, true),
                         0);
    assert_int_equal(CUDA_ASK(&same, wh_pool_import_pointer, 1005, (uintptr_t)event, true, true),
                     0);
    uint64_t address = same.reply[2];
    assert_int_equal(CUDA_ASK(&same, cuMemsetD8_v2, address, 1, 4096), 0);
    assert_int_not_equal(CUDA_ASK(&same, cuMemsetD8_v2, address, 1, 4097), 0);
    assert_int_equal(CUDA_ASK(&same, cuMemFreeAsync, address, 0), 0);
    assert_int_not_equal(CUDA_ASK(&same, cuMemsetD8_v2, address, 1, 1), 0);
    /* Let go of, they are offered no more. */
    assert_int_equal(CUDA_ASK(&one, wh_memory_release, 1001), 0);
    assert_int_equal(CUDA_ASK(&same, wh_memory_import, (uintptr_t)allocation, 1002),
                     CUDA_ERROR_INVALID_VALUE);
    cuda_close(&one);
    cuda_close(&same);
    cuda_close(&other);
    cuda_expect_neighbour();
}

/* Only so many for a tenant, and those of others are not concerned. */
static void too_many(void **state)
{
    struct cuda_session one, other;
    uint64_t token[2];
    unsigned shared = 0;
    (void)state;
    cuda_begin(&one);
    for (unsigned i = 0; i < 600; i++) {
        assert_int_equal(CUDA_ASK(&one, cuEventCreate, 1000 + i,
                                  CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING),
                         0);
        int32_t status = CUDA_ASK(&one, wh_ipc_event_export, 1000 + i, true);
        if (status != CUDA_SUCCESS) {
            assert_int_equal(status, CUDA_ERROR_OUT_OF_MEMORY);
            break;
        }
        shared++;
    }
    assert_in_range(shared, 100, 599);
    if (geteuid() == 0) {
        begin_as_other(&other);
        share_memory(&other, token);
        cuda_close(&other);
    }
    /* Room is made by letting go. */
    assert_int_equal(CUDA_ASK(&one, cuEventDestroy_v2, 1000), 0);
    assert_int_equal(CUDA_ASK(&one, wh_ipc_event_export, 1000 + shared, true), 0);
    end(&one);
    cuda_expect_neighbour();
}

static int start(void **state)
{
    (void)state;
    cuda_choose_softgpu();
    daemon_start(&cuda_server, "socket_mode = \"0666\"\n");
    (void)chmod(cuda_server.folder, 0755);
    cuda_begin(&cuda_neighbour);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_one_tenant),
        cmocka_unit_test(of_one_that_ended),
        cmocka_unit_test(of_two_tenants),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, start, cuda_server_stop);
}
