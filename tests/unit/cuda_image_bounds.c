/* SPDX-License-Identifier: Apache-2.0 */
/* Code images as they arrive at the worker: only those that keep to their bytes go on. */
#include "backend/cuda/image.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Judged in memory of exactly its size, so that a sanitizer sees what is read beyond. */
static bool fits(const void *image, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, image, size);
    bool verdict = wh_cuda_image_fits(copy, size);
    free(copy);
    return verdict;
}

static void test_text(void **state)
{
    static const char text[] = ".version 8.0\n.target sm_75\n.address_size 64\n";
    (void)state;
    assert_true(fits(text, sizeof(text)));
    assert_false(fits(text, sizeof(text) - 1)); /* no zero at the end */
    assert_false(fits("", 1));
    assert_false(fits("", 0));
    assert_false(fits("\x01\x02\x03", 4));
    assert_false(fits("x", 1));
}

struct fatbin {
    uint32_t magic;
    uint16_t version, header_size;
    uint64_t rest;
    struct {
        uint16_t kind, version;
        uint32_t header_size;
        uint64_t size;
        uint8_t payload[24];
    } entry[2];
};

static struct fatbin good_fatbin(void)
{
    struct fatbin image = {.magic = 0xba55ed50, .version = 1, .header_size = 16};
    image.rest = sizeof(image) - 16;
    for (unsigned i = 0; i < 2; i++) {
        image.entry[i].header_size = 16;
        image.entry[i].size = sizeof(image.entry[i].payload);
    }
    return image;
}

static void test_fatbin(void **state)
{
    struct fatbin image = good_fatbin();
    (void)state;
    assert_true(fits(&image, sizeof(image)));
    for (size_t size = 0; size < sizeof(image); size++)
        assert_false(fits(&image, size));
    image.rest++;
    assert_false(fits(&image, sizeof(image)));
    image = good_fatbin();
    image.rest = UINT64_MAX - 15;
    assert_false(fits(&image, sizeof(image)));
    image = good_fatbin();
    image.header_size = 8;
    assert_false(fits(&image, sizeof(image)));
    image = good_fatbin();
    image.entry[1].size++;
    assert_false(fits(&image, sizeof(image)));
    image = good_fatbin();
    image.entry[0].size = UINT64_MAX - 15; /* would wrap round to its own start */
    assert_false(fits(&image, sizeof(image)));
    image = good_fatbin();
    image.entry[0].header_size = 0;
    image.entry[0].size = 0; /* would stand still */
    assert_false(fits(&image, sizeof(image)));
}

static void test_wrapper_never_fits(void **state)
{
    uint64_t wrapper[3] = {0x1466243b1ull, 0, 0};
    (void)state;
    assert_false(fits(wrapper, sizeof(wrapper)));
}

struct cubin {
    Elf64_Ehdr header;
    Elf64_Shdr section[2];
    Elf64_Phdr segment;
    uint8_t bytes[32];
};

static struct cubin good_cubin(void)
{
    struct cubin image = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
                   .e_machine = 190,
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_shoff = offsetof(struct cubin, section),
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = 2,
                   .e_shstrndx = 1,
                   .e_phoff = offsetof(struct cubin, segment),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 1}};
    image.section[1].sh_type = SHT_STRTAB;
    image.section[1].sh_offset = offsetof(struct cubin, bytes);
    image.section[1].sh_size = sizeof(image.bytes);
    image.segment.p_offset = offsetof(struct cubin, bytes);
    image.segment.p_filesz = sizeof(image.bytes);
    return image;
}

static void test_cubin(void **state)
{
    struct cubin image = good_cubin();
    (void)state;
    assert_true(fits(&image, sizeof(image)));
    for (size_t size = 0; size < sizeof(image); size++)
        assert_false(fits(&image, size));
    image.section[1].sh_size++;
    assert_false(fits(&image, sizeof(image)));
    image.section[1].sh_type = SHT_NOBITS; /* has no bytes in the file */
    assert_true(fits(&image, sizeof(image)));
    image = good_cubin();
    image.section[1].sh_offset = UINT64_MAX - 8;
    assert_false(fits(&image, sizeof(image)));
    image = good_cubin();
    image.header.e_shoff = UINT64_MAX - 64;
    assert_false(fits(&image, sizeof(image)));
    image = good_cubin();
    image.header.e_shstrndx = 2;
    assert_false(fits(&image, sizeof(image)));
    image = good_cubin();
    image.header.e_shentsize = 8;
    assert_false(fits(&image, sizeof(image)));
    image = good_cubin();
    image.segment.p_filesz = 33;
    assert_false(fits(&image, sizeof(image)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_fatbin),
        cmocka_unit_test(test_wrapper_never_fits),
        cmocka_unit_test(test_cubin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
