/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA clients whose code lies: images that say to be longer than they are, pieces that do not fit
 * together, options that hold addresses, inputs of the linker, absurd launches. Run by meson.
 */
#include "cuda_support.h"

#include <stdio.h>
#include <string.h>

/* ---- code ---- */

static void false_images(void **state)
{
    struct cuda_session session;
    (void)state;
    cuda_begin(&session);
    const struct {
        uint32_t magic, version;
        uint64_t data, files;
    } wrapper = {0x466243b1, 1, session.memory, 0};
    const uint32_t fatbins[][8] = {
        {0xba55ed50, 0x00100001, 64, 0},                   /* more than arrived */
        {0xba55ed50, 0x00100001, ~0u, ~0u},                /* a size that wraps */
        {0xba55ed50, 0xffff0001, 16, 0},                   /* a header too long */
        {0xba55ed50, 0x00100001, 16, 0, 0x01010001, 8, 0}, /* an entry's header too short */
        {0xba55ed50, 0x00100001, 16, 0, 0x01010001, 16, ~0u, ~0u},
    };
    uint8_t elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    assert_int_not_equal(cuda_load(&session, &wrapper, sizeof(wrapper), 1000), 0);
    for (size_t i = 0; i < sizeof(fatbins) / sizeof(*fatbins); i++)
        assert_int_not_equal(cuda_load(&session, fatbins[i], sizeof(fatbins[i]), 1000), 0);
    assert_int_not_equal(cuda_load(&session, elf, sizeof(elf), 1000), 0);
    for (size_t i = 16; i < sizeof(elf); i++) { /* offsets and counts far beyond its end */
        memset(elf + 16, 0, sizeof(elf) - 16);
        memset(elf + i, 0x7f, sizeof(elf) - i);
        assert_int_not_equal(cuda_load(&session, elf, sizeof(elf), 1000), 0);
    }
    /* Text that does not end; a good one cut anywhere. */
    assert_int_not_equal(cuda_load(&session, cuda_ptx, 40, 1000), 0);
    char cut[1024] = "";
    for (size_t i = 1; i < strlen(cuda_ptx) - 1; i += 7) {
        (void)snprintf(cut, sizeof(cut), "%.*s", (int)i, cuda_ptx);
        cuda_load(&session, cut, i + 1, (uint32_t)(2000 + i)); /* some of them are modules */
    }
    assert_int_equal(cuda_load(&session, cuda_ptx, strlen(cuda_ptx) + 1, 1000), 0);
    cuda_close(&session);
    cuda_expect_neighbour();
}

static void lies_about_images(void **state)
{
    const struct {
        uint64_t total, at, size;
        int32_t answer;
    } parts[] = {
        {64, 1, 1, INT32_MAX},
        {64, 0, 65, INT32_MAX},
        {64, ~0ull, 2, INT32_MAX},
        {~0ull, 0, 64, CUDA_ERROR_OUT_OF_MEMORY},
        {1ull << 63, 0, 64, CUDA_ERROR_OUT_OF_MEMORY},
    };
    struct cuda_session session;
    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        cuda_begin(&session);
        assert_int_equal(
            CUDA_ASK(&session, wh_image_part, 5, parts[i].total, parts[i].at, parts[i].size, 0),
            parts[i].answer);
        if (parts[i].answer == INT32_MAX)
            cuda_expect_end(&session, "an image", "an image's pieces do not fit together");
        else
            cuda_close(&session);
    }
    /* More images on their way than anybody needs. */
    cuda_begin(&session);
    int32_t status = 0;
    for (uint64_t i = 0; i < 100 && status == 0; i++)
        status = CUDA_ASK(&session, wh_image_part, 100 + i, 1u << 30, 0, 1, 0);
    assert_int_equal(status, CUDA_ERROR_OUT_OF_MEMORY);
    /* An image that is not whole, and one that never came. */
    assert_int_equal(CUDA_ASK(&session, wh_load_module, 100, 0, 0, 0, 0, 0, 0, 0, true, 1000),
                     INT32_MAX);
    cuda_expect_end(&session, "a part of an image", "a module's image is not there");
    cuda_begin(&session);
    assert_int_equal(CUDA_ASK(&session, wh_load_library, 5, 0, 0, 0, 0, 0, 0, 0, true, 1000),
                     INT32_MAX);
    cuda_expect_end(&session, "no image", "a module's image is not there");
    cuda_expect_neighbour();
}

/* Options that hold addresses never reach the driver. */
static void addresses_in_options(void **state)
{
    static const uint32_t names[] = {CU_JIT_INFO_LOG_BUFFER,
                                     CU_JIT_ERROR_LOG_BUFFER,
                                     CU_JIT_WALL_TIME,
                                     CU_JIT_GLOBAL_SYMBOL_NAMES,
                                     CU_JIT_GLOBAL_SYMBOL_ADDRESSES,
                                     CU_JIT_REFERENCED_KERNEL_NAMES,
                                     CU_JIT_REFERENCED_VARIABLE_NAMES};
    const uint64_t address = 0x10000;
    struct cuda_session session;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        cuda_begin(&session);
        uint8_t *arena = session.shm->channel.arena;
        memcpy(arena, cuda_ptx, strlen(cuda_ptx) + 1);
        size_t size = strlen(cuda_ptx) + 1;
        assert_int_not_equal(CUDA_ASK(&session, wh_link_create, 1, (uintptr_t)&names[i],
                                      (uintptr_t)&address, 0, 0, 1000),
                             0);
        assert_int_not_equal(CUDA_ASK(&session, wh_link_add, WH_CUDA_TYPE_CUlinkState,
                                      CU_JIT_INPUT_PTX, size, 0, 0, 1, (uintptr_t)&names[i],
                                      (uintptr_t)&address),
                             0);
        assert_int_equal(CUDA_ASK(&session, wh_image_part, 5, size, 0, size, 0), 0);
        assert_int_equal(CUDA_ASK(&session, wh_load_module, 5, 1, (uintptr_t)&names[i],
                                  (uintptr_t)&address, 0, 0, 0, 0, true, 1000),
                         INT32_MAX);
        cuda_expect_end(&session, "an option", "an option of a loader may not cross");
    }
    cuda_expect_neighbour();
}

static void lies_to_the_linker(void **state)
{
    struct cuda_liar s = {.what = "a linker's input"};
    const uint64_t link = WH_CUDA_TYPE_CUlinkState;
    (void)state;
    cuda_begin(&s.session);
    uint8_t *arena = s.session.shm->channel.arena;
    for (uint64_t type = 0; type < 8; type++) {
        const uint64_t linker = 2000 + type;
        (void)snprintf(s.what, sizeof(s.what), "a linker's input of type %u", (unsigned)type);
        assert_int_equal(CUDA_ASK(&s.session, wh_link_create, 0, 0, 0, 64, 64, linker), 0);
        memset(arena, type == CU_JIT_INPUT_PTX ? 'x' : 0, 64); /* no text is a module, too */
        (void)CUDA_ASK(&s.session, wh_link_add, linker, type, 64, 0, (uintptr_t) "../../x", 0, 0,
                       0);
        memcpy(arena, "\x50\xed\x55\xba\x01\x00\x10\x00\xff\xff\xff\xff", 12);
        (void)CUDA_ASK(&s.session, wh_link_add, linker, type, 64, 0, 0, 0, 0, 0);
        cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_link_complete, linker, true));
        cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_link_read, linker, 0, 1, 0));
    }
    cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_link_add, link, 1, 0, 0, 0, 0, 0, 0));
    cuda_expect_refused(&s,
                        CUDA_ASK(&s.session, wh_link_read, link, 0, 64, 0)); /* nothing linked */
    cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_link_create, 0, 0, 0, 1u << 31, 64, 1000));
    /* What was linked ends where it ends. */
    const size_t size = strlen(cuda_ptx) + 1;
    memcpy(arena, cuda_ptx, size);
    assert_int_equal(CUDA_ASK(&s.session, wh_link_create, 0, 0, 0, 64, 64, 1001), 0);
    assert_int_equal(CUDA_ASK(&s.session, wh_link_add, 1001, CU_JIT_INPUT_PTX, size, 0, 0, 0, 0, 0),
                     0);
    assert_int_equal(CUDA_ASK(&s.session, wh_link_complete, 1001, true), 0);
    const uint64_t linked = s.session.reply[2];
    assert_int_equal(CUDA_ASK(&s.session, wh_link_read, 1001, 0, linked, 0), 0);
    cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_link_read, 1001, 1, linked, 0));
    cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_link_read, 1001, ~0ull, 2, 0));
    cuda_close(&s.session);
    cuda_expect_neighbour();
}

/* ---- launches ---- */

static void absurd_launches(void **state)
{
    static const wh_cuda_grid grids[] = {
        {{0, 1, 1}, {1, 1, 1}, 0, 0},    {{1, 1, 1}, {0, 1, 1}, 0, 0},
        {{1, 1, 1}, {1025, 1, 1}, 0, 0}, {{1, 1, 1}, {1u << 31, 1u << 31, 4}, 0, 0},
        {{1, 1, 1}, {1, 1, 1}, ~0u, 0},  {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}, ~0u, ~0u},
    };
    static const uint64_t params[40];
    const uint64_t function = WH_CUDA_TYPE_CUfunction;
    struct cuda_liar s = {.what = "an absurd launch"};
    (void)state;
    cuda_begin(&s.session);
    for (size_t i = 0; i < sizeof(grids) / sizeof(*grids); i++)
        cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_launch, function, 0, (uintptr_t)&grids[i],
                                         0, 0, 0, 0, 12, (uintptr_t)params));
    /* Too few parameters, too many, none at all. */
    const wh_cuda_grid grid = {.grid = {1, 1, 1}, .block = {1, 1, 1}};
    for (uint64_t size = 0; size < 12; size += 3)
        cuda_expect_refused(&s, CUDA_ASK(&s.session, wh_launch, function, 0, (uintptr_t)&grid, 0, 0,
                                         0, 0, size, (uintptr_t)params));
    /* Attributes of every kind, of zeros and of ones, and without what should lie beside them. */
    const uint64_t no_event = 0;
    for (uint32_t id = 0; id < 32; id++)
        for (int ones = 0; ones < 2; ones++) {
            CUlaunchAttribute attribute;
            memset(&attribute, ones ? 0xff : 0, sizeof(attribute));
            attribute.id = id;
            int32_t status =
                CUDA_ASK(&s.session, wh_launch, function, 0, (uintptr_t)&grid, 0, 1,
                         (uintptr_t)&attribute, (uintptr_t)&no_event, 12, (uintptr_t)params);
            assert_int_not_equal(status, INT32_MAX); /* some are good ones */
            cuda_expect_refused(&s,
                                CUDA_ASK(&s.session, wh_launch, function, 0, (uintptr_t)&grid, 0, 1,
                                         (uintptr_t)&attribute, 0, 12, (uintptr_t)params));
        }
    cuda_close(&s.session);
    cuda_expect_neighbour();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_images),         cmocka_unit_test(lies_about_images),
        cmocka_unit_test(addresses_in_options), cmocka_unit_test(lies_to_the_linker),
        cmocka_unit_test(absurd_launches),
    };
    return cmocka_run_group_tests(tests, cuda_server_start, cuda_server_stop);
}
