/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that carry launches out: whoever calls wh_soft_run works on its own launch, and
 * threads of a pool, one per further core, help where units are left. The pool is the process's
 * only mutable global; its threads start with the first launch that can use them and sleep while
 * there is nothing to do.
 */
#include "job.h"

#include "base/cores.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct wh_job *jobs; /* with units that nobody has taken yet */
    unsigned nthreads;
    bool started;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static struct wh_job *find_job(void)
{
    struct wh_job *job = pool.jobs;
    while (job && !wh_job_has_work(job))
        job = job->next;
    return job;
}

static void *pool_thread(void *nothing)
{
    (void)nothing;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        struct wh_job *job = find_job();
        if (!job) {
            pthread_cond_wait(&pool.wake, &pool.lock);
            continue;
        }
        job->workers++;
        pthread_mutex_unlock(&pool.lock);
        wh_job_work(job);
        pthread_mutex_lock(&pool.lock);
        if (--job->workers == 0)
            pthread_cond_broadcast(&job->changed);
    }
    return NULL;
}

/* With the pool's lock. Threads that cannot be had are done without. */
static void start_threads(void)
{
    if (pool.started)
        return;
    pool.started = true;
    for (int i = 1; i < wh_cores(); i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, pool_thread, NULL) != 0)
            return;
        pthread_detach(thread);
        pool.nthreads++;
    }
}

void wh_pool_publish(struct wh_job *job)
{
    pthread_mutex_lock(&pool.lock);
    start_threads();
    job->next = pool.jobs;
    pool.jobs = job;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
}

void wh_pool_retire(struct wh_job *job)
{
    pthread_mutex_lock(&pool.lock);
    struct wh_job **at = &pool.jobs;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    while (job->workers > 0)
        pthread_cond_wait(&job->changed, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}
