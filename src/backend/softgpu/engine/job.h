/* SPDX-License-Identifier: Apache-2.0 */
/* Launches between job.c, which knows what is to be done, and pool.c, whose threads help with it.
 */
#ifndef WH_SOFTGPU_JOB_H
#define WH_SOFTGPU_JOB_H

#include "exec.h"

/* Works on the launch until there is nothing left to take. */
void wh_job_work(struct wh_job *job);

/* Whether there is something that nobody has taken yet. */
bool wh_job_has_work(struct wh_job *job);

/* Lets the pool's threads help. */
void wh_pool_publish(struct wh_job *job);

/* After this nobody else looks at the launch. */
void wh_pool_retire(struct wh_job *job);

#endif
