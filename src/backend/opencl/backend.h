/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a worker reaches OpenCL: the host's own loader and whatever implementations it finds. Only
 * what the description cannot say is written here; everything else is generated. Knows no
 * particular implementation.
 */
#ifndef WH_BACKEND_OPENCL_BACKEND_H
#define WH_BACKEND_OPENCL_BACKEND_H

#include "channel/segment.h"
#include "opencl_api.h"
#include "opencl_thunks.h"
#include "opencl_types.h"
#include "worker/worker.h"

#define WH_NO_TOKEN UINT32_MAX

/* A transfer whose token is set when its event completes. All but the event and the copy is under
 * the state's lock. */
struct wh_opencl_transfer {
    struct wh_opencl_transfer *next, **link; /* in the state's list until the token is set */
    struct wh_worker *worker;
    cl_event event; /* a reference of ours until the library has called back */
    cl_uint token;
    unsigned users; /* sweeps that look at it */
    bool over;      /* the library has called back: whoever uses it last frees it */
    void *copy;     /* freed at completion */
};

/* One allocation of shared virtual memory. */
struct wh_opencl_svm {
    struct wh_opencl_svm *next;
    cl_context context;
    void *base;       /* what the library returned */
    uint8_t *address; /* page-aligned, what the program sees */
    size_t size;
    bool shared; /* its pages are the arena's */
};

struct wh_opencl_state {
    struct wh_opencl_functions_table f;
    pthread_mutex_t lock; /* guards the lists */
    struct wh_opencl_transfer *transfers;
    struct wh_opencl_svm *svm;
    int probe[2]; /* a pipe, to ask the kernel whether an address can be read */
};

static inline struct wh_opencl_state *wh_opencl_state(struct wh_call *call)
{
    return call->worker->state;
}

/*
 * Loads the host's OpenCL and fills `backend`. Fails with a sentence when there is none or it has
 * no platform.
 */
int wh_opencl_open(struct wh_worker *worker, struct wh_backend *backend, struct wh_error *error);

/* Marks finished transfers; the backend's sync hook. */
void wh_opencl_sync(struct wh_worker *worker);

/* Whether the session owns these bytes of shared virtual memory. */
bool wh_opencl_owns_svm(struct wh_opencl_state *state, cl_ulong address, size_t size);

/*
 * After an enqueue: when `result` is success, watches `event` for the token, or waits for it if
 * `blocking`; passes the event on to the program if it wants it (`wanted` not NULL), else releases
 * it. `copy` is freed when the device is done. Returns what the program gets.
 */
cl_int wh_opencl_finish_transfer(struct wh_call *call, cl_int result, cl_event event, cl_uint token,
                                 bool blocking, void *copy, cl_event *wanted);

#endif
