/* SPDX-License-Identifier: Apache-2.0 */
/* How long a code image is, by what nvcc makes (cuda_image/, named by the first argument) and by
 * what nobody should make. */
#include "support.h"

#include "shim/cuda/image.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

struct wrapper {
    uint32_t magic, version;
    const void *data;
    const void *const *parts;
};

struct file {
    uint8_t *bytes; /* with a NUL behind */
    size_t size;
};

static struct file load(const char *name)
{
    char path[4096];
    struct file file = {0};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    file.bytes = malloc(1 << 20);
    assert_non_null(file.bytes);
    file.size = fread(file.bytes, 1, (1 << 20) - 1, stream);
    assert_true(file.size > 0);
    fclose(stream);
    /* Exactly as long as it is: a sanitizer sees a look beyond. */
    file.bytes = realloc(file.bytes, file.size + 1);
    file.bytes[file.size] = 0;
    return file;
}

static void expect(const void *image, const void *bytes, size_t size)
{
    const void *found;
    size_t n;
    assert_true(wh_cuda_image_find(image, &found, &n));
    assert_ptr_equal(found, bytes);
    assert_int_equal(n, size);
}

static void refuse(const void *image)
{
    const void *found;
    size_t n;
    assert_false(wh_cuda_image_find(image, &found, &n));
}

static void test_files(void **state)
{
    static const char *const binaries[] = {"kernel.cubin", "kernel.fatbin"};
    struct file text = load("kernel.ptx");
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct file file = load(binaries[i]);
        expect(file.bytes, file.bytes, file.size);
        assert_false(wh_cuda_image_is_text(file.bytes));
        free(file.bytes);
    }
    expect(text.bytes, text.bytes, text.size + 1);
    assert_true(wh_cuda_image_is_text(text.bytes));
    free(text.bytes);
}

static void test_text(void **state)
{
    (void)state;
    expect("\n", "\n", 2);
    expect("x", "x", 2);
    expect(&"\xef\xbb\xbf.version"[3], &"\xef\xbb\xbf.version"[3], 9);
    refuse("");
    refuse("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f");
    refuse(NULL);
}

static void test_wrapper(void **state)
{
    struct file file = load("kernel.fatbin"), cubin = load("kernel.cubin");
    struct wrapper wrapper = {0x466243b1, 1, file.bytes, NULL};
    const void *bytes;
    size_t size;
    (void)state;
    expect(&wrapper, file.bytes, file.size);
    assert_false(wh_cuda_image_part(&wrapper, 0, &bytes, &size));
    for (wrapper.version = 0; wrapper.version < 5; wrapper.version++)
        if (wrapper.version != 1 && wrapper.version != 2)
            refuse(&wrapper);
    wrapper.version = 1;
    wrapper.data = NULL;
    refuse(&wrapper);
    wrapper.data = cubin.bytes; /* nvcc wraps fat binaries only */
    refuse(&wrapper);
    wrapper.data = &wrapper; /* and no wrappers */
    refuse(&wrapper);
    wrapper.data = file.bytes;
    wrapper.magic++;
    refuse(&wrapper);
    free(file.bytes);
    free(cubin.bytes);
}

/* What nvcc -rdc=true -code=compute_90 makes: the linked fat binary is empty, its parts are not. */
static void test_parts(void **state)
{
    static const struct {
        uint32_t magic;
        uint16_t version, header;
        uint64_t rest;
    } empty = {0xba55ed50, 1, 16, 0};
    struct file file = load("kernel.fatbin");
    const void *const parts[] = {file.bytes, &empty, NULL};
    struct wrapper wrapper = {0x466243b1, 2, &empty, parts};
    const void *bytes;
    size_t size;
    (void)state;
    expect(&wrapper, &empty, 16);
    assert_true(wh_cuda_image_part(&wrapper, 0, &bytes, &size));
    assert_ptr_equal(bytes, file.bytes);
    assert_int_equal(size, file.size);
    assert_true(wh_cuda_image_part(&wrapper, 1, &bytes, &size));
    assert_int_equal(size, 16);
    assert_false(wh_cuda_image_part(&wrapper, 2, &bytes, &size));
    assert_false(wh_cuda_image_part(&wrapper, 3, &bytes, &size));
    assert_false(wh_cuda_image_part(file.bytes, 0, &bytes, &size));
    wrapper.parts = NULL;
    assert_false(wh_cuda_image_part(&wrapper, 0, &bytes, &size));
    free(file.bytes);
}

static void test_bad_fatbins(void **state)
{
    struct file file = load("kernel.fatbin");
    uint16_t header;
    uint64_t rest;
    (void)state;
    memcpy(&header, file.bytes + 6, sizeof(header));
    header = (uint16_t)(header - 1);
    memcpy(file.bytes + 6, &header, sizeof(header));
    refuse(file.bytes);
    header = (uint16_t)(header + 1);
    memcpy(file.bytes + 6, &header, sizeof(header));
    rest = UINT64_MAX - 8;
    memcpy(file.bytes + 8, &rest, sizeof(rest));
    refuse(file.bytes);
    rest = 1ull << 40;
    memcpy(file.bytes + 8, &rest, sizeof(rest));
    refuse(file.bytes);
    free(file.bytes);
}

/* Changes one field of the ELF header. */
static void refuse_elf(const struct file *good, void (*spoil)(Elf64_Ehdr *header))
{
    uint8_t *copy = malloc(good->size);
    assert_non_null(copy);
    memcpy(copy, good->bytes, good->size);
    spoil((Elf64_Ehdr *)(void *)copy);
    refuse(copy);
    free(copy);
}

static void spoil_class(Elf64_Ehdr *header)
{
    header->e_ident[EI_CLASS] = ELFCLASS32;
}

static void spoil_order(Elf64_Ehdr *header)
{
    header->e_ident[EI_DATA] = ELFDATA2MSB;
}

static void spoil_machine(Elf64_Ehdr *header)
{
    header->e_machine = EM_X86_64;
}

static void spoil_section_size(Elf64_Ehdr *header)
{
    header->e_shentsize--;
}

static void spoil_sections(Elf64_Ehdr *header)
{
    header->e_shoff = UINT64_MAX - 32;
}

static void spoil_segment_size(Elf64_Ehdr *header)
{
    header->e_phentsize = 8;
}

static void spoil_first_section(Elf64_Ehdr *header)
{
    Elf64_Shdr *sections = (Elf64_Shdr *)(void *)((uint8_t *)header + header->e_shoff);
    sections[1].sh_size = UINT64_MAX - sections[1].sh_offset + 1;
}

static void test_bad_elves(void **state)
{
    struct file file = load("kernel.cubin");
    (void)state;
    refuse_elf(&file, spoil_class);
    refuse_elf(&file, spoil_order);
    refuse_elf(&file, spoil_machine);
    refuse_elf(&file, spoil_section_size);
    refuse_elf(&file, spoil_sections);
    refuse_elf(&file, spoil_segment_size);
    refuse_elf(&file, spoil_first_section);
    free(file.bytes);
}

/* A section that takes no place in the file does not make it longer. */
static void test_empty_sections(void **state)
{
    struct file file = load("kernel.cubin");
    Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)file.bytes;
    Elf64_Shdr *sections = (Elf64_Shdr *)(void *)(file.bytes + header->e_shoff);
    size_t spoiled = 0;
    (void)state;
    for (size_t i = 0; i < header->e_shnum; i++)
        if (sections[i].sh_type == SHT_NOBITS) {
            sections[i].sh_size = 1ull << 30;
            spoiled++;
        }
    assert_true(spoiled > 0);
    expect(file.bytes, file.bytes, file.size);
    free(file.bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),          cmocka_unit_test(test_text),
        cmocka_unit_test(test_wrapper),        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_bad_fatbins),    cmocka_unit_test(test_bad_elves),
        cmocka_unit_test(test_empty_sections),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
