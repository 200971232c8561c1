/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fat binaries: entries behind each other, of which each is PTX or a cubin for one architecture,
 * perhaps compressed. The PTX of the highest architecture is taken. Layout as measured on what the
 * toolkit of CUDA 13 writes. Called by image.c.
 */
#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_PTX = 1, KIND_ELF = 2 };
enum { ENTRY_LZ4 = 0x2000, ENTRY_ZSTD = 0x8000 };

struct fatbin_header {
    uint32_t magic;
    uint16_t version, header_size;
    uint64_t size; /* of the entries */
};

struct fatbin_entry {
    uint16_t kind, version;
    uint32_t header_size;
    uint64_t size; /* of what follows the header, padding included */
    uint32_t packed_size, options;
    uint16_t minor, major;
    uint32_t arch, name_at, name_size;
    uint64_t flags, zero, unpacked_size;
};
_Static_assert(sizeof(struct fatbin_entry) == 64, "as it lies in the file");

struct found {
    struct fatbin_entry entry;
    const uint8_t *payload;
    bool cubin;
};

/* The entry at `at`; false where there is none that is whole. */
static bool read_entry(const uint8_t *at, uint64_t left, struct fatbin_entry *entry)
{
    if (left < sizeof(*entry))
        return false;
    memcpy(entry, at, sizeof(*entry));
    return entry->header_size >= sizeof(*entry) && entry->header_size <= left &&
           entry->size <= left - entry->header_size;
}

static bool is_better(const struct found *found, const struct fatbin_entry *entry)
{
    return entry->kind == KIND_PTX && (!found->payload || entry->arch > found->entry.arch);
}

static enum wh_soft_status unpack(const struct found *found, const char **text, size_t *length,
                                  char **owned, struct wh_error *error)
{
    const struct fatbin_entry *entry = &found->entry;
    if (!(entry->flags & (ENTRY_LZ4 | ENTRY_ZSTD))) {
        *text = (const char *)found->payload;
        *length = entry->size;
        return WH_SOFT_OK;
    }
    if (entry->packed_size > entry->size || entry->unpacked_size > WH_TEXT_MAX) {
        wh_error_set(error, EINVAL, "fat binary: an entry of %llu bytes unpacks to %llu",
                     (unsigned long long)entry->size, (unsigned long long)entry->unpacked_size);
        return WH_SOFT_INVALID_IMAGE;
    }
    *length = entry->unpacked_size;
    *owned = entry->flags & ENTRY_ZSTD
                 ? wh_inflate_zstd(found->payload, entry->packed_size, *length)
                 : wh_inflate_lz4(found->payload, entry->packed_size, *length);
    *text = *owned;
    if (*owned)
        return WH_SOFT_OK;
    wh_error_set(error, EINVAL,
                 "fat binary: a compressed entry does not unpack to the %zu bytes it says",
                 *length);
    return WH_SOFT_INVALID_IMAGE;
}

enum wh_soft_status wh_fatbin_ptx(const uint8_t *image, size_t size, const char **text,
                                  size_t *length, char **owned, struct wh_error *error)
{
    struct fatbin_header header;
    struct found found = {0};
    if (size >= sizeof(header))
        memcpy(&header, image, sizeof(header));
    if (size < sizeof(header) || header.header_size < sizeof(header) || header.header_size > size ||
        header.size > size - header.header_size) {
        wh_error_set(error, EINVAL, "fat binary of %zu bytes: the header says more", size);
        return WH_SOFT_INVALID_IMAGE;
    }
    const uint8_t *at = image + header.header_size;
    for (uint64_t left = header.size; left > 0;) {
        struct fatbin_entry entry;
        if (!read_entry(at, left, &entry)) {
            wh_error_set(error, EINVAL, "fat binary: an entry reaches past the end");
            return WH_SOFT_INVALID_IMAGE;
        }
        found.cubin |= entry.kind == KIND_ELF;
        if (is_better(&found, &entry)) {
            found.entry = entry;
            found.payload = at + entry.header_size;
        }
        at += entry.header_size + entry.size;
        left -= entry.header_size + entry.size;
    }
    if (!found.payload) {
        wh_error_set(
            error, ENOEXEC,
            "the fat binary has no PTX%s: compile with -gencode arch=compute_75,code=compute_75",
            found.cubin ? ", only machine code" : "");
        return WH_SOFT_NO_BINARY;
    }
    return unpack(&found, text, length, owned, error);
}
