/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units of blocks, as the pool runs them.
 */
#ifndef WH_SOFTGPU_BLOCK_H
#define WH_SOFTGPU_BLOCK_H

#include "exec.h"

#define WH_PROCESSORS 16u /* what %nsmid says */

enum wh_unit_state { UNIT_RUNS, UNIT_FINISHED, UNIT_STOPPED, UNIT_STUCK };

/* Memory for one unit of the launch; NULL when short. */
struct wh_unit *wh_unit_new(struct wh_job *job);
void wh_unit_free(struct wh_unit *unit);
/* Sets it to the index-th unit of the grid; false when memory is short. */
bool wh_unit_start(struct wh_unit *unit, uint64_t index);
/* One turn for each warp. STUCK: all of them wait for each other. */
enum wh_unit_state wh_unit_turn(struct wh_unit *unit);

#endif
