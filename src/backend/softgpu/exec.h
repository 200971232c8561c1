/* SPDX-License-Identifier: Apache-2.0 */
/* Executable graphs: what exec.c (making, launching) and exec_update.c (changing) share. */
#ifndef WH_SOFTGPU_EXEC_H
#define WH_SOFTGPU_EXEC_H

#include "backend/softgpu/graph.h"

struct soft_exec {
    struct soft_object object;
    struct soft_graph *graph; /* a reference: the private copy */
    cuuint64_t flags;
    struct soft_mark last; /* of the last launch: the next comes behind it */
};

/* The graphs' lock is held. NULL: there is none with this handle. */
struct soft_exec *soft_exec_get(CUgraphExec handle);

#endif
