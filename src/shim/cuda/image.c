/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of code images, by their first bytes, and their sizes, by their headers. Called by
 * module.c, on the program's own memory; what it finds is checked again by the worker, which trusts
 * nobody.
 */
#include "shim/cuda/image.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

#define MACHINE_CUDA 190          /* e_machine of a cubin */
#define MOST_IMAGE   (1ull << 36) /* bytes: sizes beyond this are nonsense */
#define MOST_PARTS   (1u << 20)
#define MOST_HEADERS (1u << 22)

#define WRAPPER_MAGIC  0x466243b1u
#define WRAPPER_PLAIN  1u /* parts is unused */
#define WRAPPER_LINKED 2u
#define FATBIN_MAGIC   0xba55ed50u

/* What nvcc puts in the section .nvFatBinSegment. */
struct wrapper {
    uint32_t magic, version;
    const void *fatbin;
    const void *const *parts; /* linked: the fat binaries before linking, then NULL; filled when
                                 the program starts */
};

struct fatbin {
    uint32_t magic;
    uint16_t version, header_size; /* this header */
    uint64_t rest;                 /* bytes behind it */
};

static uint32_t magic_of(const void *image)
{
    uint32_t magic;
    memcpy(&magic, image, sizeof(magic));
    return magic;
}

static bool fatbin_size(const void *image, size_t *size)
{
    struct fatbin header;
    if (magic_of(image) != FATBIN_MAGIC)
        return false;
    memcpy(&header, image, sizeof(header));
    if (header.header_size < sizeof(header) || header.rest > MOST_IMAGE)
        return false;
    *size = header.header_size + (size_t)header.rest;
    return true;
}

/* Grows *end to where a piece of the file ends. */
static bool reach(uint64_t *end, uint64_t offset, uint64_t size)
{
    if (offset > MOST_IMAGE || size > MOST_IMAGE)
        return false;
    if (offset + size > *end)
        *end = offset + size;
    return true;
}

static bool reach_sections(const uint8_t *image, const Elf64_Ehdr *header, uint64_t *end)
{
    Elf64_Shdr section;
    uint64_t n = header->e_shnum;
    if (header->e_shoff == 0)
        return true;
    if (header->e_shentsize != sizeof(section) || header->e_shoff > MOST_IMAGE)
        return false;
    if (n == 0) { /* too many for the field: the first one tells (gABI, sh_size) */
        memcpy(&section, image + header->e_shoff, sizeof(section));
        n = section.sh_size;
    }
    if (n > MOST_HEADERS || !reach(end, header->e_shoff, n * sizeof(section)))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        memcpy(&section, image + header->e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
            !reach(end, section.sh_offset, section.sh_size))
            return false;
    }
    return true;
}

static bool reach_segments(const uint8_t *image, const Elf64_Ehdr *header, uint64_t *end)
{
    Elf64_Phdr segment;
    if (header->e_phoff == 0 || header->e_phnum == 0)
        return true;
    if (header->e_phentsize != sizeof(segment) ||
        !reach(end, header->e_phoff, header->e_phnum * sizeof(segment)))
        return false;
    for (uint64_t i = 0; i < header->e_phnum; i++) {
        memcpy(&segment, image + header->e_phoff + i * sizeof(segment), sizeof(segment));
        if (!reach(end, segment.p_offset, segment.p_filesz))
            return false;
    }
    return true;
}

static bool elf_size(const void *image, size_t *size)
{
    Elf64_Ehdr header;
    uint64_t end = sizeof(header);
    memcpy(&header, image, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != MACHINE_CUDA || header.e_ehsize != sizeof(header))
        return false;
    if (!reach_sections(image, &header, &end) || !reach_segments(image, &header, &end) ||
        end > MOST_IMAGE)
        return false;
    *size = (size_t)end;
    return true;
}

bool wh_cuda_image_is_text(const void *bytes)
{
    const uint8_t *text = bytes;
    for (size_t i = 0; i < 4; i++) {
        bool white = text[i] >= '\t' && text[i] <= '\r';
        if (text[i] == 0)
            return i > 0;
        if (!white && (text[i] < ' ' || text[i] > '~'))
            return false;
    }
    return true;
}

/* A wrapper that nvcc made. */
static bool read_wrapper(const void *image, struct wrapper *wrapper)
{
    if (wh_cuda_image_is_text(image) || magic_of(image) != WRAPPER_MAGIC)
        return false;
    memcpy(wrapper, image, sizeof(*wrapper));
    return wrapper->version == WRAPPER_PLAIN || wrapper->version == WRAPPER_LINKED;
}

bool wh_cuda_image_find(const void *image, const void **bytes, size_t *size)
{
    struct wrapper wrapper;
    *bytes = image;
    if (!image)
        return false;
    if (wh_cuda_image_is_text(image)) { /* first: a text may be shorter than a magic number */
        *size = strlen(image) + 1;
        return true;
    }
    if (((const uint8_t *)image)[0] == 0)
        return false;
    if (memcmp(image, ELFMAG, SELFMAG) == 0)
        return elf_size(image, size);
    if (read_wrapper(image, &wrapper)) {
        *bytes = wrapper.fatbin;
        return wrapper.fatbin && fatbin_size(wrapper.fatbin, size);
    }
    return fatbin_size(image, size);
}

bool wh_cuda_image_part(const void *image, size_t i, const void **bytes, size_t *size)
{
    struct wrapper wrapper;
    if (!image || !read_wrapper(image, &wrapper) || wrapper.version != WRAPPER_LINKED ||
        !wrapper.parts || i >= MOST_PARTS)
        return false;
    for (size_t k = 0; k <= i; k++)
        if (!wrapper.parts[k])
            return false;
    *bytes = wrapper.parts[i];
    return fatbin_size(*bytes, size);
}
