/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers between the program's memory and the device, as transfer.c, map.c and svm.c share them.
 */
#ifndef WH_SHIM_OPENCL_TRANSFER_H
#define WH_SHIM_OPENCL_TRANSFER_H

#include "shim/opencl/shim.h"

enum wh_cl_transfer_kind {
    WH_CL_READ_BUFFER,
    WH_CL_WRITE_BUFFER,
    WH_CL_READ_RECT,
    WH_CL_WRITE_RECT,
    WH_CL_READ_IMAGE,
    WH_CL_WRITE_IMAGE,
    WH_CL_READ_SVM,
    WH_CL_WRITE_SVM,
};

/* What moves. */
struct wh_cl_transfer {
    enum wh_cl_transfer_kind kind;
    cl_command_queue queue;
    cl_mem mem;
    size_t offset; /* in a buffer, or an SVM address */
    size_t origin[3], region[3];
    size_t row_pitch, slice_pitch; /* of the buffer in a rectangle; of the arena's side of an image,
                                      0 without gaps */
    cl_uint num_events;
    const cl_event *events;
};

/* Sends the command for `size` bytes, `skip` bytes into a linear transfer, with its payload in
 * `block`. */
cl_int wh_opencl_send(const struct wh_cl_transfer *t, const struct wh_block *block, uint64_t skip,
                      size_t size, cl_uint token, bool blocking, cl_event *event);

/* A read that is over on return; one that is over when the program can know of it; a write, whose
 * bytes are taken now. */
cl_int wh_opencl_read_now(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                          cl_event *event);
cl_int wh_opencl_read_later(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                            cl_event *event);
cl_int wh_opencl_write(const struct wh_cl_transfer *t, const struct wh_copy *copy, size_t size,
                       bool blocking, cl_event *event);

/* The program's side of an image region; false when the pitches are impossible or the region is
 * empty. */
bool wh_opencl_lay_out_image(const struct wh_cl_mem *image, const size_t *region, size_t row,
                             size_t slice, uint8_t *memory, struct wh_copy *copy, size_t *size);

/* Ends a map of a buffer with shared storage, at `storage`. */
cl_int wh_opencl_unmap_storage(const struct wh_cl_transfer *t, const struct wh_cl_mem *mem,
                               const uint8_t *storage, cl_event *event);

/* Whether the queue has this property; true where it cannot be told. */
bool wh_opencl_queue_has(cl_command_queue queue, cl_command_queue_properties property);

/* Whether all of the queue's commands are known to this thread to have ended. */
bool wh_opencl_queue_is_still(cl_command_queue queue);

/* The command type that the event shall report, where the worker used another command. Returns
 * `result`. */
cl_int wh_opencl_typed(cl_int result, cl_event *event, cl_command_type type);

#endif
