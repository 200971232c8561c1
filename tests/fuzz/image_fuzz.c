/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the readers of code images: fat binaries with their compressed entries, and cubins. What
 * they find is read to its end, where a sanitizer sees it.
 */
#include "backend/softgpu/engine/image.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned char sink; /* keeps the reads */

static void use(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sink = (unsigned char)text[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = NULL;
    char *owned = NULL;
    size_t length = 0;
    struct wh_error error = {0};
    if (wh_fatbin_ptx(data, size, &text, &length, &owned, &error) == WH_SOFT_OK)
        use(text, length);
    free(owned);
    if (wh_elf_ptx(data, size, &text, &length, &error) == WH_SOFT_OK)
        use(text, length);
    return 0;
}
