/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One launch: its checks, its units, and the turns of those that are there together. Called by
 * whoever launches, and by the pool's threads (pool.c), which help.
 */
#include "job.h"
#include "block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COOPERATIVE_MAX 8192u /* blocks that are there at once */

/* ---- one launch ---- */

static void job_fault(struct wh_job *job, int code, const char *text)
{
    pthread_mutex_lock(&job->lock);
    if (!job->fault.code) {
        job->fault.code = code;
        snprintf(job->fault.text, sizeof(job->fault.text), "%.120s: kernel %.60s", text,
                 job->function->name);
    }
    pthread_mutex_unlock(&job->lock);
    atomic_store_explicit(&job->stop, true, memory_order_relaxed);
}

static bool cancelled(struct wh_job *job)
{
    const _Atomic bool *cancel = job->launch->cancel;
    if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
        job_fault(job, FAULT_LAUNCH, "cancelled");
    return atomic_load_explicit(&job->stop, memory_order_relaxed);
}

/* The next unit that has not run yet, or nunits. */
static uint64_t take_index(struct wh_job *job)
{
    pthread_mutex_lock(&job->lock);
    uint64_t index = job->next_unit < job->nunits ? job->next_unit++ : job->nunits;
    pthread_mutex_unlock(&job->lock);
    return index;
}

/* To its end, or for one turn where blocks of the launch wait for each other. False: it has more to
 * do. */
static bool run_unit(struct wh_job *job, struct wh_unit *unit, bool one_turn)
{
    for (;;) {
        switch (wh_unit_turn(unit)) {
        case UNIT_FINISHED:
        case UNIT_STOPPED:
            return true;
        case UNIT_STUCK:
            job_fault(job, FAULT_LAUNCH,
                      "all threads of a block wait at barriers that cannot complete");
            return true;
        default:
            break;
        }
        if (cancelled(job))
            return true;
        if (one_turn)
            return false;
    }
}

static void run_units(struct wh_job *job)
{
    struct wh_unit *unit = wh_unit_new(job);
    if (!unit)
        job_fault(job, FAULT_RESOURCES, "no memory for a block");
    while (unit && !cancelled(job)) {
        uint64_t index = take_index(job);
        if (index == job->nunits)
            break;
        if (!wh_unit_start(unit, index)) {
            job_fault(job, FAULT_RESOURCES, "no memory for a block");
            break;
        }
        run_unit(job, unit, false);
    }
    wh_unit_free(unit);
}

/* ---- cooperative launches: all units are there, and take turns ---- */

static struct wh_unit *take_waiting(struct wh_job *job)
{
    pthread_mutex_lock(&job->lock);
    struct wh_unit *unit = job->waiting;
    if (unit) {
        job->waiting = unit->next;
        if (!job->waiting)
            job->waiting_end = &job->waiting;
        unit->next = NULL;
    }
    pthread_mutex_unlock(&job->lock);
    return unit;
}

static void give_waiting(struct wh_job *job, struct wh_unit *unit)
{
    pthread_mutex_lock(&job->lock);
    *job->waiting_end = unit;
    job->waiting_end = &unit->next;
    pthread_mutex_unlock(&job->lock);
}

static void run_together(struct wh_job *job)
{
    while (!cancelled(job)) {
        struct wh_unit *unit = take_waiting(job);
        if (!unit)
            return; /* others have the rest, and finish it */
        if (run_unit(job, unit, true))
            wh_unit_free(unit);
        else
            give_waiting(job, unit);
    }
}

#define WORKSPACE_BYTES 64u /* a word that says the size, and one to count in */

static bool make_all(struct wh_job *job)
{
    const uint32_t size = WORKSPACE_BYTES;
    job->workspace = job->memory->allocate(job->memory->owner, size, 64);
    if (!job->workspace) {
        job_fault(job, FAULT_RESOURCES, "no memory for the barrier of a cooperative launch");
        return false;
    }
    memcpy((void *)(uintptr_t)job->workspace, &size, sizeof(size)); /* NOLINT */
    for (uint64_t i = 0; i < job->nunits; i++) {
        struct wh_unit *unit = wh_unit_new(job);
        if (!unit || !wh_unit_start(unit, i)) {
            wh_unit_free(unit);
            job_fault(job, FAULT_RESOURCES, "no memory for all blocks of a cooperative launch");
            return false;
        }
        give_waiting(job, unit);
    }
    job->next_unit = job->nunits;
    return true;
}

/* ---- the work ---- */

void wh_job_work(struct wh_job *job)
{
    if (job->launch->cooperative)
        run_together(job);
    else
        run_units(job);
}

bool wh_job_has_work(struct wh_job *job)
{
    pthread_mutex_lock(&job->lock);
    bool some = job->launch->cooperative ? job->waiting != NULL : job->next_unit < job->nunits;
    pthread_mutex_unlock(&job->lock);
    return some && !atomic_load_explicit(&job->stop, memory_order_relaxed);
}

/* ---- wh_soft_run ---- */

static int refuse(struct wh_soft_fault *fault, int code, const char *name, const char *why)
{
    fault->code = code;
    snprintf(fault->text, sizeof(fault->text), "kernel %.50s: %.140s", name, why);
    return -1;
}

static int check(const struct wh_soft_launch *launch, struct wh_soft_fault *fault)
{
    const struct wh_function *function = launch->kernel->function;
    uint64_t threads = (uint64_t)launch->block[0] * launch->block[1] * launch->block[2],
             cluster = 1;
    if (function->broken)
        return refuse(fault, FAULT_UNSUPPORTED, function->name, function->broken);
    if (launch->block[0] == 0 || launch->block[1] == 0 || launch->block[2] == 0 ||
        launch->block[0] > 1024 || launch->block[1] > 1024 || launch->block[2] > 1024 ||
        threads > 1024)
        return refuse(fault, 1, function->name, "blocks have 1 to 1024 threads");
    if (function->max_threads && threads > function->max_threads)
        return refuse(fault, 1, function->name, "more threads than .maxntid says");
    for (unsigned i = 0; i < 3; i++) {
        if (launch->grid[i] == 0 || launch->cluster[i] == 0 || launch->cluster[i] > 16 ||
            launch->grid[i] % launch->cluster[i] != 0)
            return refuse(fault, 1, function->name, "the grid is not made of whole clusters");
        if (launch->grid[i] > (i == 0 ? 0x7fffffffu : 65535u))
            return refuse(fault, 1, function->name, "the grid is too large");
        cluster *= launch->cluster[i];
    }
    if (launch->cooperative &&
        (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2] > COOPERATIVE_MAX)
        return refuse(fault, 720, function->name, "too many blocks for a cooperative launch");
    if (cluster > 16)
        return refuse(fault, 1, function->name, "clusters have at most 16 blocks");
    if (launch->dynamic_shared > WH_SHARED_MAX)
        return refuse(fault, FAULT_RESOURCES, function->name, "too much shared memory");
    return 0;
}

static void job_start(struct wh_job *job, const struct wh_soft_memory *memory,
                      const struct wh_soft_launch *launch)
{
    const struct wh_function *function = launch->kernel->function;
    *job = (struct wh_job){
        .launch = launch, .memory = memory, .function = function, .module = launch->kernel->module};
    job->gridid = launch->number;
    job->nthreads = launch->block[0] * launch->block[1] * launch->block[2];
    job->nwarps = (job->nthreads + WH_LANES - 1) / WH_LANES;
    job->cluster_size = launch->cluster[0] * launch->cluster[1] * launch->cluster[2];
    job->dynamic_base = function->shared_size;
    job->shared_size = function->shared_size + launch->dynamic_shared;
    if (function->reserved) {
        job->reserved = (job->shared_size + 127) & ~127u;
        job->shared_size = job->reserved + WH_RESERVED_SHARED;
    }
    job->nunits = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2] / job->cluster_size;
    job->waiting_end = &job->waiting;
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->changed, NULL);
}

static void job_end(struct wh_job *job)
{
    struct wh_unit *unit;
    while ((unit = take_waiting(job)))
        wh_unit_free(unit);
    if (job->workspace)
        job->memory->release(job->memory->owner, job->workspace);
    wh_job_flush(job);
    free(job->output);
    pthread_mutex_destroy(&job->lock);
    pthread_cond_destroy(&job->changed);
}

int wh_soft_run(const struct wh_soft_memory *memory, const struct wh_soft_launch *launch,
                struct wh_soft_fault *fault)
{
    struct wh_job job;
    memset(fault, 0, sizeof(*fault));
    if (check(launch, fault) != 0)
        return -1;
    job_start(&job, memory, launch);
    bool shared = job.nunits > 1;
    if (!launch->cooperative || make_all(&job)) {
        if (shared)
            wh_pool_publish(&job);
        wh_job_work(&job);
        if (shared)
            wh_pool_retire(&job);
    }
    /* Threads of the pool may have given units back when the caller had none left. */
    if (launch->cooperative)
        wh_job_work(&job);
    job_end(&job);
    *fault = job.fault;
    return job.fault.code ? -1 : 0;
}
