/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a CUDA driver library is looked for: by the worker, which loads it, and by `wormhole
 * doctor`, which says what a worker would find. Lists only; no code.
 */
#ifndef WH_BACKEND_CUDA_PLACES_H
#define WH_BACKEND_CUDA_PLACES_H

/* Where NVIDIA's driver is installed, most usual first. A bare name would find our own shim again
 * in an environment that was made for clients. */
#define WH_CUDA_PLACES                                                                            \
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib64/libcuda.so.1", "/usr/lib/libcuda.so.1", \
        "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1",                  \
        "/run/opengl-driver/lib/libcuda.so.1"

/* The software device, beside the worker's program; and its name in WORMHOLE_CUDA_LIBRARY. */
#define WH_CUDA_SOFTGPU_LIBRARY "../lib/wormhole/libwormhole-softgpu.so"
#define WH_CUDA_SOFTGPU_NAME    "softgpu"

/* Its function that is told where to write what it uses: void (struct wh_meter *, unsigned). */
#define WH_CUDA_SOFTGPU_METER "wormhole_softgpu_meter"

/* Where its state lies, where small allocations do, and whether it has nothing to do: void (struct
 * soft_driver **, struct soft_object ***), void (void **, size_t *) and bool (void). */
#define WH_CUDA_SOFTGPU_STATE "wormhole_softgpu_state"
#define WH_CUDA_SOFTGPU_NEAR  "wormhole_softgpu_near"
#define WH_CUDA_SOFTGPU_QUIET "wormhole_softgpu_quiet"

#endif
