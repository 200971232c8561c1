/* SPDX-License-Identifier: Apache-2.0 */
/* Older forms of functions, whose structures were shorter, and one newer form of a name; see
 * shim.h. */
#include "shim/nvml/shim.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The first versions' structure ends before the last member that is described. */
static nvmlReturn_t cut(nvmlReturn_t result, nvmlPciInfo_t *to, const nvmlPciInfo_t *from,
                        size_t size)
{
    if (result == NVML_SUCCESS)
        memcpy(to, from, size);
    return result;
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    nvmlPciInfo_t whole = {0};
    return cut(nvmlDeviceGetPciInfo_v3(device, pci ? &whole : NULL), pci, &whole,
               offsetof(nvmlPciInfo_t, pciSubSystemId));
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    nvmlPciInfo_t whole = {0};
    return cut(nvmlDeviceGetPciInfo_v3(device, pci ? &whole : NULL), pci, &whole,
               offsetof(nvmlPciInfo_t, busId));
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo(nvmlDevice_t device, unsigned int link,
                                                        nvmlPciInfo_t *pci)
{
    nvmlPciInfo_t whole = {0};
    return cut(nvmlDeviceGetNvLinkRemotePciInfo_v2(device, link, pci ? &whole : NULL), pci, &whole,
               offsetof(nvmlPciInfo_t, busId));
}

static nvmlReturn_t find_binary(const unsigned char *b, nvmlDevice_t *device)
{
    static const char *const kinds[] = {"GPU", "MIG"};
    nvmlReturn_t result = NVML_ERROR_NOT_FOUND;
    for (size_t i = 0; i < 2 && result == NVML_ERROR_NOT_FOUND; i++) {
        char text[48];
        (void)snprintf(text, sizeof(text),
                       "%s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                       kinds[i], b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
                       b[11], b[12], b[13], b[14], b[15]);
        result = nvmlDeviceGetHandleByUUID(text, device);
    }
    return result;
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t *uuid, nvmlDevice_t *device)
{
    nvmlReturn_t ready = wh_nvml_ready();
    if (ready != NVML_SUCCESS)
        return ready;
    if (!uuid || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (uuid->version != ((unsigned)sizeof(*uuid) | 1u << 24))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (uuid->type == NVML_UUID_TYPE_BINARY)
        return find_binary(uuid->value.bytes, device);
    if (uuid->type != NVML_UUID_TYPE_ASCII ||
        !memchr(uuid->value.str, '\0', sizeof(uuid->value.str)))
        return NVML_ERROR_INVALID_ARGUMENT;
    return nvmlDeviceGetHandleByUUID(uuid->value.str, device);
}
