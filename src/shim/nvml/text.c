/* SPDX-License-Identifier: Apache-2.0 */
/* Texts: errors by name, and processes', which the program's own machine knows; see shim.h. */
#include "shim/nvml/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const errors[] = {
    [NVML_SUCCESS] = "Success",
    [NVML_ERROR_UNINITIALIZED] = "Uninitialized",
    [NVML_ERROR_INVALID_ARGUMENT] = "Invalid Argument",
    [NVML_ERROR_NOT_SUPPORTED] = "Not Supported",
    [NVML_ERROR_NO_PERMISSION] = "Insufficient Permissions",
    [NVML_ERROR_ALREADY_INITIALIZED] = "Already Initialized",
    [NVML_ERROR_NOT_FOUND] = "Not Found",
    [NVML_ERROR_INSUFFICIENT_SIZE] = "Insufficient Size",
    [NVML_ERROR_INSUFFICIENT_POWER] = "Insufficient External Power",
    [NVML_ERROR_DRIVER_NOT_LOADED] = "Driver Not Loaded",
    [NVML_ERROR_TIMEOUT] = "Timeout",
    [NVML_ERROR_IRQ_ISSUE] = "Interrupt Request Issue",
    [NVML_ERROR_LIBRARY_NOT_FOUND] = "NVML Shared Library Not Found",
    [NVML_ERROR_FUNCTION_NOT_FOUND] = "Function Not Found",
    [NVML_ERROR_CORRUPTED_INFOROM] = "Corrupted infoROM",
    [NVML_ERROR_GPU_IS_LOST] = "GPU is lost",
    [NVML_ERROR_RESET_REQUIRED] = "GPU requires reset",
    [NVML_ERROR_OPERATING_SYSTEM] = "GPU access blocked by the operating system",
    [NVML_ERROR_LIB_RM_VERSION_MISMATCH] = "Driver/library version mismatch",
    [NVML_ERROR_IN_USE] = "In use by another client",
    [NVML_ERROR_MEMORY] = "Insufficient Memory",
    [NVML_ERROR_NO_DATA] = "No data",
    [NVML_ERROR_VGPU_ECC_NOT_SUPPORTED] = "ECC is enabled, vGPU is not supported",
    [NVML_ERROR_INSUFFICIENT_RESOURCES] = "Insufficient Resources",
    [NVML_ERROR_FREQ_NOT_SUPPORTED] = "Frequency Not Supported",
    [NVML_ERROR_ARGUMENT_VERSION_MISMATCH] = "Argument Version Mismatch",
    [NVML_ERROR_DEPRECATED] = "Deprecated",
    [NVML_ERROR_NOT_READY] = "Not Ready",
    [NVML_ERROR_GPU_NOT_FOUND] = "GPU Not Found",
    [NVML_ERROR_INVALID_STATE] = "Invalid State",
    [NVML_ERROR_RESET_TYPE_NOT_SUPPORTED] = "Reset Type Not Supported",
};

WH_EXPORT const char *nvmlErrorString(nvmlReturn_t result)
{
    const int32_t count = sizeof(errors) / sizeof(errors[0]);
    return result >= 0 && result < count ? errors[result] : "Unknown Error";
}

/* What it was started as: the first of its arguments. */
nvmlReturn_t wh_nvml_process_name(unsigned pid, char *text, size_t size)
{
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? NVML_ERROR_NO_PERMISSION : NVML_ERROR_NOT_FOUND;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n <= 0)
        return NVML_ERROR_NOT_FOUND;
    text[n] = '\0';
    return NVML_SUCCESS;
}

WH_EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    char text[PATH_MAX];
    nvmlReturn_t result = wh_nvml_ready();
    if (result != NVML_SUCCESS)
        return result;
    if (!name || length == 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = wh_nvml_process_name(pid, text, sizeof(text));
    if (result == NVML_SUCCESS)
        (void)snprintf(name, length, "%s", text); /* cut, as natively */
    return result;
}
