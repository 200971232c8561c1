/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches as in a view, beside the engine itself: the other copy of its code, which undoes what
 * does not come to its end. See memory.h.
 */
#include "memory.h"

#include "backend/softgpu/engine/view.h"

#define LOG_SIZE (4u << 20)

int wh_view_soft_run(const struct wh_soft_memory *memory, const struct wh_soft_launch *launch,
                     struct wh_soft_fault *fault);

static uint8_t log_bytes[LOG_SIZE];
static struct wh_view view;
static unsigned done;

struct wh_view *wh_view(void)
{
    return &view;
}

static bool sees(const void *bytes, size_t size)
{
    (void)bytes, (void)size;
    return true;
}

/* However much there is to be run, a caller's time comes to an end: launches that take all they may
 * are refused soon, and are not held against the kernel. */
static void try_until_refused(const struct wh_soft_launch *launch, uint64_t blocks,
                              uint64_t threads)
{
    unsigned launches = 0;
    wh_view_enter();
    for (; wh_view_begin(launch->kernel, blocks, threads); launches++)
        view.steps = view.end;
    assert_in_range(launches, 1, 8);
    wh_view_end();
}

bool test_try_in_view(const struct wh_soft_launch *launch)
{
    struct wh_soft_fault fault;
    view = (struct wh_view){.sees = sees, .log = log_bytes, .log_size = LOG_SIZE};
    uint64_t blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
    uint64_t threads = (uint64_t)launch->block[0] * launch->block[1] * launch->block[2];
    wh_view_enter();
    if (launch->cooperative || !wh_view_begin(launch->kernel, blocks, threads))
        return false;
    if (wh_view_soft_run(&test_memory, launch, &fault) == 0) {
        wh_view_end();
        try_until_refused(launch, blocks, threads);
        done++;
        return true;
    }
    wh_view_undo();
    return false;
}

void test_were_in_view(unsigned least)
{
    print_message("%u launches in a view\n", done);
    assert_true(done >= least);
}
