/* SPDX-License-Identifier: Apache-2.0 */
/* The answer that the CUDA runtime library recognises a driver by: MD2 against its specification,
 * the rest against its own definition. */
#include "support.h"

#include "shim/cuda/integrity.h"

#include <stdio.h>
#include <string.h>

static void digest_text(const void *bytes, size_t size, char text[33])
{
    uint8_t digest[WH_MD2_SIZE];
    wh_md2(bytes, size, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

/* RFC 1319, appendix A.5. */
static void test_md2(void **state)
{
    static const struct {
        const char *text, *digest;
    } known[] = {
        {"", "8350e5a3e24c153df2275c9f80692773"},
        {"a", "32ec01ec4a6dac72c0ab96fb34c0b5d1"},
        {"abc", "da853b0d3f88d99b30283a69e6ded6bb"},
        {"message digest", "ab4f496bfb2a530b219ff33031fe06b0"},
        {"abcdefghijklmnopqrstuvwxyz", "4e8ddff3650292ab5a4108c3aa47940b"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         "da33def2a42df13975352846c30338cd"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "d5976f79d83d3a0dc9806c3c66f3efd8"},
    };
    char text[33];
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        digest_text(known[i].text, strlen(known[i].text), text);
        assert_string_equal(text, known[i].digest);
    }
}

static const struct wh_cuda_integrity_device two_devices[] = {
    {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, 0, 0x19, 0},
    {{0xff, 0xfe}, 1, 0x3b, 2},
};

static struct wh_cuda_integrity some(void)
{
    return (struct wh_cuda_integrity){
        .driver_version = 13000,
        .version = 13002,
        .process = 4711,
        .thread = 0xf79c1000u,
        .runtime_table = (const void *)(uintptr_t)0x7ffff6958240,
        .check_table = (const void *)(uintptr_t)0x7ffff6958220,
        .check_function = (const void *)(uintptr_t)0x7ffff2aaf4a0,
        .seconds = 0x682b9cee,
        .devices = two_devices,
        .ndevices = 2,
    };
}

static size_t append(uint8_t *to, size_t at, const void *bytes, size_t size)
{
    memcpy(to + at, bytes, size);
    return at + size;
}

/* HMAC (RFC 2104) with blocks of 16 bytes over what is seen, spelled out. */
static void test_is_a_keyed_digest(void **state)
{
    static const uint8_t key[] = {0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52,
                                  0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f};
    struct wh_cuda_integrity seen = some();
    uint8_t inner[512], outer[32];
    uint64_t answer[2];
    size_t n;
    (void)state;
    for (n = 0; n < 16; n++) {
        inner[n] = key[n] ^ 0x36;
        outer[n] = key[n] ^ 0x5c;
    }
    n = append(inner, n, (uint32_t[]){13000, 13002, 4711, 0xf79c1000u}, 16);
    n = append(inner, n, (uint64_t[]){0x7ffff6958240, 0x7ffff6958220, 0x7ffff2aaf4a0, 0x682b9cee},
               32);
    n = append(inner, n, two_devices[0].uuid, 16);
    n = append(inner, n, (int32_t[]){0, 0x19, 0}, 12);
    n = append(inner, n, two_devices[1].uuid, 16);
    n = append(inner, n, (int32_t[]){1, 0x3b, 2}, 12);
    wh_md2(inner, n, outer + 16);
    wh_md2(outer, 32, outer);
    wh_cuda_integrity_answer(&seen, answer);
    assert_memory_equal(answer, outer, sizeof(answer));
}

static void test_fixed_answers(void **state)
{
    struct wh_cuda_integrity seen = some();
    uint64_t answer[2];
    (void)state;
    seen.version = 13000;
    wh_cuda_integrity_answer(&seen, answer);
    assert_true(answer[0] == 0x3341181c03cb675c && answer[1] == 0x8ed383aa1f4cd1e8);
    seen.version = 12081;
    wh_cuda_integrity_answer(&seen, answer);
    assert_true(answer[0] == 0x1841181c03cb675c && answer[1] == 0x8ed383aa1f4cd1e8);
}

/* Whatever differs, the answer does. */
static void test_everything_counts(void **state)
{
    struct wh_cuda_integrity changed[10];
    uint64_t first[2], answer[2];
    (void)state;
    for (size_t i = 0; i < 10; i++)
        changed[i] = some();
    wh_cuda_integrity_answer(&changed[9], first);
    changed[0].driver_version++;
    changed[1].version++;
    changed[2].process++;
    changed[3].thread++;
    changed[4].runtime_table = &changed;
    changed[5].check_table = &changed;
    changed[6].check_function = &changed;
    changed[7].seconds++;
    changed[8].ndevices--;
    for (size_t i = 0; i < 9; i++) {
        wh_cuda_integrity_answer(&changed[i], answer);
        assert_true(answer[0] != first[0] && answer[1] != first[1]);
    }
    wh_cuda_integrity_answer(&changed[9], answer);
    assert_memory_equal(answer, first, sizeof(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_md2),
        cmocka_unit_test(test_is_a_keyed_digest),
        cmocka_unit_test(test_fixed_answers),
        cmocka_unit_test(test_everything_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
