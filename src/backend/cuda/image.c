/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of code images; see image.h. */
#include "backend/cuda/image.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

#define FATBIN_MAGIC 0xba55ed50u

struct fatbin {
    uint32_t magic;
    uint16_t version, header_size; /* of this header */
    uint64_t rest;                 /* bytes behind it */
};

/* The start of each entry's header. */
struct entry {
    uint16_t kind, version;
    uint32_t header_size;
    uint64_t size; /* of the payload behind the header */
};

static bool lies_within(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

static bool fatbin_fits(const uint8_t *image, size_t size)
{
    struct fatbin header;
    struct entry entry;
    memcpy(&header, image, sizeof(header));
    if (header.header_size < sizeof(header) || !lies_within(header.header_size, header.rest, size))
        return false;
    uint64_t end = header.header_size + header.rest;
    for (uint64_t at = header.header_size; at < end; at += entry.header_size + entry.size) {
        if (!lies_within(at, sizeof(entry), end))
            return false;
        memcpy(&entry, image + at, sizeof(entry));
        if (entry.header_size < sizeof(entry) || !lies_within(at, entry.header_size, end) ||
            !lies_within(at + entry.header_size, entry.size, end))
            return false;
    }
    return true;
}

static bool sections_fit(const uint8_t *image, const Elf64_Ehdr *header, size_t size)
{
    Elf64_Shdr section;
    if (header->e_shnum == 0 || header->e_shentsize != sizeof(section) ||
        !lies_within(header->e_shoff, (uint64_t)header->e_shnum * sizeof(section), size))
        return header->e_shoff == 0 && header->e_shnum == 0;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        memcpy(&section, image + header->e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
            !lies_within(section.sh_offset, section.sh_size, size))
            return false;
    }
    return header->e_shstrndx < header->e_shnum;
}

static bool segments_fit(const uint8_t *image, const Elf64_Ehdr *header, size_t size)
{
    Elf64_Phdr segment;
    if (header->e_phnum == 0)
        return true;
    if (header->e_phentsize != sizeof(segment) ||
        !lies_within(header->e_phoff, (uint64_t)header->e_phnum * sizeof(segment), size))
        return false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        memcpy(&segment, image + header->e_phoff + i * sizeof(segment), sizeof(segment));
        if (!lies_within(segment.p_offset, segment.p_filesz, size))
            return false;
    }
    return true;
}

static bool elf_fits(const uint8_t *image, size_t size)
{
    Elf64_Ehdr header;
    if (size < sizeof(header))
        return false;
    memcpy(&header, image, sizeof(header));
    return header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB &&
           sections_fit(image, &header, size) && segments_fit(image, &header, size);
}

/* Only what a PTX file may begin with; the driver decides about the rest. */
static bool is_text(const uint8_t *image, size_t size)
{
    for (size_t i = 0; i < size && i < 4; i++)
        if (image[i] != 0 &&
            (image[i] < '\t' || image[i] > '~' || (image[i] > '\r' && image[i] < ' ')))
            return false;
    return size > 1 && memchr(image, 0, size) != NULL && image[0] != 0;
}

bool wh_cuda_image_fits(const void *image, size_t size)
{
    const uint32_t fatbin = FATBIN_MAGIC;
    if (size >= sizeof(struct fatbin) && memcmp(image, &fatbin, sizeof(fatbin)) == 0)
        return fatbin_fits(image, size);
    if (size >= SELFMAG && memcmp(image, ELFMAG, SELFMAG) == 0)
        return elf_fits(image, size);
    return is_text(image, size);
}
