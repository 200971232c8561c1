/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libraries keep with a context under keys of their own (the private table c693336e). Called
 * by export_table.c, and by context.c when a context ends. The look-up takes no lock: the runtime
 * library makes one in nearly every of its functions. Thread-safe.
 */
#ifndef WH_SHIM_CUDA_STORAGE_H
#define WH_SHIM_CUDA_STORAGE_H

#include "cuda_types.h"

struct wh_storage;

typedef void wh_storage_destructor(CUcontext context, void *key, void *value);

/*
 * A NULL context is the thread's current one; CUDA_ERROR_INVALID_CONTEXT when there is none.
 * CUDA_ERROR_INVALID_HANDLE: the key is there already (its value stays), or is not there.
 * `destructor` (may be NULL) is called when the context ends, not by wh_cuda_storage_delete.
 */
CUresult wh_cuda_storage_put(CUcontext context, void *key, void *value,
                             wh_storage_destructor *destructor);
CUresult wh_cuda_storage_delete(CUcontext context, void *key);
CUresult wh_cuda_storage_get(void **value, CUcontext context, void *key);

/*
 * The context ends (destroyed, reset, last reference released): empties its storage and calls the
 * destructors, the newest first. They are the program's code and may call the API: no lock may be
 * held.
 */
void wh_cuda_storage_end(CUcontext context);

/* Frees the memory, when the context's own state is freed; NULL is nothing. Calls nobody. */
void wh_storage_free(struct wh_storage *storage);

#endif
