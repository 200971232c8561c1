/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer by which the CUDA runtime library recognises a driver. Called by export_table.c. Pure
 * functions of their arguments.
 */
#ifndef WH_SHIM_CUDA_INTEGRITY_H
#define WH_SHIM_CUDA_INTEGRITY_H

#include <stddef.h>
#include <stdint.h>

#define WH_MD2_SIZE 16 /* bytes of a digest, and of a block */

/* What the answer says of one device: as cuDeviceGetUuid_v2 and cuDeviceGetAttribute tell it. */
struct wh_cuda_integrity_device {
    uint8_t uuid[16];
    int32_t pci_domain, pci_bus, pci_device;
};

/* What both sides must see alike. */
struct wh_cuda_integrity {
    uint32_t driver_version; /* as cuDriverGetVersion tells it */
    uint32_t version;        /* what the caller asked for */
    uint32_t process;        /* getpid() */
    uint32_t thread;         /* low half of pthread_self() */
    const void *runtime_table, *check_table, *check_function;
    uint64_t seconds; /* what the caller named */
    const struct wh_cuda_integrity_device *devices;
    size_t ndevices;
};

/* Message digest of RFC 1319. */
void wh_md2(const void *bytes, size_t size, uint8_t digest[WH_MD2_SIZE]);

void wh_cuda_integrity_answer(const struct wh_cuda_integrity *seen, uint64_t answer[2]);

#endif
