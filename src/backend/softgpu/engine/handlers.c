/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers by number; see handlers.h. The tables of all levels of processor are of one shape. */
#include "handlers.h"

#include "access.h"
#include "alu.h"
#include "exec.h"
#include "scalar.h"

#include <string.h>

/* Arithmetic first, then plain conversions, quick accesses, and these. */
static const wh_run others[] = {
    wh_do_nothing,   wh_do_branch,        wh_do_branch_index, wh_do_exit,
    wh_do_return,    wh_do_fence,         wh_do_barrier,      wh_do_load,
    wh_do_store,     wh_do_load_param,    wh_do_param_word,   wh_do_cvta,
    wh_do_isspacep,  wh_do_local_address, wh_do_add_address,  wh_do_dynamic_address,
    wh_do_warp_sync, wh_do_shuffle,       wh_do_vote,         wh_do_match,
    wh_do_redux,     wh_do_activemask,    wh_do_elect,        wh_do_atomic,
    wh_do_setp,      wh_do_set,           wh_do_logic,        wh_do_testp,
    wh_do_pack,      wh_do_unpack,        wh_do_carry,        wh_do_convert,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    RUNS = OP_COUNT * T_COUNT,
    CONVERTS = T_COUNT * T_COUNT,
    ACCESSES = sizeof(struct wh_access) / sizeof(wh_run),
    OTHERS = COUNT(others),
    FIRST_CONVERT = RUNS,
    FIRST_ACCESS = FIRST_CONVERT + CONVERTS,
    FIRST_OTHER = FIRST_ACCESS + ACCESSES,
    ALL = FIRST_OTHER + OTHERS,
    COMPARES = CMP_COUNT * T_COUNT
};

_Static_assert(ALL < UINT16_MAX, "numbers have 16 bits");

/* These call functions of the C library, which other copies of the code may not have. */
static bool is_library(unsigned op, unsigned type)
{
    bool fma = op >= OP_FMA && op <= OP_FMA_FTZ_SAT;
    return (op >= OP_SIN && op <= OP_TANH) || (fma && type == T_F64);
}

wh_run wh_handler_at(uint16_t number)
{
    unsigned i = number - 1u;
    if (i < FIRST_CONVERT)
        return is_library(i / T_COUNT, i % T_COUNT) ? NULL
                                                    : wh_alu_best()->run[i / T_COUNT][i % T_COUNT];
    if (i < FIRST_ACCESS) {
        i -= FIRST_CONVERT;
        return wh_alu_best()->convert[i / T_COUNT][i % T_COUNT];
    }
    if (i < FIRST_OTHER)
        return ((const wh_run *)(const void *)wh_access_best())[i - FIRST_ACCESS];
    return i < ALL ? others[i - FIRST_OTHER] : NULL;
}

wh_compare wh_compare_at(uint16_t number)
{
    unsigned i = number - 1u;
    return i < COMPARES ? wh_alu_best()->compare[i / T_COUNT][i % T_COUNT] : NULL;
}

/* ---- the other way round ---- */

#define PLACES 8192u /* more than twice of what there is */

_Static_assert(ALL + COMPARES < PLACES / 2, "most places are free");

static struct {
    pthread_once_t once;
    struct {
        const void *code;
        uint16_t number;
    } places[PLACES];
} known = {.once = PTHREAD_ONCE_INIT};

static unsigned find(const void *code)
{
    unsigned at = (unsigned)(((uint64_t)(uintptr_t)code * 0x9e3779b97f4a7c15u) >> 51);
    while (known.places[at % PLACES].code && known.places[at % PLACES].code != code)
        at++;
    return at % PLACES;
}

/* Functions that are one for the compiler have the number of the first. */
static void enter(const void *code, unsigned number)
{
    unsigned at = find(code);
    if (!code || known.places[at].code)
        return;
    known.places[at].code = code;
    known.places[at].number = (uint16_t)number;
}

static void enter_all(void)
{
    const void *code;
    for (unsigned i = 1; i <= ALL; i++) {
        wh_run run = wh_handler_at((uint16_t)i);
        memcpy(&code, &run, sizeof(code));
        enter(code, i);
    }
    for (unsigned i = 1; i <= COMPARES; i++) {
        wh_compare compare = wh_compare_at((uint16_t)i);
        memcpy(&code, &compare, sizeof(code));
        enter(code, i);
    }
}

static uint16_t number_of(const void *code)
{
    return known.places[find(code)].number;
}

bool wh_numbers_of(const struct wh_ins *ins, struct wh_numbers *numbers)
{
    const void *run, *compare;
    pthread_once(&known.once, enter_all);
    memcpy(&run, &ins->run, sizeof(run));
    memcpy(&compare, &ins->compare, sizeof(compare));
    bool compares = ins->run == wh_do_setp || ins->run == wh_do_set;
    numbers->run = number_of(run);
    numbers->compare = compares ? number_of(compare) : 0;
    return numbers->run && (!compares || numbers->compare);
}
