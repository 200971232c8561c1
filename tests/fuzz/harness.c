/* SPDX-License-Identifier: Apache-2.0 */
/* A worker over the fake OpenCL; see harness.h. */
#include "harness.h"

#include "base/log.h"
#include "fake_opencl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_SCRATCH ((size_t)8 << 20)

/* What the backend tries addresses with. Made once. */
static void open_probe(int probe[2])
{
    static int ends[2] = {-1, -1};
    if (ends[0] < 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        abort();
    probe[0] = ends[0];
    probe[1] = ends[1];
}

/* The arena in a memfd, as in a real session, with a page behind it that may not be touched. Made
 * once. */
static uint8_t *map_arena(int *fd)
{
    static uint8_t *arena;
    static int file = -1;
    if (!arena) {
        file = memfd_create("arena", MFD_CLOEXEC);
        if (file < 0 || ftruncate(file, HARNESS_ARENA) < 0)
            abort();
        uint8_t *room =
            mmap(NULL, HARNESS_ARENA + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        arena = mmap(room, HARNESS_ARENA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
        if (arena == MAP_FAILED)
            abort();
        wh_log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    *fd = file;
    return arena;
}

void harness_open(struct harness *harness)
{
    int fd;
    *harness = (struct harness){.arena = map_arena(&fd)};
    for (uint32_t i = 0; i < HARNESS_ARENA; i++)
        harness->arena[i] = (uint8_t)(i * 7 >> 3);
    wh_memory_init(&harness->memory, harness->arena, HARNESS_ARENA, fd);
    pthread_mutex_init(&harness->state.lock, NULL);
    open_probe(harness->state.probe);
    fake_opencl_fill(&harness->state.f);
    harness->backend = (struct wh_backend){.api = &wh_opencl_api,
                                           .thunks = wh_opencl_thunks,
                                           .functions = &harness->state.f,
                                           .sync = wh_opencl_sync};
    harness->worker = (struct wh_worker){.channel = &harness->memory.channel,
                                         .backend = &harness->backend,
                                         .table = wh_table_new(),
                                         .state = &harness->state};
    harness->pool = wh_pool_new(MOST_SCRATCH);
    if (!harness->worker.table || !harness->pool)
        abort();
}

void harness_close(struct harness *harness)
{
    struct wh_call call = {.worker = &harness->worker};
    fake_run_commands(UINT32_MAX);
    while (harness->state.svm)
        wh_opencl_do_svm_free(&call, NULL, (uintptr_t)harness->state.svm->address);
    fake_opencl_reset();
    wh_table_free(harness->worker.table);
    wh_pool_free(harness->pool);
    pthread_mutex_destroy(&harness->state.lock);
}

const char *harness_dispatch(struct harness *harness, const struct wh_message *message)
{
    bool leads = true;
    const char *fault = wh_worker_dispatch(&harness->worker, message, harness->pool, &leads);
    wh_pool_reset(harness->pool);
    return fault;
}
