/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a worker reaches NVML: the management library that belongs to the server's CUDA driver, in
 * NVIDIA's case the real one, else the software device's. Only what the description cannot say is
 * written here: which devices there are, and what is the tenant's of what all processes do there.
 */
#ifndef WH_BACKEND_NVML_BACKEND_H
#define WH_BACKEND_NVML_BACKEND_H

#include "nvml_api.h"
#include "nvml_thunks.h"
#include "nvml_types.h"
#include "worker/worker.h"

#define WH_NVML_MOST_DEVICES   64
#define WH_NVML_MOST_PROCESSES 1024 /* that one question tells of */

struct wh_nvml_state {
    struct wh_nvml_functions_table f;
    nvmlDevice_t devices[WH_NVML_MOST_DEVICES]; /* as CUDA counts them on this server */
    unsigned ndevices;
    const uintptr_t *private_table; /* the library's, if its slots are known */
    bool knows_processes; /* the library tells of all processes; else only the ledger does */
};

static inline const struct wh_nvml_state *wh_nvml_state(struct wh_call *call)
{
    return call->worker->state;
}

/* Loads the libraries and fills `backend`. Fails with a sentence when there is none. */
int wh_nvml_open(struct wh_worker *worker, struct wh_backend *backend, struct wh_error *error);

/* ---- devices (device.c) ---- */

/* The device's number, or -1: not one of the server's. */
int wh_nvml_index(const struct wh_nvml_state *state, nvmlDevice_t device);

/* ---- what no public function says (private.c) ---- */

/* The private table of a library that is started, or NULL: it has none whose slots are known. */
const uintptr_t *wh_nvml_private_table(void *library);

/* ---- what the tenant uses (use.c) ---- */

/* The account of process `worker` of this server, if that is one of the tenant's workers. */
const struct wh_account *wh_nvml_account(struct wh_call *call, unsigned worker);

#endif
