/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many bytes an image's host data have. Needed on both sides: by the client to copy them, by
 * the worker to check what the client says before the library reads them. OpenCL 3.0,
 * sections 5.3.1.1 and 5.3.1.2.
 */
#ifndef WH_BACKEND_OPENCL_IMAGE_H
#define WH_BACKEND_OPENCL_IMAGE_H

#include "opencl_types.h"

#include <stdbool.h>

/* Bytes of one pixel; 0 for a format that does not exist. */
size_t wh_opencl_pixel_size(const cl_image_format *format);

/* The rows and slices of host data that an image description speaks of. */
struct wh_opencl_host_image {
    size_t row, slice;    /* pitches in bytes, never 0 */
    size_t height, depth; /* rows of a slice, slices (or array layers) */
    size_t size;          /* bytes in all */
};

/* False when the description is impossible; the library then gives the program its error. */
bool wh_opencl_host_image(const cl_image_format *format, const cl_image_desc *desc,
                          struct wh_opencl_host_image *image);

#endif
