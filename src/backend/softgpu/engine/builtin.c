/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that a device's runtime brings along: printf's lower half, failed assertions, malloc
 * and free, conditions of graphs. Called as handlers of calls.
 */
#include "exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX (1u << 20) /* bytes that wait to be printed */
#define STRING_MAX 1024u

/* ---- printed text ---- */

void wh_job_flush(struct wh_job *job)
{
    if (job->output_size) {
        flockfile(stdout); /* nobody flushes one half of it */
        fwrite_unlocked(job->output, 1, job->output_size, stdout);
        fflush_unlocked(stdout);
        funlockfile(stdout);
    }
    job->output_size = 0;
}

void wh_job_print(struct wh_job *job, const char *text, size_t size)
{
    pthread_mutex_lock(&job->lock);
    if (job->output_size + size > OUTPUT_MAX)
        wh_job_flush(job);
    if (job->output_size + size > job->output_room) {
        size_t room = (job->output_size + size) * 2;
        char *more = realloc(job->output, room);
        if (more) {
            job->output = more;
            job->output_room = room;
        }
    }
    if (job->output_size + size <= job->output_room) {
        memcpy(job->output + job->output_size, text, size);
        job->output_size += size;
    }
    pthread_mutex_unlock(&job->lock);
}

static void do_vprintf(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    {
        char *text = NULL;
        size_t size = 0;
        int n = wh_printf(warp, lane, wh_builtin_argument(warp, ins->call, 0, lane),
                          wh_builtin_argument(warp, ins->call, 1, lane), &text, &size);
        if (text)
            wh_job_print(warp->block->job, text, size);
        free(text);
        wh_builtin_return(warp, ins->call, lane, (uint64_t)(int64_t)n);
    }
}

/* ---- assertions ---- */

static void copy_string(struct wh_warp *warp, unsigned lane, uint64_t address, char *text)
{
    uint64_t room = 0;
    const char *from = wh_span(warp, lane, address, &room);
    size_t n = from ? strnlen(from, room < STRING_MAX - 1 ? room : STRING_MAX - 1) : 0;
    if (n)
        memcpy(text, from, n);
    text[n] = '\0';
}

static void do_assertfail(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    char condition[STRING_MAX], file[STRING_MAX], function[STRING_MAX];
    const uint32_t(*special)[WH_LANES] = (const uint32_t(*)[WH_LANES])(void *)warp->specials;
    const uint32_t *block = warp->block->ctaid;
    pthread_mutex_lock(&warp->block->job->lock);
    wh_job_flush(warp->block->job);
    pthread_mutex_unlock(&warp->block->job->lock);
    WH_EACH_LANE(lane, mask)
    {
        copy_string(warp, lane, wh_builtin_argument(warp, ins->call, 0, lane), condition);
        copy_string(warp, lane, wh_builtin_argument(warp, ins->call, 1, lane), file);
        copy_string(warp, lane, wh_builtin_argument(warp, ins->call, 3, lane), function);
        fprintf(stderr, "%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n",
                file, (unsigned)wh_builtin_argument(warp, ins->call, 2, lane), function, block[0],
                block[1], block[2], special[SR_TID][lane], special[SR_TID + 1][lane],
                special[SR_TID + 2][lane], condition);
    }
    fflush(stderr);
    wh_fault(warp, ins, (unsigned)__builtin_ctz(mask), FAULT_ASSERT, "assertion failed");
}

/* ---- the heap ---- */

static void do_malloc(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    wh_builtin_return(
        warp, ins->call, lane,
        wh_heap_take(warp->block->job, wh_builtin_argument(warp, ins->call, 0, lane)));
}

static void do_free(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    {
        uint64_t address = wh_builtin_argument(warp, ins->call, 0, lane);
        if (!wh_heap_give(warp->block->job, address)) {
            wh_fault(warp, ins, lane, FAULT_ILLEGAL_ADDRESS,
                     "free of %#llx, which malloc did not give", (unsigned long long)address);
            return;
        }
    }
}

/* ---- conditional nodes of graphs ---- */

static void do_set_conditional(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_soft_memory *memory = warp->block->job->memory;
    WH_EACH_LANE(lane, mask)
    if (memory->set_condition)
        memory->set_condition(memory->owner, wh_builtin_argument(warp, ins->call, 0, lane),
                              (uint32_t)wh_builtin_argument(warp, ins->call, 1, lane));
}

wh_run wh_builtin(const char *name)
{
    static const struct {
        const char *name;
        wh_run run;
    } builtins[] = {{"vprintf", do_vprintf},
                    {"__assertfail", do_assertfail},
                    {"malloc", do_malloc},
                    {"free", do_free},
                    {"cudaGraphSetConditional", do_set_conditional}};
    for (unsigned i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
        if (strcmp(name, builtins[i].name) == 0)
            return builtins[i].run;
    return NULL;
}
