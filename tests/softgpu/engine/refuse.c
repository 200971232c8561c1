/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that must be refused, with the status and the words that a user needs; and what is special
 * about images: fat binaries packed in every way, several images joined, kernels that cannot run
 * beside those that can.
 */
#include "memory.h"

#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static int teardown(void **state)
{
    (void)state;
    test_memory_end();
    return 0;
}

#define HEADER ".version 8.0\n.target sm_75\n.address_size 64\n"
#define KERNEL ".visible .entry k(.param .u64 p)\n{\n"

static enum wh_soft_status load_bytes(const void *bytes, size_t size,
                                      struct wh_soft_module **module, struct wh_error *error)
{
    /* Exactly as large as it says, so that a sanitizer sees what reads past it. */
    void *copy = malloc(size ? size : 1);
    const void *image = copy;
    assert_non_null(copy);
    if (size)
        memcpy(copy, bytes, size);
    memset(error, 0, sizeof(*error));
    enum wh_soft_status status = wh_soft_load(&test_memory, &image, &size, 1, module, error);
    free(copy);
    assert_true((status == WH_SOFT_OK) == (*module != NULL));
    return status;
}

static void refused(const char *text, enum wh_soft_status expected, const char *words)
{
    struct wh_soft_module *module = NULL;
    struct wh_error error;
    enum wh_soft_status status = load_bytes(text, strlen(text), &module, &error);
    if (status != expected || !strstr(error.text, words))
        print_error("status %d, '%s' for:\n%s\n", (int)status, error.text, text);
    assert_int_equal(status, expected);
    assert_non_null(strstr(error.text, words));
}

static void bad_texts(void **state)
{
    (void)state;
    refused("", WH_SOFT_INVALID_IMAGE, "neither PTX");
    refused("hello", WH_SOFT_INVALID_IMAGE, "neither PTX");
    refused(".version 8.0\n", WH_SOFT_INVALID_PTX, ".target expected");
    refused(HEADER KERNEL "add.u32 %r1, %r2, 3;\nret;\n}\n", WH_SOFT_INVALID_PTX,
            "line 6: '%r2' is not declared");
    refused(HEADER KERNEL ".reg .b32 %r<3>;\nadd.u32 %r1, %r3, 3;\n}\n", WH_SOFT_INVALID_PTX,
            "line 7: '%r3' is not declared");
    refused(HEADER KERNEL ".reg .b64 %r<3>;\nadd.u32 %r1, %r2, 3;\n}\n", WH_SOFT_INVALID_PTX,
            "line 7: add.u32: register of 64");
    refused(HEADER KERNEL ".reg .b32 %r<3>;\nadd.u32 %r1, 3;\n}\n", WH_SOFT_INVALID_PTX,
            "line 7: add.u32 has 2 operands");
    refused(HEADER KERNEL "bra nowhere;\n}\n", WH_SOFT_INVALID_PTX,
            "line 6: there is no label 'nowhere'");
    refused(HEADER KERNEL "{ inner: ret; }\nbra inner;\n}\n", WH_SOFT_INVALID_PTX,
            "no label 'inner'");
    refused(HEADER KERNEL "a: ret; a: ret;\n}\n", WH_SOFT_INVALID_PTX, "'a' is declared twice");
    refused(HEADER KERNEL "ret\n}\n", WH_SOFT_INVALID_PTX, "line 7: an operand expected");
    refused(HEADER KERNEL "ret;\n", WH_SOFT_INVALID_PTX, "'}' expected");
    refused(HEADER KERNEL ".reg .b64 %d<2>;\nld.param.u64 %d1, [p+4];\n}\n", WH_SOFT_INVALID_PTX,
            "bytes 4 to 12 of parameter p");
    refused(HEADER KERNEL "mov.u64 1, 2;\n}\n", WH_SOFT_INVALID_PTX, "line 6");
    refused(HEADER KERNEL "mov.u32 %tid.x, 2;\n}\n", WH_SOFT_INVALID_PTX, "line 6");
    refused(HEADER ".global .b8 x[2] = {1, 2, 3};\n", WH_SOFT_INVALID_PTX, "more initial values");
    refused(HEADER ".global .b8 x[99999999999];\n", WH_SOFT_INVALID_PTX, "array of more than");
    refused(HEADER ".global .b8 x[65536][65536];\n", WH_SOFT_INVALID_PTX, "array of more than");
    refused(HEADER ".global .align 3 .b8 x[2];\n", WH_SOFT_INVALID_PTX, "alignment 3");
    refused(HEADER ".shared .b8 x[2000000];\n", WH_SOFT_INVALID_PTX, "2000000 bytes");
    refused(HEADER ".global .samplerref s;\n", WH_SOFT_INVALID_PTX, "samplers");
    refused(HEADER ".shared .texref t;\n", WH_SOFT_INVALID_PTX, "variables of the module");
    refused(".version 8.0\n.target sm_75\n.address_size 32\n", WH_SOFT_INVALID_PTX,
            "addresses of 32 bits");
    refused(HEADER ".global .b8 x = {{{{{{{{{{1}}}}}}}}}};\n", WH_SOFT_INVALID_PTX,
            "nest too deep");
}

static void unsupported(void **state)
{
    static const char both[] =
        HEADER ".entry bad()\n{\nwgmma.fence.sync.aligned;\nret;\n}\n.entry good()\n{\nret;\n}\n";
    struct wh_soft_module *module;
    struct wh_error error;
    (void)state;
    refused(HEADER KERNEL "frobnicate.u32 %r1, [x, {y}];\nret;\n}\n", WH_SOFT_UNSUPPORTED_PTX,
            "line 6: instruction frobnicate.u32: not supported");
    refused(HEADER ".func f()\n{\nwgmma.commit_group.sync.aligned;\n}\n" KERNEL
                   "call f;\nret;\n}\n",
            WH_SOFT_UNSUPPORTED_PTX, "line 6: instruction wgmma.commit_group");
    /* One kernel that can run is enough; the other one is refused as it is started. */
    assert_int_equal(load_bytes(both, strlen(both), &module, &error), WH_SOFT_OK);
    assert_int_equal(test_launch(module, "good", 1, 1, 0, NULL).code, 0);
    struct wh_soft_fault fault = test_launch(module, "bad", 1, 1, 0, NULL);
    assert_int_equal(fault.code, 801);
    assert_non_null(strstr(fault.text, "wgmma.fence"));
    wh_soft_unload(module);
}

static void unresolved(void **state)
{
    (void)state;
    refused(HEADER ".extern .func f();\n" KERNEL "call f;\nret;\n}\n", WH_SOFT_UNRESOLVED, "'f'");
    refused(HEADER ".extern .global .u32 x;\n" KERNEL ".reg .b64 %d<2>;\nmov.u64 %d1, x;\n}\n",
            WH_SOFT_UNRESOLVED, "'x'");
}

static void joined(void **state)
{
    static const char one[] = HEADER
        ".extern .func (.param .b32 r) f(.param .b32 x);\n.extern .global .u32 g;\n"
        ".entry k(.param .u64 p)\n{\n.reg .b32 %r<3>;\n.reg .b64 %d<2>;\nld.param.u64 %d1, [p];\n"
        "{ .param .b32 a; .param .b32 b; ld.global.u32 %r0, [g]; st.param.b32 [a], %r0;\n"
        "call (b), f, (a); ld.param.b32 %r1, [b]; }\nst.global.u32 [%d1], %r1;\nret;\n}\n";
    static const char two[] = HEADER
        ".visible .global .u32 g = 20;\n.visible .func (.param .b32 r) f(.param .b32 x)\n{\n"
        ".reg .b32 %r<3>;\nld.param.b32 %r1, [x];\nadd.u32 %r1, %r1, 1;\nst.param.b32 [r], %r1;\nret;\n}\n";
    const void *images[] = {one, two, two};
    const size_t sizes[] = {sizeof(one), sizeof(two), sizeof(two)};
    struct wh_soft_module *module;
    struct wh_error error;
    uint32_t *out = test_allocate(4);
    (void)state;
    assert_int_equal(wh_soft_load(&test_memory, images, sizes, 2, &module, &error), WH_SOFT_OK);
    assert_int_equal(LAUNCH(module, "k", 1, 1, (uint64_t)(uintptr_t)out).code, 0);
    assert_int_equal(*out, 21);
    wh_soft_unload(module);
    assert_int_equal(wh_soft_load(&test_memory, images, sizes, 3, &module, &error),
                     WH_SOFT_INVALID_PTX);
    assert_non_null(strstr(error.text, "defined in two images"));
    assert_int_equal(wh_soft_load(&test_memory, images, sizes, 1, &module, &error),
                     WH_SOFT_UNRESOLVED);
}

/* ---- fat binaries ---- */

struct entry {
    uint16_t kind, version;
    uint32_t header_size;
    uint64_t size;
    uint32_t packed_size, options;
    uint16_t minor, major;
    uint32_t arch, name_at, name_size;
    uint64_t flags, zero, unpacked_size;
};

#define TEXT HEADER ".entry k()\n{\nret;\n}\n"
enum { PLAIN = 0x11, LZ4 = 0x2011, ZSTD = 0x8011 };

static size_t make_fatbin(uint8_t *image, uint64_t flags, uint64_t unpacked)
{
    uint32_t magic = 0xba55ed50;
    uint16_t words[2] = {1, 16};
    char packed[4096];
    size_t size = sizeof(TEXT);
    if (flags == ZSTD)
        size = ZSTD_compress(packed, sizeof(packed), TEXT, size, 3);
    else if (flags == LZ4)
        size = (size_t)LZ4_compress_default(TEXT, packed, (int)size, sizeof(packed));
    else
        memcpy(packed, TEXT, size);
    struct entry entry = {.kind = 1,
                          .version = 0x101,
                          .header_size = sizeof(entry),
                          .size = size,
                          .flags = flags,
                          .arch = 75};
    entry.packed_size = flags == PLAIN ? 0 : (uint32_t)size;
    entry.unpacked_size = unpacked;
    uint64_t whole = sizeof(entry) + size;
    memcpy(image, &magic, 4);
    memcpy(image + 4, words, 4);
    memcpy(image + 8, &whole, 8);
    memcpy(image + 16, &entry, sizeof(entry));
    memcpy(image + 16 + sizeof(entry), packed, size);
    return 16 + (size_t)whole;
}

static void fatbins(void **state)
{
    static const uint64_t kinds[] = {PLAIN, LZ4, ZSTD};
    uint8_t image[8192];
    struct wh_soft_module *module;
    struct wh_error error;
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        size_t size = make_fatbin(image, kinds[i], sizeof(TEXT));
        assert_int_equal(load_bytes(image, size, &module, &error), WH_SOFT_OK);
        assert_non_null(wh_soft_find_kernel(module, "k"));
        wh_soft_unload(module);
        for (size_t cut = 4; cut < size; cut++) /* none of its beginnings is whole */
            assert_int_equal(load_bytes(image, cut, &module, &error), WH_SOFT_INVALID_IMAGE);
    }
}

static void lying_fatbins(void **state)
{
    static const uint64_t sizes[] = {
        0,          1,         sizeof(TEXT) - 1, sizeof(TEXT) + 1, 64u << 20, (64u << 20) + 1,
        UINT32_MAX, UINT64_MAX};
    uint8_t image[8192];
    struct wh_soft_module *module;
    struct wh_error error;
    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(load_bytes(image, make_fatbin(image, ZSTD, sizes[i]), &module, &error),
                         WH_SOFT_INVALID_IMAGE);
        assert_int_equal(load_bytes(image, make_fatbin(image, LZ4, sizes[i]), &module, &error),
                         WH_SOFT_INVALID_IMAGE);
    }
    size_t size = make_fatbin(image, PLAIN, 0);
    image[16] = 2; /* machine code alone */
    assert_int_equal(load_bytes(image, size, &module, &error), WH_SOFT_NO_BINARY);
    assert_non_null(strstr(error.text, "only machine code"));
    make_fatbin(image, PLAIN, 0);
    memset(image + 16 + 8, 0xff, 8); /* the entry's size */
    assert_int_equal(load_bytes(image, size, &module, &error), WH_SOFT_INVALID_IMAGE);
    make_fatbin(image, PLAIN, 0);
    memset(image + 16 + 4, 0, 4); /* the size of its header */
    assert_int_equal(load_bytes(image, size, &module, &error), WH_SOFT_INVALID_IMAGE);
}

/* Megabytes of zeros in a few bytes: within the limit they are text that is not PTX, past it they
 * are not unpacked. */
static void bomb(void **state)
{
    size_t length = 32u << 20, size = 1u << 20;
    uint8_t *image = malloc(size + 80), *zeros = calloc(1, length);
    struct wh_soft_module *module;
    struct wh_error error;
    (void)state;
    assert_non_null(image);
    assert_non_null(zeros);
    make_fatbin(image, ZSTD, length);
    size = ZSTD_compress(image + 80, size, zeros, length, 1);
    uint64_t whole = 64 + size;
    uint32_t packed = (uint32_t)size;
    memcpy(image + 8, &whole, 8);
    memcpy(image + 16 + 8, &size, 8);
    memcpy(image + 16 + 16, &packed, 4);
    assert_int_equal(load_bytes(image, 80 + size, &module, &error), WH_SOFT_INVALID_PTX);
    length = 1ull << 40;
    memcpy(image + 16 + 56, &length, 8);
    assert_int_equal(load_bytes(image, 80 + size, &module, &error), WH_SOFT_INVALID_IMAGE);
    free(image);
    free(zeros);
}

static void cubins(void **state)
{
    uint8_t image[256] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    struct wh_soft_module *module;
    struct wh_error error;
    (void)state;
    for (size_t size = 4; size < sizeof(image); size++)
        assert_int_equal(load_bytes(image, size, &module, &error), WH_SOFT_INVALID_IMAGE);
}

/* Every beginning of a real text is refused or loads, and nothing is read past it. */
static void beginnings(void **state)
{
    size_t size;
    char *text = test_read("engine.ptx", &size);
    struct wh_soft_module *module;
    struct wh_error error;
    (void)state;
    for (size_t cut = 0; cut < size; cut += 97)
        if (load_bytes(text, cut, &module, &error) == WH_SOFT_OK)
            wh_soft_unload(module);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_texts), cmocka_unit_test(unsupported), cmocka_unit_test(unresolved),
        cmocka_unit_test(joined),    cmocka_unit_test(fatbins),     cmocka_unit_test(lying_fatbins),
        cmocka_unit_test(bomb),      cmocka_unit_test(cubins),      cmocka_unit_test(beginnings),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
