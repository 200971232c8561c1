/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running code: warps, blocks, launches, and the handlers of instructions. A block is run by one
 * thread of the pool at a time; what several blocks share (the launch) says itself how it is
 * guarded. Nothing here may touch memory that wh_translate or wh_span did not grant.
 */
#ifndef WH_SOFTGPU_EXEC_H
#define WH_SOFTGPU_EXEC_H

#include "code.h"

#include <pthread.h>
#include <stdatomic.h>

#define WH_BARRIERS 16u
#define WH_RANGES   8u /* of memory that a warp remembers */

/* ---- what runs ---- */

/* A call's registers, shared by the lanes that made it together. */
struct wh_frame {
    struct wh_frame *parent; /* or the next free one */
    struct wh_frame *all;    /* every frame of the warp, to the end of the launch */
    const struct wh_function *function;
    const struct wh_ins *site; /* the call; NULL at the outermost */
    const struct wh_ins *code;
    uint32_t return_pc, lanes, depth;
    uint32_t local_base;
    uint8_t *registers;
    uint32_t *in;     /* parameters and results, [word][lane] */
    uint32_t *locals; /* .param variables of the body, [word][lane] */
    size_t size;
};

enum wh_group_state { GROUP_READY, GROUP_BARRIER, GROUP_CONVERGE, GROUP_CLUSTER };

/* Lanes that stand at one instruction of one frame. */
struct wh_group {
    uint32_t mask, pc;
    struct wh_frame *frame;
    uint8_t state, barrier;
    bool counted;  /* at the barrier: its lanes were counted */
    uint32_t want; /* CONVERGE: the lanes waited for */
    uint64_t ran;  /* when it last ran, in turns of its warp */
};

struct wh_range {
    uint64_t start, end;
};

enum wh_event { EVENT_SWITCH = 1, EVENT_STOP = 2 };

struct wh_warp {
    uint8_t *base[4]; /* by the operand's low bits */
    const struct wh_ins *code;
    uint32_t pc, stop; /* stop: where lanes of another group wait */
    uint32_t active;
    uint32_t event;
    struct wh_frame *frame;
    uint32_t carry; /* the condition code, a bit a lane */
    uint32_t live;  /* threads that have not ended */
    uint32_t spins; /* instructions of this turn that look like waiting for someone */
    uint32_t index;
    struct wh_block *block;
    struct wh_range
        ranges[WH_RANGES]; /* memory that was reached last; they hold for the whole launch */
    unsigned next_range;
    uint64_t texture_number; /* of the texture or surface that was used last */
    const struct wh_soft_texture *texture;
    uint8_t *local; /* of lane 0; lanes follow at `local_stride` */
    uint32_t local_stride;
    struct wh_group groups[WH_LANES];
    unsigned ngroups, current;
    uint64_t turns;
    int32_t patience; /* backward branches left to this turn */
    struct wh_frame *spare[8], *frames;
    size_t frame_bytes;
    uint32_t
        cluster_pending; /* lanes that arrived at the cluster's barrier, which is not complete */
    bool deadlocked;     /* nobody else can come: do not wait to converge */
    uint8_t *specials;
};

struct wh_barrier {
    uint32_t expected, arrived, red_and, red_or, red_popc;
    bool used;
};

struct wh_block {
    struct wh_job *job;
    struct wh_unit *unit;
    struct wh_warp *warps;
    uint8_t *shared;
    uint32_t shared_size, nwarps, nthreads, live;
    uint32_t ctaid[3], rank;
    struct wh_barrier barriers[WH_BARRIERS];
    uint8_t *local;
    size_t local_size;
    bool finished;
};

/* Blocks that are scheduled together: one, or a cluster. */
struct wh_unit {
    struct wh_unit *next;
    struct wh_block *blocks;
    uint32_t nblocks;
    uint32_t cluster_live, cluster_arrived;
    bool finished;
};

/* One launch. Guarded by `lock` where not said otherwise. */
struct wh_job {
    struct wh_job *next;
    const struct wh_soft_launch *launch;
    const struct wh_soft_memory *memory;
    const struct wh_function *function;
    struct wh_soft_module *module;
    uint64_t gridid;
    uint64_t
        workspace; /* device memory: what grid-wide barriers of cooperative launches count in */
    uint32_t nthreads, nwarps, cluster_size;
    uint32_t dynamic_base, shared_size; /* of a block */
    uint32_t reserved;                  /* where a runtime's own shared memory begins, or 0 */
    uint64_t nunits, next_unit, done_units;
    struct wh_unit *waiting, **waiting_end; /* cooperative: whose time slice ended */
    unsigned workers;
    atomic_bool stop; /* a fault or a cancellation; relaxed, only a hint to hurry */
    struct wh_soft_fault fault;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *output; /* printed text */
    size_t output_size, output_room;
};

/* ---- where code runs that is not where it was decoded ---- */

/* In a view (view.h) handlers have other addresses, and a launch comes to its end or leaves no
 * trace: what a kernel writes outside of its block's own memory is announced, and may be refused.
 */
#ifdef WH_IN_VIEW
enum { WH_VIEW = 1 };
void wh_step(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
uint32_t wh_compare_lanes(struct wh_warp *warp, const struct wh_ins *ins);
bool wh_may_write(struct wh_warp *warp, void *at, uint64_t size);
#else
enum { WH_VIEW = 0 };

static inline void wh_step(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    ins->run(warp, ins, mask);
}

static inline uint32_t wh_compare_lanes(struct wh_warp *warp, const struct wh_ins *ins)
{
    return ins->compare(warp, ins);
}

static inline bool wh_may_write(struct wh_warp *warp, void *at, uint64_t size)
{
    (void)warp, (void)at, (void)size;
    return true;
}
#endif

/* ---- operands ---- */

static inline void *wh_reg(const struct wh_warp *warp, uint32_t operand)
{
    return warp->base[operand & 3] + (operand & ~3u);
}

static inline uint32_t wh_predicate(const struct wh_warp *warp, uint32_t operand)
{
    return *(const uint32_t *)wh_reg(warp, operand);
}

static inline void wh_set_predicate(struct wh_warp *warp, uint32_t operand, uint32_t mask,
                                    uint32_t value)
{
    uint32_t *predicate = wh_reg(warp, operand);
    *predicate = (*predicate & ~mask) | (value & mask);
}

/* One lane of a register of 32 or 64 bits. */
static inline uint64_t wh_get(const struct wh_warp *warp, uint32_t operand, unsigned lane,
                              bool wide)
{
    const void *reg = wh_reg(warp, operand);
    return wide ? ((const uint64_t *)reg)[lane] : ((const uint32_t *)reg)[lane];
}

static inline void wh_put(const struct wh_warp *warp, uint32_t operand, unsigned lane, bool wide,
                          uint64_t value)
{
    void *reg = wh_reg(warp, operand);
    if (wide)
        ((uint64_t *)reg)[lane] = value;
    else
        ((uint32_t *)reg)[lane] = (uint32_t)value;
}

#define WH_EACH_LANE(lane, mask)                                             \
    for (uint32_t lane##_left = (mask), lane;                                \
         lane##_left && (lane = (uint32_t)__builtin_ctz(lane##_left), true); \
         lane##_left &= lane##_left - 1)

/* ---- faults ---- */

/* Ends the launch with a fault; the first one counts. */
void wh_fault(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane, int code,
              const char *format, ...) __attribute__((format(printf, 5, 6)));

enum {
    FAULT_ILLEGAL_ADDRESS = 700,
    FAULT_RESOURCES = 701,
    FAULT_ASSERT = 710,
    FAULT_STACK = 714,
    FAULT_INSTRUCTION = 715,
    FAULT_MISALIGNED = 716,
    FAULT_SPACE = 717,
    FAULT_PC = 718,
    FAULT_LAUNCH = 719,
    FAULT_UNSUPPORTED = 801,
};

/* ---- memory ---- */

/* Host addresses of `bytes` at the addresses of the instruction's `a`, of the lanes in `mask`;
 * false after a fault. */
bool wh_translate(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask, uint64_t bytes,
                  bool write, uint64_t pointers[WH_LANES]);
/* The same of one address of one lane, in the instruction's space; NULL after a fault. */
void *wh_reach(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane, uint64_t address,
               uint64_t alignment, uint64_t bytes, bool write);
/* The same of one generic address; *room: bytes up to the end of what it lies in. NULL: nothing
 * there, no fault yet. */
void *wh_span(struct wh_warp *warp, unsigned lane, uint64_t address, uint64_t *room);

/* ---- handlers that the parser names itself ---- */

enum { CLOCK_LOW, CLOCK_HIGH, CLOCK_TIMER, CLOCK_TIMER_HIGH };

void wh_do_clock(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_local_address(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_dynamic_address(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_add_address(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_exit(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_return(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_branch(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_branch_index(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_call(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_nothing(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_trap(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_unsupported(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_sleep(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_fence(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

/* ---- memory instructions ---- */

/* n registers in `list`, of the type, from or to [a + offset]; F_MULTI: the i-th register of the
 * list is of 64 bits. */
void wh_do_load(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_store(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_load_param(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_param_word(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_atomic(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
/* Of 128 bits; `list`: halves of the result, of what is put or expected, of what then is put. */
void wh_do_atomic_wide(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_rank(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_reduce_bulk(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_copy_async(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_copy_bulk(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_isspacep(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_cvta(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_mapa(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

/* One atomic operation at a place of the type's size; b is its operand. What was there before. */
uint64_t wh_atomic_at(unsigned op, unsigned type, void *at, uint64_t b);

void wh_do_mbarrier(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

/* ---- barriers and talk among lanes ---- */

/* True: all of these lanes are here. False: the group waits, and does the instruction again later.
 */
bool wh_together(struct wh_warp *warp, uint32_t want);

void wh_do_barrier(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_cluster_barrier(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_warp_sync(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_shuffle(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_vote(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_match(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_redux(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_activemask(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_elect(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

/* ---- scheduling, exec_warp.c and exec_block.c ---- */

struct wh_frame *wh_frame_new(struct wh_warp *warp, const struct wh_function *function,
                              uint32_t lanes);
void wh_frame_free(struct wh_warp *warp, struct wh_frame *frame);
void wh_frames_end(struct wh_warp *warp);
/* Splits the lanes in `mask` off the running group; they wait at `pc` of `frame`. */
struct wh_group *wh_warp_split(struct wh_warp *warp, uint32_t mask, uint32_t pc,
                               struct wh_frame *frame);
/* Runs until all lanes wait or ended, or its turn is over. False: nothing could run. */
bool wh_warp_run(struct wh_warp *warp);
void wh_warp_ended(struct wh_warp *warp, uint32_t lanes);
/* The running group waits (state and more are set by the caller before). */
void wh_warp_wait(struct wh_warp *warp, enum wh_group_state state);
void wh_barrier_check(struct wh_block *block, unsigned id);
/* What bar.red computed, for the lanes of a group that waits behind it. */
void wh_barrier_result(struct wh_warp *warp, const struct wh_group *group,
                       const struct wh_barrier *barrier);
void wh_cluster_check(struct wh_unit *unit);
void wh_cluster_arrive(struct wh_warp *warp, uint32_t mask);
/* True: the barrier that those lanes arrived at is complete. */
bool wh_cluster_passed(const struct wh_warp *warp, uint32_t mask);

/* ---- functions of the engine's own ---- */

wh_run wh_builtin(const char *name);
/* Parameter `offset` of a builtin's call, of one lane. */
uint64_t wh_builtin_argument(const struct wh_warp *warp, const struct wh_call *call, unsigned index,
                             unsigned lane);
void wh_builtin_return(struct wh_warp *warp, const struct wh_call *call, unsigned lane,
                       uint64_t value);
void wh_job_flush(struct wh_job *job);
void wh_job_print(struct wh_job *job, const char *text, size_t size);
int wh_printf(struct wh_warp *warp, unsigned lane, uint64_t format, uint64_t arguments, char **text,
              size_t *size);

/* Device-side malloc and free; the heap is the module's and comes to be with the first malloc. 0:
 * no memory. */
uint64_t wh_heap_take(struct wh_job *job, uint64_t size);
bool wh_heap_give(struct wh_job *job, uint64_t address);
void wh_heap_free(struct wh_soft_module *module);

#endif
