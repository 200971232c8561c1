/* SPDX-License-Identifier: Apache-2.0 */
/* How many processors this process may keep busy. Used by whoever decides to spin. */
#ifndef WH_BASE_CORES_H
#define WH_BASE_CORES_H

/*
 * Processors that this thread may run on, or that the process's control groups (version 2) give it
 * the time of, whichever is less; at least 1. The groups are looked up once. Any thread.
 */
int wh_cores(void);

/* Whole processors' time that a line of cpu.max allows (cgroup-v2, "CPU Interface Files"); INT_MAX:
 * no limit, or no such line. */
int wh_cores_of_quota(const char *line);

#endif
