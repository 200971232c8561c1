/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where shared virtual memory is in the program's process: on the pages that the worker's address
 * and the size say, on no others, and only for as long as it is allocated. The worker is this file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/opencl/transfer.h"

#include <sys/mman.h>
#include <unistd.h>

#define PAGE  4096u
#define PAGES 8u

static struct wh_object context = {.type = WH_OPENCL_TYPE_cl_context};
static uint8_t *free_pages; /* PAGES addresses' worth that nobody uses */
static size_t from;         /* where in there the worker puts what is allocated */
static bool shares;         /* it says */
static struct wh_channel channel;
static unsigned allocated, kept; /* by the worker; blocks of the arena */

/* ---- what it stands on ---- */

struct wh_session *wh_opencl_session(void)
{
    static char session;
    return (struct wh_session *)(void *)&session;
}

struct wh_channel *wh_session_channel(struct wh_session *session)
{
    (void)session;
    return &channel;
}

struct wh_arena *wh_session_arena(struct wh_session *session)
{
    (void)session;
    return NULL;
}

const struct wh_block *wh_opencl_stage(size_t size, size_t align)
{
    static const struct wh_block block;
    (void)size;
    (void)align;
    kept++;
    return &block;
}

void wh_arena_release(struct wh_arena *arena, const struct wh_block *block)
{
    (void)arena;
    kept -= block != NULL;
}

struct wh_object *wh_opencl_object(const void *handle, uint16_t type)
{
    return handle == &context && type == context.type ? &context : NULL;
}

uint64_t wh_opencl_invoke(uint16_t number, uint64_t *a)
{
    if (number == WH_OPENCL_wh_svm_allocate) {
        *(cl_ulong *)(uintptr_t)a[5] = (uintptr_t)free_pages + from;
        *(cl_uint *)(uintptr_t)a[6] = shares;
        allocated++;
    } else {
        assert_int_equal(number, WH_OPENCL_wh_svm_free);
        assert_int_equal(a[1], (uintptr_t)free_pages + from);
        allocated--;
    }
    return CL_SUCCESS;
}

/* Commands, of which none is made here. */

uint64_t wh_opencl_notice_expect(const struct wh_cl_notice *notice, bool pin)
{
    (void)notice;
    (void)pin;
    return 0;
}

cl_int wh_opencl_notice_judge(uint64_t token, cl_int result)
{
    (void)token;
    return result;
}

cl_int wh_opencl_read_now(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                          cl_event *event)
{
    (void)t;
    (void)copy;
    (void)size;
    (void)event;
    return CL_INVALID_VALUE;
}

cl_int wh_opencl_read_later(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                            cl_event *event)
{
    return wh_opencl_read_now(t, copy, size, event);
}

cl_int wh_opencl_write(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                       bool blocking, cl_event *event)
{
    (void)blocking;
    return wh_opencl_read_now(t, copy, size, event);
}

cl_int wh_opencl_typed(cl_int result, cl_event *event, cl_command_type type)
{
    (void)event;
    (void)type;
    return result;
}

cl_int clEnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint n, const cl_event *events,
                                   cl_event *event)
{
    (void)queue;
    (void)n;
    (void)events;
    (void)event;
    return CL_INVALID_VALUE;
}

cl_int clWaitForEvents(cl_uint n, const cl_event *events)
{
    (void)n;
    (void)events;
    return CL_INVALID_VALUE;
}

cl_int clReleaseEvent(cl_event event)
{
    (void)event;
    return CL_INVALID_VALUE;
}

cl_int clGetCommandQueueInfo(cl_command_queue queue, cl_command_queue_info name, size_t size,
                             void *value, size_t *size_ret)
{
    (void)queue;
    (void)name;
    (void)size;
    (void)value;
    (void)size_ret;
    return CL_INVALID_VALUE;
}

/* ---- the tests ---- */

static int start(void **state)
{
    (void)state;
    free_pages = mmap(NULL, (size_t)PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(free_pages, MAP_FAILED);
    assert_int_equal(munmap(free_pages, (size_t)PAGES * PAGE), 0);
    if (!channel.arena_fd)
        channel.arena_fd = memfd_create("arena", MFD_CLOEXEC);
    assert_int_equal(ftruncate(channel.arena_fd, (off_t)PAGES * PAGE), 0);
    allocated = kept = 0;
    from = 0;
    shares = false;
    return 0;
}

static void expect_mapped(unsigned first, unsigned end)
{
    unsigned char resident;
    for (unsigned i = 0; i < PAGES; i++) {
        bool mapped = mincore(free_pages + (size_t)i * PAGE, PAGE, &resident) == 0;
        if (mapped != (i >= first && i < end))
            fail_msg("page %u is %smapped", i, mapped ? "" : "not ");
    }
}

static void expect_pages(size_t offset, size_t size, unsigned first, unsigned end)
{
    from = offset;
    uint8_t *memory = clSVMAlloc((cl_context)(void *)&context, CL_MEM_READ_WRITE, size, 0);
    assert_ptr_equal(memory, free_pages + offset);
    expect_mapped(first, end);
    memory[0] = memory[size - 1] = 1;
    clSVMFree((cl_context)(void *)&context, memory);
    expect_mapped(0, 0);
    assert_int_equal(allocated, 0);
    assert_int_equal(kept, 0);
}

static void pages(void **state)
{
    (void)state;
    expect_pages(0, 1, 0, 1);
    expect_pages(0, PAGE, 0, 1);
    expect_pages(0, PAGE + 1, 0, 2);
    expect_pages(PAGE + 8, PAGE - 8, 1, 2);
    expect_pages(PAGE + 8, PAGE - 7, 1, 3);
    expect_pages(8, 3 * PAGE, 0, 4);
    expect_pages(2 * PAGE - 1, 1, 1, 2);
    expect_pages(2 * PAGE - 1, 2, 1, 3);
}

/* Shared pages begin where the allocation does: else these would be somebody else's, too. */
static void lies(void **state)
{
    (void)state;
    shares = true;
    from = 8;
    assert_null(clSVMAlloc((cl_context)(void *)&context, CL_MEM_READ_WRITE, PAGE, 0));
    expect_mapped(0, 0);
    assert_int_equal(allocated, 0);
    assert_int_equal(kept, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(pages, start),
                                       cmocka_unit_test_setup(lies, start)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
