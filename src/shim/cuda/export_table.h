/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private tables of functions that cuGetExportTable gives out, and how one is written down.
 * Used by export_table.c (the runtime library's) and export_library.c (those of the libraries above
 * it).
 */
#ifndef WH_SHIM_CUDA_EXPORT_TABLE_H
#define WH_SHIM_CUDA_EXPORT_TABLE_H

#include "cuda_types.h"

#include <stdbool.h>
#include <stdint.h>

typedef void (*wh_slot)(void); /* cast back by who calls it */

/* The tables' names, as the bytes of their identifiers come. */
#define ID_OF_runtime     "6bd5fb6c-5bf4-e74a-8987-d93912fd9df9"
#define ID_OF_thread      "42d85a81-23f6-cb47-8298-f6e78a3aecdc"
#define ID_OF_tools_hooks "a094798c-2e74-2e74-93f2-0800200c0a66"
#define ID_OF_storage     "c693336e-1121-df11-a8c3-68f355d89593"
#define ID_OF_context     "263e8860-7cd2-6143-92f6-bbd5006dfa7e"
#define ID_OF_integrity   "d4082055-bde6-704b-8d34-ba123c66e1f2"
#define ID_OF_library     "21318c60-9714-3248-8ca6-41ff7324c8f2"
#define ID_OF_module      "6e163fbe-b958-444d-835c-e182aff1991e"
#define ID_OF_placement   "1734dc26-800d-4745-8726-c0f1e7dd8bca"

#define SLOT(function) ((wh_slot)(function))
#define SIZE(bytes)    ((wh_slot)(uintptr_t)(bytes)) /* the first word of most tables */

extern const wh_slot wh_cuda_thread_table[3], wh_cuda_library_table[93], wh_cuda_module_table[99],
    wh_cuda_placement_table[17];

/* A slot that nobody needed so far: says so once, and fails. */
CUresult wh_cuda_unknown_slot(_Atomic bool *said, const char *table, unsigned number);

/* Defines the function that stands in slot `number`, of two digits, of `table`. */
#define UNKNOWN(table, number)                                               \
    static CUresult table##_##number(void)                                   \
    {                                                                        \
        static _Atomic bool said;                                            \
        return wh_cuda_unknown_slot(&said, ID_OF_##table, 1##number - 100u); \
    }

/* The same for ten of them, and their places in the table. */
#define UNKNOWNS(table, tens) \
    UNKNOWN(table, tens##0)   \
    UNKNOWN(table, tens##1)   \
    UNKNOWN(table, tens##2)   \
    UNKNOWN(table, tens##3)   \
    UNKNOWN(table, tens##4)   \
    UNKNOWN(table, tens##5)   \
    UNKNOWN(table, tens##6)   \
    UNKNOWN(table, tens##7)   \
    UNKNOWN(table, tens##8)   \
    UNKNOWN(table, tens##9)
#define SLOTS(table, tens)                                                         \
    SLOT(table##_##tens##0), SLOT(table##_##tens##1), SLOT(table##_##tens##2),     \
        SLOT(table##_##tens##3), SLOT(table##_##tens##4), SLOT(table##_##tens##5), \
        SLOT(table##_##tens##6), SLOT(table##_##tens##7), SLOT(table##_##tens##8), \
        SLOT(table##_##tens##9)

#endif
