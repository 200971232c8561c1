/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cubins: ELF files whose section .nv.ptx (or .nv_debug_ptx_txt) may carry the PTX that they were
 * made of. Machine code is of no use here. Called by image.c.
 */
#include "image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

static bool inside(size_t size, uint64_t at, uint64_t length)
{
    return at <= size && length <= size - at;
}

static bool read_section(const uint8_t *image, size_t size, const Elf64_Ehdr *header, unsigned i,
                         Elf64_Shdr *section)
{
    uint64_t at = header->e_shoff + (uint64_t)i * sizeof(*section);
    if (header->e_shoff > size || !inside(size, at, sizeof(*section)))
        return false;
    memcpy(section, image + at, sizeof(*section));
    return true;
}

static bool is_ptx(const uint8_t *image, size_t size, const Elf64_Shdr *names, uint32_t name)
{
    static const char *const sections[] = {".nv.ptx", ".nv_debug_ptx_txt"};
    if (!inside(size, names->sh_offset, names->sh_size) || name >= names->sh_size)
        return false;
    const char *text = (const char *)image + names->sh_offset + name;
    size_t room = names->sh_size - name;
    for (unsigned i = 0; i < 2; i++)
        if (room > strlen(sections[i]) && strcmp(text, sections[i]) == 0)
            return true;
    return false;
}

enum wh_soft_status wh_elf_ptx(const uint8_t *image, size_t size, const char **text, size_t *length,
                               struct wh_error *error)
{
    Elf64_Ehdr header;
    Elf64_Shdr names, section;
    if (size < sizeof(header)) {
        wh_error_set(error, EINVAL, "ELF file of %zu bytes", size);
        return WH_SOFT_INVALID_IMAGE;
    }
    memcpy(&header, image, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_shentsize != sizeof(section) ||
        !read_section(image, size, &header, header.e_shstrndx, &names) || names.sh_size == 0 ||
        !inside(size, names.sh_offset, names.sh_size) ||
        image[names.sh_offset + names.sh_size - 1] != '\0') {
        wh_error_set(error, EINVAL, "ELF file with broken headers");
        return WH_SOFT_INVALID_IMAGE;
    }
    for (unsigned i = 0; i < header.e_shnum; i++) {
        if (!read_section(image, size, &header, i, &section)) {
            wh_error_set(error, EINVAL, "ELF file with broken sections");
            return WH_SOFT_INVALID_IMAGE;
        }
        if (!is_ptx(image, size, &names, section.sh_name) || section.sh_type == SHT_NOBITS ||
            !inside(size, section.sh_offset, section.sh_size))
            continue;
        *text = (const char *)image + section.sh_offset;
        *length = section.sh_size;
        return WH_SOFT_OK;
    }
    wh_error_set(error, ENOEXEC, "the cubin has machine code only; the software device needs PTX");
    return WH_SOFT_NO_BINARY;
}
