/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management library that programs load: generated stubs for what the description says, by-hand
 * functions here for what needs nothing of the device and for lists whose length goes in and out.
 */
#ifndef WH_SHIM_NVML_SHIM_H
#define WH_SHIM_NVML_SHIM_H

#include "client/session.h"
#include "client/stub.h"
#include "nvml_api.h"
#include "nvml_messages.h"
#include "nvml_types.h"

/* Longer lists are not asked for, whatever room the program says it has. */
#define WH_NVML_MOST_ROOM 4096u

/* Whether the program has initialised the library: NVML_ERROR_UNINITIALIZED otherwise. */
nvmlReturn_t wh_nvml_ready(void);

/* The process's session; NULL when there is no server. */
struct wh_session *wh_nvml_session(void);

/* What stands for a handle that was given before a fork (wh_shim.inherited). */
uint64_t wh_nvml_inherited(struct wh_session *session, uint16_t type, uint64_t handle);

/*
 * The tenant's processes on a device: *count has the room in `list` and becomes how many there are.
 * INSUFFICIENT_SIZE when those are more.
 */
nvmlReturn_t wh_nvml_processes(nvmlDevice_t device, unsigned kind, unsigned *count,
                               nvmlProcessDetail_v1_t *list);

/* The tenant's processes' shares of the device's time after `last_seen`; `count` as above.
 * NOT_FOUND when there are none. */
nvmlReturn_t wh_nvml_process_utilization(nvmlDevice_t device, unsigned long long last_seen,
                                         unsigned *count, nvmlProcessUtilizationInfo_v1_t *list);

/* Puts the functions of the private table that have a meaning in their slots (slots.c). */
void wh_nvml_fill_slots(uintptr_t *table);

/* The name of a process of this machine, as NVML says it; `text` is cut to `size`. */
nvmlReturn_t wh_nvml_process_name(unsigned pid, char *text, size_t size);

#endif
