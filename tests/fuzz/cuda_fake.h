/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CUDA driver in memory for fuzzing the worker. Handles that it never made, handles of another
 * type and memory that it never gave stop the program; those of things that went are errors, as of
 * the real one. It reads and writes every byte of the worker's that it is told to, so that a
 * sanitizer sees each one that should not be touched. One thread only; nothing here computes.
 */
#ifndef WH_TESTS_FUZZ_CUDA_FAKE_H
#define WH_TESTS_FUZZ_CUDA_FAKE_H

#include "cuda_api.h"
#include "cuda_thunks.h"
#include "cuda_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where its device memory begins: each piece starts at a multiple of the step, so that messages
 * can name it without having seen it. */
#define CUDA_FAKE_MEMORY 0x300000000000ull
#define CUDA_FAKE_STEP   0x100000ull

/* The table: what by-hand code calls. Other calls are carried out by what the tables say of them,
 * see cuda_fake_thunks. */
void cuda_fake_fill(struct wh_cuda_functions_table *f);

/* The worker's thunks, with one of the fake's own for each call that is not by hand. */
wh_thunk *const *cuda_fake_thunks(void);

/* Runs callbacks that wait, ends linkers, frees all objects and gives back all memory that the
 * backend has taken from calloc and mmap. */
void cuda_fake_reset(void);

/* ---- between the files of the fake ---- */

_Noreturn void cuda_fake_stop(const char *why, uint64_t what);

/* A new handle; NULL when there are very many. */
void *cuda_fake_new(uint16_t type);

/* Whether the handle is alive. Stops the program unless it is one of this type, dead or alive, or
 * NULL. A kernel may stand in a function's place. */
bool cuda_fake_lives(const void *handle, uint16_t type);

void cuda_fake_kill(const void *handle);

/* An object of this type that was there before anybody asked. */
void *cuda_fake_known(uint16_t type);

/* New memory of the device; 0 when there is too much of it. */
CUdeviceptr cuda_fake_allocate(size_t size);
/* Memory of the worker's from now on the device's too. */
bool cuda_fake_share(void *bytes, size_t size);
bool cuda_fake_free_memory(CUdeviceptr address);

/* Whether the bytes are still there. Stops the program when they never were. Those of the worker
 * are touched. */
bool cuda_fake_reaches(CUdeviceptr address, size_t size, bool writes);

/* NULL is a stream, too. */
bool cuda_fake_stream_lives(CUstream stream);

/* Writes a new handle to `room`. */
CUresult cuda_fake_make(void *room, uint16_t type);

void cuda_fake_fill_memory(struct wh_cuda_functions_table *f);

/* Graphs, and what is left of them at a session's end. */
void cuda_fake_fill_graphs(struct wh_cuda_functions_table *f);
void cuda_fake_reset_graphs(void);

/* Reads or writes each byte. */
void cuda_fake_read(const void *bytes, size_t size);
void cuda_fake_write(void *bytes, size_t size);

#endif
