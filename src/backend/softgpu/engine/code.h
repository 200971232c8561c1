/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module in its decoded form: functions of instructions that name their handlers and the places
 * of their operands. Made by the parser (ptx_*.c), finished by link.c, run by exec_*.c. Immutable
 * after the link.
 *
 * An operand is a 32-bit number: a byte offset from one of four bases, which its two low bits
 * choose. A register of up to 32 bits is 32 words of 4 bytes, one a lane; a 64-bit register is 32
 * words of 8; a predicate is one word with a bit a lane.
 */
#ifndef WH_SOFTGPU_CODE_H
#define WH_SOFTGPU_CODE_H

#include "arena.h"
#include "engine.h"
#include "types.h"

#include <pthread.h>

#define WH_LANES 32u

enum wh_base { BASE_FRAME, BASE_CONSTANTS, BASE_SPECIAL, BASE_COUNT };

#define WH_SLOT            128u         /* bytes of a 32-bit register of a warp */
#define WH_FRAME_MAX       (16u << 20)  /* bytes of registers of one function, one warp */
#define WH_PARAMS_MAX      32768u       /* bytes of parameters of one function */
#define WH_SHARED_MAX      (1u << 20)   /* bytes of static shared memory */
#define WH_LOCAL_MAX       (512u << 10) /* bytes of local memory of one thread, as in hardware */
#define WH_VARIABLE_MAX    (1ull << 30) /* bytes of one global variable */
#define WH_RESERVED_SHARED 1024u        /* bytes of a runtime's own, behind the kernel's */
#define WH_NONE            UINT32_MAX   /* no operand */

/* Where generic addresses of other spaces lie: past every address of a process, within 49 bits as
 * in hardware. */
#define WH_SHARED_WINDOW 0x1000000000000ull
#define WH_LOCAL_WINDOW  0x1100000000000ull
#define WH_PARAM_WINDOW  0x1200000000000ull
#define WH_WINDOW_SIZE   0x100000000ull
#define WH_WINDOW_END    0x1300000000000ull
#define WH_RANK_SHIFT \
    24 /* shared addresses: rank in the cluster + 1 above, offset below; 0: the own block */

/* Always there, one 4-byte place a lane in the warp's special registers; 64-bit ones take two. */
enum wh_special {
    SR_ZERO, /* 64 bits */
    SR_ZERO_HIGH,
    SR_TID,
    SR_NTID = SR_TID + 3,
    SR_CTAID = SR_NTID + 3,
    SR_NCTAID = SR_CTAID + 3,
    SR_CLUSTERID = SR_NCTAID + 3,
    SR_NCLUSTERID = SR_CLUSTERID + 3,
    SR_CLUSTER_CTAID = SR_NCLUSTERID + 3,
    SR_CLUSTER_NCTAID = SR_CLUSTER_CTAID + 3,
    SR_CLUSTER_CTARANK = SR_CLUSTER_NCTAID + 3,
    SR_CLUSTER_NCTARANK,
    SR_IS_CLUSTER, /* a predicate */
    SR_LANEID,
    SR_WARPID,
    SR_NWARPID,
    SR_SMID,
    SR_NSMID,
    SR_LANEMASK_EQ,
    SR_LANEMASK_LE,
    SR_LANEMASK_LT,
    SR_LANEMASK_GE,
    SR_LANEMASK_GT,
    SR_DYNAMIC_SMEM,
    SR_TOTAL_SMEM,
    SR_DYNAMIC_SHARED, /* address of the dynamic shared memory */
    SR_ENVREG1,        /* address of a cooperative launch's barrier, upper and lower half */
    SR_ENVREG2,
    SR_RESERVED, /* where a runtime's own shared memory lies */
    SR_GRIDID,   /* 64 bits */
    SR_COUNT = SR_GRIDID + 2
};

struct wh_warp;
struct wh_ins;
typedef void (*wh_run)(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

struct wh_ins {
    wh_run run;
    uint32_t guard; /* the predicate under which it runs */
    uint32_t d, a, b, c, e;
    uint32_t target; /* branches: index of an instruction; d2 of two results */
    uint32_t line;
    uint8_t type, type2, sub, n;
    uint8_t invert; /* of the guard */
    uint8_t space, flags, order;
    union {
        int64_t imm;
        uint32_t (*compare)(struct wh_warp *warp, const struct wh_ins *ins);
        const uint32_t *list; /* n operands */
        struct wh_call *call;
        const struct wh_matrix *matrix;
        const struct wh_texturing *texturing;
    };
    union {
        int64_t offset;       /* of the address in `a` */
        const uint32_t *more; /* a second list of operands */
    };
};

enum wh_flag {
    F_WIDE_ADDRESS = 1, /* the address register has 64 bits */
    F_SIGNED = 2,
    F_STRONG = 4, /* volatile, relaxed, acquire: one access a lane, the compiler must not merge */
    F_NEGATE = 8, /* of the predicate in c */
    F_FTZ = 16,
    F_SAT = 32,
    F_CARRY = 64, /* writes the carry */
    F_MULTI = 128
};

struct wh_param {
    const char *name;
    uint32_t offset, size, align;
    bool ret;
};

/* One place that waits for an address: `bytes` wide (4, 8 or less in initialisers). */
struct wh_fixup {
    struct wh_symbol *symbol;
    int64_t addend;
    uint32_t place; /* index of the constant, or byte offset in an initialiser */
    uint8_t bytes, shift;
    bool generic;
    uint32_t line;
};

struct wh_constant {
    uint64_t value;
    uint32_t offset;
    uint8_t bytes; /* 1: a predicate */
};

enum wh_linkage { LINK_STATIC, LINK_VISIBLE, LINK_WEAK, LINK_COMMON, LINK_EXTERN };

/* What a variable is that holds no value of the program's. */
enum wh_opaque { OPAQUE_NONE, OPAQUE_TEXTURE, OPAQUE_SURFACE };

struct wh_variable {
    const char *name;
    struct wh_variable *next, *actual; /* actual: the definition, after the link */
    uint8_t space;                     /* enum wh_space */
    uint8_t linkage;
    bool dynamic; /* extern .shared x[] */
    bool placed, managed;
    uint8_t opaque; /* enum wh_opaque */
    uint32_t align;
    uint64_t size, address; /* address: of device memory, or the offset in shared or local */
    uint8_t *init;
    uint64_t init_size;
    struct wh_fixup *fixups;
    size_t nfixups, fixup_room;
    struct wh_function *owner; /* a function's own */
    struct wh_variable *next_own;
};

struct wh_call {
    struct wh_function *function; /* NULL: through a register */
    struct wh_symbol *symbol;
    uint32_t through;
    uint32_t nargs, nreturns;
    struct wh_param *args; /* returns first: offsets and sizes in the caller's parameters */
    const uint32_t *targets;
};

struct wh_function {
    const char *name;
    struct wh_function *next, *actual;
    struct wh_module_unit *unit;
    uint32_t index; /* in the module */
    bool entry, defined, recursive, indirect, address_taken;
    bool reserved;          /* names the runtime's own shared memory */
    uint32_t dynamic_align; /* of the dynamic shared memory that it names; 0: none */
    uint8_t linkage;
    wh_run builtin; /* the engine's own functions: vprintf and the like */
    uint32_t line;

    struct wh_param *params; /* returns, then parameters */
    size_t nparams, param_room, nreturns;
    uint32_t
        params_size; /* of the incoming and returned, in bytes; entries: of the parameter area */
    uint32_t locals_size; /* bytes of the .param variables of the body */

    struct wh_ins *code;
    size_t ncode, code_room;
    struct wh_constant *constants;
    size_t nconstants, constant_room;
    struct wh_fixup *fixups;
    size_t nfixups, fixup_room;
    uint8_t *pool; /* constants as they are read: a word a lane */
    uint32_t pool_size;
    uint32_t frame_size; /* bytes of registers */
    uint32_t local_size, shared_own;

    struct wh_function **callees;
    size_t ncallees, callee_room;

    uint32_t max_threads, required_block[3], required_cluster[3];
    struct wh_variable *own, **own_end; /* declared in its body */
    char *broken;                       /* why it cannot run, or NULL */

    /* Entries, after the link. */
    uint32_t shared_size, local_need;
    uint8_t mark;
    const struct wh_numbers *numbers; /* of each instruction (handlers.h); NULL: not for a view */
    uint8_t gave_up;                  /* launches in a view that did not come to their end */
};

struct wh_soft_kernel {
    struct wh_function *function;
    struct wh_soft_module *module;
    uint32_t constant;
    uint32_t ptx_version;
};

struct wh_module_unit {
    struct wh_module_unit *next;
    struct wh_symbols *symbols;
    struct wh_function *functions, **functions_end;
    struct wh_variable *variables, **variables_end;
    uint32_t target; /* 75 for sm_75 */
    uint32_t index;
};

struct wh_soft_module {
    struct wh_arena arena;
    struct wh_soft_memory memory;
    struct wh_module_unit *units;
    struct wh_function **functions; /* by index; addresses of functions are made of it */
    size_t nfunctions;
    struct wh_soft_kernel *kernels;
    size_t nkernels;
    uint64_t globals; /* one allocation for all variables */
    uint64_t constant_size;
    pthread_mutex_t heap_lock;
    struct wh_heap *heap;
};

enum wh_space {
    SPACE_GENERIC,
    SPACE_GLOBAL,
    SPACE_SHARED,
    SPACE_LOCAL,
    SPACE_CONST,
    SPACE_PARAM,
    SPACE_REG
};

/* Functions have addresses too, to be stored and compared: this and 16 times the index. Nothing can
 * be read there. */
#define WH_FUNCTION_WINDOW 0x1400000000000ull

/* The parser's and the linker's entry points. */
enum wh_soft_status wh_ptx_parse(struct wh_soft_module *module, const char *text, size_t size,
                                 struct wh_error *error);
enum wh_soft_status wh_link(struct wh_soft_module *module, struct wh_error *error);

#endif
