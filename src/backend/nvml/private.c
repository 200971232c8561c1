/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a device only the private table of NVIDIA's library says, and nvidia-smi shows. The table
 * has no description; slots are called only where the library is of the driver that they are known
 * of, and the table's public functions are where they are known to be.
 */
#include "backend/nvml/backend.h"

#include <dlfcn.h>
#include <string.h>

#define BRANCH "580."

static bool is_known(const uintptr_t *table, void *library)
{
    static const struct {
        unsigned slot;
        const char *function;
    } landmarks[] = {
        {WH_NVML_SLOT_GET_GPU_OPERATION_MODE, "nvmlDeviceGetGpuOperationMode"},
        {WH_NVML_SLOT_DISPLAY_ACTIVE, "nvmlDeviceGetDisplayActive"},
        {WH_NVML_SLOT_POWER_DEFAULT_LIMIT, "nvmlDeviceGetPowerManagementDefaultLimit"},
        {WH_NVML_SLOT_ENFORCED_POWER_LIMIT, "nvmlDeviceGetEnforcedPowerLimit"},
        {WH_NVML_SLOT_BOARD_PART_NUMBER, "nvmlDeviceGetBoardPartNumber"},
    };
    if (table[0] != WH_NVML_SLOTS * sizeof(*table))
        return false;
    for (size_t i = 0; i < sizeof(landmarks) / sizeof(landmarks[0]); i++)
        if (table[landmarks[i].slot] != (uintptr_t)dlsym(library, landmarks[i].function))
            return false;
    return true;
}

const uintptr_t *wh_nvml_private_table(void *library)
{
    static const unsigned char id[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                         0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
    nvmlReturn_t (*get_version)(char *, unsigned) = NULL;
    nvmlReturn_t (*get_table)(const void **, const void *) = NULL;
    char version[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE] = "";
    const void *table = NULL;
    *(void **)&get_version = dlsym(library, "nvmlSystemGetDriverVersion");
    *(void **)&get_table = dlsym(library, "nvmlInternalGetExportTable");
    if (!get_version || !get_table || get_version(version, sizeof(version)) != NVML_SUCCESS ||
        strncmp(version, BRANCH, strlen(BRANCH)) != 0 || get_table(&table, id) != NVML_SUCCESS ||
        !table || !is_known(table, library))
        return NULL;
    return table;
}

nvmlReturn_t wh_nvml_do_private_number(struct wh_call *call, nvmlDevice_t device, unsigned int slot,
                                       unsigned int *value)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    nvmlReturn_t (*ask)(nvmlDevice_t, unsigned *) = NULL;
    unsigned found[4] = {0}; /* should one be wider than is known */
    if (!value || wh_nvml_index(state, device) < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (slot != WH_NVML_SLOT_HOST_LINK_GENERATION && slot != WH_NVML_SLOT_DEFERRED_MEMORY_CLOCK &&
        slot != WH_NVML_SLOT_SPARSE_OPERATION_MODE)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (!state->private_table)
        return NVML_ERROR_NOT_SUPPORTED;
    memcpy(&ask, &state->private_table[slot], sizeof(ask));
    nvmlReturn_t result = ask(device, found);
    *value = found[0];
    return result;
}

nvmlReturn_t wh_nvml_do_private_text(struct wh_call *call, nvmlDevice_t device, unsigned int slot,
                                     unsigned int length, char *text)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    nvmlReturn_t (*ask)(nvmlDevice_t, char *, unsigned) = NULL;
    char found[WH_NVML_PRIVATE_TEXT] = "";
    if (!text || length == 0 || length > sizeof(found) || wh_nvml_index(state, device) < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (slot != WH_NVML_SLOT_GPU_PART_NUMBER && slot != WH_NVML_SLOT_FRU_PART_NUMBER)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (!state->private_table)
        return NVML_ERROR_NOT_SUPPORTED;
    memcpy(&ask, &state->private_table[slot], sizeof(ask));
    nvmlReturn_t result = ask(device, found, length);
    if (result == NVML_SUCCESS)
        memcpy(text, found, length);
    return result;
}
