/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a CUDA driver does inside of the kernel, and this one cannot: a handle of cuIpcGetMemHandle
 * or cuIpcGetEventHandle leads to a file of the process that made it, which must go along with the
 * handle. Two functions beside the driver API, looked up by these names.
 */
#ifndef WH_SOFTGPU_IPC_H
#define WH_SOFTGPU_IPC_H

#define WH_SOFT_IPC_FILE  "wh_soft_ipc_file"
#define WH_SOFT_IPC_ADOPT "wh_soft_ipc_adopt"

/* The file behind a handle that this process made, as a descriptor of the caller's; -1: none. */
int wh_soft_ipc_file(const void *handle);

/* Keeps a file (not the descriptor) for when the handle is opened here; -1: no memory for that. */
int wh_soft_ipc_adopt(const void *handle, int fd);

#endif
