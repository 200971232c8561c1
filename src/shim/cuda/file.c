/* SPDX-License-Identifier: Apache-2.0 */
/* Reads files for module.c and linker.c; the worker never sees the program's paths. */
#include "shim/cuda/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads what there is, up to `size` bytes; false: the system says no, or the file was cut short. */
static bool read_bytes(int fd, char *bytes, size_t size)
{
    size_t at = 0;
    ssize_t got = 1;
    while (at < size && (got = read(fd, bytes + at, size - at)) > 0)
        at += (size_t)got;
    bytes[at] = '\0';
    return at == size;
}

CUresult wh_cuda_read_file(const char *path, char **bytes, size_t *size)
{
    struct stat status;
    CUresult result = CUDA_ERROR_OPERATING_SYSTEM;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *bytes = NULL;
    if (fd < 0)
        return errno == ENOENT ? CUDA_ERROR_FILE_NOT_FOUND : CUDA_ERROR_OPERATING_SYSTEM;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        *size = (size_t)status.st_size;
        *bytes = malloc(*size + 1);
        result = !*bytes                         ? CUDA_ERROR_OUT_OF_MEMORY
                 : read_bytes(fd, *bytes, *size) ? CUDA_SUCCESS
                                                 : CUDA_ERROR_OPERATING_SYSTEM;
    }
    close(fd);
    if (result != CUDA_SUCCESS) {
        free(*bytes);
        *bytes = NULL;
    }
    return result;
}
