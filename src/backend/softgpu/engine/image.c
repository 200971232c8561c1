/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the kinds of code images apart and has their PTX parsed. Called by module.c.
 */
#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum wh_soft_status wh_image_load(struct wh_soft_module *module, const void *image, size_t size,
                                  struct wh_error *error)
{
    static const uint8_t fatbin[4] = {0x50, 0xed, 0x55, 0xba}, elf[4] = {0x7f, 'E', 'L', 'F'};
    const char *text = image;
    size_t length = size;
    char *owned = NULL;
    enum wh_soft_status status = WH_SOFT_OK;
    if (size >= 4 && memcmp(image, fatbin, 4) == 0)
        status = wh_fatbin_ptx(image, size, &text, &length, &owned, error);
    else if (size >= 4 && memcmp(image, elf, 4) == 0)
        status = wh_elf_ptx(image, size, &text, &length, error);
    else if (size == 0 || memchr("\t\n\r ./", *(const char *)image, 6) == NULL) {
        wh_error_set(error, EINVAL, "neither PTX nor a fat binary nor a cubin");
        return WH_SOFT_INVALID_IMAGE;
    }
    if (status == WH_SOFT_OK)
        status = wh_ptx_parse(module, text, length, error);
    free(owned);
    return status;
}
