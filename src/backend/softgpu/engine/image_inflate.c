/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks what fat binaries compress. Nothing is written past the size that the caller allows.
 * Called by image_fatbin.c.
 */
#include "image.h"

#include <limits.h>
#include <lz4.h>
#include <stdlib.h>
#include <zstd.h>

char *wh_inflate_zstd(const void *packed, size_t size, size_t length)
{
    char *text = malloc(length + 1);
    if (!text)
        return NULL;
    size_t n = ZSTD_decompress(text, length, packed, size);
    if (ZSTD_isError(n) || n != length) {
        free(text);
        return NULL;
    }
    text[length] = '\0';
    return text;
}

char *wh_inflate_lz4(const void *packed, size_t size, size_t length)
{
    if (size > INT_MAX || length > INT_MAX)
        return NULL;
    char *text = malloc(length + 1);
    if (!text)
        return NULL;
    if (LZ4_decompress_safe(packed, text, (int)size, (int)length) != (int)length) {
        free(text);
        return NULL;
    }
    text[length] = '\0';
    return text;
}
