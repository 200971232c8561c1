/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of random calls, each carried out by the worker's threads in one session and in the
 * view of another (callee_session.h): all answers must be the same, and all that is left in the
 * end. The software device is the first argument; a second one is the first seed.
 */
#include "callee_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS    10u
#define STEPS    3000u
#define PROGRAMS 4u
#define ARENA    4096u /* bytes of it that are looked at */

enum sort { EVENTS, STREAMS, ARRAYS, SORTS };

/* What a program has. Ids are used again, as no client would. */
static struct {
    uint64_t seed;
    bool lives[SORTS][SLOTS];
    uint64_t memory[SLOTS], size[SLOTS];
    bool pooled[SLOTS];
    uint64_t log; /* of all answers */
    uint64_t logs[STEPS];
    uint64_t unused; /* memory at first */
} now;

static uint32_t draw(uint32_t below)
{
    now.seed = now.seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(now.seed >> 33) % below;
}

static void note(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        now.log = (now.log ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
}

static void note_status(const struct answer *answer)
{
    int32_t code = status(answer);
    note(&code, sizeof(code));
}

static void note_answer(struct answer answer)
{
    note(answer.bytes, answer.size);
}

static uint64_t id_of(enum sort sort, uint32_t slot)
{
    return 100 + 100 * (uint64_t)sort + slot;
}

/* A stream that there is; sometimes the NULL stream. */
static uint64_t some_stream(void)
{
    uint32_t slot = draw(SLOTS);
    return now.lives[STREAMS][slot] ? id_of(STREAMS, slot) : draw(2) ? STREAM : 0;
}

static uint64_t some_event(void)
{
    uint32_t slot = draw(SLOTS);
    return now.lives[EVENTS][slot] ? id_of(EVENTS, slot) : EVENT;
}

/* ---- objects ---- */

static void change_event(void)
{
    static const uint64_t flags[] = {CU_EVENT_DISABLE_TIMING, CU_EVENT_DISABLE_TIMING,
                                     CU_EVENT_DEFAULT, CU_EVENT_BLOCKING_SYNC, 1u << 12};
    uint32_t slot = draw(SLOTS);
    bool *lives = &now.lives[EVENTS][slot];
    if (*lives) {
        POST(WH_CUDA_cuEventDestroy_v2, id_of(EVENTS, slot));
        *lives = false;
        return;
    }
    struct answer answer = ASK(WH_CUDA_cuEventCreate, 1, id_of(EVENTS, slot), flags[draw(5)]);
    *lives = status(&answer) == CUDA_SUCCESS;
    note_answer(answer);
}

static void change_stream(void)
{
    uint32_t slot = draw(SLOTS);
    bool *lives = &now.lives[STREAMS][slot];
    uint64_t priority = (uint64_t) - (int64_t)draw(9);
    if (*lives) {
        POST(WH_CUDA_cuStreamDestroy_v2, id_of(STREAMS, slot));
        *lives = false;
        return;
    }
    struct answer answer = ASK(WH_CUDA_cuStreamCreateWithPriority, 1, id_of(STREAMS, slot),
                               draw(8) ? draw(2) : 8, priority);
    *lives = status(&answer) == CUDA_SUCCESS;
    note_answer(answer);
}

static void change_array(void)
{
    const CUDA_ARRAY_DESCRIPTOR wish = {.Width = draw(40),
                                        .Height = draw(5),
                                        .Format = CU_AD_FORMAT_FLOAT,
                                        .NumChannels = 1u << draw(3)};
    uint32_t slot = draw(SLOTS);
    bool *lives = &now.lives[ARRAYS][slot];
    uint64_t words[3 + sizeof(wish) / 8] = {1, id_of(ARRAYS, slot), sizeof(wish)};
    if (*lives) {
        POST(WH_CUDA_cuArrayDestroy, id_of(ARRAYS, slot));
        *lives = false;
        return;
    }
    memcpy(words + 3, &wish, sizeof(wish));
    struct answer answer = ask(WH_CUDA_cuArrayCreate_v2, words, sizeof(words) / 8);
    *lives = status(&answer) == CUDA_SUCCESS;
    note_answer(answer);
}

static void use_objects(void)
{
    uint64_t event = some_event(), stream = some_stream(), other = some_stream();
    switch (draw(8)) {
    case 0:
        POST(WH_CUDA_cuEventRecord, event, stream);
        break;
    case 1:
        POST(WH_CUDA_cuStreamWaitEvent, other, event, 0);
        break;
    case 2:
        note_answer(ASK(WH_CUDA_cuEventQuery, event));
        break;
    case 3:
        note_answer(ASK(WH_CUDA_cuStreamQuery, stream));
        break;
    case 4:
        note_answer(ASK(WH_CUDA_cuStreamGetPriority, stream, 4));
        break;
    case 5:
        note_answer(ASK(WH_CUDA_cuStreamGetFlags, stream, 4));
        break;
    case 6: {
        struct answer elapsed = ASK(WH_CUDA_cuEventElapsedTime, 4, event, some_event());
        note_status(&elapsed);
        break;
    }
    default:
        note_answer(ASK(WH_CUDA_cuStreamCopyAttributes, stream, other));
    }
}

/* ---- memory ---- */

static void change_memory(void)
{
    uint32_t slot = draw(SLOTS);
    uint64_t *memory = &now.memory[slot], size = draw(3000);
    if (*memory && now.pooled[slot] && draw(2)) {
        POST(WH_CUDA_cuMemFreeAsync, *memory, some_stream());
        *memory = 0;
        return;
    }
    if (*memory) {
        note_answer(ASK(WH_CUDA_cuMemFree_v2, *memory));
        *memory = 0;
        return;
    }
    now.pooled[slot] = draw(2);
    struct answer answer = now.pooled[slot] ? ASK(WH_CUDA_cuMemAllocAsync, 8, size, some_stream())
                                            : ASK(WH_CUDA_cuMemAlloc_v2, 8, size);
    note_status(&answer);
    if (status(&answer) != CUDA_SUCCESS)
        return;
    memcpy(memory, answer.bytes + 16, sizeof(*memory));
    now.size[slot] = size;
    POST(WH_CUDA_cuMemsetD8Async, *memory, slot, size, 0);
}

/* Within an allocation, or a little beyond its end. */
static void use_memory(void)
{
    uint32_t slot = draw(SLOTS), from = draw(SLOTS);
    uint64_t size = now.size[slot], n = draw(300), offset = draw(4) ? 0 : draw(200);
    uint64_t stream = some_stream();
    if (!now.memory[slot] || !now.memory[from] || offset + n > size + draw(2))
        return;
    uint64_t at = now.memory[slot] + offset;
    switch (draw(6)) {
    case 0:
        POST(WH_CUDA_cuMemsetD8Async, at, draw(256), n, stream);
        break;
    case 1:
        POST(WH_CUDA_cuMemsetD2D8Async, at, 40, draw(256), n % 30, n / 40, stream);
        break;
    case 2:
        note_answer(ASK(WH_CUDA_cuMemcpyDtoD_v2, at, now.memory[from], n));
        break;
    case 3:
        note_answer(ASK(WH_CUDA_wh_read, n, n, at, stream));
        break;
    case 4:
        memset(test->pair.client->channel.arena, (int)draw(256), ARENA);
        POST(WH_CUDA_wh_copy_to_device, at, n, draw(500), stream, UINT32_MAX);
        note_answer(ASK(WH_CUDA_cuStreamSynchronize, stream)); /* before it is written again */
        break;
    default:
        note_answer(ASK(WH_CUDA_wh_copy_from_device, n, draw(500), at, stream, UINT32_MAX));
        note(test->pair.client->channel.arena, ARENA);
    }
}

/* ---- programs ---- */

static void tell(void)
{
    struct answer memory = ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8);
    uint64_t unused;
    note_answer(ASK(WH_CUDA_cuCtxSynchronize)); /* errors, too */
    memcpy(&unused, memory.bytes + 16, sizeof(unused));
    unused -= now.unused;
    note(&unused, sizeof(unused));
    uint64_t allocated = atomic_load(&test->account.allocated);
    note(&allocated, sizeof(allocated));
    for (uint16_t type = 1; type < 40; type++) {
        uint32_t count = wh_table_count(test->worker.table, type);
        note(&count, sizeof(count));
    }
}

static void step(void)
{
    switch (draw(16)) {
    case 0:
    case 1:
        change_event();
        break;
    case 2:
    case 3:
        change_stream();
        break;
    case 4:
        change_array();
        break;
    case 5:
    case 6:
        change_memory();
        break;
    case 7:
        tell();
        break;
    case 8:
    case 9:
    case 10:
        use_memory();
        break;
    default:
        use_objects();
    }
}

static void run_program(uint64_t seed, bool view, uint64_t *logs)
{
    assert_int_equal(open_session(NULL), 0);
    struct answer memory = ASK(WH_CUDA_cuMemGetInfo_v2, 8, 8);
    uint64_t done = test->gate.carried_out;
    memset(&now, 0, sizeof(now));
    memset(test->pair.client->channel.arena, 0, ARENA);
    now.seed = seed;
    memcpy(&now.unused, memory.bytes + 16, sizeof(now.unused));
    test->pair.client->step_in = view ? step_in : NULL;
    for (unsigned i = 0; i < STEPS; i++) {
        step();
        logs[i] = now.log;
    }
    tell();
    assert_int_equal(test->account.calls, test->sent);
    if (view)
        assert_true(test->gate.carried_out - done > STEPS / 2);
    expect_success(ASK(WH_CUDA_wh_context_destroy, CONTEXT)); /* with all that there is */
    (void)close_session(NULL);
}

static uint64_t first_seed = 1;

static void programs(void **state)
{
    static uint64_t worker[STEPS], view[STEPS];
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + PROGRAMS; seed++) {
        run_program(seed, false, worker);
        run_program(seed, true, view);
        for (unsigned i = 0; i < STEPS; i++)
            if (worker[i] != view[i])
                fail_msg("program %llu, step %u: another answer", (unsigned long long)seed, i);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs),
    };
    if (argc < 2)
        return 2;
    if (argc > 2)
        first_seed = strtoull(argv[2], NULL, 10);
    callee_prepare(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
