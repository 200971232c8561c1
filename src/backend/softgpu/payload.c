/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an image is that comes as a pointer only, and several images as one. Formats: the fat
 * binary's wrapper and header as nvcc's output has them; ELF-64 as in the System V ABI.
 */
#include "backend/softgpu/library.h"

#include "base/util.h"

#include <elf.h>
#include <string.h>

#define WRAPPER_MAGIC 0x466243b1u
#define FATBIN_MAGIC  0xba55ed50u
#define SECTION_NAME  ".wormhole.image"
#define ELF_CUDA      190

struct wrapper {
    uint32_t magic, version;
    const void *data;
    void *others;
};

struct fatbin_header {
    uint32_t magic;
    uint16_t version, header_size;
    uint64_t size; /* of what follows */
};

static CUresult elf_size(const void *image, size_t *size)
{
    Elf64_Ehdr header;
    memcpy(&header, image, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64)
        return CUDA_ERROR_INVALID_IMAGE;
    uint64_t end = sizeof(header), table = (uint64_t)header.e_shnum * header.e_shentsize;
    if (header.e_shnum && header.e_shentsize < sizeof(Elf64_Shdr))
        return CUDA_ERROR_INVALID_IMAGE;
    if (header.e_shnum && header.e_shoff + table > end)
        end = header.e_shoff + table;
    uint64_t programs = (uint64_t)header.e_phnum * header.e_phentsize;
    if (header.e_phnum && header.e_phoff + programs > end)
        end = header.e_phoff + programs;
    for (uint16_t i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;
        memcpy(&section, (const char *)image + header.e_shoff + (uint64_t)i * header.e_shentsize,
               sizeof(section));
        if (section.sh_type != SHT_NOBITS && section.sh_offset + section.sh_size > end)
            end = section.sh_offset + section.sh_size;
    }
    *size = end;
    return CUDA_SUCCESS;
}

/* The first four bytes; of a text that is shorter, those it has: the rest may not be there. */
static uint32_t read_magic(const void *pointer)
{
    uint32_t magic = 0;
    memcpy(&magic, pointer, strnlen(pointer, sizeof(magic)));
    return magic;
}

CUresult soft_payload(const void *pointer, const void **image, size_t *size)
{
    uint32_t magic = read_magic(pointer);
    if (magic == WRAPPER_MAGIC) {
        struct wrapper wrapper;
        memcpy(&wrapper, pointer, sizeof(wrapper));
        if (!wrapper.data)
            return CUDA_ERROR_INVALID_IMAGE;
        pointer = wrapper.data;
        magic = read_magic(pointer);
    }
    *image = pointer;
    if (magic == FATBIN_MAGIC) {
        struct fatbin_header header;
        memcpy(&header, pointer, sizeof(header));
        return __builtin_add_overflow(header.size, header.header_size, size)
                   ? CUDA_ERROR_INVALID_IMAGE
                   : CUDA_SUCCESS;
    }
    if (memcmp(&magic, ELFMAG, SELFMAG) == 0)
        return elf_size(pointer, size);
    *size = strlen(pointer);
    return *size ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

/* ---- several images in one ELF file ---- */

static const char names[] = "\0" SECTION_NAME "\0.shstrtab";

static void fill_sections(Elf64_Shdr *sections, const size_t *sizes, size_t n, uint64_t offset)
{
    for (size_t i = 0; i < n; i++) {
        sections[1 + i] = (Elf64_Shdr){.sh_name = 1,
                                       .sh_type = SHT_PROGBITS,
                                       .sh_offset = offset,
                                       .sh_size = sizes[i],
                                       .sh_addralign = 8};
        offset += wh_round_up(sizes[i] + 1, 8);
    }
    sections[1 + n] = (Elf64_Shdr){.sh_name = sizeof(SECTION_NAME) + 1,
                                   .sh_type = SHT_STRTAB,
                                   .sh_offset = offset,
                                   .sh_size = sizeof(names),
                                   .sh_addralign = 1};
}

void *soft_payload_join(const void *const *images, const size_t *sizes, size_t n, size_t *size)
{
    size_t head = sizeof(Elf64_Ehdr) + (n + 2) * sizeof(Elf64_Shdr), total = head + sizeof(names);
    for (size_t i = 0; i < n; i++)
        total += wh_round_up(sizes[i] + 1, 8); /* each with a zero byte behind it */
    char *file = n <= SOFT_MOST_IMAGES ? calloc(1, total) : NULL;
    if (!file)
        return NULL;
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = ELF_CUDA,
        .e_version = EV_CURRENT,
        .e_shoff = sizeof(header),
        .e_ehsize = sizeof(header),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = (Elf64_Half)(n + 2),
        .e_shstrndx = (Elf64_Half)(n + 1)};
    memcpy(file, &header, sizeof(header));
    Elf64_Shdr *sections = (Elf64_Shdr *)(file + sizeof(header)); /* calloc: aligned to 8 */
    fill_sections(sections, sizes, n, head);
    for (size_t i = 0; i < n; i++)
        memcpy(file + sections[1 + i].sh_offset, images[i], sizes[i]);
    memcpy(file + sections[1 + n].sh_offset, names, sizeof(names));
    *size = total;
    return file;
}

static bool inside(uint64_t offset, uint64_t length, size_t size)
{
    return offset <= size && length <= size - offset;
}

/* The name of a section, when the file has all of it. */
static bool is_image(const char *file, size_t size, const Elf64_Shdr *strings,
                     const Elf64_Shdr *section)
{
    return inside(strings->sh_offset, strings->sh_size, size) &&
           inside(section->sh_name, sizeof(SECTION_NAME), strings->sh_size) &&
           memcmp(file + strings->sh_offset + section->sh_name, SECTION_NAME,
                  sizeof(SECTION_NAME)) == 0;
}

size_t soft_payload_split(const void *image, size_t size, const void **images, size_t *sizes,
                          size_t most)
{
    const char *file = image;
    Elf64_Ehdr header;
    if (size < sizeof(header) || memcmp(file, ELFMAG, SELFMAG) != 0)
        return 0;
    memcpy(&header, file, sizeof(header));
    if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum ||
        !inside(header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr), size))
        return 0;
    Elf64_Shdr strings, section;
    memcpy(&strings, file + header.e_shoff + header.e_shstrndx * sizeof(section), sizeof(strings));
    size_t n = 0;
    for (uint16_t i = 0; i < header.e_shnum && n < most; i++) {
        memcpy(&section, file + header.e_shoff + i * sizeof(section), sizeof(section));
        if (!is_image(file, size, &strings, &section) ||
            !inside(section.sh_offset, section.sh_size, size))
            continue;
        images[n] = file + section.sh_offset;
        sizes[n++] = section.sh_size;
    }
    return n;
}
