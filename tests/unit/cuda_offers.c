/* SPDX-License-Identifier: Apache-2.0 */
/* What another worker says of the memory that it offers is not believed: the driver is asked how
 * much there is before the session may use it. And when the driver closes it for the last time, the
 * session may use it no more. */
#include "support.h"

#include "backend/cuda/backend.h"
#include "worker/exchange.h"

#include <stdlib.h>

#define ADDRESS 0x700000000000ull
#define SIZE    4096u
#define HEADER                                                                         \
    64u /* of what is offered: the handle or the data of a pointer; its size is behind \
         */

/* ---- the parts of the worker that share.c needs ---- */

static uint64_t offered; /* what the other worker says */

int wh_exchange_get(uint32_t kind, const uint8_t token[WH_EXCHANGE_TOKEN], void *bytes, size_t size,
                    int *fd)
{
    (void)kind;
    (void)token;
    assert_int_equal(size, HEADER + sizeof(offered));
    memset(bytes, 0, size);
    memcpy((uint8_t *)bytes + HEADER, &offered, sizeof(offered));
    *fd = -1;
    return 0;
}

int wh_exchange_put(uint32_t kind, const void *bytes, size_t size, int fd,
                    uint8_t token[WH_EXCHANGE_TOKEN])
{
    (void)kind;
    (void)bytes;
    (void)size;
    (void)fd;
    (void)token;
    return 0;
}

int wh_exchange_drop(const uint8_t token[WH_EXCHANGE_TOKEN])
{
    (void)token;
    return 0;
}

CUcontext wh_cuda_current(struct wh_call *call)
{
    (void)call;
    return NULL;
}

/* ---- the driver ---- */

static unsigned open_now;
static CUdeviceptr base;

static CUresult open_memory(CUdeviceptr *address, CUipcMemHandle handle, unsigned flags)
{
    (void)handle;
    (void)flags;
    *address = ADDRESS;
    open_now++;
    return CUDA_SUCCESS;
}

static CUresult import_pointer(CUdeviceptr *address, CUmemoryPool pool,
                               CUmemPoolPtrExportData *data)
{
    (void)pool;
    (void)data;
    *address = ADDRESS;
    open_now++;
    return CUDA_SUCCESS;
}

static struct wh_cuda_state cuda;
static CUresult closes; /* what closing answers */

static bool is_known(void)
{
    struct wh_cuda_range range;
    return wh_cuda_ranges_find(cuda.ranges, ADDRESS, 1, &range);
}

/* The address is the driver's to give away as soon as it is closed as often as it was opened. */
static CUresult close_memory(CUdeviceptr address)
{
    assert_int_equal(address, ADDRESS);
    assert_int_equal(is_known(), open_now > 1);
    open_now -= closes == CUDA_SUCCESS;
    return closes;
}

static CUresult address_range(CUdeviceptr *start, size_t *size, CUdeviceptr address)
{
    assert_int_equal(address, ADDRESS);
    *start = base;
    *size = ADDRESS - base + SIZE;
    return CUDA_SUCCESS;
}

/* ---- the tests ---- */

static const struct wh_backend backend = {.functions = &cuda.f};
static struct wh_worker worker = {.backend = &backend, .state = &cuda};

static int setup(void **state)
{
    (void)state;
    cuda.f.cuIpcOpenMemHandle_v2 = open_memory;
    cuda.f.cuIpcCloseMemHandle = close_memory;
    cuda.f.cuMemPoolImportPointer = import_pointer;
    cuda.f.cuMemFree_v2 = close_memory;
    cuda.f.cuMemGetAddressRange_v2 = address_range;
    cuda.ranges = wh_cuda_ranges_new();
    cuda.shares = wh_cuda_shares_new(NULL);
    base = ADDRESS;
    open_now = 0;
    closes = CUDA_SUCCESS;
    return 0;
}

static CUresult open_by_handle(CUdeviceptr *address, size_t *size)
{
    const uint8_t token[WH_EXCHANGE_TOKEN] = {0};
    struct wh_call call = {.worker = &worker};
    return wh_cuda_do_ipc_open(&call, token, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS, address, size);
}

static CUresult open_by_pointer(CUdeviceptr *address, size_t *size)
{
    const uint8_t token[WH_EXCHANGE_TOKEN] = {0};
    struct wh_call call = {.worker = &worker};
    return wh_cuda_do_pool_import_pointer(&call, (CUmemoryPool)(void *)&worker, token, address,
                                          size);
}

static void expect_checked(CUresult (*open)(CUdeviceptr *, size_t *))
{
    static const uint64_t lies[] = {0, SIZE + 1, 1ull << 40, UINT64_MAX, UINT64_MAX - ADDRESS + 1};
    struct wh_cuda_range range;
    CUdeviceptr address = 0;
    size_t size = 0;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        offered = lies[i];
        assert_int_equal(open(&address, &size), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(open_now, 0);
        assert_false(wh_cuda_ranges_find(cuda.ranges, ADDRESS, 1, &range));
    }
    offered = SIZE;
    base = ADDRESS - 512; /* a part of a bigger allocation */
    assert_int_equal(open(&address, &size), CUDA_SUCCESS);
    assert_int_equal(address, ADDRESS);
    assert_int_equal(size, SIZE);
    assert_true(wh_cuda_ranges_find(cuda.ranges, ADDRESS, SIZE, &range));
    assert_false(wh_cuda_ranges_find(cuda.ranges, ADDRESS, SIZE + 1, &range));
    assert_int_equal(open_now, 1);
}

static void test_memory(void **state)
{
    (void)state;
    expect_checked(open_by_handle);
}

static void test_pointers_of_pools(void **state)
{
    (void)state;
    expect_checked(open_by_pointer);
}

static void test_closing(void **state)
{
    struct wh_call call = {.worker = &worker};
    CUdeviceptr address = 0;
    size_t size = 0;
    (void)state;
    offered = SIZE;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(open_by_handle(&address, &size), CUDA_SUCCESS);
    assert_int_equal(wh_cuda_do_ipc_close(&call, ADDRESS), CUDA_SUCCESS);
    assert_true(is_known());
    closes = CUDA_ERROR_ILLEGAL_ADDRESS;
    assert_int_equal(wh_cuda_do_ipc_close(&call, ADDRESS), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_true(is_known());
    closes = CUDA_SUCCESS;
    assert_int_equal(wh_cuda_do_ipc_close(&call, ADDRESS), CUDA_SUCCESS);
    assert_false(is_known());
    assert_int_equal(wh_cuda_do_ipc_close(&call, ADDRESS), CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(open_now, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_memory, setup),
        cmocka_unit_test_setup(test_pointers_of_pools, setup),
        cmocka_unit_test_setup(test_closing, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
