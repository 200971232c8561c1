/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches in a view, called directly (callee_session.h): they leave behind what the worker's do,
 * and what does not come to its end there is run by the worker as if it had not been tried. The
 * software device is the first argument.
 */
#include "callee_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A kernel of one line; one with a loop, barriers, shared memory and atomics, in which no thread
 * touches another's words, for the worker's blocks run at once; and some that cannot
 * come to an end in a view: too long, of memory that is not there, of none at all. */
static const char ptx[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".visible .entry madd(.param .u64 a, .param .u64 b, .param .u32 n)\n{\n"
    "  .reg .pred %p; .reg .b32 %r<8>; .reg .b64 %d<8>; .reg .f32 %f<4>;\n"
    "  ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b]; ld.param.u32 %r1, [n];\n"
    "  mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x;\n"
    "  mad.lo.s32 %r5, %r2, %r3, %r4; setp.ge.s32 %p, %r5, %r1; @%p ret;\n"
    "  mul.wide.s32 %d3, %r5, 4; add.s64 %d1, %d1, %d3; add.s64 %d2, %d2, %d3;\n"
    "  ld.global.f32 %f1, [%d1]; ld.global.f32 %f2, [%d2];\n"
    "  fma.rn.f32 %f3, %f1, %f2, %f1; div.rn.f32 %f3, %f3, 0f40490FDB; st.global.f32 [%d1], %f3;\n"
    "  ret;\n}\n"
    ".visible .entry sums(.param .u64 a, .param .u64 b, .param .u32 n)\n{\n"
    "  .reg .pred %p; .reg .b32 %r<16>; .reg .b64 %d<8>; .shared .align 4 .b32 s[64];\n"
    "  ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b]; ld.param.u32 %r1, [n];\n"
    "  mov.u32 %r4, %tid.x; shl.b32 %r5, %r4, 2; mov.u32 %r6, s; add.s32 %r6, %r6, %r5;\n"
    "  st.shared.u32 [%r6], 0; mov.u32 %r12, %ctaid.x; mov.u32 %r13, %ntid.x;\n"
    "  mov.u32 %r14, %nctaid.x; mul.lo.u32 %r14, %r14, %r13; mad.lo.u32 %r7, %r12, %r13, %r4;\n"
    "again: setp.ge.u32 %p, %r7, %r1; @%p bra done;\n"
    "  mul.wide.u32 %d3, %r7, 4; add.s64 %d3, %d3, %d1; ld.global.u32 %r8, [%d3];\n"
    "  ld.shared.u32 %r9, [%r6]; add.s32 %r9, %r9, %r8; st.shared.u32 [%r6], %r9;\n"
    "  st.global.u8 [%d3], %r7;\n"
    "  add.u32 %r7, %r7, %r14; bra again;\n"
    "done: bar.sync 0; xor.b32 %r5, %r5, 4; mov.u32 %r6, s; add.s32 %r6, %r6, %r5;\n"
    "  ld.shared.u32 %r9, [%r6]; shfl.sync.bfly.b32 %r10, %r9, 16, 31, -1; add.s32 %r9, %r9, %r10;\n"
    "  atom.global.add.u32 %r11, [%d2], %r9; ret;\n}\n"
    ".visible .entry slow(.param .u64 a, .param .u64 b, .param .u32 n)\n{\n"
    "  .reg .pred %p; .reg .b32 %r<8>; .reg .b64 %d<8>;\n"
    "  ld.param.u64 %d1, [a]; ld.param.u32 %r1, [n];\n"
    "again: ld.global.u32 %r2, [%d1]; add.s32 %r2, %r2, 1; st.global.u32 [%d1], %r2;\n"
    "  sub.s32 %r1, %r1, 1; setp.ne.s32 %p, %r1, 0; @%p bra again;\n"
    "  ret;\n}\n"
    ".visible .entry both(.param .u64 a, .param .u64 b, .param .u32 n)\n{\n"
    "  .reg .b32 %r<8>; .reg .b64 %d<8>;\n"
    "  ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b];\n"
    "  ld.global.u32 %r2, [%d1]; add.s32 %r2, %r2, 1; st.global.u32 [%d1], %r2;\n"
    "  st.global.u32 [%d2], %r2; ret;\n}\n";

/* What post_launch launches: the module's function or the library's kernel. */
static bool launches_kernel;
static uint64_t kernel_id = KERNEL;

static void post_launch(uint32_t blocks, uint32_t threads, uint64_t a, uint64_t b, uint32_t n)
{
    const wh_cuda_grid grid = {.grid = {blocks, 1, 1}, .block = {threads, 1, 1}};
    bool kernel = launches_kernel;
    uint64_t words[16] = {kernel ? 0 : FUNCTION, kernel ? kernel_id : 0, sizeof(grid)};
    size_t at = 3 + (sizeof(grid) + 7) / 8;
    memcpy(words + 3, &grid, sizeof(grid));
    words[at++] = STREAM;
    words[at++] = 0;
    words[at++] = WH_PAYLOAD_NULL;
    words[at++] = WH_PAYLOAD_NULL;
    words[at++] = 20;
    words[at++] = 20;
    words[at++] = a;
    words[at++] = b;
    words[at++] = n;
    send_words(WH_CUDA_wh_launch, WH_NO_SLOT, words, at);
}

static struct answer words_at(uint64_t from, uint64_t n)
{
    struct answer answer = ASK(WH_CUDA_wh_read, n * 4, n * 4, from, STREAM);
    assert_int_equal(status(&answer), CUDA_SUCCESS);
    return answer;
}

static void fill_floats(uint64_t to, float first, float step)
{
    float numbers[250];
    uint64_t words[4 + 125] = {to, sizeof(numbers), sizeof(numbers)};
    for (unsigned i = 0; i < 250; i++)
        numbers[i] = first + (float)i * step;
    memcpy(words + 3, numbers, sizeof(numbers));
    send_words(WH_CUDA_wh_write, WH_NO_SLOT, words, 4 + 125);
}

/* What a kernel leaves behind, in the view or not. */
static struct answer run_kernel(uint64_t a, uint64_t b, bool view)
{
    uint64_t before = test->gate.carried_out;
    fill_floats(a, 1, 0.37f);
    fill_floats(b, -3, 0.11f);
    post_launch(4, 64, a, b, 250);
    post_launch(4, 64, b, a, 250);
    struct answer answer = words_at(a, 250);
    assert_int_equal(test->gate.carried_out - before, view ? 5 : 0);
    return answer;
}

static void launches(void **state)
{
    static const char *const names[] = {"madd", "sums"};
    uint64_t a = allocate(1000), b = allocate(1000);
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        load_function(ptx, names[i]);
        wait_for_sleep();
        struct answer first = run_kernel(a, b, true), first_b = words_at(b, 250);
        test->pair.client->step_in = NULL;
        struct answer second = run_kernel(a, b, false), second_b = words_at(b, 250);
        test->pair.client->step_in = step_in;
        assert_memory_equal(first.bytes, second.bytes, first.size);
        assert_memory_equal(first_b.bytes, second_b.bytes, first_b.size);
        expect_success(ASK(WH_CUDA_wh_forget_function, FUNCTION));
        expect_success(ASK(WH_CUDA_cuModuleUnload, MODULE));
    }
    load_kernel(ptx, "sums");
    launches_kernel = true;
    test->pair.client->step_in = NULL;
    struct answer first = run_kernel(a, b, false), first_b = words_at(b, 250);
    test->pair.client->step_in = step_in;
    wait_for_sleep(); /* the kernel has its function in the context now */
    struct answer second = run_kernel(a, b, true), second_b = words_at(b, 250);
    assert_memory_equal(first.bytes, second.bytes, first.size);
    assert_memory_equal(first_b.bytes, second_b.bytes, first_b.size);
    /* Another of the library's, which gets its function in the view. */
    kernel_id = KERNEL + 1;
    expect_success(ask_named(WH_CUDA_wh_get_kernel, LIBRARY, "madd", kernel_id));
    wait_for_sleep();
    first = run_kernel(a, b, true);
    test->pair.client->step_in = NULL;
    second = run_kernel(a, b, false);
    test->pair.client->step_in = step_in;
    assert_memory_equal(first.bytes, second.bytes, first.size);
    kernel_id = KERNEL;
}

static uint32_t word_of(struct answer answer)
{
    uint32_t word;
    memcpy(&word, answer.bytes + 16, sizeof(word));
    return word;
}

/* Each is run once, by the worker, however far it came in the view. */
static void launches_that_are_left(void **state)
{
    uint64_t a = allocate(1000), big = allocate(4 << 20);
    (void)state;
    launches_kernel = false;
    load_function(ptx, "slow");
    expect_success(ASK(WH_CUDA_cuMemsetD32_v2, a, 0, 1));
    for (unsigned i = 1; i < 6; i++) {
        wait_for_sleep();
        uint64_t before = test->gate.carried_out;
        post_launch(1, 1, a, 0, 100000);
        wait_for_sleep();
        assert_int_equal(test->gate.carried_out, before);
        assert_int_equal(word_of(words_at(a, 1)), i * 100000);
    }
    expect_success(ASK(WH_CUDA_wh_forget_function, FUNCTION));
    expect_success(ASK(WH_CUDA_cuModuleUnload, MODULE));
    load_function(ptx, "both");
    wait_for_sleep();
    uint64_t before = test->gate.carried_out;
    post_launch(1, 1, a, big, 0);
    wait_for_sleep();
    assert_int_equal(test->gate.carried_out, before);
    assert_int_equal(word_of(words_at(big, 1)), 500001);
    wait_for_sleep();
    before = test->gate.carried_out;
    post_launch(1, 1, a, a + 4, 0);
    assert_int_equal(test->gate.carried_out, before + 1);
    assert_int_equal(word_of(words_at(a + 4, 1)), 500002);
    post_launch(1, 1, a, 4096, 0); /* nothing is there */
    struct answer told = ASK(WH_CUDA_cuCtxSynchronize);
    assert_int_equal(status(&told), CUDA_ERROR_ILLEGAL_ADDRESS);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(launches, open_session, close_session),
        cmocka_unit_test_setup_teardown(launches_that_are_left, open_session, close_session),
    };
    if (argc < 2)
        return 2;
    callee_prepare(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
