/* SPDX-License-Identifier: Apache-2.0 */
/* The client's arena allocator, against a model that marks every 64 bytes it gave out. */
#include "support.h"

#include "client/arena.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SIZE  (4u << 20)
#define UNIT  64u
#define UNITS (SIZE / UNIT)
#define MOST  600u

static uint8_t *base;

static int map_base(void **state)
{
    (void)state;
    base = aligned_alloc(4096, SIZE);
    return base ? 0 : -1;
}

static int free_base(void **state)
{
    (void)state;
    free(base);
    return 0;
}

static struct wh_arena *new_arena(void)
{
    struct wh_arena *arena = wh_arena_new(base, SIZE, false);
    assert_non_null(arena);
    return arena;
}

/* Everything is one free block again. */
static void expect_whole(struct wh_arena *arena)
{
    const struct wh_block *block = wh_arena_allocate(arena, SIZE, UNIT);
    assert_non_null(block);
    assert_int_equal(block->offset, 0);
    assert_int_equal(block->size, SIZE);
    assert_null(wh_arena_allocate(arena, 1, UNIT));
    wh_arena_release(arena, block);
}

static void test_whole_and_nothing(void **state)
{
    struct wh_arena *arena = new_arena();
    (void)state;
    expect_whole(arena);
    assert_null(wh_arena_allocate(arena, SIZE + 1, UNIT));
    assert_null(wh_arena_allocate(arena, UINT64_MAX, UNIT));
    assert_null(wh_arena_allocate(arena, UINT64_MAX - 63, UNIT));
    assert_null(wh_arena_allocate(arena, UINT64_MAX / 2 + 1, UNIT));
    assert_null(wh_arena_allocate(arena, UINT64_MAX / 2, UNIT));
    wh_arena_release(arena, NULL);
    const struct wh_block *least = wh_arena_allocate(arena, 0, UNIT);
    assert_non_null(least);
    assert_int_equal(least->size, UNIT);
    wh_arena_release(arena, least);
    expect_whole(arena);
    wh_arena_free(arena);
}

static void test_addresses(void **state)
{
    struct wh_arena *arena = new_arena();
    const struct wh_block *a = wh_arena_allocate(arena, 100, UNIT),
                          *b = wh_arena_allocate(arena, 100, 4096);
    (void)state;
    assert_ptr_equal(wh_arena_address(arena, a), base + a->offset);
    assert_int_equal((uintptr_t)wh_arena_address(arena, b) % 4096, 0);
    wh_arena_release(arena, a);
    wh_arena_release(arena, b);
    wh_arena_free(arena);
}

static void test_every_alignment(void **state)
{
    struct wh_arena *arena = new_arena();
    const struct wh_block *blocks[16];
    unsigned n = 0;
    (void)state;
    const struct wh_block *first =
        wh_arena_allocate(arena, 1, UNIT); /* so that offset 0 is taken */
    for (uint64_t align = UNIT; align <= SIZE / 4; align *= 2) {
        blocks[n] = wh_arena_allocate(arena, 10, align);
        assert_non_null(blocks[n]);
        assert_int_equal(blocks[n]->offset % align, 0);
        n++;
    }
    assert_null(wh_arena_allocate(arena, 10, SIZE)); /* only offset 0 is so aligned */
    while (n > 0)
        wh_arena_release(arena, blocks[--n]);
    wh_arena_release(arena, first);
    expect_whole(arena);
    wh_arena_free(arena);
}

/* Neighbours join whichever goes first: before, behind, between. */
static void test_joining(void **state)
{
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct wh_arena *arena = new_arena();
        const struct wh_block *blocks[3];
        for (unsigned k = 0; k < 3; k++)
            blocks[k] = wh_arena_allocate(arena, SIZE / 4, UNIT);
        for (unsigned k = 0; k < 3; k++)
            wh_arena_release(arena, blocks[orders[i][k]]);
        expect_whole(arena);
        wh_arena_free(arena);
    }
}

static void test_exhaustion(void **state)
{
    static const struct wh_block *blocks[UNITS];
    struct wh_arena *arena = new_arena();
    (void)state;
    for (unsigned i = 0; i < UNITS; i++) {
        blocks[i] = wh_arena_allocate(arena, UNIT, UNIT);
        assert_non_null(blocks[i]);
    }
    assert_null(wh_arena_allocate(arena, 1, UNIT));
    for (unsigned i = 0; i < UNITS; i += 2) /* room for half, but in no two neighbours */
        wh_arena_release(arena, blocks[i]);
    assert_null(wh_arena_allocate(arena, UNIT + 1, UNIT));
    const struct wh_block *again = wh_arena_allocate(arena, UNIT, UNIT);
    assert_non_null(again);
    wh_arena_release(arena, again);
    for (unsigned i = 1; i < UNITS; i += 2)
        wh_arena_release(arena, blocks[i]);
    expect_whole(arena);
    wh_arena_free(arena);
}

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

/* Marks the units of a block; none may be marked already. */
static void mark(uint8_t *units, const struct wh_block *block, uint8_t from, uint8_t to)
{
    assert_int_equal(block->offset % UNIT, 0);
    assert_int_equal(block->size % UNIT, 0);
    assert_true(block->offset <= SIZE && block->size <= SIZE - block->offset);
    for (uint64_t i = block->offset / UNIT; i < (block->offset + block->size) / UNIT; i++) {
        if (units[i] != from)
            fail_msg("bytes from %llu on are given out twice", (unsigned long long)(i * UNIT));
        units[i] = to;
    }
}

/* The longest run of free units: whatever fits there must be given out. */
static uint64_t longest_free(const uint8_t *units)
{
    uint64_t longest = 0, run = 0;
    for (uint64_t i = 0; i < UNITS; i++) {
        run = units[i] ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    return longest * UNIT;
}

static void test_against_a_model(void **state)
{
    static uint8_t units[UNITS];
    static const struct wh_block *held[MOST];
    struct wh_arena *arena = new_arena();
    uint64_t seed = 88172645463325252ull;
    (void)state;
    memset(units, 0, sizeof(units));
    memset(held, 0, sizeof(held));
    for (unsigned i = 0; i < 60000; i++) {
        const struct wh_block **place = &held[next(&seed) % MOST];
        if (*place) {
            mark(units, *place, 1, 0);
            wh_arena_release(arena, *place);
            *place = NULL;
            continue;
        }
        uint64_t size = 1 + next(&seed) % (next(&seed) % 8 ? 4000 : 200000);
        uint64_t align = UNIT << next(&seed) % (next(&seed) % 4 ? 1 : 8);
        *place = wh_arena_allocate(arena, size, align);
        if (*place) {
            assert_true((*place)->size >= size);
            assert_int_equal((*place)->offset % align, 0);
            mark(units, *place, 0, 1);
        } else if (align == UNIT) {
            assert_true(longest_free(units) < size);
        }
    }
    for (unsigned i = 0; i < MOST; i++)
        wh_arena_release(arena, held[i]);
    expect_whole(arena);
    wh_arena_free(arena);
}

static void *allocate_often(void *argument)
{
    struct wh_arena *arena = argument;
    const struct wh_block *held[16] = {0};
    uint64_t seed = (uintptr_t)&held | 1;
    for (unsigned i = 0; i < 20000; i++) {
        const struct wh_block **place = &held[next(&seed) % 16];
        if (*place) {
            uint8_t *bytes = wh_arena_address(arena, *place);
            if (bytes[0] != (uint8_t)(uintptr_t)held ||
                bytes[(*place)->size - 1] != (uint8_t)(uintptr_t)held)
                return (void *)1;
            wh_arena_release(arena, *place);
            *place = NULL;
        } else if ((*place = wh_arena_allocate(arena, 1 + next(&seed) % 3000, UNIT))) {
            memset(wh_arena_address(arena, *place), (int)((uintptr_t)held & 0xff), (*place)->size);
        }
    }
    for (unsigned i = 0; i < 16; i++)
        wh_arena_release(arena, held[i]);
    return NULL;
}

static void test_threads(void **state)
{
    struct wh_arena *arena = new_arena();
    pthread_t threads[4];
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_often, arena), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    expect_whole(arena);
    wh_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_nothing), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_every_alignment),   cmocka_unit_test(test_joining),
        cmocka_unit_test(test_exhaustion),        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, map_base, free_base);
}
