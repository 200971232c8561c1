/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker gives up before it loads the accelerator's library and serves a client that may be
 * hostile: new privileges, core dumps, and the system calls that no accelerator library needs. Used
 * by the worker's main function.
 */
#ifndef WH_WORKER_SANDBOX_H
#define WH_WORKER_SANDBOX_H

#include "base/error.h"

/*
 * Enters the sandbox, for this process and all it starts. Refused system calls answer EPERM, so
 * that a library that merely tries goes on. Called while the process has one thread. -1 with a
 * reason when the kernel cannot do it.
 */
int wh_sandbox_enter(struct wh_error *error);

#endif
