/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code images as they come: PTX text, ELF cubins, fat binaries, compressed or not. Everything in
 * them is hostile.
 */
#ifndef WH_SOFTGPU_IMAGE_H
#define WH_SOFTGPU_IMAGE_H

#include "code.h"

#define WH_TEXT_MAX (64u << 20) /* bytes of PTX after it is unpacked */

/* Finds the PTX in an image of any kind and parses it into the module. */
enum wh_soft_status wh_image_load(struct wh_soft_module *module, const void *image, size_t size,
                                  struct wh_error *error);

/* PTX in a fat binary or an ELF file. *owned: to be freed, or NULL where *text points into the
 * image. */
enum wh_soft_status wh_fatbin_ptx(const uint8_t *image, size_t size, const char **text,
                                  size_t *length, char **owned, struct wh_error *error);
enum wh_soft_status wh_elf_ptx(const uint8_t *image, size_t size, const char **text, size_t *length,
                               struct wh_error *error);

/* Unpacks exactly `length` bytes; a malloc'ed block with a 0 behind, or NULL. */
char *wh_inflate_zstd(const void *packed, size_t size, size_t length);
char *wh_inflate_lz4(const void *packed, size_t size, size_t length);

#endif
