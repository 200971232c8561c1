/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MD2 (RFC 1319), HMAC (RFC 2104) over it, and what is hashed with them: the caller of the check
 * hashes the same over what it sees of the API, and refuses a driver whose answer differs. Called
 * by export_table.c. Not for secrets: MD2 is long broken.
 */
#include "shim/cuda/integrity.h"

#include <string.h>

struct md2 {
    uint8_t state[WH_MD2_SIZE], checksum[WH_MD2_SIZE], block[WH_MD2_SIZE];
    size_t used; /* bytes in `block` */
};

/* RFC 1319, section 3.2: a permutation of the bytes made from the digits of pi. */
static const uint8_t pi[256] = {
    41,  46,  67,  201, 162, 216, 124, 1,   61,  54,  84,  161, 236, 240, 6,   19,  98,  167, 5,
    243, 192, 199, 115, 140, 152, 147, 43,  217, 188, 76,  130, 202, 30,  155, 87,  60,  253, 212,
    224, 22,  103, 66,  111, 24,  138, 23,  229, 18,  190, 78,  196, 214, 218, 158, 222, 73,  160,
    251, 245, 142, 187, 47,  238, 122, 169, 104, 121, 145, 21,  178, 7,   63,  148, 194, 16,  137,
    11,  34,  95,  33,  128, 127, 93,  154, 90,  144, 50,  39,  53,  62,  204, 231, 191, 247, 151,
    3,   255, 25,  48,  179, 72,  165, 181, 209, 215, 94,  146, 42,  172, 86,  170, 198, 79,  184,
    56,  210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4,   241, 69,  157, 112, 89,  100,
    113, 135, 32,  134, 91,  207, 101, 230, 45,  168, 2,   27,  96,  37,  173, 174, 176, 185, 246,
    28,  70,  97,  105, 52,  64,  126, 15,  85,  71,  163, 35,  221, 81,  175, 58,  195, 92,  249,
    206, 186, 197, 234, 38,  44,  83,  13,  110, 133, 40,  132, 9,   211, 223, 205, 244, 65,  129,
    77,  82,  106, 220, 55,  200, 108, 193, 171, 250, 36,  225, 123, 8,   12,  189, 177, 74,  120,
    136, 149, 139, 227, 99,  232, 109, 233, 203, 213, 254, 59,  0,   29,  57,  242, 239, 183, 14,
    102, 88,  208, 228, 166, 119, 114, 248, 235, 117, 75,  10,  49,  68,  80,  180, 143, 237, 31,
    26,  219, 153, 141, 51,  159, 17,  131, 20,
};

static const uint8_t check_key[WH_MD2_SIZE] = {
    0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52, 0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f,
};

/* RFC 1319, sections 3.2 and 3.4, for one block. */
static void mix_block(struct md2 *md2)
{
    uint8_t x[3 * WH_MD2_SIZE];
    for (size_t i = 0; i < WH_MD2_SIZE; i++) {
        x[i] = md2->state[i];
        x[WH_MD2_SIZE + i] = md2->block[i];
        x[2 * WH_MD2_SIZE + i] = md2->state[i] ^ md2->block[i];
    }
    uint8_t t = 0;
    for (uint8_t round = 0; round < 18; round++) {
        for (size_t k = 0; k < sizeof(x); k++)
            t = x[k] ^= pi[t];
        t = (uint8_t)(t + round);
    }
    memcpy(md2->state, x, WH_MD2_SIZE);

    uint8_t last = md2->checksum[WH_MD2_SIZE - 1];
    for (size_t i = 0; i < WH_MD2_SIZE; i++)
        last = md2->checksum[i] ^= pi[md2->block[i] ^ last];
    md2->used = 0;
}

static void add(struct md2 *md2, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size; i++) {
        md2->block[md2->used++] = from[i];
        if (md2->used == WH_MD2_SIZE)
            mix_block(md2);
    }
}

static void finish(struct md2 *md2, uint8_t digest[WH_MD2_SIZE])
{
    uint8_t missing = (uint8_t)(WH_MD2_SIZE - md2->used);
    uint8_t padding[WH_MD2_SIZE], checksum[WH_MD2_SIZE];
    memset(padding, missing, missing);
    add(md2, padding, missing);
    memcpy(checksum, md2->checksum, sizeof(checksum));
    add(md2, checksum, sizeof(checksum));
    memcpy(digest, md2->state, WH_MD2_SIZE);
}

void wh_md2(const void *bytes, size_t size, uint8_t digest[WH_MD2_SIZE])
{
    struct md2 md2 = {0};
    add(&md2, bytes, size);
    finish(&md2, digest);
}

/* RFC 2104: starts the inner (0x36) or the outer (0x5c) hash. */
static void begin_keyed(struct md2 *md2, uint8_t pad)
{
    uint8_t key[WH_MD2_SIZE];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = check_key[i] ^ pad;
    *md2 = (struct md2){0};
    add(md2, key, sizeof(key));
}

static void add_seen(struct md2 *md2, const struct wh_cuda_integrity *seen)
{
    add(md2, &seen->driver_version, sizeof(seen->driver_version));
    add(md2, &seen->version, sizeof(seen->version));
    add(md2, &seen->process, sizeof(seen->process));
    add(md2, &seen->thread, sizeof(seen->thread));
    add(md2, &seen->runtime_table, sizeof(seen->runtime_table));
    add(md2, &seen->check_table, sizeof(seen->check_table));
    add(md2, &seen->check_function, sizeof(seen->check_function));
    add(md2, &seen->seconds, sizeof(seen->seconds));
    for (size_t i = 0; i < seen->ndevices; i++) {
        const struct wh_cuda_integrity_device *device = &seen->devices[i];
        add(md2, device->uuid, sizeof(device->uuid));
        add(md2, &device->pci_domain, sizeof(device->pci_domain));
        add(md2, &device->pci_bus, sizeof(device->pci_bus));
        add(md2, &device->pci_device, sizeof(device->pci_device));
    }
}

void wh_cuda_integrity_answer(const struct wh_cuda_integrity *seen, uint64_t answer[2])
{
    if (seen->version % 10 < 2) {
        answer[0] = seen->version % 10 ? 0x1841181c03cb675cu : 0x3341181c03cb675cu;
        answer[1] = 0x8ed383aa1f4cd1e8u;
        return;
    }
    struct md2 md2;
    uint8_t digest[WH_MD2_SIZE];
    begin_keyed(&md2, 0x36);
    add_seen(&md2, seen);
    finish(&md2, digest);
    begin_keyed(&md2, 0x5c);
    add(&md2, digest, sizeof(digest));
    finish(&md2, digest);
    memcpy(answer, digest, sizeof(digest));
}
